"""Provenance: what a quantum of work was, what it read and what it made; and what a file says of the dataset it is.

Files say it in the keys of LSST's butler (``LSST BUTLER RUN`` in FITS headers), so that each reads the other's, or, in
Parquet, in JSON.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .data_id import DimensionValue

if TYPE_CHECKING:
    from .datasets import DatasetRef

__all__ = ["MAX_INPUTS", "DatasetProvenance", "FileProvenance", "InputDataset", "QuantumRecord", "says_provenance"]

MAX_INPUTS = 3000
"""Of a dataset that was made of more inputs, files tell their number alone, as LSST's do; the registry has them all."""

_PREFIX = ("LSST", "BUTLER")
_KEY = re.compile(r"LSST[ .]BUTLER[ .]").match
_INPUT = re.compile(r"INPUT (\d+) (ID|RUN|DATASETTYPE)").fullmatch


def says_provenance(key: object) -> bool:
    """Whether a key of a header or of a table's metadata tells of the dataset that somebody's file was."""
    return isinstance(key, str) and _KEY(key) is not None


@dataclass(frozen=True, slots=True)
class DatasetProvenance:
    """What a dataset is made of; `Butler.put` notes it in the file."""

    inputs: tuple[DatasetRef, ...] = ()
    """The datasets that were read."""
    quantum: uuid.UUID | None = None
    """The quantum that made it."""


@dataclass(frozen=True, slots=True)
class InputDataset:
    """A dataset that another one was made of, as that one's file tells it."""

    id: uuid.UUID
    dataset_type: str = ""
    run: str = ""


@dataclass(frozen=True, slots=True)
class FileProvenance:
    """What a file says of the dataset that it is."""

    dataset_type: str
    data_id: Mapping[str, DimensionValue]
    run: str
    id: uuid.UUID
    quantum: uuid.UUID | None = None
    """The quantum that made it, where a pipeline did."""
    inputs: tuple[InputDataset, ...] = ()
    """What it was made of; empty where that is more than `MAX_INPUTS`, or nobody said."""
    input_count: int | None = None
    """Of how many datasets it was made; None where nobody said."""

    @classmethod
    def of(cls, ref: DatasetRef, made: DatasetProvenance | None) -> FileProvenance:
        """Return what the file of a dataset is to say."""
        required = ref.dataset_type.dimensions.required
        data_id = dict(zip(required, ref.data_id.required_values, strict=True))
        if made is None:
            return cls(ref.dataset_type.name, data_id, ref.run, ref.id)
        unique = {one.id: InputDataset(one.id, one.dataset_type.name, one.run) for one in made.inputs}
        told = tuple(unique.values()) if len(unique) <= MAX_INPUTS else ()
        return cls(ref.dataset_type.name, data_id, ref.run, ref.id, made.quantum, told, len(unique))

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data; what nobody said is left out."""
        said: dict[str, Any] = {
            "dataset_type": self.dataset_type, "data_id": dict(self.data_id), "run": self.run, "id": str(self.id),
        }  # fmt: skip
        if self.quantum is not None:
            said["quantum"] = str(self.quantum)
        if self.input_count is not None:
            said["n_inputs"] = self.input_count
            said["inputs"] = [{"id": str(i.id), "dataset_type": i.dataset_type, "run": i.run} for i in self.inputs]
        return said

    @classmethod
    def from_dict(cls, said: Mapping[str, Any]) -> FileProvenance:
        """Return what `to_dict` gave.

        Raises
        ------
        ValueError, TypeError, LookupError, AttributeError
            It is something else.
        """
        return cls(
            str(said["dataset_type"]), dict(said["data_id"]), str(said["run"]), uuid.UUID(said["id"]),
            None if said.get("quantum") is None else uuid.UUID(said["quantum"]),
            tuple(
                InputDataset(uuid.UUID(one["id"]), str(one["dataset_type"]), str(one["run"]))
                for one in said.get("inputs", ())
            ),
            said.get("n_inputs"),
        )  # fmt: skip

    def to_pairs(self, separator: str) -> dict[str, int | str]:
        """Return it as keys and values, as LSST's butler has them, with what stands between the words of a key."""
        pairs: dict[tuple[str, ...], DimensionValue] = {
            ("ID",): str(self.id), ("RUN",): self.run, ("DATASETTYPE",): self.dataset_type,
            **{("DATAID", name.upper()): value for name, value in sorted(self.data_id.items())},
        }  # fmt: skip
        if self.quantum is not None:
            pairs["QUANTUM",] = str(self.quantum)
        if self.input_count is not None:
            pairs["N_INPUTS",] = self.input_count
        for number, one in enumerate(self.inputs):
            pairs["INPUT", str(number), "ID"] = str(one.id)
            pairs["INPUT", str(number), "RUN"] = one.run
            pairs["INPUT", str(number), "DATASETTYPE"] = one.dataset_type
        return {separator.join((*_PREFIX, *words)): value for words, value in pairs.items()}

    @classmethod
    def from_pairs(cls, pairs: Iterable[tuple[str, Any]], separator: str) -> FileProvenance | None:
        """Return what keys and values say, all others left out; None where they do not say which dataset it is.

        Raises
        ------
        ValueError
            An id among them is none.
        """
        prefix = separator.join((*_PREFIX, ""))
        said = {key.removeprefix(prefix).replace(separator, " "): v for key, v in pairs if key.startswith(prefix)}
        if not {"ID", "RUN", "DATASETTYPE"} <= said.keys():
            return None
        inputs: dict[int, dict[str, str]] = {}
        for key, value in said.items():
            if found := _INPUT(key):
                inputs.setdefault(int(found[1]), {})[found[2]] = str(value)
        count = said.get("N_INPUTS")
        return cls(
            str(said["DATASETTYPE"]),
            {key[7:].lower(): value for key, value in said.items() if key.startswith("DATAID ")},
            str(said["RUN"]),
            uuid.UUID(str(said["ID"])),
            None if "QUANTUM" not in said else uuid.UUID(str(said["QUANTUM"])),
            tuple(
                InputDataset(uuid.UUID(one["ID"]), one.get("DATASETTYPE", ""), one.get("RUN", ""))
                for _, one in sorted(inputs.items()) if "ID" in one
            ),
            count if isinstance(count, int) else None,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class QuantumRecord:
    """One execution of a task on one data ID."""

    id: uuid.UUID
    task: str
    """Dotted name of the task class."""
    label: str
    """The task's label in its pipeline."""
    run: str
    """The RUN that holds what it made."""
    data_id: Mapping[str, DimensionValue]
    fingerprint: str
    """Digest of code version, configuration and inputs: equal work has equal fingerprints."""
    host: str
    begin_ns: int
    """TAI nanoseconds."""
    end_ns: int
    """TAI nanoseconds."""
    outcome: str
    """``done``, ``failed`` or ``no_work``."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions of the packages that took part."""
    inputs: tuple[uuid.UUID, ...] = ()
    outputs: tuple[uuid.UUID, ...] = ()
