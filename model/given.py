"""What users give as datasets, dataset types and the like, looked at before anything is done with it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from .datasets import DatasetRef, DatasetType, FileDataset
from .errors import ArgumentError

__all__ = ["Datasets", "datasets_given", "files_given", "id_as_text", "shown", "type_name"]

_LONGEST = 200

Datasets: TypeAlias = DatasetRef | uuid.UUID | Iterable[DatasetRef | uuid.UUID]
"""What says which datasets are meant: references or ids, one or many; a query's results are such."""


def datasets_given(given: object, *others: type) -> list[Any]:
    """Return datasets, one or many, as a list of references and ids.

    Parameters
    ----------
    given
        What the user gave.
    others
        Further types that each stand for a dataset.

    Raises
    ------
    ArgumentError
        It is something else; says what to call instead.
    """
    taken = (DatasetRef, uuid.UUID, *others)
    if isinstance(given, taken):
        return [given]
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise _no_dataset(given)
    found = list(given)
    if set(map(type, found)) - {DatasetRef, uuid.UUID}:
        for one in found:
            if not isinstance(one, taken):
                raise _no_dataset(one)
    return found


def files_given(given: object) -> list[FileDataset]:
    """Return files to ingest, one or many, as a list.

    Raises
    ------
    ArgumentError
        It is something else, or what a file holds are no references.
    """
    found: list[Any] = [given]
    if isinstance(given, Iterable) and not isinstance(given, str | bytes | Mapping):
        found = list(given)
    for one in found:
        if not isinstance(one, FileDataset):
            raise ArgumentError(
                "files are ingested with the datasets that they hold, as in butler.ingest([FileDataset(path, [ref])]); "
                f"not {shown(one)}. Raw frames, known by their paths: ingest_raws(butler, paths, instrument)."
            )
        refs: object = one.refs
        if not isinstance(refs, list | tuple) or not all(isinstance(ref, DatasetRef) for ref in refs):
            raise ArgumentError(
                f"the refs of FileDataset({str(one.path)!r}, …) are a list of DatasetRefs, mostly of one; "
                f"not {shown(refs)}."
            )
    return found


def type_name(given: object) -> str:
    """Return the name of a dataset type.

    Raises
    ------
    ArgumentError
        It is none; says what to call instead.
    """
    if isinstance(given, str):
        return given
    if isinstance(given, DatasetType):
        return given.name
    hint = ""
    if isinstance(given, DatasetRef):
        hint = f" That is a dataset; its type is {given.dataset_type.name!r}."
    elif isinstance(given, Iterable) and not isinstance(given, bytes | Mapping):
        hint = " Several are taken one by one, as in [butler.get(ref) for ref in refs]."
    raise ArgumentError(f"a dataset type is meant by its name, or as a DatasetType; not by {shown(given)}.{hint}")


def id_as_text(given: object) -> str:
    """Return what to write instead of a dataset's id that is given as text, and nothing for what is no such text."""
    try:
        return f" That is an id as text: uuid.UUID({str(uuid.UUID(given))!r})." if isinstance(given, str) else ""
    except ValueError:
        return ""


def shown(given: object) -> str:
    """Return what was given as an error shows it, cut where it is long."""
    text = repr(given)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _no_dataset(given: object) -> ArgumentError:
    """Return the error that says what stands for datasets instead of something."""
    if id_as_text(given):
        hint = id_as_text(given)
    elif isinstance(given, str | DatasetType):
        hint = f" All of a type: butler.query_datasets({type_name(given)!r})."
    elif isinstance(given, Mapping):
        hint = f" One by its type and data ID: butler.find_dataset(type, {dict(given)!r})."
    elif given is None:
        hint = " None is what butler.find_dataset returns where nothing is found."
    else:
        hint = " butler.query_datasets and butler.find_dataset return them."
    return ArgumentError(
        f"datasets are DatasetRefs or ids (uuid.UUID), one or many, as queries return them; not {shown(given)}.{hint}"
    )
