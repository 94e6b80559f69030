"""Paths out of what strangers give: nothing that they name leads out of the folder that they gave."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from ...model.datasets import DatasetRef, StoredFile
from ...model.errors import FileFormatError
from ...storage.bundles import is_safe_name, member_of
from ...storage.paths import dataset_path, file_suffix

__all__ = ["Within", "name_of"]


class Within:
    """A folder that came from elsewhere, and the files below it.

    Parameters
    ----------
    folder
        The folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._inside: set[Path] = {self._folder}

    def __call__(self, name: str) -> Path:
        """Return where a file lies.

        Raises
        ------
        FileFormatError
            Its name, or a symbolic link on the way to it, leads out of the folder.
        FileNotFoundError
            It is not there.
        """
        if not is_safe_name(name):
            raise FileFormatError(f"the path {name!r} does not stay below the folder of what is imported.")
        path = self._folder / name
        parent = path.parent
        if parent not in self._inside:
            self._check(parent, name)
            self._inside.add(parent)
        if path.is_symlink():
            self._check(path, name)
        if not path.is_file():
            raise FileNotFoundError(f"the file {path} is not there, or is none.")
        return path

    def folder(self, name: str) -> Path:
        """Return a folder below it, which need not be there; errors are those of a file."""
        if not is_safe_name(name):
            raise FileFormatError(f"the path {name!r} does not stay below the folder of what is imported.")
        self._check(self._folder / name, name)
        return self._folder / name

    def _check(self, path: Path, name: str) -> None:
        if not path.resolve().is_relative_to(self._folder):
            raise FileFormatError(
                f"a symbolic link leads from {name!r} to {path.resolve()}, which is not below the folder of what is "
                "imported."
            )


def name_of(ref: DatasetRef, file: StoredFile) -> str:
    """Return the path below a folder of the user's that a dataset's file is to have: its own, where it has one.

    What lies elsewhere (ingested "direct"), in a bundle, or under a name of somebody's making that leads elsewhere gets
    the path that a put would give it.
    """
    _, member = member_of(file.formatter)
    if member or not is_safe_name(file.path):
        return dataset_path(ref, file_suffix(PurePosixPath(member or file.path).name))
    return file.path
