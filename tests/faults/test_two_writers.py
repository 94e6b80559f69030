"""Two processes put the same dataset at the same moment: one wins, the other is told so and leaves nothing."""

import os
from pathlib import Path

import pytest

from skybutler.butler.butler import Butler
from skybutler.model.errors import DatasetExistsError

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),  # Python 3.12 and later
]
ROUNDS = 15


def write(root: Path, number: int, ready: int, go: int, won: int) -> None:
    """Put a dataset a round, when told to, and tell which were one's own."""
    code = 1
    try:
        butler = Butler(root)
        for turn in range(ROUNDS):
            os.write(ready, b".")
            os.read(go, 1)
            try:
                butler.put("note", {"turn": turn, "by": number}, visit=1, detector=0, run=f"turn{turn}")
                os.write(won, bytes([turn, number]))
            except DatasetExistsError:
                pass
        code = 0
    finally:
        os._exit(code)


def test_of_two_who_put_the_same_dataset_one_wins_and_the_other_leaves_nothing(root):
    ready, go, won = os.pipe(), [os.pipe(), os.pipe()], os.pipe()
    children = []
    for number in range(2):
        child = os.fork()
        if child == 0:
            write(root, number, ready[1], go[number][0], won[1])
        children.append(child)
    for _ in range(ROUNDS):
        waiting = 2
        while waiting:
            waiting -= len(os.read(ready[0], waiting))
        for _, start in go:
            os.write(start, b"!")
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    told = os.read(won[0], 4 * ROUNDS)
    winners = dict(zip(told[::2], told[1::2], strict=True))
    assert len(told) == 2 * ROUNDS
    assert sorted(winners) == list(range(ROUNDS))
    with Butler(root) as butler:
        for turn, number in winners.items():
            found = butler.get("note", visit=1, detector=0, collections=f"turn{turn}")
            assert found == {"turn": turn, "by": number}
        files = {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file() and "turn" in str(p)}
        assert files == {row[0] for row in butler.sql("SELECT path FROM stored_file")[1]}
    for descriptor in (*ready, *won, *go[0], *go[1]):
        os.close(descriptor)
