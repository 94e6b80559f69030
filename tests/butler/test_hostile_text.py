"""Text of any making, in any argument of the Butler's: it does nothing, or is refused in our own words."""

from collections.abc import Callable, Iterator
from typing import Any

from skybutler.butler.butler import Butler
from skybutler.model.datasets import DatasetRef, FileDataset
from skybutler.model.errors import SkyButlerError
from skybutler.testing.small_repository import INSTRUMENT

HOSTILE = [
    "'; DROP TABLE dataset; --", '"; DROP TABLE dataset; --', "x') OR 1=1 --", "\\'; DELETE FROM tag", "%s", "%(x)s",
    "%", "100%%", ":x", "::text", "{0}", "{x!r}", "{", "$1", "?", "\\", "\\x00", "a\0b", "\0", "\ud800", "a\udfffb",
    "", " ", "\n", "\t'", "'", '"', "`", ";", "--", "/* ", "*", "?*[", "[", "[!a", "**", "re:.*", "../../etc/passwd",
    "a/../b", "\u202e", "\ufeff", "é", "e\u0301", "ß", "İ", "\U0010ffff", "x" * 5000, "9" * 400, "-1", "1e999", "NaN",
    "NULL", "true", "visit", "visit = 1", "visit IN (1..", "(" * 300, "NOT " * 300, "a.b.c.d", "visit.", ".visit", "-",
    "visit = 1; DELETE FROM dataset", "instrument = :x", "visit = {x}", "1 = 1", "GLOB('a','b')", "'" * 99, "ORDER BY",
]  # fmt: skip


def asking(butler: Butler, ref: DatasetRef, text: str) -> Iterator[Callable[[], Any]]:
    """Yield calls that read, each with a text in another argument."""
    yield lambda: butler.get("note", visit=1, detector=0, collections=text)
    yield lambda: butler.get("note", visit=1, detector=0, instrument=text)
    yield lambda: butler.get(text, visit=1, detector=0)
    yield lambda: butler.get(f"note.{text}", visit=1, detector=0)
    yield lambda: butler.get("note", visit=1, detector=0, storage_class=text)
    yield lambda: butler.get("note", visit=1, detector=0, parameters={text: text})
    yield lambda: butler.get(ref, component=text)
    yield lambda: butler.find_dataset("note", {"visit": text, "detector": 0})
    yield lambda: butler.find_dataset("note", {"visit": 1, "detector": 0, text: text})
    yield lambda: butler.find_dataset("note", {"visit.name": text, "detector.full_name": text})
    yield lambda: butler.find_dataset("note", {"exposure.obs_id": text, "detector": 0})
    yield lambda: butler.exists(text, visit=1, detector=0)
    yield lambda: butler.dataset_type(text)
    yield lambda: butler.dataset_types(text)
    yield lambda: butler.annotations(ref, text)
    yield lambda: list(butler.query_datasets(text))
    yield lambda: list(butler.query_datasets("note", collections=text))
    yield lambda: list(butler.query_datasets("note", collections=[text, "user"]))
    yield lambda: list(butler.query_datasets("note", where=text))
    yield lambda: list(butler.query_datasets("note", where=f"visit.name = '{text}'"))
    yield lambda: list(
        butler.query_datasets("note", where="visit.name = :x OR visit = :y", bind={"x": text, "y": text})
    )
    yield lambda: list(butler.query_datasets("note", where="visit.name IN (:x)", bind={"x": [text, "a"]}))
    yield lambda: list(butler.query_datasets("note", where="visit.name LIKE :x", bind={"x": text}))
    yield lambda: list(butler.query_datasets("note", where="GLOB(visit.name, :x)", bind={"x": text}))
    yield lambda: list(butler.query_datasets("note", where="visit = :x", bind={text: 1, "x": 1}))
    yield lambda: list(butler.query_datasets("note", where="note.annotation.x = :x", bind={"x": text}))
    yield lambda: list(butler.query_datasets("note", where=f"note.annotation.{text} = 1"))
    yield lambda: list(butler.query_datasets("note", visit=text))
    yield lambda: list(butler.query_datasets("note", order_by=text))
    yield lambda: list(butler.query_datasets("note", order_by=["visit", f"-{text}"]))
    yield lambda: list(butler.query_dimension_records("visit", where=text))
    yield lambda: list(butler.query_dimension_records(text))
    yield lambda: list(butler.query_data_ids(text))
    yield lambda: list(butler.query_data_ids(["visit"], datasets=text, collections=text))
    yield lambda: butler.collections.list(text)
    yield lambda: butler.collections.info(text)
    yield lambda: butler.trash.list(text, run=text)
    yield lambda: butler.disk_usage(text)
    yield lambda: butler.sql(text)
    yield lambda: butler.sql("SELECT :x", {"x": text})
    yield lambda: butler.sql("SELECT count(*) FROM dataset WHERE 'a' = :x", {"x": text})
    yield lambda: opened_with(butler, collections=text)
    yield lambda: opened_with(butler, run=text, instrument=text)


