"""Reading FITS: what HDUs a file has, and of their pixels only what is asked for.

Headers are read one after the other, as far as needed; pixels of plain images come straight from the file, in the byte
order of this machine. Of tile-compressed images only the tiles that are touched are unpacked (see `fits_tiles`).
"""

import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

import numpy as np

from ...imaging.header import Header, HeaderValue
from ...instruments.headers import image_cards, parse_cards
from ...model.errors import FileFormatError, StoreUnavailableError
from .fits_cards import ZERO

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FitsFile", "Hdu"]

_BLOCK = 2880
_CARD = 80
_OF_IMAGE = re.compile(r"ZBITPIX|ZNAXIS\d*").fullmatch
_LONGEST_HEADER = 64 << 20  # bytes without END in which no more of a header is looked for
_DENSEST = 200  # how many times larger than it is packed a gzipped file may be,
_SMALL = 1 << 30  # and bytes up to which that does not matter
_MOST = 999  # axes, and columns of a table (sections 4.4.1.1 and 7.3.1 of the standard)
_MOST_PIXELS = 2048  # that a byte of compressed ones may stand for (a deflated byte is at most 1032 plain ones),
_FEW_PIXELS = 1 << 26  # and pixels up to which that does not matter
_TYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
_SIGN_TURNED = {(8 * int(kind[1]), float(zero)): kind for kind, zero in ZERO.items()}


