"""Files without a repository: one call reads whatever SkyButler knows, one writes it.

What is read is told by the file's content where no storage class is named; what is written, by the object and the
path's ending. These are ``skybutler.read`` and ``skybutler.write``.
"""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..model.errors import FileFormatError, SkyButlerError, StorageClassError, closest
from ..model.storage_class import StorageClass, storage_class_for
from ..model.storage_class import storage_class as storage_class_of
from .atomic import write_whole
from .formatters import formatter, formatter_for
from .paths import file_suffix

__all__ = ["read", "write"]

_BY_SUFFIX = {
    ".fits": "fits", ".fit": "fits", ".fts": "fits", ".fits.gz": "fits", ".fits.fz": "fits", ".fz": "fits",
    ".parquet": "parquet", ".parq": "parquet", ".pq": "parquet", ".json": "json", ".yaml": "yaml", ".yml": "yaml",
    ".txt": "text", ".log": "text", ".png": "figure",
}  # fmt: skip
_PLAIN_DATA = {dict: "Dict", list: "List", int: "Integer", str: "Text"}
_PLANES = ("mask", "variance", "weight", "error")
_PLAIN = StorageClass("PlainData", "builtins.object")
"""What JSON and YAML hold where no storage class is named: whatever stands there."""
_ARCHIVED = StorageClass("AfwObject", "builtins.object")
"""What a file of afw is that holds one object alone, such as a PhotoCalib or a footprint."""


def read(path: str | os.PathLike[str], storage_class: str | StorageClass | None = None, **parameters: Any) -> Any:
    """Read a file that is in no repository.

    Parameters
    ----------
    path
        The file.
    storage_class
        What to read it as, such as ``"Exposure"`` or ``"DataFrame"``. By default what the file says that it is:
        SkyButler marks what it writes; any other FITS file is an Exposure, or an AstropyTable where it has only tables;
        Parquet is a SourceCatalog if one was written, else an ArrowTable; JSON and YAML are plain data.
    **parameters
        What part to read: ``bbox`` and ``origin`` of images, ``columns``, ``filters`` and ``rows`` of tables;
        ``component`` for one component alone. Of an exposure whose planes are files of their own, ``mask`` and
        ``variance``, ``weight`` (inverse variance) or ``error`` (its square root) name these files; those that lie
        beside it under the names of NOIRLab's archive (``_ooi_``, ``_ood_``, ``_oow_``) are found.

    Returns
    -------
    object
        Of the storage class's type.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If its content is of no known format, or not what its format should be.
    StorageClassError
        If the storage class is unknown, or has no such parameter or component.
    """
    path = Path(path)
    name = _format(path)
    if name == "fits" and storage_class is None and (found := _fits_kind(path)) is not None:
        storage_class = found
    wanted = None if storage_class is None else storage_class_of(storage_class)
    component = parameters.pop("component", None)
    planes = {
        role: Path(parameters.pop(role)) for role in ("mask", "variance", "weight", "error") if role in parameters
    }
    if name == "fits" and wanted is not None and wanted.tabular:
        if component is not None or parameters or planes:
            raise StorageClassError(f"{path} is a FITS table, which is read whole; parts are read of Parquet files")
        return _read_fits_table(path, wanted)
    if wanted is None:
        wanted = _own_kind(path, name)
    found = formatter(name).read(path, wanted, component, parameters)
    if name == "fits" and component is None and wanted.name in ("Exposure", "MaskedImage"):
        return _with_planes(found, path, planes, parameters)
    if planes:
        raise StorageClassError(f"a {wanted.name} has no planes that are read from other files: {', '.join(planes)}")
    return found


def write(obj: Any, path: str | os.PathLike[str], *, compression: str | None = None) -> None:
    """Write an object to a file that is in no repository; a file that is there already is replaced, whole.

    Parameters
    ----------
    obj
        Anything that has a storage class.
    path
        The file; its ending says the format where there is a choice (``.json`` or ``.yaml``), and must fit the object.
    compression
        How the pixels of exposures, masked images, images and masks are compressed: ``"gzip"`` loses nothing;
        ``"rice"`` makes smaller files, and rounds floating-point pixels to a 16th of their noise (infinite ones may
        become NaN). By default they are not compressed, which is the fastest to write and to read.

    Raises
    ------
    StorageClassError
        If nothing writes such an object, not into a file with this ending, or not with this compression.
    FileNotFoundError
        If the folder is not there; none is made, as its name may be misspelt.
    """
    target = Path(path).absolute()
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"there is no folder {str(target.parent)!r} to write {target.name} into; make it first."
        )
    kind = storage_class_of(_PLAIN_DATA[type(obj)]) if type(obj) in _PLAIN_DATA else storage_class_for(obj)
    chosen = formatter_for(kind)
    asked = _BY_SUFFIX.get(file_suffix(target.name).lower())
    if {asked, chosen.name} == {"yaml", "json"}:
        chosen = formatter("yaml")
    elif (asked, kind.name) == ("fits", "SourceCatalog") and target.suffix not in (".gz", ".fz"):
        chosen = formatter("fits_catalog")
    elif asked != chosen.name or file_suffix(target.name).lower() in (".fits.gz", ".fits.fz", ".fz"):
        raise StorageClassError(
            f"what is of storage class {kind.name} is written to a file whose name ends in {chosen.suffix}, not to "
            f"{target.name}"
        )
    if compression is not None:
        chosen = chosen.compressing(compression)
    chosen.check(obj, kind)
    write_whole(str(target), lambda sink: chosen.write(obj, sink, kind, {}), durable=False)


