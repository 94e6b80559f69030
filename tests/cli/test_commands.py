"""Every command does what it says, in every format."""

import csv
import io
import json
from pathlib import Path

import pytest

from skybutler.cli.output import print_rows

FORMATS = ["table", "json", "csv"]


def parsed(text: str, output: str) -> list[dict[str, object]]:
    """Return rows that were printed, by column name."""
    if output == "json":
        return json.loads(text)
    if output == "csv":
        return list(csv.DictReader(io.StringIO(text)))
    *lines, count = text.splitlines()
    assert count == f"{len(lines) - 1} row{'' if len(lines) == 2 else 's'}"
    return [dict(zip(lines[0].split(), line.split(), strict=False)) for line in lines[1:]]


@pytest.mark.parametrize("columns", [30, 100])
def test_a_terminal_that_is_too_narrow_for_a_table_gets_a_line_for_each_value(monkeypatch, capsys, columns):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", str(columns))
    region = "POLYGON 250.5 36.5 250.3 36.5 250.3 36.4"
    print_rows(["visit", "target_name", "region"], [[20190503090311, "M13", region], [7, None, region]], "table")
    shown = capsys.readouterr().out
    if columns == 30:
        assert shown == (
            f"visit        20190503090311\ntarget_name  M13\nregion       {region}\n\n"
            f"visit        7\nregion       {region}\n\n2 rows\n"
        )
    else:
        assert len([line for line in shown.splitlines() if region in line]) == 2
        assert "visit        " not in shown


def test_create_makes_a_repository_that_show_opens(skybutler, tmp_path):
    made = skybutler("create", tmp_path / "repo")
    assert (made.code, made.err) == (0, "")
    assert made.out == f"Made a repository in {tmp_path}/repo; it knows 10 dataset types.\n"
    shown = skybutler("show", tmp_path / "repo")
    assert shown.code == 0
    assert "no dimension records yet" in shown.out


def test_create_with_a_registry_elsewhere_in_the_folder(skybutler, tmp_path):
    assert skybutler("create", tmp_path / "repo", "--registry", "own.db").code == 0
    assert (tmp_path / "repo/own.db").exists()
    assert skybutler("show", tmp_path / "repo").code == 0


@pytest.mark.parametrize("transfer", ["auto", "direct", "link", "copy", "move"])
def test_ingest_raws_by_every_transfer(skybutler, frames, tmp_path, transfer):
    import shutil

    mine = shutil.copytree(frames, tmp_path / "mine")
    skybutler("create", tmp_path / "repo")
    report = skybutler("ingest-raws", tmp_path / "repo", mine, "-i", "simcam", "-t", transfer, "--run", "raws/here")
    assert (report.code, report.err) == (0, "")
    assert report.out == "10 raw frames ingested into 'raws/here', 2 visits defined\n"
    assert (len(list(mine.glob("*.fits"))) == 0) == (transfer == "move")
    found = parsed(skybutler("query-datasets", tmp_path / "repo", "raw", "--uri", "--format", "json").out, "json")
    inside = [str(row["uri"]).startswith((tmp_path / "repo").as_uri()) for row in found]
    assert inside == [transfer != "direct"] * 10


def test_ingest_raws_in_place_and_again(skybutler, frames, tmp_path):
    import shutil

    skybutler("create", tmp_path / "repo")
    shutil.copytree(frames, tmp_path / "repo/frames")
    words = ("ingest-raws", tmp_path / "repo", tmp_path / "repo/frames", "-i", "simcam", "-t", "in_place")
    assert skybutler(*words).code == 0
    again = skybutler(*words)
    assert again.code == 0
    assert again.out == "0 raw frames ingested into 'SimCam/raw', 0 visits defined, 10 were there already\n"
    shown = skybutler("show", tmp_path / "repo", "raw", "exposure=1004", "detector=1", "--format", "csv")
    assert "repo/frames/simcam_00001004_S01.fits" in shown.out


