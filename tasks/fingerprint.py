"""Fingerprints: equal for equal work, so that what is up to date need not be done again, and what is stale is.

A quantum's fingerprint follows from the task's class, the source text of the modules in its folder, the version of its
package, its configuration, its data ID, and the ids of the datasets that it reads.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

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


_SOURCES: WeakKeyDictionary[type, bytes] = WeakKeyDictionary()
"""Digests by class, not by file: what is edited and reloaded is another class."""


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
        if issubclass(parent, Task) and not parent.__module__.startswith(f"{__package__}."):
            if parent not in _SOURCES:
                _SOURCES[parent] = _source_digest(parent)
            digest.update(_SOURCES[parent])
    return digest.hexdigest()


_OF_THE_PLACE = frozenset({"__firstlineno__", "__static_attributes__"})
"""What Python 3.13 notes in a class that is not of its code."""


def _source_digest(task_class: type[Task]) -> bytes:
    """Digest a class's module, with its neighbours where it is in a package: a task calls functions of theirs.

    A class of a notebook has no file: what its functions do is taken.
    """
    digest = hashlib.blake2b(digest_size=16)
    file = getattr(sys.modules.get(task_class.__module__), "__file__", None)
    if file is None:
        for name, value in sorted(vars(task_class).items()):
            if name in _OF_THE_PLACE:
                continue
            digest.update(f"{name} {_code_text(getattr(inspect.unwrap(value), '__code__', value))}\n".encode())
        return digest.digest()
    source = Path(file)
    is_packaged = (source.parent / "__init__.py").is_file()
    for path in sorted(source.parent.glob("*.py")) if is_packaged else [source]:
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.digest()


def _code_text(value: Any) -> str:
    """Return code or a constant as text that is equal in every process: no addresses, line numbers or order of sets."""
    if isinstance(value, CodeType):
        return f"{value.co_code.hex()} {value.co_names} {[_code_text(one) for one in value.co_consts]}"
    if isinstance(value, frozenset):
        return str(sorted(map(repr, value)))
    return repr(value) if isinstance(value, bool | int | float | str | bytes | tuple | None) else ""


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
