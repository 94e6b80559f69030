"""What afw's own tests ask of boxes, images and masks, case by case: a question, and the answer in numbers."""

import math
import pickle

import numpy as np
import pytest

from skybutler.imaging import (
    LOCAL,
    PARENT,
    Box2D,
    Box2I,
    Extent2D,
    Extent2I,
    Image,
    Mask,
    MaskedImage,
    MaskSchema,
    Point2D,
    Point2I,
    PolynomialFunction2D,
    make_masked_image,
)

NAN, INF = math.nan, math.inf


def box(x, y, width, height):
    return Box2I(Point2I(x, y), Extent2I(width, height))


def near(value, **tolerances):
    return pytest.approx(value, nan_ok=True, **tolerances)


def done(thing, *changes):
    """Change a thing in place, by what an operator's method does, and return it."""
    for change in changes:
        made = change(thing)
        thing = thing if made is None else made
    return thing


def ramp(width=4, height=3, xy0=(0, 0), dtype="float64"):
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return Image((x + 10 * y).astype(dtype), xy0)


GEOMETRY = {
    "a box of one corner twice has one pixel": (lambda: Box2I(Point2I(5, 5), Point2I(5, 5)).area, 1),
    "corners are inside": (lambda: Box2I(Point2I(-3, 4), Point2I(2, 9)).dimensions, Extent2I(6, 6)),
    "inverted corners keep both": (lambda: Box2I(Point2I(2, 9), Point2I(-3, 4)), box(-3, 4, 6, 6)),
    "one inverted axis empties the box": (lambda: Box2I(Point2I(2, 4), Point2I(-3, 9), invert=False), Box2I()),
    "negative sizes end at the corner": (lambda: Box2I(Point2I(0, 0), Extent2I(-5, -1)), box(-4, 0, 5, 1)),
    "a size of 0 on one axis is empty": (lambda: Box2I(Point2I(7, 7), Extent2I(0, 100)).dimensions, Extent2I(0, 0)),
    "empty boxes end before they begin": (lambda: (Box2I().min, Box2I().max), (Point2I(0, 0), Point2I(-1, -1))),
    "growing": (lambda: box(1, 2, 3, 4).dilatedBy(3), box(-2, -1, 9, 10)),
    "growing by axis": (lambda: box(1, 2, 3, 4).dilated_by(Extent2I(0, 5)), box(1, -3, 3, 14)),
    "negative growing shrinks": (lambda: box(0, 0, 7, 5).dilated_by(-2), box(2, 2, 3, 1)),
    "shrinking to nothing": (lambda: box(0, 0, 7, 4).erodedBy(2), Box2I()),
    "including a pixel": (lambda: box(0, 0, 2, 2).expandedTo(Point2I(-1, 5)), box(-1, 0, 3, 6)),
    "including a box": (lambda: box(0, 0, 2, 2).expanded_to(box(8, 9, 1, 1)), box(0, 0, 9, 10)),
    "clipping": (lambda: box(0, 0, 5, 5).clippedTo(box(3, -2, 9, 4)), box(3, 0, 2, 2)),
    "neighbours do not overlap": (lambda: box(0, 0, 5, 5).overlaps(box(5, 0, 5, 5)), False),
    "one common pixel is an overlap": (lambda: box(0, 0, 5, 5).intersects(box(4, 4, 5, 5)), True),
    "the first pixel is inside": (lambda: box(3, 4, 2, 2).contains(Point2I(3, 4)), True),
    "the end is outside": (lambda: box(3, 4, 2, 2).contains(box(3, 4, 2, 2).getEnd()), False),
    "every box contains itself": (lambda: box(3, 4, 2, 2).contains(box(3, 4, 2, 2)), True),
    "moved": (lambda: box(3, 4, 2, 2).shiftedBy(Extent2I(-3, 1)), box(0, 5, 2, 2)),
    "turned left to right": (lambda: box(0, 1, 3, 4).flipLR(10), box(7, 1, 3, 4)),
    "turned top to bottom": (lambda: box(0, 1, 3, 4).flipTB(10), box(0, 5, 3, 4)),
    "turned twice": (lambda: box(2, 1, 3, 4).flip_lr(99).flip_lr(99), box(2, 1, 3, 4)),
    "mirrored about a column": (lambda: box(2, 1, 3, 4).reflectedAboutX(2), box(0, 1, 3, 4)),
    "the centre of an odd size": (lambda: box(0, 0, 5, 3).center, Point2D(2, 1)),
    "the centre of an even size": (lambda: box(0, 0, 4, 2).getCenter(), Point2D(1.5, 0.5)),
    "centred on a pixel": (lambda: Box2I.makeCenteredBox(Point2D(10, 20), Extent2I(5, 7)), box(8, 17, 5, 7)),
    "centred, an even size": (lambda: Box2I.makeCenteredBox(Point2D(10.4, 20.6), Extent2I(4, 4)), box(9, 19, 4, 4)),
    "slices are rows first": (lambda: np.arange(30).reshape(5, 6)[box(1, 2, 2, 1).slices].tolist(), [[13, 14]]),
    "boxes pickle": (lambda: pickle.loads(pickle.dumps(box(1, 2, 3, 4))), box(1, 2, 3, 4)),
    "real boxes of pixels": (lambda: Box2D(box(1, 2, 3, 4)).min, Point2D(0.5, 1.5)),
    "real boxes without width are empty": (lambda: Box2D(Point2D(1, 1), Extent2D(0, 4)).is_empty, True),
    "real boxes grow": (lambda: Box2D(Point2D(1, 1), Point2D(3, 4)).dilated_by(0.5).dimensions, Extent2D(3, 4)),
    "half open on the right": (lambda: Box2D(Point2D(0, 0), Point2D(1, 1)).contains(Point2D(1, 0.5)), False),
    "closed for boxes": (lambda: Box2D(box(0, 0, 9, 9)).contains(Box2D(box(3, 3, 6, 6))), True),
    "expanding to pixels": (lambda: Box2I(Box2D(Point2D(0.2, 0.2), Point2D(0.8, 0.8)), Box2I.EXPAND), box(0, 0, 2, 2)),
    "shrinking to pixels": (lambda: Box2I(Box2D(Point2D(-0.6, 0), Point2D(3.4, 3)), Box2I.SHRINK), box(0, 1, 3, 2)),
    "points have extents between": (lambda: Point2I(5, 7) - Point2I(1, 2), Extent2I(4, 5)),
    "real and whole are real": (lambda: Point2D(0.5, 1) - Point2I(1, 1), Extent2D(-0.5, 0)),
    "extents are added": (lambda: Extent2I(1, 2) + Extent2D(0.5, 0.5), Extent2D(1.5, 2.5)),
    "extents are multiplied": (lambda: 3 * Extent2I(1, -2), Extent2I(3, -6)),
    "whole division rounds down": (lambda: Extent2I(-7, 7) // 2, Extent2I(-4, 3)),
    "rounding halves goes up": (lambda: Point2I(Point2D(-0.5, 0.5)), Point2I(0, 1)),
    "compared axis by axis": (lambda: Point2I(1, 5).lt(Point2I(2, 5)), (True, False)),
    "all axes": (lambda: all(Point2D(1, 5).ge(Point2D(1, 4))), True),
    "any axis": (lambda: any(Extent2I(1, 5).eq(Extent2I(2, 4))), False),
    "points hash": (lambda: len({Point2I(1, 2), Point2I(1, 2), Point2I(2, 1)}), 2),
}


IMAGES = {
    "columns come first": (lambda: ramp()[3, 1], 13),
    "points index": (lambda: ramp(xy0=(-2, 5))[Point2I(-2, 6)], 10),
    "local counts from the corner": (lambda: ramp(xy0=(100, 50))[1, 2, LOCAL], 21),
    "local counts from the end": (lambda: ramp(xy0=(100, 50))[-1, -1, LOCAL], 23),
    "parent is the default": (lambda: ramp(xy0=(100, 50))[101, 52] == ramp(xy0=(100, 50))[101, 52, PARENT] == 21, True),
    "slices are half open": (lambda: ramp()[1:3, 0:2].array.tolist(), [[1, 2], [11, 12]]),
    "parts know where they lie": (lambda: ramp(xy0=(100, 50))[101:103, 51:53].xy0, Point2I(101, 51)),
    "local parts lie in the parent": (lambda: ramp(xy0=(100, 50))[1:3, 1:3, LOCAL].bbox, box(101, 51, 2, 2)),
    "boxes in local coordinates": (lambda: ramp(xy0=(7, 7)).getBBox(LOCAL), box(0, 0, 4, 3)),
    "positions of indices": (lambda: ramp(xy0=(7, 9)).indexToPosition(2, 1), 11.0),
    "indices of positions": (lambda: ramp(xy0=(7, 9)).positionToIndex(8.75, 0), (2, -0.25)),
    "a part shares pixels": (lambda: done(ramp(), lambda i: i[0:2, 0:2].__setitem__((0, 0), 99))[0, 0], 99),
    "a clone does not": (lambda: done(ramp(), lambda i: i.clone().__setitem__((0, 0), 99) or i)[0, 0], 0),
    "adding its own shifted part": (
        lambda: done(ramp(5, 1), lambda i: i[1:5, :].__iadd__(i[0:4, :]) and i).array.tolist(),
        [[0, 1, 3, 5, 7]],
    ),
    "adding its own part, shifted back": (
        lambda: done(ramp(5, 1), lambda i: i[0:4, :].__iadd__(i[1:5, :]) and i).array.tolist(),
        [[1, 3, 5, 7, 4]],
    ),
    "dividing by itself": (lambda: done(ramp(), lambda i: i.__itruediv__(i))[3, 2], 1),
    "squared": (lambda: done(ramp(), lambda i: i.__imul__(i))[3, 2], 23**2),
    "scaled sums": (lambda: done(ramp(), lambda i: i.scaledPlus(2.0, ramp()))[1, 1], 33),
    "scaled differences": (lambda: done(ramp(), lambda i: i.scaledMinus(2.0, ramp()))[1, 1], -11),
    "scaled products": (lambda: done(ramp(), lambda i: i.scaledMultiplies(2.0, ramp()))[1, 1], 242),
    "scaled quotients": (lambda: done(ramp(), lambda i: i.scaledDivides(2.0, ramp()))[1, 1], 0.5),
    "functions are taken at parent pixels": (
        lambda: done(Image.full(box(1, 2, 3, 3), 5.0), lambda i: i.__iadd__(PolynomialFunction2D(range(6))))[2, 3],
        5 + 2 + 2 * 3 + 3 * 4 + 4 * 6 + 5 * 9,
    ),
    "parts of parts are counted by their own corner": (
        lambda: (
            done(
                Image.full((20, 20))[box(1, 1, 10, 5)],
                lambda i: setattr(i, "xy0", Point2I(0, 0)) or i[box(1, 1, 3, 2), LOCAL],
            ).xy0
        ),
        Point2I(1, 1),
    ),
    "floats cut to integers": (lambda: done(ramp(dtype="int32"), lambda i: i.__setitem__((0, 0), 3.99))[0, 0], 3),
    "integers stay": (
        lambda: done(ramp(dtype="int32"), lambda i: i.__iadd__(ramp(dtype="int32"))).array.dtype,
        "int32",
    ),
    "boxes of one value": (lambda: Image.full(box(3, 4, 5, 6), 666.0)[7, 9], 666),
    "masked images begin clean": (lambda: MaskedImage(Image.full((5, 5), 7.0))[3, 3], (7, 0, 0)),
    "their planes lie together": (lambda: make_masked_image(Image.full(box(10, 20, 2, 2))).mask.xy0, Point2I(10, 20)),
    "value, mask, variance": (
        lambda: done(MaskedImage.full((5, 5)), lambda m: m.__setitem__((4, 4), (10, 0x2, 100)))[4, 4],
        (10, 2, 100),
    ),
    "scaled sums of masked images": (
        lambda: done(
            MaskedImage.full((2, 2), (200.0, 0, 15.0)),
            lambda m: m.scaledPlus(10.0, MaskedImage.full((2, 2), (100.0, 16, 10.0))),
        )[0, 0],
        (1200, 16, 1015),
    ),
    "scaled differences of masked images": (
        lambda: done(
            MaskedImage.full((2, 2), (200.0, 0, 15.0)),
            lambda m: m.scaledMinus(10.0, MaskedImage.full((2, 2), (100.0, 16, 10.0))),
        )[0, 0],
        (-800, 16, 1015),
    ),
    "integers of masked images": (
        lambda: done(
            MaskedImage.full((2, 2), (900, 0, 1000.0), dtype="int32"),
            lambda m: m.__iadd__(Image.full((2, 2), 2, dtype="int32")),
        )[0, 0],
        (902, 0, 1000),
    ),
    "a masked image times its own image": (
        lambda: done(MaskedImage.full((2, 2), (3.0, 0, 5.0)), lambda m: m.__imul__(m.image))[0, 0],
        (9, 0, 45),
    ),
    "a masked image over its own image": (
        lambda: done(MaskedImage.full((2, 2), (100.0, 0, 15.0)), lambda m: m.__itruediv__(m.image))[0, 0],
        (1, 0, near(0.0015)),
    ),
    "its own shifted part keeps variances apart": (
        lambda: done(
            MaskedImage(np.ones((1, 3)), None, np.array([[1.0, 2.0, 4.0]])),
            lambda m: m[1:3, :].__iadd__(m[0:2, :]) and m,
        ).variance.array.tolist(),
        [[1, 3, 6]],
    ),
    "a division by zero is marked": (
        lambda: done(MaskedImage.full((1, 1), (1.0, 0, 1.0)), lambda m: m.__itruediv__(0.0)).mask.as_string(0, 0),
        "NO_DATA",
    ),
    "the variance of large pixels is finite": (
        lambda: done(
            MaskedImage.full((1, 1), (1e10, 0, 1e10)),
            lambda m: m.__itruediv__(MaskedImage.full((1, 1), (1e10, 0, 1e10))),
        )[0, 0],
        (1, 0, near(2e-10)),
    ),
}

MASKS = {
    "bits of planes": (lambda: Mask.full((1, 1)).getPlaneBitMask(["DETECTED", "SUSPECT"]), 32 | 128),
    "the bit of a plane": (lambda: Mask.full((1, 1)).getMaskPlane("NO_DATA"), 8),
    "the next free bit": (lambda: Mask.full((1, 1)).addMaskPlane("MINE"), 11),
    "a gap is filled": (lambda: Mask.full((1, 1), schema=MaskSchema.from_dict({"A": 0, "B": 2})).addMaskPlane("C"), 1),
    "names in alphabetical order": (
        lambda: Mask.full((1, 1)).interpret(0x1FF),
        "BAD,CR,DETECTED,DETECTED_NEGATIVE,EDGE,INTRP,NO_DATA,SAT,SUSPECT",
    ),
    "OR with a number": (lambda: done(Mask.full((2, 2), 5), lambda m: m.__ior__(0x10))[1, 1], 0x15),
    "AND with a number": (lambda: done(Mask.full((2, 2), 0x15), lambda m: m.__iand__(0x10))[1, 1], 0x10),
    "XOR with a number": (lambda: done(Mask.full((2, 2), 0x15), lambda m: m.__ixor__(0x11))[1, 1], 0x04),
    "AND with a complement": (lambda: done(Mask.full((2, 2), 0x15), lambda m: m.__iand__(~0x10))[1, 1], 0x05),
    "OR with a mask": (lambda: done(Mask.full((2, 2), 1), lambda m: m.__ior__(Mask.full((2, 2), 2)))[0, 0], 3),
    "cleared planes": (lambda: done(Mask.full((2, 2), 0x11), lambda m: m.clearMaskPlane(4))[0, 0], 1),
    "all cleared": (lambda: done(Mask.full((2, 2), 0x11), lambda m: m.clearAllMaskPlanes())[0, 0], 0),
    "removed planes lose their pixels": (
        lambda: done(Mask.full((2, 2), 0x11), lambda m: m.removeAndClearMaskPlane("EDGE"))[0, 0],
        1,
    ),
    "set in a part": (lambda: done(Mask.full((4, 4)), lambda m: m.__setitem__(box(1, 1, 2, 2), 8)).array.sum(), 32),
    "conformed by name": (
        lambda: Mask.full((1, 1), "P", schema=MaskSchema.from_dict({"P": 3})).conformedTo(
            MaskSchema.from_dict({"Q": 3, "P": 5})
        )[0, 0],
        32,
    ),
}


EVERY = {**GEOMETRY, **IMAGES, **MASKS}


@pytest.mark.parametrize("case", EVERY)
def test_cases(case):
    question, answer = EVERY[case]
    assert question() == answer


REFUSED = {
    "points are not added": (lambda: Point2I(1, 2) + Point2I(3, 4), TypeError),
    "whole points have no fractions": (lambda: Point2I(1.5, 2), TypeError),
    "whole extents are not divided in place": (lambda: Extent2I(1, 2).__itruediv__(2), TypeError),
    "boxes of what is not finite": (lambda: Box2I(Box2D(Point2D(0, 0), Point2D(INF, 1))), ValueError),
    "boxes centred on NaN": (lambda: Box2I.makeCenteredBox(Point2D(NAN, 0), Extent2I(1, 1)), ValueError),
    "pixels outside": (lambda: ramp()[4, 0], IndexError),
    "boxes outside": (lambda: ramp()[box(2, 2, 3, 1)], IndexError),
    "negative parent indices": (lambda: ramp(xy0=(-3, 0))[-1, 0], IndexError),
    "steps": (lambda: ramp()[0:4:2, :], ValueError),
    "one index": (lambda: ramp()[3], TypeError),
    "sums as expressions": (lambda: ramp() + ramp(), NotImplementedError),
    "sizes that differ": (lambda: ramp().__iadd__(ramp(5, 5)), ValueError),
    "masks that differ in size": (lambda: Mask.full((2, 2)).__ior__(Mask.full((3, 3))), ValueError),
    "planes that are not there": (lambda: Mask.full((2, 2)).getPlaneBitMask("NOPE"), ValueError),
    "planes of different sizes": (lambda: MaskedImage(Image.full((2, 2)), Mask.full((3, 3))), ValueError),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case):
    question, kind = REFUSED[case]
    with pytest.raises(kind):
        question()
