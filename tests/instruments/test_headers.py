"""The card-level reader says what astropy says, on random headers and on every real file, and tells broken files."""

import gzip
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from skybutler.imaging.header import Header
from skybutler.instruments.headers import iter_headers, parse_cards, read_headers
from skybutler.model.errors import FileFormatError

printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=150)
values = st.one_of(
    printable.filter(lambda text: not text.rstrip().endswith("&")),  # astropy takes a lone & for a CONTINUE to come
    st.integers(-(10**18), 10**18),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
)
short_keys = st.from_regex(r"[A-Z][A-Z0-9_-]{0,7}", fullmatch=True).filter(
    lambda key: key not in ("END", "COMMENT", "HISTORY", "CONTINUE", "HIERARCH", "SIMPLE", "XTENSION")
)
long_keys = st.from_regex(r"ESO( [A-Z][A-Z0-9]{1,7}){2,3}", fullmatch=True)


@given(cards=st.dictionaries(short_keys | long_keys, values, max_size=12), history=st.lists(printable, max_size=3))
def test_cards_that_astropy_writes_are_read(cards: dict, history: list[str]) -> None:
    header = fits.Header()
    for key, value in cards.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # astropy tells of comments cut and HIERARCH cards made
            header[f"HIERARCH {key}" if " " in key else key] = (value, "of ours")
            try:
                header.cards[-1].image  # noqa: B018 - made here, where a card too long for FITS is told
            except ValueError:
                del header[-1]
    for line in history:
        header.add_history(line)
    read = Header(parse_cards(header.tostring(endcard=False, padding=False)))
    # Against what was meant, not what astropy reads back: it takes the text '/ for a quote and a comment.
    for key, value in header.items():
        if key == "HISTORY":
            continue
        if isinstance(value, str):
            assert read[key] == value.rstrip()
        elif value is None or isinstance(value, fits.card.Undefined):
            assert read[key] is None
        else:
            assert read[key] == pytest.approx(value, rel=1e-11, abs=0)  # astropy cuts numbers to 20 characters
            assert type(read[key]) is type(value) or isinstance(value, float)
    assert read.history == [str(line).rstrip() for line in header.get("HISTORY", [])]


@pytest.mark.parametrize(
    ("card", "value", "comment"),
    [
        ("KEY     =                    T / yes", True, "yes"),
        ("KEY     =                    F", False, ""),
        ("KEY     =                 -042", -42, ""),
        ("KEY     =             1.5D+003 / D exponent", 1500.0, "D exponent"),
        ("KEY     = .5", 0.5, ""),
        ("KEY     = 7.", 7.0, ""),
        ("KEY     = 1E3", 1000.0, ""),
        ("KEY     = ", None, ""),
        ("KEY     =                      / undefined", None, "undefined"),
        ("KEY     = 'it''s / not a comment  ' / but this is", "it's / not a comment", "but this is"),
        ("KEY     = ''", "", ""),
        ("KEY     = '  leading'", "  leading", ""),
        ("KEY     = (1.0, -2.5)", 1 - 2.5j, ""),
        ("KEY     = 2019-05-03 / no quotes", "2019-05-03", "no quotes"),
        ("KEY     = 1_000", "1_000", ""),
        ("KEY     = nan", "nan", ""),
    ],
)
def test_a_value_is_typed(card: str, value: object, comment: str) -> None:
    parsed = parse_cards(card.ljust(80))
    assert parsed == [("KEY", value, comment)]
    assert type(parsed[0][1]) is type(value)


def test_long_strings_hierarch_and_commentary() -> None:
    cards = [
        "LONG    = 'one &'",
        "CONTINUE  'two&' / said",
        "CONTINUE  ' three' / more",
        "HIERARCH ESO DET CHIP1 ID = 'E2V' / chip",
        "HISTORY  first",
        "        blank key",
        "COMMENT = 'is text'",
        "",
    ]
    assert parse_cards("".join(card.ljust(80) for card in cards)) == [
        ("LONG", "one two three", "said more"),
        ("ESO DET CHIP1 ID", "E2V", "chip"),
        ("HISTORY", " first", ""),
        ("", "blank key", ""),
        ("COMMENT", "= 'is text'", ""),
    ]


