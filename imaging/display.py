"""Pictures of pixels without any plotting library: brightness, colours of mask planes, thumbnails for notebooks.

Whatever an image holds, there is a picture of it, or none; nothing here raises for what pixels are.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .describe import Picture
from .mask_schema import MaskPlane, MaskSchema

__all__ = ["PlaneColours", "Stretch", "png", "reduced_mask", "stretched", "thumbnail"]

_SIDE = 224
"""Cells of a thumbnail's longer side: with `_GREYS`, noise of this size is a PNG of 35 kB."""
_GREYS = 32
_MOST_COLOURS = 7
"""Mask planes of a thumbnail: with the greys alone, eight palettes of `_GREYS` make up the 256 of a PNG."""
_MOST = 1e150
"""Beyond this, pixels are as good as infinite: their differences and squares shall not overflow."""
_SAMPLE = 1_000_000
"""Pixels from which the limits of a stretch are taken."""

_COLOURS = {
    "BAD": "#cc1a00",
    "SAT": "#00804d",
    "INTRP": "#80ccff",
    "CR": "#ff3380",
    "EDGE": "#b39900",
    "DETECTED": "#3333ff",
    "DETECTED_NEGATIVE": "#b30080",
    "SUSPECT": "#ffff00",
    "NO_DATA": "#ffb380",
    "VIGNETTED": "#3399b3",
    "STREAK": "#80ffcc",
}
"""A colour for each plane of LSST. Any two differ by 14 (CIEDE2000), also to those who see no red, green or blue (less
by a third there), and all are light enough for a dark sky."""
_FAINT_PLANES = frozenset({"DETECTED", "DETECTED_NEGATIVE"})  # large, and what is below matters most


@dataclass(frozen=True, slots=True)
class Stretch:
    """How pixel values become brightness: linearly between two limits, or by asinh."""

    low: float
    """What is black."""
    high: float
    """What is white; more than `low`."""
    faint: float = 0.0
    """How far above `low` asinh turns from linear to logarithmic; 0: linear throughout."""

    @classmethod
    def of(cls, pixels: ArrayLike, stretch: str = "asinh") -> Stretch | None:
        """Return the stretch that suits some pixels, or None where none is finite or all are equal.

        Parameters
        ----------
        pixels
            Of any shape and type.
        stretch
            ``zscale``: linear between the limits of IRAF's algorithm. ``asinh``: from its lower limit to the brightest
            but 0.1 %, linear for the faint and logarithmic for the bright.

        Raises
        ------
        ValueError
            If the stretch is unknown.
        """
        if stretch not in ("asinh", "zscale"):
            raise ValueError(f"There is no stretch {stretch!r}; there are 'asinh' and 'zscale'.")
        from astropy.visualization import ZScaleInterval

        given = np.asarray(pixels)
        step = max(1, int(np.sqrt(given.size / _SAMPLE)))
        sample = (given[::step, ::step] if given.ndim == 2 else given.ravel()).astype(np.float64)
        good = sample[np.isfinite(sample)]
        if not good.size:
            return None
        good = np.clip(good, -_MOST, _MOST)
        low, high = (float(limit) for limit in ZScaleInterval().get_limits(good))
        if not high > low:  # most pixels are equal, and what differs lies outside of what zscale sees
            low, high = float(good.min()), float(good.max())
        if not high > low:
            return None
        if stretch == "zscale":
            return cls(low, high)
        faint = (high - low) / 4.0  # about the noise of the sky
        return cls(low, max(high, float(np.quantile(good, 0.999))), faint)

    def brightness(self, values: ArrayLike) -> NDArray[np.float64]:
        """Return 0 for `low` to 1 for `high`, and beyond for what is beyond."""
        with np.errstate(over="ignore", invalid="ignore"):  # what is beyond all limits is black or white all the same
            above = np.asarray(values, dtype=np.float64) - self.low
            if not self.faint:
                return np.asarray(above / (self.high - self.low))
            return np.asarray(np.arcsinh(above / self.faint) / np.arcsinh((self.high - self.low) / self.faint))

    def values(self, brightness: ArrayLike) -> NDArray[np.float64]:
        """Return the pixel values that are so bright."""
        given = np.asarray(brightness, dtype=np.float64)
        if not self.faint:
            return np.asarray(self.low + given * (self.high - self.low))
        return np.asarray(self.low + self.faint * np.sinh(given * np.arcsinh((self.high - self.low) / self.faint)))


