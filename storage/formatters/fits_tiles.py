"""Images compressed tile by tile (FITS Standard 4.0, section 10.1), by a pool of threads.

What is written are GZIP_2 tiles of 256x256 pixels: of each tile first all leading bytes, then all second ones, and so
on, as one gzip stream, which any reader of compressed FITS unpacks bit for bit. Within the stream each of these byte
planes is packed as suits it. The leading bytes of neighbouring pixels differ little, and runs with Huffman codes make
them smaller, and faster, than a search for repeated strings would; the last bytes of noisy pixels are noise, which is
stored as it is. zlib works without Python's lock, so that threads share the tiles.

GZIP_1, GZIP_2 and NOCOMPRESS are read here, and of a part of an image only the tiles that it touches. RICE_1 and
quantized pixels are written, and whatever else is read, by astropy.
"""

import io
import os
import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache, lru_cache
from importlib import import_module
from itertools import product
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from ...imaging.header import HeaderValue
from ...instruments.headers import parse_cards
from .fits_cards import BITPIX, ZERO, CardTuple, as_fits, header_bytes, write_padding
from .formatter import ByteSink

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Compression", "can_be_tiled", "read_tiles", "write_tiles"]

Compression = Literal["gzip", "rice"]
"""How pixels are kept: ``gzip`` loses nothing; ``rice`` rounds floating-point pixels to a 16th of their noise."""

TILE = 256
"""Height and width of the tiles that are written, pixels."""

_SAMPLE = 4096  # bytes of a byte plane that tell how to pack it
_NOISE = 7.9  # bits of information in a byte from which on packing gains nothing
_HEADER = bytes((31, 139, 8, 0, 0, 0, 0, 0, 4, 255))  # of a gzip stream: fastest method, no name, no time
_LONGEST_32 = (1 << 31) - 1  # bytes of a heap that 32-bit descriptors reach
_QUANTIZE_LEVEL = 16.0  # steps to one standard deviation of the noise
_TYPES = {8: "u1", 16: "i2", 32: "i4", 64: "i8", -32: "f4", -64: "f8"}
_FIELD_SIZE = {"L": 1, "B": 1, "A": 1, "I": 2, "J": 4, "E": 4, "K": 8, "D": 8, "C": 8, "M": 16, "P": 8, "Q": 16}

T = TypeVar("T")
R = TypeVar("R")


def can_be_tiled(array: "NDArray[Any]") -> bool:
    """Tell whether pixels are kept as tiles: no empty image is, nor, as cfitsio has no such tiles, 64-bit integers."""
    return bool(array.size) and array.dtype.str[1:] in BITPIX and array.dtype.str[1:] not in ("i8", "u8")


def write_tiles(sink: ByteSink, cards: Iterable[CardTuple], array: "NDArray[Any]", compression: Compression) -> None:
    """Write an image as a table of compressed tiles.

    Parameters
    ----------
    sink
        Where to.
    cards
        The image's own header, without what says how the pixels are kept.
    array
        The pixels, shape ``(height, width)``; `can_be_tiled`.
    compression
        How; what has no fraction is kept without loss by either.
    """
    if compression == "rice":
        _write_by_astropy(sink, cards, array)
        return
    height, width = array.shape
    corners = list(product(range(0, height, TILE), range(0, width, TILE)))
    tiles = _in_threads(lambda at: _packed(array[at[0] : at[0] + TILE, at[1] : at[1] + TILE]), corners)
    sizes = np.array([len(tile) for tile in tiles])
    heap = int(sizes.sum())
    letter, word = ("P", ">i4") if heap <= _LONGEST_32 else ("Q", ">i8")
    descriptors = np.stack([sizes, np.cumsum(sizes) - sizes], axis=1).astype(word)
    kind = array.dtype.str[1:]
    head: list[CardTuple] = [("XTENSION", "BINTABLE", ""), ("BITPIX", 8, ""), ("NAXIS", 2, "")]
    head += [("NAXIS1", 2 * descriptors.itemsize, ""), ("NAXIS2", len(tiles), "tiles"), ("PCOUNT", heap, "")]
    head += [("GCOUNT", 1, ""), ("TFIELDS", 1, ""), ("TTYPE1", "COMPRESSED_DATA", "")]
    head += [("TFORM1", f"1{letter}B({sizes.max()})", ""), ("ZIMAGE", True, "an image, compressed")]
    head += [("ZTENSION", "IMAGE", ""), ("ZBITPIX", BITPIX[kind], ""), ("ZNAXIS", 2, "")]
    head += [("ZNAXIS1", width, ""), ("ZNAXIS2", height, ""), ("ZPCOUNT", 0, ""), ("ZGCOUNT", 1, "")]
    head += [("ZTILE1", min(TILE, width), ""), ("ZTILE2", min(TILE, height), ""), ("ZCMPTYPE", "GZIP_2", "")]
    if array.dtype.kind == "f":
        head.append(("ZQUANTIZ", "NONE", "without loss"))
    if kind in ZERO:
        head += [("BSCALE", 1, ""), ("BZERO", ZERO[kind], "pixels are integers of another sign")]
    sink.write(header_bytes([*head, *cards]))
    sink.write(descriptors.tobytes())
    for tile in tiles:
        sink.write(tile)
    write_padding(sink, descriptors.nbytes + heap)


