"""Planes by the names that observatories give them, in one file and in several."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from skybutler.imaging import Box2I, Extent2I, Image, Point2I
from skybutler.model.errors import FileFormatError, StorageClassError
from skybutler.storage import files


@pytest.fixture
def planes() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    weight = rng.random((20, 30)).astype(np.float32)
    weight[0, :3] = 0, -1, np.nan
    return {
        "image": rng.normal(size=(20, 30)).astype(np.float32),
        "mask": rng.integers(0, 9, (20, 30)).astype(np.int16),
        "weight": weight,
    }


def assert_an_exposure(found, planes, box=slice(None)):
    np.testing.assert_array_equal(found.image.array, planes["image"][box])
    np.testing.assert_array_equal(found.mask.array, planes["mask"][box])
    assert list(found.mask.plane_dict)[:4] == ["DQ0", "DQ1", "DQ2", "DQ3"]
    weight = planes["weight"][box]
    assert np.isinf(found.variance.array[~(weight > 0)]).all()
    np.testing.assert_allclose(found.variance.array[weight > 0], 1 / weight[weight > 0], rtol=1e-6)


def test_planes_of_one_file_by_their_names(tmp_path: Path, planes):
    path = tmp_path / "mef.fits"
    hdus = [fits.ImageHDU(planes["image"], name="SCI", ver=1), fits.ImageHDU(planes["mask"], name="DQ", ver=1)]
    hdus += [fits.ImageHDU(planes["image"] * 0, name="SCI", ver=2), fits.ImageHDU(planes["image"], name="WHT", ver=2)]
    hdus.append(fits.ImageHDU(planes["weight"], name="WHT", ver=1))
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)
    assert_an_exposure(files.read(path), planes)
    hdus[-1] = fits.ImageHDU(planes["weight"], name="ERR", ver=1)
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path, overwrite=True)
    np.testing.assert_allclose(files.read(path).variance.array, planes["weight"] ** 2)
    assert files.read(path, component="variance").dtype == np.float32


def test_planes_of_several_files(tmp_path: Path, planes):
    for role, array in planes.items():
        fits.ImageHDU(array).writeto(tmp_path / f"{role}.fits")
    named = {"mask": tmp_path / "mask.fits", "weight": tmp_path / "weight.fits"}
    assert_an_exposure(files.read(tmp_path / "image.fits", **named), planes)
    box = Box2I(Point2I(3, 5), Extent2I(10, 8))
    part = files.read(tmp_path / "image.fits", "MaskedImage", bbox=box, **named)
    assert_an_exposure(part, planes, (slice(5, 13), slice(3, 13)))
    with pytest.raises(StorageClassError, match=r"Image has no planes.*mask, weight"):
        files.read(tmp_path / "image.fits", "Image", **named)
    with pytest.raises(FileFormatError, match="integers"):
        files.read(tmp_path / "image.fits", mask=tmp_path / "weight.fits")
    files.write(Image(planes["image"][:5]), tmp_path / "short.fits")
    with pytest.raises(FileFormatError, match="the weight has"):
        files.read(tmp_path / "image.fits", weight=tmp_path / "short.fits")


def test_the_triples_of_noirlab_are_exposures(shared_data: Path):
    paths = sorted((shared_data / "decam").glob("*_ooi_*"))
    assert len(paths) == 3
    for path in paths:
        planes = {
            role: fits.getdata(path.with_name(path.name.replace("_ooi_", f"_oo{letter}_")))
            for role, letter in (("image", "i"), ("mask", "d"), ("weight", "w"))
        }
        assert_an_exposure(files.read(path), planes)
        assert files.read(path).wcs is not None


def test_a_stamp_of_gemini_has_its_variance(shared_data: Path):
    path = shared_data / "multi-extension" / "gmos_s_reduced_stamp_mef.fits"
    exposure = files.read(path)
    np.testing.assert_array_equal(exposure.variance.array, fits.getdata(path, "VAR"))
    assert not exposure.mask.array.any()
