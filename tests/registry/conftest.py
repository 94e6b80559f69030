"""A small repository for every test that asks for one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from skybutler.butler.butler import Butler
from skybutler.model.datasets import DatasetType
from skybutler.testing.small_repository import fill_repository


@pytest.fixture
def butler(tmp_path: Path) -> Iterator[Butler]:
    """A repository with 4 visits, 3 detectors and a dataset type ``note`` (Dict) of a visit and detector."""
    with Butler.create(tmp_path / "repo") as made:
        fill_repository(made)
        made.register_dataset_type(DatasetType("note", ["visit", "detector"], "Dict"))
        yield made
