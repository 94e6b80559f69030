"""Commands that change collections, on a small repository."""

import json
import shutil
from pathlib import Path

import pytest

from skybutler.butler import Butler
from skybutler.testing.small_repository import fill_repository


@pytest.fixture(scope="module")
def shared_small(tmp_path_factory):
    """A repository with notes in the RUNs a and b, and a calibration in c."""
    root = tmp_path_factory.mktemp("small") / "repo"
    with Butler.create(root) as butler:
        fill_repository(butler)
        butler.register_dataset_type("note", ["visit", "detector"], "Dict")
        butler.register_dataset_type("table", ["detector"], "Dict", is_calibration=True)
        for run, visit in (("a", 1), ("a", 2), ("b", 1)):
            butler.put("note", {"run": run}, visit=visit, detector=0, run=run)
        butler.collections.register("calib", "CALIBRATION")
        for detector in (0, 1):
            butler.put("table", {}, detector=detector, run="c")
    return root


@pytest.fixture
def small(shared_small, tmp_path):
    return Path(shutil.copytree(shared_small, tmp_path / "repo"))


def info(root, name):
    with Butler(root) as butler:
        return butler.collections.info(name)


def test_a_chain_is_made_and_edited(skybutler, small):
    assert skybutler("chain", small, "best", "b", "a", "--doc", "The best.").out == "best searches b, a\n"
    assert info(small, "best").doc == "The best."
    assert skybutler("chain", small, "best", "a", "--mode", "prepend").out == "best searches a, b\n"
    assert skybutler("chain", small, "best", "[a-c]", "--mode", "extend").out == "best searches a, b, c\n"
    assert skybutler("chain", small, "best", "b", "--mode", "remove").out == "best searches a, c\n"
    assert skybutler("chain", small, "upper", "b", "best", "--flatten").out == "upper searches b, a, c\n"
    assert skybutler("chain", small, "best").out == "best searches nothing\n"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["chain", "defaults", "defaults"], 1, "'defaults' would come to hold itself: defaults → defaults"),
        (["chain", "a", "b"], 1, "'a' is RUN already, not CHAINED"),
        (["chain", "best", "bb"], 1, "no collection 'bb'"),
        (["chain", "best", "--mode", "extend"], 2, "--mode extend wants CHILDREN"),
        (["tag", "good", "note", "-w", "visit = 9"], 1, "nothing was tagged: no note was found"),
        (["tag", "a", "note", "-c", "b"], 1, "'a' is RUN already"),
        (["untag", "a", "note"], 1, "datasets are untagged in TAGGED collections"),
        (["remove-collections", "a"], 1, "RUNs own datasets, and are removed with --runs: a"),
        (["remove-collections", "nope*"], 1, "no collection matches nope*"),
        (["remove-collections", "user", "--runs", "--yes"], 1, "is held by defaults"),
        (["describe-collection", "aa"], 1, "no collection 'aa'"),
        (["decertify", "a", "table"], 1, "datasets are decertified in CALIBRATION collections"),
        (
            ["decertify", "calib", "table", "--begin", "soon"],
            2,
            "--begin 'soon' is no time; write it (UTC) like 2019-05",
        ),
        (["certify", "a", "calib", "table", "--end", "then"], 2, "--end 'then' is no time"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(skybutler, small, contents, words, code, message):
    before = contents(small)
    told = skybutler(words[0], small, *words[1:])
    assert told.code == code
    assert message in told.err
    assert contents(small) == before


def test_datasets_are_tagged_and_untagged(skybutler, small):
    told = skybutler("tag", small, "good", "note", "-c", "b", "-c", "a", "-w", "detector = 0")
    assert told.out == "tagged 2 datasets in good\n"
    with Butler(small, collections="good") as butler:
        assert [butler.get("note", visit=v, detector=0)["run"] for v in (1, 2)] == ["b", "a"]
    assert skybutler("untag", small, "good", "*", "-w", "visit = 1").out == "took 1 dataset out of good\n"
    assert skybutler("untag", small, "good", "*", "-w", "visit = 1").code == 1


def test_what_a_collection_is_for_is_said_and_shown(skybutler, small):
    assert skybutler("describe-collection", small, "a", "First try.").out == "First try.\n"
    assert skybutler("describe-collection", small, "a").out == "First try.\n"
    listed = json.loads(skybutler("collections", small, "a", "--format", "json").out)
    assert listed[0]["doc"] == "First try."


def test_collections_are_removed_by_globs_once_it_is_meant(skybutler, small):
    skybutler("chain", small, "old/chain", "a", "b")
    skybutler("chain", small, "old/upper", "old/chain")
    said = skybutler("remove-collections", small, "old/*")
    assert said.out == "would remove CHAINED old/chain\nwould remove CHAINED old/upper\n"
    assert "--yes does it" in said.err
    assert info(small, "old/chain").children == ("a", "b")
    assert skybutler("remove-collections", small, "old/*", "[ab]", "--runs", "--yes").code == 0
    with Butler(small) as butler:
        assert butler.collections.list() == ["c", "calib", "defaults", "user"]
    assert skybutler("trash", "empty", small, "--yes").code == 0
    assert not list(small.glob("[ab]/**/*.json"))


def test_a_run_in_a_chain_goes_with_unlink(skybutler, small):
    skybutler("chain", small, "defaults", "a", "--mode", "extend")
    assert "is held by defaults" in skybutler("remove-collections", small, "a", "--runs", "--yes").err
    assert skybutler("remove-collections", small, "a", "--runs", "--unlink", "--yes").code == 0
    assert info(small, "defaults").children == ("user",)


def test_validity_is_taken_back_for_a_time_and_a_data_id(skybutler, small):
    skybutler("certify", small, "c", "calib", "table")
    told = skybutler("decertify", small, "calib", "table", "--begin", "2025-01-01", "--id", "detector=1")
    assert told.out == "no table of 'calib' is valid for [2025-01-01T00:00:37, ∞) (TAI)\n"
    with Butler(small, collections="calib") as butler:
        assert butler.find_dataset("table", visit=1, detector=0) is not None
        assert butler.find_dataset("table", visit=1, detector=1) is None
