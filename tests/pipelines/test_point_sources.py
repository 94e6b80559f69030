"""The parts of the photometry, each against what is known exactly."""

import numpy as np
import pytest
from scipy.special import erf

from skybutler.imaging import Box2I, Extent2I, GaussianPsf, Point2I
from skybutler.pipelines.cosmic_rays import find_cosmic_rays, repair
from skybutler.pipelines.crowded_field import subtract_sources
from skybutler.pipelines.detection import detect, gaussian_kernel
from skybutler.pipelines.measurement import aperture_fluxes, clean_stamps, pixel_flags, shapes
from skybutler.pipelines.noise import noise_growth
from skybutler.pipelines.psf_fit import stack_stars
from skybutler.pipelines.psf_photometry import fit_point_sources
from skybutler.pipelines.psf_stamps import PsfSampler, StampPixels
from skybutler.pipelines.psf_stars import isolated

pytest.importorskip("sep")

SIGMA = 1.6
FWHM = 2.3548 * SIGMA
SHAPE = (120, 140)


def star(x: np.ndarray, y: np.ndarray, shape: tuple[int, int] = SHAPE, sigma: float | np.ndarray = SIGMA) -> np.ndarray:
    """Gaussians of flux 1, integrated over pixels: (n, height, width)."""
    width = np.sqrt(2.0) * np.broadcast_to(sigma, np.shape(x))[:, None]

    def along(center: np.ndarray, size: int) -> np.ndarray:
        edges = np.arange(size + 1)[None, :] - 0.5 - center[:, None]
        return 0.5 * np.diff(erf(edges / width), axis=1)

    return along(y, shape[0])[:, :, None] * along(x, shape[1])[:, None, :]


def sampler(half: int = 13, shape: tuple[int, int] = SHAPE) -> PsfSampler:
    at = np.array([float(half)])
    return PsfSampler(star(at, at, (2 * half + 1, 2 * half + 1)), shape)


def test_a_psf_drawn_between_pixels_is_what_the_sky_would_show() -> None:
    x, y = np.array([40.0, 40.25, 61.5, 70.7]), np.array([50.0, 50.5, 20.25, 80.9])
    images = sampler().images(x, y)
    pixels = StampPixels.around(x, y, 13, SHAPE)
    for image, truth, index in zip(images, star(x, y), pixels.index, strict=True):
        assert np.abs(image - truth.ravel()[index]).max() < 3e-5
    assert images.sum(axis=(1, 2)) == pytest.approx(np.ones(4), abs=1e-6)


def test_any_psf_of_the_imaging_layer_can_be_drawn() -> None:
    box = Box2I(Point2I(100, 200), Extent2I(140, 120))
    made = PsfSampler.from_psf(GaussianPsf(21, 21, SIGMA), box)
    assert len(made.basis) == 1
    back = made.to_psf(box)
    assert back.compute_kernel_image((150, 250)).array == pytest.approx(
        GaussianPsf(21, 21, SIGMA).compute_kernel_image().array, abs=1e-12
    )
    assert PsfSampler.from_psf(back, box).basis == pytest.approx(made.basis)


def test_stamps_know_what_lies_outside() -> None:
    pixels = StampPixels.around(np.array([0.0, 70.0]), np.array([0.0, 60.0]), 2, SHAPE)
    assert pixels.inside[0].sum() == 9
    assert pixels.inside[1].all()
    image = np.ones(SHAPE)
    pixels.subtract(image, np.ones((2, 5, 5)))
    assert image.sum() == SHAPE[0] * SHAPE[1] - 34


def test_blended_stars_get_their_own_fluxes_and_places() -> None:
    x, y = np.array([50.2, 53.4, 90.0, 92.9, 91.1]), np.array([60.1, 60.8, 40.0, 40.3, 43.1])
    flux = np.array([50000.0, 8000.0, 20000.0, 20000.0, 5000.0])
    image = (star(x, y) * flux[:, None, None]).sum(axis=0)
    good = np.ones(SHAPE, dtype=bool)
    start_x, start_y = x + np.array([0.2, -0.3, 0.3, -0.1, 0.2]), y + np.array([-0.2, 0.2, 0.1, 0.3, -0.3])
    fit = fit_point_sources(image, np.full(SHAPE, 100.0), good, sampler(), start_x, start_y, half=7, rounds=12)
    assert fit.flux == pytest.approx(flux, rel=0.01)
    assert np.hypot(fit.x - x, fit.y - y).max() < 0.03
    assert fit.moved.all()


