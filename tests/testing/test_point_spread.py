"""The Moffat profile keeps its flux, its width and its place, wherever in a pixel a star falls."""

import numpy as np
import pytest

from skybutler.testing.point_spread import Moffat, add_stars
from skybutler.testing.star_field import Tangent


def one_star(x: float, y: float, psf: Moffat, flux: float = 1e6, size: int = 121) -> np.ndarray:
    image = np.zeros((size, size))
    add_stars(image, np.array([x]), np.array([y]), np.array([flux]), psf, np.array([0.0]), 100.0)
    return image


@pytest.mark.parametrize(("x", "y"), [(60.0, 60.0), (60.5, 60.5), (59.8, 60.3)])
@pytest.mark.parametrize("psf", [Moffat(2.6), Moffat(3.4, e1=0.03, e2=-0.02)])
def test_flux_and_centre_are_kept(x: float, y: float, psf: Moffat) -> None:
    image = one_star(x, y, psf)
    assert image.sum() == pytest.approx(1e6, rel=3e-5)
    rows, columns = np.mgrid[0:121, 0:121]
    near = np.hypot(columns - x, rows - y) < 30
    assert (image * columns)[near].sum() / image[near].sum() == pytest.approx(x, abs=2e-3)
    assert (image * rows)[near].sum() / image[near].sum() == pytest.approx(y, abs=2e-3)


def test_an_aperture_holds_what_the_formula_says() -> None:
    psf = Moffat(3.0)
    rows, columns = np.mgrid[0:121, 0:121]
    inside = one_star(60.0, 60.0, psf)[np.hypot(columns - 60, rows - 60) < 10].sum()
    alpha = float(psf.alpha(0.0))
    assert inside == pytest.approx(1e6 * (1 - (1 + 100 / alpha**2) ** -2.5), rel=1e-3)


def test_the_profile_falls_to_half_at_half_its_width() -> None:
    psf = Moffat(3.0, growth=0.1)
    for off_axis, width in ((0.0, 3.0), (512.0, 3.3)):
        alpha = psf.alpha(off_axis)
        zero, half = np.zeros(1), np.array([width / 2])
        assert psf.density(half, zero, alpha) == pytest.approx(psf.density(zero, zero, alpha) / 2)


def test_pixels_are_integrated_not_sampled() -> None:
    psf = Moffat(2.7)
    coarse = one_star(60.3, 59.9, psf)
    fine = (np.arange(41 * 20) + 0.5) / 20 - 20.5
    alpha = psf.alpha(0.0)
    density = psf.density(fine[None, :] - 0.3, fine[:, None] + 0.1, alpha) / 400
    expected = 1e6 * density.reshape(41, 20, 41, 20).sum(axis=(1, 3))
    np.testing.assert_allclose(coarse[40:81, 40:81], expected, rtol=2e-3, atol=expected.max() * 1e-3)


def test_stars_across_the_edge_leave_their_part() -> None:
    image = one_star(-0.5, 60.0, Moffat(3.0))
    assert image.sum() == pytest.approx(5e5, rel=1e-3)
    assert not one_star(-300.0, 60.0, Moffat(3.0)).any()


def test_signal_to_noise_is_that_of_optimal_photometry() -> None:
    image = np.zeros((121, 121))
    flux = np.array([300.0])
    peak, snr = add_stars(image, np.array([60.0]), np.array([60.0]), flux, Moffat(3.0), np.zeros(1), 1e4)
    share = image / 300.0
    assert snr[0] == pytest.approx(300.0 * np.sqrt((share**2).sum()) / 100.0, rel=1e-3)  # noise of the sky alone
    assert peak[0] == image.max()


def test_tangent_goes_both_ways() -> None:
    from skybutler.instruments.footprint import tan_to_sky

    tangent = Tangent(359.9, 65.0, 10.0, 20.0, 0.5 / 3600, 30.0)
    cd = tangent.cd
    header = {"CRVAL1": 359.9, "CRVAL2": 65.0, "CRPIX1": 11.0, "CRPIX2": 21.0}
    header |= {f"CD{i + 1}_{j + 1}": cd[i, j] for i in range(2) for j in range(2)}
    sky = np.array(tan_to_sky(header, [(1.0, 1.0), (500.0, 900.0)]))
    x, y = tangent.to_pixels(sky[:, 0], sky[:, 1])
    np.testing.assert_allclose(x, [0.0, 499.0], atol=1e-8)
    np.testing.assert_allclose(y, [0.0, 899.0], atol=1e-8)
