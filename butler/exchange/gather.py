"""What goes from a repository to another: datasets, and what must be known to understand them."""

from __future__ import annotations

from collections.abc import Iterable

from ...model.collections import CollectionInfo, CollectionType
from ...model.contents import Contents
from ...model.datasets import DatasetRef
from ...model.errors import DatasetNotFoundError
from ...registry import bulk
from ...registry.registry import Registry

__all__ = ["gather", "refs_in"]


def refs_in(registry: Registry, collections: Iterable[str]) -> list[DatasetRef]:
    """Return all datasets that collections, or what they chain, hold, each once."""
    from ...registry.queries import query_all_datasets

    return list(dict.fromkeys(query_all_datasets(registry, "*", collections=tuple(collections), find_first=False)))


def gather(
    registry: Registry,
    refs: Iterable[DatasetRef],
    collections: Iterable[str] = (),
    elements: Iterable[str] = (),
) -> Contents:
    """Return datasets with all that must be known of them.

    Parameters
    ----------
    registry
        Of the repository that they are in.
    refs
        The datasets.
    collections
        Names or globs of collections that go along beside the datasets' RUNs: what chains search, and which of these
        datasets others hold.
    elements
        Elements of which all dimension records go along, needed or not.

    Raises
    ------
    DatasetNotFoundError
        A dataset is not registered.
    CollectionNotFoundError
        A collection is not there.
    """
    refs = list(dict.fromkeys(refs))
    if len(known := registry.datasets.existing(refs)) < len(refs):
        lost = next(ref for ref in refs if ref.id not in known)
        raise DatasetNotFoundError(f"{lost} (id {lost.id}) is not registered in {registry.database!r}.")
    named = _collections(registry, collections, refs)
    files = bulk.files_of(registry, refs)
    names = {info.name for info in named}
    ids = [ref.id for ref in refs]
    kinds = {ref.dataset_type.name for ref in refs}
    return Contents(
        registry.universe,
        bulk.records_for(registry, refs, elements),
        [registry.dataset_type(name) for name in sorted(kinds)],
        named,
        [(ref, files.get(ref.id)) for ref in refs],
        {name: held for name, held in sorted(bulk.tags_of(registry, refs).items()) if name in names},
        {name: held for name, held in sorted(bulk.validities_of(registry, refs).items()) if name in names},
        registry.annotations.of_many(ids, "header"),
        registry.annotations.of_many(ids, "user"),
        bulk.ingest_dates_of(registry, refs),
        registry.quanta_of(ids),
    )


def _collections(registry: Registry, globs: Iterable[str], refs: Iterable[DatasetRef]) -> list[CollectionInfo]:
    """Return the RUNs of datasets, and collections with all that they chain."""
    catalog = registry.catalog
    waiting = [row.name for row in catalog.matching(tuple(globs))]
    waiting += {ref.run: None for ref in refs}
    found: dict[str, CollectionInfo] = {}
    while waiting:
        name = waiting.pop()
        if name not in found:
            info = catalog.info(name)
            children = info.children if info.type is CollectionType.CHAINED else ()
            found[name] = CollectionInfo(info.name, info.type, children, (), info.doc)
            waiting += children
    return [found[name] for name in sorted(found)]
