"""No operation needs more than one and a half times the memory of what it is given and gives."""

import tracemalloc

import numpy as np
import pytest

from skybutler.imaging import (
    ERRORS,
    MEAN,
    MEANCLIP,
    MEDIAN,
    Extent2I,
    FootprintSet,
    GaussianPsf,
    Image,
    Mask,
    MaskedImage,
    MaskSchema,
    Polarity,
    StatisticsControl,
    Threshold,
    ThresholdType,
    convolve,
    make_statistics,
)

SIZE = 1536


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    pixels = rng.normal(100, 5, (SIZE, SIZE)).astype("f4")
    pixels[::64, ::64] += 1000
    pixels[5, :100] = np.nan
    mask = np.where(rng.random((SIZE, SIZE)) < 0.02, 2, 0).astype("i4")
    return MaskedImage(pixels, mask, np.full((SIZE, SIZE), 25, "f4"))


def needed(job, given: int, gives: int = 0, pixels: int = SIZE**2) -> float:
    """Return the memory that a job needs, in units of that of its inputs and outputs (bytes a pixel)."""
    job()  # what is imported or kept for later is not counted
    tracemalloc.start()
    job()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return (given + most / pixels) / (given + gives)


@pytest.mark.parametrize("options", [{}, {"and_mask": 2}, {"weighted": True}, {"calc_error_from_input_variance": True}])
def test_statistics(frame, options):
    flags = MEAN | MEDIAN | MEANCLIP | ERRORS
    assert needed(lambda: make_statistics(frame, flags, StatisticsControl(**options)), 12) < 1.25


def test_statistics_of_a_plain_image(frame):
    assert needed(lambda: make_statistics(frame.image, MEANCLIP | MEDIAN), 4) < 1.5
    counts = Image(np.nan_to_num(frame.image.array).astype("u2"))
    assert needed(lambda: make_statistics(counts, MEANCLIP | MEDIAN), 2) < 1.5


@pytest.mark.parametrize("size", [512, 768, 1024])
def test_statistics_of_a_small_image_with_nan(size):
    pixels = np.random.default_rng(0).normal(100, 5, (size, size)).astype("f4")
    pixels[::7, ::5] = np.nan
    image = Image(pixels)
    assert needed(lambda: make_statistics(image, MEANCLIP | MEDIAN), 4, pixels=size**2) < 1.6


def test_detection(frame):
    above = MaskedImage(frame.image.array - 100, frame.mask.array, frame.variance.array)
    by_pixel = Threshold(10, ThresholdType.PIXEL_STDEV, Polarity.BOTH, include_multiplier=2)
    assert needed(lambda: FootprintSet.detect(above, by_pixel), 12) < 1.25
    assert needed(lambda: FootprintSet.detect(above.image, 50.0), 4) < 1.5
    found = FootprintSet.detect(above, 50.0)
    assert len(found) == (SIZE // 64) ** 2
    assert needed(lambda: found.grown(3), 12) < 1.5


def test_convolution_and_masks(frame):
    kernel = GaussianPsf(15, 15, 2.0).compute_kernel_image()
    assert needed(lambda: convolve(frame, kernel), 12, 12) < 1.6  # 1.4 of 2048x2048: what a core works on is counted
    other = Mask.full(Extent2I(SIZE, SIZE), schema=MaskSchema.from_dict({"CR": 0, "BAD": 3}))
    target = frame.mask.clone()
    assert needed(lambda: target.assign(other), 8) < 1.25
