"""Exports and bundles of strangers: nothing is written outside the repository, no object is made, no memory filled."""

import io
import json
import stat
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from skybutler.butler.butler import Butler
from skybutler.butler.exchange import safe_yaml
from skybutler.model.errors import FileFormatError, FileIntegrityError, RepositoryVersionError, SkyButlerError
from skybutler.storage.bundles import BundleStore
from skybutler.storage.stores.local import LocalStore
from skybutler.testing.small_repository import INSTRUMENT

pytestmark = pytest.mark.sqlite

HOSTILE_PATHS = [
    "../secret.json", "/etc/passwd", "a/../../secret.json", "", ".", "..", "a/./b.json", "a//b.json", "nul\0.json",
    "C:/x.json", "a\\..\\b.json", "file:///etc/passwd", "http://127.0.0.1:1/x.json", "way/out/secret.json", "out.json",
]  # fmt: skip

OUTSIDE = r"does not stay below|leads from|is not there"


@pytest.fixture
def refs(butler: Butler) -> list[Any]:
    return [butler.put("note", {"n": n}, instrument=INSTRUMENT, visit=n, detector=0, run="r") for n in (1, 2)]


@pytest.fixture
def export(butler: Butler, refs, tmp_path: Path) -> Path:
    """An export, beside a secret that links in it lead to."""
    (tmp_path / "secret.json").write_text('"secret"')
    butler.export(tmp_path / "out")
    files = tmp_path / "out" / "export.files"
    (files / "way").mkdir()
    (files / "way" / "out").symlink_to(tmp_path)
    (files / "out.json").symlink_to(tmp_path / "secret.json")
    return tmp_path / "out"


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Butler]:
    """A repository that takes nothing; whatever is tried, all stays as it was."""
    with Butler.create(tmp_path / "victim") as made:
        before = made.collections.list(), made.dataset_types(), _files(tmp_path / "victim")
        secret = tmp_path / "secret.json"
        outside = {path: path.read_bytes() for path in [secret] if path.exists()}
        yield made
        assert (made.collections.list(), made.dataset_types(), _files(tmp_path / "victim")) == before
        assert not made.sql("SELECT * FROM dataset")[1] + made.sql("SELECT * FROM instrument")[1]
        assert all(path.read_bytes() == data for path, data in outside.items())


def _files(folder: Path) -> list[str]:
    return sorted(str(p) for p in folder.rglob("*") if not p.name.startswith("registry"))


def change(export: Path, table: str, **changes: Any) -> None:
    """Change the first row of a table of an export."""
    path = export / "export.tables" / f"{table}.parquet"
    old = pq.read_table(path)
    rows = old.to_pylist()
    rows[0] |= changes
    pq.write_table(pa.Table.from_pylist(rows, old.schema), path)


@pytest.mark.parametrize("transfer", ["move", "direct"])
def test_no_path_leads_out_of_an_export(export: Path, victim: Butler, transfer: str):
    for path in HOSTILE_PATHS:
        if transfer == "direct" and path.startswith(("/", "file:", "http:")):
            continue  # the user has said that files may lie anywhere
        change(export, "datasets/note", path=path)
        with pytest.raises((FileFormatError, FileNotFoundError), match=OUTSIDE):
            victim.import_(export, transfer=transfer)


def test_no_path_leads_out_of_an_export_of_lsst(tmp_path: Path, victim: Butler):
    record: dict[str, Any] = {
        "dataset_id": ["01a20563-7141-7cdb-b43c-f14f3442d78e"], "data_id": [{}],
        "formatter": "lsst.daf.butler.formatters.json.JsonFormatter",
    }  # fmt: skip
    given = {
        "version": "1.0.2", "universe_version": 8, "universe_namespace": "daf_butler",
        "data": [
            {"type": "dataset_type", "name": "x", "dimensions": [], "storage_class": "StructuredDataDict"},
            {"type": "dataset", "dataset_type": "x", "run": "r", "records": [record]},
        ],
    }  # fmt: skip
    folder = tmp_path / "lsst"
    (folder / "way").mkdir(parents=True)
    (folder / "way" / "out").symlink_to(tmp_path)
    (tmp_path / "secret.json").write_text("{}")
    (folder / "out.json").symlink_to(tmp_path / "secret.json")
    for path in HOSTILE_PATHS:
        record["path"] = path
        (folder / "export.yaml").write_text(yaml.safe_dump(given))
        with pytest.raises((FileFormatError, FileNotFoundError), match=OUTSIDE):
            victim.import_(folder, transfer="move")


