"""The photometric zero point of a frame, from its header."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..imaging.photo_calib import PhotoCalib
from ..model.errors import ConfigError, HeaderError
from ..tasks import Config, Field

if TYPE_CHECKING:
    from ..imaging.exposure import Exposure


class ZeroPointConfig(Config):
    """Where the header keeps the zero point; without a key the camera's description says."""

    key: str = Field(default="", description="Header key; empty: the one that the camera's description names.")
    per_second: bool = Field(default=True, description="Whether it is for one second, not the exposure.")
    counts_are_adu: bool = Field(default=True, description="Whether it is for ADU, not for electrons.")


def photo_calib_from_header(
    exposure: Exposure, config: ZeroPointConfig, description: Mapping[str, Any] | None = None
) -> PhotoCalib | None:
    """Calibrate an exposure by the zero point that its header gives.

    A calibration that the exposure has already is kept. The header's value, as observatories write it, is the magnitude
    of one ADU, mostly per second; the exposure's pixels are ADU times ``ISRGAIN``, over the whole exposure.

    Parameters
    ----------
    exposure
        With metadata (``ISRGAIN``) and visit_info (exposure time, instrument).
    config
        Where to look.
    description
        The camera's description, as its YAML file says it; without one, that of a camera that is shipped.

    Returns
    -------
    PhotoCalib or None
        None where there is no zero point.

    Raises
    ------
    HeaderError
        The header's value is no number.
    ConfigError
        The description is no camera's.
    """
    if exposure.photo_calib is not None:
        return exposure.photo_calib
    magnitude = _from_key(exposure, config) if config.key else _from_description(exposure, description)
    if magnitude is None:
        return None
    gain = exposure.metadata.get("ISRGAIN", 1.0)
    if not isinstance(gain, int | float) or not gain > 0:
        raise HeaderError(f"header key ISRGAIN is {gain!r}; it must be the gain that signature removal applied")
    if config.key and not config.counts_are_adu:
        gain = 1.0
    return PhotoCalib.from_zero_point(magnitude + 2.5 * math.log10(gain))


def _from_key(exposure: Exposure, config: ZeroPointConfig) -> float | None:
    value = exposure.metadata.get(config.key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise HeaderError(f"header key {config.key} is {value!r}; a zero point is a number of magnitudes")
    seconds = exposure.visit_info.exposure_time if exposure.visit_info is not None else math.nan
    if not config.per_second:
        return float(value)
    if not seconds > 0:
        raise HeaderError(f"header key {config.key} holds for one second, and the exposure time is not known")
    return float(value) + 2.5 * math.log10(seconds)


def _from_description(exposure: Exposure, description: Mapping[str, Any] | None) -> float | None:
    """Ask the description of the camera: the one that is given, or one that is shipped."""
    from ..instruments.instrument import Instrument

    if description is not None:
        return Instrument.from_dict(description).zero_point(exposure.metadata)
    name = exposure.visit_info.instrument if exposure.visit_info is not None else ""
    if not name:
        return None
    try:
        instrument = Instrument.load(name)
    except ConfigError:
        return None
    return instrument.zero_point(exposure.metadata)
