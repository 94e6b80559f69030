"""Each repository means by the name of a storage class what it says itself, whatever others mean by it."""

import pickle
import sys
from pathlib import Path

import pytest
import yaml

from skybutler.butler.butler import Butler
from skybutler.model.datasets import DatasetType
from skybutler.model.errors import ConfigError, ConflictingDefinitionError, FileFormatError, StorageClassError

FORMATTERS = """
from skybutler.storage.formatters import Formatter

class Upper(Formatter):
    name = "shout"
    suffix = ".txt"
    def write(self, obj, sink, storage_class, provenance):
        sink.write(str(obj["text"]).upper().encode())
    def read(self, path, storage_class, component, parameters):
        text = path.read_text()
        return len(text) if component == "size" else {"text": text}

class Reversed(Upper):
    def write(self, obj, sink, storage_class, provenance):
        sink.write(str(obj["text"])[::-1].encode())
"""


@pytest.fixture
def formatters(tmp_path, monkeypatch) -> str:
    """A module with two formatters of one name."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site/shouting_formatters.py").write_text(FORMATTERS)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    yield "shouting_formatters"
    sys.modules.pop("shouting_formatters", None)


def with_notes(root: Path, **described: object) -> Butler:
    """Make a repository that describes ``Notes``, and has a dataset type of it."""
    butler = Butler.create(root, config={"storage_classes": {"Notes": {"type": "dict", **described}}})
    butler.register_dataset_type("notes", [], "Notes")
    return butler


def test_two_repositories_mean_two_things_by_one_name(tmp_path):
    with with_notes(tmp_path / "a", formatter="yaml") as one, with_notes(tmp_path / "b", formatter="json") as two:
        for butler in (one, two, one):
            butler.register_dataset_type("more", [], "Notes")
            ref = butler.find_dataset("notes") or butler.put("notes", {"a": 1})
            assert butler.get(ref) == butler.get(ref, storage_class="Notes") == {"a": 1}
        texts = [Path(butler.get_uri(butler.find_dataset("notes"))[7:]).read_text() for butler in (one, two)]
        assert texts == ["a: 1\n", '{"a": 1}']
        assert one.registry.storage_classes["Notes"] != two.registry.storage_classes["Notes"]
        again = pickle.loads(pickle.dumps(one))
        assert again.get("notes") == {"a": 1}
        again.close()
    with pytest.raises(StorageClassError, match="no storage class 'Notes'"):
        DatasetType("notes", [], "Notes")


def test_two_formatters_of_one_name_are_kept_apart(tmp_path, formatters):
    described = {"components": {"size": "Integer"}}
    one = with_notes(tmp_path / "a", formatter=f"{formatters}.Upper", **described)
    two = with_notes(tmp_path / "b", formatter=f"{formatters}.Reversed", **described)
    with one, two:
        for butler, said in ((one, "HUSH"), (two, "hsuh")):
            butler.put("notes", {"text": "hush"})
            assert butler.get("notes") == {"text": said}
            assert butler.get("notes.size") == 4
        kinds = [type(butler.datastore.formatter("shout")).__name__ for butler in (one, two)]
        assert kinds == ["Upper", "Reversed"]
        bundle = one.retrieve_zip(one.query_datasets("notes"), tmp_path / "notes.zip")
        one.remove_datasets(one.query_datasets("notes"), purge=True)
        one.ingest_zip(bundle)
        assert one.get("notes") == {"text": "HUSH"}


def test_a_class_whose_formatter_is_gone_is_told_of(tmp_path, formatters):
    with with_notes(tmp_path / "a", formatter=f"{formatters}.Upper") as butler:
        butler.put("notes", {"text": "hush"})
    settings = tmp_path / "a/skybutler.yaml"
    settings.write_text(settings.read_text().replace(f"{formatters}.Upper", "gone_away.Upper"))
    with Butler(tmp_path / "a") as butler, pytest.raises(FileFormatError, match=r"'shout'.*needs .* gone_away\.Upper"):
        butler.get("notes")


def test_a_class_may_have_parts_of_other_classes_of_its_repository(tmp_path):
    classes = {
        "Night": {"type": "dict", "formatter": "json", "components": {"notes": "Notes"}},
        "Notes": {"type": "dict", "formatter": "json"},
    }
    with Butler.create(tmp_path / "repo", config={"storage_classes": classes}) as butler:
        butler.register_dataset_type("night", [], "Night")
        butler.put("night", {"notes": {"a": 1}})
        assert butler.get("night.notes") == {"a": 1}
        with pytest.raises(StorageClassError, match=r"no component 'nots'; it has notes\. Did you mean 'notes'"):
            butler.get("night.nots")


def test_what_skybutler_ships_cannot_be_described_otherwise(tmp_path):
    with pytest.raises(StorageClassError, match=r"'Dict' is SkyButler's own.*repo/skybutler\.yaml describes another"):
        Butler.create(tmp_path / "repo", config={"storage_classes": {"Dict": {"type": "list"}}})
    assert not (tmp_path / "repo").exists()
    Butler.create(tmp_path / "repo", config={"storage_classes": {"Text": {"type": "str"}}}).close()  # as it is


def test_datasets_do_not_go_where_their_class_means_something_else(tmp_path):
    with with_notes(tmp_path / "a", formatter="yaml") as one, with_notes(tmp_path / "b", formatter="json") as two:
        one.put("notes", {"a": 1})
        with pytest.raises(
            ConflictingDefinitionError,
            match=r"'Notes', which .*b/skybutler\.yaml and .*a/skybutler\.yaml .*'json' here, 'yaml' there",
        ):
            two.transfer_from(one, one.query_datasets("notes"))
        assert not two.exists("notes")
    with with_notes(tmp_path / "c", formatter="yaml") as three, Butler(tmp_path / "a") as one:
        three.transfer_from(one, one.query_datasets("notes"))
        assert three.get("notes") == {"a": 1}


def test_a_name_that_is_near_one_of_the_repositorys_is_suggested(tmp_path):
    with (
        with_notes(tmp_path / "a") as butler,
        pytest.raises(StorageClassError, match=r"no storage class 'Note'\. Did you mean 'Notes'"),
    ):
        butler.register_dataset_type("x", [], "Note")


def test_a_new_repository_takes_settings(tmp_path):
    said = {"compression": {"*": "gzip"}, "trash": "3 days", "ingest_checksums": False}
    with Butler.create(tmp_path / "repo", config=said) as butler:
        assert (butler.datastore.compression, butler.ingest_checksums) == ({"*": "gzip"}, False)
        assert butler.trash.window.days == 3
    assert said.items() <= yaml.safe_load((tmp_path / "repo/skybutler.yaml").read_text()).items()
    for config, match in (
        ({"compresion": "gzip"}, "Did you mean 'compression'"),
        ({"registry": "x"}, "'registry', which is an argument"),
        ({"trash": "soon"}, "trash"),
        ({"compression": object()}, "YAML cannot"),
        ({"header_values": {"raw": {object()}}}, "."),
    ):
        with pytest.raises(ConfigError, match=match):
            Butler.create(tmp_path / "other", config=config)
        assert not (tmp_path / "other").exists()
