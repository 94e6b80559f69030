"""What tests of many processes share."""

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

WORKER = """
import sys
from skybutler.butler.butler import Butler
from skybutler.model.errors import SkyButlerError
root, number = sys.argv[1], int(sys.argv[2])
butler = Butler(root)
print("ready", flush=True)
sys.stdin.readline()
{work}
butler.close()
"""


def _run_together(root: Path, work: str, count: int) -> list[str]:
    """Run a script in several new processes that begin their work at the same moment; return what each prints."""
    script = WORKER.format(work=textwrap.dedent(work))
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", script, str(root), str(number)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for number in range(count)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout.readline() == "ready\n", process.stderr.read()
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = []
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, "")
        outputs.append(out)
    return outputs


@pytest.fixture
def run_together() -> Callable[[Path, str, int], list[str]]:
    """Run a script, which finds ``butler`` and its ``number``, in several new processes at once."""
    return _run_together
