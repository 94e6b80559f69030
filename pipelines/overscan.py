"""The level that an amplifier adds to its pixels, from columns that no light reaches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..model.errors import TaskError
from ..tasks import Config, Field

FitType = Literal["MEAN", "MEANCLIP", "MEDIAN", "MEAN_PER_ROW", "MEDIAN_PER_ROW", "POLY", "CHEB", "LEG"]


class OverscanConfig(Config):
    """How the overscan is fitted."""

    fit_type: FitType = Field(
        default="MEDIAN",
        description="One level for the amplifier (MEAN, MEANCLIP, MEDIAN), one for each row (MEAN_PER_ROW, "
        "MEDIAN_PER_ROW), or a polynomial along the rows (POLY, CHEB, LEG).",
    )
    order: int = Field(default=1, ge=0, description="Order of the polynomials.")
    num_sigma_clip: float = Field(default=3.0, gt=0, description="Rejection threshold, in standard deviations.")
    max_deviation: float = Field(
        default=1000.0, gt=0, description="Pixels this far from the median (ADU) are left out."
    )
    leading_columns_to_skip: int = Field(default=0, ge=0, description="Columns left out on the side of the data.")
    trailing_columns_to_skip: int = Field(default=0, ge=0, description="Columns left out on the far side.")

    @property
    def is_by_row(self) -> bool:
        """Whether rows have levels of their own."""
        return self.fit_type not in ("MEAN", "MEANCLIP", "MEDIAN")


@dataclass(frozen=True, slots=True)
class OverscanFit:
    """The level of each row, and how well it is known."""

    level: npt.NDArray[np.float64]
    """(rows,) ADU."""
    mean: float
    """Mean level (ADU)."""
    residual_stdev: float
    """Clipped scatter of the overscan about the level (ADU): the read noise."""


def fit_overscan(pixels: npt.NDArray[np.floating], config: OverscanConfig) -> OverscanFit:
    """Fit the overscan of one amplifier.

    Parameters
    ----------
    pixels
        (rows, columns) overscan, ADU; the first column is the one next to the data.
    config
        How.

    Raises
    ------
    TaskError
        When no pixel is left to fit.
    """
    stop = pixels.shape[1] - config.trailing_columns_to_skip
    data = np.asarray(pixels[:, config.leading_columns_to_skip : stop], dtype=np.float64)
    if data.size == 0:
        raise TaskError(
            f"the overscan has {pixels.shape[1]} columns, and none is left after skipping "
            f"{config.leading_columns_to_skip} leading and {config.trailing_columns_to_skip} trailing ones"
        )
    data = np.where(np.isfinite(data), data, np.nan)
    if np.isnan(data).all():
        raise TaskError("the overscan has no pixel with a finite value")
    data = np.where(np.abs(data - np.nanmedian(data)) <= config.max_deviation, data, np.nan)
    level = _level(data, config)
    residual = _clip(data - level[:, None], config.num_sigma_clip)
    return OverscanFit(level, float(level.mean()), float(np.nanstd(residual)))


def _level(data: npt.NDArray[np.float64], config: OverscanConfig) -> npt.NDArray[np.float64]:
    kind = config.fit_type
    rows = len(data)
    if kind == "MEDIAN":
        return np.full(rows, np.nanmedian(data))
    if kind in ("MEAN", "MEANCLIP"):
        return np.full(rows, np.nanmean(data if kind == "MEAN" else _clip(data, config.num_sigma_clip)))
    # Rows without a good pixel take the level of the whole.
    whole = np.nanmedian(data)
    filled = np.where(np.isnan(data).all(axis=1, keepdims=True), whole, data)
    if kind == "MEDIAN_PER_ROW":
        return np.asarray(np.nanmedian(filled, axis=1))
    per_row = np.nanmean(_clip_rows(filled, config.num_sigma_clip), axis=1)
    if kind == "MEAN_PER_ROW":
        return np.asarray(per_row)
    series = {
        "POLY": np.polynomial.Polynomial,
        "CHEB": np.polynomial.Chebyshev,
        "LEG": np.polynomial.Legendre,
    }[kind]
    where = np.arange(rows, dtype=np.float64)
    keep = np.ones(rows, dtype=bool)
    for _ in range(3):
        fitted = series.fit(where[keep], per_row[keep], min(config.order, int(keep.sum()) - 1), domain=[0, rows])
        level = np.asarray(fitted(where))
        scatter = (per_row - level)[keep].std()
        keep = np.abs(per_row - level) <= max(config.num_sigma_clip * scatter, 1e-9)
    return level


def _clip(data: npt.NDArray[np.float64], num_sigma: float) -> npt.NDArray[np.float64]:
    """Replace outliers by NaN, three times over."""
    for _ in range(3):
        middle, spread = np.nanmedian(data), np.nanstd(data)
        data = np.where(np.abs(data - middle) <= num_sigma * spread + 1e-9, data, np.nan)
    return data


def _clip_rows(data: npt.NDArray[np.float64], num_sigma: float) -> npt.NDArray[np.float64]:
    middle = np.nanmedian(data, axis=1, keepdims=True)
    low, high = np.nanpercentile(data, [25, 75], axis=1, keepdims=True)
    # One scatter for all rows: that of a single one is too uncertain to reject by.
    spread = np.median(0.7413 * (high - low))
    return np.where(np.abs(data - middle) <= max(num_sigma * spread, 1.0), data, np.nan)
