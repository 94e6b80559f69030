"""Whatever a file has become, reading it gives an object or one of our own errors: no crash, no full memory."""

import gzip
import io
import os
import random
import subprocess
import sys
import textwrap
import warnings
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.table import Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skybutler.butler.exchange.export import read_table
from skybutler.butler.exchange.safe_yaml import read_yaml
from skybutler.imaging import (
    Box2I,
    Detector,
    Exposure,
    Extent2I,
    Filter,
    GaussianPsf,
    Image,
    Mask,
    MaskedImage,
    PhotoCalib,
    Point2I,
    SourceCatalog,
    VisitInfo,
    Wcs,
)
from skybutler.imaging.header import Header
from skybutler.model.errors import FileFormatError, SkyButlerError
from skybutler.model.storage_class import storage_class
from skybutler.storage import files
from skybutler.storage.bundles import BundleStore
from skybutler.storage.formatters import fits_file
from skybutler.storage.formatters.fits_exposure import FitsFormatter
from skybutler.storage.stores.local import LocalStore

EXAMPLES = int(os.environ.get("SKYBUTLER_EXAMPLES") or 8)
"""How many damaged files of each kind are read."""

NASTY = [
    b"999999999999", b"-1", b"-9223372036854775808", b"18446744073709551616", b"0", b"1E400", b"NaN", b"'", b"T",
    b"1.5", b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff\xff\xff\xff\xff", b"", b"  ", b"[[[[", b"{", b"&a *a",
    b"!!python/object:os.system", b"1PB(999999999)", b"1QD(2147483647)", b"TAN-SIP", b"PSFEX", b"\xe9", b"null",
]  # fmt: skip
WORDS = [
    b"BITPIX", b"NAXIS", b"NAXIS1", b"NAXIS2", b"PCOUNT", b"GCOUNT", b"TFIELDS", b"TFORM1", b"TFORM2", b"TTYPE1",
    b"TDIM1", b"ZNAXIS", b"ZNAXIS1", b"ZTILE1", b"ZBITPIX", b"ZCMPTYPE", b"ZIMAGE", b"BZERO", b"BSCALE", b"CLSVERS",
    b"EXTNAME", b"CRPIX1", b"CD1_1", b"CTYPE1", b"CRVAL1", b"SKYBUTLER TYPE", b"SKYBUTLER VERSION", b"THEAP",
]  # fmt: skip


def an_exposure() -> Exposure:
    """Return an exposure that has all that a file of one may hold."""
    rng = np.random.default_rng(3)
    pixels = MaskedImage(
        Image(rng.normal(size=(20, 30)).astype(np.float32), xy0=(100, 50)),
        Mask(rng.integers(0, 2047, (20, 30), dtype=np.int32), xy0=(100, 50)),
        Image(rng.random((20, 30)).astype(np.float32), xy0=(100, 50)),
    )
    cards = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 512.3, "CRPIX2": 511.9, "CRVAL1": 250.4,
             "CRVAL2": 36.4, "CD1_1": -1.85e-4, "CD1_2": 3e-7, "CD2_1": 2e-7, "CD2_2": 1.85e-4}  # fmt: skip
    box = Box2I(Point2I(0, 0), Extent2I(100, 100))
    return Exposure(
        pixels, metadata=Header([("OBJECT", "M13", "target"), ("TEMP", float("nan"), "")]), wcs=Wcs.from_header(cards),
        psf=GaussianPsf(25, 25, 2.25), photo_calib=PhotoCalib(12.5, 0.1), visit_info=VisitInfo(exposure_time=20.0),
        filter=Filter("sdss_g", "g"), detector=Detector(3, "S03", box), summary_stats={"psf_sigma": 2.25}, id=5,
    )  # fmt: skip


def a_catalog() -> SourceCatalog:
    """Return a small catalog with columns of each kind."""
    schema = SourceCatalog.minimal_schema()
    schema.add_field("flux", "D", "a flux", "count")
    schema.add_field("bad", "Flag", "it failed")
    schema.add_field("ap", "ArrayF", "apertures", "count", size=3)
    schema.add_field("name", "String", "its name")
    return SourceCatalog(schema, {"id": np.arange(5), "name": [f"s{n}" for n in range(5)]}, metadata={"visit": 1234})


def written(obj: Any, name: str) -> bytes:
    """Return the bytes of the file that an object is written to."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        files.write(obj, path)
        return path.read_bytes()


def compressed(method: str) -> bytes:
    """Return an exposure's file, its pixels compressed."""
    sink = io.BytesIO()
    FitsFormatter(method).write(an_exposure(), sink, storage_class("Exposure"), {})
    return sink.getvalue()


def of_others() -> bytes:
    """Return an image and tables that astropy has written, of kinds that SkyButler writes none of."""
    sink = io.BytesIO()
    table = fits.BinTableHDU(Table({"a": [1, 2], "t": ["x", "yz"], "v": np.arange(6.0).reshape(2, 3)}))
    fits.HDUList(
        [fits.PrimaryHDU(), table, fits.CompImageHDU(np.arange(600, dtype=np.int16).reshape(20, 30),
                                                     compression_type="RICE_1")]
    ).writeto(sink)  # fmt: skip
    return sink.getvalue()


def a_table() -> pd.DataFrame:
    return pd.DataFrame({"a": range(50), "b": [f"s{n % 7}" for n in range(50)], "c": np.linspace(0, 1, 50)})


def a_bundle() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("_skybutler/index.json", '{"skybutler_export": 1}')
        archive.writestr("note/a.json", "{}", compress_type=zipfile.ZIP_DEFLATED)
    return sink.getvalue()


YAML = b"skybutler_export: 1\nuniverse: {namespace: x, version: 1}\na: &a [1, 2.5, null]\nb: *a\nc: !!str 2020-01-01\n"


def read_as(*kinds: str | None) -> Callable[[Path], None]:
    """Return what reads a file as objects of several storage classes, and each component of them alone."""

    def read(path: Path) -> None:
        for kind in kinds:
            attempt(lambda kind=kind: touched(files.read(path, kind)))
            components = storage_class(kind).components if kind else ()
            for component in components:
                attempt(lambda kind=kind, component=component: files.read(path, kind, component=component))

    return read


def touched(obj: Any) -> None:
    """Look at an object as a user would."""
    repr(obj)


def attempt(read: Callable[[], object]) -> None:
    with suppress(SkyButlerError):
        read()


def read_bundle(path: Path) -> None:
    store = BundleStore(LocalStore(path.parent), path.name, path.stat().st_size)
    for name in list(store._members):
        attempt(lambda name=name: b"".join(store.stream(name)))


SEEDS: dict[str, tuple[str, Callable[[], bytes], Callable[[Path], None]]] = {
    "exposure": (".fits", lambda: written(an_exposure(), "x.fits"), read_as(None, "Exposure", "Wcs", "Header")),
    "gzip tiles": (".fits", lambda: compressed("gzip"), read_as("Exposure")),
    "rice tiles": (".fits", lambda: compressed("rice"), read_as("Exposure")),
    "psf": (".fits", lambda: written(GaussianPsf(25, 25, 2.0), "x.fits"), read_as(None, "Psf")),
    "wcs": (".fits", lambda: written(an_exposure().wcs, "x.fits"), read_as(None, "Wcs")),
    "catalog of afw": (".fits", lambda: written(a_catalog(), "x.fits"), read_as(None, "SourceCatalog", "DataFrame")),
    "of astropy": (".fits", of_others, read_as(None, "Exposure", "AstropyTable", "DataFrame")),
    "table": (".parquet", lambda: written(a_table(), "x.parquet"), read_as(None, "DataFrame", "AstropyTable")),
    "catalog": (".parquet", lambda: written(a_catalog(), "x.parquet"), read_as(None, "SourceCatalog")),
    "json": (".json", lambda: written({"a": [1, {"b": 2.5e3}], "c": "\u00e9"}, "x.json"), read_as(None, "Dict")),
    "visit info": (".json", lambda: written(VisitInfo(exposure_time=20.0), "x.json"), read_as("VisitInfo", "Model")),
    "yaml": (".yaml", lambda: YAML, read_as(None, "Dict")),
    "picture": (".png", lambda: PNG, read_as(None)),
    "yaml of strangers": (".yaml", lambda: YAML, read_yaml),
    "table of strangers": (".parquet", lambda: written(a_table(), "x.parquet"), read_table),
    "bundle": (".zip", a_bundle, read_bundle),
}
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000002000000020802000000fdd49a730000000e49444154789c63606060606000000005000146c8"
    "02f70000000049454e44ae426082"
)


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Return a file's bytes with a few things wrong."""
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(8):
            case 0:
                data = data[:at]
            case 1 | 2:
                data = data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
            case 3:
                new = chance.choice(NASTY)
                data = data[:at] + new + data[at + len(new) :]
            case 4:
                data = data[:at] + chance.choice(NASTY) + data[at:]
            case 5:
                to = chance.randrange(len(data) + 1)
                data = data[:at] + data[to : to + 80] + data[at + 80 :]
            case _:
                word = b"%-8s=" % chance.choice(WORDS)
                if word in data and b"SIMPLE" in data[:80]:
                    at = data.index(word, data.rindex(word, 0, None) if chance.random() < 0.5 else 0) + 10
                    new = chance.choice(NASTY)[:20].rjust(20)
                    data = data[:at] + new + data[at + 20 :]
        if not data:
            break
    return data


@pytest.fixture(scope="module", params=SEEDS)
def seed(request: pytest.FixtureRequest) -> tuple[str, bytes, Callable[[Path], None]]:
    suffix, make, read = SEEDS[request.param]
    return suffix, make(), read


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(number=st.integers(0, 2**64 - 1))
def test_what_is_damaged_is_told_in_our_own_words(seed, tmp_path_factory, number):
    suffix, data, read = seed
    path = tmp_path_factory.mktemp("damaged") / f"x{suffix}"
    path.write_bytes(damaged(data, random.Random(number)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is wrong and can be read all the same
        attempt(lambda: read(path))


# Headers that cannot be true, read by a process that may not have much memory


def header(*cards: str) -> bytes:
    """Return a FITS header of cards."""
    text = "".join(f"{card:80}" for card in (*cards, "END"))
    return text.ljust(-(-len(text) // 2880) * 2880).encode()


EMPTY = header("SIMPLE  =                    T", "BITPIX  =                    8", "NAXIS   =                    0")


def image(*more: str) -> bytes:
    """Return a FITS file of an image extension with such cards."""
    return EMPTY + header("XTENSION= 'IMAGE   '", "PCOUNT  = 0", "GCOUNT  = 1", *more) + bytes(2880)


def table(*more: str) -> bytes:
    """Return a FITS file of a table with such cards."""
    return EMPTY + header("XTENSION= 'BINTABLE'", "BITPIX  = 8", "NAXIS   = 2", "GCOUNT  = 1", *more) + bytes(2880)


TILES = (
    "NAXIS1  = 8", "NAXIS2  = 1", "PCOUNT  = 100", "TFIELDS = 1", "TTYPE1  = 'COMPRESSED_DATA'", "TFORM1  = '1PB(9)'",
    "ZIMAGE  = T", "ZBITPIX = -64", "ZNAXIS  = 2", "EXTNAME = 'IMAGE'",
)  # fmt: skip
ABSURD = {
    "pixels": image("BITPIX  = -32", "NAXIS   = 2", "NAXIS1  = 1000000", "NAXIS2  = 1000000"),
    "too many pixels": image("BITPIX  = -32", "NAXIS   = 2", "NAXIS1  = 1000000000000", "NAXIS2  = 1000000000000"),
    "axes": image("BITPIX  = 8", "NAXIS   = 1000000000000"),
    "negative": image("BITPIX  = -32", "NAXIS   = 2", "NAXIS1  = -10", "NAXIS2  = 10"),
    "negative groups": image("BITPIX  = 8", "NAXIS   = 1", "NAXIS1  = 2880", "GCOUNT  = -2"),
    "only a mask": image("BITPIX  = 32", "NAXIS   = 2", "NAXIS1  = 60000", "NAXIS2  = 30000", "EXTNAME = 'MASK'"),
    "no bits": image("BITPIX  = 0", "NAXIS   = 2", "NAXIS1  = 100000", "NAXIS2  = 100000"),
    "columns": table("NAXIS1  = 8", "NAXIS2  = 1", "PCOUNT  = 0", "TFIELDS = 1000000000000"),
    "rows": table("NAXIS1  = 8", "NAXIS2  = 1000000000000", "PCOUNT  = 0", "TFIELDS = 1", "TFORM1  = '1K'"),
    "rows of nothing": table("NAXIS1  = 0", "NAXIS2  = 1000000000000", "PCOUNT  = 0", "TFIELDS = 0"),
    "a wide column": table("NAXIS1  = 8", "NAXIS2  = 1", "PCOUNT  = 0", "TFIELDS = 1", "TFORM1  = '999999999999A'"),
    "tiles": table(*TILES, "ZCMPTYPE= 'GZIP_1'", "ZNAXIS1 = 1000000", "ZNAXIS2 = 1000000", "ZTILE2  = 1000000"),
    "tiles of RICE": table(*TILES, "ZCMPTYPE= 'RICE_1'", "ZNAXIS1 = 1000000", "ZNAXIS2 = 1000000", "ZTILE2  = 1000000"),
    "axes of tiles": table(*TILES, "ZNAXIS  = 999999999999", "ZCMPTYPE= 'GZIP_1'"),
    "an archive": table("NAXIS1  = 8", "NAXIS2  = 1", "PCOUNT  = 0", "TFIELDS = 1", "TTYPE1  = 'id'", "TFORM1  = '1K'",
                        "EXTTYPE = 'ARCHIVE_INDEX'", "AR_NCAT = 1000000000000", "EXTNAME = 'ARCHIVE_INDEX'"),
}  # fmt: skip
READER = """
    import resource, sys, warnings
    from pathlib import Path
    from skybutler.model.errors import FileFormatError, SkyButlerError
    from skybutler.storage import files
    import pandas, pyarrow.parquet, astropy.table, skybutler.storage.formatters.fits_exposure
    from skybutler.instruments.headers import read_headers
    warnings.simplefilter("ignore")
    kinds = "Exposure", "Mask", "Header", "AstropyTable", "SourceCatalog", "Wcs", "PhotoCalib", None
    try:
        files.read(Path(sys.argv[1]))  # so that what is imported later is there
    except SkyButlerError:
        pass
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 30), -1))
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
    for path in map(Path, sys.argv[1:]):
        for kind in kinds:
            try:
                files.read(path, kind)
            except SkyButlerError:
                continue
            except Exception as error:
                print(path.name, kind, type(error).__name__, error)
        try:
            list(read_headers(path))
        except SkyButlerError:
            pass
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system does not tell what memory it uses")
def test_no_header_has_memory_filled_or_time_spent(tmp_path):
    paths = []
    for name, data in ABSURD.items():
        paths.append(tmp_path / f"{name}.fits")
        paths[-1].write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(READER), *map(str, paths)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_no_gzipped_file_fills_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(fits_file, "_SMALL", 1 << 20)
    path = tmp_path / "bomb.fits.gz"
    path.write_bytes(gzip.compress(EMPTY + bytes(1 << 24)))
    with pytest.raises(FileFormatError, match="would fill the memory"):
        files.read(path)
    path.write_bytes(gzip.compress(written(an_exposure(), "x.fits")))
    assert files.read(path).id == 5
