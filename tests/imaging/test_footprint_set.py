"""Detection by a threshold: afw's own example, and what grows, merges and masks."""

import numpy as np
import pytest

from skybutler.imaging import (
    Box2I,
    Extent2I,
    Footprint,
    FootprintSet,
    HeavyFootprint,
    Image,
    Mask,
    MaskedImage,
    Peak,
    Point2D,
    Point2I,
    Polarity,
    Spans,
    Threshold,
    ThresholdType,
)

# value and runs of three objects in an image of 12x8, as in afw's tests/test_footprint1.py
OBJECTS = (
    (10.0, [(1, 4, 4), (2, 3, 5), (3, 4, 4)]),
    (20.0, [(5, 7, 8), (5, 10, 10), (6, 8, 9)]),
    (20.0, [(6, 3, 3)]),
)


@pytest.fixture
def image():
    made = MaskedImage.full((12, 8), (0.0, 0, 1.0))
    for value, runs in OBJECTS:
        Spans(runs).set_image(made.image, value)
    return made


def test_footprints_above_a_value(image):
    found = FootprintSet.detect(image, 10.0)
    assert len(found) == 3
    assert [list(footprint.spans) for footprint in found] == [runs for _, runs in OBJECTS]
    assert [footprint.area for footprint in found] == [5, 5, 1]
    assert found[0].centroid == Point2D(4, 2)
    assert found[0].bbox == Box2I(Point2I(3, 1), Extent2I(3, 3))
    assert found.region == image.bbox
    assert len(FootprintSet.detect(image, 15.0)) == 2
    assert len(FootprintSet.detect(image, 10.0, min_area=2)) == 2


def test_a_plane_is_set_and_added(image):
    FootprintSet.detect(image, 10.0, plane="DETECTED")
    assert np.array_equal(image.mask.array == 32, image.image.array > 0)
    FootprintSet.detect(image, 15.0, plane="BRIGHT")
    assert image.mask.interpret(image.mask[3, 6]) == "BRIGHT,DETECTED"
    bits = Threshold(image.mask.plane_bit_mask("BRIGHT"), ThresholdType.BITMASK)
    assert len(FootprintSet.detect(image.mask, bits)) == len(FootprintSet.detect(image, bits)) == 2


def test_negative_sources_are_kept_apart_from_positive_ones(image):
    image.image.array[...] *= np.where(np.arange(12) < 6, -1, 1)
    positive = FootprintSet.detect(image, Threshold(10.0))
    negative = FootprintSet.detect(image, Threshold(10.0, polarity=False))
    both = FootprintSet.detect(image, Threshold(10.0, polarity=Polarity.BOTH))
    assert [len(found) for found in (positive, negative, both)] == [1, 2, 3]
    assert negative[0].peaks[0].value == -10
    touching = Image(np.array([[5.0, -5.0]]))
    assert len(FootprintSet.detect(touching, Threshold(1, polarity=Polarity.BOTH))) == 2
    assert len(FootprintSet.detect(Image(np.array([[5, 7]], "uint8")), Threshold(1, polarity=Polarity.NEGATIVE))) == 0


def test_thresholds_in_units_of_noise():
    rng = np.random.default_rng(5)
    noise = MaskedImage(rng.normal(0, 2, (60, 50)).astype("float32"), None, np.full((60, 50), 4, "float32"))
    noise.image[20, 30] = 30
    noise.variance[20, 30] = 100
    for kind in (ThresholdType.STDEV, ThresholdType.VARIANCE):
        threshold = Threshold(5.0, kind)
        assert threshold.level(noise) == pytest.approx(10, rel=0.05)
        (found,) = FootprintSet.detect(noise, threshold)
        assert found.peaks == (Peak(20, 30, 30.0),)
    assert len(FootprintSet.detect(noise, Threshold(5.0, ThresholdType.PIXEL_STDEV))) == 0
    assert len(FootprintSet.detect(noise, Threshold(3.0, ThresholdType.PIXEL_STDEV))) >= 1
    with pytest.raises(ValueError, match="standard deviation, which is 0"):
        FootprintSet.detect(Image.full((5, 5)), Threshold(5.0, ThresholdType.STDEV))
    with pytest.raises(ValueError, match="needs a masked image"):
        FootprintSet.detect(noise.image, Threshold(5.0, ThresholdType.PIXEL_STDEV))


