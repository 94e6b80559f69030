"""A file that is changed, cut short or gone, of each format: the error names dataset and file; the others are whole."""

import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skybutler.butler.butler import Butler
from skybutler.imaging import Image
from skybutler.model.datasets import DatasetRef
from skybutler.model.errors import FileFormatError, FileIntegrityError, SkyButlerError
from skybutler.testing.small_repository import fill_repository


def one_byte(path: Path) -> None:
    """Change a byte in the midst of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x55
    path.write_bytes(data)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGES: dict[Callable[[Path], None], tuple[str, str]] = {
    one_byte: ("checksum", "has the checksum"),
    cut_short: ("size", "were recorded"),
    Path.unlink: ("missing", "is gone"),
}
"""What happens to files; the finding of fsck, and what is said."""
CONTENT = {
    "note": lambda n: {"n": n, "text": "x" * 500},
    "stars": lambda n: pd.DataFrame({"a": np.arange(500) + n}),
    "picture": lambda n: Image(np.full((50, 60), n, np.float32)),
}


def is_equal(one: object, two: object) -> bool:
    if isinstance(one, Image):
        return np.array_equal(one.array, two.array)
    return one.equals(two) if isinstance(one, pd.DataFrame) else one == two


FILE, OTHER, MEMBER = range(3)
"""Detectors whose datasets are files of their own, and one whose datasets are each the member of a zip bundle."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A repository with datasets of each format, in files and in bundles."""
    folder = tmp_path_factory.mktemp("whole")
    with Butler.create(folder / "repo") as butler:
        fill_repository(butler)
        for kind, storage_class in (("note", "Dict"), ("stars", "DataFrame"), ("picture", "Image")):
            butler.register_dataset_type(kind, ["visit", "detector"], storage_class)
            refs = [butler.put(kind, CONTENT[kind](d), visit=1, detector=d) for d in (FILE, OTHER, MEMBER)]
            bundle = butler.retrieve_zip(refs[MEMBER:], folder / f"{kind}.zip")
            butler.remove_datasets(refs[MEMBER:], purge=True)
            butler.ingest_zip(bundle, "copy")
    return folder / "repo"


@pytest.fixture
def butler(whole, tmp_path) -> Iterator[Butler]:
    with Butler(shutil.copytree(whole, tmp_path / "repo")) as opened:
        yield opened


@pytest.mark.parametrize("happens", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("kind", CONTENT)
@pytest.mark.parametrize("detector", [FILE, MEMBER], ids=["file", "member"])
def test_damage_is_told_with_dataset_and_file_and_harms_no_other(butler, kind, happens, detector):
    finding, said = DAMAGES[happens]
    mine = butler.find_dataset(kind, visit=1, detector=detector)
    path = butler.datastore.path(butler.registry.datasets.files(mine.id)[0])
    happens(path)
    with pytest.raises(FileIntegrityError, match=said) as raised:
        butler.get(mine, verify=True)
    check_names(raised.value, mine, path)
    if happens is not one_byte:
        with pytest.raises(FileIntegrityError) as raised:
            butler.get(kind, visit=1, detector=detector)
        check_names(raised.value, mine, path)
    (found,) = butler.verify(checksums=True, older_than=timedelta(0)).findings
    assert found.kind == finding
    assert str(mine.id) in found.dataset
    assert path.name in found.text
    for other in {(k, d) for k in CONTENT for d in (FILE, OTHER, MEMBER)} - {(kind, detector)}:
        got = butler.get(other[0], visit=1, detector=other[1], verify=True)
        assert is_equal(got, CONTENT[other[0]](other[1]))


def check_names(error: SkyButlerError, ref: DatasetRef, path: Path) -> None:
    """An error of ours is about a file, and names it and its dataset."""
    assert isinstance(error, FileFormatError | FileIntegrityError)
    assert str(error).startswith(f"{ref}: ")
    assert path.name in str(error)


@pytest.mark.parametrize("kind", CONTENT)
def test_any_byte_that_is_changed_gives_an_error_of_ours_or_an_object(butler, kind):
    """Without its checksum a changed pixel is a pixel; but no reader fails in words that are not ours."""
    mine = butler.find_dataset(kind, visit=1, detector=FILE)
    path = butler.datastore.path(butler.registry.datasets.files(mine.id)[0])
    whole = path.read_bytes()
    for at in np.linspace(0, len(whole) - 1, 20).astype(int):
        data = bytearray(whole)
        data[at] ^= 0x55
        path.write_bytes(data)
        try:
            butler.get(mine)
        except SkyButlerError as error:
            check_names(error, mine, path)
        with pytest.raises(FileIntegrityError, match="has the checksum"):
            butler.get(mine, verify=True)
