"""Convolution: exact numbers, what scipy says of any kernel on any plane, and kernels that vary pixel by pixel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from skybutler.imaging import (
    ConvolutionControl,
    Extent2I,
    GaussianPsf,
    Image,
    LinearCombinationKernel,
    MaskedImage,
    PolynomialFunction2D,
    blocks,
    convolution,
    convolve,
)

RAW = ConvolutionControl(do_normalize=False)


def point(value=1.0, size=9):
    made = MaskedImage.full((size, size), (0.0, 0, 0.0), dtype="float64")
    made[4, 4] = (value, "CR", 4.0)
    return made


def test_each_pixel_is_the_sum_of_those_below_the_kernel_as_it_stands():
    kernel = np.arange(1.0, 10).reshape(3, 3)
    ramp = Image(np.arange(25.0).reshape(5, 5))
    summed = convolve(ramp, kernel, RAW)
    assert summed[1, 1] == (kernel * ramp.array[0:3, 0:3]).sum() == 366
    assert summed[3, 2] == (kernel * ramp.array[1:4, 2:5]).sum()


def test_a_point_becomes_the_mirror_image_of_the_kernel():
    kernel = np.arange(1.0, 10).reshape(3, 3)
    spread = convolve(point(), kernel, RAW)
    mirrored = kernel[::-1, ::-1]
    assert np.array_equal(spread.image.array[3:6, 3:6], mirrored)
    assert np.array_equal(spread.variance.array[3:6, 3:6], 4 * mirrored**2)
    assert np.count_nonzero(spread.mask.array & spread.mask.plane_bit_mask("CR")) == 9
    assert convolve(point(), kernel).image[3, 3] == pytest.approx(9 / 45)


def test_a_kernel_of_one_pixel_changes_nothing():
    rng = np.random.default_rng(1)
    image = MaskedImage(rng.normal(0, 1, (5, 6)).astype("float32"), np.arange(30, dtype="int32").reshape(5, 6))
    same = convolve(image, [[2.0]])
    for new, old in zip(same.arrays, image.arrays, strict=True):
        assert np.array_equal(new, old)
    assert same.xy0 == image.xy0


def test_edges_are_nan_or_copied():
    image = MaskedImage.full((7, 6), (1.0, "BAD", 2.0))
    spread = convolve(image, np.ones((3, 5)))
    good = np.zeros((6, 7), bool)
    good[1:-1, 2:-2] = True
    assert np.array_equal(np.isfinite(spread.image.array), good)
    assert np.isnan(spread.image[0, 0])
    assert spread.variance[0, 0] == np.inf
    assert np.array_equal(np.isfinite(spread.variance.array), good)
    assert spread.mask.interpret(spread.mask[0, 0]) == "NO_DATA"
    assert spread.mask.interpret(spread.mask[3, 3]) == "BAD"
    copied = convolve(image, np.ones((3, 5)), ConvolutionControl(do_copy_edge=True))
    assert np.all(copied.image.array == 1)
    assert copied.mask.interpret(copied.mask[0, 0]) == "BAD,EDGE"
    assert copied[0, 0][2] == 2
    assert copied[3, 3][2] == pytest.approx(2 / 15)


@pytest.mark.parametrize("shape", [(3, 3), (15, 15)], ids=["direct", "by Fourier transform"])
def test_nan_spreads_as_far_as_the_kernel(shape):
    rng = np.random.default_rng(2)
    image = Image(rng.normal(0, 1, (40, 40)))
    image[20, 20], image[5, 30] = np.nan, np.inf
    spread = convolve(image, rng.uniform(0.1, 1, shape))
    half = shape[0] // 2
    inner = spread.array[half:-half, half:-half]
    expected = np.zeros((40, 40), bool)
    for x, y in ((20, 20), (5, 30)):
        expected[max(y - half, 0) : y + half + 1, max(x - half, 0) : x + half + 1] = True
    assert np.array_equal(np.isnan(inner), expected[half:-half, half:-half])


@settings(deadline=None, max_examples=80)
@given(
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    holes=st.booleans(),
    seed=st.integers(0, 99),
)
def test_every_plane_is_as_scipy_has_it(height, width, holes, seed):
    rng = np.random.default_rng(seed)
    kernel = rng.normal(0, 1, (height, width))
    if holes:
        kernel *= rng.random(kernel.shape) < 0.5
    values, spread = rng.normal(0, 1, (20, 25)), rng.uniform(1, 2, (20, 25))
    bits = (1 << rng.integers(0, 9, (20, 25))).astype("int32") * (rng.random((20, 25)) < 0.05)
    made = convolve(MaskedImage(values, bits.astype("int32"), spread), kernel, RAW)
    inner = np.isfinite(made.image.array)
    np.testing.assert_allclose(
        made.image.array[inner], signal.correlate(values, kernel, "valid", "direct").ravel(), atol=1e-10
    )
    np.testing.assert_allclose(
        made.variance.array[inner], signal.correlate(spread, kernel**2, "valid", "direct").ravel(), atol=1e-10
    )
    for bit in range(9):
        there = signal.correlate((bits >> bit & 1).astype(float), (kernel != 0).astype(float), "valid", "direct") > 0.5
        assert np.array_equal(made.mask.array[inner] >> bit & 1, there.ravel())


def test_strips_and_threads_give_the_same_as_all_at_once(monkeypatch):
    rng = np.random.default_rng(3)
    image, kernel = Image(rng.normal(0, 1, (70, 50))), rng.normal(0, 1, (11, 10))
    whole = convolve(image, kernel, RAW)
    monkeypatch.setattr(convolution, "_STRIP", 300)
    monkeypatch.setattr(blocks, "PARALLEL_PIXELS", 1)
    np.testing.assert_allclose(convolve(image, kernel, RAW).array, whole.array, atol=1e-12)


def test_a_psf_is_a_kernel():
    image = Image.full((41, 41), dtype="float64")
    image[20, 20] = 100.0
    psf = GaussianPsf(21, 21, 2.0)
    spread = convolve(image, psf.compute_kernel_image())
    assert np.nansum(spread.array) == pytest.approx(100)
    assert spread[20, 20] == pytest.approx(100 * psf.compute_peak())


def test_an_image_says_by_its_xy0_where_a_kernel_is_centred():
    spread = convolve(point(), Image(np.array([[1.0, 2.0, 3.0]]), xy0=(0, 0)), RAW)
    assert spread.image.array[4, 2:5].tolist() == [3, 2, 1]
    with pytest.raises(ValueError, match=r"no pixel \(0, 0\)"):
        convolve(point(), Image(np.ones((3, 3)), xy0=(1, 1)))


def test_kernels_that_cannot_work_are_refused():
    for kernel, words in (
        ([[1.0, -1.0]], "sum is 0"),
        ([[np.nan]], "not finite"),
        (np.ones(3), "shape"),
        (np.ones((30, 3)), "does not fit"),
    ):
        with pytest.raises(ValueError, match=words):
            convolve(point(), kernel)
    assert convolve(point(), [[1.0, -1.0]], RAW).image[3, 4] == -1


def test_a_kernel_of_an_even_size_is_centred_on_the_first_of_its_two_middles():
    spread = convolve(Image(np.arange(16.0).reshape(4, 4)), [[0.0, 1.0], [0.0, 0.0]], RAW)
    assert spread[0, 0] == 1
    assert np.isnan(spread[3, 0])
    assert np.isnan(spread[0, 3])


def varying(seed=0, n=3, shape=(5, 4)):
    rng = np.random.default_rng(seed)
    functions = [PolynomialFunction2D([1.0, 0.002, -0.001]), PolynomialFunction2D([0.1, 0.0, 0.01]), 0.5][:n]
    return LinearCombinationKernel(rng.uniform(0, 1, (n, *shape)) * (rng.random((n, *shape)) < 0.7), functions)


@pytest.mark.parametrize("normalize", [False, True])
def test_a_kernel_that_varies_is_what_it_is_at_each_pixel(normalize):
    rng = np.random.default_rng(5)
    image = MaskedImage(Image(rng.normal(10, 1, (14, 16)), xy0=(300, 200)))
    image.variance.array[...] = rng.uniform(1, 2, (14, 16))
    image.mask.array[...] = (1 << rng.integers(0, 9, (14, 16))) * (rng.random((14, 16)) < 0.1)
    kernel = varying()
    made = convolve(image, kernel, ConvolutionControl(do_normalize=normalize))
    for x, y in ((301, 202), (307, 207), (313, 211)):
        one = kernel.compute_image((x, y), normalize=normalize)
        under = image[one.bbox.shifted_by(Extent2I(x, y))]
        value, bits, variance = made[x, y]
        assert value == pytest.approx((one.array * under.image.array).sum())
        assert variance == pytest.approx((one.array**2 * under.variance.array).sum(), rel=1e-6)
        assert bits == np.bitwise_or.reduce(under.mask.array * (one.array != 0), axis=None)
    assert made.xy0 == image.xy0


def test_a_part_with_the_factor_0_takes_neither_bits_nor_nan():
    parts = [[[1.0, 0.0, 0.0]], [[0.0, 0.0, 1.0]]]
    kernel = LinearCombinationKernel(parts, [1.0, PolynomialFunction2D([-4.0, 1.0, 0.0])])
    image = MaskedImage(np.array([[1.0, 1, 1, 1, 1, np.nan, 1, 1]]))
    image.mask[5, 0] = "BAD"
    made = convolve(image, kernel, RAW)
    assert made[4, 0] == (1, 0, 0)
    assert made.mask[6, 0] == 1
    assert made.image[3, 0] == 0
    assert np.isnan(made.image[6, 0])


def test_strips_of_a_varying_kernel_give_the_same_as_all_at_once(monkeypatch):
    rng = np.random.default_rng(3)
    image = MaskedImage(rng.normal(0, 1, (40, 30)), (rng.random((40, 30)) < 0.02).astype("int32"), np.ones((40, 30)))
    whole = convolve(image, varying(), ConvolutionControl())
    monkeypatch.setattr(convolution, "_STRIP", 100)
    monkeypatch.setattr(blocks, "PARALLEL_PIXELS", 1)
    parts = convolve(image, varying())
    np.testing.assert_allclose(parts.image.array, whole.image.array, atol=1e-12)
    np.testing.assert_allclose(parts.variance.array, whole.variance.array, atol=1e-6)
    assert np.array_equal(parts.mask.array, whole.mask.array)


def test_polynomials_have_the_terms_of_lsst_in_their_order():
    assert PolynomialFunction2D([1, 2, 3]).evaluate(10, 100) == 321
    assert PolynomialFunction2D([0, 0, 0, 1, 20, 300]).evaluate(2, 3) == 4 + 20 * 6 + 300 * 9
    assert PolynomialFunction2D([0] * 6 + [1, 10, 100, 1000]).evaluate(2, 3) == 8 + 10 * 12 + 100 * 18 + 1000 * 27
    assert PolynomialFunction2D([1, 2, 3]).evaluate([0, 1], [0, 0]).tolist() == [1, 3]
    assert PolynomialFunction2D([5]).order == 0
    with pytest.raises(ValueError, match="1, 3, 6, 10"):
        PolynomialFunction2D([1, 2])


def test_kernels_of_a_sum_must_fit_each_other():
    for basis, functions, words in (
        ([np.ones((3, 3)), np.ones((5, 5))], [1, 1], "one size"),
        ([Image(np.ones((3, 3)), (-1, -1)), Image(np.ones((3, 3)), (0, 0))], [1, 1], "one centre"),
        ([np.ones((3, 3))], [1, 1], "factor each"),
        ([], [], "at least one"),
    ):
        with pytest.raises(ValueError, match=words):
            LinearCombinationKernel(basis, functions)


def test_integers_become_floats():
    assert convolve(Image(np.full((5, 5), 4, "uint16")), np.ones((3, 3))).dtype == np.float32
    assert convolve(MaskedImage(np.full((5, 5), 4)), np.ones((3, 3))).image[2, 2] == pytest.approx(4)
