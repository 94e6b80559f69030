"""From a processed frame to a catalog, against the truth of small made-up skies, and on frames that hold nothing."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from skybutler import Butler, ingest_raws
from skybutler.imaging import (
    Box2I,
    Exposure,
    Extent2I,
    GaussianPsf,
    Header,
    MaskedImage,
    PhotoCalib,
    Point2I,
    VisitInfo,
    Wcs,
)
from skybutler.instruments.instrument import Instrument
from skybutler.model.errors import ConfigError, HeaderError, TaskError
from skybutler.pipelines import CalibrateTask, CharacterizeImageTask
from skybutler.pipelines.background import add, measure_background, surface
from skybutler.pipelines.source_ids import unpack_source_id
from skybutler.pipelines.zero_point import ZeroPointConfig, photo_calib_from_header
from skybutler.tasks import Struct, run_pipeline
from skybutler.testing.point_spread import Moffat, add_stars
from skybutler.testing.sky_simulator import simulate
from skybutler.testing.star_field import Tangent

pytest.importorskip("sep")

SIZE, SKY, READ_NOISE = 320, 200.0, 5.0
XY0 = Point2I(100, 50)


def sky_header() -> dict[str, object]:
    tangent = Tangent(201.7, 27.4, SIZE / 2, SIZE / 2, 0.5 / 3600, 1.0)
    cards: dict[str, object] = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 201.7, "CRVAL2": 27.4}
    cards |= {"CRPIX1": tangent.x0 + 1, "CRPIX2": tangent.y0 + 1, "CUNIT1": "deg", "CUNIT2": "deg", "RADESYS": "ICRS"}
    return cards | {f"CD{i + 1}_{j + 1}": float(tangent.cd[i, j]) for i in range(2) for j in range(2)}


def made_sky(count: int, seed: int = 1, fwhm: float = 3.2) -> tuple[Exposure, dict[str, np.ndarray]]:
    """An exposure in electrons whose first pixel is (100, 50), and its stars in parent coordinates."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(5, SIZE - 5, (2, count))
    flux = 10 ** rng.uniform(2.6, 5.2, count)
    light = np.zeros((SIZE, SIZE))
    add_stars(light, x, y, flux, Moffat(fwhm, e1=0.03), np.zeros(count), SKY)
    light += SKY * (1 + 0.1 * np.linspace(-1, 1, SIZE)[None, :])
    image = rng.poisson(light) + rng.normal(0, READ_NOISE, light.shape)
    masked_image = MaskedImage(image.astype(np.float32), variance=(image.clip(0) + READ_NOISE**2).astype(np.float32))
    masked_image.xy0 = XY0
    exposure = Exposure(
        masked_image,
        wcs=Wcs.from_header(sky_header(), xy0=(-100, -50)),
        metadata={"BUNIT": "electron", "ISRGAIN": 1.0},
        visit_info=VisitInfo(id=20260120221000, exposure_time=60.0),
    )
    exposure.photo_calib = PhotoCalib.from_zero_point(29.0)
    distance, _ = (
        cKDTree(np.stack([x, y], 1)).query(np.stack([x, y], 1), k=2) if count > 1 else (np.full((1, 2), 99.0), 0)
    )
    noise = np.sqrt(SKY + READ_NOISE**2) * np.sqrt(4 * np.pi) * fwhm / 2.3548
    return exposure, {
        "x": x + 100,
        "y": y + 50,
        "flux": flux,
        "snr": flux / np.hypot(noise, np.sqrt(flux)),
        "near": distance[:, 1],
    }


@pytest.fixture(scope="module")
def processed() -> tuple[Exposure, dict[str, np.ndarray], Struct, CharacterizeImageTask]:
    exposure, truth = made_sky(160)
    task = CharacterizeImageTask()
    return exposure, truth, CalibrateTask().run(task.run(exposure).characterized, detector=4), task


def matched(sources, truth):
    distance, index = cKDTree(np.stack([sources["x"], sources["y"]], 1)).query(np.stack([truth["x"], truth["y"]], 1))
    return distance < 1.0, index


def test_lonely_stars_are_found_placed_and_weighed(processed) -> None:
    _, truth, result, _ = processed
    found, index = matched(result.sources, truth)
    inside = (np.abs(truth["x"] - 100 - SIZE / 2) < 145) & (np.abs(truth["y"] - 50 - SIZE / 2) < 145)
    lonely = inside & (truth["near"] > 12)
    assert found[lonely & (truth["snr"] > 10)].mean() >= 0.95
    bright = found & lonely & (truth["snr"] > 50)
    assert bright.sum() > 25
    for axis in ("x", "y"):
        error = result.sources[axis][index[bright]] - truth[axis][bright]
        assert np.sqrt(np.mean(error**2)) < 0.05
        assert abs(np.median(error)) < 0.01
    ratio = result.sources["psf_flux"][index[bright]] / truth["flux"][bright]
    assert np.median(ratio) == pytest.approx(1.0, abs=0.01)


