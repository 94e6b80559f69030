"""What goes wrong where files are kept: no network, no room, no permission, a writer that is killed."""
# ruff: noqa: PT012 - the block that raises is what the transaction must undo

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from skybutler.butler.butler import Butler
from skybutler.model.errors import (
    FileIntegrityError,
    ReadOnlyError,
    StoreUnavailableError,
)
from skybutler.testing.bad_network import cutting_proxy

HERE = {"visit": 1}


# When the network goes


def names(butler: Butler) -> set[str]:
    return {name for root in butler.datastore.roots for name in root.store.names() if name.startswith(("u", "o"))}


@pytest.fixture
def unsteady(bucket, tmp_path, stored_at):
    """A repository that reaches its bucket through a proxy which breaks connections off."""
    with cutting_proxy(bucket.port) as proxy:
        place = bucket.place(timeout=5, retries=1) | {"endpoint": proxy.url}
        with stored_at(tmp_path / "repo", place) as butler:
            yield butler, proxy


@pytest.mark.parametrize("after", [0, 500, 20_000])
def test_a_put_without_network_registers_nothing_and_can_be_done_again(unsteady, after, caplog):
    butler, proxy = unsteady
    kept = butler.put("words", "kept", HERE, detector=0)
    proxy.up = after
    with pytest.raises(StoreUnavailableError, match=r"s3://.*words_SmallCam_1_1-\w+.json|cannot be written"):
        butler.put("words", "x" * 50_000, HERE, detector=1)
    assert not butler.registry.datasets.existing([kept]) - {kept.id}
    assert butler.sql("SELECT count(*) FROM dataset")[1] == [(1,)]
    proxy.behave()
    assert len(names(butler)) == 1
    assert butler.get(kept) == "kept"
    again = butler.put("words", "x" * 50_000, HERE, detector=1)
    assert butler.get(again) == "x" * 50_000


@pytest.mark.parametrize("after", [0, 500, 20_000])
def test_a_get_without_network_is_a_clear_error_and_can_be_done_again(unsteady, after):
    butler, proxy = unsteady
    ref = butler.put("words", "x" * 50_000, HERE, detector=1)
    proxy.down = after
    with pytest.raises(StoreUnavailableError, match=r"s3://.* cannot be read: .*do it again"):
        butler.get(ref)
    proxy.behave()
    assert butler.get(ref) == "x" * 50_000


def test_the_reason_of_a_failure_is_told_though_its_files_cannot_be_removed(unsteady, caplog):
    butler, proxy = unsteady
    with caplog.at_level(logging.WARNING), pytest.raises(ZeroDivisionError), butler.transaction():
        ref = butler.put("words", "text", HERE, detector=1)
        proxy.up = 0
        raise ZeroDivisionError
    assert "may still lie there, though no dataset has them" in caplog.text
    proxy.behave()
    assert len(names(butler)) == 1
    assert not butler.exists(ref)
    again = butler.put("words", "again", HERE, detector=1)
    assert butler.get(again) == "again"


def test_datasets_are_removed_though_their_files_cannot_be(unsteady, caplog):
    butler, proxy = unsteady
    ref = butler.put("words", "text", HERE, detector=1)
    proxy.up = 0
    with caplog.at_level(logging.WARNING):
        butler.remove_datasets([ref], purge=True)
    assert "cannot be removed" in caplog.text
    assert butler.sql("SELECT count(*) FROM dataset")[1] == [(0,)]
    proxy.behave()
    assert len(names(butler)) == 1
    butler.trash.empty()
    assert names(butler) == set()


def test_a_changed_object_is_found_out_when_it_is_read(bucket, tmp_path, stored_at):
    with stored_at(tmp_path / "repo", bucket.place()) as butler:
        ref = butler.put("note", {"a": 1}, HERE, detector=0)
        store, name = butler.datastore.roots[0].store, butler.registry.datasets.files(ref.id)[0].path
        for changed, said in ((b'{"a": 2}', "has the checksum xxh3:"), (b'{"a"', "has 4 bytes, but 8")):
            store.remove(name)
            (tmp_path / "changed").write_bytes(changed)
            store.put(name, tmp_path / "changed")
            with pytest.raises(FileIntegrityError, match=said):
                butler.get(ref)


