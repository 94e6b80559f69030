"""Making and opening repositories, for writing and for reading only."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from skybutler.butler.butler import Butler
from skybutler.model.dimensions import DimensionUniverse
from skybutler.model.errors import (
    ConfigError,
    ConflictingDefinitionError,
    ReadOnlyError,
    RepositoryNotFoundError,
    RepositoryVersionError,
)
from skybutler.registry import database
from skybutler.testing.small_repository import small_records

pytestmark = pytest.mark.sqlite


def tree(root: Path) -> dict[str, int]:
    """Every file and its time of change; what SQLite lays beside an open file left out."""
    return {str(p): p.stat().st_mtime_ns for p in root.rglob("*") if p.is_file() and ".sqlite3-" not in p.name}


def test_a_new_repository_is_a_folder_with_two_files_and_the_standard_types(tmp_path):
    with Butler.create(tmp_path / "a" / "b") as made:
        assert made.collections.list() == ["defaults", "user"]
        assert made.collections.info("defaults").children == ("user",)
        assert [t.name for t in made.dataset_types()] == [
            "bias", "calexp", "calexpBackground", "camera", "camera_description", "dark", "flat", "postISRCCD", "raw",
            "src",
        ]  # fmt: skip
    assert sorted(p.name for p in (tmp_path / "a" / "b").iterdir()) == ["registry.sqlite3", "skybutler.yaml"]


def test_a_repository_is_not_made_twice_and_the_first_is_unharmed(root):
    before = tree(root)
    with pytest.raises(ConflictingDefinitionError, match="is a repository already; open it"):
        Butler.create(root)
    (root / "skybutler.yaml").unlink()  # as if another process were still making it
    with pytest.raises(ConflictingDefinitionError, match="is being made there, or its making was cut off"):
        Butler.create(root)
    assert tree(root) == {name: time for name, time in before.items() if not name.endswith("skybutler.yaml")}
    with pytest.raises(ConflictingDefinitionError, match="is a file"):
        Butler.create(root / "registry.sqlite3")


def test_a_repository_that_cannot_be_made_leaves_no_file(tmp_path):
    own = DimensionUniverse({"version": 1, "common_pixels": "htm7", "elements": {"dataset": {"key": {"id": "int"}}}})
    with pytest.raises(ConflictingDefinitionError, match="cannot be called 'dataset'"):
        Butler.create(tmp_path / "repo", universe=own)
    with pytest.raises(ConfigError, match="'nonsense://x' cannot be used"):
        Butler.create(tmp_path / "repo", registry="nonsense://x")
    assert not (tmp_path / "repo").exists()
    Butler.create(tmp_path / "repo").close()


@pytest.mark.parametrize("registry", ["sub/folder/registry.db", "sqlite:///{tmp_path}/aside.db"])
def test_the_registry_may_lie_elsewhere(tmp_path, registry):
    with Butler.create(tmp_path / "repo", registry=registry.format(tmp_path=tmp_path)) as made:
        assert made.sql("PRAGMA foreign_key_list('dataset')")[1]
        assert made.registry.database.path.suffix == ".db"
        assert made.registry.database.path.exists()
    with Butler(tmp_path / "repo") as again:
        assert again.collections.list() == ["defaults", "user"]


def test_what_is_no_repository_says_so(tmp_path):
    with pytest.raises(RepositoryNotFoundError, match=r"it is a folder without skybutler\.yaml"):
        Butler(tmp_path)
    with pytest.raises(RepositoryNotFoundError, match="is not there"):
        Butler(tmp_path / "none")
    for text in ("", "- 1", "a: b", "version: [", "version: 1"):
        (tmp_path / "skybutler.yaml").write_text(text)
        with pytest.raises(RepositoryNotFoundError, match="does not say what a repository is"):
            Butler(tmp_path)
    (tmp_path / "skybutler.yaml").write_text("version: 2\nregistry: registry.sqlite3\n")
    with pytest.raises(RepositoryVersionError, match="is of version 2; this SkyButler reads version 1"):
        Butler(tmp_path)
    (tmp_path / "skybutler.yaml").write_text("version: 1\nregistry: registry.sqlite3\n")
    with pytest.raises(RepositoryNotFoundError, match=r"registry\.sqlite3', is not there"):
        Butler(tmp_path)


def test_a_repository_opens_by_its_folder_or_its_file(root):
    for place in (root, str(root), root / "skybutler.yaml"):
        with Butler(place) as opened:
            assert opened.root == root


def test_one_opened_for_reading_refuses_every_change_and_changes_nothing(butler):
    ref = butler.put("note", {"a": 1}, visit=1, detector=0)
    butler.close()
    before = tree(butler.root)
    with Butler(butler.root, writeable=False) as reader:
        for change in (
            lambda: reader.put("note", {}, visit=1, detector=1),
            lambda: reader.put("note", {}, visit=1, detector=1, run="fresh"),
            lambda: reader.ingest([]),
            lambda: reader.remove_datasets([ref]),
            lambda: reader.remove_run("user"),
            lambda: reader.collections.register("fresh"),
            lambda: reader.collections.prepend_chain("defaults", "user"),
            lambda: reader.collections.delete("defaults"),
            lambda: reader.insert_dimension_records("instrument", [{"name": "x"}]),
            lambda: reader.sync_dimension_records("instrument", {"name": "SmallCam"}),
            lambda: reader.register_dataset_type(reader.dataset_type("note").with_storage_class("List"), replace=True),
        ):
            with pytest.raises(ReadOnlyError, match="for reading only"):
                change()
        assert reader.get(ref) == {"a": 1}
        assert "read-only" in repr(reader)
        assert not reader.register_dataset_type(reader.dataset_type("note"))
        assert not reader.collections.register("user")
    assert tree(butler.root) == before


def test_one_in_a_folder_that_cannot_be_written_opens_for_reading(root, monkeypatch):
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and real(path, mode))
    before = set(root.iterdir())
    with Butler(root) as reader:
        assert not reader.registry.database.writeable
        assert reader.collections.list() == ["defaults", "user"]
        assert reader.sql("SELECT count(*) FROM visit") == (["count(*)"], [(4,)])
        assert set(root.iterdir()) == before  # SQLite made no file beside it


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes wherever it likes")
def test_one_in_a_folder_without_write_permission_opens_for_reading(root):
    root.chmod(0o555)
    try:
        with Butler(root) as reader, pytest.raises(ReadOnlyError):
            reader.put("note", {}, visit=1, detector=0)
    finally:
        root.chmod(0o755)


def test_a_copy_of_a_repository_is_a_repository(butler, tmp_path):
    butler.put("note", {"a": 1}, visit=1, detector=0)
    butler.close()
    shutil.copytree(butler.root, tmp_path / "copy")
    shutil.rmtree(butler.root)
    with Butler(tmp_path / "copy") as copied:
        assert copied.get("note", visit=1, detector=0) == {"a": 1}


def test_a_closed_butler_opens_again_when_used_and_sees_what_changed(butler):
    assert butler.collections.list() == ["defaults", "user"]
    butler.close()
    with Butler(butler.root) as other:
        other.collections.register("fresh")
    assert butler.collections.list() == ["defaults", "fresh", "user"]
    butler.close()
    butler.close()


def test_closing_leaves_only_the_database_file(butler):
    butler.put("note", {}, visit=1, detector=0)
    butler.close()
    assert sorted(p.name for p in butler.root.iterdir() if p.is_file()) == ["registry.sqlite3", "skybutler.yaml"]


def test_nothing_is_left_open_when_opening_fails(tmp_path):
    code = (
        "import gc, os, sys; from pathlib import Path; from skybutler.butler.butler import Butler\n"
        "from skybutler.model.errors import SkyButlerError\n"
        "root = Path(sys.argv[1]); Butler.create(root).close()\n"
        "(root / 'registry.sqlite3').write_bytes(b'x' * 5000)\n"
        "before = len(os.listdir('/proc/self/fd'))\n"
        "for writeable in (True, False):\n"
        "    try: Butler(root, writeable=writeable)\n"
        "    except SkyButlerError: pass\n"
        "print(len(os.listdir('/proc/self/fd')) - before)"
    )
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("no /proc to count open files in")
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", code, str(tmp_path / "repo")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"
    assert "ResourceWarning" not in done.stderr


def test_a_database_of_another_kind_of_path_is_one_file(tmp_path):
    assert database.Database(tmp_path / "a b#?%20.sqlite3").path == tmp_path / "a b#?%20.sqlite3"
    with Butler.create(tmp_path / "a b#?%20") as made:
        made.insert_dimension_records("instrument", small_records()["instrument"])
    with Butler(tmp_path / "a b#?%20") as again:
        assert again.sql("SELECT name FROM instrument")[1] == [("SmallCam",)]
