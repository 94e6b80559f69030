"""Raw headers to dimension records, as a camera's description says."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import log10
from pathlib import Path
from typing import Any

from ..model.errors import closest
from ..model.region import Region
from ..model.timespan import Timespan
from .description import CameraDescription, DetectorDescription
from .footprint import sky_positions
from .rules import Frame, header_error
from .times import day_of, tai_from_header, utc_datetime

__all__ = ["Observation", "observations", "zero_point"]

SKY_TYPES = frozenset({"science", "standard", "focus", "acquisition", "skyflat"})
"""Observation types whose frames see the sky, unless a description says otherwise."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One detector's frame: what a registry must know before it holds the raw."""

    detector: int
    """The detector's id."""
    exposure: dict[str, Any]
    """Row of ``exposure``: every column that the description gives, and instrument, day_obs, group and timespan."""
    day_obs: dict[str, Any]
    """Row of ``day_obs``."""
    group: dict[str, Any]
    """Row of ``group``."""
    region: Region | None
    """Where the detector looks, the outer edges of its exposed pixels; None for what sees no sky or has no WCS."""
    is_science: bool
    """Whether it is a frame that visits are made of."""
    hdu: int
    """Which HDU of the file holds its pixels, from 0."""


def observations(
    camera: CameraDescription, headers: Sequence[Mapping[str, Any]], path: Path | str
) -> list[Observation]:
    """Translate a file's headers, one observation an image that it holds.

    Parameters
    ----------
    camera
        The camera that took it.
    headers
        Headers of the file's HDUs, as `headers.read_headers` gives them; what an extension's header lacks is looked
        up in the primary one.
    path
        The file, for messages.

    Raises
    ------
    HeaderError
        There is no image, or a header lacks what the description needs, or says what cannot be; the message names
        the file and the key.
    """
    made = []
    primary = headers[0] if headers else {}
    for number, header in enumerate(headers):
        axes = header.get("NAXIS")
        is_table = "XTENSION" in header and header["XTENSION"] in ("BINTABLE", "TABLE")
        if isinstance(axes, int) and axes >= 2 and not is_table:
            inherited = header if number == 0 else ChainMap(dict(header), dict(primary))
            made.append(_observation(camera, Frame(inherited, path, camera.name), number))
    if not made:
        raise header_error(Frame(primary, path, camera.name), "no image in it, only headers")
    return made


def _observation(camera: CameraDescription, frame: Frame, hdu: int) -> Observation:
    detector = _detector(camera, frame)
    _check_size(camera, detector, frame)
    rules = camera.exposure
    kind: str = rules["observation_type"].of(frame)
    frame = replace(frame, observation_type=kind)
    exposure_time: float = rules["exposure_time"].of(frame)
    if exposure_time < 0:
        raise header_error(frame, f"exposure_time is {exposure_time} s, and cannot be negative")
    begin = _begin(camera, frame, exposure_time)
    frame = replace(frame, start=utc_datetime(begin))
    row = {name: rule.of(frame) for name, rule in rules.items()}
    day = day_of(begin, camera.day_offset)
    if row.get("obs_id") is None:
        row["obs_id"] = str(row["id"])
    if row.get("group") is None:
        row["group"] = row["obs_id"]
    if row.get("can_see_sky") is None:
        row["can_see_sky"] = kind in SKY_TYPES
    _check_filter(camera, frame, row["physical_filter"])
    row |= {
        "instrument": camera.name,
        "day_obs": day,
        # A bias takes no time, but a span without any would be of no day: it lasts its first nanosecond.
        "timespan": Timespan(begin, begin + max(1, round(1e9 * max(exposure_time, row.get("dark_time") or 0.0)))),
    }
    return Observation(
        detector=detector.id,
        exposure=row,
        day_obs={"instrument": camera.name, "id": day, "timespan": Timespan.from_day_obs(day, camera.day_offset)},
        group={"instrument": camera.name, "name": row["group"]},
        region=_region(detector, frame) if camera.has_wcs and row["can_see_sky"] else None,
        is_science=kind == "science",
        hdu=hdu,
    )


