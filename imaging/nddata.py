"""Masked images and exposures as astropy's NDData and CCDData, and back, without copying pixels where that can be.

=====================  ==============================================================================================
here                   there
=====================  ==============================================================================================
image                  ``data``, the same memory
variance               ``uncertainty``, a `VarianceUncertainty` on the same memory
mask                   ``flags``, the same memory; and ``mask``, True where a plane is set that says a pixel is bad
planes of the mask     ``meta["MP_<plane>"]``, the bit, as in FITS files; meanings of one's own are left behind
xy0                    ``meta["LTV1"]`` and ``["LTV2"]``, its negative, as in FITS files
wcs                    ``wcs``, of the array's own pixels
metadata               ``meta``
=====================  ==============================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .exposure import Exposure
from .geometry import Point2I
from .header import Header
from .image import Image
from .mask import Mask
from .mask_schema import MaskPlane, MaskSchema
from .masked_image import MaskedImage
from .wcs import Wcs

if TYPE_CHECKING:
    from astropy.nddata import CCDData, NDData, NDDataArray
    from astropy.units import UnitBase

__all__ = ["from_ccddata", "from_nddata", "to_ccddata", "to_nddata"]

_NOT_BAD = frozenset({"DETECTED", "DETECTED_NEGATIVE"})
"""Planes that say what is in a pixel, not that there is anything wrong with it."""


def to_nddata(masked: MaskedImage, bad: Iterable[str] | None = None) -> NDDataArray:
    """Return a masked image as an `astropy.nddata.NDDataArray`; only its boolean mask is new memory.

    Parameters
    ----------
    masked
        Image, mask and variance.
    bad
        Planes that make ``mask`` True; all but DETECTED and DETECTED_NEGATIVE by default.

    Raises
    ------
    ValueError
        If the mask has no plane of a name.
    """
    from astropy.nddata import NDDataArray, VarianceUncertainty

    return NDDataArray(
        masked.image.array,
        uncertainty=VarianceUncertainty(masked.variance.array, copy=False),
        mask=_is_bad(masked.mask, bad),
        flags=masked.mask.array,
        meta=_placing(masked),
    )


def to_ccddata(exposure: Exposure, unit: UnitBase | str | None = None, bad: Iterable[str] | None = None) -> CCDData:
    """Return an exposure as an `astropy.nddata.CCDData`; only its boolean mask is new memory.

    Parameters
    ----------
    exposure
        What to convert. What CCDData has no place for (psf, photo_calib, detector and so on) stays behind.
    unit
        Of the pixels; by default what the metadata's BUNIT says, or else ``adu``.
    bad
        Planes that make ``mask`` True; all but DETECTED and DETECTED_NEGATIVE by default.

    Raises
    ------
    ValueError
        If the mask has no plane of a name, or the unit is none that astropy knows.
    """
    from astropy.nddata import CCDData, VarianceUncertainty

    meta = exposure.metadata.copy()
    meta.update(_placing(exposure.masked_image))
    wcs = exposure.wcs
    made: CCDData = CCDData(
        exposure.image.array,
        unit=unit or str(exposure.metadata.get("BUNIT") or "adu"),
        uncertainty=VarianceUncertainty(exposure.variance.array, copy=False),
        mask=_is_bad(exposure.mask, bad),
        flags=exposure.mask.array,
        wcs=None if wcs is None else wcs.as_astropy(exposure.xy0),
        meta=meta.to_astropy(),
    )
    return made


def from_nddata(data: NDData) -> MaskedImage:
    """Make a masked image of an `astropy.nddata.NDData`, CCDData among them, sharing data, variance and flags.

    Parameters
    ----------
    data
        Of two dimensions. An uncertainty of another kind becomes a variance, in memory of its own. Flags are bits,
        named by ``MP_`` entries of ``meta``, or else ``FLAG_<bit>``; each of a `FlagCollection` is a plane. ``mask`` is
        the plane BAD, where no flag says already what is wrong. LTV1 and LTV2 of ``meta`` say where the pixels lie.

    Raises
    ------
    ValueError
        If there are more or fewer than two dimensions, or the kind of the uncertainty is not known.
    TypeError
        If flags are neither bits nor a collection of booleans.
    """
    pixels = np.asarray(data.data)
    if pixels.ndim != 2:
        raise ValueError(f"A masked image has two dimensions, and the data {pixels.ndim}, {pixels.shape}; slice them.")
    xy0 = _place(data.meta)
    mask = _mask(data, xy0)
    return MaskedImage(Image(pixels, xy0), mask, Image(_variance(data), xy0))


def from_ccddata(ccd: CCDData) -> Exposure:
    """Make an exposure of an `astropy.nddata.CCDData`; see `from_nddata` for its pixels.

    ``wcs`` and ``meta`` come along, and the unit as the card BUNIT. What no header can hold is kept as its text.

    Raises
    ------
    ValueError, TypeError
        As `from_nddata`.
    """
    masked = from_nddata(ccd)
    header = Header.from_astropy(ccd.meta) if hasattr(ccd.meta, "cards") else _as_header(ccd.meta)
    for keyword in [key for key in header if key in ("LTV1", "LTV2") or key.startswith("MP_")]:
        del header[keyword]
    if ccd.unit is not None:
        header["BUNIT"] = ccd.unit.to_string()
    wcs = None
    if ccd.wcs is not None and ccd.wcs.has_celestial:
        wcs = Wcs(ccd.wcs.deepcopy(), masked.xy0)
    return Exposure(masked, wcs, metadata=header)


def _is_bad(mask: Mask, bad: Iterable[str] | None) -> NDArray[np.bool_]:
    names = [plane.name for plane in mask.schema if plane.name not in _NOT_BAD] if bad is None else bad
    return np.asarray(mask.array & mask.dtype.type(mask.plane_bit_mask(names)) != 0)


def _placing(masked: MaskedImage) -> dict[str, Any]:
    """Return what ``meta`` says of the pixels' place, and of the mask's planes."""
    said: dict[str, Any] = {"LTV1": -masked.x0, "LTV2": -masked.y0}
    return said | {f"MP_{plane.name}": plane.bit for plane in masked.mask.schema}


def _place(meta: Mapping[str, Any]) -> Point2I:
    """Return where the pixels lie; (0, 0) where it is not said in whole pixels."""
    offsets = [meta.get(key, 0) for key in ("LTV1", "LTV2")]
    whole = all(isinstance(offset, int | float | np.integer) and float(offset).is_integer() for offset in offsets)
    return Point2I(*(-int(offset) for offset in offsets)) if whole else Point2I(0, 0)


def _mask(data: NDData, xy0: Point2I) -> Mask:
    """Return flags and mask as one; flags alone are shared."""
    shape = np.shape(data.data)
    flags = getattr(data, "flags", None)
    masked = None if data.mask is None else np.broadcast_to(np.asarray(data.mask, dtype=bool), shape)
    if flags is None:
        mask = Mask(np.zeros(shape, np.int32), _named(data.meta), xy0)
    elif isinstance(flags, Mapping):
        mask = Mask(np.zeros(shape, np.int32), MaskSchema([]), xy0)
        for name, where in flags.items():
            bit = mask.add_mask_plane(str(name))
            mask.array[np.asarray(where, dtype=bool)] |= np.int32(1 << bit)
    elif flags.dtype.kind in "iu":
        mask = Mask(flags, _named(data.meta) or _numbered(flags), xy0)
    else:
        raise TypeError(f"Flags are bits (integers) or a FlagCollection, not {flags.dtype}.")
    if masked is not None and (unsaid := masked & ~_is_bad(mask, None)).any():
        if flags is not None and not isinstance(flags, Mapping):
            mask = mask.clone()  # the flags are the caller's
        mask.array[unsaid] |= mask.dtype.type(1 << mask.add_mask_plane("BAD"))
    return mask


def _named(meta: Mapping[str, Any]) -> MaskSchema | None:
    """Return the planes that ``meta`` names, or None."""
    named = {key: int(bit) for key, bit in meta.items() if key.startswith("MP_") and isinstance(bit, int | np.integer)}
    return MaskSchema.from_dict({key[3:]: bit for key, bit in named.items()}) if named else None


def _numbered(flags: NDArray[Any]) -> MaskSchema:
    """Return a plane for each bit that flags have."""
    occurring = int(np.bitwise_or.reduce(flags, axis=None)) & ((1 << 8 * flags.dtype.itemsize) - 1)
    return MaskSchema(MaskPlane(f"FLAG_{bit}", bit) for bit in range(8 * flags.dtype.itemsize) if occurring >> bit & 1)


def _variance(data: NDData) -> NDArray[Any]:
    """Return the variance of the pixels in their unit, squared; zeros where nothing is known of it."""
    from astropy.nddata import VarianceUncertainty
    from astropy.units import Unit

    uncertainty = data.uncertainty
    if uncertainty is None:
        return np.zeros(np.shape(data.data), np.float32)
    try:
        variance = uncertainty.represent_as(VarianceUncertainty)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"The uncertainty is of the kind {uncertainty.uncertainty_type!r}, which is no variance and cannot become "
            "one; make it a StdDevUncertainty, a VarianceUncertainty or an InverseVariance."
        ) from error
    values = np.asarray(variance.array)
    if variance.unit is not None and data.unit is not None and variance.unit != data.unit**2:
        values = values * Unit(variance.unit).to(data.unit**2)
    return values


def _as_header(meta: Mapping[str, Any]) -> Header:
    header = Header()
    for key, value in meta.items():
        try:
            header[str(key)] = value
        except TypeError:
            header[str(key)] = str(value)
    return header
