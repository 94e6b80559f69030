"""Provenance: which quanta ran, what they read and made, and which need not run again."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from ..model.provenance import QuantumRecord

if TYPE_CHECKING:
    from .registry import Registry

__all__ = ["finished_quanta", "quanta_of", "record_quanta"]

_CHUNK = 500


def record_quanta(registry: Registry, records: Sequence[QuantumRecord], *, skip_existing: bool = False) -> None:
    """Write down quanta that ran, with the ids of what they read and made, in one transaction.

    Parameters
    ----------
    registry
        Where.
    records
        What ran.
    skip_existing
        Whether those are passed over that are written down already, under their ids.
    """
    t = registry.tables
    if skip_existing:
        known = {row["id"] for row in _rows_where(registry, t.quantum.c.id, [record.id for record in records])}
        records = [record for record in records if record.id not in known]
    if not records:
        return
    runs = {run: registry.catalog.collection(run).id for run in {record.run for record in records}}
    rows = [
        {
            "id": record.id, "task": record.task, "label": record.label, "run_id": runs[record.run],
            "data_id": json.dumps(dict(record.data_id)), "fingerprint": record.fingerprint, "host": record.host,
            "begin_ns": record.begin_ns, "end_ns": record.end_ns, "outcome": record.outcome,
            "versions": json.dumps(dict(record.versions)),
        }
        for record in records
    ]  # fmt: skip
    edges = [
        {"quantum_id": record.id, "is_output": made, "dataset_id": dataset}
        for record in records
        for made, ids in ((False, record.inputs), (True, record.outputs))
        for dataset in dict.fromkeys(ids)
    ]
    with registry.database.write() as connection:
        connection.execute(sa.insert(t.quantum), rows)
        if edges:
            connection.execute(sa.insert(t.quantum_dataset), edges)


def finished_quanta(
    registry: Registry, fingerprints: Iterable[str], collections: str | Iterable[str]
) -> dict[str, QuantumRecord]:
    """Return quanta that ended well with a fingerprint, the newest of each, whose outputs are all still there.

    Parameters
    ----------
    registry
        Where.
    fingerprints
        Digests of the work that is asked for.
    collections
        Collections whose RUNs may hold the outputs.

    Returns
    -------
    dict
        Records by fingerprint; those of work never done are missing.
    """
    q, catalog = registry.tables.quantum.c, registry.catalog
    names = (collections,) if isinstance(collections, str) else tuple(collections)
    runs = {row.id for row in catalog.flatten(names)}
    found: dict[uuid.UUID, RowMapping] = {}
    for row in _rows_where(registry, q.fingerprint, list(dict.fromkeys(fingerprints))):
        if row["run_id"] in runs and row["outcome"] in ("done", "no_work"):
            found[row["id"]] = row
    records, lost = _records(registry, found)
    best = sorted((record for record in records if record.id not in lost), key=lambda record: record.begin_ns)
    return {record.fingerprint: record for record in best}


def quanta_of(registry: Registry, datasets: Iterable[uuid.UUID]) -> list[QuantumRecord]:
    """Return the quanta that made datasets, given by their ids, in the order of the quanta's ids."""
    t = registry.tables
    edge = t.quantum_dataset.c
    makers: set[uuid.UUID] = set()
    wanted = list(datasets)
    with registry.database.read() as connection:
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            query = sa.select(edge.quantum_id).where(edge.dataset_id.in_(chunk), edge.is_output)
            makers.update(connection.execute(query).scalars())
    found = {row["id"]: row for row in _rows_where(registry, t.quantum.c.id, sorted(makers))}
    return _records(registry, found)[0]


def _rows_where(registry: Registry, column: sa.Column[Any], values: Sequence[Any]) -> Iterator[RowMapping]:
    """Yield the rows of quanta whose column has one of some values."""
    with registry.database.read() as connection:
        for start in range(0, len(values), _CHUNK):
            query = sa.select(registry.tables.quantum).where(column.in_(values[start : start + _CHUNK]))
            yield from connection.execute(query).mappings()


def _records(registry: Registry, rows: Mapping[uuid.UUID, RowMapping]) -> tuple[list[QuantumRecord], set[uuid.UUID]]:
    """Return quanta by their rows, in that order, and the ids of those an output of which is not there any more."""
    t, by_id = registry.tables, registry.catalog.by_id
    edge, ids = t.quantum_dataset.c, list(rows)
    inputs: dict[uuid.UUID, list[uuid.UUID]] = {}
    outputs: dict[uuid.UUID, list[uuid.UUID]] = {}
    lost: set[uuid.UUID] = set()
    with registry.database.read() as connection:
        for start in range(0, len(ids), _CHUNK):
            for quantum, made, dataset, there in connection.execute(
                sa.select(edge.quantum_id, edge.is_output, edge.dataset_id, t.dataset.c.id)
                .outerjoin_from(t.quantum_dataset, t.dataset, t.dataset.c.id == edge.dataset_id)
                .where(edge.quantum_id.in_(ids[start : start + _CHUNK]))
                .order_by(edge.dataset_id)
            ):
                (outputs if made else inputs).setdefault(quantum, []).append(dataset)
                if made and there is None:
                    lost.add(quantum)
    records = [
        QuantumRecord(
            id_, row["task"], row["label"], by_id[row["run_id"]].name, json.loads(row["data_id"]), row["fingerprint"],
            row["host"], row["begin_ns"], row["end_ns"], row["outcome"], json.loads(row["versions"]),
            tuple(inputs.get(id_, ())), tuple(outputs.get(id_, ())),
        )
        for id_, row in rows.items()
    ]  # fmt: skip
    return records, lost
