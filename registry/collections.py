"""Collections: registering, chaining, deleting, listing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..model.collections import CollectionInfo, CollectionType
from ..model.errors import (
    CollectionCycleError,
    CollectionTypeError,
    ConflictingDefinitionError,
    InvalidQueryError,
)
from ..model.timespan import Timespan
from . import tags
from .catalog import CollectionRow

if TYPE_CHECKING:
    from ..model.datasets import DatasetType
    from ..model.given import Datasets
    from .registry import Registry

__all__ = ["Collections", "check_collection_name", "check_globs"]


class Collections:
    """The collections of a repository; reached as ``butler.collections``."""

    def __init__(self, registry: Registry):
        self._registry = registry

    def register(self, name: str, type: CollectionType | str = CollectionType.RUN, doc: str = "") -> bool:  # noqa: A002
        """Make a collection, unless it is there already.

        Parameters
        ----------
        name
            Its name; slashes make folders of it.
        type
            RUN, TAGGED, CHAINED or CALIBRATION.
        doc
            A sentence on what it is for.

        Returns
        -------
        bool
            Whether it is new.

        Raises
        ------
        ConflictingDefinitionError
            It is there, and of another type.
        """
        kind = CollectionType.from_name(type)
        check_collection_name(name)
        _check_text(doc)
        known = self._registry.catalog.collections.get(name)
        if known is None:
            table = self._registry.tables.collection
            with self._registry.edit_catalog() as connection:
                known = self._registry.catalog.collections.get(name)  # another process may have been faster
                if known is None:
                    connection.execute(sa.insert(table).values(name=name, type=int(kind), doc=doc))
                    self._registry.catalog_changed(connection)
                    return True
        if known.type is not kind:
            raise ConflictingDefinitionError(f"collection {name!r} is {known.type.name} already, not {kind.name}.")
        return False

    def list(self, glob: str | Iterable[str] = "*") -> list[str]:
        """Return the names of collections that match names or globs, sorted where a glob finds several.

        Raises
        ------
        CollectionNotFoundError
            A name without wildcards is not there.
        InvalidQueryError
            A regular expression stands where a glob is wanted.
        """
        return [row.name for row in self._registry.catalog.matching(check_globs(glob))]

    def info(self, name: str) -> CollectionInfo:
        """Return a collection's type, children, parents and documentation."""
        return self._registry.catalog.info(name)

    def set_doc(self, name: str, doc: str) -> None:
        """Say what a collection is for; `info` gives it back."""
        _check_text(doc)
        table = self._registry.tables.collection
        with self._registry.edit_catalog() as connection:
            row = self._registry.catalog.collection(name)
            connection.execute(sa.update(table).where(table.c.id == row.id).values(doc=doc))
            self._registry.catalog_changed(connection)

    def instruments(self, name: str) -> Sequence[str]:
        """Return the names of the instruments whose datasets a collection, or what it chains, holds."""
        registry, found = self._registry, set[str]()
        if "instrument" not in registry.universe:
            return []
        for table, type_id, collection in self._held(row.id for row in registry.catalog.flatten((name,))):
            if "instrument" in table.c:
                of_type = table.c.collection_id == collection, table.c.dataset_type_id == type_id
                with registry.database.read() as connection:
                    found.update(connection.execute(sa.select(table.c.instrument).distinct().where(*of_type)).scalars())
        return sorted(found)

    def refresh_summaries(self) -> int:
        """Forget of which dataset types collections hold nothing any more, and return how many were forgotten.

        Searches pass over collections that hold no dataset of a type. What they hold is noted as it comes; that it has
        gone, only here, as it is read anew.
        """
        registry = self._registry
        summary = registry.tables.collection_summary
        with registry.edit_catalog() as connection:
            held: set[tuple[int, int]] = set()
            for table, type_id, collection in self._held(registry.catalog.by_id):
                of_type = table.c.collection_id == collection, table.c.dataset_type_id == type_id
                if connection.execute(sa.select(sa.exists().where(*of_type))).scalar():
                    held.add((collection, type_id))
            gone = registry.catalog.summary - held
            for collection, type_id in gone:
                same = summary.c.collection_id == collection, summary.c.dataset_type_id == type_id
                connection.execute(sa.delete(summary).where(*same))
            if gone:
                registry.catalog_changed(connection)
        return len(gone)

    def _held(self, collections: Iterable[int]) -> Iterator[tuple[sa.Table, int, int]]:
        """Give the tables that may keep datasets of each type noted for collections, with type and collection."""
        catalog, tables, wanted = self._registry.catalog, self._registry.tables, set(collections)
        types = {type_id: catalog.dataset_types[name] for name, type_id in catalog.type_ids.items()}
        for collection, type_id in catalog.summary:
            if collection in wanted:
                group = types[type_id].dimensions
                is_calib = catalog.by_id[collection].type is CollectionType.CALIBRATION
                yield tables.calib(group) if is_calib else tables.tag(group), type_id, collection

    def dataset_types(self, name: str) -> Sequence[str]:
        """Return the names of the dataset types that a collection, or what it chains, holds or once held."""
        catalog = self._registry.catalog
        ids = {row.id for row in catalog.flatten((name,))}
        held = {kind for collection, kind in catalog.summary if collection in ids}
        return sorted(n for n, kind in catalog.type_ids.items() if kind in held)

    def resolve(
        self, expression: str | Iterable[str], dataset_type: str, *, find_first: bool = True
    ) -> Sequence[tuple[int, str]]:
        """Return (id, name) of the collections that hold a dataset type, chains opened, in search order.

        Raises
        ------
        CollectionNotFoundError
            A name without wildcards is not there.
        InvalidQueryError
            A wildcard stands where ``find_first`` wants an order.
        """
        rows = self._registry.catalog.search(check_globs(expression), dataset_type, find_first=find_first)
        return [(key, name) for key, name, _ in rows]

    def redefine_chain(self, parent: str, children: str | Iterable[str]) -> None:
        """Make a CHAINED collection search just these, in this order; a glob stands for all that match, sorted.

        Raises
        ------
        CollectionCycleError
            It would come to hold itself.
        CollectionTypeError
            The parent is not CHAINED.
        """
        self._edit(parent, lambda old, new: new, children)

    def prepend_chain(self, parent: str, children: str | Iterable[str]) -> None:
        """Make a CHAINED collection search these first; those that it held already move."""
        self._edit(parent, lambda old, new: [*new, *(c for c in old if c not in new)], children)

    def extend_chain(self, parent: str, children: str | Iterable[str]) -> None:
        """Make a CHAINED collection search these last; those that it held already move."""
        self._edit(parent, lambda old, new: [*(c for c in old if c not in new), *new], children)

    def remove_from_chain(self, parent: str, children: str | Iterable[str]) -> None:
        """Make a CHAINED collection search these no more."""
        self._edit(parent, lambda old, new: [c for c in old if c not in new], children)

    def _edit(
        self,
        parent: str,
        change: Callable[[Sequence[int], Sequence[int]], Sequence[int]],
        children: str | Iterable[str],
    ) -> None:
        with self._registry.edit_catalog() as connection:
            catalog = self._registry.catalog
            row = catalog.collection(parent)
            if row.type is not CollectionType.CHAINED:
                raise CollectionTypeError(f"collection {parent!r} is {row.type.name}; only a CHAINED one has children.")
            given = tuple(child.id for child in catalog.matching(check_globs(children)))
            new = change(catalog.children.get(row.id, ()), given)
            for child in new:
                self._check_cycle(row, child)
            self._write_chain(connection, row.id, new)

    def _check_cycle(self, parent: CollectionRow, child: int) -> None:
        catalog = self._registry.catalog
        waiting: list[int] = [child]
        held_by: dict[int, int] = {child: parent.id}
        while waiting:
            current = waiting.pop()
            if current == parent.id:
                path = [current]
                while (holder := held_by[path[-1]]) != parent.id:
                    path.append(holder)
                names = " → ".join(catalog.by_id[key].name for key in (parent.id, *reversed(path)))
                raise CollectionCycleError(
                    f"{parent.name!r} would come to hold itself: {names}. Take one of these out of the one before it."
                )
            for below in catalog.children.get(current, ()):
                if below not in held_by:
                    held_by[below] = current
                    waiting.append(below)

    def _write_chain(self, connection: Connection, parent: int, children: Sequence[int]) -> None:
        chain = self._registry.tables.collection_chain
        connection.execute(sa.delete(chain).where(chain.c.parent_id == parent))
        if children:
            rows = [{"parent_id": parent, "position": i, "child_id": child} for i, child in enumerate(children)]
            connection.execute(sa.insert(chain), rows)
        self._registry.catalog_changed(connection)

    def tag(self, collection: str, refs: Datasets) -> None:
        """Add datasets of RUNs (references or ids) to a TAGGED collection, all or none; those that it has stay.

        Raises
        ------
        CollectionTypeError
            The collection is not TAGGED.
        DatasetNotFoundError
            One of them is in no RUN.
        ConflictingDefinitionError
            The collection has another dataset of the same type and data ID.
        """
        tags.tag(self._registry, collection, refs)

    def untag(self, collection: str, refs: Datasets) -> None:
        """Take datasets out of a TAGGED collection; those that it does not have are passed over.

        Raises
        ------
        CollectionTypeError
            The collection is not TAGGED.
        """
        tags.untag(self._registry, collection, refs)

    def certify(self, collection: str, refs: Datasets, timespan: Timespan) -> None:
        """Say in a CALIBRATION collection that datasets of RUNs are valid for a span of time, all of them or none.

        Parameters
        ----------
        collection
            A CALIBRATION collection.
        refs
            Datasets (references or ids) of types registered with ``is_calibration=True``.
        timespan
            When they are valid; ``Timespan(None, None)`` is always.

        Raises
        ------
        CollectionTypeError
            The collection is no CALIBRATION, or a dataset no calibration.
        DatasetNotFoundError
            One of them is in no RUN.
        ConflictingDefinitionError
            Another (or the same) dataset of the same type and data ID is valid at a time of that span; shows both.
        """
        self._registry.calibrations.certify(collection, refs, timespan)

    def decertify(
        self,
        collection: str,
        dataset_type: DatasetType | str,
        timespan: Timespan,
        data_ids: Mapping[str, Any] | Iterable[Mapping[str, Any]] | None = None,
    ) -> None:
        """Say in a CALIBRATION collection that no dataset of a type is valid for a span of time any more.

        What is valid before or after stays so: validity that reaches into the span is cut there, validity that reaches
        beyond both its ends becomes two.

        Parameters
        ----------
        collection
            A CALIBRATION collection.
        dataset_type
            Whose datasets.
        timespan
            When none will be valid.
        data_ids
            Which data ID, or data IDs; all where left out.

        Raises
        ------
        CollectionTypeError
            The collection is no CALIBRATION.
        """
        self._registry.calibrations.decertify(collection, dataset_type, timespan, data_ids)

    def delete(self, name: str) -> None:
        """Delete a collection that is not a RUN; what it referred to stays, and its tags or validities go.

        Raises
        ------
        CollectionTypeError
            It is a RUN, which owns its datasets (see `Butler.remove_run`).
        ConflictingDefinitionError
            A CHAINED collection holds it.
        """
        with self._registry.edit_catalog():
            row = self._registry.catalog.collection(name)
            if row.type is CollectionType.RUN:
                raise CollectionTypeError(
                    f"{name!r} is a RUN and owns its datasets; remove_run({name!r}) removes both."
                )
            self.delete_row(row)

    def delete_row(self, row: CollectionRow) -> None:
        """Delete a collection that owns nothing any more."""
        table = self._registry.tables.collection
        with self._registry.edit_catalog() as connection:
            if parents := self.info(row.name).parents:
                raise ConflictingDefinitionError(
                    f"collection {row.name!r} is held by {', '.join(parents)}; take it out there first "
                    "(remove_from_chain)."
                )
            self.lock(connection, row)
            connection.execute(sa.delete(table).where(table.c.id == row.id))
            self._registry.catalog_changed(connection)

    def lock(self, connection: Connection, row: CollectionRow) -> None:
        """Wait for those who are putting datasets into a collection, and let nobody else until this is committed."""
        table = self._registry.tables.collection
        connection.execute(sa.select(table.c.id).where(table.c.id == row.id).with_for_update())

    def __repr__(self) -> str:
        return f"Collections({', '.join(self.list())})"

    def _repr_html_(self) -> str:
        from ..imaging.describe import Description
        from .notebook import collections_table

        catalog = self._registry.catalog
        state = (f"{len(catalog.collections)} collections",)
        return Description("Collections", state, lambda: [collections_table(catalog)])._repr_html_()


