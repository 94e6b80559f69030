"""Overrides of configurations: from Python, YAML and JSON files, from ``name=value`` strings, from mappings."""

from __future__ import annotations

import ast
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ..model.errors import ConfigError
from .config import Config, set_from
from .config_text import fill

__all__ = ["apply_assignment", "apply_file", "apply_mapping", "apply_python", "parse_assignment"]


def apply_file(config: Config, path: str | Path) -> None:
    """Apply a file of overrides.

    Parameters
    ----------
    config
        Configuration to change.
    path
        ``.py``: Python, run with ``config`` (and ``__file__``) in scope. ``.yaml``, ``.yml``, ``.json``: a mapping of
        (dotted) names, or nested mappings.

    Raises
    ------
    ConfigError
        The file cannot be read, or an override in it is wrong; the message has file and line.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"Configuration file {path} cannot be read: {error.strerror or error}.") from None
    if path.suffix in (".yaml", ".yml", ".json"):
        try:
            values = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"Configuration file {path} is not YAML: {' '.join(str(error).split())}") from None
        if isinstance(values, dict) and values.keys() == {"class", "values"}:  # what Config.save wrote
            values = values["values"]
        if not isinstance(values, dict | None):
            raise ConfigError(f"Configuration file {path} must hold a mapping of names to values, not {values!r}.")
        apply_mapping(config, values or {}, str(path))
    else:
        apply_python(config, text, str(path))


def apply_python(config: Config, code: str, filename: str = "<overrides>") -> None:
    """Run Python overrides with ``config`` in scope; every error is a ``ConfigError`` with the line at fault."""
    try:
        exec(compile(code, filename, "exec"), {"config": config, "__file__": filename})  # noqa: S102 - it is the format
    except SyntaxError as error:
        raise ConfigError(f"{filename}:{error.lineno}: {error.msg}.") from None
    except Exception as error:  # noqa: BLE001 - whatever a user's file raises is told with its line
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == filename]
        words = str(error) if isinstance(error, ConfigError) else f"{type(error).__name__}: {error}"
        raise ConfigError(f"{filename}:{lines[-1] if lines else '?'}: {words}") from None


def apply_mapping(config: Config, values: Mapping[str, Any], where: str) -> None:
    """Set values by dotted name; a mapping given to a subtask or a group of fields sets fields of it.

    Parameters
    ----------
    config
        Configuration to change.
    values
        As read from YAML or JSON.
    where
        What history and messages shall name as the origin.
    """
    for name, value in values.items():
        with set_from(where):
            try:
                holder, field = Config.resolve(config, str(name))
                fill(holder, {field: value})
            except ConfigError as error:
                raise type(error)(f"{where}: {error}") from None


def parse_assignment(text: str) -> tuple[str, Any]:
    """Split ``name=value``: the value is a Python literal where it is one, else the text itself.

    Raises
    ------
    ConfigError
        There is no ``=``, or no name before it.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ConfigError(f"{text!r} is no override; write name=value, as in doDark=False.")
    try:
        return name.strip(), ast.literal_eval(value.strip())
    except (ValueError, SyntaxError):
        return name.strip(), value.strip()


def apply_assignment(config: Config, text: str, where: str = "") -> None:
    """Apply one ``name=value`` string; ``where`` is its origin for the history, the text itself by default."""
    name, value = parse_assignment(text)
    apply_mapping(config, {name: value}, where or text)
