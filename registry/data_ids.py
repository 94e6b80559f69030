"""From what a user says to a data ID: other keys, metadata and defaults resolved by a query on the records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import sqlalchemy as sa

from ..model.data_id import DataId
from ..model.dimensions import DimensionGroup, DimensionUniverse
from ..model.errors import DataIdError, InvalidQueryError
from .database import Prepared

if TYPE_CHECKING:
    from .registry import Registry

__all__ = ["DataIds", "column_and_value"]

_SHOWN = 5


class DataIds:
    """Turns what callers give into data IDs of a group of dimensions.

    Plain keys cost nothing. Anything else (``visit`` for an exposure, ``detector="S00"``, ``"exposure.obs_id"``,
    ``day_obs`` with ``seq_num``) becomes one query on the records, whose answer must be single.
    """

    def __init__(self, registry: Registry):
        self._registry = registry
        self._governors: dict[str, Prepared] = {}

    def resolve(self, group: DimensionGroup, given: Mapping[str, Any], instrument: str | None = None) -> DataId:
        """Return the data ID that is meant.

        Parameters
        ----------
        group
            The dimensions that it must speak of.
        given
            What the caller says.
        instrument
            The instrument where the caller names none; the repository's only one where left out.

        Raises
        ------
        DataIdError
            Something is missing, unknown or ambiguous; the candidates are named.
        """
        if isinstance(given, DataId):
            if given.dimensions is group:
                return given
            is_more = given.dimensions.universe is group.universe and group <= given.dimensions
            if is_more and all(name in given for name in group.required):
                return given.subset(group)
        if len(given) == len(group.required):
            try:
                values = tuple([given[name] for name in group.required])
            except KeyError:
                pass
            else:
                if self._are_keys(group, values):
                    return DataId(group, values)
        return self._resolve_slowly(group, dict(given), instrument)

    @staticmethod
    def _are_keys(group: DimensionGroup, values: tuple[Any, ...]) -> bool:
        for name, value in zip(group.required, values, strict=True):
            element = group.universe[name]
            wanted = int if element.key is not None and element.key.type == "int" else str
            if type(value) is not wanted or not _fits(value) or element.pixels is not None:
                return False
        return True

    def _resolve_slowly(self, group: DimensionGroup, given: dict[str, Any], instrument: str | None) -> DataId:
        universe = self._registry.universe
        for name in given:
            if not isinstance(name, str):
                raise DataIdError(f"{name!r} names no dimension; a data ID is a mapping such as {{'visit': 1234}}.")
        given = {name: value for name, value in given.items() if value is not None}
        if "instrument" in group and instrument:
            given.setdefault("instrument", instrument)
        for name in universe.governors:
            if name in group and name not in given:
                given[name] = self._only_record(name, given)
        keys: dict[str, Any] = {}
        other: dict[str, Any] = {}
        for name, value in given.items():
            column, value = column_and_value(universe, self.qualified(group, name, given), value)
            if column == name and name in group.required:
                keys[name] = value
                if universe[name].pixels is not None and value not in universe.pixelization(name):
                    pixels = universe.pixelization(name)
                    raise DataIdError(f"{name} pixels are numbered {pixels.first} … {pixels.end - 1}; not {value}.")
            else:
                other[column] = value
        if not other and all(name in keys for name in group.required):
            return DataId.from_mapping(group, keys)
        self._add_only_detector(group, keys, other)
        if not other and all(name in keys for name in group.required):
            return DataId.from_mapping(group, keys)
        if not other:
            missing = ", ".join(name for name in group.required if name not in keys)
            raise DataIdError(f"the data ID lacks {missing}: given was {_shown(given) or 'nothing'}.")
        return self._query(group, keys, other)

    def _add_only_detector(self, group: DimensionGroup, keys: dict[str, Any], other: Mapping[str, Any]) -> None:
        """Add the detector of an instrument that has one, where nothing is said of detectors."""
        if "detector" not in group.required or "detector" in keys or "instrument" not in keys:
            return
        if any(name.partition(".")[0] == "detector" for name in other):
            return
        detector = self._registry.universe.conform(["instrument", "detector"])
        found = self._matching(detector, {"instrument": keys["instrument"]}, 2)
        if len(found) == 1:
            keys["detector"] = found[0]["detector"]

    def qualified(self, group: DimensionGroup, name: str, given: Iterable[str]) -> str:
        """Return a bare column that no element of a group has with the element that is meant before it.

        That is one that the data ID names besides; else the most precise that says when something was, so that
        ``day_obs`` with ``seq_num`` names an exposure to whom a flat is looked for; else the only one that has it.
        """
        universe = self._registry.universe
        if "." in name or name in universe or any(name in universe[element].index for element in group.elements):
            return name
        owners = [element.name for element in universe.elements if name in element.index]
        named = {one.partition(".")[0] for one in given}
        temporal = [member for members in universe.temporal_families.values() for member in members]
        meant = [owner for owner in owners if owner in named]
        meant = meant or [member for member in temporal if member in owners][:1] or owners
        return f"{meant[0]}.{name}" if len(meant) == 1 else name

    def _query(self, group: DimensionGroup, keys: dict[str, Any], other: dict[str, Any]) -> DataId:
        said = keys | other
        try:
            found = self._matching(group, said, _SHOWN + 1)
        except InvalidQueryError as error:
            raise DataIdError(f"the data ID {_shown(said)} says what has no meaning for "
                              f"({', '.join(group.required)}): {str(error).splitlines()[0]}") from error  # fmt: skip
        if len(found) == 1:
            return DataId.from_mapping(group, found[0])
        if not found:
            self._explain_none(group, keys, other)
        missing = [name for name in group.required if len({data_id[name] for data_id in found}) > 1]
        shown = "; ".join(str(data_id.subset(group)) for data_id in found[:_SHOWN])
        more = " and more" if len(found) > _SHOWN else ""
        raise DataIdError(
            f"{_shown(said)} is ambiguous: it leaves {', '.join(missing)} open. Candidates: {shown}{more}."
        )

    def _matching(self, group: DimensionGroup, said: Mapping[str, Any], limit: int) -> list[DataId]:
        """Return data IDs of which all is true that is said, each once."""
        from .queries import query_data_ids

        terms = " AND ".join(f"{name} = :v{i}" for i, name in enumerate(said))
        bind = {f"v{i}": value for i, value in enumerate(said.values())}
        return list(dict.fromkeys(query_data_ids(self._registry, group.required, where=terms, bind=bind, limit=limit)))

    def _explain_none(self, group: DimensionGroup, keys: Mapping[str, Any], other: Mapping[str, Any]) -> NoReturn:
        """Say why nothing matches: what is unknown, else what it is that contradicts the rest."""
        records = self._registry.dimension_records
        if set(group.required) <= keys.keys():
            records.explain_missing(DataId.from_mapping(group, keys))
        for name, value in {**keys, **other}.items():
            dimension, _, column = name.partition(".")
            if dimension in self._registry.universe:
                records.explain_unknown(dimension, column, {**keys, dimension: value})
        said = {**keys, **other}
        contradictions = []
        for name in said:
            rest = {n: v for n, v in said.items() if n != name}
            try:
                found = self._matching(group, rest, 2) if rest else []
            except InvalidQueryError:  # without it, the rest means nothing
                continue
            if len(found) == 1 and (actual := self._value_of(group, name, rest)) is not None:
                contradictions.append(f"{_shown(rest)} has {name}={actual!r}")
        told = f" But {'; '.join(contradictions)}." if contradictions else ""
        raise DataIdError(f"no {', '.join(group.required)} matches {_shown(said)}.{told}")

    def _value_of(self, group: DimensionGroup, name: str, said: Mapping[str, Any]) -> Any:
        """Return the value of a dimension or a column where all is true that is said; None where it is not single."""
        universe = self._registry.universe
        first, _, column = name.partition(".")
        owners = [first] if first in universe else [n for n in group.elements if first in universe[n].index]
        if len(owners) != 1:
            return None
        element = universe[owners[0]]
        found = self._matching(universe.conform([*group.required, *element.required]), said, 2)
        if len(found) != 1:
            return None
        if name in universe:
            return found[0].get(name)
        record = self._registry.dimension_records.fetch(element.name, found[0]) if element.has_table else None
        return None if record is None else getattr(record, column or name, None)

    def _only_record(self, governor: str, given: Mapping[str, Any]) -> str:
        """Return the instrument, or sky map, of a repository that has one."""
        prepared = self._governors.get(governor)
        if prepared is None:
            element = self._registry.universe[governor]
            key = self._registry.tables.dimension[governor].c[element.column_of(governor)]
            prepared = self._governors[governor] = Prepared(self._registry.database, sa.select(key).order_by(key))
        found = [row[0] for row in self._registry.database.fetch_all(prepared, {})]
        if len(found) == 1:
            value: str = found[0]
            return value
        there = f"the repository has {', '.join(map(str, found))}" if found else "the repository has none yet"
        raise DataIdError(f"the data ID lacks {governor}: given was {_shown(given) or 'nothing'}, and {there}.")


def column_and_value(universe: DimensionUniverse, name: str, value: Any) -> tuple[str, Any]:
    """Return what an expression calls what a data ID names, and the value in the column's own type.

    A name where a number is the key means the alternate key (``detector="S00"`` is ``detector.full_name``); numpy's
    numbers, whole floats (as pandas makes them of integers) and digits as text are the numbers that they say.

    Raises
    ------
    DataIdError
        The value is none of the dimension's, or of no database's.
    """
    if getattr(value, "ndim", 1) == 0 and hasattr(value, "item"):  # a numpy scalar
        value = value.item()
    element = universe[name] if name in universe else None  # noqa: SIM401 - a universe has no `get`
    if element is None or element.key is None:
        _check_fits(name, value)
        return name, value
    kind = type(value).__name__
    if element.key.type == "str":
        if not isinstance(value, str):
            raise DataIdError(f"{name} is a name, and {value!r} is {kind}.")
    elif isinstance(value, str):
        if value.isascii() and value.isdecimal():
            value = int(value)
        else:
            for column in element.columns:
                if column.role == "alternate" and column.type == "str":
                    _check_fits(name, value)
                    return f"{name}.{column.name}", value
            raise DataIdError(f"{name} is a number; {value!r} is none, and a {name} has no name.")
    elif isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    elif isinstance(value, bool) or not isinstance(value, int):
        raise DataIdError(f"{name} is a whole number or a name; {value!r} is {kind}.")
    _check_fits(name, value)
    return name, value


def _check_fits(name: str, value: object) -> None:
    if not _fits(value):
        raise DataIdError(f"no {name} is {value!r}: numbers have 64 bits, and names no lone surrogates.")


def _shown(given: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in given.items())


def _fits(value: object) -> bool:
    """Whether a database can hold a value at all."""
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return not isinstance(value, str) or value.isascii() or not any("\ud800" <= c <= "\udfff" for c in value)
