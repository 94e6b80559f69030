"""To and from astropy's CCDData and NDData: what is shared, what survives."""

import numpy as np
import pytest
from astropy import units as u
from astropy.nddata import (
    CCDData,
    FlagCollection,
    InverseVariance,
    NDData,
    NDDataArray,
    StdDevUncertainty,
    UnknownUncertainty,
    VarianceUncertainty,
)

from skybutler.imaging import (
    Exposure,
    GaussianPsf,
    Header,
    Image,
    Mask,
    MaskedImage,
    MaskSchema,
    Wcs,
)


@pytest.fixture
def exposure():
    rng = np.random.default_rng(2)
    image = Image(rng.normal(100, 5, (6, 8)).astype(np.float32), (100, 50))
    mask = Mask(
        np.zeros((6, 8), np.int32),
        MaskSchema.from_dict({"SAT": 1, "DETECTED": 5, "MINE": 7}),
        (100, 50),
    )
    mask[101, 51], mask[102, 52], mask[103, 53] = "SAT", "DETECTED", ["MINE", "DETECTED"]
    variance = Image(rng.uniform(1, 2, (6, 8)).astype(np.float32), (100, 50))
    header = Header([("BUNIT", "electron", "of the pixels"), ("OBSERVER", "me"), ("LONG KEYWORD", 5)])
    wcs = Wcs.make_tan((104.0, 53.0), (30.0, 40.0), [[-1e-4, 1e-6], [1e-6, 1e-4]])
    return Exposure(MaskedImage(image, mask, variance), wcs, metadata=header, psf=GaussianPsf(21, 21, 2.0))


def test_a_ccddata_shares_image_variance_and_flags(exposure):
    ccd = exposure.to_ccddata()
    assert np.shares_memory(ccd.data, exposure.image.array)
    assert isinstance(ccd.uncertainty, VarianceUncertainty)
    assert np.shares_memory(ccd.uncertainty.array, exposure.variance.array)
    assert np.shares_memory(ccd.flags, exposure.mask.array)
    assert ccd.unit == u.electron
    assert np.argwhere(ccd.mask).tolist() == [[1, 1], [3, 3]]  # DETECTED alone is nothing bad


def test_its_wcs_is_of_the_arrays_own_pixels(exposure):
    ccd = exposure.to_ccddata()
    here, there = exposure.wcs.pixel_to_sky(101.5, 52.0), ccd.wcs.pixel_to_world(1.5, 2.0)
    assert here.separation(there).arcsec < 1e-9


def test_its_meta_say_what_the_header_says_and_the_planes(exposure):
    meta = exposure.to_ccddata().meta
    assert (meta["OBSERVER"], meta["LONG KEYWORD"], meta["LTV1"], meta["LTV2"]) == ("me", 5, -100, -50)
    assert {key: meta[key] for key in meta if key.startswith("MP_")} == {"MP_SAT": 1, "MP_DETECTED": 5, "MP_MINE": 7}


def test_there_and_back_is_the_same(exposure):
    again = Exposure.from_ccddata(exposure.to_ccddata())
    for mine, theirs in zip(exposure.masked_image.arrays, again.masked_image.arrays, strict=True):
        assert np.shares_memory(mine, theirs)
    assert again.bbox == exposure.bbox
    assert again.mask.schema == exposure.mask.schema
    assert again.wcs.pixel_to_sky(103, 54).separation(exposure.wcs.pixel_to_sky(103, 54)).arcsec < 1e-9
    assert again.metadata.cards == exposure.metadata.cards


def test_which_planes_are_bad_can_be_said(exposure):
    assert np.argwhere(exposure.to_ccddata(bad=["DETECTED"]).mask).tolist() == [[2, 2], [3, 3]]
    assert not exposure.to_ccddata(bad=()).mask.any()
    with pytest.raises(ValueError, match="no mask plane 'SAD'"):
        exposure.to_ccddata(bad=["SAD"])


def test_units(exposure):
    assert exposure.to_ccddata("nJy").unit == u.nJy
    del exposure.metadata["BUNIT"]
    assert exposure.to_ccddata().unit == u.adu
    assert Exposure.from_ccddata(CCDData(np.zeros((2, 2)), unit="nJy")).metadata["BUNIT"] == "nJy"
    exposure.metadata["BUNIT"] = "furlongs"
    with pytest.raises(ValueError, match="furlongs"):
        exposure.to_ccddata()


def test_a_ccddata_goes_on_in_astropy(exposure, tmp_path):
    path = tmp_path / "ccd.fits"
    exposure.to_ccddata().write(path)
    read = Exposure.from_ccddata(CCDData.read(path))
    np.testing.assert_array_equal(read.image.array, exposure.image.array)
    np.testing.assert_array_equal(read.variance.array, exposure.variance.array)
    assert read.bbox == exposure.bbox
    assert read.wcs.pixel_to_sky(103, 54).separation(exposure.wcs.pixel_to_sky(103, 54)).arcsec < 1e-6
    assert read.mask.as_string(101, 51) == read.mask.as_string(103, 53) == "BAD"  # files keep no flags
    assert exposure.to_ccddata().multiply(2.0).uncertainty.array[0, 0] == 4 * exposure.variance.array[0, 0]


