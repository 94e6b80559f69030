"""Struct: what a task's ``run`` returns, results by name."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ..model.errors import TaskError, closest
from ..model.lsst_names import LsstNames

__all__ = ["Struct"]


class Struct(LsstNames, SimpleNamespace):
    """Named results, reached as attributes: ``Struct(exposure=exposure, mean=3.0).mean``.

    Parameters
    ----------
    **items
        The results. Names that begin with two underscores are refused.
    """

    def __init__(self, **items: Any) -> None:
        private = [name for name in items if name.startswith("__")]
        if private:
            raise TaskError(f"Item {private[0]!r} of a Struct must not begin with two underscores.")
        super().__init__(**items)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def to_dict(self) -> dict[str, Any]:
        """Return the items as a dictionary; LSST's ``getDict`` does so, too."""
        return dict(self.__dict__)

    get_dict = to_dict

    def keys(self) -> list[str]:
        """Return the items' names."""
        return list(self.__dict__)

    def merge_items(self, other: Struct, *names: str) -> None:
        """Take items of another Struct.

        Raises
        ------
        TaskError
            The other one lacks an item, or this one has it already.
        """
        for name in names:
            if name not in other:
                raise TaskError(f"The other Struct has no item {name!r}.{closest(name, other.keys())}")
            if name in self:
                raise TaskError(f"Item {name!r} is here already.")
            setattr(self, name, getattr(other, name))

    def copy(self) -> Struct:
        """Return a Struct of the same items, which are not copied themselves."""
        return type(self)(**self.__dict__)

    def __contains__(self, name: object) -> bool:
        return name in self.__dict__

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dict__)

    def __len__(self) -> int:
        return len(self.__dict__)