@pytest.mark.parametrize("output", FORMATS)
def test_show_counts_datasets_by_type_and_run(skybutler, shared_repository, output):
    shown = skybutler("show", shared_repository, "--format", output)
    assert (shown.code, shown.err) == (0, "")
    text = shown.out.split("\n", 2)[2] if output == "table" else shown.out
    counts = {row["dataset_type"]: int(row["datasets"]) for row in parsed(text, output)}
    assert (counts["raw"], counts["postISRCCD"], counts["camera"]) == (10, 2, 1)
    if output == "table":
        assert "instrument: SimCam; " in shown.out


@pytest.mark.parametrize("output", FORMATS)
def test_show_one_dataset_or_its_component(skybutler, shared_repository, output):
    words = ("exposure=1004", "detector=0", "--format", output)
    whole = skybutler("show", shared_repository, "postISRCCD", *words)
    assert whole.code == 0
    assert "Exposure(512x512 float32" in whole.out
    part = skybutler("show", shared_repository, "postISRCCD.wcs", *words, "-c", "u/first")
    assert part.code == 0
    assert "Wcs(TAN" in part.out
    assert ".fits" in part.out


@pytest.mark.parametrize("output", FORMATS)
def test_collections_with_children_and_dataset_types(skybutler, shared_repository, output):
    shown = skybutler("collections", shared_repository, "--format", output)
    rows = {row["collection"]: row for row in parsed(shown.out, output)}
    assert {"SimCam/raw", "SimCam/camera", "defaults", "u/first", "user"} < set(rows)
    assert (rows["SimCam/raw"]["type"], rows["defaults"]["type"]) == ("RUN", "CHAINED")
    if output == "json":
        assert rows["defaults"]["children"] == ["u/first", "SimCam/raw", "SimCam/camera", "user"]
        assert rows["SimCam/raw"]["dataset types"] == ["raw"]
    only = parsed(skybutler("collections", shared_repository, "SimCam/*", "--format", output).out, output)
    assert [row["collection"] for row in only] == ["SimCam/camera", "SimCam/raw"]


@pytest.mark.parametrize("output", FORMATS)
def test_query_datasets_by_expression_order_and_limit(skybutler, shared_repository, output):
    words = ("-w", "exposure >= 1004", "-s", "-exposure,detector", "-n", "3", "--format", output)
    found = skybutler("query-datasets", shared_repository, "raw", *words)
    rows = parsed(found.out, output)
    assert [(int(r["exposure"]), int(r["detector"])) for r in rows] == [(1005, 0), (1005, 1), (1004, 0)]
    assert {r["run"] for r in rows} == {"SimCam/raw"}


@pytest.mark.parametrize("output", FORMATS)
def test_query_datasets_of_all_types_in_all_collections(skybutler, shared_repository, output):
    words = ("-c", "u/*,SimCam/*", "--find-all", "--uri", "--format", output)
    found = skybutler("query-datasets", shared_repository, "*", *words)
    assert found.code == 0
    kinds = {row["type"] for row in parsed(found.out, output)}
    assert kinds == {
        "camera",
        "camera_description",
        "raw",
        "postISRCCD",
        "isr_config",
        "isr_log",
        "isr_metadata",
        "packages",
    }


@pytest.mark.parametrize("output", FORMATS)
def test_query_data_ids_that_have_a_dataset(skybutler, shared_repository, output):
    words = ("visit", "detector", "-t", "postISRCCD", "-c", "u/first", "--format", output)
    rows = parsed(skybutler("query-data-ids", shared_repository, *words).out, output)
    assert sorted((int(r["visit"]), int(r["detector"]), r["band"]) for r in rows) == [(1004, 0, "r"), (1004, 1, "r")]


@pytest.mark.parametrize("output", FORMATS)
def test_query_records_by_their_columns(skybutler, shared_repository, output):
    words = ("-w", "observation_type = 'science'", "-s", "-id", "--format", output)
    rows = parsed(skybutler("query-records", shared_repository, "exposure", *words).out, output)
    assert [(int(r["id"]), r["obs_id"]) for r in rows] == [(1005, "SC00001005"), (1004, "SC00001004")]
    only = skybutler("query-records", shared_repository, "visit", "-t", "postISRCCD", "-n", "5", "--format", output)
    assert [int(r["id"]) for r in parsed(only.out, output)] == [1004]


