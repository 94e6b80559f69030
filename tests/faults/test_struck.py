"""Killed, interrupted or failed at any step, a repository is sound: what was said to be done is there, no more is."""

import errno
import os

import pytest

from skybutler.testing.faults import Fail, Interrupt, Kill

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),  # Python 3.12 and later
]

ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES)


def each(struck, scenario, make, chosen, some):
    """Let a fault strike at some steps of a scenario; give what came of each."""
    steps = struck.steps(scenario, make(None))
    assert steps > some
    for step in chosen(steps, some):
        try:
            yield step, *struck.strike(scenario, make(step))
        except (AssertionError, RuntimeError) as error:
            pytest.fail(f"{scenario!r}, struck at step {step} of {steps}: {type(error).__name__}: {error}")


def test_a_writer_killed_at_any_step_leaves_what_was_done_and_at_most_orphans(struck, scenario, chosen):
    for step, outcome, left in each(struck, scenario, Kill, chosen, 1):
        assert outcome.was_killed, step
        assert all(map(struck.is_ours, left)), step
    struck.check_whole()


def test_ctrl_c_at_any_step_leaves_no_file_and_no_lock(struck, scenario, chosen):
    for step, outcome, left in each(struck, scenario, Interrupt, chosen, 1):
        assert isinstance(outcome.error, KeyboardInterrupt | None), (step, "\n".join(outcome.error.__notes__))
        assert left == set(), step
    struck.check_whole()


def test_a_full_or_failing_disk_at_any_step_is_an_error_and_leaves_no_file(struck, scenario, chosen):
    for step, outcome, left in each(
        struck, scenario, lambda step: Fail(step, ERRORS[(step or 0) % len(ERRORS)]), chosen, 1
    ):
        assert outcome.error is None or isinstance(outcome.error, OSError), (step, "\n".join(outcome.error.__notes__))
        assert left == set(), step
    struck.check_whole()
