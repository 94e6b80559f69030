"""Laws of names: any text is refused, or names what comes back by it, in files below the root that no others share."""

import os
import shutil
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from skybutler.butler.butler import Butler
from skybutler.model.datasets import DatasetRef
from skybutler.model.errors import SkyButlerError
from skybutler.testing.small_repository import INSTRUMENT

pytestmark = pytest.mark.sqlite

EXAMPLES = int(os.environ.get("SKYBUTLER_EXAMPLES") or 2)
"""How many groups of names are tried."""

NASTY = [
    "../", "..", ".", "/", "a/b", "a/../b", "/etc/passwd", "r 1", "r_1", "r%201", "x" * 500, "x" * 499 + "y", "é",
    "e\u0301", "ﬀ", "ff", "ß", "SS", "İ", "i\u0307", "ı", "I", "K", "\u212a", "abc", "ABC", "ａｂｃ", "a\0", "a\nb",
    ".hidden", ".skybutler-1-000000000000", "CON", "con.txt", "NUL", "a.", "a ", " a", "a\u202e", "\ud800", "\udfff",
    "%", "%2F", "%2e%2e", "{0}", "{run}", "a:b", "a\\b", "~", "$HOME", "-rf", "*", "[a]", '"', "'", "|", "<>", "",
    "skybutler.yaml", "registry.sqlite3", "\U0001f52d", "a" * 82 + "%-0123456789abcdef", "a" * 100, "a" * 101,
]  # fmt: skip
NAMES = st.lists(st.sampled_from(NASTY) | st.text(st.characters(), max_size=12), min_size=1, max_size=4, unique=True)
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
"""What Windows takes for a device, whatever follows after a dot."""


def same(path: str) -> str:
    """Return what a file system that minds neither case nor composition knows a path by."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def assert_safe(folder: Path, count: int) -> None:
    """Files below a folder are as many as there should be, also on other file systems, and nothing lies beside it."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    names = [path.relative_to(folder).as_posix() for path in files]
    names = [name for name in names if not name.startswith(("registry.sqlite3", "skybutler.yaml"))]
    assert len(names) == len({same(name) for name in names}) == count
    for name in names:
        for part in name.split("/"):
            assert len(part.encode()) <= 255
            assert not part.startswith(".")
            assert not part.endswith((" ", "."))
            assert part.partition(".")[0].casefold() not in RESERVED
            assert part.isascii()
            assert part.isprintable()


@pytest.fixture(scope="module")
def workshop(small_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Butler]]:
    """An otherwise empty folder, and the Butler of a repository in it."""
    folder = tmp_path_factory.mktemp("names")
    with Butler(shutil.copytree(small_repository, folder / "repo")) as butler:
        butler.register_dataset_type("plan", ["physical_filter"], "Dict")
        butler.register_dataset_type("camera_plan", ["instrument"], "Dict")
        yield folder, butler


def put_all(butler: Butler, names: list[str], put) -> dict[str, DatasetRef]:
    """Put a dataset by each name; return those that were not refused."""
    made = {}
    for name in names:
        before = butler.sql("SELECT count(*) FROM dataset")[1], files_of(butler)
        try:
            made[name] = put(name)
        except SkyButlerError:
            assert (butler.sql("SELECT count(*) FROM dataset")[1], files_of(butler)) == before
    return made


def files_of(butler: Butler) -> list[str]:
    return sorted(p.name for p in butler.root.rglob("*") if p.is_file() and not p.name.startswith("registry"))


