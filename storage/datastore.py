"""A folder of datasets: objects go in as whole files or not at all, and come out only as what went in.

The datastore keeps no list of its own. `write` says in a `StoredFile` what it has made, the registry remembers that,
and `read` and `remove` are told it again.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from ..model.datasets import StoredFile
from ..model.errors import FileIntegrityError
from .atomic import HashingFile, make_folder, remove_empty_folders, write_whole
from .formatters import formatter as formatter_named
from .formatters import formatter_for
from .paths import dataset_path, file_suffix

if TYPE_CHECKING:
    from ..model.datasets import DatasetRef
    from ..model.storage_class import StorageClass

__all__ = ["Datastore"]

_COPY_BLOCK = 1 << 22
TRANSFER_MODES = ("auto", "direct", "link", "copy", "move", "in_place")


class Datastore:
    """The files of a repository, below one local folder.

    Parameters
    ----------
    root
        The folder; it is made when the first file is written.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root).absolute()
        self._root = str(self.root)

    def __repr__(self) -> str:
        return f"Datastore({self._root!r})"

    def check(self, obj: Any, storage_class: "StorageClass") -> None:
        """Refuse an object that its storage class does not take, as `write` does; nothing is written.

        Raises
        ------
        StorageClassError
            If the storage class does not take such an object, or nothing writes it.
        """
        formatter_for(storage_class).check(obj, storage_class)

    def write(self, obj: Any, ref: "DatasetRef", storage_class: "StorageClass") -> StoredFile:
        """Write an object as the file of a dataset.

        The file appears under its name only when all of it is on the disk: it is written beside its place under a
        hidden name, flushed, renamed, and the folder flushed too. What fails leaves nothing behind.

        Parameters
        ----------
        obj
            The object; never changed.
        ref
            The dataset that it is to be; says where the file lies.
        storage_class
            What it is written as.

        Returns
        -------
        StoredFile
            The file's path, formatter, size and checksum.

        Raises
        ------
        StorageClassError
            If the storage class does not take such an object; nothing has been written then.
        """
        chosen = formatter_for(storage_class)
        chosen.check(obj, storage_class)
        provenance = {"dataset_type": ref.dataset_type.name, "data_id": ref.data_id, "run": ref.run, "id": str(ref.id)}
        path = self._free_path(ref, chosen.suffix)
        size, checksum = write_whole(
            f"{self._root}/{path}", lambda sink: chosen.write(obj, sink, storage_class, provenance)
        )
        return StoredFile(
            path=path, formatter=chosen.name, storage_class=storage_class.name, size=size, checksum=checksum
        )

    def read(
        self,
        stored: StoredFile,
        storage_class: "StorageClass",
        component: str | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> Any:
        """Read a dataset, a part of it or one of its components.

        Parameters
        ----------
        stored
            What `write` or `ingest_file` returned.
        storage_class
            What it is to be read as; need not be what it was written as.
        component
            Name of the component to read alone.
        parameters
            What part to read: ``bbox``, ``columns``, ``filters``, ...

        Raises
        ------
        FileIntegrityError
            If the file is gone, or is not as long as it was.
        FileFormatError
            If the file cannot be understood.
        StorageClassError
            If the storage class has no such component or parameter.
        """
        path = self._sized_path(stored)
        return formatter_named(stored.formatter).read(path, storage_class, component, parameters or {})

    def _free_path(self, ref: "DatasetRef", suffix: str) -> str:
        """Return a dataset's path, or, where a file lies there already, one beside it.

        Such a file is what a crash has left, or another writer's of the same id (raw frames have ids that follow from
        their data IDs), whose dataset may stand. Either way it is not this writer's to replace.
        """
        path = dataset_path(ref, suffix)
        if os.path.lexists(f"{self._root}/{path}"):
            return dataset_path(ref, f"-{token_hex(4)}{suffix}")
        return path

    def _sized_path(self, stored: StoredFile) -> Path:
        """Return where a file lies; FileIntegrityError where it is gone, or not as long as it was."""
        path = self.path(stored)
        try:
            size = os.stat(path).st_size  # noqa: PTH116 - a third of the time of Path.stat
        except FileNotFoundError:
            raise FileIntegrityError(f"the file {path} is gone; {stored.size} bytes were recorded for it") from None
        if size != stored.size:
            raise FileIntegrityError(f"the file {path} has {size} bytes, but {stored.size} were recorded for it")
        return path

    def path(self, stored: StoredFile) -> Path:
        """Return where a file lies, as an absolute path."""
        return Path(self._root, stored.path)

    def uri(self, stored: StoredFile) -> str:
        """Return where a file lies, as a ``file://`` URI."""
        return self.path(stored).as_uri()

    def verify(self, stored: StoredFile) -> None:
        """Compare the whole of a file with what was recorded when it was written.

        Raises
        ------
        FileIntegrityError
            If the file is gone, or differs in size or checksum.
        """
        path = self._sized_path(stored)
        _, checksum = _measure(path)
        if stored.checksum and checksum != stored.checksum:
            raise FileIntegrityError(
                f"the file {path} has the checksum {checksum}, but {stored.checksum} was recorded for it"
            )

    def remove(self, stored: StoredFile) -> None:
        """Remove a file and the folders that it leaves empty; a file outside the root, ingested "direct", stays.

        Removing what is gone already is no error, so that an interrupted removal can be repeated.
        """
        if stored.path.startswith("/"):
            return
        path = f"{self._root}/{stored.path}"
        with suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108
        remove_empty_folders(os.path.dirname(path), self._root)  # noqa: PTH120

    def ingest_file(
        self, path: Path | str, ref: "DatasetRef", transfer: str = "auto", formatter: str | None = None
    ) -> StoredFile:
        """Take a file that exists as the file of a dataset.

        Parameters
        ----------
        path
            The file.
        ref
            The dataset that it is to be.
        transfer
            ``direct`` and ``in_place`` leave the file where it is (``in_place`` wants it below the root); ``copy`` and
            ``move`` do what they say; ``link`` makes a hard link, or a symbolic one to another file system; ``auto``
            leaves a file below the root where it is, and hard-links any other or copies it.
        formatter
            Name of the formatter that reads it; by default the one that writes the storage class.

        Returns
        -------
        StoredFile
            Its path, formatter, size and checksum.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        FileFormatError
            If there is no such formatter.
        ValueError
            If `transfer` is no known mode, or ``in_place`` is asked for a file outside the root.
        """
        source = Path(path).absolute()
        if transfer not in TRANSFER_MODES:
            raise ValueError(f"transfer={transfer!r} is not one of {', '.join(TRANSFER_MODES)}")
        if not source.is_file():
            raise FileNotFoundError(f"there is no file {source} to ingest")
        storage_class = ref.dataset_type.storage_class
        name = (formatter_for(storage_class) if formatter is None else formatter_named(formatter)).name
        inside = source.is_relative_to(self.root)
        if transfer == "in_place" and not inside:
            raise ValueError(f"{source} cannot be ingested in place: it is not below {self.root}")
        if transfer == "direct":
            kept = str(source)
        elif transfer == "in_place" or (transfer == "auto" and inside):
            kept = source.relative_to(self.root).as_posix()
        else:
            kept = self._free_path(ref, file_suffix(source.name))
            size, checksum = _transfer(source, Path(self._root, kept), transfer)
            return StoredFile(kept, name, storage_class.name, size, checksum)
        size, checksum = _measure(source)
        return StoredFile(kept, name, storage_class.name, size, checksum)


def _transfer(source: Path, target: Path, transfer: str) -> tuple[int, str]:
    """Bring a file to its place in the datastore; return its size and checksum."""
    if transfer == "copy":
        return write_whole(str(target), _copier(source))
    measured = _measure(source)
    make_folder(str(target.parent))
    linked = source.resolve()  # a link to a symbolic link would lead from its new place to nowhere
    try:
        if transfer == "move":
            source.rename(target)
        else:
            os.link(linked, target)
    except OSError:  # another file system, or one without hard links
        if transfer == "link":
            target.symlink_to(linked)
            return measured
        measured = write_whole(str(target), _copier(source))
        if transfer == "move":
            source.unlink()
    return measured


def _copier(source: Path) -> Callable[[HashingFile], None]:
    """Return what copies a file into a sink, block by block."""

    def copy(sink: HashingFile) -> None:
        with source.open("rb", buffering=0) as stream:
            while block := stream.read(_COPY_BLOCK):
                sink.write(block)

    return copy


def _measure(path: Path) -> tuple[int, str]:
    """Return the size and checksum of a file."""
    sink = HashingFile(None)
    _copier(path)(sink)
    return sink.size, sink.checksum
