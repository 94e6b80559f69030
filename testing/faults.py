"""Work in a child process that is killed, interrupted or failed at a step of one's choice, to see what is left.

`run_to` forks, does some work in the child with Python's profiler watching, and strikes at the n-th step. Nothing of
what is tested knows of it. Steps differ with what strikes:

* `Kill` (SIGKILL) comes before and after each call that changes a file or a folder or speaks to the database. Writes
  are short ones, half of what is asked for, so that files are cut off in their midst, too.
* `Fail` makes such a call raise what the system would (no space, an I/O error, a forbidden folder) instead.
* `Interrupt` (Ctrl-C) comes wherever Python looks for signals: when a function begins or a generator goes on, and when
  a call of a function in C has returned, its result not yet kept. What was done is done then, and nobody was told.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import signal
import sqlite3
import sys
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

__all__ = ["Fail", "Fault", "Interrupt", "Kill", "Outcome", "run_to"]

_CHANGES = frozenset(
    {"open", "write", "close", "fsync", "link", "rename", "replace", "unlink", "remove", "mkdir", "rmdir", "symlink"}
)
_PATIENCE = 180  # seconds until a child that hangs tells where, and is ended
_IN_CHILD = 70  # exit code of a child whose work raised


@dataclass
class Fault:
    """What strikes, and when; with no step it only counts them."""

    step: int | None = None
    """The first step is number 1."""
    count: int = field(default=0, init=False)
    """How many steps have been made."""

    def __call__(self, frame: Any, event: str, called: Any) -> None:
        """Take part as Python's profiler."""
        if self.is_step(frame, event, called):
            self.count += 1
            if self.count == self.step:
                self.strike(called)

    def is_step(self, frame: Any, event: str, called: Any) -> bool:
        """Whether something that the profiler tells is a step."""
        if event in ("c_call", "c_return"):
            return _changes_something(called)
        return event in ("call", "return") and _asks_server(frame)

    def strike(self, called: Any) -> None:
        """Do harm."""
        raise NotImplementedError


class Kill(Fault):
    """The process is gone, as by SIGKILL of the system or of a batch queue."""

    def strike(self, called: Any) -> None:
        """Kill this process."""
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class Fail(Fault):
    """A call fails, once, as the system would have it fail."""

    error: int = 0
    """The errno of a file's or a folder's; a database says that it cannot go on."""

    def is_step(self, frame: Any, event: str, called: Any) -> bool:
        """Whether something that can fail is about to be done; what tidies up after a failure is not failed, too."""
        if event == "c_call":
            return _changes_something(called) and called.__name__ not in ("close", "unlink", "rmdir", "rollback")
        # In a pipeline a server's failure is an answer, never an exception: nobody would read what is still to come.
        return event == "call" and _asks_server(frame) and not frame.f_locals["self"].pgconn.pipeline_status

    def strike(self, called: Any) -> None:
        """Raise what the system or the database would."""
        if getattr(called, "__module__", None) in ("posix", "nt"):
            raise OSError(self.error, os.strerror(self.error))
        if called is None:
            import psycopg

            raise psycopg.OperationalError("could not extend the file: no space left on device")
        raise sqlite3.OperationalError("database or disk is full")


@dataclass
class Interrupt(Fault):
    """Ctrl-C."""

    within: str = ""
    """The folder of the code that it comes upon; any code where left out."""

    def is_step(self, frame: Any, event: str, called: Any) -> bool:
        """Whether Python would look for signals now."""
        return event in ("call", "c_return") and frame.f_code.co_filename.startswith(self.within)

    def strike(self, called: Any) -> None:
        """Raise what Python's own handler raises."""
        raise KeyboardInterrupt


def _changes_something(called: Any) -> bool:
    name: str = called.__name__
    if called.__module__ in ("posix", "nt"):
        return name in _CHANGES
    if isinstance(getattr(called, "__self__", None), sqlite3.Connection | sqlite3.Cursor):
        return name in ("execute", "executemany", "commit", "rollback")
    return False


def _asks_server(frame: Any) -> bool:
    """Whether a function sends something to a PostgreSQL server and waits for its answer."""
    return frame.f_code.co_name == "wait" and hasattr(frame.f_locals.get("self"), "pgconn")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of some work."""

    done: int
    """How many of its parts were done, and known to be, when it ended."""
    error: BaseException | None
    """What it raised."""
    was_killed: bool
    """Whether it came to its end by SIGKILL."""
    steps: int
    """How many steps there were; 0 of what was killed."""


def run_to(fault: Fault, work: Callable[[], tuple[Callable[[], object], ...]]) -> Outcome:
    """Do some work in a forked process, and let a fault strike it.

    Parameters
    ----------
    fault
        What strikes.
    work
        Prepares the work, not struck yet, and returns its parts, which are done in order; the last one is done in any
        case, after a failure, too, with nothing to strike any more.

    Raises
    ------
    RuntimeError
        If the child came to another end than all that a fault may bring about.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _be_child(fault, work, writing)
    os.close(writing)
    with open(reading, "rb") as stream:  # noqa: PTH123 - a file descriptor
        said = stream.read()
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return Outcome(said.count(b"+"), None, True, 0)
    done, _, rest = said.partition(b"\n")
    if not rest or os.waitstatus_to_exitcode(status):
        raise RuntimeError(f"the child ended with {os.waitstatus_to_exitcode(status)}: {rest.decode(errors='replace')}")
    error, steps = pickle.loads(rest)  # noqa: S301 - of our own child
    return Outcome(done.count(b"+"), error, False, steps)


def _be_child(fault: Fault, work: Callable[[], tuple[Callable[[], object], ...]], writing: int) -> NoReturn:
    """Do the work and tell of it; never return to what the parent was doing."""
    code = _IN_CHILD
    write = os.write
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        faulthandler.dump_traceback_later(_PATIENCE, exit=True, file=writing)
        warnings.simplefilter("default")  # the harm that is done is not to be taken for what a warning says of it
        *parts, afterwards = work()
        error = _do_parts(fault, parts, writing)
        afterwards()
        write(writing, b"\n" + pickle.dumps((error, fault.count)))
        code = 0
    except BaseException:  # noqa: BLE001 - whatever it is, the parent is to hear of it
        write(writing, b"\n" + traceback.format_exc().encode())
    finally:
        os._exit(code)


def _do_parts(fault: Fault, parts: list[Callable[[], object]], writing: int) -> BaseException | None:
    """Do the parts of the work as long as nothing is raised; return what is."""
    write = os.write

    def write_half(descriptor: int, data: Any) -> int:
        return write(descriptor, data[: (len(data) + 1) // 2])

    os.write = write_half
    try:
        for part in parts:
            sys.setprofile(fault)
            try:
                part()
            finally:
                sys.setprofile(None)
            write(writing, b"+")
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - told to the parent
        sys.last_value = error  # as a notebook keeps it, and by its traceback all that was at work
        return _told(error)
    finally:
        os.write = write
    return None


def _told(error: BaseException) -> BaseException:
    """Return an error as it can be sent, noting where it came from; as text where it cannot be pickled."""
    error.add_note("".join(traceback.format_exception(error)))
    try:
        return pickle.loads(pickle.dumps(error))  # type: ignore[no-any-return]  # noqa: S301
    except Exception:  # noqa: BLE001 - some take arguments of their own
        return RuntimeError(f"{type(error).__name__}: {error}")
