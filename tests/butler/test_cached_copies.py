"""Copies in the cache of what lies in a bucket: one that is damaged is fetched anew, and nobody else is blamed."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skybutler.butler.butler import Butler
from skybutler.imaging import Image
from skybutler.model.datasets import DatasetRef, FileDataset
from skybutler.model.errors import FileFormatError, FileIntegrityError
from skybutler.testing.bad_network import web_server

HERE = {"visit": 1, "detector": 0}
THINGS = {
    "note": {"a": [1, "ü"]},
    "stars": pd.DataFrame({"a": np.arange(1000), "b": np.arange(1000) / 3}),
    "picture": Image(np.arange(600, dtype=np.float32).reshape(20, 30)),
}


def only_copy(folder: Path) -> Path:
    (found,) = (path for path in folder.rglob("*") if path.is_file() and path.parent.name != "locks")
    return found


def damage(path: Path) -> None:
    """Change bytes, and leave their number as it was."""
    data = path.read_bytes()
    path.write_bytes(b"\xff" * min(len(data), 200) + data[200:])


@pytest.fixture
def far(bucket, tmp_path, stored_at) -> Butler:
    with stored_at(tmp_path / "repo", bucket.place(), cache=str(tmp_path / "copies")) as butler:
        yield butler


@pytest.mark.parametrize("name", THINGS)
def test_a_damaged_copy_is_fetched_anew(far, tmp_path, name):
    ref = far.put(name, THINGS[name], HERE)
    copy = only_copy(tmp_path / "copies")
    whole = copy.read_bytes()
    damage(copy)
    again = far.get(ref)
    if name == "picture":
        np.testing.assert_array_equal(again.array, THINGS[name].array)
    else:
        assert pd.DataFrame(again).equals(pd.DataFrame(THINGS[name]))
    assert only_copy(tmp_path / "copies").read_bytes() == whole


def test_a_part_of_a_damaged_copy_is_read_of_a_new_one(far, tmp_path):
    ref = far.put("stars", THINGS["stars"], HERE)
    damage(only_copy(tmp_path / "copies"))
    assert far.get(ref, parameters={"columns": "b"}, storage_class="ArrowTable").num_rows == 1000
    copy = only_copy(tmp_path / "copies")
    copy.write_bytes(copy.read_bytes()[:-8] + b"\0" * 8)
    assert far.get(ref, component="rowcount") == 1000


def test_where_the_bucket_has_it_damaged_too_that_is_said(far, tmp_path):
    ref = far.put("note", THINGS["note"], HERE)
    store, name = far.datastore.roots[0].store, far.registry.datasets.files(ref.id)[0].path
    damage(only_copy(tmp_path / "copies"))
    (tmp_path / "bad").write_bytes(only_copy(tmp_path / "copies").read_bytes())
    store.remove(name)
    store.put(name, tmp_path / "bad")
    with pytest.raises(FileIntegrityError, match=r"s3://.* has the checksum xxh3:.* was recorded"):
        far.get(ref)


def test_a_file_that_was_never_right_is_blamed_itself(far, tmp_path):
    with web_server({"a.json": b"no JSON"}) as web:
        ref = DatasetRef(far.dataset_type("note"), {"instrument": "SmallCam", **HERE}, "user")
        far.ingest([FileDataset(f"{web.url}/a.json", [ref])], "direct")
        web.requests.clear()
        for _ in range(2):
            with pytest.raises(FileFormatError, match=rf"{web.url}/a.json is not JSON"):
                far.get(ref)
        assert len(web.requests) <= 4
        web.files["a.json"] = b'{"a":1}'  # of the same length, and no checksum is recorded
        assert far.get(ref) == {"a": 1}


def test_processes_that_read_a_copy_while_it_is_damaged_never_see_it(far, tmp_path, run_together):
    far.put("note", {"text": "x" * 5000}, HERE)
    work = """
        from pathlib import Path
        for turn in range(40):
            if (number, turn) == (0, 5):
                for path in Path(butler.datastore.cache.folder).rglob("*.json"):
                    data = path.read_bytes()
                    path.write_bytes(b"\\xff" * 200 + data[200:])
            assert butler.get("note", visit=1, detector=0) == {"text": "x" * 5000}
        print("done")
        """
    assert run_together(tmp_path / "repo", work, 3) == ["done\n"] * 3
