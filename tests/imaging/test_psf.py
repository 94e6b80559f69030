import math
import pickle

import numpy as np
import pytest

from skybutler.imaging.geometry import Box2I, Extent2I, Point2D, Point2I
from skybutler.imaging.psf import EmpiricalPsf, GaussianPsf, Psf, Quadrupole

BOX = Box2I(Point2I(100, 200), Extent2I(400, 300))


def gaussian(size, sigma_x, sigma_y, rho=0.0):
    y, x = np.mgrid[: size[1], : size[0]]
    x, y = (x - size[0] // 2) / sigma_x, (y - size[1] // 2) / sigma_y
    kernel = np.exp(-0.5 * (x**2 - 2 * rho * x * y + y**2) / (1 - rho**2))
    return kernel / kernel.sum()


def test_a_gaussian_is_exact():
    psf = GaussianPsf(21, 15, 2.0)
    kernel = psf.compute_kernel_image()
    assert (kernel.width, kernel.height) == (21, 15)
    assert tuple(kernel.xy0) == (-10, -7)
    assert kernel.array.sum() == pytest.approx(1.0, abs=1e-14)
    assert kernel[2, 0] / kernel[0, 0] == pytest.approx(math.exp(-0.5), rel=1e-12)
    assert psf.computeShape(Point2D(3, 4)) == Quadrupole(4.0, 4.0, 0.0)
    assert psf.compute_aperture_flux(2.0) == pytest.approx(1 - math.exp(-0.5))
    assert psf.compute_shape().determinant_radius == 2.0
    assert psf.compute_shape().fwhm == pytest.approx(4.7096, abs=1e-4)
    assert psf.compute_bbox() == kernel.bbox
    assert psf.compute_peak() == kernel[0, 0]


def test_a_gaussian_is_resized_with_its_sigma():
    resized = GaussianPsf(11, 11, 2.0).resized(5, 7)
    assert (resized.dimensions, resized.sigma) == ((5, 7), 2.0)
    assert resized.compute_shape().trace_radius == pytest.approx(2.0)


def test_sizes_must_be_odd_both_ways():
    for width, height in ((20, 21), (21, 20), (0, 1)):
        with pytest.raises(ValueError, match="must be odd"):
            GaussianPsf(width, height, 1.0)
    with pytest.raises(ValueError, match="sigma of a Gaussian is positive"):
        GaussianPsf(21, 21, 0.0)


@pytest.mark.parametrize("position", [(50.0, 60.0), (50.25, 60.0), (49.6, 60.7), (50.5, 60.5)])
def test_a_star_stands_where_it_is_asked_for(position):
    image = GaussianPsf(31, 31, 2.0).compute_image(Point2D(*position))
    assert image.array.sum() == pytest.approx(1.0, abs=1e-12)
    box = image.bbox
    y, x = np.mgrid[box.min_y : box.max_y + 1, box.min_x : box.max_x + 1]
    assert (image.array * x).sum() == pytest.approx(position[0], abs=1e-8)
    assert (image.array * y).sum() == pytest.approx(position[1], abs=1e-8)
    exact = np.exp(-0.5 * ((x - position[0]) ** 2 + (y - position[1]) ** 2) / 4.0) / (2 * np.pi * 4.0)
    np.testing.assert_allclose(image.array, exact, atol=1e-8)
    assert tuple(box.min) == (math.floor(position[0] + 0.5) - 15, math.floor(position[1] + 0.5) - 15)


def test_pixels_are_moved_with_their_centroid():
    psf = EmpiricalPsf(BOX, gaussian((31, 31), 2.0, 2.0)[None])
    for position in ((150.0, 260.0), (150.25, 260.0), (149.6, 260.7), (150.5, 260.5)):
        image = psf.compute_image(position)
        box = image.bbox
        y, x = np.mgrid[box.min_y : box.max_y + 1, box.min_x : box.max_x + 1]
        assert image.array.sum() == pytest.approx(1.0, abs=1e-12)
        assert (image.array * x).sum() == pytest.approx(position[0], abs=1e-7)
        assert (image.array * y).sum() == pytest.approx(position[1], abs=1e-7)
        exact = GaussianPsf(31, 31, 2.0).compute_image(position).array
        np.testing.assert_allclose(image.array, exact, atol=0.005 * exact.max())


def test_moments_and_apertures_of_pixels_agree_with_the_gaussian():
    psf = EmpiricalPsf(BOX, gaussian((41, 41), 3.0, 2.0, 0.3)[None])
    shape = psf.compute_shape()
    assert shape.ixx == pytest.approx(9.0, rel=1e-4)
    assert shape.iyy == pytest.approx(4.0, rel=1e-4)
    assert shape.ixy == pytest.approx(0.3 * 6, rel=1e-4)
    round_one = EmpiricalPsf(BOX, gaussian((61, 61), 4.0, 4.0)[None])
    assert round_one.compute_aperture_flux(4.0) == pytest.approx(1 - math.exp(-0.5), abs=6e-3)
    assert round_one.compute_aperture_flux(100.0) == pytest.approx(1.0)
    flat = EmpiricalPsf(BOX, np.ones((1, 21, 21)) / 441)
    assert flat.compute_aperture_flux(5.0) * 441 == pytest.approx(math.pi * 25, rel=1e-3)


def test_it_varies_over_the_image():
    left, right = gaussian((21, 21), 1.5, 1.5), gaussian((21, 21), 2.5, 2.5)
    psf = EmpiricalPsf(BOX, [(left + right) / 2, (right - left) / 2, np.zeros((21, 21))])
    assert psf.order == 1
    np.testing.assert_allclose(psf.compute_kernel_image((99.5, 300)).array, left, atol=1e-15)
    np.testing.assert_allclose(psf.compute_kernel_image((499.5, 250)).array, right, atol=1e-15)
    assert tuple(psf.average_position) == (299.5, 349.5)
    np.testing.assert_allclose(psf.compute_kernel_image().array, (left + right) / 2, atol=1e-15)
    with pytest.raises(ValueError, match="1, 3, 6, 10"):
        EmpiricalPsf(BOX, np.ones((2, 5, 5)))


def test_a_fit_finds_the_variation_again():
    left, right = gaussian((15, 15), 1.5, 1.5), gaussian((15, 15), 2.5, 2.5)
    truth = EmpiricalPsf(BOX, [(left + right) / 2, (right - left) / 2, np.zeros((15, 15))])
    rng = np.random.default_rng(3)
    x, y = rng.uniform(100, 500, 20), rng.uniform(200, 500, 20)
    stamps = [truth.compute_kernel_image((a, b)).array for a, b in zip(x, y, strict=True)]
    found = EmpiricalPsf.fit(BOX, stamps, x, y, order=1)
    np.testing.assert_allclose(found.basis, truth.basis, atol=1e-12)
    with pytest.raises(ValueError, match="2 stars cannot fix the 3 terms"):
        EmpiricalPsf.fit(BOX, stamps[:2], x[:2], y[:2], order=1)


def test_every_kind_comes_back():
    for psf in (GaussianPsf(21, 15, 2.0), EmpiricalPsf(BOX, gaussian((21, 15), 2, 2)[None])):
        for again in (Psf.from_dict(psf.to_dict()), pickle.loads(pickle.dumps(psf))):
            assert type(again) is type(psf)
            np.testing.assert_array_equal(again.compute_kernel_image().array, psf.compute_kernel_image().array)
    with pytest.raises(ValueError, match="no PSF of the kind 'Odd'"):
        Psf.from_dict({"kind": "Odd"})
    assert repr(GaussianPsf(21, 15, 2.0)) == "GaussianPsf(21, 15, sigma=2)"


def test_psfs_are_equal_by_their_values():
    assert GaussianPsf(5, 5, 1.0) == GaussianPsf(5, 5, 1.0) == GaussianPsf(5, 5, 1.0).clone()
    assert GaussianPsf(5, 5, 1.0) not in (GaussianPsf(5, 7, 1.0), GaussianPsf(5, 5, 1.5), None)
    assert len({GaussianPsf(5, 5, 1.0), GaussianPsf(5, 5, 1.0), GaussianPsf(7, 5, 1.0)}) == 2
    basis = np.stack([gaussian((5, 7), 1.0, 1.5)] * 3)
    model = EmpiricalPsf(BOX, basis)
    assert model == EmpiricalPsf(BOX, basis) == pickle.loads(pickle.dumps(model))
    assert model != EmpiricalPsf(BOX, 2 * basis)
    assert model != GaussianPsf(5, 7, 1.0)


def test_boxes_and_kernels_have_the_names_of_lsst():
    psf = GaussianPsf(5, 7, 1.0)
    assert psf.computeKernelBBox() == psf.computeBBox() == Box2I(Point2I(-2, -3), Extent2I(5, 7))
    position = Point2D(10.5, 20.49)
    assert psf.computeImageBBox(position) == psf.compute_image(position).bbox == Box2I(Point2I(9, 17), Extent2I(5, 7))
    np.testing.assert_array_equal(psf.getLocalKernel(position).array, psf.compute_kernel_image(position).array)


def test_a_model_is_resized_about_its_centre():
    basis = np.zeros((1, 5, 7))
    basis[0, 2, 3], basis[0, 2, 4], basis[0, 0, 3], basis[0, 2, 0] = 4.0, 2.0, 1.0, 1.0
    model = EmpiricalPsf(BOX, basis)
    small = model.resized(3, 3)
    assert small.compute_kernel_image().array.tolist() == [[0, 0, 0], [0, 4 / 6, 2 / 6], [0, 0, 0]]
    large = model.resized(9, 3).compute_kernel_image()
    assert (large.bbox, large[1, 0], large[Point2I(-3, 0)]) == (Box2I(Point2I(-4, -1), Extent2I(9, 3)), 2 / 7, 1 / 7)
    with pytest.raises(ValueError, match="must be odd, not 4x3"):
        model.resized(4, 3)


def test_there_is_no_star_at_nan():
    for compute in (GaussianPsf(5, 5, 1.0).compute_image, GaussianPsf(5, 5, 1.0).compute_kernel_image):
        with pytest.raises(ValueError, match=r"no PSF at Point2D\(nan, 0.0\)"):
            compute(Point2D(math.nan, 0))
