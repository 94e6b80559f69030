"""Parquet files that are not on this machine: their footers, and the column chunks that are wanted, in memory.

Arrow reads with threads of its own. Given an open file of Python's, these would call back into Python, also while the
interpreter ends, which then waits for ever, or is aborted. What they get here is memory of Arrow's own.
"""

from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...model.errors import FileIntegrityError

if TYPE_CHECKING:
    from ..stores.ranges import RemoteFile

__all__ = ["ParquetParts", "fetch_footers", "fetch_parts"]

_TAIL = 1 << 16
"""Bytes at a file's end that are fetched first: they hold most footers."""
_WHOLE = 1 << 20
"""Bytes up to which a file is fetched whole."""
_GAP = 1 << 18
"""Bytes between two parts that cost less time than another request."""
_PIECE = 1 << 24
"""Bytes that one request is for at most, so that several go on at once."""
_AT_ONCE = 8
_END = 8  # bytes behind a footer: its length, and the mark of the format
_HEAD = 64  # bytes of a column chunk that make an error of it where they are zero: the header of its first page


class ParquetParts:
    """A Parquet file, of which what has been fetched is in memory.

    Memory is taken up for what is fetched only. A column chunk that is not fetched cannot be read.

    Parameters
    ----------
    source
        The file.
    """

    def __init__(self, source: "RemoteFile") -> None:
        self.source = source
        self.buffer: pa.Buffer = pa.allocate_buffer(source.size)
        self._bytes = np.frombuffer(self.buffer, np.uint8)
        self._is_whole = source.size <= _WHOLE

    def open(self) -> pa.NativeFile:
        """Open it for Arrow."""
        return pa.BufferReader(self.buffer)

    def fetch_footer(self) -> None:
        """Fetch what stands at the end, and all of a small file."""
        size = self.source.size
        begin = 0 if self._is_whole else size - _TAIL
        self.fetch(begin, size)
        length = int.from_bytes(self._bytes[-_END:-4].tobytes(), "little") + _END if size >= _END else 0
        if begin and size - length < begin and length <= size:
            self.fetch(size - length, begin)
        if not self._is_whole:
            for _, chunk, _ in self._chunks():
                self._bytes[chunk : chunk + _HEAD] = 0

    def ranges(self, columns: Collection[str] | None, groups: Collection[int] | None) -> Iterator[tuple[int, int]]:
        """Yield where the column chunks lie that are wanted, neighbours together, large ones in pieces.

        Parameters
        ----------
        columns
            The columns; all where None.
        groups
            The row groups; all where None.
        """
        if self._is_whole:
            return
        wanted = sorted(
            (begin, end)
            for (group, name), begin, end in self._chunks()
            if (groups is None or group in groups)
            and (columns is None or any(name == one or name.startswith(f"{one}.") for one in columns))
        )
        together: list[tuple[int, int]] = []
        for begin, end in wanted:
            if together and begin - together[-1][1] <= _GAP:
                together[-1] = together[-1][0], max(end, together[-1][1])
            else:
                together.append((begin, end))
        for first, last in together:
            for begin in range(first, last, _PIECE):
                yield begin, min(begin + _PIECE, last)

    def fetch(self, begin: int, end: int) -> None:
        """Fetch a part.

        Raises
        ------
        FileIntegrityError
            The file ends before it.
        """
        at = begin
        for block in self.source.stream(begin, end):
            self._bytes[at : at + len(block)] = np.frombuffer(block, np.uint8)
            at += len(block)
        if at != end:
            raise FileIntegrityError(f"{self.source} ends at byte {at}; {self.source.size} bytes were recorded for it")

    def _chunks(self) -> Iterator[tuple[tuple[int, str], int, int]]:
        """Yield row group and path of each column chunk, and where it begins and ends."""
        try:
            footer = pq.read_metadata(self.open())
        except (pa.ArrowException, OSError):  # no Parquet file: whoever opens it is told
            return
        for group in range(footer.num_row_groups):
            row_group = footer.row_group(group)
            for number in range(row_group.num_columns):
                chunk = row_group.column(number)
                begin = chunk.data_page_offset
                if chunk.dictionary_page_offset is not None and 0 < chunk.dictionary_page_offset < begin:
                    begin = chunk.dictionary_page_offset
                end = min(begin + chunk.total_compressed_size, self.source.size)
                if 0 <= begin < end:
                    yield (group, chunk.path_in_schema), begin, end


def fetch_footers(sources: "Iterable[RemoteFile]") -> list[ParquetParts]:
    """Return files with their footers, several fetched at once."""
    parts = [ParquetParts(source) for source in sources]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(ParquetParts.fetch_footer, parts))
    return parts


def fetch_parts(wanted: Iterable[tuple[ParquetParts, Collection[str] | None, Collection[int] | None]]) -> None:
    """Fetch columns and row groups of files; see `ParquetParts.ranges`."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        fetched = [
            pool.submit(parts.fetch, begin, end)
            for parts, columns, groups in wanted
            for begin, end in parts.ranges(columns, groups)
        ]
        try:
            for one in fetched:
                one.result()
        finally:
            for one in fetched:
                one.cancel()
