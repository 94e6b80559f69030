"""Exposures, images, masks and their components as multi-extension FITS.

The layout: an empty primary HDU with the metadata, and apart from them, under ``HIERARCH SKYBUTLER``, what the file
says about itself; ``IMAGE``, ``MASK`` and ``VARIANCE`` (see `fits_planes`); then one HDU a component (see
`fits_table`), with an EXTNAME that tells which, and its class and version.

Anyone else's FITS image reads as an exposure, too: its pixels as they are stored, its headers as metadata.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...imaging.components import COMPONENTS, Component
from ...imaging.exposure import Exposure
from ...imaging.geometry import Box2I
from ...imaging.header import Header
from ...imaging.masked_image import MaskedImage
from ...imaging.wcs import Wcs
from ...model.errors import FileFormatError, HeaderError, StorageClassError, closest
from ...model.provenance import FileProvenance, says_provenance
from .afw_archive import archive_of
from .fits_cards import CardTuple, card_text, header_bytes
from .fits_file import FitsFile
from .fits_planes import PlaneName, PlaneReader, describes_file, own_metadata, write_plane
from .fits_table import read_component, write_component
from .fits_tiles import Compression
from .formatter import ByteSink, Formatter, check_parameters, no_component

if TYPE_CHECKING:
    from ...model.storage_class import StorageClass

__all__ = ["FitsFormatter"]

VERSION = 1
"""Version of the layout; a reader refuses files of a higher one."""

_OWN_HDU = {name: component for name, component in COMPONENTS.items() if component.hdu is not None}
"""Components of an exposure that are an HDU of their own."""

_COMPRESSIONS: dict[str | None, Compression | None] = {"gzip": "gzip", "rice": "rice", None: None}

_IMAGES = ("Exposure", "MaskedImage", "Image", "Mask")


class FitsFormatter(Formatter):
    """Writes exposures, their planes and their components alone; reads these and anyone's images.

    Parameters of `read`, for whatever has pixels: ``bbox`` (a Box2I) and ``origin`` (PARENT, or LOCAL for a box that
    counts from the first pixel). No pixel outside of the box is read, or, of compressed ones, no tile.

    Parameters
    ----------
    compression
        How pixels are written: ``"gzip"`` (without loss), ``"rice"`` (floating-point pixels are rounded to a 16th of
        their noise), or not compressed at all (None).

    Raises
    ------
    StorageClassError
        If there is no such compression.
    """

    name = "fits"
    suffix = ".fits"
    has_headers = True
    reads_ranges = True

    def __init__(self, compression: str | None = None) -> None:
        self._compression = _COMPRESSIONS.get(compression)
        if compression not in _COMPRESSIONS:
            raise StorageClassError(
                f"compression={compression!r} is none of {', '.join(map(repr, _COMPRESSIONS))}."
                f"{closest(str(compression), [name for name in _COMPRESSIONS if name])}"
            )

    def compressing(self, compression: str) -> "FitsFormatter":
        """Return the formatter that writes pixels with a compression."""
        return FitsFormatter(compression)

    def write(self, obj: Any, sink: ByteSink, storage_class: "StorageClass", provenance: Mapping[str, Any]) -> None:
        """Write the object."""
        own = [("SKYBUTLER VERSION", VERSION, "of this layout"), ("SKYBUTLER TYPE", storage_class.name, "")]
        own += _provenance_cards(provenance)
        if storage_class.name == "Exposure":
            _write_exposure(sink, obj, own, self._compression)
        elif storage_class.name == "MaskedImage":
            _write_primary(sink, Header(), own)
            _write_planes(sink, obj, [], None, self._compression)
        elif storage_class.name in ("Image", "Mask"):
            _write_primary(sink, Header(), own)
            name: PlaneName = "IMAGE" if storage_class.name == "Image" else "MASK"
            write_plane(sink, name, obj, [], compression=self._compression)
        elif storage_class.name == "Header":
            _write_primary(sink, obj, own)
        elif storage_class.name == "Wcs":
            _write_primary(sink, Header(), own)
            cards: list[CardTuple] = [("XTENSION", "IMAGE", ""), ("BITPIX", 8, ""), ("NAXIS", 0, ""), ("PCOUNT", 0, "")]
            cards += [("GCOUNT", 1, ""), ("EXTNAME", "WCS", ""), ("EXTTYPE", "WCS", ""), ("WCSAXES", 2, "")]
            sink.write(header_bytes(cards + [card for card in _wcs_cards(obj, (0, 0)) if card[0] != "WCSAXES"]))
        else:
            _write_primary(sink, Header(), own)
            _write_component(sink, _component_of(storage_class), obj)

    def read(
        self, path: Path, storage_class: "StorageClass", component: str | None, parameters: Mapping[str, Any]
    ) -> Any:
        """Read the object, a box of it, or one component."""
        check_parameters(parameters, tuple(sorted(storage_class.parameters)), storage_class)
        with FitsFile(path) as file:
            version = file[0].values.get("SKYBUTLER VERSION", VERSION)
            if not isinstance(version, int) or version > VERSION:
                raise FileFormatError(
                    f"{path} has version {version} of SkyButler's layout, and this program reads up to {VERSION}; "
                    "a newer SkyButler reads it"
                )
            if storage_class.name in _IMAGES:
                reader = PlaneReader(file)
                if component is None:
                    return _read_whole(reader, storage_class, parameters)
                return _read_part(reader, component, storage_class, parameters)
            if component is not None:
                raise no_component(component, (), storage_class)
            return _read_alone(file, storage_class)

    def header(self, obj: Any, storage_class: "StorageClass") -> Mapping[str, Any]:
        """Return the metadata of an exposure."""
        return obj.metadata if storage_class.name == "Exposure" else {}

    def read_header(self, source: Any, storage_class: "StorageClass") -> Mapping[str, Any]:
        """Return the metadata of the exposure in a file."""
        if storage_class.name != "Exposure":
            return {}
        with FitsFile(source) as file:
            return _metadata(PlaneReader(file))


def _write_exposure(sink: ByteSink, exposure: Exposure, own: list[CardTuple], compression: Compression | None) -> None:
    metadata = exposure.metadata
    if exposure.id is not None:
        own = [*own, ("SKYBUTLER EXPOSURE ID", int(exposure.id), "")]
    kept_apart = _write_primary(sink, metadata, own)
    masked_image = exposure.masked_image
    wcs_cards = [] if exposure.wcs is None else _wcs_cards(exposure.wcs, tuple(masked_image.image.xy0))
    unit = metadata.get("BUNIT")
    said = unit if isinstance(unit, str) and unit.isascii() else None
    _write_planes(sink, masked_image, wcs_cards, said, compression)
    for name, component in _OWN_HDU.items():
        value = getattr(exposure, name)
        if value is not None:
            _write_component(sink, component, value)
    if kept_apart:
        write_component(sink, "METADATA", {"cards": kept_apart}, [])


def _write_planes(
    sink: ByteSink,
    masked_image: MaskedImage,
    wcs_cards: list[CardTuple],
    unit: str | None,
    compression: Compression | None,
) -> None:
    squared = None if unit is None else f"{unit}**2" if unit.isalnum() else f"({unit})**2"
    write_plane(sink, "IMAGE", masked_image.image, wcs_cards, unit, compression)
    write_plane(sink, "MASK", masked_image.mask, wcs_cards, None, compression)
    write_plane(sink, "VARIANCE", masked_image.variance, wcs_cards, squared, compression)


def _write_primary(sink: ByteSink, metadata: Header, own: list[CardTuple]) -> list[list[Any]]:
    """Write the primary HDU; return position, keyword, value and comment of what its header cannot hold."""
    cards: list[CardTuple] = [("SIMPLE", True, ""), ("BITPIX", 8, ""), ("NAXIS", 0, ""), ("EXTEND", True, "")]
    kept_apart: list[list[Any]] = []
    for position, card in enumerate(card for card in metadata.cards if not says_provenance(card.keyword)):
        try:
            if describes_file(card.keyword) or card.keyword.startswith("SKYBUTLER "):
                raise ValueError(f"{card.keyword} tells how the file is kept")
            card_text(card.keyword, card.value, card.comment)
        except ValueError:
            value = [card.value.real, card.value.imag] if isinstance(card.value, complex) else card.value
            kept_apart.append([position, card.keyword, value, card.comment])
        else:
            cards.append((card.keyword, card.value, card.comment))
    sink.write(header_bytes(cards + own))
    return kept_apart


def _provenance_cards(provenance: Mapping[str, Any]) -> list[CardTuple]:
    """Return what the file says of the dataset that it is, and of what that was made."""
    if not provenance:
        return []
    cards: list[CardTuple] = []
    for key, value in FileProvenance.from_dict(provenance).to_pairs(" ").items():
        plain = value if isinstance(value, int) else value.encode("ascii", "backslashreplace").decode().rstrip()
        with suppress(ValueError):  # a dimension of one's own may have a name, or a value, that no card holds
            card_text(key, plain)
            cards.append((key, plain, ""))
    return cards


def _wcs_cards(wcs: Wcs, xy0: tuple[int, ...]) -> list[CardTuple]:
    return [(card.keyword, card.value, card.comment) for card in wcs.to_header((xy0[0], xy0[1])).cards]


def _write_component(sink: ByteSink, component: Component[Any], value: Any) -> None:
    """Write one component by what it says of itself."""
    cards: list[CardTuple] = [("CLASS", type(value).__name__, "of the object that was written")]
    cards.append(("CLSVERS", component.version, "version of the content"))
    write_component(sink, component.hdu or "", component.pack(value), cards)


def _read_component(file: FitsFile, component: Component[Any]) -> Any:
    """Read one component; None where there is none."""
    hdu = file.find(lambda hdu: component.hdu in hdu.names and "CLSVERS" in hdu.values)
    if hdu is None:
        return None
    version = hdu.values["CLSVERS"]
    try:
        return component.unpack(read_component(hdu, file.path), version if isinstance(version, int) else None)
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:
        raise FileFormatError(f"{file.path} holds no whole {component.hdu}: {error}") from error


def _read_whole(reader: PlaneReader, storage_class: "StorageClass", parameters: Mapping[str, Any]) -> Any:
    """Read an exposure, or of what is one only the planes that are asked for."""
    box = reader.box(parameters)
    if storage_class.name == "Image":
        return reader.image(box)
    if storage_class.name == "Mask":
        return reader.mask(box)
    masked_image = reader.masked_image(box)
    if storage_class.name == "MaskedImage":
        return masked_image
    if not reader.is_own:
        reader.warn_of_the_rest()
    return Exposure(masked_image, **{name: _exposure_component(reader, name) for name in COMPONENTS})


def _read_part(
    reader: PlaneReader, component: str, storage_class: "StorageClass", parameters: Mapping[str, Any]
) -> Any:
    """Read one component, and no pixels that it does not need."""
    component = "photo_calib" if component == "calib" else component
    if component in COMPONENTS:
        return _exposure_component(reader, component)
    if component not in _OF_THE_PIXELS:
        raise no_component(component, [*_OF_THE_PIXELS, *COMPONENTS], storage_class)
    return _OF_THE_PIXELS[component](reader, reader.box(parameters))


def _exposure_component(reader: PlaneReader, name: str) -> Any:
    """Read one of the `COMPONENTS`; None where there is none."""
    if name in _IN_HEADERS:
        return _IN_HEADERS[name](reader)
    return _read_component(reader.file, COMPONENTS[name]) if reader.is_own else reader.foreign(name)


def _metadata(reader: PlaneReader) -> Header:
    if not reader.is_own:
        return reader.metadata()
    return _own_metadata(reader.file)


def _own_metadata(file: FitsFile) -> Header:
    hdu = file.find(lambda hdu: "METADATA" in hdu.names)
    try:
        kept_apart = [] if hdu is None else read_component(hdu, file.path)["cards"]
        cards = [
            (position, keyword, complex(*value) if isinstance(value, list) else value, comment)
            for position, keyword, value, comment in kept_apart
        ]
        return own_metadata(file[0].header, cards)
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:
        raise FileFormatError(f"{file.path} holds no whole METADATA: {error}") from error


def _wcs(reader: PlaneReader) -> Wcs | None:
    """Read the WCS; of anyone's file one that cannot be understood is none, and is logged."""
    try:
        found = reader.wcs()
    except (HeaderError, ValueError) as error:
        if reader.is_own:
            raise FileFormatError(f"{reader.path}: {error}") from error
        import logging

        logging.getLogger(__name__).warning("%s is read without a WCS: %s", reader.path, error)
        return None
    return reader.foreign("wcs") if found is None and not reader.is_own else found