def test_the_repository_itself_is_no_dataset(butler: Butler, refs, root: Path, tmp_path: Path):
    path = butler.export(tmp_path / "out.yaml", transfer=None)
    butler.remove_datasets(refs, purge=True)
    for name in ("skybutler.yaml", "registry.sqlite3"):
        table = path.with_suffix(".tables") / "datasets" / "note.parquet"
        rows = pq.read_table(table)
        pq.write_table(pa.Table.from_pylist([row | {"path": name} for row in rows.to_pylist()], rows.schema), table)
        with pytest.raises(ValueError, match="transfer='in_place'"):
            butler.import_(path)
        with pytest.raises(FileFormatError, match="a part of the repository itself"):
            butler.import_(path, transfer="in_place")
        assert (root / name).is_file()


def test_values_of_data_ids_make_no_paths(butler: Butler, tmp_path: Path):
    butler.insert_dimension_records("physical_filter", [{"instrument": INSTRUMENT, "name": "../../x/\0"[:-1]}])
    butler.register_dataset_type("note2", ["physical_filter"], "Dict")
    ref = butler.put("note2", {}, instrument=INSTRUMENT, physical_filter="../../x/", run="r")
    for preserve in (True, False):
        (path,) = butler.retrieve([ref], tmp_path / "out", preserve_path=preserve)
        assert path.resolve().is_relative_to(tmp_path / "out")
    butler.export(tmp_path / "exported")
    with Butler.create(tmp_path / "again") as again:
        again.import_(tmp_path / "exported", transfer="copy")
        assert again.get(ref) == {}
        assert Path(again.get_uri(ref).removeprefix("file://")).resolve().is_relative_to(tmp_path / "again")


def test_what_is_retrieved_does_not_follow_links_out_of_the_folder(butler: Butler, refs, tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "r").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileFormatError, match="symbolic link"):
        butler.retrieve(refs, tmp_path / "out")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_what_a_table_should_not_say_is_refused(export: Path, victim: Butler):
    path = export / "export.tables" / "datasets" / "note.parquet"
    good = path.read_bytes()
    for changes, told in (
        ({"dataset_id": "x"}, "badly formed"),
        ({"run": None}, "has no RUN"),
        ({"run": "a/../b"}, "cannot name a collection"),
        ({"visit": None}, "no whole data ID"),
        ({"visit": 77}, "no visit 77"),
        ({"formatter": "os.system"}, "no formatter is called"),
        ({"formatter": None}, "not fully described"),
        ({"size": 1}, "were recorded for it"),
        ({"checksum": "blake2b:00"}, "were recorded for it"),
    ):
        path.write_bytes(good)
        change(export, "datasets/note", **changes)
        with pytest.raises(SkyButlerError, match=told):
            victim.import_(export)


def head_with(export: Path, **changes: Any) -> None:
    path = export / "export.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))


SAID = [
    ({"skybutler_export": 99}, "Install a newer one"),
    ({"skybutler_export": "x"}, "no export"),
    ({"files": "../.."}, "does not stay below"),
    ({"files": "/etc"}, "does not stay below"),
    ({"files": 3}, "which tables and files"),
    ({"tables": ["x"]}, "which tables and files"),
    ({"tables": {"../export": 1}}, "does not stay below"),
    ({"tables": {"datasets/note": 7}}, "has 2 rows"),
    ({"dataset_types": 5}, "is damaged"),
    ({"dataset_types": [{"name": "note"}]}, "is damaged"),
    ({"dataset_types": [{"name": "note", "dimensions": ["visit", "detector"], "storage_class": "os.system",
                         "is_calibration": False}]}, "no storage class"),
    ({"collections": [{"name": "c", "type": "CHAINED", "children": ["c"]}]}, "would come to hold itself"),
    ({"universe": None}, "is damaged"),
]  # fmt: skip


def test_what_the_document_should_not_say_is_refused(export: Path, victim: Butler):
    good = (export / "export.yaml").read_text()
    for changes, told in SAID:
        (export / "export.yaml").write_text(good)
        head_with(export, **changes)
        with pytest.raises((SkyButlerError, FileNotFoundError), match=told):
            victim.import_(export)


