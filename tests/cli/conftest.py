"""A small repository of simulated frames, and the command line in this process."""

import shutil
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from skybutler.butler import Butler
from skybutler.butler.ingest import ingest_raws
from skybutler.cli.command_line_task import command_line_task
from skybutler.cli.main import main
from skybutler.tasks import run_pipeline
from skybutler.testing.sky_simulator import simulate


@dataclass
class Outcome:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture(scope="session")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw frames of two detectors: exposures 1001 bias, 1002 dark, 1003 flat, 1004 and 1005 science, in r."""
    folder = tmp_path_factory.mktemp("frames")
    simulate(folder, science=2, calibrations=1, bands=("r",), stars=30)
    return folder


@pytest.fixture(scope="session")
def shared_repository(frames: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The frames, and exposure 1004 through ISR in u/first; no test changes it."""
    root = tmp_path_factory.mktemp("shared") / "repo"
    with Butler.create(root) as butler:
        ingest_raws(butler, [frames], "simcam")
        run_pipeline(butler, "process#isr", output="u/first", where="exposure = 1004")
    return root


@pytest.fixture
def repository(shared_repository: Path, tmp_path: Path) -> Path:
    """A copy, for one test to do with as it likes."""
    return Path(shutil.copytree(shared_repository, tmp_path / "repo"))


@pytest.fixture
def skybutler(capfd: pytest.CaptureFixture[str]) -> Command:
    """Run a skybutler command in this process."""

    def run(*words: object) -> Outcome:
        with pytest.raises(SystemExit) as exit_:
            main([str(word) for word in words])
        return Outcome(int(exit_.value.code or 0), *capfd.readouterr())

    return run


@pytest.fixture
def run_isr(capfd: pytest.CaptureFixture[str]) -> Command:
    """Run runIsr.py in this process."""

    def run(*words: object) -> Outcome:
        with pytest.raises(SystemExit) as exit_:
            command_line_task("runIsr.py", "isr", "process", [str(word) for word in words])
        return Outcome(int(exit_.value.code or 0), *capfd.readouterr())

    return run


@pytest.fixture
def contents() -> Callable[[Path], object]:
    """All that a repository holds: rows of its registry, and its files by size and time."""

    def read(root: Path) -> object:
        if not root.is_dir():
            return root.exists()
        files = {
            str(path.relative_to(root)): (path.stat().st_size, path.stat().st_mtime_ns)
            for path in root.rglob("*")
            if path.is_file() and not path.name.startswith("registry.sqlite3")
        }
        if not (database := root / "registry.sqlite3").exists():
            return files
        connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
        try:
            return files, list(connection.iterdump())
        finally:
            connection.close()

    return read


@pytest.fixture(scope="session")
def program() -> list[str]:
    """The words that start skybutler in a process of its own."""
    return [sys.executable, "-m", "skybutler"]
