"""Files of datasets, copied into a folder of the user's."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ...model.datasets import DatasetRef, StoredFile
from ...model.errors import DatasetNotFoundError, FileFormatError
from ...registry import bulk
from ...storage.atomic import write_whole
from ...storage.paths import dataset_path
from ..progress import track
from .places import name_of

if TYPE_CHECKING:
    from ..exchanging import ButlerExchange

__all__ = ["files_with_names", "retrieve_files"]


def files_with_names(
    butler: ButlerExchange, refs: Iterable[DatasetRef], *, preserve_path: bool = True
) -> list[tuple[DatasetRef, StoredFile, str]]:
    """Return datasets, the file of each, and the path that it is to have elsewhere; no two files have the same.

    Raises
    ------
    DatasetNotFoundError
        A dataset is not registered, or has no file.
    """
    refs = list(refs)
    files = bulk.files_of(butler.registry, refs)
    if lost := [ref for ref in refs if ref.id not in files]:
        raise DatasetNotFoundError(f"no file of {lost[0]} (id {lost[0].id}) is registered.")
    taken: dict[str, tuple[str, str]] = {}
    found = []
    for ref in refs:
        file = files[ref.id]
        own, name = (file.path, file.formatter), name_of(ref, file)
        if not preserve_path:
            name = PurePosixPath(name).name
        if taken.setdefault(name.casefold(), own)[0] != file.path:  # another file is called so: this gets an id
            name = PurePosixPath(dataset_path(ref, "".join(PurePosixPath(name).suffixes[-1:]))).name
            taken[name.casefold()] = own
        found.append((ref, file, name))
    return found


def retrieve_files(
    butler: ButlerExchange,
    refs: Iterable[DatasetRef],
    folder: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    preserve_path: bool = True,
) -> list[Path]:
    """Copy the files of datasets; parameters and errors are those of `Butler.retrieve`."""
    top = Path(folder).absolute()
    inside = top.resolve()
    named = files_with_names(butler, refs, preserve_path=preserve_path)
    targets = {name: (top / name, file) for _, file, name in named}
    for path, _ in targets.values():
        if not path.parent.resolve().is_relative_to(inside):
            raise FileFormatError(f"a symbolic link leads from {path.parent} out of {top}; nothing was copied.")
        if os.path.lexists(path) and not overwrite:
            raise FileExistsError(f"{path} is there already; pass overwrite=True (--overwrite) to replace it.")
    for path, file in track(list(targets.values()), "Copying files"):
        write_whole(str(path), partial(butler.datastore.fetch, file), replace=overwrite, durable=False)
    return [targets[name][0] for _, _, name in named]
