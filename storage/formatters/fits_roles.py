"""Image, mask and variance by what observatories call them, in one file or in several.

A variance is kept as such, as errors (their squares) or as weights (their inverses); a mask of an observatory has bits,
or codes, of the observatory's own, whose planes are called DQ0, DQ1, and so on.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from ...imaging.exposure import Exposure
from ...imaging.image import Image
from ...imaging.mask import Mask
from ...imaging.mask_schema import MaskSchema
from ...imaging.masked_image import MaskedImage
from ...imaging.points import Point2I
from ...model.errors import FileFormatError

__all__ = ["ROLES", "Role", "beside", "quality_mask", "variance_of", "with_planes"]

Role = Literal["image", "mask", "variance", "weight", "error"]

ROLES: dict[Role, frozenset[str]] = {
    "image": frozenset(("IMAGE", "SCI")),
    "mask": frozenset(("MASK", "DQ", "BPM", "DQMASK")),
    "variance": frozenset(("VARIANCE", "VAR", "VARPOISSON")),
    "weight": frozenset(("WEIGHT", "WHT", "IVM", "INVVAR", "IVAR")),
    "error": frozenset(("ERR", "ERROR", "SIGMA", "UNCERT", "STDDEV", "RMS")),
}
"""EXTNAMEs by role: LSST's, and those of HST, Gemini, JWST, NOIRLab and astropy."""

_PLANES = 16
_ARCHIVE = re.compile(r"(.*_o[op])i(_.*)").fullmatch
"""Names of NOIRLab's archive: ``..._ooi_...`` beside ``..._ood_...`` (data quality) and ``..._oow_...`` (weight)."""

T = TypeVar("T", Exposure, MaskedImage)


def variance_of(values: Image, role: Role) -> Image:
    """Return the variance that a plane of some role tells; infinite where a weight is 0 or less."""
    if role == "variance":
        return values
    array = values.array.astype(np.result_type(values.dtype, np.float32), copy=False)
    if role == "error":
        return Image(array * array, values.xy0)
    made = np.full_like(array, np.inf)
    np.divide(1.0, array, out=made, where=array > 0)
    return Image(made, values.xy0)


def quality_mask(values: "np.ndarray[Any, Any]", xy0: Point2I) -> Mask:
    """Return an observatory's mask, whose planes have no names that are known.

    Raises
    ------
    FileFormatError
        If the values are no integers.
    """
    if values.dtype.kind not in "iu":
        raise FileFormatError(f"a mask has integers as pixels, not {values.dtype}")
    schema = MaskSchema.from_dict({f"DQ{bit}": bit for bit in range(_PLANES)})
    return Mask(values.astype(np.int32 if values.dtype.itemsize < 4 else values.dtype, copy=False), schema, xy0)


def beside(path: Path) -> dict[Role, Path]:
    """Return the files of an image's mask and weight that lie beside it under the names of NOIRLab's archive."""
    named = _ARCHIVE(path.name)
    if named is None:
        return {}
    roles: dict[Role, Path] = {
        "mask": path.with_name(f"{named[1]}d{named[2]}"),
        "weight": path.with_name(f"{named[1]}w{named[2]}"),
    }
    return {role: found for role, found in roles.items() if found.is_file()}


def with_planes(obj: T, planes: Mapping[Role, Image]) -> T:
    """Give an exposure or masked image its mask and variance out of other files.

    Parameters
    ----------
    obj
        What has the image; changed in place.
    planes
        What the files hold, by role.

    Raises
    ------
    FileFormatError
        If they are not of the image's size.
    """
    for role, plane in planes.items():
        if plane.dimensions != obj.dimensions:
            raise FileFormatError(f"the {role} has {plane.dimensions} pixels, and the image {obj.dimensions}")
        if role == "mask":
            obj.mask = quality_mask(plane.array, obj.xy0)
        else:
            obj.variance = variance_of(Image(plane.array, obj.xy0), role)
    return obj