# A disk that is full, a folder that cannot be written to


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted: needs root, and permission to mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_a_clear_error_and_nothing_else_is_harmed(small_disk, tmp_path, stored_at):
    with stored_at(tmp_path / "repo", str(small_disk)) as butler:
        kept = butler.put("words", "x" * 100_000, HERE, detector=0)
        with pytest.raises(StoreUnavailableError, match=r"cannot be written: No space left .*make room"):
            butler.put("words", "y" * 300_000, HERE, detector=1)
        assert [p.name for p in small_disk.rglob("*") if p.is_file()] == [Path(butler.get_uri(kept)).name]
        assert butler.get(kept) == "x" * 100_000
        assert butler.sql("SELECT count(*) FROM dataset")[1] == [(1,)]
        butler.remove_datasets([kept], purge=True)
        assert butler.get(butler.put("words", "y" * 200_000, HERE, detector=1)) == "y" * 200_000


def test_a_folder_that_is_read_only_is_a_clear_error(small_disk, tmp_path, stored_at):
    with stored_at(tmp_path / "repo", str(small_disk)) as butler:
        kept = butler.put("words", "kept", HERE, detector=0)
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
        with pytest.raises(ReadOnlyError, match=r"cannot be written: Read-only file system"):
            butler.put("words", "new", HERE, detector=1)
        assert butler.get(kept) == "kept"


def test_a_full_cache_is_no_hindrance_to_reading(small_disk, bucket, tmp_path, caplog, stored_at):
    with stored_at(tmp_path / "repo", bucket.place()) as butler:
        ref = butler.put("words", "y" * 300_000, HERE, detector=1)
    said = yaml.safe_load((tmp_path / "repo" / "skybutler.yaml").read_text())
    (tmp_path / "repo" / "skybutler.yaml").write_text(yaml.safe_dump(said | {"cache": {"folder": str(small_disk)}}))
    with Butler(tmp_path / "repo") as butler, caplog.at_level(logging.WARNING):
        assert butler.get(ref) == "y" * 300_000
        assert butler.get(butler.put("words", "z" * 300_000, HERE, detector=2)) == "z" * 300_000
    assert "no copy is kept in" in caplog.text
    assert not [p for p in small_disk.rglob("*") if p.is_file() and p.parent.name != "locks"]


# A writer that is killed


def test_a_writer_to_a_bucket_that_is_killed_leaves_orphans_at_most(bucket, tmp_path, stored_at):
    stored_at(tmp_path / "repo", bucket.place(), cache="copies").close()
    work = (
        "import sys\n"
        "from skybutler import Butler\n"
        "butler = Butler(sys.argv[1], run=sys.argv[2])\n"
        "for visit in (1, 2, 3, 4):\n"
        "    for detector in (0, 1, 2):\n"
        "        butler.put('words', f'{visit} {detector} ' * 5000, visit=visit, detector=detector)\n"
        "        print('put', flush=True)\n"
    )
    for attempt in range(4):
        command = [sys.executable, "-c", work, str(tmp_path / "repo"), f"u/{attempt}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for _ in range(attempt * 2 + 1):
                assert process.stdout.readline() == "put\n"
            process.kill()
    with Butler(tmp_path / "repo") as butler:
        found = 0
        for ref in [ref for n in range(4) for ref in butler.query_datasets("words", collections=f"u/{n}")]:
            visit, detector = ref.data_id["visit"], ref.data_id["detector"]
            assert butler.get(ref) == f"{visit} {detector} " * 5000
            (file,) = butler.registry.datasets.files(ref.id)
            butler.datastore.verify(file)
            found += 1
        assert found >= 1 + 3 + 5 + 7
        assert len(names(butler)) - found in range(5)
