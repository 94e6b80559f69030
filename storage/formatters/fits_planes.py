"""Images, masks and variances as FITS HDUs, SkyButler's own and anyone's.

Each plane's HDU has EXTNAME and EXTTYPE, the sky WCS, and its place among its parent's pixels twice: as the linear
WCS "A" and as LTV1/2. A mask names its planes in ``MP_<plane>`` cards, whose value is the bit and whose comment
the meaning.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ...imaging.geometry import LOCAL, PARENT, Box2I, Extent2I, ImageOrigin, Point2I
from ...imaging.header import Card, Header
from ...imaging.image import Image
from ...imaging.mask import Mask
from ...imaging.mask_schema import MaskPlane, MaskSchema
from ...imaging.masked_image import MaskedImage
from ...imaging.wcs import Wcs
from ...model.errors import FileFormatError, StorageClassError
from ...model.provenance import says_provenance
from .afw_exposure import AfwExposure
from .fits_cards import CardTuple, pixel_cards, write_image
from .fits_file import FitsFile, Hdu
from .fits_roles import ROLES, Role, quality_mask, variance_of
from .fits_tiles import Compression, can_be_tiled, write_tiles
from .formatter import ByteSink
from .lsst_images import LsstImages

__all__ = ["PlaneReader", "describes_file", "write_plane"]

PlaneName = Literal["IMAGE", "MASK", "VARIANCE"]
PLANES: tuple[PlaneName, ...] = ("IMAGE", "MASK", "VARIANCE")

_ROLE: dict[PlaneName, tuple[Role, ...]] = {
    "IMAGE": ("image",),
    "MASK": ("mask",),
    "VARIANCE": ("variance", "weight", "error"),
}
"""What can tell a plane."""

describes_file = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|GROUPS|BSCALE|BZERO|BLANK|END|CHECKSUM|DATASUM|INHERIT|"
    r"LONGSTRN|THEAP|TFIELDS|T(?:TYPE|FORM|UNIT|NULL|SCAL|ZERO|DISP|DIM)\d+|CONTINUE|HIERARCH"
).fullmatch
"""Keywords that tell how a file keeps its data; metadata have no use for them, and a header no room."""

_TRUTHS = "SKYBUTLER BOOLEAN"
"""Card of an image of truth values, which FITS has no pixels for."""

_OF_LSST_IMAGES = re.compile(r"FMTVER|INDX(ADDR|SIZE)|JSON(ADDR|SIZE)|DATAMODL").fullmatch

_PLACE = re.compile(
    r"LTV[12]|LTM[12]_[12]|(?:CTYPE|CRPIX|CRVAL|CUNIT|CDELT)[12]A|WCSNAMEA|WCSAXESA|CD[12]_[12]A"
).fullmatch


def write_plane(
    sink: ByteSink,
    name: PlaneName,
    plane: Image | Mask,
    wcs_cards: Iterable[CardTuple],
    unit: str | None = None,
    compression: Compression | None = None,
) -> None:
    """Write one plane as an image HDU.

    Parameters
    ----------
    sink
        Where to.
    name
        Which plane it is.
    plane
        The pixels.
    wcs_cards
        The sky WCS, for an array that begins at the plane's `xy0`.
    unit
        Unit of the pixels (BUNIT).
    compression
        How the pixels are compressed, tile by tile; by default they are not, and the empty and 64-bit integers never.
    """
    x0, y0 = plane.xy0
    array = plane.array
    cards: list[CardTuple] = [("EXTNAME", name, ""), ("EXTTYPE", name, "")]
    if unit:
        cards.append(("BUNIT", unit, "unit of the pixels"))
    if array.dtype == bool:
        cards.append((_TRUTHS, True, "pixels are 0 for False and 1 for True"))
    cards += wcs_cards
    cards += [("LTV1", -x0, "parent to array, x"), ("LTV2", -y0, "parent to array, y")]
    for axis, corner in (("1", x0), ("2", y0)):
        cards += [(f"CTYPE{axis}A", "LINEAR", "pixels of the parent image"), (f"CRPIX{axis}A", 1.0, "")]
        cards += [(f"CRVAL{axis}A", float(corner), ""), (f"CUNIT{axis}A", "pixel", "")]
    if name == "MASK":
        cards += [(f"MP_{mask.name}", mask.bit, mask.doc) for mask in plane.schema]  # type: ignore[union-attr]
    try:
        if compression is not None and can_be_tiled(array):
            write_tiles(sink, cards, array, compression)
        else:
            write_image(sink, [*pixel_cards(array), *cards], array)
    except ValueError as error:
        raise StorageClassError(f"this {name.lower()} cannot be kept as FITS: {error}") from error


class PlaneReader:
    """The planes of an open FITS file.

    Planes are found by EXTNAME or EXTTYPE; in a file that has neither, the first image is the image, and its mask and
    variance are zeros.

    Parameters
    ----------
    file
        The file.
    """

    def __init__(self, file: FitsFile) -> None:
        self.file = file
        self.primary = file[0]
        self.is_own = "SKYBUTLER VERSION" in self.primary.values
        self._found: dict[PlaneName, Hdu | None] = {}
        self._main: Hdu | None = None

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return self.file.path

    def hdu(self, name: PlaneName) -> Hdu | None:
        """Return the HDU of a plane; None where there is none."""
        if name not in self._found:
            found = self.file.find(lambda hdu: hdu.is_image and name in hdu.names)
            if found is None and not self.is_own:
                found = self._by_role(name)
            if found is None and name == "IMAGE" and not self.is_own:
                unnamed = [hdu for hdu in self.file if hdu.is_image and not {"MASK", "VARIANCE"} & hdu.names]
                found = next((hdu for hdu in unnamed if all(hdu.shape)), unnamed[0] if unnamed else None)
            self._found[name] = found
        return self._found[name]

    def _by_role(self, name: PlaneName) -> Hdu | None:
        """Return the HDU that has a plane's part under another name, of a detector of the image's version."""
        image = None if name == "IMAGE" else self.hdu("IMAGE")
        if name != "IMAGE" and (image is None or not image.names & ROLES["image"]):
            return None
        version = None if image is None else image.values.get("EXTVER", 1)
        for role in _ROLE[name]:
            found = self.file.find(
                lambda hdu, names=ROLES[role]: (
                    hdu.is_image  # type: ignore[misc]
                    and not hdu.names.isdisjoint(names)
                    and version in (None, hdu.values.get("EXTVER", 1))
                )
            )
            if found is not None:
                return found
        return None

    @property
    def main(self) -> Hdu:
        """The HDU that tells sizes and places: the image's, or that of whatever plane there is."""
        if self._main is None:
            self._main = next((hdu for hdu in map(self.hdu, PLANES) if hdu is not None), None)
        if self._main is None:
            raise FileFormatError(f"{self.path} has no image: none of its {len(list(self.file))} HDUs has pixels")
        return self._main

    @property
    def bbox(self) -> Box2I:
        """The pixels that the image covers, in parent coordinates."""
        height, width = self.main.shape
        return Box2I(Point2I(*_place(self.main)), Extent2I(width, height))

    def box(self, parameters: Mapping[str, Any]) -> Box2I | None:
        """Return the box that read parameters ask for, in parent coordinates; None for the whole.

        Raises
        ------
        IndexError
            If it is not all within the image.
        StorageClassError
            If it is no box, or the origin is neither PARENT nor LOCAL.
        """
        asked, whole = parameters.get("bbox"), self.bbox
        if asked is None:
            return None
        if not isinstance(asked, Box2I):
            raise StorageClassError(f"bbox={asked!r} is not a Box2I")
        origin = parameters.get("origin", PARENT)
        try:
            origin = origin if isinstance(origin, ImageOrigin) else ImageOrigin(str(origin).upper())
        except ValueError:
            raise StorageClassError(f"origin={origin!r} is neither PARENT nor LOCAL") from None
        if origin is LOCAL:
            asked = asked.shifted_by(Extent2I(*whole.min))
        if not whole.contains(asked):
            raise IndexError(f"{asked} is not within {self.path}, which covers {whole}")
        return asked

    def image(self, box: Box2I | None, name: PlaneName = "IMAGE") -> Image:
        """Read the image or the variance, or a box of it; zeros where the file has no variance."""
        hdu = self.hdu(name)
        if hdu is None:
            return Image.full(self._whole_box if box is None else box)
        array, corner = self._pixels(hdu, box)
        if self.is_own and hdu.values.get(_TRUTHS):
            array = array.astype(bool)
        role = next((role for role in _ROLE[name] if not self.is_own and not hdu.names.isdisjoint(ROLES[role])), None)
        return Image(array, corner) if role is None or name == "IMAGE" else variance_of(Image(array, corner), role)

    def mask(self, box: Box2I | None) -> Mask:
        """Read the mask, or a box of it; zeros where the file has none."""
        hdu = self.hdu("MASK")
        if hdu is None:
            return Mask.full(self._whole_box if box is None else box)
        array, corner = self._pixels(hdu, box)
        if array.dtype.kind not in "iu":
            raise FileFormatError(f"{self.path} has a mask of {array.dtype} pixels, where integers should be")
        if hdu.names.isdisjoint(("MASK",)):
            return quality_mask(array, corner)
        if not self.is_own:
            array = array.astype(np.int32 if array.dtype.itemsize < 4 else array.dtype, copy=False)
        return Mask(array, _mask_schema(hdu), corner)

    def masked_image(self, box: Box2I | None) -> MaskedImage:
        """Read image, mask and variance, or a box of them."""
        planes = self.image(box), self.mask(box), self.image(box, "VARIANCE")
        try:
            return MaskedImage(*planes)
        except ValueError as error:  # they do not lie on the same pixels
            raise FileFormatError(f"{self.path}: {error}") from error

    @property
    def _whole_box(self) -> Box2I:
        """The box of an image that is as large as its header says."""
        self.main.check_size()
        return self.bbox

    def _pixels(self, hdu: Hdu, box: Box2I | None) -> tuple[Any, Point2I]:
        whole = self.bbox
        if hdu.shape != self.main.shape:
            raise FileFormatError(f"{self.path} has planes of {self.main.shape} and of {hdu.shape} pixels")
        if box is None:
            return hdu.pixels(), whole.min
        left, bottom = box.min.x - whole.min.x, box.min.y - whole.min.y
        return hdu.pixels(slice(bottom, bottom + box.height), slice(left, left + box.width)), box.min

    def wcs(self) -> Wcs | None:
        """Read the sky WCS; None where there is none.

        Raises
        ------
        HeaderError
            If there is one that cannot be understood.
        """
        header = self.main.header if self.is_own else self.merged_header()
        return Wcs.from_header(header, tuple(self.bbox.min))

    def foreign(self, name: str) -> Any:
        """Read a component of an exposure that another program wrote; None where it has none that is understood."""
        return None if self._other is None else self._other.component(name)

    def warn_of_the_rest(self) -> None:
        """Say what another program keeps of an exposure that there is no place for here."""
        if isinstance(self._other, AfwExposure):
            self._other.warn_of_the_rest()

    @cached_property
    def _other(self) -> AfwExposure | LsstImages | None:
        """What else an exposure of another program has, if one is known that wrote it."""
        if LsstImages.is_one(self.file):
            return LsstImages(self.file)
        afw = AfwExposure(self.file)
        return afw if afw.is_one else None

    def merged_header(self) -> Header:
        """Return the cards of the primary header and of the image's own, which count where both have a keyword."""
        primary, own = self.primary.header, self.main.header
        if self.main.number == 0:
            return primary
        values = {card.keyword: card for card in own.cards if card.keyword not in ("COMMENT", "HISTORY", "")}
        cards = [values.pop(card.keyword, card) for card in primary.cards]
        cards += [card for card in own.cards if card.keyword in values or card.keyword in ("COMMENT", "HISTORY")]
        return Header(cards)

    def metadata(self) -> Header:
        """Return what the headers say of the observation: all but the cards about the file itself."""
        placed = _is_placed(self.main)
        own_names = {"EXTNAME", "EXTTYPE"} if self.main.names & set(PLANES) else set()
        said = Header(
            card
            for card in self.merged_header().cards
            if not describes_file(card.keyword)
            and card.keyword not in own_names
            and not (placed and _PLACE(card.keyword))
            and not (isinstance(self._other, LsstImages) and _OF_LSST_IMAGES(card.keyword))
        )
        if isinstance(self._other, LsstImages):
            said.update(self._other.metadata)
        return said


