"""LSST's camelCase names on PEP 8 objects, in one place.

``LsstNames`` is inherited wherever code written for the LSST stack may come by. The names of this package are the ones
that docs, types and completion show; the others reach the same attributes by rule, and only when a name is not found:

=====================  ==================================================================================
written                means
=====================  ==================================================================================
``obj.getX()``         ``obj.get_x()`` where that is a method, else the value of ``obj.x``
``obj.getX(args)``     ``obj.x(args)`` where ``x`` is a method
``obj.setX(value)``    ``obj.set_x(value)`` where that is a method, else ``obj.x = value``
``obj.isX()``          ``obj.is_x``, called where it is a method (else ``obj.isX`` is it, too); else ``bool(obj.x)``
``obj.hasX()``         ``obj.has_x``, called where it is a method; else ``obj.x is not None``
``obj.anyOtherName``   ``obj.any_other_name``
``obj.doX = value``    ``obj.do_x = value``
``Class.doX()``        ``Class.do_x()`` or ``Class.x()`` (as ``getX``), where that is a class or static method
=====================  ==================================================================================
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from importlib import import_module
from inspect import getattr_static
from types import FunctionType, MethodDescriptorType
from typing import TYPE_CHECKING, Any

from .errors import closest

__all__ = ["LsstNames", "camel_case", "lazy_exports", "snake_case"]

_ACRONYMS = {"BBox": "Bbox"}  # capitals that do not begin a word
_WORD_STARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_DIMENSIONS = re.compile(r"(?<=[23])([DIF])(?![a-z])")  # the D of Box2D ends its word
_METHODS = (FunctionType, MethodDescriptorType, classmethod, staticmethod)
_NOTHING = object()


@lru_cache(maxsize=4096)
def snake_case(name: str) -> str:
    """Return the PEP 8 form of a camelCase name.

    Examples
    --------
    >>> snake_case("instFluxToNanojansky"), snake_case("BBox"), snake_case("XY0"), snake_case("flipLR")
    ('inst_flux_to_nanojansky', 'bbox', 'xy0', 'flip_lr')
    """
    for written, word in _ACRONYMS.items():
        name = name.replace(written, word)
    name = _DIMENSIONS.sub(lambda found: found[1].lower(), name)
    return _WORD_STARTS.sub("_", name).lower()


@lru_cache(maxsize=4096)
def camel_case(name: str, *, capital: bool = False) -> str:
    """Return the LSST form of a PEP 8 name; with `capital`, as it stands after ``get`` or ``set``.

    Examples
    --------
    >>> camel_case("inst_flux"), camel_case("bbox", capital=True), camel_case("xy0", capital=True)
    ('instFlux', 'BBox', 'XY0')
    """
    special = {"bbox": "BBox", "xy0": "XY0"}
    first, *others = name.split("_")
    words = [special.get(first, first[:1].upper() + first[1:]) if capital else first]
    return "".join(words + [special.get(word, word[:1].upper() + word[1:]) for word in others])


class LsstNames:
    """Mixin that understands LSST's camelCase names beside the PEP 8 ones of its class (see the module's table).

    Costs nothing where the name asked for exists. Works next to ``pydantic.BaseModel`` (inherit this one first), with
    ``__slots__`` and with frozen dataclasses.
    """

    __slots__ = ()

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Give the methods that a class itself has their LSST names, as nothing is asked when a class lacks a name."""
        super().__init_subclass__(**keywords)
        for name, held in list(vars(cls).items()):
            if not name.startswith("_") and getattr(held, "is_of_class", isinstance(held, classmethod | staticmethod)):
                for twin in (camel_case(name), "get" + camel_case(name, capital=True)):
                    if twin not in vars(cls):
                        setattr(cls, twin, held)

    if not TYPE_CHECKING:  # a type checker shall see the real names only, and find typing errors in them

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):
                return _inherited_getattr(self, name)
            if _static(self, name) is not None:  # a property that raised AttributeError itself: let its words be heard
                return object.__getattribute__(self, name)
            if not name.islower():
                found = _resolve(self, name)
                if found is not _NOTHING:
                    return found
            try:
                return _inherited_getattr(self, name)
            except AttributeError:
                hint = closest(name, dir(self))
                message = f"{type(self).__name__!r} object has no attribute {name!r}.{hint}"
                raise AttributeError(message, name=name, obj=self) from None

        def __setattr__(self, name: str, value: Any) -> None:
            if not name.islower() and not name.startswith("_") and _static(self, name) is None:
                twin = snake_case(name)
                if _has(self, twin):
                    name = twin
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        names = set(super().__dir__())
        return sorted(names | set(_lsst_twins(self, names)))


