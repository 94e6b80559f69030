"""Pictures without a plotting library: stretches, colours of planes, thumbnails."""

import struct
import zlib

import numpy as np
import pytest

from skybutler.imaging import Image, Mask, MaskSchema, display
from skybutler.imaging.display import PlaneColours, Stretch


def read_png(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Return colour numbers, the first row at the top, and the palette of a PNG with one."""
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, position = {}, 8
    while position < len(content):
        (length,) = struct.unpack_from(">I", content, position)
        kind = content[position + 4 : position + 8]
        chunks[kind] = content[position + 8 : position + 8 + length]
        (checksum,) = struct.unpack_from(">I", content, position + 8 + length)
        assert checksum == zlib.crc32(kind + chunks[kind])
        position += length + 12
    width, height, depth, colour = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert (depth, colour) == (8, 3)
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not rows[:, 0].any()
    return rows[:, 1:], np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)


def test_stretches_go_from_0_to_1():
    ramp = np.arange(10000.0).reshape(100, 100)
    for stretch in ("zscale", "asinh"):
        bright = display.stretched(ramp, stretch)
        assert (bright.min(), bright.max()) == (0.0, 1.0)
        assert np.all(np.diff(bright.ravel()) >= 0)
    assert display.stretched(ramp, "asinh")[50, 0] > 0.6 > display.stretched(ramp, "zscale")[50, 0]
    assert np.isnan(display.stretched(np.array([[np.nan, 1.0], [2.0, 3.0]]))[0, 0])
    assert np.isnan(display.stretched(np.full((2, 2), np.nan))).all()
    np.testing.assert_array_equal(display.stretched(np.ones((4, 4)), "zscale"), 0.5)
    with pytest.raises(ValueError, match="no stretch 'log'"):
        display.stretched(ramp, "log")


def test_a_stretch_and_its_inverse():
    linear = Stretch(10.0, 30.0)
    np.testing.assert_array_equal(linear.brightness([10, 15, 30, 50]), [0.0, 0.25, 1.0, 2.0])
    np.testing.assert_array_equal(linear.values([0.0, 0.25, 1.0]), [10, 15, 30])
    curved = Stretch(10.0, 110.0, 5.0)
    np.testing.assert_allclose(
        curved.brightness([10, 60, 110]), [0.0, np.arcsinh(10) / np.arcsinh(20), 1.0], rtol=1e-14
    )
    np.testing.assert_allclose(curved.values(curved.brightness([10, 11, 60, 110])), [10, 11, 60, 110], rtol=1e-14)


def test_zscale_is_that_of_iraf():
    from astropy.visualization import ZScaleInterval

    pixels = np.random.default_rng(3).normal(500, 12, (300, 200)).astype(np.float32)
    low, high = ZScaleInterval().get_limits(pixels)
    found = Stretch.of(pixels, "zscale")
    np.testing.assert_allclose([found.low, found.high], [low, high], rtol=1e-6)


def test_an_image_of_few_values_is_seen_all_the_same():
    pixels = np.zeros((50, 50), dtype=np.int32)
    pixels[7, 9] = 5
    bright = display.stretched(pixels, "zscale")
    assert bright[7, 9] == 1.0
    assert bright.sum() == 1.0


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "uint16", "int64", "uint64", "float16", ">f4", "float64"])
def test_thumbnails_of_any_pixels(dtype):
    picture = display.thumbnail((np.arange(12).reshape(3, 4) % 2).astype(dtype))
    indices, palette = read_png(picture.png)
    np.testing.assert_array_equal(palette[indices][..., 0][::-1], np.arange(12).reshape(3, 4) % 2 * 255)
    assert (picture.width, picture.height) == (224, 168)


@pytest.mark.parametrize(
    "pixels",
    [
        np.full((3, 5), np.nan),
        np.full((3, 5), np.inf),
        np.ones((1, 1)),
        np.array([[1e308, -1e308], [np.inf, 0.0]]),
        np.full((2, 2), 5e-324),
        np.array([[0.0, 5e-324]]),
        np.ones((1, 3000)),
    ],
)
def test_thumbnails_of_odd_pixels(pixels):
    assert read_png(display.thumbnail(pixels).png)[0].ndim == 2
    image = Image(pixels)
    assert "data:image/png" in image._repr_html_()


def test_no_pixels_are_no_picture():
    assert display.thumbnail(np.zeros((0, 0))) is None
    assert display.thumbnail(np.zeros((0, 5), np.float32)) is None
    assert "<img" not in Image(np.zeros((5, 0)))._repr_html_()
    assert "<img" not in Mask(np.zeros((0, 0), np.int32))._repr_html_()


def test_the_first_row_of_a_thumbnail_is_at_the_bottom():
    pixels = np.zeros((4, 4))
    pixels[0, 3] = 1.0
    indices, palette = read_png(display.thumbnail(pixels).png)
    np.testing.assert_array_equal(np.argwhere(palette[indices][..., 0] == 255), [[3, 3]])


def test_a_mask_is_on_white_in_the_colours_of_its_planes():
    bits = np.zeros((4, 4), np.int32)
    bits[0, 0], bits[1, 1] = 1, 2  # BAD, SAT
    picture = display.thumbnail(None, bits, MaskSchema.default())
    indices, palette = read_png(picture.png)
    rgb = palette[indices][::-1]
    assert picture.legend == {"BAD": "#cc1a00", "SAT": "#00804d"}
    assert rgb[0, 0].tolist() == [0xCC, 0x1A, 0x00]
    assert rgb[1, 1].tolist() == [0x00, 0x80, 0x4D]
    assert rgb[2:].min() == 255


def test_nothing_flagged_gets_lost_in_a_small_picture():
    bits = np.zeros((1000, 700), np.int32)
    bits[-1, -1] = 8
    small = display.reduced_mask(bits, 7)
    assert small.shape == (143, 100)
    assert np.argwhere(small).tolist() == [[142, 99]]
    picture = display.thumbnail(np.zeros(bits.shape, np.float32), bits, MaskSchema.default())
    indices, _ = read_png(picture.png)
    assert (indices[0] >= 32).sum() == 1
    assert (indices[1:] < 32).all()


def test_where_planes_overlap_the_rarest_is_seen():
    schema = MaskSchema.from_dict({"WIDE": 0, "RARE": 1, "UNSET": 2})
    bits = np.array([[1, 1, 3], [1, 0, 0]], np.uint8)
    planes = PlaneColours.of(bits, schema)
    assert [plane.name for plane in planes.planes] == ["WIDE", "RARE"]
    np.testing.assert_array_equal(planes.index, [[1, 1, 2], [1, 0, 0]])
    assert PlaneColours.of(bits, schema, ["WIDE"]).index.tolist() == [[1, 1, 1], [1, 0, 0]]
    with pytest.raises(ValueError, match="no mask plane 'WID'"):
        PlaneColours.of(bits, schema, ["WID"])


def test_of_many_planes_the_rarest_seven_are_in_a_thumbnail():
    schema = MaskSchema.from_dict({f"P{bit}": bit for bit in range(10)})
    bits = np.zeros((10, 20), np.int32)
    for bit in range(10):
        bits[bit, : 20 - bit] = 1 << bit  # P9 in the fewest pixels
    picture = display.thumbnail(np.zeros(bits.shape), bits, schema)
    assert list(picture.legend) == [f"P{bit}" for bit in range(3, 10)]
    indices, palette = read_png(picture.png)
    assert len(palette) == 256
    assert sorted(set((indices // 32).ravel())) == list(range(8))
    assert (indices[::-1][:3] // 32 == 0).all()


def test_a_thumbnail_of_noise_is_small():
    noise = np.random.default_rng(1).uniform(0, 1, (224, 224))
    html = Image(noise)._repr_html_()
    assert 20_000 < len(html) < 50_000


def test_a_thumbnail_shows_the_means_of_cells():
    pixels = np.zeros((448, 448))
    pixels[100:102, 200:202] = 4.0
    pixels[102, 200] = np.nan  # left out of the mean of its cell
    small = display._reduced(pixels, *display._cell(448))
    assert small.shape == (224, 224)
    assert small[50, 100] == 4.0
    assert np.count_nonzero(small) == 1
    assert display._cell(225) == (2, 1)
    assert display._cell(4096) == (20, 4)
