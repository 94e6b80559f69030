"""The overscan level: every kind of fit finds what was put in, and cosmic rays do not move it."""

import numpy as np
import pytest

from skybutler.model.errors import ConfigError, TaskError
from skybutler.pipelines.overscan import OverscanConfig, fit_overscan


def overscan_pixels(slope: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(3)
    return 1000.0 + slope * np.arange(200)[:, None] + rng.normal(0, 4.0, (200, 30))


@pytest.mark.parametrize("fit_type", ["MEAN", "MEANCLIP", "MEDIAN"])
def test_a_level_for_the_amplifier(fit_type: str) -> None:
    fit = fit_overscan(overscan_pixels(), OverscanConfig(fit_type=fit_type))
    assert fit.level == pytest.approx(np.full(200, 1000.0), abs=0.3)
    assert fit.residual_stdev == pytest.approx(4.0, rel=0.05)


@pytest.mark.parametrize("fit_type", ["MEAN_PER_ROW", "MEDIAN_PER_ROW", "POLY", "CHEB", "LEG"])
def test_a_level_that_drifts_along_the_rows(fit_type: str) -> None:
    fit = fit_overscan(overscan_pixels(slope=0.1), OverscanConfig(fit_type=fit_type))
    expected = 1000.0 + 0.1 * np.arange(200)
    assert np.abs(fit.level - expected).max() < (4.0 if fit_type.endswith("ROW") else 0.5)


@pytest.mark.parametrize("fit_type", ["MEANCLIP", "MEDIAN", "MEAN_PER_ROW", "MEDIAN_PER_ROW", "POLY"])
def test_bright_and_broken_pixels_do_not_count(fit_type: str) -> None:
    pixels = overscan_pixels()
    pixels[50:60, 3] = 1400.0
    pixels[70, 4] = 50000.0
    pixels[71, 5] = np.nan
    fit = fit_overscan(pixels, OverscanConfig(fit_type=fit_type))
    assert fit.mean == pytest.approx(1000.0, abs=0.3)
    assert np.abs(fit.level[50:60] - 1000.0).max() < 5.0


def test_skipped_columns_do_not_count() -> None:
    pixels = overscan_pixels()
    pixels[:, :3] += 200.0
    pixels[:, -2:] -= 200.0
    config = OverscanConfig(fit_type="MEAN", leading_columns_to_skip=3, trailing_columns_to_skip=2)
    assert fit_overscan(pixels, config).mean == pytest.approx(1000.0, abs=0.3)
    config.leading_columns_to_skip = 40
    with pytest.raises(TaskError, match="none is left"):
        fit_overscan(pixels, config)


def test_an_unknown_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="fit_type"):
        OverscanConfig(fit_type="SPLINE")
