"""Tables that lie far away are read in parts, and together."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from skybutler.butler.catalog_files import CatalogFiles
from skybutler.model.datasets import DatasetRef, DatasetType
from skybutler.model.storage_class import storage_class
from skybutler.storage.datastore import Datastore
from skybutler.storage.stores.memory import MemoryStore

TABLE = storage_class("ArrowTable")
TYPE = DatasetType("src", ["visit"], "ArrowTable")


@pytest.fixture
def shelf():
    """A datastore in memory with three tables of 4 MB, and their refs and files."""
    datastore = Datastore(MemoryStore())
    refs = [DatasetRef(TYPE, {"instrument": "Cam", "visit": visit}, "r") for visit in (1, 2, 3)]
    rng = np.random.default_rng(1)
    tables = [pa.table({"a": np.arange(250_000) + i, "b": rng.random(250_000)}) for i in range(3)]
    return datastore, refs, [datastore.write(t, r, TABLE) for t, r in zip(tables, refs, strict=True)]


def test_a_part_of_a_table_far_away_is_read(shelf):
    datastore, _, files = shelf
    assert datastore.read(files[0], TABLE, "rowcount") == 250_000
    part = datastore.read(files[1], TABLE, None, {"columns": "a", "filters": "a < 3"})
    assert part.to_pydict() == {"a": [1, 2]}
    assert datastore.read(files[2], TABLE, None, {"rows": slice(2)})["a"].to_pylist() == [2, 3]


def test_tables_far_away_are_read_as_one(shelf):
    datastore, refs, files = shelf
    sources = [datastore.source(file) for file in files]
    assert not any(isinstance(source, Path) for source in sources)
    opened = CatalogFiles(refs, sources, {"visit": [1, 2, 3]}, filtered=True)
    table = opened.table(opened.dataset(None, fill_missing=False).scanner(columns=["visit", "a"]))
    assert table.num_rows == 750_000
    assert table["visit"].to_numpy()[[0, 250_000, -1]].tolist() == [1, 2, 3]