def _inherited_getattr(obj: object, name: str) -> Any:
    """Ask the next class that has a ``__getattr__`` (pydantic keeps private attributes behind one)."""
    following = getattr(super(LsstNames, obj), "__getattr__", None)
    if following is None:
        raise AttributeError(f"{type(obj).__name__!r} object has no attribute {name!r}", name=name, obj=obj)
    return following(name)


def _static(obj: object, name: str) -> Any:
    """Return the attribute as its class holds it, or None; properties are not run."""
    return getattr_static(type(obj), name, None)


def _has(obj: object, name: str) -> bool:
    """Whether an object has an attribute, without running properties."""
    return _static(obj, name) is not None or name in getattr(obj, "__dict__", {})


def _resolve(obj: Any, name: str) -> Any:
    """Return what a camelCase name means on an object, or ``_NOTHING``."""
    twin = snake_case(name)
    if _has(obj, twin) and not twin.startswith(("is_", "has_")):
        return getattr(obj, twin)
    verb, _, noun = twin.partition("_")
    if verb in ("is", "has") and _has(obj, twin):
        asked = getattr(obj, twin)
        if isinstance(_static(obj, twin), _METHODS):
            return asked
        return _Answer(asked) if isinstance(asked, bool) else lambda: asked
    if not noun or not _has(obj, noun):
        return _NOTHING
    if verb == "set":
        return lambda value: setattr(obj, noun, value)
    is_method = isinstance(_static(obj, noun), _METHODS)
    meanings: dict[str, Callable[..., Any]] = {
        "get": getattr(obj, noun) if is_method else lambda *given, **named: _value(obj, noun, name, given or named),
        "is": lambda: bool(getattr(obj, noun)),
        "has": lambda: getattr(obj, noun) is not None,
    }
    return meanings.get(verb, _NOTHING)


class _Answer(int):
    """What ``obj.isX`` is, true or false, and what ``obj.isX()`` gives: LSST's code has both."""

    def __call__(self) -> bool:
        return bool(self)


def _value(obj: object, noun: str, name: str, given: object) -> Any:
    """Return the value that ``getX()`` asks for; it takes no arguments."""
    if given:
        raise TypeError(f"{name}() of a {type(obj).__name__} takes no arguments: it is the value of .{noun}.")
    return getattr(obj, noun)


def _lsst_twins(obj: object, names: Iterable[str]) -> Iterator[str]:
    """Yield the camelCase names by which an object's public attributes can also be reached."""
    for name in names:
        if name.startswith("_") or not name.islower():
            continue
        if "_" in name:
            yield camel_case(name)
        held = _static(obj, name)
        if isinstance(held, _METHODS) or name.startswith(("is_", "has_")):
            continue
        yield "get" + camel_case(name, capital=True)
        if name in getattr(obj, "__dict__", {}) or (isinstance(held, property) and held.fset is not None):
            yield "set" + camel_case(name, capital=True)


def lazy_exports(
    package: str, modules: Mapping[str, Iterable[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make a package's ``__getattr__`` and ``__dir__`` (PEP 562): a module is imported when a name of it is first used.

    Parameters
    ----------
    package : `str`
        The package's ``__name__``.
    modules : mapping of `str` to iterable of `str`
        For each module of the package, the public names that it gives.

    Returns
    -------
    getattr, dir : callable
        To be assigned to ``__getattr__`` and ``__dir__``. The first also resolves camelCase functions
        (``makeStatistics``) and raises AttributeError naming the closest public name.
    """
    homes = {name: module for module, names in modules.items() for name in names}

    def get_name(name: str) -> Any:
        public = name if name in homes else snake_case(name)
        if public not in homes or name.startswith("_"):
            hint = closest(name, homes)
            raise AttributeError(f"module {package!r} has no attribute {name!r}.{hint}", name=name)
        return getattr(import_module(f".{homes[public]}", package), public)

    def list_names() -> list[str]:
        return sorted(homes)

    return get_name, list_names
