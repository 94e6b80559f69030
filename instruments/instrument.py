"""Instruments: cameras as YAML describes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..model.errors import ConfigError, closest
from .description import AmplifierDescription, CameraDescription, DetectorDescription, describe
from .translate import Observation, observations, zero_point

if TYPE_CHECKING:
    from ..imaging.detector import Amplifier, Camera, Detector

__all__ = ["Instrument"]

_LARGEST_ID = 2**63  # what an exposure's number is kept in


class Instrument:
    """A camera, and how its raw headers become records.

    Parameters
    ----------
    description
        What its YAML file says, checked.
    source
        The name or path that `load` finds it by again.
    content
        What the YAML file holds, as `to_dict` is to give it.
    """

    def __init__(self, description: CameraDescription, source: str = "", content: Mapping[str, Any] | None = None):
        self.description = description
        self.source = source
        self._content = dict(content or {})

    @staticmethod
    def shipped() -> list[str]:
        """Names of the cameras that come with SkyButler."""
        names = (entry.name for entry in files(__package__).iterdir())
        return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))

    @classmethod
    def load(cls, name: str | Path) -> Instrument:
        """Load a camera by the name of one that is shipped (in any case), or from a YAML file.

        Raises
        ------
        ConfigError
            No camera has that name, or the file is no camera's description; the message says where it is wrong.
        """
        import yaml

        known = cls.shipped()
        if str(name).lower() in known:
            source = str(name).lower()
            text = files(__package__).joinpath(f"{source}.yaml").read_text(encoding="utf-8")
        else:
            path = Path(name)
            if not path.is_file():
                raise ConfigError(
                    f"no camera {str(name)!r}: it is neither shipped ({', '.join(known)}) nor a YAML file."
                    f"{closest(str(name).lower(), known)}"
                )
            source = str(path.resolve())
            text = path.read_text(encoding="utf-8", errors="replace")
        try:
            content = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"{name}: not YAML ({' '.join(str(error).split())})") from error
        return cls(describe(content, str(name)), source, content)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], source: str = "camera description") -> Instrument:
        """Make a camera from what its YAML file would hold.

        Raises
        ------
        ConfigError
            The description is wrong; the message says where.
        """
        return cls(describe(content, source), source, content)

    def to_dict(self) -> dict[str, Any]:
        """Return what the camera's YAML file holds, keys as text: plain data, of which `from_dict` makes it again."""
        plain: dict[str, Any] = _plain(self._content)
        return plain

    @property
    def name(self) -> str:
        """The camera's name, as data IDs have it."""
        return self.description.name

    def camera(self) -> Camera:
        """Return the detectors with their amplifiers, for tasks that work on pixels."""
        from ..imaging.detector import Camera

        return Camera(self.name, [_detector(one) for one in self.description.detectors])

    def registration_records(self) -> dict[str, list[dict[str, Any]]]:
        """Return the rows by dimension element that a repository needs before it takes this camera's frames."""
        here = {"instrument": self.name}
        described = self.description
        largest = max(one.id for one in described.detectors)
        return {
            "instrument": [
                {
                    "name": self.name,
                    "visit_max": _LARGEST_ID - 1,
                    "visit_system": 0,
                    "exposure_max": _LARGEST_ID - 1,
                    "detector_max": largest + 1,
                    "class_name": self.source,
                }
            ],
            "detector": [
                here | {"id": one.id, "full_name": one.full_name, "purpose": one.purpose} for one in described.detectors
            ],
            "physical_filter": [here | {"name": one.physical, "band": one.band} for one in described.filters],
        }

    def translate(self, headers: Sequence[Mapping[str, Any]], path: Path | str) -> list[Observation]:
        """Translate the headers of a raw file, one observation an image that it holds.

        Parameters
        ----------
        headers
            What `headers.read_headers` gave for the file.
        path
            The file, for messages.

        Raises
        ------
        HeaderError
            A header lacks what the description needs, or says what cannot be; the message names file and key.
        """
        return observations(self.description, headers, path)

    def zero_point(self, header: Mapping[str, Any], path: Path | str = "header") -> float | None:
        """Return the magnitude of a source that gives one ADU in the whole exposure; None where the header has none.

        Raises
        ------
        HeaderError
            The header's value is no number, or it holds for one second and the exposure time is missing.
        """
        return zero_point(self.description, header, path)

    def __repr__(self) -> str:
        described = self.description
        bands = ", ".join(dict.fromkeys(one.band for one in described.filters))
        return f"Instrument({self.name!r}, {len(described.detectors)} detectors, bands {bands})"


def _plain(value: Any) -> Any:
    """Return YAML's values with text for keys, which may be numbers or true there and must be text in JSON."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def _detector(one: DetectorDescription) -> Detector:
    from ..imaging.detector import Detector
    from ..imaging.geometry import Box2I

    amplifiers = [_amplifier(amp) for amp in one.amplifiers]
    box = Box2I()
    for amplifier in amplifiers:
        box = box.expanded_to(amplifier.bbox)
    return Detector(one.id, one.full_name, box, tuple(amplifiers), serial=one.serial, pixel_scale=one.pixel_scale)


def _amplifier(amp: AmplifierDescription) -> Amplifier:
    from ..imaging.detector import Amplifier
    from ..imaging.geometry import Box2I
    from ..imaging.points import Extent2I, Point2I

    def box(x: int, y: int, width: int, height: int) -> Box2I:
        return Box2I(Point2I(x, y), Extent2I(width, height))

    overscan = None if amp.overscan is None else box(*amp.overscan)
    data = box(*amp.data)
    return Amplifier(
        name=amp.name,
        bbox=box(*amp.position, *amp.data[2:]),
        raw_bbox=data if overscan is None else data.expanded_to(overscan),
        raw_data_bbox=data,
        raw_serial_overscan_bbox=overscan,
        gain=amp.gain,
        read_noise=amp.read_noise,
        saturation=amp.saturation,
        flip_x=amp.flip[0],
        flip_y=amp.flip[1],
    )