class Hdu:
    """One header and data unit.

    Parameters
    ----------
    file
        The file that it is in.
    number
        Its place there, from 0.
    cards
        Its header as it stands.
    offset
        Where its data begin.

    Attributes
    ----------
    values : `dict`
        The header's values by keyword; of a tile-compressed image, those that the image itself has.
    names : `frozenset` [`str`]
        What the HDU says it is, by its EXTNAME and its EXTTYPE, in upper case.
    """

    def __init__(self, file: "FitsFile", number: int, cards: list[tuple[str, HeaderValue, str]], offset: int) -> None:
        self._file = file
        self._cards = cards
        self._stored = {key: value for key, value, _ in reversed(cards)}  # of a key given twice the first counts
        self.number = number
        self.offset = offset
        for key in ("NAXIS", "ZNAXIS", "TFIELDS"):
            if isinstance(said := self._stored.get(key), int) and said > _MOST:
                raise FileFormatError(f"{file.path}: HDU {number} has {key} = {said}; there are at most {_MOST}")
        self.is_compressed = self._stored.get("ZIMAGE") is True
        self.values: Mapping[str, HeaderValue] = self._stored
        if self.is_compressed:
            of_image = {key[1:]: value for key, value in self._stored.items() if _OF_IMAGE(key)}
            self.values = {**self._stored, "XTENSION": "IMAGE", **of_image}
        names = (self.values.get(key) for key in ("EXTNAME", "EXTTYPE"))
        self.names = frozenset(name.upper() for name in names if isinstance(name, str) and name)

    @cached_property
    def header(self) -> Header:
        """The header, of a tile-compressed image as though it were not compressed."""
        return Header(image_cards(self._cards, self._stored) if self.is_compressed else self._cards)

    @property
    def cards(self) -> list[tuple[str, HeaderValue, str]]:
        """Keyword, value and comment of each card as it stands; of a tile-compressed image, its table's own, too."""
        return self._cards

    @property
    def is_image(self) -> bool:
        """Whether it is an image that has pixels, or could have."""
        plain = self.number == 0 or self.values.get("XTENSION") == "IMAGE" or self.is_compressed
        return plain and self._number("NAXIS") >= 2

    @property
    def data_size(self) -> int:
        """Bytes of its data, without padding (equations 1 and 2 of the standard)."""
        header = self._stored
        lengths = [self._number(f"NAXIS{axis + 1}", header) for axis in range(self._number("NAXIS", header))]
        if not lengths:
            return 0
        if lengths[0] == 0 and header.get("GROUPS") is True:
            lengths = lengths[1:]
        values = 1
        for length in lengths:
            values *= length
        count, groups = self._number("PCOUNT", header, 0), self._number("GCOUNT", header, 1)
        return abs(self._number("BITPIX", header)) // 8 * groups * (count + values)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the image; further axes must have the length 1."""
        axes = [self._number(f"NAXIS{axis + 1}") for axis in range(self._number("NAXIS"))]
        if len(axes) < 2 or any(length != 1 for length in axes[2:]):
            raise FileFormatError(f"{self._file.path}: HDU {self.number} is no image: its axes are {axes}")
        return axes[1], axes[0]

    def check_size(self) -> None:
        """Raise `FileFormatError` where an image cannot have as many pixels as its header says."""
        height, width = self.shape
        _ = self._pixel_type
        self._file.must_reach(self.offset + self.data_size)
        if self.is_compressed and height * width > max(_FEW_PIXELS, _MOST_PIXELS * self.data_size):
            raise FileFormatError(
                f"{self._file.path}: HDU {self.number} says that {self.data_size} bytes are {height} x {width} pixels"
            )

    def pixels(self, rows: slice = slice(None), columns: slice = slice(None)) -> "NDArray[Any]":
        """Read the image, or a part.

        Returns
        -------
        array
            Shape ``(rows, columns)``, in this machine's byte order, of the type that was written; integers with a scale
            of their own become floats.
        """
        height, width = self.shape
        whole = rows.indices(height)[:2], columns.indices(width)[:2]
        if self.is_compressed:
            return self._unpacked(slice(*whole[0]), slice(*whole[1]))
        (top, bottom), (left, right) = whole
        dtype = self._pixel_type
        band = self._file.values(self.offset + top * width * dtype.itemsize, (bottom - top, width), dtype, left, right)
        return self._scaled(band)

    @property
    def _pixel_type(self) -> "np.dtype[Any]":
        """The type of the pixels as they are stored."""
        stored = _TYPES.get(self._number("BITPIX"))
        if stored is None:
            raise FileFormatError(f"{self._file.path}: HDU {self.number} has BITPIX {self.values.get('BITPIX')!r}")
        return np.dtype(stored)

    def _scaled(self, stored: "NDArray[Any]") -> "NDArray[Any]":
        """Return pixels as what they mean (BSCALE, BZERO and BLANK; section 4.4.2.5 of the standard)."""
        scale, zero = self.values.get("BSCALE", 1.0), self.values.get("BZERO", 0.0)
        if not isinstance(scale, int | float) or not isinstance(zero, int | float) or (scale == 1 and zero == 0):
            return stored
        bits = self._number("BITPIX")
        kind = _SIGN_TURNED.get((bits, float(zero))) if scale == 1 else None
        if kind is not None:
            turned = stored.view(np.dtype(kind))
            turned ^= turned.dtype.type(-128 if kind == "i1" else int(zero))
            return turned
        made: NDArray[Any] = stored.astype(np.float32 if abs(bits) <= 16 or bits == -32 else np.float64)
        np.multiply(made, scale, out=made)
        np.add(made, zero, out=made)
        blank = self.values.get("BLANK")
        if bits > 0 and isinstance(blank, int):
            made[stored == blank] = np.nan
        return made

    def _unpacked(self, rows: slice, columns: slice) -> "NDArray[Any]":
        """Read a tile-compressed image, or a part; by astropy where it is of a rarer kind."""
        from .fits_tiles import read_tiles

        self.check_size()
        try:
            stored = read_tiles(
                self._stored, lambda place, size: self._file.read(self.offset + place, size), rows, columns
            )
            return self._by_astropy(rows, columns) if stored is None else self._scaled(stored)
        except StoreUnavailableError:
            raise
        except (OSError, ValueError, TypeError, RuntimeError, LookupError) as error:
            raise FileFormatError(f"{self._file.path}: HDU {self.number} cannot be uncompressed: {error}") from error

    def _by_astropy(self, rows: slice, columns: slice) -> "NDArray[Any]":
        from astropy.io import fits

        everything = rows == slice(0, self.shape[0]) and columns == slice(0, self.shape[1])
        extra = (0,) * (self._number("NAXIS") - 2)
        try:
            with self._file.for_astropy() as source, fits.open(source, lazy_load_hdus=True) as hdus:
                hdu = hdus[self.number]
                made = np.asarray(hdu.data[extra] if everything else hdu.section[(*extra, rows, columns)])
        except StoreUnavailableError:
            raise
        except Exception as error:  # of a damaged file astropy raises whatever comes, also assertions
            raise ValueError(f"{type(error).__name__} {error}") from error
        return np.ascontiguousarray(made, dtype=made.dtype.newbyteorder("="))

    def _data(self, place: int, size: int) -> bytes:
        return self._file.read(self.offset + place, size)

    def bytes(self) -> bytes:
        """Read all of its data as they are."""
        return self._file.read(self.offset, self.data_size)

    def _number(self, key: str, values: Mapping[str, HeaderValue] | None = None, default: int | None = None) -> int:
        value = (self.values if values is None else values).get(key, default)
        if type(value) is not int or (value < 0 and key != "BITPIX"):
            raise FileFormatError(f"{self._file.path}: HDU {self.number} has {key} = {value!r}, not a whole number")
        return value


