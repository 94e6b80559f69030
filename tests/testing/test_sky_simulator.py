"""The simulated night is what it says it is: levels, noise, stars and headers agree with the truth beside them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from skybutler.instruments import Instrument, read_headers
from skybutler.testing.sky_simulator import Truth, simulate


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    return simulate(tmp_path_factory.mktemp("night"), seed=5, science=2, calibrations=2, bands=("r", "i"))


def raw(truth: Truth, exposure: int, detector: int) -> np.ndarray:
    return fits.getdata(truth.folder / f"simcam_{exposure:08d}_S{detector:02d}.fits").astype(float)


def numbers(truth: Truth, kind: str, band: str = "") -> list[int]:
    table = truth.exposures
    return table.exposure[(table.observation_type == kind) & (table.band == band)].tolist()


def level_free(image: np.ndarray) -> np.ndarray:
    """Return the exposed pixels without the bias level, which the overscan tells row by row."""
    rows = np.arange(image.shape[0])
    level = np.polynomial.Polynomial.fit(rows, image[:, 512:].mean(axis=1), 3)(rows)
    return image[:, :512] - level[:, None]


def reduced(truth: Truth, exposure: int, detector: int) -> np.ndarray:
    """Return a science frame in electrons, freed of the detector's flaws by the truth about them."""
    one = truth.detectors[detector]
    row = truth.exposures.set_index("exposure").loc[exposure]
    electrons = (level_free(raw(truth, exposure, detector)) - one.bias) * one.amplifier.gain
    return (electrons - one.dark_rate * row.exposure_time) / one.response[row.band]


def test_frames_are_raws_that_the_camera_knows(night: Truth) -> None:
    simcam = Instrument.load("simcam")
    assert len(night.files) == 2 * (2 + 2 + 4 + 2)
    kinds = []
    for path in night.files:
        headers = read_headers(path)
        assert (headers[0]["BITPIX"], headers[0]["BZERO"]) == (16, 32768)
        (made,) = simcam.translate(headers, path)
        kinds.append(made.exposure["observation_type"])
        assert made.exposure["day_obs"] == 20260120
        assert (made.region is not None) == made.is_science
        truth = night.exposures.set_index("exposure").loc[made.exposure["id"]]
        assert made.exposure["exposure_time"] == truth.exposure_time
        if made.is_science:
            assert made.region is not None
            row = night.stars[(night.stars.exposure == made.exposure["id"]) & (night.stars.detector == made.detector)]
            assert all(made.region.contains(ra, dec) for ra, dec in zip(row.ra[:20], row.dec[:20], strict=True))
            gain = night.detectors[made.detector].amplifier.gain
            adu_a_second = simcam.zero_point(headers[0])
            assert adu_a_second == pytest.approx(truth.zero_point + 2.5 * np.log10(60.0 / gain))
    assert kinds.count("science") == 4
    assert kinds.count("flat") == 8


def test_the_same_seed_gives_the_same_bytes(night: Truth, tmp_path: Path) -> None:
    again = simulate(tmp_path / "again", seed=5, science=2, calibrations=2, bands=("r", "i"))
    assert [one.read_bytes() for one in again.files] == [one.read_bytes() for one in night.files]
    pd.testing.assert_frame_equal(again.stars, night.stars)
    other = simulate(tmp_path / "other", seed=6, science=0, calibrations=1, bands=())
    assert other.files[0].read_bytes() != night.files[0].read_bytes()
    assert other.stars.empty


@pytest.mark.parametrize("detector", [0, 1])
def test_bias_frames_have_level_structure_and_noise(night: Truth, detector: int) -> None:
    one = night.detectors[detector]
    first, second = (level_free(raw(night, number, detector)) for number in numbers(night, "bias"))
    assert abs(np.median(raw(night, numbers(night, "bias")[0], detector)) - 1000) < 60
    noise = (first - second).std() / np.sqrt(2)
    assert noise == pytest.approx(one.amplifier.read_noise / one.amplifier.gain, rel=0.03)
    assert ((first + second) / 2 - one.bias).std() < 1.1 * noise / np.sqrt(2)


@pytest.mark.parametrize("detector", [0, 1])
def test_darks_show_the_dark_current_and_hot_pixels(night: Truth, detector: int) -> None:
    one = night.detectors[detector]
    frames = [level_free(raw(night, number, detector)) - one.bias for number in numbers(night, "dark")]
    rate = np.minimum(*frames) * one.amplifier.gain / 120.0  # a cosmic ray is in one of them only
    hot = one.dark_rate > 5.0
    assert 50 < hot.sum() < 300
    assert np.median(rate[hot] / one.dark_rate[hot]) == pytest.approx(1.0, abs=0.05)
    mean = np.mean([frame[~hot].mean() for frame in frames]) * one.amplifier.gain / 120.0
    assert mean == pytest.approx(one.dark_rate[~hot].mean(), abs=0.05)