def test_errors_are_the_scatter_of_repeated_fits_and_grow_in_blends() -> None:
    rng = np.random.default_rng(5)
    x, y = np.array([30.3, 90.0, 92.5]), np.array([30.6, 60.0, 60.0])
    flux = np.array([3000.0, 3000.0, 3000.0])
    truth = (star(x, y) * flux[:, None, None]).sum(axis=0)
    variance = truth + 400.0
    good = np.ones(SHAPE, dtype=bool)
    fits = [
        fit_point_sources(truth + rng.normal(0, np.sqrt(variance)), variance, good, sampler(), x, y, half=7, rounds=0)
        for _ in range(150)
    ]
    scatter = np.std([fit.flux for fit in fits], axis=0)
    assert fits[0].flux_err == pytest.approx(scatter, rel=0.2)
    assert fits[0].flux_err[1] > 1.2 * fits[0].flux_err[0]
    assert np.mean([fit.flux for fit in fits], axis=0) == pytest.approx(flux, rel=0.02)


def test_masked_pixels_do_not_count_and_a_masked_source_has_no_flux() -> None:
    x, y = np.array([40.0, 80.0]), np.array([40.0, 80.0])
    image = 1000.0 * star(x, y).sum(axis=0)
    good = np.ones(SHAPE, dtype=bool)
    image[40, 41] = 1e6
    good[40, 41] = False
    good[70:91, 70:91] = False
    fit = fit_point_sources(image, np.ones(SHAPE), good, sampler(), x, y, half=6, rounds=2)
    assert fit.flux[0] == pytest.approx(1000.0, rel=1e-3)
    assert np.isnan(fit.flux[1])
    assert not fit.moved[1]
    assert (fit.x[1], fit.y[1]) == (80.0, 80.0)


def test_a_psf_that_changes_over_the_frame_is_found_from_stars() -> None:
    rng = np.random.default_rng(8)
    shape = (300, 300)
    grid = np.linspace(25, 275, 8)
    x, y = (part.ravel() + rng.uniform(-3, 3, 64) for part in np.meshgrid(grid, grid))
    sigma = 1.5 + 0.3 * (x / 300) ** 2
    image = (star(x, y, shape, sigma) * 1e5).sum(axis=0) + rng.normal(0, 5.0, shape)
    stack = stack_stars(image, np.ones(shape, dtype=bool), x, y, np.full(64, 200.0), half=13)
    assert len(stack.sampler.basis) == 6
    assert stack.used.sum() > 55
    at_x, at_y = np.array([40.3, 150.0, 260.6]), np.array([150.2, 150.0, 150.5])
    drawn = stack.sampler.images(at_x, at_y)
    pixels = StampPixels.around(at_x, at_y, 13, shape)
    truth = star(at_x, at_y, shape, 1.5 + 0.3 * (at_x / 300) ** 2)
    for image_, true, index in zip(drawn, truth, pixels.index, strict=True):
        assert np.abs(image_ - true.ravel()[index]).max() < 0.02 * true.max()


def test_few_stars_make_a_constant_psf_and_none_is_an_error() -> None:
    x, y = np.array([40.0, 80.0, 100.0]), np.array([40.0, 80.0, 30.0])
    image = 1e4 * star(x, y).sum(axis=0)
    good = np.ones(SHAPE, dtype=bool)
    assert len(stack_stars(image, good, x, y, np.full(3, 100.0), half=13).sampler.basis) == 1
    with pytest.raises(ValueError, match="none of 3 candidate stars"):
        stack_stars(image, ~good, x, y, np.full(3, 100.0), half=13)


@pytest.mark.parametrize("peak", [-1e4, 0.0])
def test_candidates_without_light_are_an_error(peak: float) -> None:
    y, x = np.mgrid[:60, :60]
    image = peak * np.exp(-0.5 * ((x - 30) ** 2 + (y - 30) ** 2) / 4.0)
    with pytest.raises(ValueError, match="none of 1 candidate stars holds light"):
        stack_stars(image, np.ones(image.shape, dtype=bool), np.array([30.0]), np.array([30.0]), np.ones(1), half=9)


def test_candidates_with_a_hole_in_their_middle_are_an_error() -> None:
    y, x = np.mgrid[:60, :60]
    distance = np.hypot(x - 30, y - 30)
    image = 1e4 * np.exp(-0.5 * (distance - 5) ** 2) - 50.0 * (distance < 2)
    with pytest.raises(ValueError, match="no light in its middle"):
        stack_stars(image, np.ones(image.shape, dtype=bool), np.array([30.0]), np.array([30.0]), np.ones(1), half=9)


def test_detection_finds_stars_above_the_threshold_and_little_else() -> None:
    rng = np.random.default_rng(2)
    noise = rng.normal(0, 10.0, (400, 400))
    kernel = gaussian_kernel(FWHM, 4)
    nothing = np.zeros(noise.shape, dtype=bool)
    variance = np.full(noise.shape, 100.0)
    assert len(detect(noise, variance, nothing, kernel)) <= 1
    grid = np.arange(30.0, 380.0, 50.0)
    x, y = (part.ravel() for part in np.meshgrid(grid, grid))
    # The flux of 10 sigma by optimal photometry: 10 * noise * sqrt(4 pi sigma^2).
    image = noise + (star(x, y, noise.shape) * 10.0 * 10.0 * np.sqrt(4 * np.pi) * SIGMA).sum(axis=0)
    found = detect(image, variance, nothing, kernel)
    assert len(found) == pytest.approx(len(x), abs=1)
    assert np.median(found.signal_to_noise) == pytest.approx(10.0, rel=0.1)


