"""Whatever is wrong with the input: a clear message, an exit code that says so, and the repository as it was."""

import shutil
from pathlib import Path

import pytest
from astropy.io import fits

from skybutler.storage.datastore import Datastore

ERROR, USAGE = 1, 2


def spoiled(frames: Path, to: Path, without: str) -> Path:
    """Return a copy of a frame, of another exposure, whose header lacks a key."""
    with fits.open(frames / "simcam_00001005_S00.fits") as hdus:
        hdus[0].header["EXPNUM"] = 2000
        del hdus[0].header[without]
        hdus.writeto(to)
    return to


BAD = [
    # what is asked, the repository's name left out; exit code; what the message says
    ("show postISRCCD exposure=77 detector=0", ERROR, ["exposure", "77"]),
    ("show calexp visit=77 detector=0", ERROR, ["visit", "77"]),
    ("show postISRCCD exposure=1005 detector=0", ERROR, ["no postISRCCD for", "exposure: 1005"]),
    ("show postISRCD exposure=1004 detector=0", ERROR, ["Did you mean 'postISRCCD'?"]),
    ("show postISRCCD.vcs exposure=1004 detector=0", ERROR, ["Did you mean 'wcs'?"]),
    ("show postISRCCD exposure=1004 detektor=0", ERROR, ["Did you mean 'detector'?"]),
    ("show postISRCCD exposure=1004", ERROR, ["lacks detector"]),
    ("show postISRCCD exposure=abc detector=0", ERROR, ["exposure", "'abc'"]),
    ("show postISRCCD exposure=--5 detector=0", ERROR, ["exposure", "'--5'"]),
    ("show postISRCCD exposure", ERROR, ["'exposure'", "key=value"]),
    ("show postISRCCD exposure=1004^1005 detector=0", USAGE, ["2 data IDs"]),
    ("show postISRCCD exposure=1004 detector=0 -c u/frist", ERROR, ["Did you mean 'u/first'?"]),
    ("show -c u/first", USAGE, ["--collections goes with a DATASET"]),
    ("collections no/such", ERROR, ["no collection 'no/such'"]),
    ("query-datasets calexq", ERROR, ["Did you mean 'calexp'?"]),
    ("query-datasets raw -c u/*", USAGE, ["--find-all"]),
    ("query-datasets * -s exposure", USAGE, ["--order-by needs one dataset type"]),
    ("query-datasets raw -s exposur", ERROR, ["Did you mean 'exposure'?", "^"]),
    ("query-datasets raw -n many", USAGE, ["'many'"]),
    ("query-datasets raw --format xml", USAGE, ["'xml'", "'table'"]),
    ("query-datasets raw -w visit.exposure_tme>3", ERROR, ["Did you mean 'exposure_time'?", "^"]),
    ("query-datasets raw -w exposure>", ERROR, ["exposure>", "^"]),
    ("query-datasets raw -w (exposure=1", ERROR, ["(exposure=1", "^"]),
    ("query-datasets raw -w exposure=:x", ERROR, [":x", "^"]),
    ("query-data-ids vist", ERROR, ["Did you mean 'visit'?"]),
    ("query-data-ids", USAGE, ["DIMENSIONS"]),
    ("query-data-ids visit -c u/first", USAGE, ["--collections goes with --datasets"]),
    ("query-records detektor", ERROR, ["Did you mean 'detector'?"]),
    ("query-records visit -t srcc", ERROR, ["Did you mean 'src'?"]),
    ("query-records visit -c u/first", USAGE, ["--collections goes with --datasets"]),
    ("ingest-raws no/such/place -i simcam", ERROR, ["no/such/place"]),
    ("run -p proces -o x", ERROR, ["Did you mean 'process'?"]),
    ("run -p process#isrr -o x", ERROR, ["Did you mean 'isr'?"]),
    ("run -p process", USAGE, ["--output"]),
    ("run -o x", USAGE, ["--pipeline"]),
    ("run -p process#isr -o x -c isr:doDrk=False", ERROR, ["isr", "Did you mean 'do_dark'?"]),
    ("run -p process#isr -o x -c isr:doDark=5", ERROR, ["do_dark = 5", "boolean"]),
    ("run -p process#isr -o x -c isr:saturation=high", ERROR, ["saturation = 'high'", "number"]),
    ("run -p process#isr -o x -c isrr:doDark=False", ERROR, ["Did you mean 'isr'?"]),
    ("run -p process#isr -o x -c doDark=False", ERROR, ["isr:doDark=False"]),
    ("run -p process#isr -o x -C isr:no.py", ERROR, ["no.py", "No such file"]),
    ("run -p process#isr -o x -i u/frist", ERROR, ["Did you mean 'u/first'?"]),
    ("run -p process#isr -o SimCam/raw", ERROR, ["SimCam/raw", "RUN"]),
    ("run -p process#isr -o a//b", ERROR, ["'a//b/", "cannot name a collection"]),
    ("run -p process#isr -o x -d exposure=77", ERROR, ["exposure=77", "matches nothing"]),
    ("run -p process#isr -o x -d exposur=77", ERROR, ["Did you mean 'exposure'?", "^"]),
    ("run -p process#isr -o x -d exposure=1)OR(detector=0", ERROR, ["exposure=1)OR(detector=0\n", "^"]),
    ("run -p process#isr -o x -d exposure=", ERROR, ["exposure=\n", "^"]),
    ("run -p process#isr -o x --shw graph", USAGE, ["--show"]),
]  # fmt: skip