class FitsFile:
    """A FITS file, plain or gzipped, opened for reading.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    FileFormatError
        If it is no FITS file; HDUs that are cut short are found when they are reached.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._hdus: list[Hdu] = []
        self._stream: IO[bytes] = path.open("rb", buffering=0)
        magic = self._stream.read(9)
        if magic[:2] == b"\x1f\x8b":
            self._stream = self._unpacked()
            self._stream.seek(0)
            magic = self._stream.read(9)
        self._size = self._stream.seek(0, io.SEEK_END)
        if not magic.startswith(b"SIMPLE  ="):
            self._stream.close()
            what = "it is empty" if not magic else f"it begins with {magic!r}, not with SIMPLE  ="
            raise FileFormatError(f"{path} is not a FITS file: {what}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def __iter__(self) -> Iterator[Hdu]:
        number = 0
        while (hdu := self._reach(number)) is not None:
            yield hdu
            number += 1

    def __getitem__(self, number: int) -> Hdu:
        hdu = self._reach(number)
        if hdu is None:
            raise FileFormatError(f"{self.path} has {len(self._hdus)} HDUs, and no number {number}")
        return hdu

    def find(self, wanted: Callable[[Hdu], bool]) -> Hdu | None:
        """Return the first HDU that fulfils a condition; None where none does. Headers after it are not read."""
        return next((hdu for hdu in self if wanted(hdu)), None)

    def read(self, offset: int, size: int) -> bytes:
        """Read bytes; FileFormatError where the file ends before them."""
        self.must_reach(offset + size)
        self._stream.seek(offset)
        return self._stream.read(size)

    def values(
        self, offset: int, shape: tuple[int, int], dtype: "np.dtype[Any]", left: int, right: int
    ) -> "NDArray[Any]":
        """Read the columns from `left` to `right` of a band of rows, in this machine's byte order."""
        self.must_reach(offset + shape[0] * shape[1] * dtype.itemsize)
        native = dtype.newbyteorder("=")
        if isinstance(self._stream, io.BytesIO):
            band = np.frombuffer(self._stream.getbuffer(), dtype, shape[0] * shape[1], offset).reshape(shape)
            return band[:, left:right].astype(native)
        if not isinstance(self._stream, io.FileIO):  # a file far away, of which whole rows are fetched
            rows = self.read(offset, shape[0] * shape[1] * dtype.itemsize)
            return np.frombuffer(rows, dtype).reshape(shape)[:, left:right].astype(native)
        if right - left < shape[1] and shape[0]:
            band = np.memmap(self._stream, dtype, "r", offset, shape)
            return np.array(band[:, left:right], dtype=native, order="C")
        self._stream.seek(offset)
        read = np.fromfile(self._stream, dtype, shape[0] * shape[1]).reshape(shape)
        return (read if dtype.isnative else read.byteswap(inplace=True).view(native))[:, left:right]

    def for_astropy(self) -> IO[bytes]:
        """Return a stream of the file, unpacked, that astropy may read."""
        return io.BytesIO(self._stream.getvalue()) if isinstance(self._stream, io.BytesIO) else self.path.open("rb")

    def _unpacked(self) -> io.BytesIO:
        with self._stream as packed:
            plain, most = io.BytesIO(), max(_SMALL, _DENSEST * packed.seek(0, io.SEEK_END))
            packed.seek(0)
            try:
                with gzip.GzipFile(fileobj=packed) as unpacking:
                    while block := unpacking.read(1 << 22):
                        plain.write(block)
                        if plain.tell() > most:
                            raise FileFormatError(
                                f"{self.path}: the gzipped file would fill the memory; it is not read"
                            )
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise FileFormatError(f"{self.path}: the gzipped file is damaged or cut short ({error})") from error
            return plain

    def must_reach(self, end: int) -> None:
        """Raise `FileFormatError` where the file ends before a place."""
        if end > self._size:
            raise FileFormatError(f"{self.path} is cut short: it ends after {self._size} bytes, and should have {end}")

    def _reach(self, number: int) -> Hdu | None:
        while len(self._hdus) <= number:
            begin = 0
            if self._hdus:
                last = self._hdus[-1]
                begin = last.offset + -(-last.data_size // _BLOCK) * _BLOCK
            text, length = self._header_text(begin)
            if not text:
                return None
            self._hdus.append(Hdu(self, len(self._hdus), parse_cards(text), begin + length))
        return self._hdus[number]

    def _header_text(self, begin: int) -> tuple[str, int]:
        """Return a header's cards before END, and its length in whole blocks; no text where no HDU begins."""
        text = b""
        if begin > self._size:
            return "", 0
        self._stream.seek(begin)
        while True:
            more = self._stream.read(4 * _BLOCK)
            if begin and not text and not more.startswith(b"XTENSION"):
                return "", 0
            if not more or len(text) > _LONGEST_HEADER:
                raise FileFormatError(f"{self.path} is cut short, or no FITS file: the header at {begin} has no END")
            start = max(0, len(text) - _CARD)
            text += more
            found = text.find(b"END     ", start)
            while found >= 0 and found % _CARD:
                found = text.find(b"END     ", found + 1)
            if found >= 0:
                return text[:found].decode("latin-1"), -(-(found + _CARD) // _BLOCK) * _BLOCK
