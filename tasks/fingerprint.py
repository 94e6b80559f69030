"""Fingerprints: equal for equal work, so that what is up to date need not be done again, and what is stale is.

A quantum's fingerprint follows from the task's class, the source text of the modules in its folder, the version of its
package, its configuration, its data ID, and the ids of the datasets that it reads.
"""

from __future__ import annotations

import hashlib
import sys
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from .class_path import class_path
from .config import Config
from .config_text import to_json
from .quantum import refs_in
from .subtask import Subtask
from .task import Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..model.datasets import DatasetRef
    from .pipeline import TaskNode
    from .quantum import Quantum

__all__ = ["package_version", "quantum_fingerprint", "task_digest"]


def task_digest(node: TaskNode) -> str:
    """Return a digest of what a task does on any data: code and configuration."""
    digest = hashlib.blake2b(digest_size=16)
    for task_class in [node.task_class, *_subtask_classes(node.config)]:
        digest.update(code_digest(task_class).encode())
    digest.update(to_json(node.config).encode())
    return digest.hexdigest()


def quantum_fingerprint(task: str, quantum: Quantum, inputs: Mapping[str, DatasetRef | list[DatasetRef] | None]) -> str:
    """Return the fingerprint of one quantum.

    Parameters
    ----------
    task
        Digest of the task.
    quantum
        The quantum.
    inputs
        Its inputs as they are, not as they were predicted.
    """
    parts = [task, *(f"{name}={quantum.data_id[name]}" for name in quantum.data_id.dimensions.required)]
    parts += [f"{name}:" + ",".join(sorted(ref.id.hex for ref in refs_in(inputs[name]))) for name in sorted(inputs)]
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


def code_digest(task_class: type[Task]) -> str:
    """Return a digest of a task class's name, versions, and source."""
    root = task_class.__module__.partition(".")[0]
    digest = hashlib.blake2b(
        f"{class_path(task_class)} {task_class.version} {package_version(root)}".encode(), digest_size=16
    )
    for parent in task_class.__mro__:
        source = getattr(sys.modules.get(parent.__module__), "__file__", None)
        if issubclass(parent, Task) and not parent.__module__.startswith(f"{__package__}.") and source is not None:
            digest.update(_source_digest(Path(source)))
    return digest.hexdigest()


@lru_cache(maxsize=256)
def _source_digest(source: Path) -> bytes:
    """Digest a module, with its neighbours where it is in a package: a task calls functions of theirs."""
    digest = hashlib.blake2b(digest_size=16)
    is_packaged = (source.parent / "__init__.py").is_file()
    for path in sorted(source.parent.glob("*.py")) if is_packaged else [source]:
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.digest()


@lru_cache(maxsize=256)
def package_version(package: str) -> str:
    """Return the version of an installed distribution, "" where it has none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _subtask_classes(config: Config) -> list[type[Task]]:
    found: list[type[Task]] = []
    for value in config.__dict__.values():
        if isinstance(value, Subtask):
            found += [value.target, *_subtask_classes(value.config)]
        elif isinstance(value, Config):
            found += _subtask_classes(value)
    return found