def check_globs(given: object) -> tuple[str, ...]:
    """Return names or globs as a tuple.

    Raises
    ------
    InvalidQueryError
        One of them is no text.
    """
    names: tuple[object, ...]
    if isinstance(given, str | re.Pattern):
        names = (given,)
    elif isinstance(given, Iterable) and not isinstance(given, bytes):
        names = tuple(given)
    else:
        raise InvalidQueryError(f"collections is a name, or a list of names; not {given!r}.")
    for name in names if set(map(type, names)) - {str} else ():  # a search may go through thousands
        if isinstance(name, re.Pattern):
            raise InvalidQueryError(
                f"{name.pattern!r} is a regular expression; collections are named by globs, such as 'u/me/*', 'run-?' "
                "or 'night[0-9]'."
            )
        if not isinstance(name, str):
            raise InvalidQueryError(f"a collection is named by a text, not {name!r}.")
    return cast("tuple[str, ...]", names)


def _check_text(doc: object) -> None:
    if not isinstance(doc, str) or "\0" in doc or any("\ud800" <= c <= "\udfff" for c in doc):
        raise ConflictingDefinitionError(f"{doc!r} is no text that a database keeps; write a sentence.")


def check_collection_name(name: object) -> None:
    """Raise `ConflictingDefinitionError` unless a text may name a collection."""
    if not isinstance(name, str) or not name.isprintable() or any(not part.strip(".") for part in name.split("/")):
        raise ConflictingDefinitionError(
            f"{name!r} cannot name a collection: its parts, between slashes, may be neither empty nor only dots, "
            "and all its characters are printable."
        )
    if wild := set(name) & set("*?["):
        raise ConflictingDefinitionError(f"{name!r} cannot name a collection: {', '.join(wild)} is a wildcard.")
