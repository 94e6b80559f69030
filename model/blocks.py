"""Blocks (``with``) that give back what they hold even if Ctrl-C comes as they are entered or left."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Generator, Iterator
from functools import partial, wraps
from types import TracebackType
from typing import Generic, ParamSpec, TypeVar, cast

__all__ = ["block"]

P = ParamSpec("P")
T = TypeVar("T")


def block(make: Callable[P, Iterator[T]]) -> Callable[P, Block[T]]:
    """Make a context manager of a generator function, as `contextlib.contextmanager` does, and hold no lock by it.

    Ctrl-C may come when the generator has yielded but its block is not begun, or when the block is done but the
    generator has not gone on. Made by `contextlib`, it would then wait, its transaction open and others locked out,
    for as long as anything keeps the exception: a notebook does, until the next one.
    """

    @wraps(make)
    def made(*arguments: P.args, **keywords: P.kwargs) -> Block[T]:
        return Block(cast("Generator[T, None, None]", make(*arguments, **keywords)))

    return made


class Block(Generic[T]):
    """A generator's block; whoever enters it is all that refers to it.

    Parameters
    ----------
    generator
        Yields once.
    """

    def __init__(self, generator: Generator[T, None, None]):
        self._generator = generator

    def __enter__(self) -> T:
        try:
            return next(self._generator)
        except BaseException as error:
            _throw(self._generator, error)  # it has yielded, unless the error is its own
            raise

    @property
    def __exit__(  # noqa: PLE0302 - what it returns takes the arguments
        self,
    ) -> Callable[[type[BaseException] | None, BaseException | None, TracebackType | None], bool | None]:
        """What leaves the block.

        If it is interrupted before its first step, the exception refers to its arguments. Those do not refer to the
        generator, which ends, therefore, as soon as the block lets go of it.
        """
        leave = partial(
            _leave, cast("Callable[[], Generator[T, None, None]]", weakref.ref(self._generator))
        )  # we hold it
        leave.__dict__["generator"] = self._generator
        return leave


def _leave(
    reference: Callable[[], Generator[T, None, None]],
    kind: type[BaseException] | None,
    error: BaseException | None,
    traceback: TracebackType | None,
) -> bool:
    """Let a generator go on; return whether it took care of an error."""
    generator = reference()
    try:
        if error is not None:
            return _throw(generator, error)
        next(generator, None)
    except BaseException as raised:
        _throw(generator, raised)  # it has not gone on yet, unless the error is its own
        raise
    return False


def _throw(generator: Generator[T, None, None], error: BaseException) -> bool:
    """Raise an error in a generator; return whether it took care of it."""
    traceback = error.__traceback__
    try:
        generator.throw(error)
    except StopIteration as stop:
        return stop is not error
    except BaseException as raised:
        if raised is not error:
            raise
        error.__traceback__ = traceback
        return False
    raise RuntimeError("the generator of a block yielded twice")
