"""What a formatter is: the one place that knows how a kind of object becomes the bytes of one file, and back."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from ...model.errors import FileFormatError, StorageClassError, closest

if TYPE_CHECKING:
    from ...model.storage_class import StorageClass

__all__ = ["ByteSink", "Formatter", "check_parameters", "no_component", "text_of"]


class ByteSink(Protocol):
    """Where a formatter writes: an open file, from its first byte to its last, without going back."""

    def write(self, data: Any, /) -> int:
        """Write all of a bytes-like object and return its length."""
        ...


class Formatter(ABC):
    """Writes objects of some storage classes into files of one format, and reads them back.

    A formatter has no state: one instance serves every thread.
    """

    name: ClassVar[str]
    """What the registry remembers of a file, to find the formatter again."""

    suffix: ClassVar[str]
    """How the names of its files end, with the dot."""

    reads_ranges: ClassVar[bool] = False
    """Whether `read` takes a `RemoteFile` instead of a path, too, of which it reads only what it needs."""

    has_headers: ClassVar[bool] = False
    """Whether there is something that `header` and `read_header` return."""

    def check(self, obj: Any, storage_class: "StorageClass") -> None:
        """Refuse an object that the storage class does not take, before anything is written.

        Raises
        ------
        StorageClassError
            If the object is of another type; the message says which was given and which is wanted.
        """
        storage_class.check(obj)

    def compressing(self, compression: str) -> "Formatter":
        """Return the formatter that writes as this one does, with a compression.

        Raises
        ------
        StorageClassError
            If files of this format are not compressed so.
        """
        raise StorageClassError(f"{self.name} files take no compression={compression!r}: only pixels in FITS files do")

    @abstractmethod
    def write(self, obj: Any, sink: ByteSink, storage_class: "StorageClass", provenance: Mapping[str, Any]) -> None:
        """Write an object that `check` has let pass.

        Parameters
        ----------
        obj
            The object; it is never changed.
        sink
            Where the bytes go, in order.
        storage_class
            What the object is written as.
        provenance
            What the file shall say about itself, plain data: ``dataset_type``, ``data_id`` (a mapping), ``run`` and
            ``id``, and, of what a task made, ``quantum``, ``n_inputs`` and ``inputs`` (each its ``id``,
            ``dataset_type`` and ``run``); or nothing, for a file outside any repository.
        """

    @abstractmethod
    def read(
        self, path: Path, storage_class: "StorageClass", component: str | None, parameters: Mapping[str, Any]
    ) -> Any:
        """Read a file, a part of it (`parameters`) or one thing in it (`component`).

        Raises
        ------
        FileFormatError
            If the file is not what this formatter writes.
        StorageClassError
            If the storage class has no such component or parameter.
        """

    def header(self, obj: Any, storage_class: "StorageClass") -> Mapping[str, Any]:
        """Return what an object's header says, for a registry to keep what datasets are found by."""
        return {}

    def read_header(self, source: Any, storage_class: "StorageClass") -> Mapping[str, Any]:
        """Return what `header` would of the object in a file, of which no more is read than that takes.

        Parameters
        ----------
        source
            The file's path; or, where the formatter `reads_ranges`, a `RemoteFile`.
        storage_class
            What the object is.

        Raises
        ------
        FileFormatError
            If the file is not what this formatter reads.
        """
        return {}


def check_parameters(parameters: Mapping[str, Any], known: tuple[str, ...], storage_class: "StorageClass") -> None:
    """Refuse a read parameter that means nothing for a storage class."""
    for name in parameters:
        if name not in known:
            raise StorageClassError(
                f"storage class {storage_class.name!r} has no read parameter {name!r}; "
                f"it has {', '.join(known) or 'none'}.{closest(name, known)}"
            )


def no_component(name: str, known: tuple[str, ...] | list[str], storage_class: "StorageClass") -> StorageClassError:
    """Return the error that says that a storage class has no such component."""
    return StorageClassError(
        f"storage class {storage_class.name!r} has no component {name!r}; it has {', '.join(known) or 'none'}."
        f"{closest(name, known)}"
    )


def text_of(path: Path) -> str:
    """Read a text file whole.

    Raises
    ------
    FileFormatError
        If the file is not UTF-8 text.
    """
    with path.open("rb") as stream:
        data = stream.read()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{path} is not UTF-8 text: {error}") from error
