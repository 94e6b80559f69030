"""Tile-compressed images: every pixel comes back, from us, astropy and cfitsio; parts are read by their tiles alone."""

import multiprocessing
import shutil
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from skybutler.imaging import Box2I, Exposure, Extent2I, Image, Mask, MaskedImage, Point2I
from skybutler.model.errors import FileFormatError, StorageClassError
from skybutler.storage import files
from skybutler.storage.formatters import fits_tiles

DTYPES = ["u1", "i1", "i2", ">i2", "u2", "i4", "u4", "i8", "u8", "f4", ">f4", "f8"]
SHAPES = [(0, 0), (1, 1), (1, 3000), (3000, 1), (300, 517), (256, 256)]


def pixels(dtype: str, shape: tuple[int, int]) -> np.ndarray:
    """Half noise, half flat; all that floating point has besides numbers."""
    rng = np.random.default_rng(5)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        array = rng.normal(100, 5, shape).astype(dtype)
        for place, value in enumerate((np.nan, np.inf, -np.inf, -0.0)[: array.size]):
            array.flat[place] = value
        return array
    low, high = np.iinfo(kind).min, np.iinfo(kind).max
    array = rng.integers(low, high, shape, dtype=kind.newbyteorder("="), endpoint=True).astype(dtype)
    array[shape[0] // 2 :] = 3
    return array


def assert_bits(found: np.ndarray, given: np.ndarray) -> None:
    native = given.dtype.newbyteorder("=")
    assert found.dtype.newbyteorder("=") == native
    assert found.astype(native).tobytes() == given.astype(native).tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_bit_comes_back_from_us_and_from_astropy(tmp_path: Path, dtype, shape):
    given = pixels(dtype, shape)
    path = tmp_path / "image.fits"
    files.write(Image(given), path, compression="gzip")
    assert_bits(files.read(path).array, given)
    if given.size:
        assert_bits(fits.getdata(path, 1), given)
        assert fits.getheader(path, 1)["EXTNAME"] == "IMAGE"


@pytest.mark.skipif(shutil.which("funpack") is None, reason="funpack is not installed (Debian: libcfitsio-bin)")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("compression", ["gzip", "rice"])
def test_every_bit_comes_back_from_cfitsio(tmp_path: Path, dtype, compression):
    for number, shape in enumerate([(1, 1), (300, 517)]):
        given, path, plain = pixels(dtype, shape), tmp_path / f"{number}.fits", tmp_path / f"{number}-plain.fits"
        files.write(Image(given), path, compression=compression)
        done = subprocess.run(["funpack", "-O", plain, path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        found = fits.getdata(plain, 1)
        if compression == "gzip" or given.dtype.kind in "iu":
            assert_bits(found, given)
        else:
            mine = files.read(path).array
            np.testing.assert_allclose(
                np.where(np.isfinite(given), found, 0), np.where(np.isfinite(given), mine, 0), 1e-6
            )


@pytest.mark.skipif(shutil.which("fitsverify") is None, reason="fitsverify is not installed (Debian: ftools-fv)")
@pytest.mark.parametrize("compression", ["gzip", "rice"])
def test_fitsverify_finds_no_error(tmp_path: Path, compression):
    for dtype in ("u2", "i1", "f4", "f8"):
        path = tmp_path / "image.fits"
        given = MaskedImage(Image(pixels(dtype, (300, 517)), xy0=(7, -3)))
        files.write(Exposure(given), path, compression=compression)
        done = subprocess.run(["fitsverify", "-e", "-q", path], capture_output=True, text=True, check=False)
        assert "verification OK" in done.stdout, done.stdout


def a_masked_image() -> MaskedImage:
    rng = np.random.default_rng(2)
    image = Image(rng.normal(1000, 12, (700, 900)).astype(np.float32), xy0=(100, 50))
    mask = Mask((rng.random((700, 900)) > 0.99).astype(np.int32), xy0=(100, 50))
    return MaskedImage(image, mask, Image(image.array / 1.3, xy0=(100, 50)))


@pytest.mark.parametrize("compression", ["gzip", "rice"])
def test_a_box_reads_only_the_tiles_that_it_touches(tmp_path: Path, monkeypatch, compression):
    given, path = a_masked_image(), tmp_path / "mi.fits"
    files.write(given, path, compression=compression)
    whole = files.read(path)
    if compression == "gzip":
        np.testing.assert_array_equal(whole.image.array, given.image.array)
    np.testing.assert_array_equal(whole.mask.array, given.mask.array)
    assert np.abs(whole.image.array - given.image.array).max() < 12 / 16
    sizes: list[int] = []
    real = fits_tiles._unpacker()
    monkeypatch.setattr(fits_tiles, "_unpacker", lambda: lambda packed, size: sizes.append(size) or real(packed, size))
    for corner, extent in (((100, 50), (1, 1)), ((350, 300), (30, 20)), ((999, 749), (1, 1)), ((100, 50), (900, 3))):
        box = Box2I(Point2I(*corner), Extent2I(*extent))
        part = files.read(path, bbox=box)
        assert part.bbox == box
        np.testing.assert_array_equal(part.image.array, whole.image[box].array)
        np.testing.assert_array_equal(part.mask.array, whole.mask[box].array)
    if compression == "gzip":
        assert len(sizes) == 3 * (1 + 4 + 1 + 4)
    assert files.read(path, bbox=Box2I()).dimensions == (0, 0)
    assert files.read(path, component="bbox") == given.bbox


@pytest.mark.parametrize("method", ["GZIP_1", "GZIP_2", "RICE_1", "NOCOMPRESS", "HCOMPRESS_1", "PLIO_1"])
@pytest.mark.parametrize("dtype", ["i2", "u2", "i4", "f4"])
@pytest.mark.parametrize("tile", [None, (64, 100)])
def test_what_astropy_compresses_reads_as_astropy_reads_it(tmp_path: Path, method, dtype, tile):
    path = tmp_path / "theirs.fits"
    given = np.abs(pixels("i2", (200, 310)) % 1000).astype(dtype)
    if method in ("HCOMPRESS_1", "PLIO_1") and dtype == "u2":
        pytest.skip("astropy writes no unsigned pixels by this method")
    fits.CompImageHDU(given, compression_type=method, tile_shape=tile).writeto(path)
    expected = fits.getdata(path, 1)
    image = files.read(path, "Image")
    np.testing.assert_array_equal(image.array, expected)
    box = Box2I(Point2I(60, 50), Extent2I(80, 90))
    np.testing.assert_array_equal(files.read(path, "Image", bbox=box).array, expected[50:140, 60:140])


def test_floats_that_others_keep_without_loss_are_read(tmp_path: Path):
    path = tmp_path / "theirs.fits"
    given = pixels("f4", (200, 310))
    for method in ("GZIP_1", "GZIP_2"):
        fits.CompImageHDU(given, compression_type=method, quantize_level=0).writeto(path, overwrite=True)
        assert_bits(files.read(path, "Image").array, given)


def test_pixels_that_repeat_become_small_and_noise_no_larger(tmp_path: Path):
    noise = np.random.default_rng(1).integers(0, 256, (512, 512), dtype=np.uint8)
    repeated = np.tile(noise[0], (512, 1))
    flat = np.full((512, 512), 7, np.uint8)
    size = {}
    for name, array in (("noise", noise), ("repeated", repeated), ("flat", flat)):
        files.write(Image(array), tmp_path / f"{name}.fits", compression="gzip")
        size[name] = (tmp_path / f"{name}.fits").stat().st_size
    assert size["noise"] < 1.05 * noise.size
    assert size["repeated"] < 0.1 * noise.size
    assert size["flat"] <= 4 * 2880


def test_damaged_tiles_are_told(tmp_path: Path):
    path = tmp_path / "mi.fits"
    files.write(a_masked_image().image, path, compression="gzip")
    content = bytearray(path.read_bytes())
    place = content.rindex(b"\x1f\x8b\x08") + 40
    content[place : place + 20] = bytes(20)
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=r"HDU 1 cannot be uncompressed: a tile is damaged"):
        files.read(path)
    assert files.read(path, bbox=Box2I(Point2I(100, 50), Extent2I(9, 9))).dimensions == (
        9,
        9,
    )  # whole tiles
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(FileFormatError, match="cut short"):
        files.read(path)


@pytest.mark.filterwarnings("ignore")  # what astropy says of odd headers
def test_a_file_with_any_byte_wrong_is_read_or_refused(tmp_path: Path, shared_data: Path):
    path = tmp_path / "image.fits"
    files.write(Exposure(a_masked_image()), path, compression="gzip")
    sound = [path.read_bytes(), (shared_data / "afw" / "exposure-version-2.fits").read_bytes()]
    sound.append((shared_data / "afw" / "sourceTable-v1.fits").read_bytes())
    rng = np.random.default_rng(11)
    refused = 0
    for number in range(120):
        content = bytearray(sound[number % 3])
        for place in rng.integers(0, 25_000, 4) % len(content):
            content[place] = rng.integers(32, 127)
        path.write_bytes(content)
        try:
            files.read(path)
        except FileFormatError:
            refused += 1
    assert 10 < refused < 110


def test_zlib_reads_as_isal_does(tmp_path: Path, monkeypatch):
    given, path = a_masked_image().image, tmp_path / "image.fits"
    files.write(given, path, compression="gzip")
    monkeypatch.setitem(sys.modules, "isal.isal_zlib", None)
    fits_tiles._unpacker.cache_clear()
    try:
        np.testing.assert_array_equal(files.read(path).array, given.array)
        with pytest.raises(ValueError, match="damaged"):
            fits_tiles._unpacker()(zlib.compress(b"no gzip stream"), 14)
    finally:
        fits_tiles._unpacker.cache_clear()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # that a process with threads forks, which is what is tried
def test_a_forked_process_has_threads_of_its_own(tmp_path: Path):
    given, path = a_masked_image().image, tmp_path / "image.fits"
    files.write(given, path, compression="gzip")  # by this process's threads
    code = f"from skybutler.storage import files; assert files.read({str(path)!r}).array.shape == (700, 900)"
    child = multiprocessing.get_context("fork").Process(target=exec, args=(code,))
    child.start()
    child.join(30)
    assert child.exitcode == 0


def test_a_compression_that_nobody_knows_is_refused(tmp_path: Path):
    with pytest.raises(StorageClassError, match=r"gzip2.*'gzip'"):
        files.write(Image(np.zeros((3, 3))), tmp_path / "a.fits", compression="gzip2")
    with pytest.raises(StorageClassError, match="json files take no compression='gzip'"):
        files.write({"a": 1}, tmp_path / "a.json", compression="gzip")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("compression", [None, "gzip", "rice"])
def test_files_need_little_memory_beside_their_pixels(tmp_path: Path, compression):
    rng = np.random.default_rng(0)
    size, path = 1536, tmp_path / "frame.fits"
    image = rng.normal(100, 5, (size, size)).astype("f4")
    image[::9, ::7] = np.nan
    given = MaskedImage(image, np.where(rng.random((size, size)) < 0.02, 2, 0).astype("i4"), np.full_like(image, 25))
    pixels = sum(plane.nbytes for plane in given.arrays)
    for job, held in (
        (lambda: files.write(given, path, compression=compression), pixels),
        (lambda: files.read(path), 0),
    ):
        job()  # what is imported or kept for later is not counted
        tracemalloc.start()
        job()
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert held + most < 1.4 * pixels