def _exposure_id(reader: PlaneReader) -> Any:
    if not reader.is_own:
        return reader.foreign("id")
    value = reader.primary.values.get("SKYBUTLER EXPOSURE ID")
    return value if isinstance(value, int) else None


_IN_HEADERS: dict[str, Callable[[PlaneReader], Any]] = {"metadata": _metadata, "wcs": _wcs, "id": _exposure_id}
"""How the components are read that have no HDU of their own."""

_OF_THE_PIXELS: dict[str, Callable[[PlaneReader, Box2I | None], Any]] = {
    "image": lambda reader, box: reader.image(box),
    "mask": lambda reader, box: reader.mask(box),
    "variance": lambda reader, box: reader.image(box, "VARIANCE"),
    "masked_image": lambda reader, box: reader.masked_image(box),
    "bbox": lambda reader, box: box or reader.bbox,
    "xy0": lambda reader, box: (box or reader.bbox).min,
    "dimensions": lambda reader, box: (box or reader.bbox).dimensions,
}
"""How else a part is read, of a box or of the whole (None)."""


def _read_alone(file: FitsFile, storage_class: "StorageClass") -> Any:
    """Read a component that is kept alone, or out of an exposure."""
    is_own = "SKYBUTLER VERSION" in file[0].values
    if storage_class.name == "Header":
        return _own_metadata(file) if is_own else PlaneReader(file).metadata()
    is_archive = not is_own and not any(hdu.is_image for hdu in file)
    archive = archive_of(file) if is_archive else None
    if archive is not None:
        found = archive.get()
    elif storage_class.name == "Wcs" and (hdu := file.find(lambda hdu: "WCS" in hdu.names)) is not None:
        found = Wcs.from_header(hdu.header)
    else:
        component = "wcs" if storage_class.name == "Wcs" else _component_of(storage_class).name
        found = _exposure_component(PlaneReader(file), component)
    if not isinstance(found, storage_class.type):
        raise FileFormatError(f"{file.path} holds no {storage_class.name}")
    return found


def _component_of(storage_class: "StorageClass") -> Component[Any]:
    """Return the component of exposures that a storage class keeps alone."""
    for component in _OWN_HDU.values():
        if storage_class.type in component.kinds:
            return component
    raise StorageClassError(f"storage class {storage_class.name!r} has no place in a FITS file")
