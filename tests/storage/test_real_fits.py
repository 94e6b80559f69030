"""Real files: raw frames, and images that other programs wrote."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from skybutler.model.errors import FileFormatError
from skybutler.storage import files


def test_afw_exposures_of_every_version(shared_data: Path):
    for version in ("noversion", "version-0", "version-1", "version-2"):
        path = shared_data / "afw" / f"exposure-{version}.fits"
        exposure = files.read(path)
        np.testing.assert_array_equal(exposure.image.array.ravel(), np.arange(100))
        assert exposure.mask.array[5, 5] == 5
        assert (exposure.variance.array == 1).all()
        sky = exposure.wcs.pixel_to_sky(4.0, 4.0)
        assert (round(sky.ra.deg, 6), round(sky.dec.deg, 6)) == (30.0, 40.0)


def test_an_hsc_stamp_keeps_its_place_and_its_own_mask_planes(shared_data: Path):
    mi = files.read(shared_data / "afw" / "HSC-0908120-056-small.fits", "MaskedImage")
    assert tuple(mi.image.xy0) == (100, 100)
    assert mi.mask.plane_dict["CROSSTALK"] == 8
    assert mi.mask.plane_dict["UNMASKEDNAN"] == 10
    counts = {name: int((mi.mask.array >> bit & 1).sum()) for name, bit in mi.mask.plane_dict.items()}
    assert (counts["DETECTED"], counts["CROSSTALK"]) == (5390, 14)


def test_planes_without_an_empty_primary(shared_data: Path):
    mi = files.read(shared_data / "afw" / "parent.fits", "MaskedImage")
    assert mi.image.array.shape == (256, 256)
    assert (mi.variance.array == 1).all()
    alone = files.read(shared_data / "afw" / "small_MI_corrupt_img.fits", "MaskedImage")
    assert alone.image.array[0, 1] == 61
    assert not alone.mask.array.any()


def test_tables_that_afw_wrote(shared_data: Path):
    assert files.read(shared_data / "afw" / "sourceTable-v2.fits", "DataFrame").shape[0] == 3
    assert len(files.read(shared_data / "afw" / "ps1-refcat-v1.fits")) == 10


def test_a_raw_frame_begins_at_the_origin_whatever_its_physical_coordinates(shared_data: Path):
    for path in ("decam/c4d_170316_062107_ooi_z_ls9.N2.fits", "multi-extension/hst_stis_raw_mef.fits"):
        assert tuple(files.read(shared_data / path, component="xy0")) == (0, 0)
    assert "LTV1" in files.read(shared_data / "multi-extension" / "hst_stis_raw_mef.fits", component="metadata")


def test_compressed_and_plain_pixels_are_the_same(shared_data: Path):
    plain = files.read(shared_data / "afw" / "ticketdm26260.fits", "Image")
    packed = files.read(shared_data / "afw" / "ticketdm26260.fits.fz", "Image")
    np.testing.assert_array_equal(plain.array, packed.array)


def test_every_image_reads_as_astropy_reads_it(shared_data: Path):
    paths = [*shared_data.glob("multi-extension/*.fit*"), *shared_data.glob("decam/*.fit*")]
    paths += sorted(shared_data.glob("arcsat-m13/*.fz"))[::10]
    read = 0
    for path in paths:
        try:
            image = files.read(path, "Image")
        except FileFormatError:
            with pytest.raises(FileFormatError, match=r"no image|cut short|axes"):
                files.read(path, "Image")
            continue
        read += 1
        with fits.open(path) as hdus:
            expected = next(hdu.data for hdu in hdus if hdu.data is not None and hdu.is_image)
            np.testing.assert_array_equal(image.array, expected)
            assert image.dtype == expected.dtype.newbyteorder("=")
    assert read >= 5


def test_a_raw_frame_as_an_exposure(shared_data: Path):
    exposure = files.read(shared_data / "arcsat-m13" / "M13_sdss_g_20190503_090311.fits.fz")
    assert exposure.image.array.dtype == np.uint16
    assert exposure.image.array.shape == (1024, 1024)
    assert exposure.metadata["FILTER"]
    assert "NAXIS" not in exposure.metadata
    assert "ZCMPTYPE" not in exposure.metadata
    sky = exposure.wcs.pixel_to_sky(511.5, 511.5)
    assert abs(sky.ra.deg - 250.4) < 0.3
    assert not exposure.mask.array.any()