def test_a_footprint_may_need_one_brighter_pixel(image):
    assert len(FootprintSet.detect(image, Threshold(10.0, include_multiplier=2.0))) == 2
    assert len(FootprintSet.detect(image, Threshold(10.0, include_multiplier=2.1))) == 0


def test_peaks_are_sorted_by_brightness():
    image = Image.full(Box2I(Point2I(100, 200), Extent2I(9, 5)), 1.0)
    image[102, 202], image[104, 202], image[107, 201] = 5.0, 9.0, 7.0
    (found,) = FootprintSet.detect(image, 1.0)
    values = [(peak.x, peak.y, peak.value) for peak in found.peaks]
    assert values[:3] == [(104, 202, 9.0), (107, 201, 7.0), (102, 202, 5.0)]
    (flat,) = FootprintSet.detect(Image.full((5, 4), 4.0), 4.0)
    assert flat.peaks == tuple(Peak(x, y, 4.0) for y in (1, 2) for x in (1, 2, 3))


def test_upon_the_edge_of_the_image_a_footprint_has_one_peak():
    """The sources of afw's test of peaks, on images that end with them."""
    image = Image.full((14, 10))
    sources = (
        [(4, 1, 10), (3, 2, 10), (4, 2, 20), (5, 2, 10), (4, 3, 10)],
        [(9, 7, 30), (10, 7, 29), (12, 7, 25), (10, 8, 27), (11, 8, 26)],
        [(3, 8, 10), (4, 8, 10)],
    )
    for source in sources:
        for x, y, value in source:
            image[x, y] = value
    peaks = {(3, 8): [(3, 8), (4, 8)], (9, 7): [(9, 7)], (4, 2): [(4, 2)]}
    for part, third in ((image, peaks[3, 8]), (image[:, 0:9], [(3, 8)]), (image[3:14, :], [(4, 8)])):
        found = [[tuple(peak.position) for peak in one.peaks] for one in FootprintSet.detect(part, 10.0)]
        assert sorted(found) == sorted([peaks[4, 2], peaks[9, 7], third])
    below = image.clone()
    below *= -1
    found = FootprintSet.detect(below, Threshold(10, polarity=False))
    assert sum(len(one.peaks) for one in found) == 4


def test_nan_is_in_no_footprint():
    (found,) = FootprintSet.detect(Image(np.array([[1.0, np.nan, np.nan, 0.0]])), 0.5)
    assert found.area == 1


def test_sets_grow_and_merge(image):
    found = FootprintSet.detect(image, 10.0)
    assert len(found.grown(0)) == 3
    grown = found.grown(1)
    assert [footprint.area for footprint in grown] == [13 + 5, 15]  # two meet at a corner
    one = found.grown(3)
    assert len(one) == 1
    assert [peak.value for peak in one[0].peaks] == sorted((p.value for f in found for p in f.peaks), reverse=True)
    assert image.bbox.contains(one[0].bbox)
    other = FootprintSet([Footprint(Box2I(Point2I(4, 6), Extent2I(3, 1)), [Peak(5, 6, 3.0)])], image.bbox)
    merged = found.merged_with(other)
    assert [footprint.area for footprint in merged] == [5, 9]
    with pytest.raises(ValueError, match="cannot be merged"):
        found.merged_with(FootprintSet([], Box2I()))


def test_what_lies_off_the_region_is_dropped_when_a_set_grows():
    over = Footprint(Box2I(Point2I(8, 3), Extent2I(9, 2)), [Peak(16, 3, 5.0), Peak(8, 3, 4.0)])
    (grown,) = FootprintSet([over], Box2I(Point2I(0, 0), Extent2I(10, 10))).grown(1)
    assert grown.bbox == Box2I(Point2I(7, 2), Extent2I(3, 4))
    assert grown.peaks == (Peak(8, 3, 4.0),)


@pytest.mark.parametrize(("isotropic", "area"), [(True, 29), (False, 25)])
def test_sets_grow_by_euclid_or_by_manhattan(isotropic, area):
    point = FootprintSet([Footprint(Spans([(10, 10, 10)]))], Box2I(Point2I(0, 0), Extent2I(20, 20)))
    (grown,) = point.grown(3, isotropic=isotropic)
    assert grown.area == area