def test_elements_that_a_repository_lacks_are_told(export: Path, victim: Butler):
    tables = export / "export.tables" / "records"
    (tables / "instrument.parquet").rename(tables / "telescope.parquet")
    head = yaml.safe_load((export / "export.yaml").read_text())
    head["tables"]["records/telescope"] = head["tables"].pop("records/instrument")
    head_with(export, tables=head["tables"])
    with pytest.raises(SkyButlerError, match=r"records of 'telescope'.*skybutler version 1"):
        victim.import_(export)


# YAML


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)


TEXTS = [
    (BOMB, "aliases stand for far more than is written"),
    ("[" * 100_000, "nests more than"),
    ("- " * 100_000, "nests more than"),
    ("a: &a [*a]", "stands for nothing that is complete"),
    ("a: &a {b: 1}\nc: {<<: *a}", "not merged"),
    ("a: !!python/object/apply:os.system [id]", "no objects are made"),
    ("a: !!python/name:os.system x", "no objects are made"),
    ("a: !<lsst.daf.butler.Nothing> {x: 1}", "no objects are made"),
    ("a: !<lsst.sphgeom.ConvexPolygon> {encoded: zz}", "line 1"),
    ("a: !<lsst.sphgeom.ConvexPolygon> {encoded: '70'}", "line 1"),
    ("a: !uuid 12", "line 1: badly formed"),
    ("a: !butler_time/tai/iso 'yesterday'", "line 1"),
    ("a: 1\na: 2", "line 2: the key 'a' is there twice"),
    ("? [a]\n: b", "a key is a plain value"),
    (f"a: {'9' * 5000}", "more digits"),
    ("a: 1\n---\nb: 2", "a second document"),
    ("a: [", "is no YAML"),
    ("a: \0", "is no YAML"),
    ("", "no export"),
    ("just text", "no export"),
    ("version: 1.0.2\ndata: 3", "is damaged"),
    ("version: 2.0.0\ndata: []", "1.0.x are read"),
    ("version: 1.0.2\ndata: [{type: surprise}]", "which is not known"),
]


def test_yaml_of_strangers_is_plain_and_no_larger_than_it_looks(tmp_path: Path, victim: Butler):
    for text, told in TEXTS:
        (tmp_path / "bad.yaml").write_text(text)
        with pytest.raises((FileFormatError, RepositoryVersionError), match=told):
            victim.import_(tmp_path / "bad.yaml")


def test_aliases_that_repeat_little_are_read(tmp_path: Path):
    (tmp_path / "good.yaml").write_text("a: &x {b: [1, 2]}\nc: *x\nd: [*x, *x]\n")
    assert safe_yaml.read_yaml(tmp_path / "good.yaml")["d"] == [{"b": [1, 2]}] * 2


def test_huge_yaml_is_not_begun(tmp_path: Path, victim: Butler):
    with (tmp_path / "huge.yaml").open("wb") as file:
        file.truncate(safe_yaml.LARGEST + 1)  # takes no room on the disk
    with pytest.raises(FileFormatError, match="up to"):
        victim.import_(tmp_path / "huge.yaml")


# Parquet


def test_parquet_that_would_fill_the_memory_is_refused(export: Path, victim: Butler):
    path = export / "export.tables" / "datasets" / "note.parquet"
    schema = pq.read_schema(path)
    one = pq.read_table(path).slice(0, 1)
    many = pa.table(
        [pa.DictionaryArray.from_arrays(pa.array([0] * 3_000_000, pa.int32()), one.column(i).combine_chunks())
         for i in range(one.num_columns)], names=schema.names,
    )  # fmt: skip
    pq.write_table(many, path, compression="zstd")
    head_with(export, tables={"datasets/note": 3_000_000})
    assert path.stat().st_size < 200_000
    with pytest.raises(FileFormatError, match="that is not read"):
        victim.import_(export)


def test_damaged_parquet_is_told(export: Path, victim: Butler):
    path = export / "export.tables" / "datasets" / "note.parquet"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(FileFormatError, match="no Parquet file that can be read"):
        victim.import_(export)


# Bundles


@pytest.fixture
def bundle(butler: Butler, refs, tmp_path: Path) -> Path:
    return butler.retrieve_zip(refs, tmp_path / "b.zip")