def _with_planes(found: Any, path: Path, planes: Mapping[Any, Path], parameters: dict[str, Any]) -> Any:
    """Give an exposure the planes that are in other files."""
    from .formatters.fits_roles import beside, with_planes

    named: dict[Any, Path] = {**(beside(path) if not planes else {}), **planes}
    image = storage_class_of("Image")
    return with_planes(found, {role: formatter("fits").read(at, image, None, parameters) for role, at in named.items()})


def _format(path: Path) -> str:
    """Tell a file's format by how it begins, then by its name."""
    with path.open("rb") as stream:
        begin = stream.read(9)
    if begin == b"SIMPLE  =" or begin[:2] == b"\x1f\x8b":
        return "fits"
    if begin[:4] == b"PAR1":
        return "parquet"
    if begin[:4] == b"\x89PNG":
        return "figure"
    suffix = file_suffix(path.name).lower()
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    near = closest(suffix, _BY_SUFFIX)
    what = f"begins with {begin!r}" if begin else "is empty"
    raise FileFormatError(f"{path} is of no format that SkyButler knows: it {what}.{near}")


def _fits_kind(path: Path) -> str | StorageClass | None:
    """Tell what a FITS file holds: what its own mark says, what afw kept in it, a table, or an image (None)."""
    from .formatters.afw_archive import archive_of
    from .formatters.afw_catalog import is_afw_catalog
    from .formatters.fits_file import FitsFile

    with FitsFile(path) as file:
        marked = file[0].values.get("SKYBUTLER TYPE")
        if isinstance(marked, str):
            return marked
        if any(hdu.is_image for hdu in file):
            return None
        table = file.find(lambda hdu: hdu.values.get("XTENSION") in ("BINTABLE", "TABLE"))
        if table is None:
            return None
        if is_afw_catalog(table):
            return "SourceCatalog"
        return "AstropyTable" if archive_of(file) is None else _ARCHIVED


def _read_fits_table(path: Path, wanted: StorageClass) -> Any:
    """Read the first table of a FITS file as a table of any kind."""
    from astropy.table import Table
    from astropy.units import UnitsWarning

    from .formatters.afw_catalog import is_afw_catalog, read_catalog
    from .formatters.fits_file import FitsFile
    from .tables import from_arrow, to_arrow

    try:
        with FitsFile(path) as file:
            first = file.find(lambda hdu: hdu.values.get("XTENSION") in ("BINTABLE", "TABLE") and not hdu.is_image)
            if first is None:
                raise FileFormatError(f"{path} has no table that can be read: all its HDUs are images")
            if is_afw_catalog(first):
                catalog = read_catalog(first, file)
                return catalog if wanted.name == "SourceCatalog" else from_arrow(to_arrow(catalog), wanted.name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnitsWarning)  # a unit that astropy does not know is kept by its name
            table = Table.read(path, format="fits", hdu=first.number)
    except SkyButlerError:
        raise
    except Exception as error:  # of a damaged file astropy raises whatever comes, also assertions
        raise FileFormatError(f"{path} has no table that can be read: {error}") from error
    return table if wanted.name == "AstropyTable" else from_arrow(to_arrow(table), wanted.name)


def _own_kind(path: Path, name: str) -> StorageClass:
    """Return the storage class of a file for which none was named."""
    if name == "parquet":
        import json

        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            said = json.loads((pq.read_schema(path).metadata or {}).get(b"skybutler", b"{}"))
        except (pa.ArrowException, OSError, ValueError) as error:
            raise FileFormatError(f"{path} is not a Parquet file that can be read: {error}") from error
        return storage_class_of("SourceCatalog" if "aliases" in said else "ArrowTable")
    if name in ("json", "yaml"):
        return _PLAIN
    return storage_class_of({"fits": "Exposure", "text": "Text", "figure": "Figure"}[name])
