"""Storage classes: the kinds of Python object that a dataset may be, whatever file keeps it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

from .errors import StorageClassError, closest

__all__ = [
    "StorageClass",
    "described_storage_class",
    "named_storage_class",
    "register_storage_class",
    "shipped_storage_class",
    "storage_class",
    "storage_class_for",
    "storage_classes",
]

_TABLE_COMPONENTS = {"schema": "ArrowSchema", "columns": "List", "rowcount": "Integer"}
_TABLE_PARAMETERS = frozenset({"columns", "filters", "rows"})
_IMAGE_PARAMETERS = frozenset({"bbox", "origin"})
_PLANE_COMPONENTS = {"bbox": "Box", "xy0": "Point", "dimensions": "Extent", "metadata": "Header"}


@dataclass(frozen=True, slots=True)
class StorageClass:
    """A kind of Python object that a dataset may be."""

    name: str
    """What it is called in dataset types."""
    pytype: str
    """Dotted path of the Python type; imported when it is needed."""
    components: dict[str, str] = field(default_factory=dict, hash=False)
    """Parts that may be read alone (``calexp.wcs``), by the storage class of each."""
    parameters: frozenset[str] = frozenset()
    """Names that ``get(parameters=…)`` takes."""
    tabular: bool = False
    """Whether it is kept as Parquet, and so reads back as any other tabular class."""
    formatter: str = ""
    """What writes it: the name of a formatter of SkyButler's (``"yaml"``), or the dotted path of a `Formatter` class;
    empty where SkyButler knows by itself."""
    keyed: bool = field(default=False, compare=False)
    """Whether each key of an object, or each place in a list, is a component, too."""
    origin: str = field(default="", compare=False)
    """The file, or the name in a package, that defines it."""

    @property
    def is_known(self) -> bool:
        """Whether more than its name is known in this process; datasets of one that is not cannot be read or put."""
        return True

    @property
    def type(self) -> type:
        """The Python type itself.

        Raises
        ------
        StorageClassError
            What defines it is not installed.
        """
        module, _, name = self.pytype.rpartition(".")
        try:
            found: type = getattr(import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise StorageClassError(f"storage class {self.name} needs {self.pytype}: {error}.") from error
        return found

    def check(self, obj: Any) -> None:
        """Raise `StorageClassError` unless an object is of this class."""
        if not isinstance(obj, self.type):
            raise StorageClassError(
                f"storage class {self.name} takes {self.pytype}, not {type(obj).__module__}.{type(obj).__qualname__}."
            )

    def check_component(self, name: str) -> None:
        """Raise `StorageClassError` where its objects have no such component; which keys one has, its file knows."""
        if name not in self.components and not self.keyed:
            known = ", ".join(self.components) or "none"
            raise StorageClassError(
                f"{self.name} has no component {name!r}.{closest(name, self.components)} It has: {known}."
            )


class _Named(StorageClass):
    """A storage class that nothing in this process describes, by its name; all else of it is known once it is.

    Raises `StorageClassError` when more than the name is asked before.
    """

    __slots__ = ()

    def __init__(self, name: str):
        object.__setattr__(self, "name", name)

    def __getattr__(self, attribute: str) -> Any:
        """Return what the class itself does not have: the fields, which are never set."""
        if attribute not in StorageClass.__slots__ or attribute == "name":
            raise AttributeError(attribute)
        return getattr(storage_class(self.name), attribute)

    @property
    def is_known(self) -> bool:
        return type(named_storage_class(self.name)) is StorageClass

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Named) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"<storage class {self.name!r}, known by its name only>"

    def __reduce__(self) -> tuple[Any, ...]:
        return named_storage_class, (self.name,)


_IMAGING = "skybutler.imaging"
_ENTRY_POINTS = "skybutler.storage_classes"
_KEYS = ("type", "formatter", "components", "parameters", "tabular")


def register_storage_class(new: StorageClass) -> None:
    """Make a storage class known by its name, wherever no repository means another one by it.

    Raises
    ------
    StorageClassError
        Another of that name is known already.
    """
    _register(new if new.origin else replace(new, origin=sys._getframe(1).f_code.co_filename))


def _register(new: StorageClass) -> None:
    known = _KNOWN.setdefault(new.name, new)
    if known != new:
        raise StorageClassError(
            f"storage class {new.name!r} is {known.pytype} already, defined in {known.origin}; {new.origin} defines "
            f"another, {new.pytype}. Give one of them another name; or let the repository that means it describe it in "
            "its skybutler.yaml."
        )


def described_storage_class(name: str, said: Any, origin: str) -> StorageClass:
    """Return the storage class that a repository's configuration describes.

    Parameters
    ----------
    name
        What it is called.
    said
        A mapping: ``type``, the dotted path of the Python type (``dict``, too), and, where they are wanted,
        ``formatter``, ``components`` (name to storage class), ``parameters`` (a list) and ``tabular``.
    origin
        Which file says it.

    Raises
    ------
    StorageClassError
        It says something else.
    """
    if not isinstance(said, Mapping) or not isinstance(said.get("type"), str):
        raise StorageClassError(f"storage class {name!r} is described by a mapping with a type, not by {said!r}.")
    if unknown := [key for key in said if key not in _KEYS]:
        near = closest(str(unknown[0]), _KEYS)
        raise StorageClassError(f"storage class {name!r} has {unknown[0]!r}, which says nothing.{near}")
    pytype, written_by, tabular = said["type"], str(said.get("formatter") or ""), bool(said.get("tabular"))
    return StorageClass(
        name, pytype if "." in pytype else f"builtins.{pytype}", dict(said.get("components") or {}),
        frozenset(said.get("parameters") or ()), tabular, written_by,
        keyed=not tabular and written_by in ("", "json", "yaml"), origin=origin,
    )  # fmt: skip


def _load_entry_points(name: str | None = None) -> None:
    """Register the storage classes that installed packages offer: the one of a name, or all that can be loaded."""
    from importlib.metadata import entry_points

    for found in entry_points(group=_ENTRY_POINTS) if name is None else entry_points(group=_ENTRY_POINTS, name=name):
        if found.name in _KNOWN:
            continue
        try:
            new = found.load()
        except (ImportError, AttributeError) as error:
            if name is None:
                continue  # is told to whoever asks for it
            raise StorageClassError(f"storage class {name!r} of {found.value} cannot be loaded: {error}.") from error
        if not isinstance(new, StorageClass) or new.name != found.name:
            raise StorageClassError(f"{found.value} is offered as storage class {found.name!r}, and is {new!r}.")
        _register(replace(new, origin=found.value))


_SHIPPED = [
    StorageClass(
        "Exposure",
        f"{_IMAGING}.Exposure",
        {
            "image": "Image", "mask": "Mask", "variance": "Image", "masked_image": "MaskedImage", "wcs": "Wcs",
            "psf": "Psf", "photo_calib": "PhotoCalib", "background": "Background", "visit_info": "VisitInfo",
            "filter": "Filter", "detector": "Detector", "ap_corr": "ApCorrMap", "valid_polygon": "Polygon",
            "summary_stats": "Dict", "id": "Integer", **_PLANE_COMPONENTS,
        },
        _IMAGE_PARAMETERS,
    ),
    StorageClass("MaskedImage", f"{_IMAGING}.MaskedImage",
                 {"image": "Image", "mask": "Mask", "variance": "Image", **_PLANE_COMPONENTS}, _IMAGE_PARAMETERS),
    StorageClass("Image", f"{_IMAGING}.Image", _PLANE_COMPONENTS, _IMAGE_PARAMETERS),
    StorageClass("Mask", f"{_IMAGING}.Mask", _PLANE_COMPONENTS, _IMAGE_PARAMETERS),
    *(StorageClass(name, f"{_IMAGING}.{name}") for name in
      ("Wcs", "Psf", "PhotoCalib", "Background", "BackgroundList", "ApCorrMap", "Polygon", "VisitInfo", "Filter",
       "Detector", "Camera", "Header")),
    StorageClass("Box", f"{_IMAGING}.Box2I"),
    StorageClass("Point", f"{_IMAGING}.Point2I"),
    StorageClass("Extent", f"{_IMAGING}.Extent2I"),
    StorageClass("SourceCatalog", f"{_IMAGING}.SourceCatalog", _TABLE_COMPONENTS, _TABLE_PARAMETERS, tabular=True),
    StorageClass("DataFrame", "pandas.DataFrame", _TABLE_COMPONENTS, _TABLE_PARAMETERS, tabular=True),
    StorageClass("ArrowTable", "pyarrow.Table", _TABLE_COMPONENTS, _TABLE_PARAMETERS, tabular=True),
    StorageClass("PolarsFrame", "polars.DataFrame", _TABLE_COMPONENTS, _TABLE_PARAMETERS, tabular=True),
    StorageClass("AstropyTable", "astropy.table.Table", _TABLE_COMPONENTS, _TABLE_PARAMETERS, tabular=True),
    StorageClass("NumpyRecords", "numpy.ndarray", _TABLE_COMPONENTS, _TABLE_PARAMETERS, tabular=True),
    StorageClass("ArrowSchema", "pyarrow.Schema"),
    StorageClass("Dict", "builtins.dict", keyed=True),
    StorageClass("List", "builtins.list", keyed=True),
    StorageClass("Model", "pydantic.BaseModel", keyed=True),
    StorageClass("Integer", "builtins.int"),
    StorageClass("Text", "builtins.str"),
    StorageClass("Config", "builtins.dict", keyed=True),
    StorageClass("Log", "builtins.list", keyed=True),
    StorageClass("TaskMetadata", "builtins.dict", keyed=True),
    StorageClass("Packages", "builtins.dict", keyed=True),
    StorageClass("Provenance", "skybutler.model.provenance.FileProvenance", keyed=True),
    StorageClass("Figure", "matplotlib.figure.Figure"),
    StorageClass("Drawing", "matplotlib.figure.Figure"),
    StorageClass("Defects", f"{_IMAGING}.Defects"),
]  # fmt: skip
_KNOWN: dict[str, StorageClass] = {new.name: replace(new, origin=__name__) for new in _SHIPPED}


def shipped_storage_class(name: str) -> StorageClass | None:
    """Return the storage class that SkyButler itself has of a name."""
    return next((kind for kind in _SHIPPED if kind.name == name), None)


def storage_class(name: str | StorageClass, own: Iterable[str] = ()) -> StorageClass:
    """Return the storage class of that name.

    Parameters
    ----------
    name
        Its name; one that says all of itself is returned.
    own
        What there is besides, for the message.

    Raises
    ------
    StorageClassError
        There is none.
    """
    if isinstance(name, _Named):
        name = name.name
    if isinstance(name, StorageClass):
        return name
    if name not in _KNOWN:
        _load_entry_points(name)
    try:
        return _KNOWN[name]
    except KeyError:
        known = sorted({*_KNOWN, *own})
        raise StorageClassError(
            f"no storage class {name!r}.{closest(name, known)} Known: {', '.join(known)}. One of your own is "
            "described under storage_classes in skybutler.yaml, comes with the package that offers it, or is given to "
            "skybutler.register_storage_class first."
        ) from None


def named_storage_class(name: str) -> StorageClass:
    """Return the storage class of that name, whether or not it is known here: one may list what one cannot read.

    Of one that is not known, all but the name raises `StorageClassError`, until it is.
    """
    try:
        return storage_class(name)
    except StorageClassError:
        return _Named(name)


def storage_classes() -> tuple[StorageClass, ...]:
    """Return all storage classes that are known, those that installed packages offer among them."""
    _load_entry_points()
    return tuple(_KNOWN.values())


def storage_class_for(obj: Any, own: Iterable[StorageClass] = ()) -> StorageClass:
    """Return the storage class that keeps an object, found by its type's name first, so that nothing is imported.

    Parameters
    ----------
    obj
        The object.
    own
        Storage classes that there are besides.

    Raises
    ------
    StorageClassError
        None takes objects of its type.
    """
    own = tuple(own)
    found = _class_for(obj, own)
    if found is None:
        _load_entry_points()
        found = _class_for(obj, own)
    if found is not None:
        return found
    raise StorageClassError(f"no storage class keeps a {type(obj).__module__}.{type(obj).__qualname__}.")


def _class_for(obj: Any, own: tuple[StorageClass, ...]) -> StorageClass | None:
    for cls in type(obj).__mro__:
        for known in (*_KNOWN.values(), *own):
            module, _, name = known.pytype.rpartition(".")
            if cls.__qualname__ == name and (
                cls.__module__ == module or cls.__module__.startswith(module.split(".")[0] + ".")
            ):
                return known
    return None
