"""Files without a repository: read by content, written by the object and the path's ending."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from astropy.io import fits
from astropy.table import Table
from pydantic import BaseModel

from skybutler.imaging import Background, Box2I, Extent2I, Filter, GaussianPsf, PhotoCalib, Point2I, Psf, Wcs
from skybutler.model.errors import FileFormatError, StorageClassError
from skybutler.model.storage_class import StorageClass
from skybutler.storage import files
from skybutler.storage.formatters import Formatter, formatter, formatter_for, register_formatter


@pytest.mark.parametrize("name", ["a.json", "a.yaml", "a.yml"])
@pytest.mark.parametrize("value", [{"a": [1, 2.5, None, "ü"], "b": {"c": True}}, [1, {"a": 2}]])
def test_plain_data_as_json_or_yaml(tmp_path: Path, name, value):
    files.write(value, tmp_path / name)
    assert files.read(tmp_path / name) == value


@pytest.mark.parametrize("value", [{"a": 1}, [1, {"b": 2}], 5, "text", None])
def test_plain_data_read_as_what_stands_there(tmp_path: Path, value):
    (tmp_path / "a.json").write_text(json.dumps(value))
    (tmp_path / "a.yaml").write_text("# a comment\n---\n" + yaml.safe_dump(value))
    assert files.read(tmp_path / "a.json") == files.read(tmp_path / "a.yaml") == value


def test_numpy_values_and_models_become_plain_json(tmp_path: Path):
    class Limits(BaseModel):
        low: float
        names: list[str]

    files.write({"a": np.float32(1.5), "b": np.arange(2), "c": Limits(low=1, names=["x"])}, tmp_path / "a.json")
    assert files.read(tmp_path / "a.json") == {"a": 1.5, "b": [0, 1], "c": {"low": 1.0, "names": ["x"]}}


def test_tables_are_written_as_parquet_and_read_as_asked(tmp_path: Path):
    path = tmp_path / "a.parquet"
    files.write(pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), path)
    assert files.read(path).to_pydict() == {"a": [1, 2], "b": ["x", "y"]}
    assert files.read(path, "DataFrame", columns="a", filters="b = 'y'")["a"].tolist() == [2]
    assert files.read(path, component="rowcount") == 2
    assert files.read(path, "AstropyTable").colnames == ["a", "b"]


def test_a_fits_table_reads_as_any_table(tmp_path: Path):
    Table({"flux": np.array([1.0, 2.0], ">f4")}, units={"flux": "nJy"}).write(tmp_path / "t.fits")
    assert files.read(tmp_path / "t.fits")["flux"].unit == "nJy"
    assert files.read(tmp_path / "t.fits", "DataFrame")["flux"].tolist() == [1.0, 2.0]
    with pytest.raises(StorageClassError, match="read whole"):
        files.read(tmp_path / "t.fits", columns="flux")


def a_wcs() -> Wcs:
    cards = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 100.1, "CRPIX2": 50.7, "CRVAL1": 250.4234567890123,
             "CRVAL2": -36.4613, "CD1_1": -1.8523e-4, "CD1_2": 1.1e-17, "CD2_1": 1e-8, "CD2_2": 1.8523e-4}  # fmt: skip
    return Wcs.from_header(cards)


def test_components_are_kept_alone(tmp_path: Path):
    path = tmp_path / "component.fits"
    wcs = a_wcs()
    files.write(wcs, path)
    again = files.read(path)
    x, y = np.array([0.0, 1000.0]), np.array([3.0, 2000.0])
    np.testing.assert_allclose(np.array(again.pixel_to_sky(x, y).ra), np.array(wcs.pixel_to_sky(x, y).ra), rtol=1e-14)

    calib = PhotoCalib(1e6, 2e4)
    files.write(calib, path)
    assert files.read(path) == calib
    with fits.open(path) as hdus:
        assert hdus["PHOTOCALIB"].data["mean"][0] == 1e6

    files.write(GaussianPsf(21, 21, 1.7), path)
    psf = files.read(path)
    assert isinstance(psf, Psf)
    assert (psf.sigma, tuple(psf.dimensions)) == (1.7, (21, 21))

    box = Box2I(Point2I(3, 4), Extent2I(100, 50))
    background = Background(box, np.arange(6.0).reshape(2, 3), np.ones((2, 3)))
    files.write(background, path)
    np.testing.assert_array_equal(files.read(path).image().array, background.image().array)
    with pytest.raises(FileFormatError, match="no PhotoCalib"):
        files.read(path, "PhotoCalib")

    files.write(Filter("sdss_g", "g"), tmp_path / "filter.json")
    assert files.read(tmp_path / "filter.json", "Filter") == Filter("sdss_g", "g")


def test_a_newer_or_damaged_file_is_refused_in_a_line(tmp_path: Path):
    path = tmp_path / "calib.fits"
    files.write(PhotoCalib(1.0, 0.0), path)
    content = path.read_bytes()
    changes = {
        (b"CLSVERS =                    1", b"CLSVERS =                   99"): "version 99",
        (b"TTYPE1  = 'mean    '", b"TTYPE1  = 'meen    '"): "PHOTOCALIB.*mean",
        (b"SKYBUTLER VERSION = 1", b"SKYBUTLER VERSION = 9"): "version 9",
    }
    for (old, new), said in changes.items():
        assert old in content
        path.write_bytes(content.replace(old, new))
        with pytest.raises(FileFormatError, match=said):
            files.read(path)


def test_what_cannot_be_read_or_written_is_said(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        files.read(tmp_path / "nothing.fits")
    (tmp_path / "a.xyz").write_bytes(b"hello")
    with pytest.raises(FileFormatError, match=r"a\.xyz.*hello"):
        files.read(tmp_path / "a.xyz")
    with pytest.raises(StorageClassError, match=r"\.fits"):
        files.write(PhotoCalib(1.0, 0.0), tmp_path / "a.json")
    with pytest.raises(StorageClassError, match="no storage class"):
        files.write(object(), tmp_path / "a.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.xyz"]


def test_no_folder_is_made_that_may_be_misspelt(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"no folder '.*/nihgt' to write a.json into; make it first"):
        files.write({"a": 1}, tmp_path / "nihgt" / "a.json")
    assert list(tmp_path.iterdir()) == []


def test_a_formatter_of_ones_own_is_found_by_its_storage_class():
    class Shouting(Formatter):
        name = "shouting"
        suffix = ".loud"

        def write(self, obj, sink, storage_class, provenance):
            sink.write(obj.upper().encode())

        def read(self, path, storage_class, component, parameters):
            return path.read_text()

    register_formatter(Shouting(), "Shout")
    assert formatter_for(StorageClass("Shout", "builtins.str")) is formatter("shouting")
    with pytest.raises(StorageClassError, match="Shouts"):
        formatter_for(StorageClass("Shouts", "builtins.str"))
