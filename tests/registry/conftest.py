"""A small repository for every test that asks for one."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from skybutler.butler.butler import Butler
from skybutler.model.datasets import DatasetType
from skybutler.testing.small_repository import fill_repository


@pytest.fixture(scope="session")
def small_repository(backend, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with 4 visits, 3 detectors and a dataset type ``note`` (Dict), to be copied."""
    root = tmp_path_factory.mktemp("small") / "repo"
    with Butler.create(root, registry=None if backend.is_sqlite else backend.new()) as made:
        fill_repository(made)
        made.register_dataset_type(DatasetType("note", ["visit", "detector"], "Dict"))
    return root


@pytest.fixture
def root(backend, small_repository: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the small repository, for one test."""
    copied = Path(shutil.copytree(small_repository, tmp_path / "repo"))
    database = backend.give_own_database(copied)
    yield copied
    if database is not None:
        backend.drop(database)


@pytest.fixture
def butler(root: Path) -> Iterator[Butler]:
    """A Butler on a copy of the small repository."""
    with Butler(root) as opened:
        yield opened