def _is_placed(hdu: Hdu) -> bool:
    """Tell whether a header's WCS "A" and LTV1/2 say where the image lies in its parent.

    They do in what afw, lsst-images and SkyButler write. Raw frames use the same keywords for amplifiers and detectors.
    """
    values = hdu.values
    twice = values.get("CTYPE1A") == "LINEAR" and all(
        values.get(f"CRPIX{axis}A") == 1
        and f"LTV{axis}" in values
        and _float(values.get(f"CRVAL{axis}A")) == -_float(values.get(f"LTV{axis}"))
        for axis in "12"
    )
    return twice or not hdu.names.isdisjoint(PLANES)


def _place(hdu: Hdu) -> tuple[int, int]:
    """Return the parent coordinates of the first pixel: by the WCS "A", else by LTV1/2, else (0, 0)."""
    values = hdu.values
    if not _is_placed(hdu):
        return 0, 0
    corner = []
    for axis in "12":
        if values.get(f"CTYPE{axis}A") == "LINEAR":
            exact = _float(values.get(f"CRVAL{axis}A")) - _float(values.get(f"CRPIX{axis}A", 1.0)) + 1.0
        else:
            exact = -_float(values.get(f"LTV{axis}", 0.0))
        corner.append(int(exact) if exact == int(exact) else 0)
    return corner[0], corner[1]


