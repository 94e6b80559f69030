"""What afw's own tests ask of spans and footprints, case by case: a question, and the answer in numbers."""

import math

import numpy as np
import pytest

from skybutler.imaging import (
    Box2I,
    Extent2I,
    Footprint,
    FootprintSet,
    HeavyFootprint,
    Mask,
    MaskedImage,
    Peak,
    Point2D,
    Point2I,
    Polarity,
    Spans,
    Stencil,
    Threshold,
    ThresholdType,
)

NAN = math.nan


def box(x, y, width, height):
    return Box2I(Point2I(x, y), Extent2I(width, height))


def done(thing, *changes):
    """Change a thing in place, by what an operator's method does, and return it."""
    for change in changes:
        made = change(thing)
        thing = thing if made is None else made
    return thing


def objects(values=(10, 20, 20), connected=True):
    """The three sources of afw's tests of footprints, on 12x8 pixels of variance 4."""
    made = MaskedImage.full((12, 8), (0.0, 0, 4.0))
    shapes = [[(1, 4, 4), (2, 3, 5), (3, 4, 4)], [(5, 7, 8), (5, 10, 10), (6, 8, 9)], [(6, 3, 3)]]
    if not connected:
        shapes[1] = [(5, 7, 8), (6, 8, 8)]
    for value, runs in zip(values, shapes, strict=True):
        Spans(runs).set_image(made.image, value)
    return made


def found(image, *threshold, **options):
    return FootprintSet.detect(image, Threshold(*threshold), **options)


