"""What skybutler.yaml says of places and caches, and what it cannot say."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from skybutler.butler.butler import Butler
from skybutler.cli.main import main
from skybutler.model.errors import (
    ConfigError,
    RepositoryNotFoundError,
    SkyButlerError,
    StorageClassError,
    StoreUnavailableError,
)


@pytest.mark.parametrize(
    ("datastore", "cache", "said"),
    [
        ([], None, "names no place"),
        ([{"rot": "x"}], None, "a mapping with a root"),
        ([{"root": ".", "read_only": "no"}], None, "read_only is true or false"),
        ([{"root": ".", "dataset_types": "calexp"}], None, "dataset_types is a list"),
        ("ftp://host/x", None, "no store reads 'ftp://host/x'"),
        ({"root": "s3://bucket", "secret": "x"}, None, "no option 'secret'"),
        (None, {"fodler": "x"}, "no setting 'fodler'.*Did you mean 'folder'"),
        (None, {"folder": "x", "size": "many"}, "size 'many' is not a number with a unit, such as '50 GB'"),
        (None, {"folder": "x", "age": "3 moons"}, "age '3 moons' is not"),
        (None, 7, "cache says 7"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_made(tmp_path, datastore, cache, said):
    with pytest.raises(ConfigError, match=said):
        Butler.create(tmp_path / "repo", datastore=datastore, cache=cache)
    assert not (tmp_path / "repo").exists()


def test_settings_that_are_misspelt_or_misshapen_are_refused(tmp_path, caplog):
    Butler.create(tmp_path / "repo").close()
    file = tmp_path / "repo/skybutler.yaml"
    text = file.read_text()
    for line, match in (("compresion: gzip", "did you mean"), ("storage_classes: [a]", "by their names"),
                        ("storage_classes: {N: {type: dict, formatter: yml}}", "'yml'.*yaml")):  # fmt: skip
        file.write_text(f"{text}{line}\n")
        with pytest.raises((ConfigError, StorageClassError), match=f"(?i){match}"):
            Butler(tmp_path / "repo")
    file.write_text(f"{text}quorum: 3\n")  # of a later version, maybe
    Butler(tmp_path / "repo").close()
    assert "'quorum'" in caplog.text
    with pytest.raises(ConfigError, match="s3://x/y"):
        Butler.create(tmp_path / "other", datastore="s3:/x/y")
    with pytest.raises(ConfigError, match="can be written to"):
        Butler.create(tmp_path / "other", datastore="https://example.invalid/x")
    with pytest.raises(SkyButlerError):
        Butler.create(tmp_path / "other", registry="postgresql://nobody@127.0.0.1:1/none")
    assert not (tmp_path / "other").exists()


def test_a_bucket_that_is_not_there_makes_no_repository(bucket, tmp_path):
    with pytest.raises(StoreUnavailableError, match=r"s3://nothing-there/ cannot be listed: there is no such bucket"):
        Butler.create(tmp_path / "repo", datastore=bucket.place() | {"root": "s3://nothing-there"})
    assert not (tmp_path / "repo").exists()
    with Butler.create(tmp_path / "repo", datastore=[bucket.place()]) as butler:
        assert butler.datastore.roots[0].store.location == f"s3://{bucket.name}"
    with pytest.raises(ConfigError, match=r"Butler.create\(folder, datastore='s3://bucket/x'\)"):
        Butler.create("s3://bucket/x")
    with pytest.raises(RepositoryNotFoundError):
        Butler("s3://bucket/x")


def test_the_repository_says_where_its_files_are(tmp_path):
    Butler.create(tmp_path / "repo", datastore=["a", tmp_path / "b"], cache={"folder": "~/c", "size": "1 GB"}).close()
    said = yaml.safe_load((tmp_path / "repo" / "skybutler.yaml").read_text())
    assert said["datastore"] == ["a", str(tmp_path / "b")]
    with Butler(tmp_path / "repo") as butler:
        assert [root.store.folder for root in butler.datastore.roots] == [tmp_path / "repo" / "a", tmp_path / "b"]
        assert butler.datastore.cache.folder == Path.home() / "c"
        assert butler.datastore.cache.size == 10**9


def test_a_user_has_the_last_word_on_the_cache(tmp_path, monkeypatch):
    Butler.create(tmp_path / "repo", cache="c").close()
    monkeypatch.setenv("SKYBUTLER_CACHE", str(tmp_path / "mine"))
    monkeypatch.setenv("SKYBUTLER_CACHE_SIZE", "5 MB")
    monkeypatch.setenv("SKYBUTLER_CACHE_AGE", "2 days")
    with Butler(tmp_path / "repo") as butler:
        cache = butler.datastore.cache
        assert (cache.folder, cache.size, cache.age) == (tmp_path / "mine", 5_000_000, 2 * 86400.0)
    monkeypatch.setenv("SKYBUTLER_CACHE", "off")
    with Butler(tmp_path / "repo") as butler:
        assert butler.datastore.cache is None


def test_the_command_line_makes_one(tmp_path, capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["create", str(tmp_path / "repo"), "--datastore", "files", "--cache", "copies"])
    with Butler(tmp_path / "repo") as butler:
        assert butler.datastore.root == tmp_path / "repo" / "files"
        assert butler.datastore.cache.folder == tmp_path / "repo" / "copies"


def test_a_repository_in_memory_is_gone_with_its_butler():
    code = (
        "import gc, os\n"
        "from skybutler import Butler\n"
        "butler = Butler.in_memory()\n"
        "butler.register_dataset_type('facts', [], 'Dict')\n"
        "butler.put('facts', {'a': 1})\n"
        "assert butler.get('facts') == {'a': 1}\n"
        "root = butler.root\n"
        "assert os.path.exists(root)\n"
        "del butler; gc.collect()\n"
        "assert not os.path.exists(root)\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
