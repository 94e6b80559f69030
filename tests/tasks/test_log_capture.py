"""Catching what a quantum logs."""

import logging
import warnings

import pytest

from skybutler.tasks.log_capture import captured_log, exception_entry


def test_entries_have_time_level_name_and_message():
    with captured_log() as log:
        logging.getLogger("skybutler.isr").info("%d pixels", 3)
        logging.getLogger("skybutler.isr").debug("not kept")
        logging.getLogger("elsewhere").warning("not ours")
    assert [(entry["level"], entry["name"], entry["message"]) for entry in log] == [
        ("INFO", "skybutler.isr", "3 pixels")
    ]
    assert log[0]["time"].endswith("Z")


def test_tracebacks_are_kept():
    with captured_log() as log:
        try:
            raise ValueError("bad")
        except ValueError as error:
            logging.getLogger("skybutler.isr").exception("failed")
            log.append(exception_entry(error, "skybutler.isr"))
    assert all("ValueError: bad" in entry["exception"] for entry in log)


def test_what_was_silent_stays_silent_and_what_was_heard_is_heard(caplog):
    with captured_log():
        logging.getLogger("skybutler.isr").info("quiet")
        logging.getLogger("skybutler.isr").warning("loud")
    assert caplog.messages == ["loud"]
    assert logging.getLogger("skybutler").handlers == []
    assert logging.getLogger("skybutler").propagate


def test_warnings_are_kept_and_shown():
    with pytest.warns(RuntimeWarning, match="divide"), captured_log() as log:
        warnings.warn("divide by zero", RuntimeWarning, stacklevel=1)
    assert log[0]["name"] == "py.warnings"
    assert "RuntimeWarning: divide by zero" in log[0]["message"]
