"""Images, masks, masked images and components as FITS: what comes back, and what astropy sees."""

import gzip
import io
import math
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from skybutler.imaging import LOCAL, Box2I, Extent2I, Image, Mask, MaskedImage, MaskSchema, Point2I
from skybutler.imaging.header import Header
from skybutler.model.errors import FileFormatError, StorageClassError
from skybutler.storage import files
from skybutler.storage.formatters.fits_cards import card_text
from skybutler.storage.formatters.fits_file import FitsFile
from skybutler.storage.formatters.fits_table import read_component, write_component

BOX = Box2I(Point2I(100, 50), Extent2I(6, 4))


def a_masked_image() -> MaskedImage:
    rng = np.random.default_rng(1)
    image = Image(rng.normal(size=(4, 6)).astype(np.float32), xy0=(100, 50))
    schema = MaskSchema.from_dict({"BAD": 0, "GHOST": 7, "DETECTED_NEGATIVE": 3}, {"GHOST": "a reflection"})
    mask = Mask(rng.integers(0, 255, (4, 6), dtype=np.int32) & 0x89, schema, (100, 50))
    return MaskedImage(image, mask, Image(image.array**2, xy0=(100, 50)))


def assert_equal(one: MaskedImage, other: MaskedImage):
    for plane in ("image", "mask", "variance"):
        mine, theirs = getattr(one, plane), getattr(other, plane)
        assert mine.bbox == theirs.bbox
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine.array, theirs.array)
    assert one.mask.plane_dict == other.mask.plane_dict


def test_masked_images_round_trip_whole_and_in_parts(tmp_path: Path):
    path = tmp_path / "mi.fits"
    whole = a_masked_image()
    files.write(whole, path)
    again = files.read(path)
    assert isinstance(again, MaskedImage)
    assert_equal(again, whole)
    assert {plane.name: plane.doc for plane in again.mask.schema}["GHOST"] == "a reflection"
    box = Box2I(Point2I(101, 51), Extent2I(3, 2))
    assert_equal(files.read(path, bbox=box), whole[box])
    assert_equal(files.read(path, bbox=Box2I(Point2I(1, 1), Extent2I(3, 2)), origin=LOCAL), whole[box])
    assert files.read(path, "Image", bbox=box).bbox == box
    assert files.read(path, "Mask").bbox == BOX
    assert files.read(path, component="variance", bbox=box).array.tolist() == whole[box].variance.array.tolist()
    assert files.read(path, component="bbox") == BOX
    assert files.read(path, component="xy0") == BOX.min
    assert files.read(path, component="dimensions") == BOX.dimensions
    with pytest.raises(IndexError, match="not within"):
        files.read(path, bbox=Box2I(Point2I(0, 0), Extent2I(3, 2)))
    with pytest.raises(StorageClassError, match=r"varianc'.*'variance'"):
        files.read(path, component="varianc")


def test_what_is_written_opens_in_astropy_as_everyone_expects(tmp_path: Path):
    path = tmp_path / "mi.fits"
    whole = a_masked_image()
    files.write(whole, path)
    with fits.open(path) as hdus:
        hdus.verify("exception")
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "IMAGE", "MASK", "VARIANCE"]
        assert hdus["MASK"].header["EXTTYPE"] == "MASK"
        assert hdus["MASK"].header["MP_GHOST"] == 7
        assert hdus["MASK"].header["MP_DETECTED_NEGATIVE"] == 3
        assert (hdus["IMAGE"].header["LTV1"], hdus["IMAGE"].header["LTV2"]) == (-100, -50)
        assert WCS(hdus["IMAGE"].header, key="A").all_pix2world([[0, 0]], 0).tolist() == [[100, 50]]
        np.testing.assert_array_equal(hdus["IMAGE"].data, whole.image.array)
        np.testing.assert_array_equal(hdus["MASK"].data, whole.mask.array)


@pytest.mark.parametrize("dtype", ["u1", "i1", "<i2", ">i2", "u2", "i4", "u4", "i8", "u8", "f4", ">f8"])
@pytest.mark.parametrize("shape", [(3, 5), (0, 0), (1, 3000)])
def test_pixels_of_every_type_come_back_as_they_were(tmp_path: Path, dtype, shape):
    path = tmp_path / "image.fits"
    array = np.arange(math.prod(shape), dtype=dtype).reshape(shape)
    if array.size:
        array[0, 0], array[0, -1] = (
            (np.iinfo(dtype).min, np.iinfo(dtype).max) if array.dtype.kind in "iu" else (np.nan, -np.inf)
        )
    files.write(Image(array), path)
    again = files.read(path)
    assert isinstance(again, Image)
    assert again.dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(again.array, array)
    if array.size:
        np.testing.assert_array_equal(fits.getdata(path, 1), array)


def test_a_view_is_written_as_what_it_shows(tmp_path: Path):
    image = Image(np.arange(48, dtype=np.uint16).reshape(6, 8))
    view = image[2:5, 1:4]
    files.write(view, tmp_path / "view.fits")
    again = files.read(tmp_path / "view.fits")
    assert again.bbox == view.bbox
    assert again.array.tolist() == view.array.tolist()
    with pytest.raises(StorageClassError, match="float16"):
        files.write(Image(np.zeros((2, 2), np.float16)), tmp_path / "half.fits")
    assert not (tmp_path / "half.fits").exists()