@pytest.mark.parametrize("detector", [0, 1])
@pytest.mark.parametrize("band", ["r", "i"])
def test_flats_show_the_response_and_the_gain(night: Truth, detector: int, band: str) -> None:
    one = night.detectors[detector]
    response = one.response[band]
    assert response.mean() == pytest.approx(1.0)
    assert np.median(response) == pytest.approx(1.0, abs=0.01)  # either normalization of a flat will do
    frames = [level_free(raw(night, number, detector)) - one.bias for number in numbers(night, "flat", band)]
    normal = [frame / frame.mean() for frame in frames]
    assert np.corrcoef(normal[0].ravel(), response.ravel())[0, 1] > 0.95
    level = frames[0].mean()
    variance = np.var(normal[0] - normal[1]) / 2 * level**2
    gain = level / (variance - (one.amplifier.read_noise / one.amplifier.gain) ** 2)
    assert gain == pytest.approx(one.amplifier.gain, rel=0.03)


@pytest.mark.parametrize("detector", [0, 1])
def test_positions_agree_with_the_wcs_in_the_header(night: Truth, detector: int) -> None:
    for number in night.stars.exposure.unique():
        stars = night.stars[(night.stars.exposure == number) & (night.stars.detector == detector)]
        wcs = WCS(fits.getheader(night.folder / f"simcam_{number:08d}_S{detector:02d}.fits"))
        x, y = wcs.all_world2pix(stars.ra, stars.dec, 0)
        np.testing.assert_allclose(x, stars.x, atol=1e-6)
        np.testing.assert_allclose(y, stars.y, atol=1e-6)


@pytest.mark.parametrize("detector", [0, 1])
def test_aperture_sums_give_the_fluxes_and_centroids_the_positions(night: Truth, detector: int) -> None:
    stars = night.stars[(night.stars.detector == detector) & (night.stars.snr > 60)]
    good = stars[~(stars.crowded | stars.edge | stars.hit | stars.saturated)]
    ratios, offsets = [], []
    for number, group in good.groupby("exposure"):
        image = reduced(night, int(number), detector)
        y, x = np.mgrid[0:512, 0:512]
        for star in group.itertuples():
            distance = np.hypot(x - star.x, y - star.y)
            sky = np.median(image[(distance > 12) & (distance < 20)])
            inner = distance < 9.0
            ratios.append((image[inner] - sky).sum() / star.flux)
            core = distance < 4.0
            weight = np.clip(image[core] - sky, 0, None)
            offsets.append((x[core] * weight).sum() / weight.sum() - star.x)
    assert len(ratios) > 50
    # A Moffat of 3 pixels keeps 0.996 of the flux within 9 pixels; a median sky leaves a little.
    assert np.median(ratios) == pytest.approx(0.995, abs=0.006)
    assert abs(np.median(offsets)) < 0.05


def test_the_sky_is_what_the_truth_says(night: Truth) -> None:
    for row in night.exposures[night.exposures.observation_type == "science"].itertuples():
        for detector in (0, 1):
            assert np.median(reduced(night, row.exposure, detector)) == pytest.approx(row.sky, rel=0.03)


def test_bright_stars_saturate_and_are_told(night: Truth) -> None:
    for row in night.stars[night.stars.saturated & ~night.stars.edge].itertuples():
        image = raw(night, row.exposure, row.detector)
        assert image[round(row.y) - 1 : round(row.y) + 2, round(row.x) - 1 : round(row.x) + 2].max() > 58_000
    unsaturated = night.stars[~night.stars.saturated & ~night.stars.edge & ~night.stars.hit & ~night.stars.crowded]
    for row in unsaturated.itertuples():
        assert raw_peak(night, row) < 62_000


def raw_peak(truth: Truth, row: object) -> float:
    x, y = round(row.x), round(row.y)  # type: ignore[attr-defined]
    hot = truth.detectors[row.detector].dark_rate[y - 1 : y + 2, x - 1 : x + 2] > 5  # type: ignore[attr-defined]
    image = raw(truth, row.exposure, row.detector)[y - 1 : y + 2, x - 1 : x + 2]  # type: ignore[attr-defined]
    return float(image[~hot].max())


def test_truth_is_written_beside_the_frames(night: Truth) -> None:
    pd.testing.assert_frame_equal(pd.read_parquet(night.folder / "truth.parquet"), night.stars)
    pd.testing.assert_frame_equal(pd.read_parquet(night.folder / "truth_exposures.parquet"), night.exposures)
    camera = json.loads((night.folder / "truth_camera.json").read_text())
    assert [one["gain"] for one in camera] == [1.5, 1.8]


def test_the_field_is_a_fair_one(night: Truth) -> None:
    stars = night.stars
    per_frame = stars.groupby(["exposure", "detector"]).size()
    assert per_frame.between(270, 400).all()
    assert stars.crowded.mean() < 0.15
    magnitudes = stars.drop_duplicates(["star", "band"]).pivot(index="star", columns="band", values="mag").dropna()
    faint = magnitudes[magnitudes.r > 18.5]
    assert np.corrcoef(faint.r, faint.r - faint.i)[0, 1] > 0.95  # the main sequence reddens downwards
    assert stars.hit.sum() > 0


def test_an_unknown_band_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no band 'y'"):
        simulate(tmp_path, bands=("y",))


@pytest.mark.parametrize("stars", [0, 1])
def test_a_sky_may_be_empty(tmp_path: Path, stars: int) -> None:
    truth = simulate(tmp_path, science=1, calibrations=0, bands=("r",), stars=stars)
    assert len(truth.files) == 2
    assert len(truth.stars) <= stars
