"""Provenance: what a quantum of work was, what it read and what it made."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from .data_id import DimensionValue

__all__ = ["QuantumRecord"]


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