def test_what_is_found_is_there(processed) -> None:
    _, truth, result, _ = processed
    distance, _ = cKDTree(np.stack([truth["x"], truth["y"]], 1)).query(
        np.stack([result.sources["x"], result.sources["y"]], 1)
    )
    assert (distance > 3.0).mean() < 0.03


def test_errors_are_those_of_the_fluxes(processed) -> None:
    _, truth, result, _ = processed
    found, index = matched(result.sources, truth)
    faint = found & (truth["snr"] > 8) & (truth["snr"] < 60) & (truth["near"] > 10)
    rows = result.sources[index[faint]]
    pull = (rows["psf_flux"] - truth["flux"][faint]) / rows["psf_flux_err"]
    assert 1.4826 * np.median(np.abs(pull)) == pytest.approx(1.0, abs=0.35)


def test_magnitudes_positions_and_ids_follow(processed) -> None:
    exposure, truth, result, _ = processed
    sources = result.sources
    found, index = matched(sources, truth)
    bright = found & (truth["snr"] > 50) & (truth["near"] > 12)
    magnitude = 29.0 - 2.5 * np.log10(truth["flux"][bright])
    assert np.median(sources["psf_mag"][index[bright]] - magnitude) == pytest.approx(0.0, abs=0.012)
    back_x, back_y = exposure.wcs.sky_to_pixel(sources.coord)
    assert back_x == pytest.approx(sources["x"], abs=1e-4)
    assert back_y == pytest.approx(sources["y"], abs=1e-4)
    assert len(set(sources["id"].tolist())) == len(sources)
    assert unpack_source_id(int(sources["id"][1])) == (20260120221000, 4, 1)
    assert sources.schema["psf_flux"].units == "electron"
    assert sources.psf_inst_flux is not None
    assert np.array_equal(sources["slot_PsfFlux_instFlux"], sources["psf_flux"])


def test_stars_are_not_extended(processed) -> None:
    _, truth, result, _ = processed
    found, index = matched(result.sources, truth)
    bright = found & (truth["snr"] > 50) & (truth["near"] > 15)
    assert np.nanmean(result.sources["extendedness"][index[bright]]) < 0.1


def test_the_background_can_be_put_back(processed) -> None:
    exposure, _, result, _ = processed
    calexp = result.exposure
    restored = calexp.image.array + result.background.image().array
    untouched = calexp.mask.array & calexp.mask.plane_bit_mask(["CR"]) == 0
    assert restored[untouched] == pytest.approx(exposure.image.array[untouched], abs=0.01)
    assert result.background.mean == pytest.approx(SKY, abs=1.0)
    sky = (calexp.mask.array & calexp.mask.plane_bit_mask("DETECTED")) == 0
    assert abs(np.median(calexp.image.array[sky])) < 1.0


def test_numbers_of_quality_are_those_of_the_sky(processed) -> None:
    _, _, result, task = processed
    stats = result.exposure.summary_stats
    assert stats["sky_bg"] == pytest.approx(SKY, abs=1.0)
    assert stats["sky_noise"] == pytest.approx(15.0, rel=0.05)
    assert stats["zero_point"] == pytest.approx(29.0)
    assert stats["zero_point_second"] == pytest.approx(29.0 - 2.5 * np.log10(60.0))
    assert 3.2 < stats["psf_fwhm"] < 3.9
    assert stats["psf_fwhm_arcsec"] == pytest.approx(0.5 * stats["psf_fwhm"], rel=0.01)
    assert stats["noise_growth"] == pytest.approx(1.0, abs=0.1)
    assert stats["n_sources"] == len(result.sources)
    assert task.metadata["psf_stars"] > 10


def test_inputs_stay_as_they_were() -> None:
    exposure, _ = made_sky(60, seed=2)
    before = exposure.masked_image.clone()
    characterized = CharacterizeImageTask().run(exposure).characterized
    middle = characterized.masked_image.clone()
    CalibrateTask().run(characterized)
    for now, was in ((exposure.masked_image, before), (characterized.masked_image, middle)):
        for plane, old in zip(now.arrays, was.arrays, strict=True):
            assert np.array_equal(plane, old)
    assert exposure.psf is None
    assert exposure.background is None


@pytest.mark.parametrize("fwhm", [1.8, 6.0])
def test_the_first_guess_of_the_seeing_may_be_far_off(fwhm: float) -> None:
    exposure, truth = made_sky(120, seed=9, fwhm=fwhm)
    sources = CalibrateTask().run(CharacterizeImageTask().run(exposure).characterized).sources
    found, index = matched(sources, truth)
    lonely = truth["near"] > 4 * fwhm
    assert found[lonely & (truth["snr"] > 10)].mean() >= 0.95
    bright = found & lonely & (truth["snr"] > 50)
    assert np.median(sources["psf_flux"][index[bright]] / truth["flux"][bright]) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("shape", [(1024, 1024), (70, 300), (40, 20)])
