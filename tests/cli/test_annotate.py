"""`skybutler annotate`: what is noted is found again, and what is wrong is said."""

import pytest

from skybutler.butler import Butler


def test_what_is_noted_is_found(skybutler, repository):
    told = skybutler(
        "annotate", repository, "raw", "quality=good", "seeing=0.8", "n=3", "ok=true", "night='007'", "note=it is so",
        "--where", "exposure = 1004",
    )  # fmt: skip
    assert (told.code, told.err) == (0, "")
    assert told.out == "quality, seeing, n, ok, night, note noted of 2 raw\n"
    with Butler(repository) as butler:
        refs = list(butler.query_datasets("raw", where="raw.annotation.quality = 'good'"))
        noted = {"quality": "good", "seeing": 0.8, "n": 3, "ok": True, "night": "007", "note": "it is so"}
        assert [butler.annotations(ref) for ref in refs] == [noted, noted]
    told = skybutler("query-datasets", repository, "raw", "--where", "annotation.seeing < 1", "--format", "csv")
    assert len(told.out.splitlines()) == 3
    told = skybutler("annotate", repository, "raw", "quality=", "n=", "-c", "SimCam/raw")
    assert told.out == "quality, n taken away from 10 raw\n"
    with Butler(repository) as butler:
        assert butler.annotations(refs[0]).keys() == {"seeing", "ok", "night", "note"}


def test_header_values_are_found(skybutler, frames, tmp_path):
    skybutler("create", tmp_path / "repo")
    with (tmp_path / "repo" / "skybutler.yaml").open("a") as file:
        file.write("header_values: {raw: [SHUTTIME]}\n")
    skybutler("ingest-raws", tmp_path / "repo", frames, "--instrument", "simcam")
    told = skybutler("query-datasets", tmp_path / "repo", "raw", "-w", "header.SHUTTIME > 0", "-s", "-header.SHUTTIME")
    assert (told.code, told.err) == (0, "")
    assert "1004" in told.out
    assert "1001" not in told.out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["raw", "quality"], 2, "'quality' is no KEY=VALUE"),
        (["raw", "a-b=1"], 1, "'a-b' cannot be a key"),
        (["raw", "a=nan"], 1, "a=nan is not finite"),
        (["raw"], 2, "Missing argument 'KEY=VALUE...'"),
        (["raw", "a=1", "--where", "exposure = 1"], 1, "nothing was annotated: nothing has exposure = 1"),
        (["raw", "a=1", "--where", "annotation.b = 1 AND"], 1, "it ends where a value is missing"),
        (["rew", "a=1"], 1, "no dataset type 'rew'. Did you mean 'raw'?"),
    ],
)
def test_what_is_wrong_is_said(skybutler, repository, words, code, message):
    told = skybutler("annotate", repository, *words)
    assert told.code == code
    assert message in told.err
    with Butler(repository) as butler:
        assert butler.sql("SELECT count(*) FROM v_annotations WHERE scope = 'user'")[1] == [(0,)]
