"""How one value is taken from a frame's header: the rules that a camera's description is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import acos, degrees
from pathlib import Path
from typing import Any

from ..model.errors import HeaderError, closest

__all__ = ["UNITS", "Frame", "Rule", "header_error"]


def _sexagesimal(value: str | float) -> float:
    """Return what ``-05 36 12.5`` or ``16:41:41`` says, in its first part's unit; a number is taken as it is."""
    if not isinstance(value, str):
        return float(value)
    parts = value.replace(":", " ").split()
    if not 1 <= len(parts) <= 3 or any(part.startswith(("-", "+")) for part in parts[1:]):
        raise ValueError(value)
    size = sum(abs(float(part)) / 60.0**i for i, part in enumerate(parts))
    return -size if parts[0].startswith("-") else size


def _zenith_from_airmass(value: str | float) -> float:
    airmass = float(value)
    if airmass < 0.99:
        raise ValueError(value)
    return degrees(acos(min(1.0, 1.0 / airmass)))


UNITS: dict[str, Callable[[Any], float]] = {
    "s": float,
    "ms": lambda value: float(value) / 1e3,
    "min": lambda value: float(value) * 60.0,
    "deg": float,
    "rad": lambda value: degrees(float(value)),
    "hours": lambda value: _sexagesimal(value) * 15.0,
    "sexagesimal deg": _sexagesimal,
    "airmass": _zenith_from_airmass,
    "altitude deg": lambda value: 90.0 - float(value),
}
"""Units that a header may keep a number in, and how it becomes seconds or degrees.

``hours`` and ``sexagesimal deg`` also take texts such as ``16 41 41.0``; ``airmass`` becomes the zenith angle of a
plane-parallel atmosphere, arccos(1/airmass).
"""


@dataclass(frozen=True, slots=True)
class Frame:
    """A header on its way to become records."""

    header: Mapping[str, Any]
    """Keys of the detector's own HDU, then of the primary one."""
    path: Path | str
    """The file, for messages."""
    instrument: str
    """The camera's name, for messages."""
    start: datetime | None = None
    """Start of the exposure in UTC, once known."""
    observation_type: str = ""
    """What kind of frame it is, once known."""


def header_error(frame: Frame, text: str) -> HeaderError:
    """Make the error that names the file."""
    return HeaderError(f"{frame.path}: {text}")


@dataclass(frozen=True, slots=True)
class Rule:
    """Where one field of a record comes from; `of` takes it from a header."""

    name: str
    """The field, for messages (``exposure.target_name``)."""
    type: str
    """``int``, ``float``, ``str`` or ``bool``."""
    keys: tuple[str, ...] = ()
    """Header keys, tried in order; one that is absent, undefined or blank is passed over."""
    unit: str = ""
    """One of `UNITS`; empty to take the number as it is."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """What each text (lower case) in the header means; no other text is allowed then."""
    time: str = ""
    """Instead of keys: a `datetime.strftime` format for the start of the exposure in UTC."""
    text: str = ""
    """A text with header keys in braces (``{PROGRAM}-{SEQ:04d}``), all of which are needed; `keys` names them."""
    fixed: bool = False
    """Whether `default` is a constant, whatever the header says."""
    has_default: bool = False
    """Whether a header without the keys is right, and gives `default`."""
    default: Any = None
    """The value then."""
    default_for: Mapping[str, Any] = field(default_factory=dict)
    """Defaults for single observation types, as ``bias`` frames have no filter."""

    def of(self, frame: Frame) -> Any:
        """Return the field's value for a frame.

        Raises
        ------
        HeaderError
            The header has none of the keys and there is no default, or its value is not of the field's type, or not
            one of `values`.
        """
        if self.fixed:
            return self.default
        if self.time:
            if frame.start is None:
                raise header_error(frame, f"{self.name} is made of the start of the exposure, which is not known yet")
            return self._typed(frame, frame.start.strftime(self.time), "the start time")
        found = {key: frame.header[key] for key in self.keys if key in frame.header}
        found = {key: value for key, value in found.items() if value is not None and value != ""}
        if self.text and len(found) == len(self.keys):
            return self._filled(frame, found)
        if found and not self.text:
            return self._converted(frame, *next(iter(found.items())))
        if frame.observation_type in self.default_for:
            return self.default_for[frame.observation_type]
        if self.has_default:
            return self.default
        missing = [key for key in self.keys if key not in found]
        blank = [key for key in missing if key in frame.header]
        said = f"{blank[0]} is blank" if blank else f"the header has no {' or '.join(missing)}"
        raise header_error(
            frame, f"{said}; {frame.instrument} takes {self.name} from it.{closest(missing[0], frame.header)}"
        )

    def _filled(self, frame: Frame, found: Mapping[str, Any]) -> str:
        try:
            return self.text.format_map(found)
        except (ValueError, TypeError) as error:
            raise header_error(frame, f"{dict(found)} does not fit {self.text!r} of {self.name} ({error})") from error

    def _converted(self, frame: Frame, key: str, value: Any) -> Any:
        if self.values:
            meant = self.values.get(str(value).strip().lower())
            if meant is None:
                known = ", ".join(repr(text) for text in self.values)
                raise header_error(
                    frame, f"{key} is {value!r}, which {frame.instrument} does not know as {self.name}; known: {known}"
                )
            return meant
        if self.unit:
            try:
                return UNITS[self.unit](value)
            except (ValueError, TypeError) as error:
                raise header_error(frame, f"{key} is {value!r}, which is no value in {self.unit}") from error
        return self._typed(frame, value, key)

    def _typed(self, frame: Frame, value: Any, source: str) -> Any:
        try:
            if self.type == "str":
                return str(value).strip()
            if self.type == "float" and not isinstance(value, bool):
                return float(value)
            if self.type == "int" and not isinstance(value, bool) and int(value) == float(value):
                return int(value)
        except (ValueError, TypeError):
            pass
        if self.type == "bool" and isinstance(value, bool):
            return value
        kinds = {"int": "a whole number", "float": "a number", "bool": "T or F"}
        raise header_error(frame, f"{source} is {value!r}, and {self.name} must be {kinds[self.type]}")