def check(folder: Path, butler: Butler, made: dict[str, DatasetRef]) -> None:
    """What was put comes back by whatever way, and lies where it should."""
    try:
        assert_safe(butler.root, len(made))
        assert {path.name for path in folder.iterdir()} == {"repo"}
        for name, ref in made.items():
            assert butler.get(ref) == {"is": name.encode("utf-8", "surrogatepass").hex()}
        refs = list(made.values())
        if refs:
            for preserve in (True, False):
                copies = butler.retrieve(refs, folder / "out", preserve_path=preserve)
                assert len({same(str(path)) for path in copies}) == len(refs)
                assert_safe(folder / "out", len(refs))
                shutil.rmtree(folder / "out")
            butler.export(folder / "out", refs)
            assert_safe(folder / "out" / "export.files", len(refs))
            with Butler.in_memory() as other:
                other.import_(folder / "out", transfer="copy")
                assert all(other.get(ref) == butler.get(ref) for ref in refs)
                other.remove_datasets(refs, purge=True)
                other.ingest_zip(butler.retrieve_zip(refs, folder / "out.zip"), "copy")
                assert all(other.get(ref) == butler.get(ref) for ref in refs)
            shutil.rmtree(folder / "out")
            (folder / "out.zip").unlink()
            butler.remove_datasets(refs)
            assert len(butler.trash.list()) == len(refs)
            butler.trash.restore(refs)
            assert all(butler.exists(ref) for ref in refs)
    finally:
        butler.remove_datasets(list(made.values()), purge=True)
    assert_safe(butler.root, 0)
    assert {path.name for path in folder.iterdir()} == {"repo"}


def value_of(name: str) -> dict[str, str]:
    return {"is": name.encode("utf-8", "surrogatepass").hex()}


law = settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))


@law
@given(names=NAMES)
@example(names=NASTY)
def test_any_value_of_a_data_id_has_a_file_of_its_own_or_is_refused(workshop, names):
    folder, butler = workshop

    def put(name: str) -> DatasetRef:
        row = {"instrument": INSTRUMENT, "name": name, "band": "r"}
        butler.sync_dimension_records("physical_filter", row)
        return butler.put("plan", value_of(name), instrument=INSTRUMENT, physical_filter=name)

    check(folder, butler, put_all(butler, names, put))


@law
@given(names=NAMES)
@example(names=NASTY)
def test_any_instrument_has_a_file_of_its_own_or_is_refused(workshop, names):
    folder, butler = workshop

    def put(name: str) -> DatasetRef:
        butler.sync_dimension_records("instrument", {"name": name})
        return butler.put("camera_plan", value_of(name), instrument=name)

    check(folder, butler, put_all(butler, names, put))


@law
@given(names=NAMES)
@example(names=NASTY)
def test_any_run_has_a_folder_of_its_own_or_is_refused(workshop, names):
    folder, butler = workshop

    def put(name: str) -> DatasetRef:
        return butler.put("plan", value_of(name), instrument=INSTRUMENT, physical_filter="SC-r", run=name)

    made = put_all(butler, names, put)
    check(folder, butler, made)
    for run in {ref.run for ref in made.values()} - {"user"}:  # which is meant by no name
        butler.remove_run(run, unlink_from_chains=True)


@law
@given(names=NAMES)
@example(names=NASTY)
def test_any_dataset_type_has_a_folder_of_its_own_or_is_refused(workshop, names):
    folder, butler = workshop

    def put(name: str) -> DatasetRef:
        butler.register_dataset_type(name, ["instrument"], "Dict")
        return butler.put(name, value_of(name), instrument=INSTRUMENT)

    check(folder, butler, put_all(butler, names, put))


@law
@given(names=NAMES)
@example(names=NASTY)
def test_what_an_exposure_is_called_finds_it_or_is_refused(workshop, names):
    """Names that are no part of a path: alternate keys."""
    _, butler = workshop
    row = {"instrument": INSTRUMENT, "physical_filter": "SC-r", "day_obs": 20250103, "group": "1"}
    for number, name in enumerate(names):
        try:
            butler.sync_dimension_records("exposure", row | {"id": 5000 + number, "obs_id": name}, update=True)
        except SkyButlerError:
            continue
        found = butler.query_dimension_records("exposure", where="exposure.obs_id = :x", bind={"x": name})
        assert [record.id for record in found] == [5000 + number]
