"""Which formatter writes which storage class; each is imported when it is first needed.

A formatter of one's own is found by the storage class that names it (`StorageClass.formatter`), or is made known by
`register_formatter`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from ...model.errors import FileFormatError, StorageClassError, closest
from ...model.storage_class import storage_classes
from .formatter import ByteSink, Formatter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...model.storage_class import StorageClass
    from ...model.storage_classes import StorageClasses

__all__ = ["ByteSink", "Formatter", "formatter", "formatter_for", "formatter_names", "register_formatter"]

_SHIPPED = {
    "fits": ("fits_exposure", "FitsFormatter"),
    "fits_catalog": ("afw_catalog", "AfwCatalogFormatter"),
    "parquet": ("parquet", "ParquetFormatter"),
    "json": ("json_yaml", "JsonFormatter"),
    "yaml": ("json_yaml", "YamlFormatter"),
    "text": ("text", "TextFormatter"),
    "figure": ("figure", "FigureFormatter"),
    "svg": ("figure", "SvgFormatter"),
    "defects": ("defects", "DefectsFormatter"),
}
"""Formatter name -> (module in this package, class)."""

_BY_STORAGE_CLASS = {
    **dict.fromkeys(("Exposure", "MaskedImage", "Image", "Mask", "Header"), "fits"),
    **dict.fromkeys(("Wcs", "Psf", "PhotoCalib", "Background", "BackgroundList", "ApCorrMap", "Polygon"), "fits"),
    **dict.fromkeys(("Dict", "List", "Model", "Integer", "Config", "Log", "TaskMetadata", "Packages"), "json"),
    **dict.fromkeys(("Provenance", "VisitInfo", "Filter", "Detector", "Camera"), "json"),
    "Text": "text",
    "Figure": "figure",
    "Drawing": "svg",
    "Defects": "defects",
}

_loaded: dict[str, Formatter] = {}


def formatter(name: str, classes: "StorageClasses | None" = None) -> Formatter:
    """Return the formatter of a name, as the registry remembers it for each file.

    Parameters
    ----------
    name
        Its name.
    classes
        The storage classes of a repository, whose own formatters go before those that others have made known.

    Raises
    ------
    FileFormatError
        If there is no such formatter.
    """
    trouble: list[str] = []
    if classes is not None and classes.own and name not in _SHIPPED:
        found = _named_by(classes.own.values(), name, trouble)
        if found is not None:
            return found
    found = _loaded.get(name)
    if found is not None:
        return found
    if name not in _SHIPPED:
        found = _named_by(storage_classes(), name, trouble)
        if found is not None:
            return _loaded.setdefault(name, found)
        known = sorted({*_SHIPPED, *_loaded})
        hints = " ".join([closest(name, known), *trouble])
        raise FileFormatError(f"no formatter is called {name!r}; there are {', '.join(known)}.{hints}")
    module, class_name = _SHIPPED[name]
    made: Formatter = getattr(import_module(f".{module}", __name__), class_name)()
    return _loaded.setdefault(name, made)


def formatter_names() -> tuple[str, ...]:
    """Return the names of the formatters that a storage class may name; nothing is imported."""
    return tuple(sorted({*_SHIPPED, *_loaded}))


def formatter_for(storage_class: "StorageClass") -> Formatter:
    """Return the formatter that writes objects of a storage class.

    Raises
    ------
    StorageClassError
        If none does.
    """
    if "." in storage_class.formatter:
        return _own(storage_class)
    name = storage_class.formatter or _BY_STORAGE_CLASS.get(storage_class.name)
    if name is None and storage_class.tabular:
        name = "parquet"
    if name is None and hasattr(storage_class.type, "model_validate_json"):  # a pydantic model of the user's
        name = "json"
    if name is None:
        raise StorageClassError(
            f"no formatter writes storage class {storage_class.name!r}; name one in its formatter, or use one of "
            f"{', '.join(_BY_STORAGE_CLASS)}.{closest(storage_class.name, _BY_STORAGE_CLASS)}"
        )
    return formatter(name)


def _named_by(kinds: "Iterable[StorageClass]", name: str, trouble: list[str]) -> Formatter | None:
    """Return the formatter of a name, if a storage class names its class; what cannot be loaded is told of."""
    for kind in kinds:
        if "." in kind.formatter:
            try:
                own = _own(kind)
            except StorageClassError as error:
                trouble.append(str(error))
            else:
                if own.name == name:
                    return own
    return None


def _own(storage_class: "StorageClass") -> Formatter:
    """Return the formatter that a storage class names by its dotted path."""
    module, _, name = storage_class.formatter.rpartition(".")
    try:
        made = getattr(import_module(module), name)()
    except (ImportError, AttributeError, TypeError) as error:
        raise StorageClassError(
            f"storage class {storage_class.name!r} needs the formatter {storage_class.formatter}: {error}."
        ) from error
    if not isinstance(made, Formatter):
        raise StorageClassError(f"storage class {storage_class.name!r}: {storage_class.formatter} is no Formatter.")
    return made


def register_formatter(new: Formatter, *storage_classes: str) -> None:
    """Make a formatter known, by its name and as the one that writes some storage classes."""
    _loaded[new.name] = new
    for name in storage_classes:
        _BY_STORAGE_CLASS[name] = new.name