def _packed(tile: "NDArray[Any]") -> bytes:
    """Return a tile's gzip stream."""
    values = as_fits(tile)
    bits = 8 * values.itemsize
    values = np.ascontiguousarray(values).reshape(-1).view(f"u{values.itemsize}")
    shuffled = np.empty((values.itemsize, values.size), np.uint8)
    for number, plane in enumerate(shuffled):
        np.right_shift(values, bits - 8 * (number + 1), out=plane, casting="unsafe")
    parts = [_HEADER]
    for number, plane in enumerate(shuffled):
        packing = zlib.compressobj(*_packing(plane))
        parts.append(packing.compress(plane.data))
        parts.append(packing.flush(zlib.Z_FINISH if number == len(shuffled) - 1 else zlib.Z_FULL_FLUSH))
    parts.append(zlib.crc32(shuffled.data).to_bytes(4, "little") + shuffled.nbytes.to_bytes(4, "little"))
    return b"".join(parts)


def _packing(plane: "NDArray[np.uint8]") -> tuple[int, int, int, int, int]:
    """Return level, method, window (raw), memory and strategy that suit a byte plane."""
    middle = max(0, (plane.size - _SAMPLE) // 2)
    sample = plane[middle : middle + _SAMPLE]
    searched, runs = (_deflated_size(sample, strategy) for strategy in (zlib.Z_DEFAULT_STRATEGY, zlib.Z_RLE))
    if searched < 0.9 * runs:
        return 1, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY
    spread = np.bincount(plane[:: max(1, plane.size // _SAMPLE)], minlength=1)
    shares = spread[spread > 0] / spread.sum()
    is_noise = -float(shares @ np.log2(shares)) > _NOISE
    return 0 if is_noise else 1, zlib.DEFLATED, -15, 9, zlib.Z_RLE


def _deflated_size(sample: "NDArray[np.uint8]", strategy: int) -> int:
    packing = zlib.compressobj(1, zlib.DEFLATED, -15, 9, strategy)
    return len(packing.compress(sample.data)) + len(packing.flush())


def _write_by_astropy(sink: ByteSink, cards: Iterable[CardTuple], array: "NDArray[Any]") -> None:
    """Write RICE_1 tiles, of floating-point pixels quantized with a dither that leaves zeros zero."""
    from astropy.io import fits

    # a tile is one row, astropy's default: funpack mixes up the pixels of higher tiles that have NaN among them
    hdu = fits.CompImageHDU(
        array,
        compression_type="RICE_1",
        quantize_level=_QUANTIZE_LEVEL,
        quantize_method=fits.hdu.compressed.SUBTRACTIVE_DITHER_2,
        dither_seed=fits.hdu.compressed.DITHER_SEED_CHECKSUM,
    )
    file = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(file)
    content = file.getbuffer()[2880:]
    end = next(at for at in range(0, len(content), 80) if bytes(content[at : at + 8]) == b"END     ")
    head = [card for card in parse_cards(str(content[:end], "ascii")) if card[0] != "EXTNAME"]
    sink.write(header_bytes([*head, *cards]))
    sink.write(content[-(-(end + 80) // 2880) * 2880 :])


def read_tiles(
    header: Mapping[str, HeaderValue], read: Callable[[int, int], bytes], rows: slice, columns: slice
) -> "NDArray[Any] | None":
    """Read an image, or a part, that is kept as tiles without loss.

    Parameters
    ----------
    header
        Of the table of tiles.
    read
        Gives bytes of the HDU's data, by their place and number.
    rows, columns
        The part, within the image; of step 1.

    Returns
    -------
    array
        Shape ``(rows, columns)``, the values that are stored, in this machine's byte order; None where the tiles are
        not of the kinds that are read here.

    Raises
    ------
    ValueError
        If the header contradicts itself, or a tile is damaged.
    """
    layout = _Layout.of(header)
    if layout is None:
        return None
    descriptors = layout.descriptors(read)
    made = np.empty((max(0, rows.stop - rows.start), max(0, columns.stop - columns.start)), layout.dtype)
    by_row = range(rows.start // layout.height, -(-rows.stop // layout.height)) if made.size else ()
    by_column = range(columns.start // layout.width, -(-columns.stop // layout.width))
    touched = [(row, column) for row in by_row for column in by_column]
    across = -(-layout.shape[1] // layout.width)
    places = [descriptors[row * across + column] for row, column in touched]
    if any(size == 0 for size, _ in places):  # kept in another column, by a method of its own
        return None
    lock = Lock()

    def fill(tile: tuple[tuple[int, int], "NDArray[np.int64]"]) -> bool:
        (row, column), (size, place) = tile
        with lock:
            packed = read(layout.heap + int(place), int(size))
        return layout.unpack(packed, row, column, made, (rows.start, columns.start))

    return made if all(_in_threads(fill, list(zip(touched, places, strict=True)))) else None


class _Layout:
    """How a table keeps an image's tiles."""

    def __init__(self, method: str, dtype: str, shape: tuple[int, int], tile: tuple[int, int]) -> None:
        self.method = method
        self.dtype = np.dtype(dtype)
        self.shape = shape
        self.height, self.width = tile
        self.heap = self.row_size = self.count = self.offset = 0
        self.word = ">i4"

    @classmethod
    def of(cls, header: Mapping[str, HeaderValue]) -> "_Layout | None":
        """Return the layout that a header tells; None where it is not of the kinds that are read here."""

        def number(key: str, default: int | None = None) -> int:
            value = header.get(key, default)
            if type(value) is not int:
                raise ValueError(f"{key} is {value!r}, not a whole number")
            return value

        axes, method, bits = number("ZNAXIS"), header.get("ZCMPTYPE"), number("ZBITPIX")
        columns = {header.get(f"TTYPE{place + 1}"): place + 1 for place in range(number("TFIELDS"))}
        is_plain = (
            isinstance(method, str)
            and method in ("GZIP_1", "GZIP_2", "NOCOMPRESS")
            and bits in _TYPES
            and "COMPRESSED_DATA" in columns
            and columns.keys().isdisjoint(("ZSCALE", "ZZERO", "ZBLANK", "NULL_PIXEL_MASK"))
            and "ZSCALE" not in header
        )
        if not is_plain or axes < 2:
            return None
        shape = [number(f"ZNAXIS{axis + 1}") for axis in range(axes)]
        tile = [number(f"ZTILE{axis + 1}", shape[0] if axis == 0 else 1) for axis in range(axes)]
        if any(length != 1 for length in shape[2:]) or min(tile) < 1:
            return None
        made = cls(str(method), _TYPES[bits], (shape[1], shape[0]), (tile[1], tile[0]))
        made.row_size, made.count = number("NAXIS1"), number("NAXIS2")
        made.heap = number("THEAP", made.row_size * made.count)
        for place in range(1, columns["COMPRESSED_DATA"] + 1):
            form = re.match(r"(\d*)([LBAIJEKDCMPQ])", str(header.get(f"TFORM{place}")))
            if form is None:
                return None
            if place == columns["COMPRESSED_DATA"]:
                made.word = ">i8" if form[2] == "Q" else ">i4"
                return made if form[2] in "PQ" else None
            made.offset += int(form[1] or 1) * _FIELD_SIZE[form[2]]
        return None

    def descriptors(self, read: Callable[[int, int], bytes]) -> "NDArray[np.int64]":
        """Return size and place in the heap of each tile, shape ``(tiles, 2)``."""
        needed = -(-self.shape[0] // self.height) * -(-self.shape[1] // self.width)
        if needed > self.count:
            raise ValueError(f"there are {self.count} tiles, and {needed} make up the image")
        rows = np.frombuffer(read(0, self.row_size * self.count), np.uint8).reshape(self.count, self.row_size)
        pair = np.ascontiguousarray(rows[:, self.offset : self.offset + 2 * np.dtype(self.word).itemsize])
        return pair.view(self.word).astype(np.int64)

    def unpack(self, packed: bytes, row: int, column: int, made: "NDArray[Any]", corner: tuple[int, int]) -> bool:
        """Put what a part of the image has of a tile to its place.

        Parameters
        ----------
        packed
            The tile.
        row, column
            Which it is.
        made
            The part of the image.
        corner
            Where in the image the part begins, ``(y, x)``.

        Returns
        -------
        bool
            Whether the tile held what was expected of it.
        """
        top, left = row * self.height, column * self.width
        height, width = min(self.height, self.shape[0] - top), min(self.width, self.shape[1] - left)
        size = height * width * self.dtype.itemsize
        values = packed if self.method == "NOCOMPRESS" else _unpacker()(packed, size)
        if len(values) != size:
            return False
        y, x = corner
        y_range = max(top, y), min(top + height, y + made.shape[0])
        x_range = max(left, x), min(left + width, x + made.shape[1])
        inner = slice(y_range[0] - top, y_range[1] - top), slice(x_range[0] - left, x_range[1] - left)
        outer = slice(y_range[0] - y, y_range[1] - y), slice(x_range[0] - x, x_range[1] - x)
        if self.method != "GZIP_2" or self.dtype.itemsize == 1:
            made[outer] = np.frombuffer(values, self.dtype.newbyteorder(">")).reshape(height, width)[inner]
            return True
        planes = np.frombuffer(values, np.uint8).reshape(-1, height, width)
        target = made.view(np.uint8).reshape(*made.shape, len(planes))
        for place, plane in zip(_FROM_THE_FIRST[len(planes)], planes, strict=True):
            target[(*outer, place)] = plane[inner]
        return True


_FROM_THE_FIRST = {
    size: np.argsort(np.array([int.from_bytes(range(size), "big")], f"u{size}").view(np.uint8)) for size in (2, 4, 8)
}
"""Where this machine has a value's bytes, from the leading to the last, by the value's size."""


def _in_threads(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Do the same with many things, on all processors at once."""
    if len(items) < 2 or _processors() < 2:
        return [work(item) for item in items]
    batch = max(
        1, len(items) // (_processors() * 16)
    )  # thousands of small tiles would take longer to hand out one by one
    batches = [items[begin : begin + batch] for begin in range(0, len(items), batch)]
    done = _pool(os.getpid()).map(lambda batch: [work(item) for item in batch], batches)
    return [result for results in done for result in results]


@cache
def _unpacker() -> Callable[[bytes, int], bytes]:
    """Return what unpacks a gzip stream of so many bytes: isal, in a fifth of the time, where there is one."""
    backend: Any = zlib
    with suppress(ImportError):
        backend = import_module("isal.isal_zlib")

    def unpack(packed: bytes, size: int) -> bytes:
        try:
            unpacked: bytes = backend.decompress(packed, 31, size)
        except backend.error as damage:
            raise ValueError(f"a tile is damaged: {damage}") from damage
        return unpacked

    return unpack


@lru_cache(maxsize=1)
def _pool(process: int) -> ThreadPoolExecutor:
    """Return the threads of this process: those of the one that it was forked from do not work in it."""
    return ThreadPoolExecutor(_processors(), thread_name_prefix="skybutler-tiles")


@cache
def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
