"""What read the pixels out: amplifiers, detectors, cameras."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from ..model.errors import closest
from ..model.lsst_names import LsstNames
from .describe import Described, Facts, Part, Table
from .geometry import Box2I

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Amplifier", "Camera", "Detector"]


@dataclass(frozen=True, slots=True, repr=False)
class Amplifier(Described, LsstNames):
    """One output of a detector: where its pixels stand in the raw frame and in the trimmed one."""

    name: str
    """Unique within its detector."""
    bbox: Box2I
    """Its pixels in the trimmed, assembled detector."""
    raw_bbox: Box2I
    """All of its pixels in the raw frame, prescan and overscan too."""
    raw_data_bbox: Box2I
    """Its light-sensitive pixels in the raw frame."""
    raw_serial_overscan_bbox: Box2I | None = None
    """Its overscan in the raw frame; None without one."""
    gain: float = 1.0
    """Electrons per ADU."""
    read_noise: float = 0.0
    """Electrons, one standard deviation."""
    saturation: float = float("inf")
    """ADU at and above which a pixel is saturated."""
    flip_x: bool = False
    """Whether the raw data section is mirrored left to right in the trimmed detector."""
    flip_y: bool = False
    """Whether it is mirrored top to bottom."""

    def __post_init__(self) -> None:
        if self.bbox.dimensions != self.raw_data_bbox.dimensions:
            raise ValueError(
                f"Amplifier {self.name}: the data section has {self.raw_data_bbox.dimensions} pixels in the raw "
                f"frame and {self.bbox.dimensions} in the trimmed one; they must be the same pixels."
            )
        for what in ("raw_data_bbox", "raw_serial_overscan_bbox"):
            box = getattr(self, what)
            if box is not None and not self.raw_bbox.contains(box):
                raise ValueError(f"Amplifier {self.name}: {what} {box} is not within its raw_bbox {self.raw_bbox}.")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, boxes as ``[x, y, width, height]``."""
        return {
            "name": self.name,
            "bbox": self.bbox.to_list(),
            "raw_bbox": self.raw_bbox.to_list(),
            "raw_data_bbox": self.raw_data_bbox.to_list(),
            "raw_serial_overscan_bbox": (
                None if self.raw_serial_overscan_bbox is None else self.raw_serial_overscan_bbox.to_list()
            ),
            "gain": self.gain,
            "read_noise": self.read_noise,
            "saturation": None if self.saturation == float("inf") else self.saturation,
            "flip_x": self.flip_x,
            "flip_y": self.flip_y,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Make an amplifier of what `to_dict` gave."""
        values = dict(content)
        for what in ("bbox", "raw_bbox", "raw_data_bbox"):
            values[what] = Box2I.from_list(values[what])
        overscan = values["raw_serial_overscan_bbox"]
        values["raw_serial_overscan_bbox"] = None if overscan is None else Box2I.from_list(overscan)
        if values["saturation"] is None:
            values["saturation"] = float("inf")
        return cls(**values)

    def _state(self) -> Iterable[str]:
        size = f"{self.bbox.width}x{self.bbox.height} at ({self.bbox.min_x}, {self.bbox.min_y})"
        return repr(self.name), size, f"gain={self.gain:g}", f"read_noise={self.read_noise:g}"

    def _parts(self) -> Iterable[Part]:
        facts = {
            "pixels": repr(self.bbox),
            "raw pixels": repr(self.raw_bbox),
            "of these, data": repr(self.raw_data_bbox),
            "of these, overscan": repr(self.raw_serial_overscan_bbox or "none"),
            "gain": f"{self.gain:g} electrons/ADU",
            "read noise": f"{self.read_noise:g} electrons",
            "saturation": f"{self.saturation:g} ADU",
            "mirrored": ", ".join(axis for axis, is_so in (("x", self.flip_x), ("y", self.flip_y)) if is_so) or "no",
        }
        return (Facts(facts),)


@dataclass(frozen=True, slots=True, repr=False)
class Detector(Described, LsstNames):
    """One detector: its trimmed size, and its amplifiers, by position or by name."""

    id: int
    """Unique within its camera."""
    name: str
    """Unique within its camera."""
    bbox: Box2I
    """Trimmed pixels."""
    amplifiers: tuple[Amplifier, ...] = ()
    """At least one where raw frames are to be processed."""
    serial: str = ""
    """What the maker wrote on it."""
    pixel_scale: float | None = None
    """Arcseconds per pixel; None where it is not known."""

    VERSION: ClassVar[int] = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "amplifiers", tuple(self.amplifiers))
        names = [amplifier.name for amplifier in self.amplifiers]
        if len(set(names)) != len(names):
            raise ValueError(f"Detector {self.name}: each amplifier needs a name of its own, not {names}.")

    @property
    def raw_bbox(self) -> Box2I:
        """The smallest box around every amplifier's raw pixels."""
        box = Box2I()
        for amplifier in self.amplifiers:
            box = box.expanded_to(amplifier.raw_bbox)
        return box

    def __getitem__(self, key: int | str) -> Amplifier:
        if isinstance(key, int):
            return self.amplifiers[key]
        for amplifier in self.amplifiers:
            if amplifier.name == key:
                return amplifier
        names = [amplifier.name for amplifier in self.amplifiers]
        raise KeyError(f"Detector {self.name} has no amplifier {key!r}, only {names}.{closest(key, names)}")

    def __iter__(self) -> Iterator[Amplifier]:
        return iter(self.amplifiers)

    def __len__(self) -> int:
        return len(self.amplifiers)

    def __bool__(self) -> bool:
        return True

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; see `Amplifier.to_dict`."""
        return {
            "id": self.id,
            "name": self.name,
            "bbox": self.bbox.to_list(),
            "amplifiers": [amplifier.to_dict() for amplifier in self.amplifiers],
            "serial": self.serial,
            "pixel_scale": self.pixel_scale,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Make a detector of what `to_dict` gave."""
        amplifiers = tuple(Amplifier.from_dict(amplifier) for amplifier in content["amplifiers"])
        return cls(**{**content, "bbox": Box2I.from_list(content["bbox"]), "amplifiers": amplifiers})

    def _state(self) -> Iterable[str]:
        yield from (str(self.id), repr(self.name), f"{self.bbox.width}x{self.bbox.height}")
        yield f"{len(self)} amplifiers"
        if self.pixel_scale is not None:
            yield f"{self.pixel_scale:g} arcsec/pixel"

    def _parts(self) -> Iterable[Part]:
        names = ("amplifier", "x", "y", "width", "height", "gain", "read noise", "saturation")
        units = ("", "pixel", "pixel", "pixel", "pixel", "e/ADU", "e", "ADU")
        rows = [
            (
                amplifier.name,
                *map(str, amplifier.bbox.to_list()),
                _number(amplifier.gain),
                _number(amplifier.read_noise),
                _number(amplifier.saturation),
            )
            for amplifier in self.amplifiers
        ]
        return (Table(names, rows, units),)


class Camera(Described, LsstNames, Mapping[int, Detector]):
    """The detectors of an instrument, by id; looked up by name, too.

    Parameters
    ----------
    name
        The instrument.
    detectors
        Each with an id and a name of its own, and with amplifiers inside.

    Raises
    ------
    ValueError
        If an id or a name is given twice, or an amplifier lies outside of its detector.
    """

    VERSION: ClassVar[int] = 1

    def __init__(self, name: str, detectors: Iterator[Detector] | tuple[Detector, ...] | list[Detector]) -> None:
        self.name = name
        given = list(detectors)
        self._by_id = {detector.id: detector for detector in given}
        self._by_name = {detector.name: detector for detector in given}
        if not len(given) == len(self._by_id) == len(self._by_name):
            listed = [(detector.id, detector.name) for detector in given]
            raise ValueError(f"Camera {name}: each detector needs an id and a name of its own, not {listed}.")
        for detector in given:
            for amplifier in detector:
                if not detector.bbox.contains(amplifier.bbox):
                    raise ValueError(
                        f"Camera {name}: amplifier {amplifier.name} of detector {detector.name} is not within "
                        f"{detector.bbox}."
                    )

    def __getitem__(self, key: int | str) -> Detector:
        found = self._by_name.get(key) if isinstance(key, str) else self._by_id.get(key)
        if found is None:
            known = [f"{detector.id} ({detector.name})" for detector in self._by_id.values()]
            raise KeyError(f"Camera {self.name} has no detector {key!r}; it has {', '.join(known)}.")
        return found

    def __contains__(self, key: object) -> bool:
        return key in self._by_id or key in self._by_name

    def __iter__(self) -> Iterator[int]:
        return iter(self._by_id)

    def __len__(self) -> int:
        return len(self._by_id)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the detectors and their names, with matplotlib; see `skybutler.imaging.camera_plot.plot_camera`."""
        from .camera_plot import plot_camera

        return plot_camera(self, ax)

    def _state(self) -> Iterable[str]:
        return repr(self.name), f"{len(self)} detectors"

    def _parts(self) -> Iterable[Part]:
        names = ("id", "name", "width", "height", "amplifiers", "arcsec/pixel", "serial")
        rows = [
            (
                str(detector.id),
                detector.name,
                str(detector.bbox.width),
                str(detector.bbox.height),
                str(len(detector)),
                _number(detector.pixel_scale),
                detector.serial,
            )
            for detector in self.values()
        ]
        return (Table(names, rows),)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; see `Detector.to_dict`."""
        return {"name": self.name, "detectors": [detector.to_dict() for detector in self.values()]}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Make a camera of what `to_dict` gave."""
        return cls(content["name"], [Detector.from_dict(detector) for detector in content["detectors"]])


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
