"""Zip bundles: datasets that are read where they lie in one file, which goes with the last of them."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from skybutler.butler.butler import Butler
from skybutler.imaging import Image
from skybutler.model.errors import DatasetExistsError, FileFormatError, FileIntegrityError
from skybutler.testing.small_repository import INSTRUMENT

HERE = {"instrument": INSTRUMENT}


@pytest.fixture
def refs(butler: Butler) -> list[Any]:
    """An image, two tables and two notes."""
    butler.register_dataset_type("image", ["visit"], "Image")
    butler.register_dataset_type("table", ["visit"], "ArrowTable")
    pixels = np.arange(600 * 500, dtype=np.float32).reshape(500, 600)
    return [
        butler.put("image", Image(pixels), HERE, visit=1, run="r"),
        *(butler.put("table", pa.table({"n": [n, n]}), HERE, visit=n, run="r") for n in (1, 2)),
        *(butler.put("note", {"n": n}, HERE, visit=1, detector=n, run="r") for n in (0, 1)),
    ]


@pytest.fixture
def bundle(butler: Butler, refs, tmp_path: Path) -> Path:
    butler.annotate(refs[0], quality="good")
    return butler.retrieve_zip(refs, tmp_path / "some.zip")


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Butler]:
    with Butler.create(tmp_path / "other") as made:
        yield made


def test_datasets_are_read_where_they_lie(bundle: Path, butler: Butler, refs, other: Butler):
    told = other.ingest_zip(bundle, "copy")
    assert (told.datasets, told.dataset_types, told.collections) == (5, 3, 1)
    bundle.unlink()
    assert np.array_equal(other.get(refs[0]).array, butler.get(refs[0]).array)
    part = {"bbox": other.get(refs[0], component="bbox")}
    assert np.array_equal(other.get(refs[0], parameters=part).array, butler.get(refs[0]).array)
    assert other.get("table", HERE, visit=2, collections="r", storage_class="DataFrame")["n"].tolist() == [2, 2]
    assert other.get("table", HERE, visit=2, collections="r", parameters={"columns": ["n"]}).num_rows == 2
    assert other.query_datasets("table", "r").read(columns=["n"], data_id=False)["n"].to_pylist() == [1, 1, 2, 2]
    assert other.get(refs[4]) == {"n": 1}
    assert other.annotations(refs[0]) == {"quality": "good"}
    assert all(other.exists(ref) for ref in refs)
    assert other.get_uri(refs[4]).startswith("file://")
    assert ".zip#zip-path=r/note/" in other.get_uri(refs[4])
    for ref in refs:
        other.datastore.verify(other.registry.datasets.files(ref.id)[0])
    assert len([path for path in other.root.rglob("*") if path.suffix in (".zip", ".json", ".fits")]) == 1


def test_what_is_no_zip_file_is_named(other: Butler, tmp_path: Path):
    (tmp_path / "cut.zip").write_bytes(b"PK")
    with pytest.raises(FileFormatError, match=r"/cut\.zip is no zip file"):
        other.ingest_zip(tmp_path / "cut.zip")


def test_a_bundle_goes_with_the_last_of_its_datasets(bundle: Path, refs, other: Butler):
    other.ingest_zip(bundle)
    other.remove_datasets(refs[:4], purge=True)
    assert other.get(refs[4]) == {"n": 1}
    other.remove_datasets(refs[4:], purge=True)
    assert not list(other.root.rglob("*.zip"))


def test_a_bundle_comes_in_every_way(bundle: Path, refs, other: Butler, tmp_path: Path):
    other.ingest_zip(bundle, dry_run=True)
    assert not list(other.root.rglob("*.zip"))
    other.ingest_zip(bundle, "direct")
    assert other.get(refs[3]) == {"n": 0}
    with pytest.raises(DatasetExistsError):
        other.ingest_zip(bundle)
    assert other.ingest_zip(bundle, skip_existing=True).known == 5
    with Butler.create(tmp_path / "third") as third:
        third.ingest_zip(bundle, "move")
        assert not bundle.exists()
        assert third.get(refs[3]) == {"n": 0}
        with pytest.raises(FileIntegrityError, match="is gone"):
            other.get(refs[3])


def test_members_leave_a_bundle_as_files(bundle: Path, butler: Butler, refs, other: Butler, tmp_path: Path):
    other.ingest_zip(bundle, "move")
    assert other.retrieve(refs[3:], tmp_path / "out")[0].read_text() == butler.retrieve(
        refs[3:], tmp_path / "same"
    )[0].read_text()  # fmt: skip
    other.export(tmp_path / "exported")
    again = other.retrieve_zip(refs, tmp_path / "again.zip")
    for make in (
        lambda third: third.import_(tmp_path / "exported"),
        lambda third: third.transfer_from(other, refs),
        lambda third: third.ingest_zip(again),
    ):
        with Butler.in_memory() as third:
            make(third)
            assert third.get(refs[4]) == {"n": 1}
            assert np.array_equal(third.get(refs[0]).array, butler.get(refs[0]).array)


def test_the_same_datasets_make_the_same_bundle(bundle: Path, butler: Butler, refs, tmp_path: Path):
    again = butler.retrieve_zip(refs, tmp_path / "again.zip")
    assert again.read_bytes() == bundle.read_bytes()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        butler.retrieve_zip(refs, again)
    butler.retrieve_zip(refs[:1], again, overwrite=True)
    with zipfile.ZipFile(again) as archive:
        assert archive.testzip() is None
        assert len([name for name in archive.namelist() if not name.startswith("_skybutler")]) == 1


def test_a_damaged_member_is_told_when_it_is_read(bundle: Path, refs, other: Butler):
    other.ingest_zip(bundle, "copy")
    (place,) = other.root.rglob("*.zip")
    data = place.read_bytes()
    at = data.index(b'{"n"')
    place.write_bytes(data[:at] + b"[" + data[at + 1 :])
    with pytest.raises(FileIntegrityError, match="CRC-32"):
        other.get(refs[3])
    place.unlink()
    with pytest.raises(FileIntegrityError, match="is gone"):
        other.get(refs[4])
    assert not other.exists(refs[4])


@pytest.mark.sqlite
def test_a_bundle_is_read_in_a_bucket(bundle: Path, butler: Butler, refs, tmp_path: Path, bucket):
    place = {"root": f"s3://{bucket.name}/here", "endpoint": bucket.endpoint}
    with Butler.create(tmp_path / "far", datastore=place) as far:
        far.ingest_zip(bundle)
        assert far.get(refs[4]) == {"n": 1}
        assert np.array_equal(far.get(refs[0]).array, butler.get(refs[0]).array)
        assert far.query_datasets("table", "r").read(columns=["n"], data_id=False).num_rows == 4
        far.export(tmp_path / "from_far")
    with Butler.create(tmp_path / "near") as near:
        near.import_(tmp_path / "from_far")
        assert near.get(refs[4]) == {"n": 1}
