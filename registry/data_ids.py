"""From what a user says to a data ID: other keys, metadata and defaults resolved by a query on the records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from ..model.data_id import DataId
from ..model.dimensions import DimensionGroup
from ..model.errors import DataIdError, InvalidQueryError
from .database import Prepared

if TYPE_CHECKING:
    from .registry import Registry

__all__ = ["DataIds"]

_SHOWN = 5


class DataIds:
    """Turns what callers give into data IDs of a group of dimensions.

    Plain keys cost nothing. Anything else (``visit`` for an exposure, ``detector="S00"``, ``"exposure.obs_id"``,
    ``day_obs`` with ``seq_num``) becomes one query on the records, whose answer must be single.
    """

    def __init__(self, registry: Registry):
        self._registry = registry
        name = registry.tables.dimension["instrument"].c.name if "instrument" in registry.universe else sa.null()
        self._instruments = Prepared(registry.database, sa.select(name).order_by(name))

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
            if group <= given.dimensions and all(name in given for name in group.required):
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
            key = group.universe[name].key
            wanted = int if key is not None and key.type == "int" else str
            if type(value) is not wanted or not _fits(value):
                return False
        return True

    def _resolve_slowly(self, group: DimensionGroup, given: dict[str, Any], instrument: str | None) -> DataId:
        universe = self._registry.universe
        given = {k: v.item() if hasattr(v, "item") else v for k, v in given.items() if v is not None}
        if "instrument" in group and "instrument" not in given:
            given["instrument"] = instrument or self._only_instrument(given)
        keys: dict[str, Any] = {}
        other: dict[str, Any] = {}
        for name, value in given.items():
            element = universe[name] if name in universe else None  # noqa: SIM401 - a universe has no `get`
            if (
                element is not None
                and element.key is not None
                and element.key.type == "int"
                and isinstance(value, str)
                and value.isdecimal()
            ):
                value = int(value)
            if not _fits(value):
                raise DataIdError(f"no {name} is {value!r}: numbers have 64 bits, and names no lone surrogates.")
            wanted = None if element is None or element.key is None else (int if element.key.type == "int" else str)
            if name in group.required and wanted is not None and type(value) is wanted:
                keys[name] = value
            else:
                other[name] = value
        if not other and all(name in keys for name in group.required):
            return DataId.from_mapping(group, keys)
        if not other:
            missing = ", ".join(name for name in group.required if name not in keys)
            shown = ", ".join(f"{k}={v!r}" for k, v in given.items()) or "nothing"
            raise DataIdError(f"the data ID lacks {missing}: given was {shown}.")
        return self._query(group, keys, other)

    def _query(self, group: DimensionGroup, keys: dict[str, Any], other: dict[str, Any]) -> DataId:
        from .queries import query_data_ids

        terms, bind = [], {}
        for i, (name, value) in enumerate((keys | other).items()):
            column = self._column(group, name, value)
            terms.append(f"{column} = :v{i}")
            bind[f"v{i}"] = value
        given = ", ".join(f"{k}={v!r}" for k, v in (keys | other).items())
        try:
            query = query_data_ids(
                self._registry, group.required, where=" AND ".join(terms), bind=bind, limit=_SHOWN + 1
            )
            found = list(dict.fromkeys(query))
        except InvalidQueryError as error:
            raise DataIdError(f"the data ID {given} says what has no meaning for ({', '.join(group.required)}): "
                              f"{str(error).splitlines()[0]}") from error  # fmt: skip
        if len(found) == 1:
            return DataId.from_mapping(group, found[0])
        if not found:
            if set(group.required) <= keys.keys():
                self._registry.dimension_records.explain_missing(DataId.from_mapping(group, keys))
            for name, value in other.items():
                self._explain_unknown(name, value, keys)
            raise DataIdError(f"no {', '.join(group.required)} matches {given}.")
        missing = [name for name in group.required if len({data_id[name] for data_id in found}) > 1]
        shown = "; ".join(str(data_id.subset(group)) for data_id in found[:_SHOWN])
        more = " and more" if len(found) > _SHOWN else ""
        raise DataIdError(f"{given} is ambiguous: it leaves {', '.join(missing)} open. Candidates: {shown}{more}.")

    def _column(self, group: DimensionGroup, name: str, value: Any) -> str:
        """Return what an expression calls a key of a data ID: the alternate key where a name stands for a number."""
        universe = self._registry.universe
        if name not in universe or universe[name].key is None:
            return name
        element = universe[name]
        if element.key is not None and element.key.type == "int" and isinstance(value, str):
            for column in element.columns:
                if column.role == "alternate" and column.type == "str":
                    return f"{name}.{column.name}"
            raise DataIdError(f"{name} is a number; {value!r} is none, and a {name} has no name.")
        if element.key is not None and element.key.type == "str" and not isinstance(value, str):
            raise DataIdError(f"{name} is a name, and {value!r} is {type(value).__name__}.")
        if not isinstance(value, int | str):
            raise DataIdError(f"{name} is a number or a name; {value!r} is {type(value).__name__}.")
        return name

    def _explain_unknown(self, name: str, value: Any, keys: Mapping[str, Any]) -> None:
        universe = self._registry.universe
        if (
            name in universe
            and (element := universe[name]).key is not None
            and all(r in keys for r in element.requires)
        ):
            wanted = int if element.key.type == "int" else str
            if isinstance(value, wanted):
                group = universe.conform([name])
                if group.required == element.required:
                    self._registry.dimension_records.explain_missing(DataId.from_mapping(group, {**keys, name: value}))

    def _only_instrument(self, given: Mapping[str, Any]) -> str:
        names = [row[0] for row in self._registry.database.fetch_all(self._instruments, {})]
        if len(names) == 1:
            return str(names[0])
        shown = ", ".join(f"{k}={v!r}" for k, v in given.items()) or "nothing"
        found = f"the repository has {', '.join(names)}" if names else "the repository has none yet"
        raise DataIdError(f"the data ID lacks instrument: given was {shown}, and {found}.")


def _fits(value: object) -> bool:
    """Whether a database can hold a value at all."""
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return not isinstance(value, str) or value.isascii() or not any("\ud800" <= c <= "\udfff" for c in value)