def rewritten(bundle: Path, change_info: Callable[[zipfile.ZipInfo], None], method: int = zipfile.ZIP_STORED) -> Path:
    """Write a bundle anew, the last of its members changed."""
    target = bundle.with_name("changed.zip")
    with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(target, "w", method) as new:
        infos = old.infolist()
        for info in infos:
            made = zipfile.ZipInfo(info.filename)
            made.compress_type = method
            if info is infos[-1]:
                change_info(made)
            new.writestr(made, old.read(info))
    return target


def test_members_stay_in_their_bundle(bundle: Path, victim: Butler):
    for name in ("../x.json", "/etc/x.json", "a/../../x.json", "C:/x.json", "a\\..\\x.json", "a\nb"):

        def rename(info: zipfile.ZipInfo, name: str = name) -> None:
            info.filename = name

        with pytest.raises(FileFormatError, match="does not stay in its folder"):
            victim.ingest_zip(rewritten(bundle, rename))


def test_members_are_plain_files(bundle: Path, victim: Butler):
    def link(info: zipfile.ZipInfo) -> None:
        info.external_attr = (stat.S_IFLNK | 0o777) << 16

    with pytest.raises(FileFormatError, match="is a link"):
        victim.ingest_zip(rewritten(bundle, link))


def test_members_have_names_of_their_own(bundle: Path, victim: Butler):
    with zipfile.ZipFile(bundle, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("_skybutler/index.json", "{}")
    with pytest.raises(FileFormatError, match="two members are called"):
        victim.ingest_zip(bundle)


def test_members_that_are_far_larger_than_they_are_packed_are_refused(tmp_path: Path, victim: Butler):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("_skybutler/index.json", bytes(100 << 20))
    with pytest.raises(FileFormatError, match=r"says that its .* bytes are 104857600"):
        victim.ingest_zip(tmp_path / "bomb.zip")


def lying(data: bytes, name: bytes, place: int, value: int) -> bytes:
    """Return a zip file whose list of members says something else of the last one of a name."""
    at = data.rindex(name) - 46 + place
    return data[:at] + value.to_bytes(4, "little") + data[at + 4 :]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("size", [3, 10_000])
def test_sizes_that_lie_are_found_out(tmp_path: Path, victim: Butler, method: int, size: int):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("_skybutler/index.json", json.dumps({"skybutler_export": 1, "x": "y" * 500}))
        archive.writestr("z.json", "{}")
    data = lying(buffer.getvalue(), b"_skybutler/index.json", 24, size)
    if method == zipfile.ZIP_STORED:
        data = lying(data, b"_skybutler/index.json", 20, size)
    (tmp_path / "lies.zip").write_bytes(data)
    with pytest.raises((FileFormatError, FileIntegrityError)):
        victim.ingest_zip(tmp_path / "lies.zip")


def test_members_do_not_overlap(tmp_path: Path, victim: Butler):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.json", "{}")
        archive.writestr("b.json", "[1]")
    data = lying(buffer.getvalue(), b"b.json", 42, 0)
    (tmp_path / "same.zip").write_bytes(data)
    with pytest.raises(FileFormatError, match="another name where it lies"):
        victim.ingest_zip(tmp_path / "same.zip")


def test_a_member_that_is_not_what_the_index_says_lets_nothing_in(bundle: Path, victim: Butler):
    def spoil(data: bytes) -> bytes:
        at = data.index(b'{"n"')
        return data[:at] + b"[" + data[at + 1 :]

    bundle.write_bytes(spoil(bundle.read_bytes()))
    with pytest.raises(FileIntegrityError, match="CRC-32"):
        victim.ingest_zip(bundle)


@pytest.mark.parametrize("data", [b"", b"no zip", b"PK\5\6" + bytes(18)])
def test_what_is_no_bundle_is_told(tmp_path: Path, victim: Butler, data: bytes):
    (tmp_path / "no.zip").write_bytes(data)
    with pytest.raises(FileFormatError, match=r"no zip file|is no bundle"):
        victim.ingest_zip(tmp_path / "no.zip")


def test_any_byte_of_a_bundle_may_be_wrong(bundle: Path, tmp_path: Path):
    data = bundle.read_bytes()
    for at in range(0, len(data), max(1, len(data) // 150)):
        (tmp_path / "bad.zip").write_bytes(data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :])
        try:
            store = BundleStore(LocalStore(tmp_path), "bad.zip", len(data))
            for name in list(store._members):
                assert b"".join(store.stream(name)) is not None
        except SkyButlerError:
            pass
