"""Killed, interrupted or failed at any step, a repository is sound: what was said to be done is there, no more is."""

import errno
import os
from pathlib import Path

import pytest

import skybutler
from skybutler.testing.faults import Fail, Interrupt, Kill

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),  # Python 3.12 and later
]

ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EDQUOT, errno.EROFS)


def each(struck, scenario, make, chosen):
    """Let a fault strike at some steps of a scenario; give where it did, and what came of it.

    As many strikes as are asked for come upon a warm process, and half as many upon a cold one. Ctrl-C comes upon our
    own code there, and here upon any.
    """
    for warm, some in ((True, chosen.count), (False, chosen.count // 2)):
        if not some:
            continue
        steps = struck.strike(scenario, make(None, warm), warm=warm)[0].steps
        for step in chosen.steps(steps, some):
            where = f"{scenario!r}, {'warm' if warm else 'cold'}, struck at step {step} of {steps}"
            try:
                yield where, *struck.strike(scenario, make(step, warm), warm=warm)
            except (AssertionError, RuntimeError) as error:
                pytest.fail(f"{where}: {type(error).__name__}: {error}")


def test_a_writer_killed_at_any_step_leaves_what_was_done_and_at_most_orphans(struck, scenario, chosen):
    for where, outcome, left in each(struck, scenario, lambda step, warm: Kill(step), chosen):
        assert outcome.was_killed, where
        assert all(map(struck.is_ours, left)), where
    struck.check_whole()


def ctrl_c(step: int | None, warm: bool) -> Interrupt:
    return Interrupt(step, within=str(Path(skybutler.__file__).parent) if warm else "")


def test_ctrl_c_at_any_step_leaves_no_file_and_no_lock(struck, scenario, chosen):
    for where, outcome, left in each(struck, scenario, ctrl_c, chosen):
        assert isinstance(outcome.error, KeyboardInterrupt | None), (where, notes_of(outcome))
        assert left == set(), (where, notes_of(outcome))
    struck.check_whole()


def test_a_full_or_failing_disk_at_any_step_is_an_error_and_leaves_no_file(struck, scenario, chosen):
    for where, outcome, left in each(
        struck, scenario, lambda step, warm: Fail(step, ERRORS[(step or 0) % len(ERRORS)]), chosen
    ):
        assert outcome.error is None or is_told(outcome.error), (where, notes_of(outcome))
        assert left == set(), (where, notes_of(outcome))
    struck.check_whole()


def is_told(error: BaseException) -> bool:
    """Whether an error is the system's kind, and says what could not be done."""
    return isinstance(error, OSError) and "cannot be " in str(error)


def notes_of(outcome) -> str:
    return "\n".join(getattr(outcome.error, "__notes__", ()))