@pytest.mark.parametrize(
    ("uncertainty", "variance"),
    [
        (StdDevUncertainty(np.array([[2.0, 3.0]])), [4.0, 9.0]),
        (InverseVariance(np.array([[0.25, 4.0]])), [4.0, 0.25]),
        (VarianceUncertainty(np.array([[5.0, 6.0]])), [5.0, 6.0]),
        (StdDevUncertainty(np.array([[2.0, 3.0]]), unit=u.Unit("1000 adu")), [4e6, 9e6]),
        (None, [0.0, 0.0]),
    ],
)
def test_any_uncertainty_becomes_a_variance(uncertainty, variance):
    made = Exposure.from_ccddata(CCDData(np.zeros((1, 2)), unit="adu", uncertainty=uncertainty))
    assert made.variance.array.tolist() == [pytest.approx(variance)]


def test_an_unknown_uncertainty_is_refused():
    with pytest.raises(ValueError, match="of the kind 'unknown', which is no variance"):
        MaskedImage.from_nddata(NDData(np.zeros((2, 2)), uncertainty=UnknownUncertainty(np.ones((2, 2)))))


def test_a_boolean_mask_becomes_the_plane_bad():
    data = NDData(np.arange(4.0).reshape(2, 2), mask=np.array([[True, False], [False, True]]))
    made = MaskedImage.from_nddata(data)
    assert np.shares_memory(made.image.array, data.data)
    assert made.mask.schema == MaskSchema.default()
    assert made.mask.array.tolist() == [[1, 0], [0, 1]]


def test_flags_without_names_are_numbered_and_stay_as_they_are():
    flags = np.array([[1, 8], [0, 0]], np.uint8)
    data = NDDataArray(np.zeros((2, 2)), flags=flags, mask=np.array([[True, True], [True, False]]))
    made = MaskedImage.from_nddata(data)
    assert made.mask.plane_dict == {"FLAG_0": 0, "BAD": 1, "FLAG_3": 3}
    assert made.mask.array.tolist() == [[1, 8], [2, 0]]  # only what no flag explains is BAD
    assert flags.tolist() == [[1, 8], [0, 0]]
    assert np.shares_memory(MaskedImage.from_nddata(NDDataArray(np.zeros((2, 2)), flags=flags)).mask.array, flags)


def test_a_collection_of_flags_is_a_plane_each():
    flags = FlagCollection(shape=(1, 3))
    flags["HOT"], flags["COLD"] = np.array([[True, False, False]]), np.array([[True, True, False]])
    made = MaskedImage.from_nddata(NDDataArray(np.zeros((1, 3)), flags=flags))
    assert made.mask.plane_dict == {"HOT": 0, "COLD": 1}
    assert made.mask.array.tolist() == [[3, 2, 0]]
    with pytest.raises(TypeError, match="not float64"):
        MaskedImage.from_nddata(NDDataArray(np.zeros((1, 3)), flags=np.zeros((1, 3))))


def test_a_masked_image_as_nddata_and_back(exposure):
    masked = exposure.masked_image
    data = masked.to_nddata()
    assert isinstance(data, NDDataArray)
    assert np.shares_memory(data.data, masked.image.array)
    again = MaskedImage.from_nddata(data)
    assert again.bbox == masked.bbox
    assert again.mask.schema == masked.mask.schema
    for mine, theirs in zip(masked.arrays, again.arrays, strict=True):
        assert np.shares_memory(mine, theirs)


def test_data_of_other_dimensions_are_refused():
    with pytest.raises(ValueError, match=r"two dimensions, and the data 3, \(2, 2, 2\)"):
        MaskedImage.from_nddata(NDData(np.zeros((2, 2, 2))))


def test_meta_of_any_kind_come_along():
    ccd = CCDData(np.zeros((2, 2)), unit="adu", meta={"exptime": 5.0, "steps": ["bias", "flat"], "LTV1": "?"})
    made = Exposure.from_ccddata(ccd)
    assert made.metadata["EXPTIME"] == 5.0
    assert made.metadata["STEPS"] == "['bias', 'flat']"
    assert made.bbox.min == (0, 0)


def test_a_wcs_that_is_not_of_the_sky_is_left_out():
    from astropy.wcs import WCS

    linear = WCS(naxis=2)
    linear.wcs.ctype = ["LINEAR", "LINEAR"]
    assert Exposure.from_ccddata(CCDData(np.zeros((2, 2)), unit="adu", wcs=linear)).wcs is None


def test_numpy_sees_the_pixels_of_an_image_without_a_copy():
    image = Image(np.arange(6, dtype=np.float32).reshape(2, 3))
    assert np.asarray(image) is image.array
    assert np.shares_memory(np.asarray(image, dtype=np.float32), image.array)
    assert np.asarray(image, dtype=np.float64).dtype == np.float64
    assert not np.shares_memory(np.array(image), image.array)
    assert not np.shares_memory(np.array(image, copy=True), image.array)
    assert np.median(image) == 2.5
    with pytest.raises(ValueError, match="cannot be seen as"):
        np.array(image, dtype=np.int64, copy=False)
    assert np.asarray(Mask(np.zeros((2, 2), np.int32))).dtype == np.int32


@pytest.mark.parametrize("kind", [MaskedImage, Exposure])
def test_numpy_is_told_which_of_three_planes_it_could_mean(kind):
    some = kind(MaskedImage.full((3, 2), 1.0)) if kind is Exposure else MaskedImage.full((3, 2), 1.0)
    with pytest.raises(TypeError, match=r"write \.image\.array"):
        np.asarray(some)
