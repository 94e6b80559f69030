"""Dimensions of one's own: a universe read from YAML or a mapping, extended from the default one, and checked.

A definition is what ``dimensions.yaml`` shows. ``extends: default`` starts from that one: columns, dependencies,
elements and families are added to it. What the default universe says of an element or a column stays so, for all that
reads raws or runs pipelines relies on it; of families and ``common_pixels``, what is said again takes its place.
Elements may stand in any order; they are put behind what they require and imply.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .dimensions import COLUMN_TYPES, DimensionUniverse, default_universe, universe_from_json
from .errors import ArgumentError, ConflictingDefinitionError, closest

__all__ = ["load_universe"]

_OWN = "own"
"""The namespace of a definition that names none."""
_KEYS = {
    "a universe": ("extends", "version", "namespace", "common_pixels", "spatial_families", "temporal_families",
                   "elements"),
    "an element": ("doc", "key", "alternate", "requires", "implies", "metadata", "region", "timespan", "always_join",
                   "virtual"),
    "a column": ("type", "unit", "doc", "required"),
    "virtual": ("union",),
}  # fmt: skip
_RESERVED_DIMENSIONS = frozenset((
    "bind", "collection", "collection_id", "collections", "component", "data_id", "dataset", "dataset_id",
    "dataset_type", "dataset_type_id", "find_first", "id", "ingest_date", "limit", "obj", "order_by", "parameters",
    "path", "pixel", "region", "run", "size", "storage_class", "timespan", "timespan_begin", "timespan_end", "where",
))  # fmt: skip
"""What a dimension's value cannot be called, beside it in SQL or as a keyword of the Butler's methods."""
_RESERVED_COLUMNS = frozenset((
    "data_id", "element", "from_mapping", "region", "timespan", "timespan_begin", "timespan_end", "to_dict", "values",
))  # fmt: skip
"""What a column cannot be called: records have them as attributes."""
_WORDS = frozenset((
    "and", "between", "false", "glob", "in", "is", "like", "not", "null", "or", "overlaps", "true",
))  # fmt: skip
"""Words of the query language."""


def load_universe(source: str | Path | Mapping[str, Any] | DimensionUniverse | None) -> DimensionUniverse:
    """Return the universe that a YAML file or a mapping defines; the default one for None.

    Parameters
    ----------
    source
        A YAML file, what such a file holds, or a universe, which is returned as it is.

    Raises
    ------
    ConflictingDefinitionError
        The definition makes no sense; says where (file, element, key), what is there, and what may be.
    FileNotFoundError
        There is no such file.

    Examples
    --------
    >>> added = {"exposure": {"metadata": {"seeing": {"type": "float"}}}}
    >>> "seeing" in load_universe({"extends": "default", "elements": added})["exposure"].index
    True
    """
    if source is None:
        return default_universe()
    if isinstance(source, DimensionUniverse):
        return source
    if isinstance(source, str | Path):
        definition, name = _read(Path(source)), str(source)
    elif isinstance(source, Mapping):
        definition, name = source, "universe"
    else:
        raise ArgumentError(
            f"a universe is a YAML file, a mapping or a DimensionUniverse, not {type(source).__name__}."
        )
    checker = _Checker(name)
    whole = checker.definition(definition)
    try:
        return universe_from_json(DimensionUniverse(whole).to_json())  # one object a process
    except ConflictingDefinitionError as error:
        raise ConflictingDefinitionError(f"{name}: {error}") from None


def _read(path: Path) -> Any:
    """Return what a YAML file holds; a key that is there twice is an error, as YAML itself would drop the first."""
    import yaml

    class Loader(yaml.SafeLoader):
        """A safe loader that takes each key once."""

    def once(loader: Any, node: Any) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise ConflictingDefinitionError(
                    f"{path}:{key.start_mark.line + 1}: {key.value!r} stands twice in one mapping; leave one."
                )
            seen.add(key.value)
        return dict(loader.construct_pairs(node, deep=True))

    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, once)
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=Loader)  # noqa: S506 - made of the safe loader
    except yaml.YAMLError as error:
        raise ConflictingDefinitionError(f"{path} is no YAML: {error}") from error
    except UnicodeDecodeError as error:
        raise ConflictingDefinitionError(f"{path} is no text: {error}") from error


class _Checker:
    """Reads a definition, saying of each mistake in which place of which source it is."""

    def __init__(self, source: str):
        self.source = source

    def fail(self, place: str, problem: str) -> ConflictingDefinitionError:
        return ConflictingDefinitionError(
            f"{self.source}: {place}: {problem}" if place else f"{self.source}: {problem}"
        )

    def definition(self, given: Any) -> dict[str, Any]:
        """Return the whole definition: checked, extended, and its elements in order."""
        self._keys("", "a universe", given)
        if not isinstance(given.get("version", 1), int) or given.get("version", 1) < 1:
            raise self.fail("version", f"{given['version']!r} is no number; count 1, 2, 3, … as you change it.")
        if not re.fullmatch(r"[A-Za-z][\w.-]*", str(given.get("namespace", _OWN))):
            raise self.fail("namespace", f"{given['namespace']!r} is no name; one word, such as the survey's.")
        elements = self._mapping("elements", given.get("elements"))
        for name, element in elements.items():
            self._element(name, element)
        for kind in ("spatial_families", "temporal_families"):
            for family, members in self._mapping(kind, given.get(kind)).items():
                self._names(f"{kind}.{family}", members)
        whole = self._extended(given)
        whole["elements"] = self._ordered(whole["elements"])
        for name, element in whole["elements"].items():
            self._whole_element(name, element, whole["elements"])
        self._families(whole)
        if whole["namespace"] == default_universe().definition["namespace"] and whole != default_universe().definition:
            raise self.fail("namespace", f"{whole['namespace']!r} is the default universe's; give yours another name.")
        return whole

    def _keys(self, place: str, kind: str, given: Any) -> None:
        if not isinstance(given, Mapping):
            raise self.fail(
                place, f"{given!r} stands where {kind} is described; write a mapping of {', '.join(_KEYS[kind])}."
            )
        for key in given:
            if key not in _KEYS[kind]:
                known = ", ".join(_KEYS[kind])
                raise self.fail(
                    place, f"unknown key {key!r}.{closest(str(key), _KEYS[kind])} {kind.capitalize()} has {known}."
                )

    def _mapping(self, place: str, given: Any) -> Mapping[str, Any]:
        if given is None:
            return {}
        if not isinstance(given, Mapping):
            raise self.fail(place, f"a mapping of names is wanted, not {given!r}.")
        for name in given:
            if not isinstance(name, str):
                raise self.fail(
                    place, f"{name!r} is no name (YAML reads yes, no, on and off as true and false; quote it)."
                )
        return given

    def _names(self, place: str, given: Any) -> None:
        if not isinstance(given, list | tuple) or not all(isinstance(name, str) for name in given):
            raise self.fail(place, f"a list of names is wanted, such as [instrument, exposure], not {given!r}.")
        if twice := [name for name in given if list(given).count(name) > 1]:
            raise self.fail(place, f"{twice[0]!r} is named twice; leave one.")

    def _element(self, name: str, given: Any) -> None:
        """Check the words in which an element, or a change of one, is described."""
        place = f"elements.{name}"
        if name in _RESERVED_DIMENSIONS or name in _WORDS:
            raise self.fail(place, f"{name!r} means something else to the Butler; choose another name.")
        if given is None:
            return
        self._keys(place, "an element", given)
        for role in ("requires", "implies"):
            self._names(f"{place}.{role}", given.get(role, []))
        for flag in ("region", "timespan", "always_join"):
            if not isinstance(given.get(flag, False), bool):
                raise self.fail(f"{place}.{flag}", f"true or false is wanted, not {given[flag]!r}.")
        if "virtual" in given:
            self._keys(f"{place}.virtual", "virtual", given["virtual"])
        for key, kind in self._mapping(f"{place}.key", given.get("key")).items():
            if kind not in ("int", "str"):
                raise self.fail(f"{place}.key.{key}", f"a key is an int or a str, not {kind!r}.")
        for role in ("alternate", "metadata"):
            for column, described in self._mapping(f"{place}.{role}", given.get(role)).items():
                self._column(f"{place}.{role}.{column}", column, described)
                if column == name:
                    raise self.fail(
                        f"{place}.{role}.{column}", f"{name}.{column} means the key of {name}; choose another name."
                    )

    def _column(self, place: str, name: str, given: Any) -> None:
        if name in _RESERVED_COLUMNS or name in _WORDS:
            hint = f"write `{name}: true` in the element" if name in ("region", "timespan") else "choose another name"
            raise self.fail(place, f"a column cannot be called {name!r}, which means something else; {hint}.")
        self._keys(place, "a column", given)
        kinds = [kind for kind in COLUMN_TYPES if kind not in ("region", "timespan")]
        if given.get("type") not in kinds:
            found = f"type {given['type']!r} is unknown" if "type" in given else "it has no type"
            raise self.fail(place, f"{found}; a column is one of {', '.join(kinds)}.")
        if not isinstance(given.get("required", False), bool):
            raise self.fail(f"{place}.required", f"true or false is wanted, not {given['required']!r}.")

    def _extended(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the definition with what it extends beneath it."""
        extends = given.get("extends")
        if extends not in (None, "default"):
            raise self.fail("extends", f"{extends!r} is unknown; there is only `extends: default`.")
        own = {key: copy.deepcopy(value) for key, value in given.items() if key != "extends"}
        own.setdefault("namespace", _OWN)
        if extends is None:
            for key, example in (("common_pixels", "htm7"), ("elements", "{…}")):
                if key not in given:
                    raise self.fail("", f"it lacks {key!r}; write `{key}: {example}`, or `extends: default`.")
            return {"version": 1, **own}
        whole = copy.deepcopy(default_universe().definition) | {"version": own.get("version", 1)}
        for key, value in own.items():
            if key == "elements":
                for name, element in (value or {}).items():
                    self._unchanged(name, whole[key].get(name) or {}, element or {})
                    whole[key][name] = _merged(whole[key].get(name) or {}, element or {})
            elif key.endswith("_families"):
                whole[key] = whole.get(key, {}) | (value or {})
            else:
                whole[key] = value
        return whole

    def _unchanged(self, name: str, shipped: Mapping[str, Any], given: Mapping[str, Any]) -> None:
        """Refuse what would change an element of the default universe, instead of adding to it."""
        for key, value in given.items():
            if key in ("alternate", "metadata"):
                for column in value or ():
                    for role in ("alternate", "metadata"):
                        old = (shipped.get(role) or {}).get(column)
                        if old is not None and (role, old) != (key, value[column]):
                            raise self.fail(
                                f"elements.{name}.{key}.{column}",
                                f"the default universe has a column {name}.{column} ({old['type']}), which stays as "
                                "it is. Give yours another name.",
                            )
            elif key == "key" and shipped and shipped.get(key) != value:
                raise self.fail(
                    f"elements.{name}.key",
                    f"the default universe has an element {name!r}, whose key stays as it is. Give yours another "
                    "name, or describe all elements, without `extends`.",
                )
            elif key in ("region", "timespan", "always_join", "virtual") and shipped.get(key, value) != value:
                raise self.fail(
                    f"elements.{name}.{key}",
                    f"it is {shipped[key]!r} in the default universe, and stays so. Leave this out.",
                )

    def _ordered(self, elements: Mapping[str, Any]) -> dict[str, Any]:
        """Return the elements as they came, each behind what it requires and implies."""
        done: dict[str, Any] = {}
        path: list[str] = []

        def place(name: str) -> None:
            if name in done:
                return
            if name in path:
                circle = " → ".join([*path[path.index(name) :], name])
                raise self.fail(f"elements.{name}", f"it depends on itself: {circle}. Take one of these out.")
            path.append(name)
            given = elements[name] or {}
            for role in ("requires", "implies"):
                for other in given.get(role, ()):
                    if other not in elements:
                        raise self.fail(
                            f"elements.{name}.{role}",
                            f"there is no element {other!r}.{closest(other, elements)} Describe it under `elements`.",
                        )
                    place(other)
            path.pop()
            done[name] = given

        for name in elements:
            place(name)
        return done

    def _whole_element(self, name: str, given: Mapping[str, Any], elements: Mapping[str, Any]) -> None:
        """Check what an element says against the others."""
        place = f"elements.{name}"
        for role in ("requires", "implies"):
            for other in given.get(role, ()):
                if not elements[other].get("key"):
                    raise self.fail(
                        f"{place}.{role}", f"{other!r} has no key: it is no dimension, and cannot stand here."
                    )
                lacking = [d for d in elements[other].get("requires", ()) if d not in given.get("requires", ())]
                if lacking:
                    raise self.fail(
                        f"{place}.{role}",
                        f"it {role} {other!r} and so must require {lacking[0]!r}, too; "
                        f"add {lacking[0]} to elements.{name}.requires.",
                    )
        if both := set(given.get("requires", ())) & set(given.get("implies", ())):
            raise self.fail(f"{place}.implies", f"it requires {min(both)!r} already; leave that out here.")
        if not given.get("key") and not given.get("requires"):
            raise self.fail(place, "it has neither a key nor dimensions that it relates; write `key: {id: int}`.")
        if not given.get("key") and given.get("alternate"):
            raise self.fail(f"{place}.alternate", "without a key of its own it has no alternate; use metadata.")
        union = given.get("virtual", {}).get("union")
        if "virtual" in given and (union not in elements or name not in elements[union].get("implies", ())):
            raise self.fail(
                f"{place}.virtual", f"union: {union!r} is no element that implies {name}; write one that does."
            )

    def _families(self, whole: Mapping[str, Any]) -> None:
        for kind, flag in (("spatial_families", "region"), ("temporal_families", "timespan")):
            for family, members in (whole.get(kind) or {}).items():
                for name in members:
                    if name not in whole["elements"]:
                        raise self.fail(
                            f"{kind}.{family}",
                            f"there is no element {name!r}.{closest(name, whole['elements'])} "
                            "A family lists elements, the most precise first.",
                        )
                    if not whole["elements"][name].get(flag):
                        raise self.fail(f"{kind}.{family}", f"{name!r} has no {flag}; write `{flag}: true` there.")


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return an element with what is said of it besides: columns, dependencies, a region or a timespan."""
    merged = dict(old)
    for key, value in new.items():
        if key in ("alternate", "metadata"):
            merged[key] = {**(old.get(key) or {}), **(value or {})}
        elif key in ("requires", "implies"):
            merged[key] = [*old.get(key, ()), *_new(value, old.get(key, ()))]
        else:
            merged[key] = value
    return merged


def _new(names: Iterable[str], known: Iterable[str]) -> list[str]:
    return [name for name in names if name not in known]