def test_the_surface_of_a_background_is_its_image(shape: tuple[int, int]) -> None:
    box = Box2I(Point2I(10, 20), Extent2I(shape[1], shape[0]))
    rng = np.random.default_rng(1)
    image = 100.0 + np.cumsum(rng.normal(0, 0.1, shape), axis=1)
    background = measure_background(image, np.zeros(shape, dtype=bool), 64, box, 32)
    assert surface(background) == pytest.approx(background.image(dtype="float64").array, abs=1e-9)
    double = add(background, background)
    assert surface(double) == pytest.approx(2 * surface(background))


@pytest.mark.parametrize("count", [0, 1])
def test_a_sky_with_hardly_a_star_has_a_gaussian_psf(count: int) -> None:
    exposure, _ = made_sky(count, seed=3)
    characterized = CharacterizeImageTask().run(exposure).characterized
    assert isinstance(characterized.psf, GaussianPsf)
    result = CalibrateTask().run(characterized)
    assert len(result.sources) <= 2
    assert "psf_flux" in result.sources.schema


def test_a_frame_without_data_is_refused() -> None:
    exposure, _ = made_sky(20, seed=4)
    exposure.image.array[...] = np.nan
    exposure.mask.array[...] |= exposure.mask.plane_bit_mask("NO_DATA")
    with pytest.raises(TaskError, match="good pixel"):
        CharacterizeImageTask().run(exposure)


def test_gaps_and_saturated_stars_do_no_harm() -> None:
    exposure, truth = made_sky(120, seed=5)
    exposure.image.array[:, 100:110] = np.nan
    exposure.mask.array[:, 100:110] |= exposure.mask.plane_bit_mask("NO_DATA")
    brightest = int(np.argmax(truth["flux"]))
    column, row = round(truth["x"][brightest]) - 100, round(truth["y"][brightest]) - 50
    part = np.s_[row - 2 : row + 3, column - 2 : column + 3]
    exposure.mask.array[part] |= exposure.mask.plane_bit_mask(["SAT", "INTRP"])
    exposure.image.array[part] = exposure.image.array[part].max()
    sources = CalibrateTask().run(CharacterizeImageTask().run(exposure).characterized).sources
    assert np.isfinite(sources["x"]).all()
    near = np.hypot(sources["x"] - truth["x"][brightest], sources["y"] - truth["y"][brightest]) < 3
    assert near.any()
    assert sources["flag_saturated_center"][near].any()
    gap = (sources["x"] > 201) & (sources["x"] < 209)
    assert sources["flag_nodata_center"][gap].all()


def test_calibrate_asks_for_a_psf() -> None:
    with pytest.raises(TaskError, match="run characterize first"):
        CalibrateTask().run(made_sky(5)[0])


def test_the_zero_point_comes_from_the_header() -> None:
    exposure = Exposure(
        MaskedImage(np.zeros((4, 4), np.float32)),
        metadata=Header({"MAGZP": 21.0, "ISRGAIN": 2.0, "TEXT": "none"}),
        visit_info=VisitInfo(exposure_time=100.0),
    )
    calib = photo_calib_from_header(exposure, ZeroPointConfig(key="MAGZP"))
    assert calib is not None
    assert calib.zero_point == pytest.approx(21.0 + 5.0 + 2.5 * np.log10(2.0))
    calib = photo_calib_from_header(exposure, ZeroPointConfig(key="MAGZP", per_second=False, counts_are_adu=False))
    assert calib is not None
    assert calib.zero_point == pytest.approx(21.0)
    assert photo_calib_from_header(exposure, ZeroPointConfig(key="ABSENT")) is None
    assert photo_calib_from_header(exposure, ZeroPointConfig()) is None
    with pytest.raises(HeaderError, match="TEXT"):
        photo_calib_from_header(exposure, ZeroPointConfig(key="TEXT"))


def test_the_zero_point_of_a_camera_of_ones_own_is_where_its_description_says(tmp_path) -> None:
    simulate(tmp_path / "frames", science=1, calibrations=0, bands=("g",), stars=60)
    described = Instrument.load("simcam").to_dict() | {"name": "MyCam"}
    with Butler.create(tmp_path / "repo") as butler:
        ingest_raws(butler, [tmp_path / "frames"], Instrument.from_dict(described))
        report = run_pipeline(butler, "process", output="first", where="detector = 0")
        assert report.counts()["done"] == 3, str(report)
        calexp = butler.get("calexp", next(iter(butler.query_datasets("calexp"))).data_id)
    header = calexp.metadata
    seconds, gain = calexp.visit_info.exposure_time, header["ISRGAIN"]
    assert calexp.photo_calib.zero_point == pytest.approx(header["MAGZERO"] + 2.5 * np.log10(seconds * gain))


def test_an_aperture_without_a_size_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"aperture_radii: every radius must be above 0, not \(3.0, -1.0\)"):
        CalibrateTask(CalibrateTask.ConfigClass(aperture_radii=[3.0, -1.0]))
