"""What a task notes about its own work: numbers and words by name, nested, as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, MutableMapping
from typing import Any, TypeAlias

from ..model.lsst_names import LsstNames

__all__ = ["Scalar", "TaskMetadata"]

Scalar: TypeAlias = str | int | float | bool | None
"""A single value that metadata can hold."""


class TaskMetadata(LsstNames, MutableMapping[str, Any]):
    """Scalars, lists of scalars and nested metadata by name; a dot in a name nests.

    Values of NumPy become Python's own. What is no scalar is refused, for metadata is for reading by anyone, as JSON.

    Examples
    --------
    >>> metadata = TaskMetadata()
    >>> metadata["overscan.mean"] = 1012.5
    >>> metadata.add("overscan.rows", 3)
    >>> metadata.to_dict()
    {'overscan': {'mean': 1012.5, 'rows': 3}}
    """

    def __init__(self, values: dict[str, Any] | None = None) -> None:
        self._values: dict[str, Any] = {}
        for name, value in (values or {}).items():
            self[name] = value

    def __setitem__(self, name: str, value: Any) -> None:
        holder, last = self._holder(name)
        holder._values[last] = _plain(name, value)

    def __getitem__(self, name: str) -> Any:
        value: Any = self
        for part in name.split("."):
            if not isinstance(value, TaskMetadata) or part not in value._values:
                raise KeyError(name)
            value = value._values[part]
        return value

    def __delitem__(self, name: str) -> None:
        parent, _, last = name.rpartition(".")
        holder = self[parent] if parent else self
        del holder._values[last]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def add(self, name: str, value: Any) -> None:
        """Append to what a name holds: a scalar becomes a list at its second value."""
        holder, last = self._holder(name)
        value = _plain(name, value)
        if last not in holder._values:
            holder._values[last] = value
            return
        present = holder._values[last]
        if isinstance(present, TaskMetadata) or isinstance(value, TaskMetadata):
            raise TypeError(f"Metadata {name!r} is a group already; nothing can be appended to it.")
        new = value if isinstance(value, list) else [value]
        holder._values[last] = [*present, *new] if isinstance(present, list) else [present, *new]

    def scalar(self, name: str) -> Scalar:
        """Return the last value that a name was given; ``getScalar`` of LSST."""
        value = self[name]
        return value[-1] if isinstance(value, list) else value  # type: ignore[no-any-return]

    def array(self, name: str) -> list[Scalar]:
        """Return all values that a name was given; ``getArray`` of LSST."""
        value = self[name]
        return list(value) if isinstance(value, list) else [value]

    def to_dict(self) -> dict[str, Any]:
        """Return nested plain dictionaries, as they go into JSON."""
        return {k: v.to_dict() if isinstance(v, TaskMetadata) else v for k, v in self._values.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TaskMetadata:
        """Make metadata of what ``to_dict`` gave."""
        return cls(values)

    def to_json(self) -> str:
        """Return the metadata as JSON text; not-a-number and infinities are written as Python's json does."""
        return json.dumps(self.to_dict(), indent=1)

    @classmethod
    def from_json(cls, text: str) -> TaskMetadata:
        """Read what ``to_json`` wrote."""
        return cls.from_dict(json.loads(text))

    def __repr__(self) -> str:
        return f"TaskMetadata({self.to_dict()!r})"

    def _holder(self, name: str) -> tuple[TaskMetadata, str]:
        *parents, last = name.split(".")
        holder = self
        for parent in parents:
            inner = holder._values.setdefault(parent, TaskMetadata())
            if not isinstance(inner, TaskMetadata):
                raise TypeError(f"Metadata {name!r}: {parent!r} holds a value already and cannot be a group.")
            holder = inner
        return holder, last


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, TaskMetadata):
        return value
    if isinstance(value, dict):
        return TaskMetadata(value)
    if hasattr(value, "tolist"):  # a NumPy scalar or array
        value = value.tolist()
    if isinstance(value, list | tuple):
        items = [_plain(name, item) for item in value]
        if any(isinstance(item, list | TaskMetadata) for item in items):
            raise TypeError(f"Metadata {name!r}: a list holds scalars only.")
        return items
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise TypeError(f"Metadata {name!r} must be text, a number, a bool, or a list of them, not {type(value).__name__}.")
