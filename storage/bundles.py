"""Zip bundles: one file whose members are files of datasets, each read where it lies.

Members that SkyButler writes are stored as they are, so that any part of one can be read by its place; others' may be
deflated, which are read from their begin. A dataset in a bundle
is registered with the bundle's path, size and checksum, as all datasets that share a file are; its formatter says which
member it is: ``parquet#zip-path=calexp/calexp_Cam_7.parquet``.
"""

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from ..model.errors import FileFormatError, FileIntegrityError
from .stores.ranges import RemoteFile
from .stores.store import ReadableStore, Store

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

__all__ = ["BundleStore", "Member", "as_member", "in_uri", "is_safe_name", "member_of", "members_of", "write_bundle"]

_MARK = "#zip-path="
_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_BLOCK = 1 << 20
_DENSEST = 200
"""How many times larger than it is packed a member may be."""
_SMALL = 1 << 26
"""Bytes up to which that does not matter."""
_EPOCH = (1980, 1, 1, 0, 0, 0)  # of every member, so that the same datasets make the same bundle


def member_of(formatter: str) -> tuple[str, str]:
    """Return a formatter's name, and the member of a bundle that it is to read; empty for a whole file."""
    name, _, member = formatter.partition(_MARK)
    return name, member


def as_member(formatter: str, member: str) -> str:
    """Return what `member_of` takes apart."""
    return f"{formatter}{_MARK}{member}"


def is_safe_name(name: str) -> bool:
    """Whether a path from elsewhere names something below the folder that it is meant in, on any system."""
    parts = PurePosixPath(name).parts
    return (
        bool(parts) and name == "/".join(parts) and not name.startswith("/") and ".." not in parts
        and "\\" not in name and name.isprintable() and ":" not in parts[0]
    )  # fmt: skip


def in_uri(uri: str, member: str) -> str:
    """Return what names a member of the bundle of a URI."""
    return f"{uri}{_MARK}{member}"


@dataclass(frozen=True, slots=True)
class Member:
    """Where a member's bytes are in its bundle."""

    name: str
    begin: int
    """Position of its first byte."""
    size: int
    """Bytes."""
    packed: int
    """Bytes that they take in the bundle."""
    crc: int
    """CRC-32 of them."""
    deflated: bool