HOLES = Spans([(1, 2, 4), (1, 7, 8)])
SPANS = {
    "areas": (lambda: Spans(box(2, 2, 5, 5)).getArea(), 25),
    "nothing": (lambda: (Spans().area, len(Spans()), Spans().bbox), (0, 0, Box2I())),
    "touching rows hang together": (lambda: Spans([(0, 2, 5), (1, 5, 8)]).isContiguous(), True),
    "by a corner, too": (lambda: Spans([(0, 2, 4), (1, 5, 8)]).is_contiguous, True),
    "rows apart do not": (lambda: Spans([(0, 2, 5), (1, 20, 25)]).is_contiguous, False),
    "parts": (
        lambda: [one.bbox.min for one in Spans(box(0, 0, 5, 5)).union(Spans(box(6, 6, 5, 5))).split()],
        [Point2I(0, 0), Point2I(6, 6)],
    ),
    "what is in both": (
        lambda: list(Spans(box(0, 2, 5, 5)).intersect(Spans(box(0, 0, 5, 5)))),
        [(2, 0, 4), (3, 0, 4), (4, 0, 4)],
    ),
    "what is left": (lambda: list(Spans(box(0, 2, 5, 5)).intersectNot(Spans(box(0, 0, 5, 5)))), [(5, 0, 4), (6, 0, 4)]),
    "holes": (
        lambda: list(Spans(box(0, 0, 11, 3)).intersect_not(HOLES)),
        [(0, 0, 10), (1, 0, 1), (1, 5, 6), (1, 9, 10), (2, 0, 10)],
    ),
    "a circle's centre": (lambda: Spans.from_shape(4, Stencil.CIRCLE, (2, 2)).centroid, Point2D(2, 2)),
    "a cross has moments": (lambda: tuple(Spans.from_shape(1).shape), (0.4, 0.4, 0)),
    "growing a cross": (lambda: Spans.from_shape(1).dilated(1).bbox, box(-2, -2, 5, 5)),
    "shrinking a circle": (lambda: Spans.from_shape(2).eroded(1).bbox, box(-1, -1, 3, 3)),
    "lines of pixels": (
        lambda: Spans([(0, 0, 1), (1, 0, 1)]).flatten(np.arange(36).reshape(6, 6), (-1, -1)).tolist(),
        [7, 8, 13, 14],
    ),
    "pixels of lines": (
        lambda: Spans([(9, 2, 3), (10, 3, 4)]).unflatten([1, 2, 3, 4]).tolist(),
        [[1, 2, 0], [0, 3, 4]],
    ),
    "masks": (
        lambda: done(
            Mask.full((10, 10), 1), lambda m: Spans.from_shape(3, Stencil.CIRCLE, (5, 5)).setMask(m, 2)
        ).array.sum(),
        100 + 2 * 29,
    ),
    "masks are sets": (lambda: Spans.from_mask(done(Mask.full((4, 4)), lambda m: m.__setitem__((2, 1), 6)), 2).area, 1),
    "three sources": (lambda: [one.area for one in found(objects(), 10)], [5, 5, 1]),
    "two bright ones": (lambda: len(found(objects(), 15)), 2),
    "an area at least": (lambda: len(found(objects(), 10, min_area=2)), 2),
    "five pixels are five peaks": (lambda: len(found(objects(), 10)[0].peaks), 5),
    "a plane is set": (lambda: done(objects(), lambda m: found(m, 10, plane="OBJECT") and None).mask[3, 6], 1 << 11),
    "noise of each pixel": (
        lambda: [
            one.area
            for one in found(
                done(objects(), lambda m: m.__setitem__((2, 4), (10, 0, 36))), 4.5, ThresholdType.PIXEL_STDEV
            )
        ],
        [5, 5, 1],
    ),
    "NaN is no source": (
        lambda: [
            one.area for one in found(done(objects(connected=False), lambda m: m.image.__setitem__((9, 6), NAN)), 10)
        ],
        [5, 3, 1],
    ),
    "bits": (
        lambda: [
            one.area
            for one in FootprintSet.detect(
                done(
                    Mask.full((12, 8)),
                    lambda m: Spans([(1, 4, 4), (2, 3, 5), (3, 4, 4)]).set_mask(m, 2),
                    lambda m: Spans([(5, 7, 8)]).set_mask(m, 0x41),
                ),
                Threshold(2, ThresholdType.BITMASK),
            )
        ],
        [5],
    ),
    "below zero": (
        lambda: [
            one.peaks[0].value for one in found(objects((-10, -20, 20)), 10, ThresholdType.VALUE, Polarity.NEGATIVE)
        ],
        [-10, -20],
    ),
    "on both sides": (lambda: len(found(objects((-10, -20, 20)), 10, ThresholdType.VALUE, Polarity.BOTH)), 3),
    "only with bright pixels": (lambda: len(found(objects(), 5, ThresholdType.VALUE, True, 3.0)), 2),
    "off the origin": (lambda: found(MaskedImage.full(box(2, 2, 12, 8), 100.0), 1)[0].bbox, box(2, 2, 12, 8)),
    "grown sources meet": (lambda: len(found(objects(), 10).grown(2)), 1),
    "merged sources": (lambda: len(found(objects(), 10).mergedWith(found(objects(), 15), 1, 1)), 2),
    "labels": (lambda: sorted(set(found(objects(), 10).to_labels().ravel().tolist())), [0, 1, 2, 3]),
    "shrunk footprints lose peaks": (
        lambda: [
            peak.position
            for peak in Footprint(box(50, 50, 5, 10), [Peak(50, 50, 1), Peak(52, 52, 2), Peak(50, 59, 3)])
            .eroded(1)
            .peaks
        ],
        [Point2I(52, 52)],
    ),
    "shrunk areas": (lambda: Footprint(box(50, 50, 5, 10)).eroded(1, Stencil.MANHATTAN).area, 24),
    "shrunk to nothing": (lambda: Footprint(box(50, 50, 5, 10)).eroded(100).area, 0),
    "peaks by brightness": (
        lambda: [peak.x for peak in Footprint(box(0, 0, 11, 11), [Peak(4, 5, 1), Peak(3, 2, 5), Peak(5, 7, 4)]).peaks],
        [3, 5, 4],
    ),
    "a clipped footprint": (
        lambda: Footprint(Spans([(10, 100, 105), (11, 99, 104)])).clippedTo(box(5, 90, 1, 2)).area,
        0,
    ),
    "the box of a footprint": (lambda: Footprint(Spans([(10, 100, 105), (11, 99, 104)])).getBBox(), box(99, 10, 7, 2)),
    "heavy ones are inserted": (
        lambda: done(
            MaskedImage.full((5, 5)),
            lambda m: HeavyFootprint.from_image(
                Footprint(Spans([(1, 1, 2)])), MaskedImage.full((5, 5), (7.0, 4, 2.0))
            ).insert(m),
        )[2, 1],
        (7, 4, 2),
    ),
    "heavy ones multiply": (
        lambda: HeavyFootprint(Footprint(Spans([(0, 0, 2)])), np.array([1.0, 2, 3])).dot(
            HeavyFootprint(Footprint(Spans([(0, 1, 3)])), np.array([10.0, 20, 30]))
        ),
        2 * 10 + 3 * 20,
    ),
}


@pytest.mark.parametrize("case", SPANS)
def test_cases(case):
    question, answer = SPANS[case]
    assert question() == answer