def test_segmentation_maps_go_both_ways(image):
    found = FootprintSet.detect(image, 10.0, set_peaks=False)
    labels = found.to_labels()
    assert labels.max() == 3
    assert [f.spans for f in FootprintSet.from_labels(labels)] == [f.spans for f in found]


def test_footprints_change_shape_and_keep_their_peaks():
    footprint = Footprint(Box2I(Point2I(2, 3), Extent2I(5, 5)), [Peak(2, 3, 1.0), Peak(4, 5, 2.0)])
    assert [peak.value for peak in footprint.peaks] == [2.0, 1.0]
    assert footprint.dilated(1).area == 25 + 4 * 5
    assert footprint.eroded(1).peaks == (Peak(4, 5, 2.0),)
    assert footprint.eroded(1).bbox == Box2I(Point2I(3, 4), Extent2I(3, 3))
    assert footprint.shifted_by((10, 0)).peaks[0].position == Point2I(14, 5)
    assert footprint.clipped_to(Box2I(Point2I(0, 0), Extent2I(4, 4))).area == 2
    assert footprint.merged_with(footprint) == footprint
    assert footprint.getPeaks()[0].getPosition() == Point2I(4, 5)
    assert (3, 3) in footprint
    assert footprint.is_contiguous
    apart = Footprint(Spans([(0, 0, 1), (5, 0, 1)]), [Peak(0, 5, 1.0)])
    assert [part.peaks for part in apart.split()] == [(), (Peak(0, 5, 1.0),)]


def test_heavy_footprints_keep_pixels(image):
    image.mask[8, 5] = "SAT"
    heavy = FootprintSet.detect(image, 10.0).made_heavy(image)
    target = MaskedImage.full((12, 8), (-1.0, 0, 0.0))
    for one in heavy:
        one.insert(target)
    assert target[8, 5] == (20, 2, 1)
    assert np.array_equal(target.image.array > 0, image.image.array > 0)
    part = Image.full(Box2I(Point2I(8, 5), Extent2I(1, 1)))
    heavy[1].insert(part)
    assert part.array.tolist() == [[20.0]]
    assert heavy[0].dot(heavy[0]) == 500
    assert heavy[0].dot(heavy[1]) == 0
    assert heavy[0].is_heavy
    assert heavy[0] == HeavyFootprint.from_image(heavy[0], image)
    with pytest.raises(ValueError, match="takes as many values"):
        HeavyFootprint(heavy[0], np.zeros(3))


def test_a_mask_is_not_searched_for_values():
    with pytest.raises(TypeError, match="BITMASK"):
        FootprintSet.detect(Mask.full((3, 3)), 1.0)
    with pytest.raises(ValueError, match="no mask in which"):
        FootprintSet.detect(Image.full((3, 3)), 1.0, plane="DETECTED")


def test_heavy_footprints_are_summed():
    image = MaskedImage(np.arange(25.0).reshape(5, 5), np.ones((5, 5), "int32"), np.full((5, 5), 2.0))
    left = HeavyFootprint.from_image(Footprint(Box2I(Point2I(0, 0), Extent2I(3, 2)), [Peak(1, 1, 6.0)]), image)
    right = HeavyFootprint.from_image(Footprint(Box2I(Point2I(2, 1), Extent2I(2, 2))), image)
    right.mask[:] = 4
    both = left.summed_with(right)
    assert (both.area, both.peaks) == (6 + 4 - 1, left.peaks)
    target = MaskedImage.full((5, 5), dtype="float64")
    both.insert(target)
    assert target[2, 1] == (14, 5, 4)
    assert target[0, 0] == (0, 1, 2)
    assert target[3, 2] == (13, 4, 2)
    assert target[4, 4] == (0, 0, 0)
    assert both == right.summed_with(left)


def test_peaks_are_sorted_by_value_and_below_the_background_the_lowest_is_first():
    box = Box2I(Point2I(0, 0), Extent2I(9, 9))
    mixed = Footprint(box, [Peak(4, 0, 1), Peak(3, 0, 5), Peak(7, 0, -2), Peak(5, 0, 4)])
    assert [peak.x for peak in mixed.peaks] == [3, 5, 4, 7]
    assert [peak.value for peak in Footprint(box, [Peak(0, 0, -1), Peak(1, 0, -5)]).peaks] == [-5, -1]
