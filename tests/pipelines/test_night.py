"""Whole nights through every task: SimCam against its truth, and real frames of M13."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.spatial import cKDTree

from skybutler.imaging import Camera, Exposure, Filter, Header, MaskedImage, VisitInfo, Wcs
from skybutler.instruments.instrument import Instrument
from skybutler.pipelines import (
    CalibrateTask,
    CharacterizeImageTask,
    IsrTask,
    MasterBiasTask,
    MasterDarkTask,
    MasterFlatTask,
)
from skybutler.tasks import Struct
from skybutler.testing.sky_simulator import Truth, simulate

pytest.importorskip("sep")


def read_raw(path: Path, instrument: Instrument, camera: Camera) -> Exposure:
    """A raw frame as the butler gives it."""
    from astropy.io import fits

    with fits.open(path) as hdus:
        hdu = next(one for one in hdus if one.data is not None)
        data, header = np.asarray(hdu.data).astype(np.uint16), Header.from_astropy(hdu.header)
    observation = instrument.translate([header], path)[0]
    known = observation.exposure
    return Exposure(
        MaskedImage(data),
        wcs=Wcs.from_header(header) if "CRVAL1" in header else None,
        metadata=header,
        detector=camera[observation.detector],
        filter=Filter(known["physical_filter"], known["physical_filter"][-1]),
        visit_info=VisitInfo(
            id=known["id"],
            exposure_time=known["exposure_time"],
            dark_time=known["dark_time"],
            instrument=instrument.name,
            observation_type=known["observation_type"],
        ),
    )


@dataclass
class Night:
    """Raw frames of one detector, processed on demand."""

    raws: list[Exposure]
    band: str

    def of(self, kind: str) -> list[Exposure]:
        return [
            raw
            for raw in self.raws
            if raw.visit_info.observation_type == kind
            and (kind in ("bias", "dark") or raw.filter.physical.endswith(self.band))
        ]

    def process(self, science: Sequence[Exposure]) -> list[Struct]:
        bias = MasterBiasTask().run(self.of("bias")).bias
        dark = MasterDarkTask().run(self.of("dark"), bias=bias).dark
        flat = MasterFlatTask().run(self.of("flat"), bias=bias, dark=dark).flat
        isr, characterize, calibrate = IsrTask(), CharacterizeImageTask(), CalibrateTask()
        results = []
        for raw in science:
            processed = isr.run(raw, bias=bias, dark=dark, flat=flat).exposure
            results.append(calibrate.run(characterize.run(processed).characterized))
        return results


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Struct], Truth]:
    truth = simulate(tmp_path_factory.mktemp("night"), science=2, bands=("r",))
    instrument = Instrument.load("simcam")
    camera = instrument.camera()
    raws = [read_raw(path, instrument, camera) for path in truth.files]
    results = []
    for detector in camera:
        night = Night([raw for raw in raws if raw.detector.id == detector], "r")
        results += night.process(night.of("science"))
    return results, truth


def compare(result: Struct, truth: Truth) -> pd.DataFrame:
    """The true stars of a frame that a fair test may ask for, with what was found."""
    exposure = result.exposure
    stars = truth.stars
    here = stars[(stars.exposure == exposure.visit_info.id) & (stars.detector == exposure.detector.id)]
    fair = here[~here.crowded & ~here.edge & ~here.hit & ~here.saturated].copy()
    sources = result.sources
    distance, index = cKDTree(np.stack([sources["x"], sources["y"]], 1)).query(fair[["x", "y"]].to_numpy())
    fair["found"] = distance < 1.0
    for name in ("x", "y", "psf_flux", "psf_mag", "psf_flux_err"):
        fair[f"measured_{name}"] = sources[name][index]
    return fair


def test_the_simulated_stars_are_found(simulated: tuple[list[Struct], Truth]) -> None:
    stars = pd.concat([compare(result, simulated[1]) for result in simulated[0]])
    asked = stars[stars.snr > 10]
    assert len(asked) > 300
    assert asked.found.mean() >= 0.95


def test_they_are_where_they_shall_be(simulated: tuple[list[Struct], Truth]) -> None:
    stars = pd.concat([compare(result, simulated[1]) for result in simulated[0]])
    bright = stars[stars.found & (stars.snr > 50)]
    for axis in ("x", "y"):
        error = bright[f"measured_{axis}"] - bright[axis]
        assert np.sqrt((error**2).mean()) < 0.05
        assert abs(error.median()) < 0.01


def test_their_fluxes_and_magnitudes_are_unbiased(simulated: tuple[list[Struct], Truth]) -> None:
    for result in simulated[0]:
        stars = compare(result, simulated[1])
        bright = stars[stars.found & (stars.snr > 50)]
        assert (bright.measured_psf_flux / bright.flux).median() == pytest.approx(1.0, abs=0.01)
        assert (bright.measured_psf_mag - bright.mag).median() == pytest.approx(0.0, abs=0.012)
        faint = stars[stars.found & (stars.snr > 10) & (stars.snr < 50)]
        assert (faint.measured_psf_flux / faint.flux).median() == pytest.approx(1.0, abs=0.03)


def test_hardly_anything_else_is_found(simulated: tuple[list[Struct], Truth]) -> None:
    results, truth = simulated
    for result in results:
        exposure, sources, stars = result.exposure, result.sources, truth.stars
        here = stars[(stars.exposure == exposure.visit_info.id) & (stars.detector == exposure.detector.id)]
        distance, _ = cKDTree(here[["x", "y"]].to_numpy()).query(np.stack([sources["x"], sources["y"]], 1))
        assert (distance > 3.0).mean() < 0.05


def test_seeing_and_zero_point_are_those_of_the_night(simulated: tuple[list[Struct], Truth]) -> None:
    results, truth = simulated
    exposures = truth.exposures.set_index("exposure")
    for result in results:
        stats, true = result.exposure.summary_stats, exposures.loc[result.exposure.visit_info.id]
        assert stats["zero_point_second"] == pytest.approx(true.zero_point, abs=1e-3)
        assert stats["sky_bg"] == pytest.approx(true.sky, rel=0.1)
        # Of a Moffat profile, Gaussian moments are wider than the FWHM tells.
        assert 1.05 < stats["psf_fwhm"] / true.fwhm < 1.25


@pytest.fixture(scope="module")
def m13(shared_data: Path) -> tuple[list[Struct], Night]:
    """The clear z frame of M13 of 160 s, and the hazy one."""
    folder = shared_data / "arcsat-m13"
    if not folder.is_dir():
        pytest.skip(f"no frames of M13: {folder} is not a folder")
    instrument = Instrument.load("arcsat")
    camera = instrument.camera()
    patterns = ("Bias*", "Dark*", "domeflat_sdss_z*", "M13_sdss_z*085808*", "M13_sdss_z*091030*")
    paths = [path for pattern in patterns for path in sorted(folder.glob(pattern))]
    night = Night([read_raw(path, instrument, camera) for path in paths], "z")
    return night.process(night.of("science")), night


def test_m13_has_a_thousand_stars_on_a_flat_sky(m13: tuple[list[Struct], Night]) -> None:
    clear, hazy = (result.sources for result in m13[0])
    assert len(clear) > 1200
    assert len(hazy) > 700
    exposure = m13[0][0].exposure
    sky = (exposure.mask.array & exposure.mask.plane_bit_mask(["DETECTED", "BAD", "SAT", "NO_DATA"])) == 0
    corners = [exposure.image.array[part][sky[part]] for part in (np.s_[:200, :200], np.s_[-200:, -200:])]
    for corner in corners:
        assert abs(np.median(corner)) < 2.0  # of a sky of 430 electrons, noise of 24


def test_stars_of_two_visits_agree(m13: tuple[list[Struct], Night]) -> None:
    clear, hazy = (result.sources for result in m13[0])
    index, distance, _ = hazy.coord.match_to_catalog_sky(clear.coord)
    same = distance.arcsec < 1.0
    assert same.mean() > 0.85
    bright = same & (hazy["signal_to_noise"] > 50) & ~hazy["flag_suspect"]
    change = hazy["psf_mag"][bright] - clear["psf_mag"][index[bright]]
    assert bright.sum() > 50
    assert 1.4826 * np.median(np.abs(change - np.median(change))) < 0.05


def test_the_hazy_frame_stands_out(m13: tuple[list[Struct], Night]) -> None:
    clear, hazy = (result.exposure.summary_stats for result in m13[0])
    assert clear["zero_point_second"] - hazy["zero_point_second"] == pytest.approx(0.93, abs=0.02)
    assert clear["mag_lim"] - hazy["mag_lim"] > 0.7
    assert hazy["n_sources"] < 0.8 * clear["n_sources"]