def write_two_images(path: Path) -> Path:
    first = fits.PrimaryHDU(np.zeros((30, 20), dtype=np.uint16))
    first.header["EXPTIME"] = (12.5, "[s] exposure")
    second = fits.ImageHDU(np.ones((700, 100), dtype=np.float32), name="SECOND")
    table = fits.BinTableHDU.from_columns([fits.Column("a", "PJ()", array=np.array([[1, 2], [3]], dtype=object))])
    fits.HDUList([first, second, table]).writeto(path)
    return path


def test_all_headers_of_a_file_plain_and_gzipped(tmp_path: Path) -> None:
    path = write_two_images(tmp_path / "two.fits")
    packed = tmp_path / "two.fits.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    headers = read_headers(path)
    assert [header["NAXIS"] for header in headers] == [2, 2, 2]
    assert headers[0]["EXPTIME"] == 12.5
    assert headers[0].comments["EXPTIME"] == "[s] exposure"
    assert headers[1]["EXTNAME"] == "SECOND"
    assert read_headers(packed) == headers
    assert read_headers(path, limit=1) == headers[:1]


def test_reading_one_header_leaves_the_rest_alone(tmp_path: Path) -> None:
    path = write_two_images(tmp_path / "two.fits")
    whole = path.read_bytes()
    begin = whole.index(b"XTENSION")
    path.write_bytes(whole[:begin] + b"XTENSION= 'IMAGE   '".ljust(80) + b"?" * 5000)
    assert next(iter_headers(path))["EXPTIME"] == 12.5
    with pytest.raises(FileFormatError, match="HDU 1 has no END"):
        read_headers(path)


def test_a_compressed_image_has_the_header_of_the_image(tmp_path: Path) -> None:
    path = tmp_path / "one.fits.fz"
    image = np.arange(600, dtype=np.int16).reshape(20, 30)
    hdu = fits.CompImageHDU(image, compression_type="RICE_1")
    hdu.header["FILTER"] = "r"
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    header = read_headers(path)[1]
    assert (header["BITPIX"], header["NAXIS"], header["NAXIS1"], header["NAXIS2"]) == (16, 2, 30, 20)
    assert header["XTENSION"] == "IMAGE"
    assert header["FILTER"] == "r"
    assert not [key for key in header if key.startswith(("Z", "TTYPE", "TFORM", "PCOUNT"))]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"\x89PNG\r\n\x1a\n" + b"0" * 5000, "not a FITS file"),
        (b"SIMPLE  =                    T".ljust(3000), "no END"),
        (b"SIMPLE  =                    T".ljust(80) + b"END".ljust(2800), "NAXIS of HDU 0 is missing"),
        (b"\x1f\x8b\x08 not gzip", "gzipped file is damaged"),
    ],
)
def test_what_is_no_fits_file_is_one_clear_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "bad.fits"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=said) as error:
        read_headers(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_cut_short_within_its_data_is_told(tmp_path: Path, packed: bool) -> None:
    whole = write_two_images(tmp_path / "two.fits").read_bytes()
    cut = whole[: whole.index(b"XTENSION") + 2880 + 1000]
    path = tmp_path / "cut.fits"
    path.write_bytes(gzip.compress(cut) if packed else cut)
    with pytest.raises(FileFormatError, match="cut short"):
        read_headers(path)
    assert len(read_headers(path, limit=1)) == 1


def test_real_files_say_what_astropy_says(shared_data: Path) -> None:
    compared = 0
    for path in sorted(shared_data.glob("*/*.fits*")):
        ours = read_headers(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with fits.open(path) as hdus:
                assert len(ours) == len(hdus), path
                for header, hdu in zip(ours, hdus, strict=True):
                    theirs = Header.from_astropy(hdu.header)
                    for key in theirs:
                        if key in ("HISTORY", "COMMENT", "", "EXTNAME") or isinstance(hdu, fits.CompImageHDU):
                            continue
                        assert header[key] == theirs[key] or header[key] != header[key], (path, key)
                        compared += 1
                    if isinstance(hdu, fits.CompImageHDU):
                        assert {k: header[k] for k in theirs if k in header} == {
                            k: theirs[k] for k in theirs if k in header
                        }
                        assert {"BITPIX", "NAXIS1", "NAXIS2"} <= header.keys()
    assert compared > 5000


def test_headers_are_read_without_astropy() -> None:
    import subprocess

    code = "import sys, skybutler.instruments.headers, skybutler.instruments.instrument; "
    code += "sys.exit('astropy' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