def _detector(camera: CameraDescription, frame: Frame) -> DetectorDescription:
    said = str(camera.detector.of(frame))
    for one in camera.detectors:
        if said in (one.full_name, str(one.id)):
            return one
    known = [one.full_name for one in camera.detectors]
    key = camera.detector.keys[0] if camera.detector.keys else "the detector"
    raise header_error(
        frame, f"{key} is {said!r}; {camera.name} has the detectors {', '.join(known)}.{closest(said, known)}"
    )


def _check_size(camera: CameraDescription, detector: DetectorDescription, frame: Frame) -> None:
    boxes = [box for amp in detector.amplifiers for box in (amp.data, amp.overscan) if box is not None]
    wanted = (max(x + width for x, _, width, _ in boxes), max(y + height for _, y, _, height in boxes))
    found = (frame.header.get("NAXIS1"), frame.header.get("NAXIS2"))
    if found != wanted:
        raise header_error(
            frame,
            f"NAXIS1 and NAXIS2 are {found[0]} x {found[1]}; detector {detector.full_name} of {camera.name} reads "
            f"{wanted[0]} x {wanted[1]} pixels (a binned frame or a part of one?)",
        )


def _begin(camera: CameraDescription, frame: Frame, exposure_time: float) -> int:
    """Return the start of the exposure in TAI nanoseconds."""
    value = camera.time.of(frame)
    try:
        ns = tai_from_header(value, camera.time_format, camera.time_scale)
    except ValueError as error:
        key = " or ".join(camera.time.keys)
        raise header_error(frame, f"{key} is {value!r}, which is no time ({camera.time_format})") from error
    since_start = {"start": 0.0, "middle": 0.5, "end": 1.0}[camera.time_marks] * exposure_time
    return ns - round(since_start * 1e9)


def _check_filter(camera: CameraDescription, frame: Frame, physical: str | None) -> None:
    known = [one.physical for one in camera.filters]
    if physical is not None and physical not in known:
        key = " or ".join(camera.exposure["physical_filter"].keys) or "physical_filter"
        raise header_error(
            frame, f"{key} is {physical!r}; {camera.name} has the filters {', '.join(known)}.{closest(physical, known)}"
        )


def _region(detector: DetectorDescription, frame: Frame) -> Region | None:
    if "CTYPE1" not in frame.header:
        return None
    boxes = [amp.data for amp in detector.amplifiers]
    # FITS counts pixel centres from 1: the first pixel's outer edge is at 0.5.
    left, bottom = min(box[0] for box in boxes) + 0.5, min(box[1] for box in boxes) + 0.5
    right, top = max(box[0] + box[2] for box in boxes) + 0.5, max(box[1] + box[3] for box in boxes) + 0.5
    corners = [(left, bottom), (right, bottom), (right, top), (left, top)]
    try:
        return Region.polygon(sky_positions(frame.header, corners))
    except KeyError as error:
        raise header_error(frame, f"the header has CTYPE1 but no {error.args[0]}: its WCS is incomplete") from error
    except ValueError as error:
        raise header_error(frame, f"its WCS means nothing ({error})") from error


def zero_point(camera: CameraDescription, header: Mapping[str, Any], path: Path | str) -> float | None:
    """Return the magnitude of a source that gives one ADU in the whole exposure; None where the header has none."""
    rule = camera.zero_point
    if rule is None or not any(key in header for key in rule.keys):
        return None
    frame = Frame(header, path, camera.name)
    magnitude: float = rule.of(frame)
    if not camera.zero_point_per_second:
        return magnitude
    frame = replace(frame, observation_type=camera.exposure["observation_type"].of(frame))
    exposure_time: float = camera.exposure["exposure_time"].of(frame)
    if exposure_time <= 0:
        raise header_error(frame, f"a zero point for one second, but an exposure time of {exposure_time} s")
    return magnitude + 2.5 * log10(exposure_time)