@pytest.mark.parametrize("output", FORMATS)
def test_sql_in_every_format(skybutler, shared_repository, output):
    statement = "SELECT dataset_type, count(*) AS number FROM v_datasets WHERE run LIKE 'SimCam/%' GROUP BY 1"
    rows = parsed(skybutler("sql", shared_repository, statement, "--format", output).out, output)
    assert [(r["dataset_type"], int(r["number"])) for r in rows] == [
        ("camera", 1),
        ("camera_description", 1),
        ("raw", 10),
    ]


def test_what_json_cannot_say_is_null_or_an_error(skybutler, shared_repository):
    found = skybutler(
        "sql", shared_repository, "SELECT 1e999 AS inf, NULL AS nil, x'00ff' AS bytes", "--format", "json"
    )
    assert parsed(found.out, "json") == [{"inf": None, "nil": None, "bytes": "00ff"}]
    twice = skybutler("sql", shared_repository, "SELECT 1 AS a, 2 AS a", "--format", "json")
    assert twice.code == 2
    assert "two columns are called 'a'" in twice.err


def test_a_cell_of_several_lines_stays_in_its_row(skybutler, shared_repository):
    found = skybutler("sql", shared_repository, "SELECT 'a' || char(10) || 'b' AS x, 2 AS n")
    assert found.out == "x    n\na b  2\n1 row\n"


def test_run_works_skips_what_is_done_and_does_it_again_when_told(skybutler, repository):
    words = ("run", repository, "-p", "process#isr", "-o", "u/second", "-d", "exposure IN (1004..1005)")
    first = skybutler(*words)
    assert (first.code, first.out) == (0, "isr: 2 done, 2 skipped\n")
    assert skybutler(*words).out == "isr: 4 skipped\n"
    assert skybutler(*words, "--no-skip-existing").out == "isr: 4 done\n"


def test_run_keeps_to_its_inputs_and_leaves_defaults_alone(skybutler, repository, tmp_path):
    (tmp_path / "own.py").write_text("config.doDark = False\n")
    done = skybutler(
        "run", repository, "-p", "process#isr", "-i", "SimCam/raw,SimCam/camera", "-o", "u/own",
        "-d", "exposure = 1005", "-C", f"isr:{tmp_path}/own.py", "-c", "isr:doFlat=False", "--no-add-to-defaults",
    )  # fmt: skip
    assert done.out == "isr: 2 done\n"
    rows = {r["collection"]: r for r in json.loads(skybutler("collections", repository, "--format", "json").out)}
    assert "u/own" not in rows["defaults"]["children"]
    saved = skybutler("show", repository, "isr_config", "-c", "u/own")
    assert "'do_dark': False" in saved.out
    assert "'do_flat': False" in saved.out


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("pipeline", "makes postISRCCD: Exposure"),
        ("mermaid", "flowchart TD"),
        ("config", "config.do_dark = False"),
        ("graph", "isr instrument=SimCam, exposure=1005, detector=1"),
    ],
)
def test_run_shows_and_changes_nothing(skybutler, shared_repository, contents, what, told):
    before = contents(shared_repository)
    shown = skybutler("run", shared_repository, "-p", "process#isr", "-c", "isr:doDark=False", "--show", what)
    assert (shown.code, shown.err) == (0, "")
    assert told in shown.out
    assert contents(shared_repository) == before


def test_a_failure_in_a_run_is_named_and_is_exit_code_1(skybutler, repository):
    raw = next(Path(repository).glob("SimCam/raw/**/raw_SimCam_1005_0-*"))
    raw.unlink()
    report = skybutler("run", repository, "-p", "process#isr", "-o", "u/failing", "-d", "exposure = 1005")
    assert report.code == 1
    assert "isr: 1 done, 1 failed" in report.out
    assert "isr instrument=SimCam, exposure=1005, detector=0 failed: FileIntegrityError" in report.out


def test_help_of_every_command_and_the_version(skybutler):
    import skybutler as package

    text = skybutler("--help").out
    commands = [line.split()[0] for line in text.partition("Commands:\n")[2].splitlines() if line.startswith("  ")]
    for command in [c for c in commands if not c.startswith("`")]:
        told = skybutler(command, "--help")
        assert told.code == 0
        assert told.out.startswith(f"Usage: skybutler {command} ")
    assert package.__version__ in skybutler("--version").out
    assert skybutler("-h").out == text