def test_files_that_are_no_fits_or_cut_short_are_told_in_a_line(tmp_path: Path):
    path = tmp_path / "image.fits"
    files.write(Image(np.zeros((100, 100), np.float32)), path)
    content = path.read_bytes()
    cases = {
        b"": "empty", b"hello": "not a FITS file", content[:100]: "cut short", content[:2880]: "no image",
        content[: len(content) // 2]: "cut short", b"\x1f\x8bnot gzip": "damaged",
        content.replace(b"BITPIX  =                  -32", b"BITPIX  =                  -33"): "BITPIX",
    }  # fmt: skip
    for broken, said in cases.items():
        path.write_bytes(broken)
        with pytest.raises(FileFormatError, match=said) as caught:
            files.read(path, "Image")
        assert "\n" not in str(caught.value)
        assert "image.fits" in str(caught.value)


def test_a_plain_compressed_or_gzipped_image_is_read_as_it_is_stored(tmp_path: Path):
    raw = np.arange(6000, dtype=np.uint16).reshape(60, 100)
    primary = fits.PrimaryHDU(header=fits.Header([("OBJECT", "M13", "target"), ("EXPTIME", 1.0)]))
    extension = fits.ImageHDU(raw, fits.Header([("EXPTIME", 2.5), ("GAIN", 1.3)]), name="CCD1")
    plain = tmp_path / "raw.fits"
    fits.HDUList([primary, extension]).writeto(plain)
    (tmp_path / "raw.fits.gz").write_bytes(gzip.compress(plain.read_bytes()))
    packed = fits.CompImageHDU(raw, extension.header, compression_type="RICE_1", name="CCD1")
    fits.HDUList([primary, packed]).writeto(tmp_path / "raw.fits.fz")
    (tmp_path / "both.fits.gz").write_bytes(gzip.compress((tmp_path / "raw.fits.fz").read_bytes()))
    box = Box2I(Point2I(10, 5), Extent2I(7, 3))
    for name in ("raw.fits", "raw.fits.gz", "raw.fits.fz", "both.fits.gz"):
        image = files.read(tmp_path / name, "Image")
        assert image.dtype == np.uint16
        assert image.dtype.isnative
        np.testing.assert_array_equal(image.array, raw)
        np.testing.assert_array_equal(files.read(tmp_path / name, "Image", bbox=box).array, raw[5:8, 10:17])
        metadata = files.read(tmp_path / name, "Exposure", component="metadata")
        assert {key: metadata[key] for key in metadata} == {
            "OBJECT": "M13", "EXPTIME": 2.5, "GAIN": 1.3, "EXTNAME": "CCD1",
        }  # fmt: skip
        assert metadata.comments["OBJECT"] == "target"
        assert not files.read(tmp_path / name, "Exposure", component="mask").array.any()


def test_scaled_integers_become_the_numbers_that_they_mean(tmp_path: Path):
    hdu = fits.PrimaryHDU(np.array([[1, 2], [3, -1]], np.int16))
    hdu.header.update(BSCALE=0.5, BZERO=10.0, BLANK=-1)
    header = hdu.header.tostring().encode()
    data = np.array([[1, 2], [3, -1]], ">i2").tobytes().ljust(2880, b"\0")
    (tmp_path / "scaled.fits").write_bytes(header + data)
    image = files.read(tmp_path / "scaled.fits", "Image")
    np.testing.assert_array_equal(image.array, np.array([[10.5, 11.0], [11.5, np.nan]], np.float32))


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**30), 10**30), st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=200).map(str.rstrip),
)  # fmt: skip


@given(
    st.from_regex(r"[A-Z][A-Z0-9_-]{0,7}", fullmatch=True).filter(lambda key: key not in {"COMMENT", "HISTORY", "END"}),
    VALUES,
)
def test_cards_read_back_the_same_by_ourselves_and_by_astropy(key, value):
    text = card_text(key, value, "a comment")
    assert len(text) % 80 == 0
    from skybutler.instruments.headers import parse_cards

    assert parse_cards(text)[0][:2] == (key, value)
    seen = fits.Header.fromstring(text)[key]
    assert seen == value or (value is None and isinstance(seen, fits.card.Undefined))


CONTENT = st.dictionaries(
    st.from_regex(r"[a-z_]{1,12}", fullmatch=True),
    st.recursive(
        st.one_of(
            st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False), st.text(max_size=20),
            npst.arrays(st.sampled_from(["f8", "f4", "i2", "u2", "i4", "u8", "i1", "?", "c16"]),
                        npst.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3)),
        ),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text("ab/", max_size=3), inner, max_size=3)),  # noqa: E501
        max_leaves=5,
    ),
    max_size=5,
)  # fmt: skip


def same(one, other) -> bool:
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and one.dtype == other.dtype and np.array_equal(one, other, equal_nan=True)
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


@settings(deadline=None, max_examples=60)
@given(CONTENT)
def test_any_content_of_a_component_survives(tmp_path_factory, content):
    sink = io.BytesIO()
    sink.write(
        (card_text("SIMPLE", True) + card_text("BITPIX", 8) + card_text("NAXIS", 0) + "END").ljust(2880).encode()
    )
    write_component(sink, "THING", content, [])
    path = tmp_path_factory.mktemp("component") / "a.fits"
    path.write_bytes(sink.getvalue())
    with FitsFile(path) as file:
        again = read_component(file[1], path)
    assert same(again, content)
    fits.open(path, memmap=False).close()


def test_headers_alone_keep_even_what_fits_cannot_hold(tmp_path: Path):
    header = Header([("OBJECT", "M13", "target"), ("LONGKEYWORD", 1.5, ""), ("ESO DET ID", "x" * 20, "")])
    header.add_history("one line")
    files.write(header, tmp_path / "header.fits")
    assert files.read(tmp_path / "header.fits").cards == header.cards
