"""A night with SimCam, a camera that does not exist: raw frames on disk, and the truth about every star in them.

`simulate` writes what an observatory would hand over: bias, dark and flat frames, and dithered exposures of one field
in several bands, as uint16 FITS with overscan. Beside them lie ``truth.parquet`` (a row for each star in each frame),
``truth_exposures.parquet`` and ``truth_camera.json``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import acos, cos, degrees, log10, radians
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..instruments.instrument import Instrument
from .point_spread import Moffat, add_stars
from .sim_detector import SimDetector, cosmic_rays, make_detector
from .star_field import StarField, Tangent, make_star_field
from .star_truth import star_rows

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SimExposure", "Truth", "simulate"]

Floats = NDArray[np.float64]

FIELD_CENTER = (201.7, 27.4)
"""Right ascension and declination of the field, degrees."""
_SCALE = 0.5  # arcsec a pixel
_ROTATION = 1.3  # degrees
_GAP = 20  # pixels between the detectors
_DITHER = 18.0  # arcsec
_ZERO_POINTS = {"g": 24.95, "r": 25.10, "i": 24.80}  # magnitude of one electron a second, above the atmosphere
_EXTINCTION = {"g": 0.17, "r": 0.10, "i": 0.06}  # magnitudes an airmass
_SKY = {"g": 2.0, "r": 4.0, "i": 7.0}  # electrons a second and pixel
_LAMP = 9000.0  # electrons a second and pixel that the dome lamp gives
_RAYS_PER_SECOND = 0.12  # cosmic rays on a detector
_FIRST_NUMBER = 1001
_EVENING = datetime(2026, 1, 20, 22, 10)  # UTC; the night goes on past midnight
_OVERHEAD = 14.0  # seconds between exposures


@dataclass(frozen=True, slots=True)
class SimExposure:
    """One exposure of the night, and what is true of it."""

    number: int
    """The exposure's id."""
    observation_type: str
    """``bias``, ``dark``, ``flat`` or ``science``."""
    band: str
    """``g``, ``r`` or ``i``; empty where the dark slide is shut."""
    exposure_time: float
    """Seconds that the shutter is open (for a dark: that charge gathers)."""
    start: datetime
    """UTC."""
    pointing: tuple[float, float] = FIELD_CENTER
    """Right ascension and declination of the centre of the focal plane, degrees."""
    airmass: float = 1.0
    zero_point: float = 0.0
    """Magnitude of one electron a second, atmosphere included."""
    sky: float = 0.0
    """Mean sky, electrons a pixel."""
    gradient: tuple[float, float] = (0.0, 0.0)
    """By which fraction the sky rises along 512 pixels of x and y."""
    psf: Moffat = field(default_factory=lambda: Moffat(3.0))


@dataclass(frozen=True)
class Truth:
    """What `simulate` knows of the frames that it wrote."""

    folder: Path
    """Where everything lies."""
    files: list[Path]
    """The raw frames, in order of exposure and detector."""
    stars: pd.DataFrame
    """A row for each star in each science frame, see `skybutler.testing.star_truth`."""
    exposures: pd.DataFrame
    """A row for each exposure: exposure, observation_type, band, exposure_time (s), ra, dec (deg), airmass, fwhm
    (pixels), sky (electrons a pixel), zero_point (AB magnitude of one electron a second)."""
    detectors: list[SimDetector]
    """The detectors with their flaws."""


