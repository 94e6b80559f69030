"""A file system that is full, or may not be written to: a clear error, nothing half done, and it goes on later."""

import contextlib
import errno
import os
import shutil
import subprocess
import traceback
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from skybutler.butler.butler import Butler
from skybutler.butler.repository import remove_folder, temporary_folder
from skybutler.model.datasets import DatasetRef, FileDataset
from skybutler.model.errors import ReadOnlyError, SkyButlerError, StoreUnavailableError

pytestmark = pytest.mark.sqlite
FULL = 3 << 20
"""Bytes of the file system: some for the repository itself, the rest to be filled."""
NOBODY = 65534


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of 3 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={FULL}", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted: needs root, and permission to mount")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def on_small_disk(small_disk, struck_template) -> Path:
    """A repository on it, database and all."""
    return Path(shutil.copytree(struck_template, small_disk / "repo"))


def fill(folder: Path, room: int) -> Path:
    """Take up all of a file system but for some room."""
    ballast = folder / "ballast"
    with ballast.open("wb") as stream, contextlib.suppress(OSError):
        free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
        os.posix_fallocate(stream.fileno(), 0, max(free - room, 1))
    return ballast


# Whatever room is left, work is done whole or not at all


@pytest.mark.parametrize(
    "name", ["put of a table and an image", "ingest by copy", "transaction", "import", "remove for good"]
)
def test_work_on_a_full_disk_is_done_or_refused_with_a_reason(
    on_small_disk, tmp_path, name, scenarios, work, struck_at
):
    """The room that is left is doubled until it is enough."""
    struck = struck_at(on_small_disk, tmp_path / "sources")
    refused = 0
    for room in (0, *(4096 << n for n in range(10))):
        run = f"run{room}"
        sources = struck.give(name, run)
        shutil.rmtree(on_small_disk / "given")
        with Butler(on_small_disk) as butler:
            parts = work(butler, run, sources).begin(name)
            ballast, done = fill(on_small_disk.parent, room), 0
            try:
                for part in parts:
                    part()
                    done += 1
            except OSError as error:
                check_says_what_helps(error)
                refused += 1
            ballast.unlink()
            struck.check(butler, name, run, scenarios[name].states[done : done + 1])
            assert struck.left() == set()
        if done == len(parts):
            break
    assert done == len(parts)
    assert refused
    struck.check_whole()


def check_says_what_helps(error: OSError) -> None:
    """An error is one of ours that says what could not be written, why, and what to do."""
    said = "".join(traceback.format_exception(error))
    assert isinstance(error, SkyButlerError), said
    assert "No space left" in str(error) or "is full" in str(error), said
    assert "make room" in str(error), said


def test_a_quota_that_is_used_up_is_told_like_a_full_disk(tmp_path, struck_template, monkeypatch):
    with Butler(shutil.copytree(struck_template, tmp_path / "repo")) as butler:

        def over(*_: object) -> int:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

        with monkeypatch.context() as patched:
            patched.setattr(os, "write", over)
            with pytest.raises(
                StoreUnavailableError, match=r"note_SmallCam_1_0-\w+\S* cannot be written: .*uota.*make room"
            ):
                butler.put("note", {"a": 1}, visit=1, detector=0)
        assert butler.verify(older_than=timedelta(0)).findings == []
        assert butler.get(butler.put("note", {"a": 1}, visit=1, detector=0)) == {"a": 1}


# What may not be written to


def refusals(butler: Butler, sources: Path) -> list[Callable[[], object]]:
    """What cannot be done where nothing may be written."""
    ref = butler.find_dataset("note", visit=1, detector=0, collections="kept")
    again = DatasetRef(ref.dataset_type, {"instrument": "SmallCam", "visit": 1, "detector": 1}, "kept")

    def together() -> None:
        with butler.transaction():
            butler.put("note", {}, visit=1, detector=1, run="kept")

    return [
        partial(butler.put, "note", {}, visit=1, detector=1, run="kept"),
        partial(butler.put, "note", {}, visit=1, detector=1, run="new"),
        partial(butler.ingest, [FileDataset(sources / "0.json", [again])], "copy"),
        partial(butler.ingest, [FileDataset(sources / "0.json", [again])], "move"),
        together,
        partial(butler.remove_datasets, [ref]),
        partial(butler.remove_datasets, [ref], purge=True),
        partial(butler.remove_run, "kept"),
    ]


def check_refused(butler: Butler, sources: Path) -> None:
    for refused in refusals(butler, sources):
        with pytest.raises(ReadOnlyError):
            refused()
    assert butler.get("note", visit=1, detector=0, collections="kept") == {"kept": 1}
    assert [ref.data_id["detector"] for ref in butler.query_datasets("note", "kept")] == [0]
    assert (sources / "0.json").exists()


def test_a_file_system_that_is_read_only_is_told_and_read(on_small_disk, small_disk, tmp_path):
    sources = given(tmp_path)
    with Butler(on_small_disk) as butler:
        butler.put("note", {"kept": 1}, visit=1, detector=0, run="kept")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with Butler(on_small_disk) as butler:
        check_refused(butler, sources)
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    with Butler(on_small_disk) as butler:
        butler.put("note", {}, visit=1, detector=1, run="kept")
        assert butler.verify(older_than=timedelta(0)).findings == []


def given(folder: Path) -> Path:
    (folder / "0.json").write_text("{}")
    return folder


@pytest.mark.skipif(not hasattr(os, "fork") or os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("what", ["all of it", "its files"])
def test_who_may_not_write_is_told_so_and_reads(struck_template, what):
    """The repository is root's, or its registry is everyone's and only the folder of its files is root's."""
    folder = temporary_folder()
    folder.chmod(0o755)
    root = Path(shutil.copytree(struck_template, folder / "repo"))
    sources = given(folder)
    with Butler(root) as butler:
        butler.put("note", {"kept": 1}, visit=1, detector=0, run="kept")
    if what == "its files":
        for path in (root, *root.glob("registry*")):
            os.chown(path, NOBODY, NOBODY)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            with Butler(root) as butler:
                if what == "all of it":
                    check_refused(butler, sources)
                else:
                    with pytest.raises(ReadOnlyError, match=r"cannot be written: Permission denied.*owner can allow"):
                        butler.put("note", {}, visit=1, detector=1, run="kept")
                    assert butler.query_datasets("note", "kept").count() == 1
                    butler.put("note", {}, visit=1, detector=1, run="a folder of its own")
            code = 0
        except BaseException:  # noqa: BLE001 - whatever it is, the parent is to hear of it
            traceback.print_exc()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with Butler(root) as butler:
        assert butler.verify(older_than=timedelta(0)).findings == []
    remove_folder(folder)