def stretched(pixels: NDArray[Any], stretch: str = "asinh") -> NDArray[np.float64]:
    """Return pixels as brightness from 0 to 1, half where all are equal; NaN where they are not finite.

    Parameters
    ----------
    pixels
        Of any shape.
    stretch
        ``zscale`` or ``asinh``; see `Stretch.of`.

    Raises
    ------
    ValueError
        If the stretch is unknown.
    """
    scale = Stretch.of(pixels, stretch)
    bright = np.full(pixels.shape, 0.5) if scale is None else np.clip(scale.brightness(pixels), 0.0, 1.0)
    bright[~np.isfinite(pixels)] = np.nan
    return bright


@dataclass(frozen=True, slots=True)
class PlaneColours:
    """Which plane of a mask colours which pixel: where several are set, the one that fewest pixels have."""

    planes: tuple[MaskPlane, ...]
    """Planes that occur, the most frequent one first."""
    index: NDArray[np.uint8]
    """For each pixel 0, or 1 + the number of a plane; shape (height, width)."""

    @classmethod
    def of(cls, bits: NDArray[Any], schema: MaskSchema, names: Sequence[str] | None = None) -> PlaneColours:
        """Colour the pixels of a mask.

        Parameters
        ----------
        bits
            The mask's pixels, shape (height, width).
        schema
            What they mean.
        names
            Planes to colour; all by default.

        Raises
        ------
        ValueError
            If the mask has no plane of a name.
        """
        wanted = list(schema) if names is None else [schema[name] for name in names]
        hits = [(bits >> plane.bit & 1).astype(bool) for plane in wanted]
        counted = [(int(np.count_nonzero(hit)), plane, hit) for plane, hit in zip(wanted, hits, strict=True)]
        occurring = sorted((found for found in counted if found[0]), key=lambda found: (-found[0], found[1].bit))
        index = np.zeros(bits.shape, dtype=np.uint8)
        for number, (_, _, hit) in enumerate(occurring):
            index[hit] = number + 1
        return cls(tuple(plane for _, plane, _ in occurring), index)

    @property
    def colours(self) -> dict[str, str]:
        """The colour (``#rrggbb``) of each plane, by name."""
        chosen = {plane.name: _COLOURS[plane.name] for plane in self.planes if plane.name in _COLOURS}
        free = [colour for colour in _COLOURS.values() if colour not in chosen.values()]
        for plane in sorted(self.planes, key=lambda plane: plane.bit):
            if plane.name not in chosen:
                free = free or list(_COLOURS.values())
                chosen[plane.name] = free.pop(plane.bit % len(free))
        return {plane.name: chosen[plane.name] for plane in self.planes}

    @property
    def opacities(self) -> list[float]:
        """How much of what is below each plane hides, 0 to 1."""
        return [0.25 if plane.name in _FAINT_PLANES else 0.65 for plane in self.planes]


def reduced_mask(bits: NDArray[Any], cell: int) -> NDArray[Any]:
    """Return what any pixel of each cell has set: nothing that is flagged gets lost in a smaller picture.

    Parameters
    ----------
    bits
        Shape (height, width).
    cell
        Pixels of a cell's side; the last row and column may have fewer.
    """
    if cell == 1 or not bits.size:
        return bits
    height, width = bits.shape
    # the rows of each cell by themselves: reduceat along the first axis takes twenty times as long
    rows = np.stack([np.bitwise_or.reduce(bits[y : y + cell], axis=0) for y in range(0, height, cell)])
    return np.asarray(np.bitwise_or.reduceat(rows, np.arange(0, width, cell), axis=1))


