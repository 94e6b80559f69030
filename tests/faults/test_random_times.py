"""Three processes work on one repository at once, and are killed whenever it may be: what they had done is there."""

import os
import random
import select
import signal
import time
from pathlib import Path

import pytest

from skybutler.butler.butler import Butler
from skybutler.registry import database

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),  # Python 3.12 and later
]
PROCESSES, PIECES = 3, 12
OF_ALL = {"import", "remove and empty the trash"}
"""What is not one RUN's own business: an import begins with an export; the trash is everybody's."""


def work_until_killed(root: Path, given: list[tuple[str, str, Path]], work, telling: int) -> None:
    """Do one piece of work after the other, and tell of each that is done: a byte."""
    try:
        butler = Butler(root)
        for name, run, sources in given:
            for part in work(butler, run, sources).begin(name):
                part()
            os.write(telling, b".")
        signal.pause()
    finally:
        os._exit(1)


def test_killed_at_any_time_processes_leave_all_that_they_had_done(struck, scenarios, work, chosen, monkeypatch):
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 60.0)  # they wait for each other
    chance, rounds = chosen.chance, 4 * chosen.count
    names = sorted(set(scenarios) - OF_ALL)
    for turn in range(rounds):
        given, children, told = [], [], []
        for number in range(PROCESSES):
            pieces = [(chance.choice(names), f"turn{turn}/{number}/{piece}") for piece in range(PIECES)]
            given.append([(name, run, struck.give(name, run)) for name, run in pieces])
            reading, writing = os.pipe()
            child = os.fork()
            if child == 0:
                work_until_killed(struck.root, given[-1], work, writing)
            os.close(writing)
            children.append(child)
            told.append(reading)
        done = killed_while_telling(children, told, chance)
        with Butler(struck.root) as butler:
            for pieces, count in zip(given, done, strict=True):
                for piece, (name, run, _) in enumerate(pieces):
                    states = scenarios[name].states
                    if piece < count:
                        allowed = states[-1:]
                    elif piece == count:
                        allowed = [set(), *states]
                    else:
                        allowed = [set()]
                    struck.check(butler, name, run, allowed)
            butler.put("note", {}, visit=2, detector=0, run=f"after{turn}")
        assert all(map(struck.is_ours, struck.left()))
    struck.check_whole()


def killed_while_telling(children: list[int], told: list[int], chance: random.Random) -> list[int]:
    """Kill processes, each at a moment of its own; return how much work each had done."""
    begun = time.monotonic()
    ends = {child: begun + 0.05 + chance.random() * 0.6 for child in children}
    heard = dict.fromkeys(told, b"")
    for child, end in sorted(ends.items(), key=lambda of: of[1]):
        while (left := end - time.monotonic()) > 0:
            for reading in select.select(told, [], [], left)[0]:
                heard[reading] += os.read(reading, 1)
        os.kill(child, signal.SIGKILL)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1]), "a process ended by itself"
    for reading in told:
        while more := os.read(reading, 99):
            heard[reading] += more
        os.close(reading)
    return [len(heard[reading]) for reading in told]
