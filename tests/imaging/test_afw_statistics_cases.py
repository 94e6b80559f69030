"""What afw's own tests ask of statistics and stacks, case by case: a question, and the answer in numbers."""

import math

import numpy as np
import pytest

from skybutler.imaging import (
    ERRORS,
    IQRANGE,
    MAX,
    MEAN,
    MEANCLIP,
    MEANSQUARE,
    MEDIAN,
    MIN,
    NCLIPPED,
    NMASKED,
    NPOINT,
    ORMASK,
    STDEV,
    STDEVCLIP,
    SUM,
    VARIANCE,
    VARIANCECLIP,
    Image,
    Mask,
    MaskedImage,
    StatisticsControl,
    make_statistics,
    statistics_stack,
    string_to_statistics_property,
)

NAN, INF = math.nan, math.inf


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


def statistic(what, *flags, **options):
    control = {key: value for key, value in options.items() if key not in ("mask", "weights")}
    wanted = flags[0]
    for flag in flags[1:]:
        wanted |= flag
    others = {key: options[key] for key in ("mask", "weights") if key in options}
    stats = make_statistics(what, wanted, StatisticsControl(**control), **others)
    return tuple(stats[flag] for flag in flags if flag is not ERRORS)


def error(what, flag, **options):
    control = {key: value for key, value in options.items() if key != "weights"}
    weights = {"weights": options["weights"]} if "weights" in options else {}
    return make_statistics(what, flag | ERRORS, StatisticsControl(**control), **weights).error(flag)


def tens(bad=None):
    made = MaskedImage.full((100, 200), (10.0, 0, 1.0))
    if bad is not None:
        made.image[0, 0] = bad
    return made


def zebra():
    made = Image.full((100, 200), 10.0)
    made.array[1::2] += 1
    return made


