"""A camera's description: YAML that an astronomer writes, checked, as dataclasses.

``arcsat.yaml`` and ``simcam.yaml`` beside this file show every part of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from math import isfinite
from string import Formatter
from typing import Any

from ..model.dimensions import default_universe
from ..model.errors import ConfigError, closest
from .rules import UNITS, Rule
from .times import SCALES, TIME_FORMATS

__all__ = ["AmplifierDescription", "CameraDescription", "DetectorDescription", "FilterDescription", "describe"]

Box = tuple[int, int, int, int]

_PER = ("exposure", "second")
_FIRST = ("id", "observation_type", "exposure_time", "physical_filter")  # without these there is no exposure
_DERIVED = ("day_obs", "timespan", "instrument")  # follow from the time and the name


@dataclass(frozen=True, slots=True)
class AmplifierDescription:
    """A part of a detector with electronics of its own. Boxes are (x0, y0, width, height), pixels counted from 0."""

    name: str
    data: Box
    """Where its exposed pixels lie in the raw frame."""
    overscan: Box | None
    """Where its overscan lies in the raw frame."""
    position: tuple[int, int]
    """Where the first of its exposed pixels lies in the detector's trimmed image."""
    gain: float
    """Electrons per ADU."""
    read_noise: float
    """Electrons."""
    saturation: float
    """Raw level in ADU from which on a pixel tells nothing."""
    flip: tuple[bool, bool]
    """Whether its raw pixels run against x, against y."""


@dataclass(frozen=True, slots=True)
class DetectorDescription:
    """One detector of a camera."""

    id: int
    full_name: str
    purpose: str
    serial: str
    pixel_scale: float | None
    """Arcseconds per pixel."""
    amplifiers: tuple[AmplifierDescription, ...]


@dataclass(frozen=True, slots=True)
class FilterDescription:
    """A filter as it is mounted, and the band that it belongs to."""

    physical: str
    band: str


@dataclass(frozen=True, slots=True)
class CameraDescription:
    """All that a YAML file says of a camera."""

    name: str
    doc: str
    detectors: tuple[DetectorDescription, ...]
    filters: tuple[FilterDescription, ...]
    time: Rule
    """Where the time comes from."""
    time_format: str
    time_scale: str
    time_marks: str
    """Which instant of the exposure the time is: ``start``, ``middle`` or ``end``."""
    day_offset: int
    """Seconds after midnight TAI at which an observing day begins; negative for before."""
    detector: Rule
    """Which detector a header belongs to: its id or full name."""
    exposure: Mapping[str, Rule]
    """A rule for each field of an exposure's record."""
    has_wcs: bool
    """Whether frames of the sky carry a WCS."""
    zero_point: Rule | None
    """Magnitude of one ADU a second, or of one ADU in the whole exposure."""
    zero_point_per_second: bool


class _Section:
    """A mapping of the description that knows its place in it, and tells which of its keys nobody asked for."""

    def __init__(self, content: Any, place: str, source: str):
        self.place = place
        self.source = source
        if not isinstance(content, Mapping):
            raise self.error("", f"must be a mapping of names to values, not {content!r}")
        self.content = content
        self.asked: set[str] = set()

    def error(self, key: str, text: str) -> ConfigError:
        where = ".".join(part for part in (self.place, key) if part)
        return ConfigError(f"{self.source}: {where or 'the camera description'} {text}")

    def take(self, key: str, default: Any = ...) -> Any:
        self.asked.add(key)
        if key not in self.content:
            if default is ...:
                near = closest(key, (str(given) for given in self.content))
                raise self.error(key, f"is missing.{near}")
            return default
        return self.content[key]

    def text(self, key: str, default: Any = ..., choices: tuple[str, ...] = ()) -> str:
        value = self.take(key, default)
        if not isinstance(value, str):
            hint = (
                " (YAML takes y, n, on and off for true and false: put it in quotes)" if isinstance(value, bool) else ""
            )
            raise self.error(key, f"must be text, not {value!r}{hint}")
        if choices and value not in choices:
            raise self.error(key, f"must be one of {', '.join(choices)}, not {value!r}.{closest(value, choices)}")
        return value

    def number(self, key: str, default: Any = ..., positive: bool = False) -> float:
        value = self.take(key, default)
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
        if not is_number or (positive and not value > 0):
            raise self.error(key, f"must be a {'positive ' if positive else ''}number, not {value!r}")
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        value = self.take(key, default)
        if not isinstance(value, bool):
            raise self.error(key, f"must be true or false, not {value!r}")
        return value

    def integers(self, key: str, count: int, default: Any = ...) -> tuple[int, ...]:
        value = self.take(key, default)
        whole = isinstance(value, list) and all(isinstance(n, int) and not isinstance(n, bool) for n in value)
        if not whole or len(value) != count or any(n < 0 for n in value):
            raise self.error(key, f"must be a list of {count} whole numbers from 0, not {value!r}")
        return tuple(value)

    def section(self, key: str, default: Any = ...) -> _Section:
        return _Section(self.take(key, default), f"{self.place}.{key}".lstrip("."), self.source)

    def sections(self, key: str) -> list[_Section]:
        value = self.take(key)
        if not isinstance(value, list) or not value:
            raise self.error(key, f"must be a list with at least one entry, not {value!r}")
        place = f"{self.place}.{key}".lstrip(".")
        return [_Section(one, f"{place}[{i}]", self.source) for i, one in enumerate(value)]

    def done(self) -> None:
        for key in self.content:
            if key not in self.asked:
                known = sorted(self.asked)
                raise self.error(str(key), f"means nothing here.{closest(str(key), known)} Known: {', '.join(known)}")


