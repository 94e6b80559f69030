"""YAML of strangers: plain values only, and never more of them than there is text.

Events of the parser become values one by one, without recursion: what nests too deeply, repeats itself by aliases until
it fills the memory, or asks for an object to be made is refused at the line where it does so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from ...model.errors import FileFormatError

__all__ = ["LARGEST", "read_yaml"]

LARGEST = 1 << 29
"""Bytes of a file that is read: it becomes values in memory, as much as forty times as large."""
_DEEPEST = 64
_REPEATED = 10
"""How many times more values than are written aliases may stand for."""
_FREE = 10_000
"""Values up to which that does not matter."""
_PLAIN = "tag:yaml.org,2002:"

Tags = Mapping[str, Callable[[Any], Any]]
"""What makes a value out of the plain one behind a tag, by the tag."""


def read_yaml(path: Path, tags: Tags | None = None) -> Any:
    """Return what a YAML file of a stranger holds.

    Parameters
    ----------
    path
        The file.
    tags
        Tags beyond YAML's own that it may have.

    Raises
    ------
    FileFormatError
        It is no YAML, or none that is taken from strangers; says which line.
    """
    if (size := path.stat().st_size) > LARGEST:
        raise FileFormatError(f"{path} has {size} bytes; up to {LARGEST} are read of a YAML file.")
    reader = _Reader(tags or {})
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        with path.open("rb") as stream:
            for event in yaml.parse(stream, Loader=loader):
                try:
                    reader.take(event)
                except (ValueError, TypeError, RuntimeError) as error:
                    line = event.start_mark.line + 1 if event.start_mark else "?"
                    raise FileFormatError(f"{path}, line {line}: {error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    return reader.document


class _Open:
    """A list or mapping that is not complete yet."""

    __slots__ = ("anchor", "count", "key", "tag", "values")

    def __init__(self, values: Any, anchor: str | None, tag: str | None) -> None:
        self.values, self.anchor, self.tag = values, anchor, tag
        self.key: Any = _NONE
        self.count = 1


_NONE = object()


class _Reader:
    """Makes values out of events."""

    def __init__(self, tags: Tags) -> None:
        self._tags = tags
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._written = 0
        self._documents = 0
        self.document: Any = None

    def take(self, event: Any) -> None:
        match event:
            case yaml.ScalarEvent():
                value = _scalar(event.value, event.tag, event.implicit, self._tags)
                self._written += 1
                self._give(value, 1, event.anchor)
            case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                if len(self._open) >= _DEEPEST:
                    raise ValueError(f"it nests more than {_DEEPEST} deep")
                values: Any = [] if isinstance(event, yaml.SequenceStartEvent) else {}
                self._open.append(_Open(values, event.anchor, event.tag))
                self._written += 1
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                done = self._open.pop()
                self._give(_tagged(done.values, done.tag, self._tags), done.count, done.anchor)
            case yaml.AliasEvent():
                if event.anchor not in self._anchors:
                    raise ValueError(f"*{event.anchor} stands for nothing that is complete before it")
                self._give(*self._anchors[event.anchor], None)
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise ValueError("a second document begins; one a file is read")

    def _give(self, value: Any, count: int, anchor: str | None) -> None:
        """Put a complete value, which stands for so many, into what it belongs to."""
        if anchor is not None:
            self._anchors[anchor] = value, count
        if not self._open:
            self.document = value
            return
        into = self._open[-1]
        into.count += count
        if into.count > max(_FREE, _REPEATED * self._written):
            raise ValueError("its aliases stand for far more than is written; that is not read")
        if isinstance(into.values, list):
            into.values.append(value)
        elif into.key is _NONE:
            if isinstance(value, dict | list):
                raise ValueError("a key is a plain value, not a list or mapping")
            if value in into.values:
                raise ValueError(f"the key {value!r} is there twice")
            into.key = value
        else:
            into.values[into.key] = value
            into.key = _NONE


def _tagged(values: Any, tag: str | None, tags: Tags) -> Any:
    """Return a list or mapping, or what its tag makes of it."""
    if tag is None or tag in (f"{_PLAIN}seq", f"{_PLAIN}map"):
        return values
    return _maker(tag, tags)(values)


def _scalar(text: str, tag: str | None, implicit: tuple[bool, bool], tags: Tags) -> Any:
    if tag is not None and not tag.startswith(_PLAIN):
        return _maker(tag, tags)(text)
    return _plain(text, tag, implicit)


def _maker(tag: str, tags: Tags) -> Callable[[Any], Any]:
    if tag not in tags:
        raise ValueError(f"the tag {tag!r} is not known; no objects are made of what a file names")
    return tags[tag]


@lru_cache(maxsize=65536)
def _plain(text: str, tag: str | None, implicit: tuple[bool, bool]) -> Any:
    """Return what YAML's own rules make of a text."""
    if tag is None:
        if not implicit[0] and implicit[1]:  # in quotes
            return text
        tag = str(_RULES.resolve(yaml.ScalarNode, text, implicit))  # type: ignore[no-untyped-call]
    if tag == f"{_PLAIN}str":
        return text
    if tag == f"{_PLAIN}merge":
        raise ValueError("mappings are not merged (<<)")
    if tag == f"{_PLAIN}int" and len(text) > 30:
        raise ValueError("an integer has more digits than any that is meant")
    make = _RULES.yaml_constructors.get(tag)
    if make is None:
        raise ValueError(f"the tag {tag!r} is not known; no objects are made of what a file names")
    return make(_RULES, yaml.ScalarNode(tag, text))


class _Rules(yaml.constructor.SafeConstructor, yaml.resolver.Resolver):
    """YAML's rules for plain values."""

    def __init__(self) -> None:
        yaml.constructor.SafeConstructor.__init__(self)
        yaml.resolver.Resolver.__init__(self)


_RULES = _Rules()