def test_cosmic_rays_are_told_from_stars() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.uniform(15, 105, 12), rng.uniform(15, 105, 12)
    sky = rng.normal(0, 10.0, SHAPE)
    image = sky + 3e4 * star(x, y).sum(axis=0)
    variance = image.clip(0) + 100.0
    clean = image.copy()
    hits = [(20, 125), (20, 126), (21, 127), (60, 130), (100, 120)]
    for row, column in hits:
        image[row, column] += 800.0
    ignore = np.zeros(SHAPE, dtype=bool)
    found = find_cosmic_rays(image, variance, gaussian_kernel(FWHM, 2), ignore)
    assert all(found[hit] for hit in hits)
    assert found.sum() == len(hits)
    repair(image, found, usable=~ignore)
    assert np.abs(image - clean)[found].max() < 60.0
    assert np.array_equal(image[~found], clean[~found])


def test_noise_that_is_correlated_is_noticed() -> None:
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(6)
    white = rng.normal(0, 5.0, (512, 512))
    variance = np.full(white.shape, 25.0)
    nothing = np.zeros(white.shape, dtype=bool)
    assert np.median(noise_growth(white, variance, nothing, FWHM, 64)) == pytest.approx(1.0, abs=0.05)
    smooth = gaussian_filter(white, 0.8)
    smooth *= 5.0 / smooth.std()
    assert np.median(noise_growth(smooth, variance, nothing, FWHM, 64)) > 1.8


def test_apertures_and_shapes_see_a_source_without_its_neighbour() -> None:
    x, y = np.array([50.3, 56.0, 100.0]), np.array([60.2, 62.0, 30.0])
    flux = np.array([10000.0, 30000.0, 10000.0])
    image = (star(x, y) * flux[:, None, None]).sum(axis=0)
    draw = sampler(16)
    residual = subtract_sources(image, draw, x, y, flux, noise=0.0, half=9)
    good = np.ones(SHAPE, dtype=bool)
    good[30, 105] = False
    stamps = clean_stamps(residual, np.full(SHAPE, 4.0), good, draw, x, y, flux, half=13)
    columns = aperture_fluxes(stamps, [3.0, 6.0, 12.0])
    inside = 1 - np.exp(-0.5 * (3.0 / np.hypot(SIGMA, np.sqrt(1 / 6))) ** 2)  # pixels smear twice
    assert columns["ap_flux_3"] / flux == pytest.approx(np.full(3, inside), rel=0.01)
    assert columns["ap_flux_12"][:2] == pytest.approx(flux[:2], rel=0.002)
    assert columns["ap_flux_12_err"][0] == pytest.approx(2.0 * np.sqrt(np.pi) * 12.0, rel=0.01)
    assert columns["ap_flux_3_flag"].tolist() == [False, False, False]
    assert columns["ap_flux_6_flag"].tolist() == [False, False, True]
    found = shapes(stamps, FWHM)
    expected = SIGMA**2 + 1 / 12
    assert found["shape_xx"] == pytest.approx(np.full(3, expected), rel=0.01)
    assert found["shape_xy"] == pytest.approx(np.zeros(3), abs=0.02)
    assert found["psf_shape_yy"] == pytest.approx(np.full(3, expected), rel=0.01)
    assert found["gaussian_flux"] == pytest.approx(flux, rel=0.01)


def test_flags_tell_the_middle_from_the_surroundings() -> None:
    mask = np.zeros(SHAPE, dtype=np.int32)
    mask[60, 54] = 2
    mask[30, 100] = 6
    flags = pixel_flags(
        mask, {"saturated": 2, "cr": 4, "edge": 8}, np.array([50.0, 100.0, 1.0]), np.array([60.0, 30.0, 50.0]), 5
    )
    assert flags["flag_saturated"].tolist() == [True, True, False]
    assert flags["flag_saturated_center"].tolist() == [False, True, False]
    assert flags["flag_cr"].tolist() == [False, True, False]
    assert flags["flag_edge"].tolist() == [False, False, True]


def test_stars_with_neighbours_are_not_isolated() -> None:
    x, y, flux = np.array([10.0, 14.0, 60.0, 70.0]), np.array([10.0, 10.0, 60.0, 60.0]), np.array([1e4, 1e4, 1e5, 10.0])
    assert isolated(x, y, flux, 3.5).tolist() == [False, False, True, False]
    assert isolated(x[:1], y[:1], flux[:1], 3.5).tolist() == [True]