def simulate(
    folder: str | Path,
    *,
    seed: int = 20260120,
    science: int = 12,
    calibrations: int = 3,
    bands: Sequence[str] = ("g", "r", "i"),
    stars: int = 980,
) -> Truth:
    """Simulate a night and write its raw frames.

    Parameters
    ----------
    folder
        Where to write; made if absent. Raw frames are named ``simcam_<exposure>_<detector>.fits``.
    seed
        Chooses everything that chance decides: the same seed gives the same files, byte by byte.
    science
        Exposures of the field (60 s each), the bands taking turns.
    calibrations
        Bias frames, dark frames, and flat frames in each band.
    bands
        Of g, r and i.
    stars
        Stars in the whole field; about a third of them falls on each detector.

    Returns
    -------
    truth
        What was simulated, as it is also on disk.

    Raises
    ------
    ValueError
        A band is not one of g, r and i.
    """
    unknown = [band for band in bands if band not in _ZERO_POINTS]
    if unknown:
        raise ValueError(f"no band {unknown[0]!r}: SimCam has {', '.join(_ZERO_POINTS)}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    detectors = _make_detectors(tuple(bands), rng)
    stars_there = make_star_field(rng, stars, *FIELD_CENTER, width=610.0, height=340.0)
    night = _plan(science, calibrations, tuple(bands), rng)

    def take(job: tuple[SimExposure, SimDetector]) -> tuple[Path, dict[str, Any] | None]:
        exposure, detector = job
        # A stream of chance for each frame: the frames are the same whichever thread comes first.
        own = np.random.default_rng([seed, exposure.number, detector.description.id])
        return _take(folder, exposure, detector, stars_there, own)

    with ThreadPoolExecutor() as threads:
        taken = list(threads.map(take, [(exposure, detector) for exposure in night for detector in detectors]))
    truth = _truth(folder, [path for path, _ in taken], [rows for _, rows in taken if rows], night, detectors)
    truth.stars.to_parquet(folder / "truth.parquet")
    truth.exposures.to_parquet(folder / "truth_exposures.parquet")
    (folder / "truth_camera.json").write_text(json.dumps(_camera_truth(detectors), indent=1) + "\n", encoding="utf-8")
    return truth


def _make_detectors(bands: tuple[str, ...], rng: np.random.Generator) -> list[SimDetector]:
    left, right = Instrument.load("simcam").description.detectors
    width = left.amplifiers[0].data[2]
    return [
        make_detector(left, width - 0.5 + _GAP / 2, bands, rng),
        make_detector(right, -0.5 - _GAP / 2, bands, rng),
    ]


def _plan(science: int, calibrations: int, bands: tuple[str, ...], rng: np.random.Generator) -> list[SimExposure]:
    """Return the night's exposures: calibrations in the evening, then the field while it rises."""
    kinds = [("bias", "", 0.0)] * calibrations + [("dark", "", 120.0)] * calibrations
    kinds += [("flat", band, 3.0) for band in bands for _ in range(calibrations)]
    kinds += [("science", bands[i % len(bands)], 60.0) for i in range(science)] if bands else []
    night, start = [], _EVENING
    for i, (kind, band, seconds) in enumerate(kinds):
        if kind == "science":
            start = max(start, datetime(2026, 1, 21, 3, 5))
        plain = SimExposure(_FIRST_NUMBER + i, kind, band, seconds, start)
        night.append(_point(plain, rng) if kind == "science" else plain)
        start += timedelta(seconds=seconds + _OVERHEAD)
    return night


def _point(plain: SimExposure, rng: np.random.Generator) -> SimExposure:
    hours = (plain.start - datetime(2026, 1, 21, 3, 5)).total_seconds() / 3600.0
    airmass = 1.35 - 0.4 * hours
    east, north = rng.uniform(-_DITHER, _DITHER, 2) / 3600.0
    ra, dec = FIELD_CENTER
    zero_point = _ZERO_POINTS[plain.band] - _EXTINCTION[plain.band] * airmass - abs(rng.normal(0.0, 0.03))
    return replace(
        plain,
        pointing=(ra + east / cos(radians(dec)), dec + north),
        airmass=airmass,
        zero_point=zero_point,
        sky=_SKY[plain.band] * plain.exposure_time * rng.uniform(0.9, 1.15),
        gradient=(rng.uniform(-0.04, 0.04), rng.uniform(-0.04, 0.04)),
        psf=Moffat(rng.uniform(2.7, 3.4), e1=rng.uniform(-0.025, 0.025), e2=rng.uniform(-0.025, 0.025), growth=0.03),
    )


def _tangent(exposure: SimExposure, detector: SimDetector) -> Tangent:
    middle = (detector.bias.shape[0] - 1) / 2
    return Tangent(*exposure.pointing, detector.x_center, middle, _SCALE / 3600.0, _ROTATION)


def _take(
    folder: Path, exposure: SimExposure, detector: SimDetector, sky: StarField, rng: np.random.Generator
) -> tuple[Path, dict[str, Any] | None]:
    """Write one frame; return its path and, for a science frame, the truth about its stars."""
    electrons = np.zeros(detector.bias.shape)
    charge, rows = None, None
    if exposure.observation_type == "flat":
        electrons += _LAMP * exposure.exposure_time * rng.uniform(0.97, 1.03)
    elif exposure.observation_type == "science":
        rows = _expose_field(electrons, exposure, detector, sky)
    if exposure.band:
        electrons *= detector.response[exposure.band]
    electrons += detector.dark_rate * exposure.exposure_time
    if exposure.exposure_time > 30.0:
        charge = cosmic_rays(detector.bias.shape, _RAYS_PER_SECOND * exposure.exposure_time, rng)
    if rows is not None and charge is not None:
        rows = star_rows(exposure.number, detector.description.id, exposure.band, exposure.psf, rows, charge)
        rows["flux_adu"] = rows["flux"] / detector.amplifier.gain
        full_well = detector.amplifier.saturation * detector.amplifier.gain
        rows["saturated"] = rows["peak"] + exposure.sky > 0.97 * full_well
    path = folder / f"simcam_{exposure.number:08d}_{detector.description.full_name}.fits"
    _write(path, detector.read_out(electrons, rng, charge), _header(exposure, detector))
    return path, rows


def _expose_field(
    electrons: Floats, exposure: SimExposure, detector: SimDetector, sky: StarField
) -> dict[str, NDArray[Any]]:
    """Add sky and stars to a frame in place; return the columns of its stars."""
    height, width = electrons.shape
    rise_x, rise_y = exposure.gradient
    y, x = np.ogrid[0:height, 0:width]
    electrons += exposure.sky * (1.0 + rise_x * (x / 512.0 - 0.5) + rise_y * (y / 512.0 - 0.5))
    star_x, star_y = _tangent(exposure, detector).to_pixels(sky.ra, sky.dec)
    near = (star_x > -50) & (star_x < width + 50) & (star_y > -50) & (star_y < height + 50)
    star_x, star_y = star_x[near], star_y[near]
    magnitude = sky.magnitudes[exposure.band][near]
    flux = exposure.exposure_time * 10 ** (0.4 * (exposure.zero_point - magnitude))
    noise = exposure.sky + detector.amplifier.read_noise**2
    peak, snr = add_stars(electrons, star_x, star_y, flux, exposure.psf, detector.off_axis(star_x, star_y), noise)
    return {
        "star": np.flatnonzero(near),
        "ra": sky.ra[near],
        "dec": sky.dec[near],
        "x": star_x,
        "y": star_y,
        "mag": magnitude,
        "flux": flux,
        "peak": peak,
        "snr": snr,
        "peak_snr": peak / np.sqrt(peak + noise),
    }


def _header(exposure: SimExposure, detector: SimDetector) -> list[tuple[str, Any, str]]:
    """Return SimCam's own cards: keyword, value, comment."""
    types = {"bias": "ZERO", "dark": "DARK", "flat": "DOMEFLAT", "science": "OBJECT"}
    kind = exposure.observation_type
    cards: list[tuple[str, Any, str]] = [
        ("OBSERVAT", "Simulated", "observatory"),
        ("CAMERA", "SimCam", "camera"),
        ("CHIPID", detector.description.full_name, "detector"),
        ("EXPNUM", exposure.number, "running number of the exposure"),
        ("SEQNO", exposure.number - _FIRST_NUMBER + 1, "running number in the night"),
        ("OBSTYPE", types[kind], "ZERO, DARK, DOMEFLAT or OBJECT"),
        ("PROGID", "SIM-2026A-01", "programme"),
        ("UTSTART", exposure.start.isoformat(timespec="milliseconds"), "shutter opens, UTC"),
        ("SHUTTIME", exposure.exposure_time, "[s] exposure, as asked for"),
        ("DARKTIME", exposure.exposure_time, "[s] charge gathered"),
        ("FILTNAM", f"sim_{exposure.band}" if exposure.band else "SHUT", "filter, or SHUT for the dark slide"),
        ("CCDTEMP", -95.0, "[C] detector temperature"),
    ]
    if kind != "science":
        return cards
    tangent = _tangent(exposure, detector)
    cd = tangent.cd
    gain = detector.amplifier.gain
    return [
        *cards,
        ("FIELD", "SimField 1", "target"),
        ("PURPOSE", "survey", "reason of the observation"),
        ("TELRA", exposure.pointing[0], "[deg] telescope, ICRS"),
        ("TELDEC", exposure.pointing[1], "[deg] telescope, ICRS"),
        ("TELZD", degrees(acos(1.0 / exposure.airmass)), "[deg] zenith distance"),
        ("TELAZ", 95.0, "[deg] azimuth"),
        ("ROTANG", _ROTATION, "[deg] rotator"),
        ("MAGZERO", exposure.zero_point - 2.5 * log10(gain), "[mag(AB)] of 1 ADU/s"),
        ("RADESYS", "ICRS", ""),
        ("CTYPE1", "RA---TAN", ""),
        ("CTYPE2", "DEC--TAN", ""),
        ("CUNIT1", "deg", ""),
        ("CUNIT2", "deg", ""),
        ("CRVAL1", tangent.ra, ""),
        ("CRVAL2", tangent.dec, ""),
        ("CRPIX1", tangent.x0 + 1.0, ""),
        ("CRPIX2", tangent.y0 + 1.0, ""),
        *((f"CD{i + 1}_{j + 1}", float(cd[i, j]), "") for i in range(2) for j in range(2)),
    ]


def _write(path: Path, raw: NDArray[np.uint16], cards: list[tuple[str, Any, str]]) -> None:
    from astropy.io import fits

    fits.PrimaryHDU(raw, fits.Header(cards)).writeto(path, overwrite=True)


def _truth(
    folder: Path,
    files: list[Path],
    rows: list[dict[str, Any]],
    night: list[SimExposure],
    detectors: list[SimDetector],
) -> Truth:
    import pandas as pd

    exposures = [
        {
            "exposure": one.number,
            "observation_type": one.observation_type,
            "band": one.band,
            "exposure_time": one.exposure_time,
            "ra": one.pointing[0],
            "dec": one.pointing[1],
            "airmass": one.airmass,
            "fwhm": one.psf.fwhm,
            "sky": one.sky,
            "zero_point": one.zero_point,
        }
        for one in night
    ]
    stars = pd.concat([pd.DataFrame(one) for one in rows], ignore_index=True) if rows else pd.DataFrame()
    return Truth(folder, files, stars, pd.DataFrame(exposures), detectors)


def _camera_truth(detectors: list[SimDetector]) -> list[dict[str, Any]]:
    return [
        {
            "detector": one.description.id,
            "full_name": one.description.full_name,
            "gain": one.amplifier.gain,
            "read_noise": one.amplifier.read_noise,
            "saturation": one.amplifier.saturation,
            "dark_rate_median": float(np.median(one.dark_rate)),
            "hot_pixels": np.argwhere(one.dark_rate > 1.0)[:, ::-1].tolist(),
        }
        for one in detectors
    ]
