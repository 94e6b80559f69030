"""Files that the lsst-images package wrote: frozen samples, and new ones where a Python that has it is named."""

import gzip
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from skybutler.imaging import Box2I, Exposure, Extent2I, GaussianPsf, Image, Mask, MaskedImage, PhotoCalib, Point2I
from skybutler.model.errors import FileFormatError
from skybutler.storage import files

DATA = Path(__file__).parent / "data"
PYTHON = "SKYBUTLER_LSST_IMAGES_PYTHON"


@pytest.fixture(params=["frozen", "live"])
def sample(request, tmp_path: Path) -> Callable[[str], Path]:
    """Give the path of a sample by its name."""
    if request.param == "frozen":
        return lambda name: DATA / f"lsst_{name}.fits.gz"
    python = os.environ.get(PYTHON)
    if not python:
        pytest.skip(f"{PYTHON} does not name a Python that has lsst-images[https]")
    subprocess.run([python, DATA / "make_lsst_images.py", tmp_path], check=True)
    return lambda name: tmp_path / f"{name}.fits"


def test_pixels_sky_and_metadata(sample):
    rng = np.random.default_rng(7)
    image = rng.normal(1000, 12, (48, 56)).astype("f4")
    masks = {
        name: rng.random((48, 56)) > limit for name, limit in (("SATURATED", 0.9), ("NO_DATA", 0.95), ("BAD", 0.97))
    }
    for name in ("masked_image", "visit_image"):
        exposure = files.read(sample(name))
        assert isinstance(exposure, Exposure)
        assert exposure.bbox == Box2I(Point2I(1000, 100), Extent2I(56, 48))
        np.testing.assert_array_equal(exposure.image.array, image)
        np.testing.assert_array_equal(exposure.variance.array, (image / 1.3).astype("f4"))
        for plane, expected in masks.items():
            np.testing.assert_array_equal(exposure.mask.array >> exposure.mask.plane_dict[plane] & 1, expected)
        sky = exposure.wcs.pixel_to_sky(1029.0, 119.0)
        assert (sky.ra.deg, sky.dec.deg) == (pytest.approx(150.0), pytest.approx(2.2))
        assert exposure.photo_calib == PhotoCalib(1.0)  # the pixels are nJy
    exposure = files.read(sample("masked_image"))
    assert (exposure.metadata["OBJECT"], exposure.metadata["seeing"]) == ("M13", 0.7)
    assert not {"FMTVER", "JSONADDR", "INDXADDR"} & set(exposure.metadata)
    box = Box2I(Point2I(1010, 110), Extent2I(5, 4))
    np.testing.assert_array_equal(files.read(sample("masked_image"), bbox=box).image.array, image[10:14, 10:15])


def test_components_of_a_visit_image(sample):
    path = sample("visit_image")
    exposure = files.read(path)
    assert isinstance(exposure.psf, GaussianPsf)
    assert (exposure.psf.sigma, exposure.psf.compute_kernel_image().dimensions) == (1.8, (21, 21))
    info = exposure.visit_info
    assert (info.id, info.begin, info.exposure_time, info.instrument) == (12, "2019-05-03T08:44:09", 30.0, "Cam")
    assert (info.air_temperature, info.air_pressure) == (pytest.approx(6.85), 78000.0)
    assert (exposure.filter.physical, exposure.filter.band) == ("sdss_r", "r")
    assert (exposure.detector.id, exposure.detector.name, exposure.detector.serial) == (3, "S03", "x7")
    assert exposure.ap_corr["base_PsfFlux"].coefficients.tolist() == [[1.0, 0.01], [0.02, 0.003]]
    assert exposure.summary_stats["nPsfStar"] == 0
    assert files.read(path, component="psf").sigma == 1.8
    assert files.read(path, component="background") is None


def test_a_later_layout_is_refused(tmp_path: Path):
    path = tmp_path / "later.fits"
    content = gzip.decompress((DATA / "lsst_masked_image.fits.gz").read_bytes())
    now, later = (f'{{"schema_version":"{n}.0.0","min_read_version":{n},'.encode() for n in (1, 2))
    path.write_bytes(content.replace(now, later, 1))
    with pytest.raises(FileFormatError, match="version 2 of its layout; up to 1"):
        files.read(path)


def test_lsst_images_reads_ours_as_it_reads_afw(tmp_path: Path):
    python = os.environ.get(PYTHON)
    if not python or not shutil.which(python):
        pytest.skip(f"{PYTHON} does not name a Python that has lsst-images[https]")
    image = Image(np.arange(12, dtype=np.float32).reshape(3, 4), xy0=(100, 50))
    mask = Mask(np.full((3, 4), 9, np.int32), xy0=(100, 50))
    for compression in (None, "gzip"):
        files.write(Exposure(MaskedImage(image, mask, image)), tmp_path / "ours.fits", compression=compression)
        code = (
            "import sys; from lsst.images import MaskedImage, MaskPlane; "
            "mi = MaskedImage.read_legacy(sys.argv[1], plane_map={n: MaskPlane(n, '') for n in ('BAD', 'CR')}); "
            "print(mi.image.array.sum(), mi.mask.get('CR').sum(), mi.bbox.x.start, mi.bbox.y.start)"
        )
        done = subprocess.run([python, "-c", code, tmp_path / "ours.fits"], capture_output=True, text=True, check=False)
        assert done.stdout.split() == ["66.0", "12", "100", "50"], done.stderr
