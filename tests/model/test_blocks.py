"""Interrupted wherever it may be, a block gives back what it holds, though the exception is kept."""

import sys

import pytest

from skybutler.model.blocks import block


@block
def holding(held):
    try:
        held.append("lock")
        yield "it"
    finally:
        held.clear()


def test_interrupted_at_any_step_nothing_is_held_while_the_exception_is_kept():
    kept = []
    for wanted in range(1, 100):
        held, count, done = [], 0, False

        def strike(frame, event, called, wanted=wanted):
            nonlocal count
            if event in ("call", "c_return"):
                count += 1
                if count == wanted:
                    raise KeyboardInterrupt

        try:
            sys.setprofile(strike)
            with holding(held) as given:
                assert given == "it"
            sys.setprofile(None)
            done = True
        except KeyboardInterrupt as error:
            sys.setprofile(None)
            kept.append(error)
        assert held == [], f"interrupted at step {wanted}"
        if done:
            break
    assert len(kept) > 5


def test_an_error_passes_a_block_and_is_seen_by_its_generator():
    held = []
    error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError) as raised, holding(held):
        raise error
    assert raised.value is error
    assert held == []


def test_a_generator_may_take_care_of_an_error_or_tell_it_as_another():
    @block
    def telling(as_what):
        try:
            yield
        except ValueError as error:
            if as_what is not None:
                raise as_what from error

    with telling(None):
        raise ValueError
    with pytest.raises(KeyError), telling(KeyError()):
        raise ValueError
