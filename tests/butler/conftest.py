"""What tests of many processes share, and tests of files that lie anywhere."""

import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from skybutler.butler.butler import Butler
from skybutler.model.datasets import DatasetType
from skybutler.testing.small_repository import fill_repository

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


def _fill(butler: Butler) -> None:
    fill_repository(butler)
    for name, kind in (("note", "Dict"), ("stars", "DataFrame"), ("picture", "Image"), ("words", "Text")):
        butler.register_dataset_type(DatasetType(name, ["visit", "detector"], kind))


@pytest.fixture(scope="session")
def fill() -> Callable[[Butler], None]:
    """Give a repository the tiny camera, and four dataset types: ``note``, ``stars``, ``picture``, ``words``."""
    return _fill


@pytest.fixture(scope="session")
def filled_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that is filled so, and keeps its files in its own folder."""
    root = tmp_path_factory.mktemp("template") / "repo"
    with Butler.create(root) as butler:
        _fill(butler)
    return root


@pytest.fixture
def stored_at(filled_template: Path) -> Callable[..., Butler]:
    """Open a copy of it whose files are elsewhere: quicker than to make one for each test."""

    def copy(root: Path, datastore=None, cache=None) -> Butler:
        shutil.copytree(filled_template, root)
        file = root / "skybutler.yaml"
        file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | {"datastore": datastore, "cache": cache}))
        return Butler(root)

    return copy