def describe(content: Any, source: str = "camera description") -> CameraDescription:
    """Check what a YAML file holds and make a `CameraDescription` of it.

    Parameters
    ----------
    content
        The mapping that the YAML file holds.
    source
        The file's name, for messages.

    Raises
    ------
    ConfigError
        A part is missing, unknown, of the wrong kind or contradicts another; the message names its place.
    """
    top = _Section(content, "", source)
    time, day = top.section("time"), top.section("day_obs", {})
    zero_point = top.section("zero_point") if "zero_point" in top.content else None
    described = CameraDescription(
        name=top.text("name"),
        doc=top.text("doc", ""),
        detectors=tuple(_detector(one) for one in top.sections("detectors")),
        filters=tuple(_filter(one) for one in top.sections("filters")),
        time_format=time.text("format", "isot", TIME_FORMATS),
        time_scale=time.text("scale", "utc", SCALES),
        time_marks=time.text("marks", "start", ("start", "middle", "end")),
        time=_rule(time, "time", "str" if time.content.get("format", "isot") == "isot" else "float"),
        day_offset=round(day.number("begins_at_hour", 0) * 3600),
        detector=_rule(top.section("detector"), "detector", "str"),
        exposure=_exposure(top.section("exposure")),
        has_wcs=top.flag("wcs", False),
        zero_point_per_second=zero_point is not None and zero_point.text("per", "exposure", _PER) == "second",
        zero_point=None if zero_point is None else _rule(zero_point, "zero_point", "float"),
    )
    for section in (top, day):
        section.done()
    names: dict[str, list[Any]] = {
        "detectors.id": [one.id for one in described.detectors],
        "detectors.full_name": [one.full_name for one in described.detectors],
        "filters.physical": [one.physical for one in described.filters],
    }
    for key, values in names.items():
        if twice := {value for value in values if values.count(value) > 1}:
            raise top.error(key, f"{twice.pop()!r} is given twice")
    return described


def _filter(section: _Section) -> FilterDescription:
    made = FilterDescription(section.text("physical"), section.text("band"))
    section.done()
    return made


def _detector(section: _Section) -> DetectorDescription:
    number = section.take("id")
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise section.error("id", f"must be a whole number from 0, not {number!r}")
    made = DetectorDescription(
        id=number,
        full_name=section.text("full_name"),
        purpose=section.text("purpose", "SCIENCE"),
        serial=section.text("serial", ""),
        pixel_scale=section.number("pixel_scale", positive=True) if "pixel_scale" in section.content else None,
        amplifiers=tuple(_amplifier(one) for one in section.sections("amplifiers")),
    )
    section.take("pixel_scale", None)
    section.done()
    _check_amplifiers(section, made.amplifiers)
    return made


def _check_amplifiers(section: _Section, amplifiers: tuple[AmplifierDescription, ...]) -> None:
    """Refuse amplifiers of one name, and such that read the same pixels or fill the same part of the detector."""
    for one, other in combinations(amplifiers, 2):
        if one.name == other.name:
            raise section.error("amplifiers", f"{one.name!r} is given twice")
        if _overlap((*one.position, *one.data[2:]), (*other.position, *other.data[2:])):
            raise section.error(
                "amplifiers",
                f"{one.name!r} at position {list(one.position)} and {other.name!r} at {list(other.position)} overlap "
                "in the detector's image: position is where an amplifier's pixels begin there",
            )
    boxes = [
        (amp.name, what, box) for amp in amplifiers for what, box in (("data", amp.data), ("overscan", amp.overscan))
    ]
    for (name, what, box), (another, that, beside) in combinations(boxes, 2):
        if box is not None and beside is not None and "data" in (what, that) and _overlap(box, beside):
            raise section.error(
                "amplifiers", f"the {what} of {name!r} and the {that} of {another!r} overlap in the raw frame"
            )


