"""Cameras: how raw headers become dimension records, and what is known of the detectors.

A camera is a YAML file (``arcsat.yaml``, ``simcam.yaml``; any other by its path): `Instrument.load` reads it,
`headers.read_headers` reads frames, and `Instrument.translate` brings the two together.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .headers import iter_headers, read_headers
    from .instrument import Instrument
    from .translate import Observation

__all__ = ["Instrument", "Observation", "iter_headers", "read_headers"]

_HOMES = {"Instrument": "instrument", "Observation": "translate", "iter_headers": "headers", "read_headers": "headers"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