STATISTICS = {
    "counts and sums": (lambda: statistic(tens(), NPOINT, MEAN, SUM, STDEV), (20000, 10, 200000, 0)),
    "a zebra": (lambda: statistic(zebra(), MEAN, STDEV), (10.5, near(0.5 * math.sqrt(20000 / 19999)))),
    "a zebra's mean square": (lambda: statistic(zebra(), MEANSQUARE), (near(0.5 * (100 + 121)),)),
    "the error of a zebra's mean": (lambda: error(zebra(), MEAN), near(0.5 / math.sqrt(19999))),
    "a clipped outlier": (lambda: statistic(tens(0.0), MEANCLIP, NCLIPPED, NPOINT), (10, 1, 20000)),
    "clipped counts alone": (lambda: statistic(tens(0.0), NCLIPPED), (1,)),
    "nothing to clip": (lambda: statistic(tens(), MEANCLIP, STDEVCLIP, VARIANCECLIP, NCLIPPED), (10, 0, 0, 0)),
    "one pixel": (lambda: statistic(Image.full((1, 1)), MEANCLIP, NCLIPPED, STDEV), (0, 0, near(NAN))),
    "two pixels": (lambda: statistic([1.0, 3.0], MEAN, VARIANCE, STDEV), (2, 2, near(math.sqrt(2)))),
    "an even median": (lambda: statistic([1.0, 2.0, 3.0, 2.0], MEDIAN), (2,)),
    "a median of ten": (lambda: statistic([float(i) for i in range(10)], MEDIAN), (4.5,)),
    "a median of eleven": (lambda: statistic([float(i) for i in range(11)], MEDIAN), (5,)),
    "integers have numpy's quartiles": (lambda: statistic(np.array([0, 0, 0, 1]), MEDIAN, IQRANGE), (0, 0.25)),
    "constant integers": (lambda: statistic(np.full(8, 5), MEDIAN, IQRANGE, MEANCLIP), (5, 0, 5)),
    "a ramp's quartiles": (
        lambda: statistic(Image(np.tile(np.arange(101.0) + 10, (64, 1))), MEDIAN, IQRANGE),
        (60, 50),
    ),
    "NaN is left out": (lambda: statistic(tens(NAN), MAX, MEAN, NPOINT, NMASKED), (10, 10, 19999, 1)),
    "infinity is left out": (lambda: statistic(tens(INF), MAX, MEAN, MIN), (10, 10, 10)),
    "NaN is asked for": (lambda: statistic(tens(NAN), MEAN, nan_safe=False), (near(NAN),)),
    "all masked": (
        lambda: statistic(MaskedImage.full((9, 9), (10.0, 1, 1.0)), MEAN, STDEV, SUM, NPOINT, and_mask=~0),
        (near(NAN), near(NAN), 0, 0),
    ),
    "masked pixels are counted": (
        lambda: statistic(MaskedImage.full((9, 9), (10.0, 0xBE, 1.0)), NMASKED, and_mask=2),
        (81,),
    ),
    "other bits do not count": (lambda: statistic(MaskedImage.full((9, 9), (10.0, 4, 1.0)), NMASKED, and_mask=2), (0,)),
    "planes by name": (lambda: statistic(MaskedImage.full((9, 9), (10.0, "SAT", 1.0)), NPOINT, and_mask=["SAT"]), (0,)),
    "the OR of masks": (lambda: statistic(MaskedImage.full((9, 9), (10.0, 0x12, 1.0)), ORMASK), (0x12,)),
    "a mask by itself": (
        lambda: statistic(
            done(
                Mask.full((10, 10)),
                lambda m: m.__setitem__((1, 1), 0x10),
                lambda m: m.__setitem__((3, 1), 0x08),
                lambda m: m.__setitem__((4, 5), 0x02),
            ),
            SUM,
            NPOINT,
        ),
        (0x1A, 100),
    ),
    "weighted by variance": (
        lambda: statistic(MaskedImage.full((10, 10), (1.0, 0, 0.1)), SUM, weighted=True),
        (near(1000, abs=1e-4),),
    ),
    "weights of one's own": (
        lambda: statistic(MaskedImage.full((10, 10), (1.0, 0, NAN)), SUM, MEAN, weights=Image.full((10, 10), 0.1)),
        (near(10, abs=1e-4), near(1)),
    ),
    "errors from variances": (
        lambda: error(MaskedImage.full((10, 10), (1.0, 0, 10.0)), MEAN, calc_error_from_input_variance=True),
        near(math.sqrt(0.1)),
    ),
    "weights do not change them": (
        lambda: error(
            MaskedImage.full((10, 10), (1.0, 0, 10.0)),
            MEANCLIP,
            weights=Image.full((10, 10), 0.1),
            calc_error_from_input_variance=True,
        ),
        near(math.sqrt(0.1)),
    ),
    "the error of a mosaic": (
        lambda: error(MaskedImage.full((10, 10), (1.0, 0, 10.0)), MEAN, calc_error_mosaic_mode=True),
        near(math.sqrt(10)),
    ),
    "the error of a median": (lambda: error([1.0, 2.0, 3.0], MEDIAN), near(math.sqrt(math.pi / 2 / 3))),
    "the error of a variance": (lambda: error([1.0, 2.0, 3.0], VARIANCE), near(math.sqrt(2 * 2 / 9))),
    "the error of a clipped variance": (lambda: error([1.0, 2.0, 3.0], VARIANCECLIP), near(math.sqrt(2 * 2 / 9))),
    "the error of a deviation": (lambda: error([1.0, 2.0, 3.0], STDEV), near(math.sqrt(4 / 9) / 2)),
    "errors of counts": (lambda: (error([1.0], SUM), error([1.0], NPOINT), error([1.0], MIN)), (0, 0, 0)),
    "properties by name": (lambda: string_to_statistics_property("MEANCLIP"), MEANCLIP),
    "properties have afw's numbers": (lambda: int(MEAN | MEDIAN | STDEVCLIP | NMASKED), 0x4 | 0x20 | 0x100 | 0x10000),
    "the mean of a stack": (lambda: statistics_stack([Image.full((4, 4), i) for i in range(10)], MEAN)[2, 2], 4.5),
    "the median of a stack": (
        lambda: statistics_stack([Image.full((4, 4), i) for i in (1.0, 2.0, 2.0, 3.0, 8.0)], MEDIAN)[2, 2],
        2,
    ),
    "a stack weighted by variance": (
        lambda: statistics_stack(
            [MaskedImage.full((4, 4), (i, 0, i)) for i in (1.0, 2.0, 2.0, 3.0, 8.0)],
            MEAN,
            StatisticsControl(weighted=True),
        )[2, 2][0],
        near(5 / (1 + 0.5 + 0.5 + 1 / 3 + 1 / 8)),
    ),
    "a stack weighted by numbers": (
        lambda: statistics_stack(
            [Image.full((4, 4), i) for i in (1.0, 2.0, 2.0, 3.0, 8.0)], MEAN, weights=[1, 2, 2, 3, 8]
        )[2, 2],
        near(82 / 16),
    ),
    "masks of what was used": (
        lambda: statistics_stack(
            [MaskedImage.full((1, 1), (1.0, 4, 1.0)), MaskedImage.full((1, 1), (2.0, 3, 1.0))], MEAN
        )[0, 0][1],
        7,
    ),
    "masks of what was not": (
        lambda: statistics_stack(
            [MaskedImage.full((1, 1), (1.0, 4, 1.0)), MaskedImage.full((1, 1), (2.0, 3, 1.0))],
            MEAN,
            StatisticsControl(and_mask=1),
        )[0, 0][:2],
        (1, 4),
    ),
    "a stack of one": (lambda: statistics_stack([ramp()], MEAN).array.tolist(), ramp().array.tolist()),
    "no good input": (
        lambda: statistics_stack(
            [MaskedImage.full((1, 1), (1.0, 2, 1.0))], MEAN, StatisticsControl(and_mask=2, no_good_pixels_mask=16)
        )[0, 0],
        (near(NAN), 16, near(NAN)),
    ),
}


@pytest.mark.parametrize("case", STATISTICS)
def test_cases(case):
    question, answer = STATISTICS[case]
    assert question() == answer


REFUSED = {
    "no pixels": (lambda: make_statistics(Image.full((0, 0)), MEAN), ValueError),
    "the mean of a mask": (lambda: make_statistics(Mask.full((2, 2)), MEAN), ValueError),
    "what was not computed": (lambda: make_statistics(ramp(), NPOINT).getValue(MEAN), ValueError),
    "one of several": (lambda: make_statistics(ramp(), MEAN | MEDIAN).getValue(), ValueError),
    "masks that do not fit": (lambda: make_statistics(ramp(), MEAN, mask=Mask.full((9, 9))), ValueError),
    "two kinds of errors": (
        lambda: StatisticsControl(calc_error_from_input_variance=True, calc_error_mosaic_mode=True),
        ValueError,
    ),
    "no clipping at all": (lambda: StatisticsControl(num_sigma_clip=0), ValueError),
    "no passes": (lambda: StatisticsControl(num_iter=0), ValueError),
    "unknown properties": (lambda: string_to_statistics_property("MEANCLOP"), ValueError),
    "empty stacks": (lambda: statistics_stack([], MEAN), ValueError),
    "two statistics of a stack": (lambda: statistics_stack([ramp()], MEAN | MEANCLIP), ValueError),
    "stacks of sizes that differ": (lambda: statistics_stack([ramp(), ramp(5, 5)], MEAN), ValueError),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case):
    question, kind = REFUSED[case]
    with pytest.raises(kind):
        question()
