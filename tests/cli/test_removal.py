"""Commands that remove, restore, measure and verify, on a small repository."""

import json
import shutil

import pytest

from skybutler.butler import Butler
from skybutler.cli.output import readable_size
from skybutler.testing.small_repository import fill_repository


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Six notes in u/a."""
    root = tmp_path_factory.mktemp("removal") / "repo"
    with Butler.create(root) as butler:
        fill_repository(butler)
        butler.register_dataset_type("note", ["visit", "detector"], "Dict")
        for visit in (1, 2):
            for detector in range(3):
                butler.put("note", {"d": detector}, visit=visit, detector=detector, run="u/a")
    return root


@pytest.fixture
def repo(made, tmp_path):
    """A copy, for one test."""
    return shutil.copytree(made, tmp_path / "repo")


def test_datasets_are_removed_listed_and_restored(repo, skybutler):
    done = skybutler("remove", repo, "note", "-c", "u/a", "-w", "visit = 1", "--yes")
    assert (done.code, done.err) == (0, "")
    assert done.out == "3 datasets, 24 B\nmoved 3 datasets to the trash\n"
    listed = json.loads(skybutler("trash", "list", repo, "no*", "--format", "json").out)
    assert [row["data ID"][-18:] for row in listed] == [f"visit=1 detector={d}"[-18:] for d in range(3)]
    assert skybutler("trash", "list", repo, "--run", "u/b").out.endswith("0 rows\n")
    one = skybutler("trash", "restore", repo, listed[0]["id"])
    assert (one.code, one.out) == (0, "restored 1 dataset\n")
    done = skybutler("trash", "restore", repo, "--run", "u/*")
    assert (done.code, done.out) == (0, "restored 2 datasets\n")
    assert skybutler("query-datasets", repo, "note", "-c", "u/a").out.endswith("6 rows\n")


def test_what_is_in_the_way_is_told_and_may_be_skipped(repo, skybutler):
    skybutler("remove", repo, "note", "-c", "u/a", "-w", "visit = 1", "--yes")
    with Butler(repo) as butler:
        butler.put("note", {}, visit=1, detector=0, run="u/a")
    refused = skybutler("trash", "restore", repo, "--type", "note")
    assert refused.code == 1
    assert "nothing is restored: note" in refused.err
    done = skybutler("trash", "restore", repo, "--type", "note", "--skip-conflicts")
    assert (done.code, done.out) == (1, "restored 2 datasets\n")
    assert done.err.startswith("not restored: note")


def test_whole_runs_are_removed_for_good(repo, skybutler):
    skybutler("chain", repo, "defaults", "u/a")
    held = skybutler("remove", repo, "--run", "u/*", "--purge", "--yes")
    assert held.code == 1
    assert "held by defaults; --unlink" in held.err
    chain = skybutler("remove", repo, "--run", "defaults")
    assert (chain.code, chain.out) == (1, "")
    assert "'defaults' is CHAINED, no RUN: it searches the RUNs u/a, which --run takes" in chain.err
    assert "remove-collections" in chain.err
    done = skybutler("remove", repo, "--run", "u/*", "--purge", "--yes", "--unlink")
    assert done.out == "RUNs u/a: 6 datasets, 48 B\nremoved 6 datasets\n"
    assert not list(repo.rglob("*.json"))
    assert "u/a" not in skybutler("collections", repo).out


def test_nothing_is_removed_unless_one_says_yes(repo, skybutler, contents, monkeypatch):
    before = contents(repo)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: "n")
    for words in (["remove", repo, "note", "-c", "u/a"], ["remove", repo, "--run", "u/a"]):
        done = skybutler(*words)
        assert (done.code, done.err) == (1, "Error: nothing was done.\n")
    assert contents(repo)[0] == before[0]
    for words in (
        ["remove", repo],
        ["remove", repo, "note", "--run", "u/a"],
        ["remove", repo, "--run", "u/a", "-w", "x"],
        ["trash", "restore", repo],
        ["trash", "empty", repo, "--older-than", "soon"],
        ["fsck", repo, "--forget-missing"],
    ):
        assert skybutler(*words).code == 2
    nothing = skybutler("remove", repo, "note", "-c", "u/a", "-w", "visit = 4", "--yes")
    assert (nothing.code, nothing.err) == (1, "nothing to remove: no note was found\n")


def test_a_restoration_of_nothing_says_what_there_is(repo, skybutler):
    nothing = skybutler("trash", "restore", repo, "--run", "nope")
    assert (nothing.code, nothing.out) == (1, "")
    assert "the trash holds nothing of RUN 'nope'; there is nothing at all." in nothing.err
    skybutler("remove", repo, "note", "-c", "u/a", "--yes")
    assert "there is note of 'u/a'." in skybutler("trash", "restore", repo, "--type", "nope").err


def test_where_nobody_can_be_asked_it_is_said_what_does_without(repo, skybutler, monkeypatch):
    def ended(_: str) -> str:
        raise EOFError

    monkeypatch.setattr("click.termui.visible_prompt_func", ended)
    skybutler("remove", repo, "note", "-c", "u/a", "-w", "visit = 1", "--yes")
    for words in (["remove", repo, "note", "-c", "u/a"], ["trash", "empty", repo]):
        done = skybutler(*words)
        assert (done.code, "pass --yes to do it without asking" in done.err) == (2, True)
    assert len(list(repo.rglob("*.json"))) == 6


def test_the_trash_is_emptied(repo, skybutler):
    skybutler("remove", repo, "note", "-c", "u/a", "-w", "visit = 1", "--yes")
    assert skybutler("trash", "empty", repo, "--older-than", "1 hour", "--yes").out == "removed 0 datasets for good\n"
    assert skybutler("trash", "empty", repo, "--yes").out == "removed 3 datasets for good\n"
    assert len(list(repo.rglob("*.json"))) == 3


def test_room_is_told(repo, skybutler):
    skybutler("remove", repo, "note", "-c", "u/a", "-w", "visit = 1 AND detector = 0", "--yes")
    out = skybutler("du", repo).out
    assert "u/a         5      5  40 B" in out
    assert out.endswith("in the whole repository 40 B, and 8 B in the trash (1 dataset)\n")
    rows = json.loads(skybutler("du", repo, "u/*", "--by", "collection", "--format", "json").out)
    assert rows == [{"collection": "u/a", "datasets": 5, "files": 5, "bytes": 40}]
    some = skybutler("du", repo, "u/*", "--by", "collection").out
    assert "a dataset in several collections counts in each of them\nin the whole repository 40 B" in some
    none = skybutler("du", repo, "zz*")
    assert none.err == "nothing found: no run with datasets is called 'zz*'\n"
    sizes = [readable_size(n) for n in (999, 1000, 999_600, 1_234_567, 10**12)]
    assert sizes == [
        "999 B",
        "1 kB",
        "1 MB",
        "1.23 MB",
        "1 TB",
    ]


def test_fsck_exits_with_0_only_when_all_is_sound(repo, skybutler):
    assert skybutler("fsck", repo, "--checksums").out == "6 datasets, 6 files, 6 of them read, 48 B\nAll is sound.\n"
    gone, *_ = repo.rglob("*.json")
    gone.unlink()
    orphan = gone.with_name("note_SmallCam_4_4-0123456789ab.json")
    orphan.write_text("{}")
    (repo / "mine.txt").write_text("mine")
    found = skybutler("fsck", repo)
    assert found.code == 1
    assert f"missing: file://{gone} is gone" in found.out
    assert "perhaps being written just now" in found.out
    assert "not ours, left alone" in found.out
    assert found.out.endswith("1 fault left.\n")
    found = skybutler("fsck", repo, "--repair", "--older-than", "0", "--json")
    report = json.loads(found.out)
    assert (found.code, report["sound"]) == (1, False)
    assert sorted((one["kind"], one["done"]) for one in report["findings"]) == [("missing", ""), ("orphan", "removed")]
    found = skybutler("fsck", repo, "--repair", "--forget-missing")
    assert found.code == 0
    assert "moved to the trash" in found.out
    assert skybutler("fsck", repo, "--checksums").code == 0
    assert not orphan.exists()
    assert (repo / "mine.txt").exists()