@pytest.mark.parametrize(("words", "code", "told"), BAD)
def test_one_clear_message_and_nothing_changed(skybutler, shared_repository, contents, words, code, told):
    before = contents(shared_repository)
    command, *rest = words.split(" ")
    done = skybutler(command, shared_repository, *rest)
    said = done.err + done.out
    assert done.code == code, said
    for words_of_it in told:
        assert words_of_it in said
    assert "Traceback" not in said
    assert contents(shared_repository) == before


def test_the_caret_stands_under_what_is_wrong(skybutler, shared_repository):
    done = skybutler("query-datasets", shared_repository, "raw", "--where", "exposure = 1 AND visit.exposure_tme > 3")
    _, text, caret = done.err.splitlines()
    assert text[caret.index("^") :].startswith("exposure_tme")


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM visit", "DROP TABLE visit", "UPDATE visit SET exposure_time = 0", "PRAGMA journal_mode = DELETE",
        "INSERT INTO instrument (name) VALUES ('x')", "CREATE TABLE mine (x)", "ATTACH 'other.db' AS other", "VACUUM",
        "SELECT 1; DROP TABLE visit", "SELEC 1", "SELECT * FROM v_nothing", "", "/* nothing */",
    ],
)  # fmt: skip
def test_sql_that_does_not_read_is_refused(skybutler, shared_repository, contents, statement, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = contents(shared_repository)
    done = skybutler("sql", shared_repository, statement)
    assert (done.code, done.out) == (ERROR, "")
    assert done.err.startswith("skybutler: ")
    assert "Traceback" not in done.err
    assert contents(shared_repository) == before
    assert list(tmp_path.glob("other.db")) == []


@pytest.mark.parametrize(
    "words",
    [
        "show", "collections", "query-datasets raw", "query-data-ids visit", "query-records visit",
        "sql select+1", "run -p process -o x", "run -p process --show graph", "ingest-raws . -i simcam",
    ],
)  # fmt: skip
@pytest.mark.parametrize("what", ["folder", "file", "nothing"])
def test_a_place_that_is_no_repository(skybutler, contents, tmp_path, words, what):
    place = tmp_path / "place"
    if what == "folder":
        place.mkdir()
    elif what == "file":
        place.write_text("text")
    command, *rest = words.split()
    done = skybutler(command, place, *(word.replace("+", " ") for word in rest))
    assert done.code == ERROR
    (line,) = done.err.splitlines()
    assert "is no SkyButler repository" in line
    assert contents(place) == {"folder": {}, "file": True, "nothing": False}[what]


def test_a_damaged_repository_says_what_is_wrong(skybutler, repository):
    for path in repository.glob("registry.sqlite3*"):
        path.unlink()
    assert "is not there" in skybutler("show", repository).err
    (repository / "registry.sqlite3").write_text("no database, but text, and plenty of it, as one would write")
    done = skybutler("show", repository)
    assert done.code == ERROR
    assert "not a database" in done.err
    (repository / "skybutler.yaml").write_text("nonsense")
    assert "skybutler.yaml does not say" in skybutler("show", repository).err


def test_creating_in_a_folder_without_a_name(skybutler, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = skybutler("create", "")
    assert done.code == USAGE
    assert "REPO is empty" in done.err
    assert list(tmp_path.iterdir()) == []


def test_creating_where_there_is_one_or_a_file(skybutler, repository, contents, tmp_path):
    before = contents(repository)
    done = skybutler("create", repository)
    assert done.code == ERROR
    assert "is a repository already" in done.err
    assert contents(repository) == before
    (tmp_path / "file").write_text("text")
    assert "is a file" in skybutler("create", tmp_path / "file").err
    assert skybutler("create", tmp_path / "file/repo").code == ERROR
    assert (tmp_path / "file").read_text() == "text"
    done = skybutler("create", tmp_path / "new", "--registry", "nosuch://database")
    assert done.code == ERROR
    assert "nosuch://database" in done.err
    assert not list(tmp_path.glob("new/*"))


@pytest.mark.parametrize("camera", ["simcan", "no/such.yaml", "a.fits"])
def test_an_unknown_instrument(skybutler, shared_repository, contents, frames, camera):
    before = contents(shared_repository)
    if camera == "a.fits":
        camera = str(frames / "simcam_00001004_S00.fits")
    done = skybutler("ingest-raws", shared_repository, frames, "--instrument", camera)
    assert done.code == ERROR
    assert camera in done.err
    assert ("Did you mean 'simcam'?" in done.err) == (camera == "simcan")
    assert contents(shared_repository) == before


def test_files_that_are_no_raw_frames_are_named_and_leave_no_trace(
    skybutler, shared_repository, contents, frames, tmp_path
):
    before = contents(shared_repository)
    (tmp_path / "text.fits").write_text("this is no FITS file")
    (tmp_path / "empty.fits").touch()
    (tmp_path / "short.fits").write_bytes((frames / "simcam_00001004_S00.fits").read_bytes()[:1000])
    spoiled(frames, tmp_path / "lacks.fits", "UTSTART")
    done = skybutler("ingest-raws", shared_repository, tmp_path, "-i", "simcam")
    assert done.code == ERROR
    told = {line.partition(".fits")[0].rpartition("/")[2]: line for line in done.err.splitlines()}
    assert set(told) == {"text", "empty", "short", "lacks"}
    assert "not a FITS file" in told["text"]
    assert "has no UTSTART" in told["lacks"]
    assert "4 passed over" in done.out
    assert contents(shared_repository) == before


def test_frames_of_another_camera_leave_no_trace(skybutler, shared_repository, contents, frames):
    before = contents(shared_repository)
    done = skybutler("ingest-raws", shared_repository, frames, "-i", "arcsat")
    assert done.code == ERROR
    assert len(done.err.splitlines()) == 10
    assert contents(shared_repository) == before


def test_a_bad_file_keeps_no_good_one_out(skybutler, frames, tmp_path):
    mixed = Path(shutil.copytree(frames, tmp_path / "mixed"))
    spoiled(frames, mixed / "lacks.fits", "EXPNUM")
    skybutler("create", tmp_path / "repo")
    done = skybutler("ingest-raws", tmp_path / "repo", mixed, "-i", "simcam")
    assert done.code == ERROR
    assert "10 raw frames ingested" in done.out
    assert "has no EXPNUM" in done.err


def test_a_run_of_raws_that_cannot_be_changes_nothing(skybutler, shared_repository, contents, frames, tmp_path):
    skybutler("create", tmp_path / "repo")
    before = contents(tmp_path / "repo")
    done = skybutler("ingest-raws", tmp_path / "repo", frames, "-i", "simcam", "--run", "defaults")
    assert done.code == ERROR
    assert "'defaults' is CHAINED already" in done.err
    assert contents(tmp_path / "repo") == before


def test_ctrl_c_while_files_are_taken_leaves_none_of_them(skybutler, frames, tmp_path, monkeypatch):
    skybutler("create", tmp_path / "repo")
    taken = []
    genuine = Datastore._take

    def interrupted(*arguments):
        if len(taken) == 3:
            raise KeyboardInterrupt
        taken.append(genuine(*arguments))
        return taken[-1]

    words = ("ingest-raws", tmp_path / "repo", frames, "-i", "simcam")
    with monkeypatch.context() as patch:
        patch.setattr(Datastore, "_take", interrupted)
        assert skybutler(*words).code == 130
    assert len(taken) == 3
    assert not [path for path in (tmp_path / "repo").rglob("raw_*") if path.is_file()]
    assert skybutler("query-datasets", tmp_path / "repo", "raw", "--format", "json").out == "[]\n"
    assert "10 raw frames ingested" in skybutler(*words).out


def test_a_folder_without_frames(skybutler, shared_repository, tmp_path):
    done = skybutler("ingest-raws", shared_repository, tmp_path, "-i", "simcam")
    assert (done.code, done.out) == (ERROR, "")
    assert done.err == f"no FITS file was found in {tmp_path}\n"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("query-datasets calexp", "no calexp is in defaults; there is none anywhere"),
        ("query-datasets raw -w exposure=77", "nothing has exposure = 77"),
        ("query-datasets z*", "No dataset type of that name"),
        ("query-data-ids visit -w visit=77", "nothing has visit = 77"),
        ("query-records visit -w exposure_time>99", "nothing has exposure_time > 99"),
    ],
)
def test_a_query_that_finds_nothing_says_why_and_is_no_error(skybutler, shared_repository, words, why):
    command, *rest = words.split()
    for output, nothing in (("json", "[]\n"), ("csv", None), ("table", None)):
        done = skybutler(command, shared_repository, *rest, "--format", output)
        assert done.code == 0
        assert done.err.startswith("nothing found: ")
        assert why in done.err
        assert nothing is None or done.out == nothing


@pytest.mark.parametrize(
    ("word", "hint"), [("creat", "'create'"), ("query-dataset", "'query-datasets'"), ("inges-raws", "'ingest-raws'")]
)
def test_a_misspelt_command(skybutler, word, hint):
    done = skybutler(word, "repo")
    assert (done.code, done.out) == (USAGE, "")
    assert f"no command '{word}'. Did you mean {hint}?" in done.err


def test_no_command_and_unknown_options_are_wrong_usage(skybutler):
    assert skybutler().code == USAGE
    assert "--nope" in skybutler("--nope").err
    assert skybutler("show").code == USAGE