def _float(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and abs(value) < 1 << 53 else 0.0


def _mask_schema(hdu: Hdu) -> MaskSchema | None:
    """Return the planes that a mask's header names: by MP_ cards (afw, SkyButler) or MSKN cards (lsst-images)."""
    bits: dict[str, int] = {}
    docs: dict[str, str] = {}
    header = hdu.values
    for key, value, comment in hdu.cards:
        if key.startswith("MP_") and isinstance(value, int):
            bits[key[3:]] = value
            docs[key[3:]] = comment
        elif key.startswith("MSKN") and isinstance(value, str):
            number = key[4:]
            bitmask = header.get(f"MSKM{number}")
            if isinstance(bitmask, int) and bitmask > 0:
                bits[value] = bitmask.bit_length() - 1
                docs[value] = str(header.get(f"MSKD{number}", ""))
    if not bits:
        return None
    known = {plane.name: plane.doc for plane in MaskSchema.default()}
    cut = {
        name for name, doc in docs.items() if name in known and known[name].startswith(doc)
    }  # a card had no room for all
    try:
        return MaskSchema(
            MaskPlane(name, bit, known[name] if name in cut else docs[name]) for name, bit in bits.items()
        )
    except ValueError as error:
        raise FileFormatError(f"the mask's header contradicts itself: {error}") from error


def own_metadata(header: Header, kept_apart: Iterable[tuple[int, str, Any, str]]) -> Header:
    """Return the metadata of an exposure that SkyButler wrote.

    Parameters
    ----------
    header
        The primary header.
    kept_apart
        Position, keyword, value and comment of the cards that a FITS header could not hold.
    """
    cards = [
        card
        for card in header.cards
        if not (card.keyword.startswith("SKYBUTLER ") or says_provenance(card.keyword) or describes_file(card.keyword))
    ]
    for position, keyword, value, comment in kept_apart:
        cards.insert(position, Card(keyword, value, comment))
    return Header(cards)