def thumbnail(
    pixels: NDArray[Any] | None, bits: NDArray[Any] | None = None, schema: MaskSchema | None = None
) -> Picture | None:
    """Return a small picture, the first row at the bottom; None where there are no pixels.

    Parameters
    ----------
    pixels
        Shape (height, width), of any type; None for a mask alone, on white.
    bits, schema
        A mask of the same shape, to be laid over the pixels in colours, and what it means.
    """
    plane = bits if pixels is None else pixels
    if plane is None or not plane.size:
        return None
    shape = plane.shape
    cell, stride = _cell(max(shape))
    grey = np.full([-(-size // cell) for size in shape], _GREYS - 1, dtype=np.uint8)
    if pixels is not None:
        bright = np.nan_to_num(stretched(_reduced(pixels, cell, stride), "asinh"), nan=0.0)
        grey = np.rint(bright * (_GREYS - 1)).astype(np.uint8)
    palette = np.repeat(np.linspace(0, 255, _GREYS)[:, np.newaxis], 3, axis=1)
    palettes, legend = [palette], {}
    if bits is not None and schema is not None:
        planes = PlaneColours.of(reduced_mask(bits, cell), schema)
        planes = PlaneColours(planes.planes[-_MOST_COLOURS:], _last(planes.index, len(planes.planes)))
        legend = planes.colours
        for colour, opacity in zip(legend.values(), planes.opacities, strict=True):
            share = opacity if pixels is not None else 1.0
            palettes.append(palette * (1 - share) + np.array(list(bytes.fromhex(colour[1:]))) * share)
        grey = grey + _GREYS * planes.index
    height, width = grey.shape
    enlarged = max(1, round(_SIDE / max(width, height)))
    return Picture(
        png(grey[::-1], np.concatenate(palettes).astype(np.uint8)),
        width * enlarged,
        height * enlarged,
        f"{shape[1]}x{shape[0]} pixels" + (", asinh" if pixels is not None else ""),
        legend,
    )


def png(pixels: NDArray[np.uint8], palette: NDArray[np.uint8]) -> bytes:
    """Return a PNG file.

    Parameters
    ----------
    pixels
        Numbers of colours, shape (height, width), the first row at the top.
    palette
        Red, green and blue of each colour, shape (colours, 3).
    """
    height, width = pixels.shape
    rows = np.zeros((height, width + 1), dtype=np.uint8)  # every row begins with its filter: none
    rows[:, 1:] = pixels

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0))
        + chunk(b"PLTE", palette.tobytes())
        + chunk(b"IDAT", zlib.compress(rows.tobytes(), 9))
        + chunk(b"IEND", b"")
    )


def _cell(longest: int) -> tuple[int, int]:
    """Return the pixels of a cell's side for a thumbnail, and every how many-th of them is looked at.

    A cell's mean is taken over some 4 by 4 of its pixels: more would cost time that the eye does not see.
    """
    needed = max(1, -(-longest // _SIDE))
    stride = max(1, needed // 4)
    return stride * -(-needed // stride), stride


def _reduced(pixels: NDArray[Any], cell: int, stride: int) -> NDArray[np.float64]:
    """Return the mean of the finite pixels of each cell, every stride-th of them; NaN where there is none."""
    sample = pixels[::stride, ::stride].astype(np.float64)
    good = np.isfinite(sample)
    rows, columns = (np.arange(0, size, cell // stride) for size in sample.shape)

    def summed(values: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(np.add.reduceat(np.add.reduceat(values, rows, axis=0), columns, axis=1), dtype=np.float64)

    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return summed(np.where(good, sample, 0.0)) / summed(good.astype(np.float64))


def _last(index: NDArray[np.uint8], planes: int) -> NDArray[np.uint8]:
    """Return numbers of planes for the last ones alone: pixels of others have none."""
    dropped = max(0, planes - _MOST_COLOURS)
    return np.where(index > dropped, index - np.minimum(index, dropped), 0).astype(np.uint8)
