"""`skybutler certify` and `migrate`, and runs that search what was certified."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from skybutler.butler import Butler
from skybutler.registry.schema import SCHEMA_VERSION
from skybutler.tasks import run_pipeline


@pytest.fixture(scope="module")
def shared_calibrated(shared_repository, tmp_path_factory):
    """A repository with master frames in the chain ``made``, which is not searched by default."""
    root = Path(shutil.copytree(shared_repository, tmp_path_factory.mktemp("calibrated") / "repo"))
    with Butler(root) as butler:
        run_pipeline(butler, "calibration_frames", output="made", extend_defaults=False)
    return root


@pytest.fixture
def calibrated(shared_calibrated, tmp_path):
    """A copy of that, for one test."""
    return Path(shutil.copytree(shared_calibrated, tmp_path / "repo"))


def test_what_a_pipeline_made_is_certified_and_found_by_the_time_of_a_frame(skybutler, calibrated):
    told = skybutler("certify", calibrated, "made", "calib", "bias", "dark", "flat", "--begin", "2000-01-01")
    assert (told.code, told.err) == (0, "")
    assert told.out == "2 bias, 2 dark, 2 flat certified in 'calib' for [2000-01-01T00:00:32, ∞) (TAI)\n"
    with Butler(calibrated) as butler:
        bias = butler.find_dataset("bias", exposure=1005, detector=0, collections="calib")
        assert bias == butler.find_dataset("bias", detector=0, collections="made")
        run_pipeline(butler, "process#isr", output="u/second", inputs=["calib", "defaults"], where="exposure = 1005")
        read = butler.sql(
            "SELECT DISTINCT dataset_type.name FROM quantum_dataset q JOIN quantum n ON n.id = q.quantum_id "
            "JOIN collection ON collection.id = n.run_id JOIN dataset ON dataset.id = q.dataset_id "
            "JOIN dataset_type ON dataset_type.id = dataset.dataset_type_id "
            "WHERE collection.name LIKE 'u/second%' AND NOT q.is_output"
        )[1]
    assert {"bias", "dark", "flat", "raw"} <= {name for (name,) in read}


def test_what_was_not_valid_is_not_found(skybutler, calibrated):
    words = ("certify", calibrated, "made", "calib", "bias", "--end", "2001-01-01T12:00:00")
    assert skybutler(*words).code == 0
    with Butler(calibrated) as butler:
        assert butler.find_dataset("bias", exposure=1005, detector=0, collections="calib") is None
    again = skybutler(*words)
    assert again.code == 1
    assert "cannot be certified in 'calib' for [-∞, 2001-01-01T12:00:32)" in again.err
    listed = skybutler("collections", calibrated, "calib", "--format", "json")
    assert '"CALIBRATION"' in listed.out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("u/first", "calib", "bias"), 1, "nothing was certified: no bias is in u/first"),
        (("u/first", "calib", "postISRCCD"), 1, "only calibrations are certified; 'postISRCCD'"),
        (("made", "u/first", "bias"), 1, "collection 'u/first' is CHAINED already, not CALIBRATION"),
        (("made", "calib", "bias", "--begin", "yesterday"), 2, "write it (UTC) like 2019-05-03T12:00:00"),
        (("made", "calib", "bias", "--begin", "2020-01-02", "--end", "2020-01-01"), 2, "is not after --begin"),
        (("made", "calib"), 2, "Missing argument"),
    ],
)
def test_what_cannot_be_certified_is_told_and_leaves_nothing(skybutler, calibrated, words, code, message):
    told = skybutler("certify", calibrated, *words)
    assert told.code == code
    assert message in told.err
    with Butler(calibrated) as butler:
        assert "calib" not in butler.collections.list()


def test_an_older_repository_is_migrated(skybutler, tmp_path):
    frozen = Path(__file__).parents[1] / "registry/data/schema_0001.sql"
    (tmp_path / "skybutler.yaml").write_text("version: 1\nregistry: registry.sqlite3\n")
    with closing(sqlite3.connect(tmp_path / "registry.sqlite3")) as connection:
        connection.executescript(frozen.read_text())
    refused = skybutler("collections", tmp_path)
    assert refused.code == 1
    assert "`skybutler migrate REPO`" in refused.err
    tried = skybutler("migrate", tmp_path, "--dry-run")
    assert tried.code == 0
    assert "CREATE TABLE calib_instrument_detector" in tried.out
    assert tried.err == f"{tmp_path} would go from schema 0001 to {SCHEMA_VERSION}.\n"
    assert skybutler("collections", tmp_path).code == 1
    assert skybutler("migrate", tmp_path).out == f"{tmp_path} went from schema 0001 to {SCHEMA_VERSION}.\n"
    assert "nothing to do" in skybutler("migrate", tmp_path).out
    assert skybutler("collections", tmp_path).code == 0
    assert skybutler("migrate", tmp_path, "--to", "7").code == 1


@pytest.mark.parametrize("named", ["bias", "bia*"])
def test_all_datasets_of_a_calibration_collection_come_with_their_validity(skybutler, calibrated, named):
    skybutler("certify", calibrated, "made", "calib", "bias", "--begin", "2000-01-01", "--end", "2001-01-01T12:00:00")
    skybutler("certify", calibrated, "made", "calib", "bias", "--begin", "2002-01-01")
    listed = skybutler("query-datasets", calibrated, named, "-c", "calib", "--find-all", "--uri", "--format", "json")
    rows = json.loads(listed.out)
    spans = [(row["timespan_begin"], row["timespan_end"]) for row in rows if row["detector"] == 0]
    assert sorted(spans) == [("2000-01-01T00:00:32", "2001-01-01T12:00:32"), ("2002-01-01T00:00:32", None)]
    assert all(row["type"] == "bias" and Path(row["uri"].removeprefix("file://")).exists() for row in rows)
    first = skybutler("query-datasets", calibrated, named, "-c", "calib", "--format", "json")
    assert all("timespan_begin" not in row for row in json.loads(first.out))


def test_a_negative_limit_tells_that_there_is_more(skybutler, calibrated, caplog):
    for limit, told in (("-1", 1), ("-2", 0), ("1", 0)):
        caplog.clear()
        listed = skybutler("query-datasets", calibrated, "bias", "-c", "made", "-n", limit, "--format", "json")
        assert len(json.loads(listed.out)) == abs(int(limit))
        assert len([r for r in caplog.records if "There are more results" in r.getMessage()]) == told
