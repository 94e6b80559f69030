"""Provenance: which quanta ran, what they read and made, and which need not run again."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import sqlalchemy as sa

from ..model.provenance import QuantumRecord

if TYPE_CHECKING:
    from .registry import Registry

__all__ = ["finished_quanta", "record_quanta"]

_CHUNK = 500


def record_quanta(registry: Registry, records: Sequence[QuantumRecord]) -> None:
    """Write down quanta that ran, with the ids of what they read and made, in one transaction."""
    if not records:
        return
    t = registry.tables
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
    t, catalog = registry.tables, registry.catalog
    names = (collections,) if isinstance(collections, str) else tuple(collections)
    runs = {row.id: row.name for row in catalog.flatten(names)}
    wanted = list(dict.fromkeys(fingerprints))
    found: dict[uuid.UUID, QuantumRecord] = {}
    q, edge = t.quantum.c, t.quantum_dataset.c
    with registry.database.read() as connection:
        for start in range(0, len(wanted), _CHUNK):
            rows = connection.execute(
                sa.select(t.quantum)
                .where(q.fingerprint.in_(wanted[start : start + _CHUNK]), q.outcome.in_(("done", "no_work")))
                .order_by(q.begin_ns)
            ).mappings()
            for row in rows:
                if row["run_id"] in runs:
                    fields = {
                        k: row[k]
                        for k in ("id", "task", "label", "fingerprint", "host", "begin_ns", "end_ns", "outcome")
                    }
                    found[row["id"]] = QuantumRecord(
                        **fields, run=runs[row["run_id"]], data_id=json.loads(row["data_id"]),
                        versions=json.loads(row["versions"]),
                    )  # fmt: skip
        ids = list(found)
        inputs: dict[uuid.UUID, list[uuid.UUID]] = {}
        outputs: dict[uuid.UUID, list[uuid.UUID]] = {}
        lost: set[uuid.UUID] = set()
        for start in range(0, len(ids), _CHUNK):
            for quantum, made, dataset, there in connection.execute(
                sa.select(edge.quantum_id, edge.is_output, edge.dataset_id, t.dataset.c.id)
                .outerjoin_from(t.quantum_dataset, t.dataset, t.dataset.c.id == edge.dataset_id)
                .where(edge.quantum_id.in_(ids[start : start + _CHUNK]))
            ):
                (outputs if made else inputs).setdefault(quantum, []).append(dataset)
                if made and there is None:
                    lost.add(quantum)
    return {
        record.fingerprint: QuantumRecord(
            record.id, record.task, record.label, record.run, record.data_id, record.fingerprint, record.host,
            record.begin_ns, record.end_ns, record.outcome, record.versions,
            tuple(inputs.get(record.id, ())), tuple(outputs.get(record.id, ())),
        )
        for record in found.values() if record.id not in lost
    }  # fmt: skip
