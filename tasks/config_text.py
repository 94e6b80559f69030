"""Configurations as text: Python that can be applied as overrides, and JSON that names its class."""

from __future__ import annotations

import json
import math
from typing import Any

from ..model.errors import ConfigError
from .class_path import class_path, load_class
from .config import Config, set_from
from .subtask import Subtask

__all__ = ["from_dict", "from_json", "to_dict", "to_json", "to_python"]


def to_python(config: Config) -> str:
    """Return all values as assignments to ``config``, each after its description.

    The text is a file of overrides: ``config.load(path)`` brings any configuration of the class to these values.
    """
    return f"# Configuration {class_path(type(config))}\n\n" + "\n".join(_assignments(config, "config")) + "\n"


def _assignments(config: Config, path: str) -> list[str]:
    lines = []
    for name, field in type(config).model_fields.items():
        value = config.__dict__[name]
        here = f"{path}.{name}"
        if field.description:
            lines += [f"# {line}" for line in field.description.splitlines()]
        if isinstance(value, Subtask):
            lines += [f"{here}.retarget({value.target_path!r})", "", *_assignments(value.config, here)]
        elif isinstance(value, Config):
            lines += ["", *_assignments(value, here)]
        else:
            lines += [f"{here} = {_literal(value)}", ""]
    return lines


def _literal(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return f"float({str(value)!r})"
    if isinstance(value, tuple):
        items = ", ".join(map(_literal, value))
        return f"({items},)" if len(value) == 1 else f"({items})"
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_literal(k)}: {_literal(v)}" for k, v in value.items()) + "}"
    return repr(value)


def to_json(config: Config) -> str:
    """Return the configuration as JSON that names its class and that ``from_json`` reads."""
    return json.dumps(to_dict(config), indent=1)


def to_dict(config: Config) -> dict[str, Any]:
    """Return the configuration as what JSON holds: its class's dotted path and nested values."""
    return {"class": class_path(type(config)), "values": _values(config)}


def from_json(text: str) -> Config:
    """Make a configuration of its JSON text.

    Raises
    ------
    ConfigError
        The text is not such JSON, its class cannot be imported, or a value does not fit the class of today.
    """
    try:
        stored = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"The text is not JSON: {error}.") from None
    return from_dict(stored)


def from_dict(stored: Any) -> Config:
    """Make a configuration of what ``to_dict`` gave, such as a stored ``<label>_config`` dataset.

    Raises
    ------
    ConfigError
        It is no such dictionary, its class cannot be imported, or a value does not fit the class of today.
    """
    if not isinstance(stored, dict) or stored.keys() != {"class", "values"}:
        raise ConfigError(f"A stored configuration has a class and values; this is {stored!r:.200}.")
    path, values = stored["class"], stored["values"]
    cls = load_class(path, ConfigError)
    if not (isinstance(cls, type) and issubclass(cls, Config)):
        raise ConfigError(f"{path!r} is no class of configurations.")
    config = cls()
    with set_from("stored configuration"):
        fill(config, values)
    return config


def fill(config: Config, values: dict[str, Any]) -> None:
    """Set values from nested dictionaries as JSON and YAML have them: lists stand for tuples too."""
    for name, value in values.items():
        current = getattr(config, name)
        if isinstance(current, Subtask) and isinstance(value, dict):
            if "task" in value:
                current.retarget(value["task"])
            inner = value.get("config", {}) if "task" in value or "config" in value else value
            fill(current.config, inner)
        elif isinstance(current, Config) and isinstance(value, dict):
            fill(current, value)
        else:
            setattr(config, name, value)


def _values(config: Config) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name in type(config).model_fields:
        value = config.__dict__[name]
        if isinstance(value, Subtask):
            result[name] = {"task": value.target_path, "config": _values(value.config)}
        elif isinstance(value, Config):
            result[name] = _values(value)
        else:
            result[name] = sorted(value) if isinstance(value, set | frozenset) else value
    return result
