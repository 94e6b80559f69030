"""No name, however hostile, leads out of a repository, shares a file with another, or is run as SQL."""

from contextlib import suppress

import pytest

from skybutler.butler.butler import Butler
from skybutler.model.errors import SkyButlerError

NAMES = [
    "../", "../../etc/passwd", "/etc/passwd", "a/b", "a//b", "r 1", "r_1", "r%201", "x" * 500, "x" * 499 + "y",
    "é", "e\u0301", "\u0430bc", "abc", "ABC", "ＡＢＣ", ".hidden", "..", ".", "CON", "nul.json", "end.", "end ", "end",
    "a\nb", "a\tb", "~", "$HOME", "`id`", "%2e%2e", "a\\b", "..\\..\\x", "'; DROP TABLE dataset; --", '"', "*", "[a]",
]  # fmt: skip
UNSTORABLE = ["a\0b", "\ud800", ""]


def files(butler: Butler) -> list[str]:
    return [p.relative_to(butler.root).as_posix() for p in butler.root.rglob("*.json") if p.is_file()]


def test_values_of_data_ids_never_leave_the_root_nor_share_a_file(butler):
    butler.register_dataset_type("plan", ["physical_filter"], "Dict")
    for name in NAMES:
        butler.insert_dimension_records("physical_filter", [{"instrument": "SmallCam", "name": name, "band": "r"}])
        butler.put("plan", {"is": name}, physical_filter=name)
    for name in NAMES:
        assert butler.get("plan", instrument="SmallCam", physical_filter=name) == {"is": name}
    found = files(butler)
    assert len(found) == len({path.casefold() for path in found}) == len(NAMES)
    assert not [p for p in butler.root.parent.iterdir() if p != butler.root]


@pytest.mark.parametrize("name", [*NAMES, *UNSTORABLE])
def test_a_run_of_any_name_keeps_its_files_below_the_root_or_is_refused(butler, name):
    try:
        ref = butler.put("note", {"is": name}, visit=1, detector=0, run=name)
    except SkyButlerError:
        assert files(butler) == []
    else:
        assert butler.get(ref) == {"is": name}
        assert len(files(butler)) == 1
    assert not [p for p in butler.root.parent.iterdir() if p != butler.root]


@pytest.mark.parametrize("name", [*NAMES, *UNSTORABLE])
def test_a_dataset_type_of_any_name_keeps_its_files_below_the_root_or_is_refused(butler, name):
    try:
        butler.register_dataset_type(name, ["visit"], "Dict")
        ref = butler.put(name, {"is": name}, visit=1)
    except SkyButlerError:
        assert files(butler) == []
    else:
        assert butler.get(ref) == {"is": name}
        assert len(files(butler)) == 1


@pytest.mark.parametrize("text", ["'; DROP TABLE dataset; --", "x') OR 1=1 --", 'a" OR "1"="1', "\\'; DELETE FROM tag"])
def test_hostile_text_in_any_argument_is_only_text(butler, text):
    ref = butler.put("note", {"kept": 1}, visit=1, detector=0)
    for ask in (
        lambda: butler.find_dataset("note", visit=text, detector=0),
        lambda: butler.find_dataset("note", visit=1, detector=0, collections=text),
        lambda: butler.find_dataset("note", visit=1, detector=0, instrument=text),
        lambda: list(butler.query_datasets("note", where=text)),
        lambda: list(butler.query_datasets("note", where="instrument = :x", bind={"x": text})),
        lambda: list(butler.query_datasets(text)),
        lambda: list(butler.query_dimension_records("visit", where=text)),
        lambda: butler.collections.list(text),
        lambda: butler.collections.delete(text),
        lambda: butler.collections.set_doc("user", text),
        lambda: butler.annotate(ref, note=text),
        lambda: butler.remove_run(text),
        lambda: butler.dataset_types(text),
        lambda: butler.trash.list(text, run=text),
    ):
        with suppress(SkyButlerError):
            ask()
        assert butler.sql("SELECT count(*) FROM dataset")[1] == [(1,)]
    assert butler.get(ref) == {"kept": 1}
    assert butler.annotations(ref) == {"note": text}
    assert butler.collections.info("user").doc == text
