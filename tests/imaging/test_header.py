import pickle

import numpy as np
import pytest

from skybutler.imaging.header import Card, Header


@pytest.fixture
def header():
    return Header(
        [
            ("SIMPLE", True, "conforms"),
            ("EXPTIME", 30.0, "[s] exposure time"),
            ("HISTORY", "first"),
            ("HIERARCH ESO DET GAIN", 1.5, "e-/ADU"),
            ("COMMENT", "a word"),
            ("HISTORY", "second"),
            ("EMPTY", None),
        ]
    )


def test_reads_by_any_case_and_in_order(header):
    assert header["exptime"] == 30.0
    assert header["ESO DET GAIN"] == header["hierarch eso det gain"] == 1.5
    assert list(header) == ["SIMPLE", "EXPTIME", "HISTORY", "ESO DET GAIN", "COMMENT", "EMPTY"]
    assert len(header) == 6
    assert header["EMPTY"] is None
    assert "Exptime" in header
    assert 3 not in header


def test_a_missing_keyword_names_the_closest(header):
    with pytest.raises(KeyError, match=r"no EXPTIM\. Did you mean 'EXPTIME'"):
        header["EXPTIM"]
    with pytest.raises(KeyError, match="no NOPE"):
        del header["NOPE"]


def test_get_answers_for_a_missing_keyword_without_looking_for_the_closest(header, monkeypatch):
    monkeypatch.setattr("skybutler.imaging.header.closest", None)
    assert header.get("NOPE", 5) == header.get("NOPE", default=5) == 5
    assert header.get("NOPE") is None
    assert header.get("exptime", 5) == 30.0


def test_commentary_keeps_every_line(header):
    assert header["HISTORY"] == "first\nsecond"
    assert header.history == ["first", "second"]
    header.add_history("third\nfourth")
    assert header.history == ["first", "second", "third", "fourth"]
    header["HISTORY"] = "anew"
    assert header.history == ["anew"]
    assert header.cards[-1] == Card("HISTORY", "anew")
    header.add_comment("more")
    assert header["COMMENT"] == "a word\nmore"


def test_comments_stay_when_values_change(header):
    header["EXPTIME"] = np.float32(15)
    assert header["EXPTIME"] == 15.0
    assert type(header["EXPTIME"]) is float
    assert header.comments["exptime"] == "[s] exposure time"
    header["EXPTIME"] = (20, "seconds")
    assert (header["EXPTIME"], header.comments["EXPTIME"]) == (20, "seconds")
    header.comments["EXPTIME"] = "s"
    assert header.comments["EXPTIME"] == "s"
    with pytest.raises(KeyError, match="no NOPE"):
        header.comments["NOPE"]


def test_deleting_keeps_the_rest_in_order(header):
    del header["exptime"]
    assert list(header) == ["SIMPLE", "HISTORY", "ESO DET GAIN", "COMMENT", "EMPTY"]
    assert header["ESO DET GAIN"] == 1.5
    del header["HISTORY"]
    assert header.history == []


def test_refuses_what_no_card_can_hold(header):
    with pytest.raises(TypeError, match="EXPTIME cannot hold"):
        header["EXPTIME"] = [1, 2]


def test_duplicates_count_once_and_the_first(header):
    assert Header([("A", 1), ("a", 2)])["A"] == 1


def test_copies_pickles_and_dictionaries_are_equal_and_independent(header):
    for same in (header.copy(), pickle.loads(pickle.dumps(header)), Header.from_dict(header.to_dict()), Header(header)):
        assert same.cards == header.cards
        assert same == header
    copied = header.copy()
    copied["EXPTIME"] = 1
    assert header["EXPTIME"] == 30.0
    assert Header({"A": 1, "B": (2, "two")}).comments["B"] == "two"


def test_goes_to_astropy_and_back(header):
    fits_header = header.to_astropy()
    assert fits_header["EXPTIME"] == 30.0
    assert fits_header["ESO DET GAIN"] == 1.5
    assert fits_header.comments["EXPTIME"] == "[s] exposure time"
    assert list(fits_header["HISTORY"]) == ["first", "second"]
    assert Header.from_astropy(fits_header).cards == header.cards


def test_reads_a_real_header(shared_data):
    from astropy.io import fits

    path = shared_data / "arcsat-m13" / "domeflat_sdss_r_002.fits.fz"
    with fits.open(path) as hdus:
        original = hdus[1].header
        header = Header.from_astropy(original)
    assert header["FILTER"] == "sdss_r"
    assert header["EXPTIME"] == 7.13
    assert header.comments["EXPTIME"] == "[sec] Duration of exposure"
    assert header.history == ["File was processed by PinPoint 6.1.1 at 2019-05-03T10:56:47"]
    again = Header.from_astropy(header.to_astropy())
    assert again.cards == header.cards


def test_str_shows_cards_and_repr_their_number(header):
    assert repr(header) == "Header(7 cards)"
    assert "EXPTIME = 30.0 / [s] exposure time" in str(header)
