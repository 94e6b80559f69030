"""Small structured things as JSON or YAML: dicts, lists, pydantic models, and what gives itself as a dict."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...model.errors import FileFormatError, StorageClassError
from .formatter import ByteSink, Formatter, check_parameters, no_component, text_of

if TYPE_CHECKING:
    from ...model.storage_class import StorageClass

__all__ = ["JsonFormatter", "YamlFormatter"]

_MODEL = "Model"
_MODEL_KEY = "__model__"
"""Key under which a file of any pydantic model names the class that it is of."""


class JsonFormatter(Formatter):
    """Writes plain data, pydantic models and objects with ``to_dict``/``from_dict`` as JSON.

    numpy scalars and arrays are written as numbers and lists, tuples as lists, NaN and infinities as Python's ``NaN``
    and ``Infinity``. What JSON would change unseen (keys that are not text) or cannot hold is refused. A component is
    one key of a dict, or one item of a list.
    """

    name = "json"
    suffix = ".json"

    def write(self, obj: Any, sink: ByteSink, storage_class: "StorageClass", provenance: Mapping[str, Any]) -> None:
        """Write the object."""
        data = _plain(obj, storage_class)
        if storage_class.name == _MODEL:
            data = {_MODEL_KEY: f"{type(obj).__module__}.{type(obj).__qualname__}", **data}
        sink.write(self._encode(data, storage_class))

    def _encode(self, data: Any, storage_class: "StorageClass") -> bytes:
        try:
            return json.dumps(data, ensure_ascii=False).encode("utf-8", "surrogatepass")
        except (ValueError, RecursionError) as error:
            raise StorageClassError(f"storage class {storage_class.name!r} cannot hold this: {error}") from error

    def read(
        self, path: Path, storage_class: "StorageClass", component: str | None, parameters: Mapping[str, Any]
    ) -> Any:
        """Read the object, or one key of it."""
        check_parameters(parameters, (), storage_class)
        data = self._decode(text_of(path), path)
        if component is not None:
            return _part(data, component, storage_class)
        return _rebuilt(data, storage_class, path)

    def _decode(self, text: str, path: Path) -> Any:
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise FileFormatError(f"{path} is not JSON: {error}") from error


class YamlFormatter(JsonFormatter):
    """Writes the same things as YAML, for files that people edit."""

    name = "yaml"
    suffix = ".yaml"

    def _encode(self, data: Any, storage_class: "StorageClass") -> bytes:
        import yaml

        plain = json.loads(super()._encode(data, storage_class))  # numpy's numbers and enumerations become Python's
        text: str = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)
        return text.encode()

    def _decode(self, text: str, path: Path) -> Any:
        import yaml

        try:
            return yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise FileFormatError(f"{path} is not YAML: {error}") from error


def _plain(obj: Any, storage_class: "StorageClass", where: str = "") -> Any:
    """Return an object as what JSON holds; the given one is not changed."""
    if obj is None or isinstance(obj, str | bool | int | float):
        # subclasses too: json writes a numpy float64 or an IntEnum as the number that it is
        return obj
    if hasattr(obj, "to_dict"):
        return _plain(obj.to_dict(), storage_class, where)
    if isinstance(obj, Mapping):
        plain = {}
        for key, value in obj.items():
            if not isinstance(key, str):
                raise StorageClassError(
                    f"storage class {storage_class.name!r} is kept as JSON, whose keys are text: {where or 'it'} "
                    f"has the key {key!r}"
                )
            plain[key] = _plain(value, storage_class, f"{where}[{key!r}]")
        return plain
    if isinstance(obj, list | tuple):
        return [_plain(value, storage_class, f"{where}[{number}]") for number, value in enumerate(obj)]
    if hasattr(obj, "model_dump"):
        return obj.model_dump(mode="json")
    if hasattr(obj, "tolist"):  # numpy's scalars and arrays
        return _plain(obj.tolist(), storage_class, where)
    raise StorageClassError(
        f"storage class {storage_class.name!r} is kept as JSON, which cannot hold the {type(obj).__module__}."
        f"{type(obj).__qualname__} at {where or 'its top'}"
    )


def _part(data: Any, component: str, storage_class: "StorageClass") -> Any:
    """Return one key of a dict, or one item of a list."""
    if isinstance(data, dict) and component in data:
        return data[component]
    if isinstance(data, list) and component.isdecimal() and int(component) < len(data):
        return data[int(component)]
    count = len(data) if isinstance(data, list) else 0
    known = list(data) if isinstance(data, dict) else [str(number) for number in range(count)][:20]
    raise no_component(component, known, storage_class)


def _rebuilt(data: Any, storage_class: "StorageClass", path: Path) -> Any:
    """Make the storage class's type again from plain data."""
    if storage_class.name == _MODEL:
        return _model(data, path)
    if storage_class.pytype.startswith("builtins."):
        wanted = storage_class.type
        if not isinstance(data, wanted):
            raise FileFormatError(f"{path} holds a {type(data).__name__}, not a {wanted.__name__}")
        return data
    wanted = storage_class.type
    if storage_class.tabular:
        raise StorageClassError(
            f"{path} holds plain data, which cannot be read as storage class {storage_class.name!r}"
        )
    make = getattr(wanted, "model_validate", None) or getattr(wanted, "from_dict", None)
    if make is None:
        return data
    try:
        return make(data)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise FileFormatError(f"{path} does not hold a {storage_class.pytype}: {error}") from error


def _model(data: Any, path: Path) -> Any:
    """Make the pydantic model again that a file names, if its class is there: a file imports nothing."""
    from pydantic import BaseModel

    name = data.pop(_MODEL_KEY, None) if isinstance(data, dict) else None
    module, _, qualified = name.rpartition(".") if isinstance(name, str) else ("", "", "")
    wanted = getattr(sys.modules.get(module), qualified, None)
    if not isinstance(wanted, type) or not issubclass(wanted, BaseModel):
        raise StorageClassError(
            f"{path} holds a model {name!r}, and no such class is imported; import {module or 'its module'} first, or "
            "read it as storage class Dict"
        )
    try:
        return wanted.model_validate(data)
    except ValueError as error:
        raise FileFormatError(f"{path} does not hold a {name}: {error}") from error