def _overlap(one: Box, other: Box) -> bool:
    return all(one[i] < other[i] + other[i + 2] and other[i] < one[i] + one[i + 2] for i in (0, 1))


def _amplifier(section: _Section) -> AmplifierDescription:
    data = section.integers("data", 4)
    overscan = section.integers("overscan", 4) if "overscan" in section.content else None
    flips = section.take("flip", "none")
    if flips not in ("none", "x", "y", "xy"):
        raise section.error("flip", f"must be none, x, y or xy, not {flips!r}")
    for key, box in (("data", data), ("overscan", overscan)):
        if box is not None and 0 in box[2:]:
            raise section.error(key, f"must be [x0, y0, width, height] with a size, not {list(box)}")
    position = section.integers("position", 2, [0, 0])
    made = AmplifierDescription(
        name=section.text("name"),
        data=(data[0], data[1], data[2], data[3]),
        overscan=None if overscan is None else (overscan[0], overscan[1], overscan[2], overscan[3]),
        position=(position[0], position[1]),
        gain=section.number("gain", positive=True),
        read_noise=section.number("read_noise", positive=True),
        saturation=section.number("saturation", positive=True),
        flip=("x" in flips, "y" in flips),
    )
    section.take("overscan", None)
    section.done()
    return made


def _exposure(section: _Section) -> dict[str, Rule]:
    columns = {c.name: c.type for c in default_universe()["exposure"].columns if c.name not in _DERIVED}
    for name in _FIRST:
        section.take(name)
    for name in section.content:
        if name not in columns:
            raise section.error(
                str(name), f"is no field of an exposure.{closest(str(name), columns)} Known: {', '.join(columns)}"
            )
    return {name: _rule(section.section(name), f"exposure.{name}", columns[name]) for name in section.content}


def _rule(section: _Section, name: str, value_type: str) -> Rule:
    keys = section.take("key", [])
    keys = [keys] if isinstance(keys, str) else keys
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise section.error("key", f"must be a header key, or a list of them in the order to try, not {keys!r}")
    text = section.text("text", "")
    time = section.text("time", "")
    sources = [bool(keys), bool(text), bool(time), "constant" in section.content]
    if sum(sources) != 1:
        raise section.error("", "needs exactly one of key, text, time and constant")
    if text:
        keys = [part[1] for part in Formatter().parse(text) if part[1] is not None]
        if not keys or not all(re.fullmatch(r"[A-Z0-9_-]+", key) for key in keys):
            raise section.error("text", f"must hold header keys in braces, such as {{OBJECT}}, not {text!r}")
    unit = section.text("unit", "")
    if unit and unit not in UNITS:
        raise section.error("unit", f"must be one of {', '.join(UNITS)}, not {unit!r}.{closest(unit, UNITS)}")
    of_type = _check_type(section, value_type)
    values = section.section("values", {})
    defaults = section.section("default_for", {})
    fixed = "constant" if "constant" in section.content else "default"
    made = Rule(
        name=name,
        type=value_type,
        keys=tuple(keys),
        unit=unit,
        values={str(said).strip().lower(): of_type("values", meant) for said, meant in values.content.items()},
        time=time,
        text=text,
        fixed=fixed == "constant",
        has_default="default" in section.content or "constant" in section.content,
        default=of_type(fixed, section.take("constant", section.take("default", None))),
        default_for={str(kind): of_type("default_for", value) for kind, value in defaults.content.items()},
    )
    section.done()
    return made


def _check_type(section: _Section, value_type: str) -> Callable[[str, Any], Any]:
    kinds: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "str": (str,), "bool": (bool,)}

    def checked(key: str, value: Any) -> Any:
        allowed = (int, str) if section.place == "detector" else kinds[value_type]
        if value is None or (isinstance(value, allowed) and isinstance(value, bool) == (value_type == "bool")):
            return float(value) if value_type == "float" and isinstance(value, int) else value
        raise section.error(key, f"must be of type {value_type}, not {value!r}")

    return checked
