"""`skybutler export`, `import`, `transfer`, `retrieve`: what they do, and what they say."""

import pytest

from skybutler.butler import Butler


def test_a_repository_goes_into_another_one(skybutler, repository, tmp_path):
    told = skybutler("export", repository, tmp_path / "out")
    assert (told.code, told.err) == (0, "")
    assert told.out == f"Wrote all datasets to {tmp_path / 'out' / 'export.yaml'}\n"
    skybutler("create", tmp_path / "other")
    told = skybutler("import", tmp_path / "other", tmp_path / "out", "--dry-run")
    assert (told.code, told.out[:13]) == (0, "Would take in")
    with Butler(repository) as source, Butler(tmp_path / "other") as other:
        count = source.query_all_datasets("*", collections="*", find_first=False).count()
        assert not other.sql("SELECT * FROM dataset")[1]
    told = skybutler("import", tmp_path / "other", tmp_path / "out")
    assert told.out.startswith(f"Took in {count} datasets, ")
    told = skybutler("import", tmp_path / "other", tmp_path / "out")
    assert (told.code, told.out) == (1, "")
    assert "--skip-existing" in told.err
    told = skybutler("import", tmp_path / "other", tmp_path / "out", "--skip-existing")
    assert told.out.startswith(f"Took in 0 datasets ({count} were there already)")
    told = skybutler("query-datasets", tmp_path / "other", "raw", "--format", "csv")
    assert told.out == skybutler("query-datasets", repository, "raw", "--format", "csv").out


def test_what_two_repositories_took_in_alike_is_passed_over(skybutler, repository, frames, tmp_path):
    skybutler("export", repository, tmp_path / "out")
    skybutler("create", tmp_path / "other")
    skybutler("ingest-raws", tmp_path / "other", frames, "--instrument", "simcam")
    told = skybutler("import", tmp_path / "other", tmp_path / "out", "--skip-existing")
    assert (told.code, told.err) == (0, "")
    with Butler(tmp_path / "other") as other:
        both = other.query_all_datasets("*", collections=["SimCam/raw", "SimCam/camera"]).count()
    assert f"({both} were there already)" in told.out


def test_chosen_datasets_are_exported_with_what_goes_along(skybutler, repository, tmp_path):
    words = ["raw", "-w", "exposure = 1004", "--with", "defaults", "--elements", "physical_filter"]
    told = skybutler("export", repository, tmp_path / "out", *words)
    assert told.out.startswith("Wrote 2 datasets to ")
    assert "name: defaults" in (tmp_path / "out" / "export.yaml").read_text()
    told = skybutler("export", repository, tmp_path / "none", "raw", "-w", "exposure = 9")
    assert (told.code, told.out) == (1, "")
    assert told.err.startswith("Error: no dataset is found: ")
    assert not (tmp_path / "none").exists()


def test_datasets_are_transferred(skybutler, repository, tmp_path):
    skybutler("create", tmp_path / "other")
    words = ["transfer", repository, tmp_path / "other", "raw", "-w", "exposure IN (1004, 1005)"]
    assert skybutler(*words, "--dry-run").out.startswith("Would take in 4 datasets")
    assert skybutler(*words, "-t", "copy").out.startswith("Took in 4 datasets")
    assert skybutler(*words).code == 1
    assert skybutler(*words, "--skip-existing").out.startswith("Took in 0 datasets (4 were there already)")
    told = skybutler("transfer", repository, tmp_path / "other", "postISRCCD", "-c", "u/*", "--no-dimensions")
    assert told.out.startswith("Took in 2 datasets, 0 dimension records")


def test_files_are_retrieved_into_a_folder_or_a_bundle(skybutler, repository, tmp_path):
    told = skybutler("retrieve", repository, tmp_path / "fits", "raw", "-w", "exposure = 1004", "--flat")
    assert told.out == f"Copied the files of 2 datasets to {tmp_path / 'fits'}\n"
    assert len(list((tmp_path / "fits").glob("*.fits*"))) == 2
    told = skybutler("retrieve", repository, tmp_path / "fits", "raw", "-w", "exposure = 1004", "--flat")
    assert "--overwrite" in told.err
    told = skybutler("retrieve", repository, tmp_path / "some.zip", "raw", "-w", "exposure = 1004")
    assert told.code == 0
    skybutler("create", tmp_path / "other")
    told = skybutler("import", tmp_path / "other", tmp_path / "some.zip", "-t", "copy")
    assert told.out.startswith("Took in 2 datasets")
    with Butler(tmp_path / "other") as other:
        assert other.get("raw", exposure=1004, detector=0, collections="SimCam/raw").image is not None


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["import", "{repo}", "nowhere"], 1, "there is no export"),
        (["import", "{repo}", "nowhere.zip"], 1, "there is no bundle"),
        (["transfer", "{repo}", "{repo}"], 1, "not from the same one"),
        (["retrieve", "{repo}", "x.zip", "raw", "--flat"], 2, "--flat is for folders"),
        (["export", "{repo}", "{repo}", "--transfer", "move"], 2, "'move' is not one of"),
        (["export", "{repo}", "x.zip", "raw"], 2, "`skybutler retrieve` makes zip bundles"),
        (["transfer", "{repo}", "{repo}", "postISRCCD", "-c", "SimCam/raw"], 1, "u/first/"),
        (["export", "{repo}", "x", "nothing"], 1, "'nothing'"),
    ],
)
def test_mistakes_are_told(skybutler, repository, words, code, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = skybutler(*(word.format(repo=repository) for word in words))
    assert (told.code, told.out) == (code, "")
    assert message in told.err
    assert [path.name for path in tmp_path.iterdir()] == ["repo"]