def opened_with(butler: Butler, **options: str) -> None:
    """Read by another Butler."""
    with Butler(butler.root, **options) as other:
        other.get("note", visit=1, detector=0)


def changing(butler: Butler, ref: DatasetRef, text: str) -> Iterator[Callable[[], Any]]:
    """Yield calls that may change something by a text: each is undone."""
    yield lambda: butler.annotate(ref, note=text)
    yield lambda: butler.annotate(ref, **{text: 1})
    yield lambda: butler.collections.register(text, "TAGGED", text)
    yield lambda: butler.collections.register("other", text)
    yield lambda: butler.collections.set_doc("user", text)
    yield lambda: butler.collections.set_doc(text, "x")
    yield lambda: butler.collections.redefine_chain("defaults", [text])
    yield lambda: butler.collections.prepend_chain(text, "user")
    yield lambda: butler.collections.tag(text, [ref])
    yield lambda: butler.collections.delete(text)
    yield lambda: butler.remove_run(text)
    yield lambda: butler.register_dataset_type(text, ["visit"], "Dict")
    yield lambda: butler.register_dataset_type("other", [text], "Dict")
    yield lambda: butler.register_dataset_type("other", ["visit"], text)
    yield lambda: butler.insert_dimension_records("detector", [{"instrument": text, "id": 7, "full_name": text}])
    yield lambda: butler.insert_dimension_records(
        "detector", [{"instrument": INSTRUMENT, "id": 7, "full_name": text, "purpose": text}]
    )
    yield lambda: butler.insert_dimension_records("physical_filter", [{"instrument": INSTRUMENT, "name": text}])
    yield lambda: butler.insert_dimension_records("instrument", [{"name": "x", text: text}])
    yield lambda: butler.insert_dimension_records(text, [{"name": text}])
    yield lambda: butler.sync_dimension_records("visit", {"instrument": INSTRUMENT, "id": 99, "region": text})
    yield lambda: butler.put("note", {text: text}, visit=2, detector=0, run=text)
    yield lambda: butler.put(text, {}, visit=2, detector=0)
    yield lambda: butler.ingest([FileDataset(text, [DatasetRef(ref.dataset_type, ref.data_id, "new")])], text or "copy")
    yield lambda: butler.ingest([FileDataset("x.json", [DatasetRef(ref.dataset_type, ref.data_id, "new")], text)])
    yield lambda: butler.trash.restore(run=text, dataset_type=text)
    yield lambda: butler.export(butler.root.parent / "out", collections=text)
    yield lambda: butler.export(butler.root.parent / "out", elements=text)
    yield lambda: butler.export(butler.root.parent / "out", transfer=text)


class UndoneError(Exception):
    """What undoes a change."""


def check_nothing_happens(butler: Butler, ref: DatasetRef, text: str) -> None:
    """Try a text everywhere."""
    wrong = []
    for number, ask in enumerate(asking(butler, ref, text)):
        try:
            ask()
        except SkyButlerError:
            pass
        except Exception as error:  # noqa: BLE001 - all of them are told at once
            wrong.append(("asking", number, error))
    for number, change in enumerate(changing(butler, ref, text)):
        try:
            with butler.transaction():
                change()
                raise UndoneError
        except (SkyButlerError, UndoneError, OSError):  # of a path that is no file
            pass
        except Exception as error:  # noqa: BLE001 - all of them are told at once
            if not str(error).startswith("transfer="):  # Python's own ValueError, as documented
                wrong.append(("changing", number, error))
    assert wrong == [], text
    assert butler.sql("SELECT count(*) FROM dataset")[1] == [(1,)]
    assert butler.get(ref) == {"kept": 1}
    assert butler.collections.list() == ["defaults", "user"]
    assert not butler.registry.database.in_transaction


def test_hostile_text_does_nothing(butler, backend):
    ref = butler.put("note", {"kept": 1}, visit=1, detector=0)
    for text in HOSTILE if backend.is_sqlite else HOSTILE[:24]:
        check_nothing_happens(butler, ref, text)