class BundleStore(ReadableStore):
    """The members of a bundle, as a store that is only read.

    Parameters
    ----------
    store, name
        The store that the bundle is in, and its name there.
    size
        Its length in bytes.

    Raises
    ------
    FileFormatError
        It is no bundle.
    """

    def __init__(self, store: Store, name: str, size: int) -> None:
        super().__init__(in_uri(store.uri(name), ""))
        self._store, self._name = store, name
        with RemoteFile(store, name, size).open() as stream:
            self._members = {member.name: member for member in members_of(stream, store.uri(name))}

    def uri(self, name: str) -> str:
        """Return the bundle's URI, with the member behind it."""
        return f"{self.location}{name}"

    def size(self, name: str) -> int | None:
        """Return the length of a member; see `Store.size`."""
        member = self._members.get(name)
        return None if member is None else member.size

    def stream(self, name: str, begin: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield a member's bytes; see `Store.stream`.

        Raises
        ------
        FileIntegrityError
            All of it is read, and is not what was written.
        """
        member = self._members.get(name)
        if member is None:
            raise FileNotFoundError(f"there is no {self.uri(name)}")
        last = member.size if end is None else min(end, member.size)
        crc = 0
        if member.deflated:
            blocks = self._inflated(member, begin, last)
        else:
            blocks = self._store.stream(self._name, member.begin + begin, member.begin + max(begin, last))
        for block in blocks:
            crc = zlib.crc32(block, crc)
            yield block
        if begin == 0 and last == member.size and crc != member.crc:
            raise FileIntegrityError(f"{self.uri(name)} has the CRC-32 {crc:08x}; {member.crc:08x} was written")

    def _inflated(self, member: Member, begin: int, end: int) -> Iterator[bytes]:
        """Yield the bytes of a deflated member, never more of them than it says that it has."""
        inflate, at = zlib.decompressobj(-zlib.MAX_WBITS), 0
        try:
            for block in self._store.stream(self._name, member.begin, member.begin + member.packed):
                packed = block
                while packed and at < end:
                    plain = inflate.decompress(packed, min(_BLOCK, end - at))
                    packed = inflate.unconsumed_tail
                    if at + len(plain) > begin:
                        yield plain[max(0, begin - at) :]
                    at += len(plain)
        except zlib.error as error:
            raise FileIntegrityError(f"{self.uri(member.name)} is damaged: {error}") from error
        if at < end:
            raise FileIntegrityError(f"{self.uri(member.name)} has {at} bytes; it says that it has {member.size}")


def members_of(stream: IO[bytes], where: str) -> list[Member]:
    """Return the members of a bundle, in the order of their bytes.

    Parameters
    ----------
    stream
        The bundle, opened for reading.
    where
        What it is called in messages.

    Raises
    ------
    FileFormatError
        It is no zip file; or a member has a name that leads out of its folder, or that another has, is a link, is
        encrypted, would be far larger than it is packed, or does not lie where the file says.
    """
    try:
        with zipfile.ZipFile(stream) as archive:
            listed = [info for info in archive.infolist() if not info.filename.endswith("/")]
            end = archive.start_dir
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        raise FileFormatError(f"{where} is no zip file that can be read: {error}") from error
    seen: set[str] = set()
    found = []
    for info in sorted(listed, key=lambda info: info.header_offset):
        if why := _why_refused(info, seen):
            raise FileFormatError(f"{where}: {why}; nothing was taken from it")
        seen.add(info.filename)
        found.append(_placed(stream, info, where))
    if not found:
        return []
    ends = [member.begin - len(member.name.encode()) - _LOCAL_HEADER.size for member in found[1:]] + [end]
    for member, following in zip(found, ends, strict=True):
        if member.begin + member.packed > following:
            raise FileFormatError(f"{where}: the member {member.name!r} reaches into what follows it; it is damaged")
    return found


def _why_refused(info: zipfile.ZipInfo, seen: set[str]) -> str:
    name = info.filename
    if not is_safe_name(name) or info.orig_filename != name:
        return f"the member {info.orig_filename!r} has a name that does not stay in its folder"
    if name in seen:
        return f"two members are called {name!r}"
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
        return f"the member {name!r} is a link, or no file"
    if info.flag_bits & 0x1:
        return f"the member {name!r} is encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"the member {name!r} is compressed in a way that is not read; store it as it is (zip -0)"
    if info.compress_type == zipfile.ZIP_STORED and info.compress_size != info.file_size:
        return f"the member {name!r} is stored as it is, and yet {info.compress_size} bytes are {info.file_size}"
    if info.file_size > max(_SMALL, _DENSEST * info.compress_size):
        return f"the member {name!r} says that its {info.compress_size} bytes are {info.file_size}"
    return ""


def _placed(stream: IO[bytes], info: zipfile.ZipInfo, where: str) -> Member:
    """Return where a member's bytes begin, behind the header that stands before them."""
    header = b""
    if info.header_offset >= 0:
        stream.seek(info.header_offset)
        header = stream.read(_LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size or not header.startswith(b"PK\3\4"):
        raise FileFormatError(f"{where}: the member {info.filename!r} is not where the file says")
    *_, name_length, extra_length = _LOCAL_HEADER.unpack(header)
    if stream.read(name_length) != info.filename.encode():
        raise FileFormatError(f"{where}: the member {info.filename!r} has another name where it lies")
    begin = info.header_offset + _LOCAL_HEADER.size + name_length + extra_length
    deflated = info.compress_type == zipfile.ZIP_DEFLATED
    return Member(info.filename, begin, info.file_size, info.compress_size, info.CRC, deflated)


def write_bundle(sink: "SupportsWrite[bytes]", members: Iterable[tuple[str, int, Iterable[bytes]]]) -> None:
    """Write a bundle.

    Parameters
    ----------
    sink
        Where its bytes go.
    members
        The name, the length in bytes and the bytes of each member.
    """
    with zipfile.ZipFile(_Forward(sink), "w", zipfile.ZIP_STORED) as archive:
        for name, size, blocks in members:
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            info.file_size = size
            with archive.open(info, "w") as member:
                for block in blocks:
                    member.write(block)


class _Forward(io.RawIOBase):
    """A sink as zipfile wants it: one that is never gone back in."""

    def __init__(self, sink: "SupportsWrite[bytes]") -> None:
        self._sink, self._at = sink, 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def write(self, data: Any, /) -> int:
        block = bytes(data)
        self._sink.write(block)
        self._at += len(block)
        return len(block)
