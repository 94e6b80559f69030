"""Values of headers are kept when exposures are put or ingested, as a repository's settings say."""

import logging
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from astropy.io import fits

from skybutler import Butler, ConfigError, DatasetRef, FileDataset
from skybutler.butler import header_values
from skybutler.butler.header_values import HeaderKeys
from skybutler.butler.ingest import ingest_raws
from skybutler.imaging.exposure import Exposure
from skybutler.imaging.image import Image
from skybutler.storage.formatters.fits_exposure import FitsFormatter
from skybutler.testing.sky_simulator import simulate

HEADER = {"AIRMASS": 1.1, "OBJECT": "M31", "DATE-OBS": "2019-05-03", "TELFOCUS": 3, "GAIN": 1.5, "COMMENT": "so"}


def an_exposure(**header) -> Exposure:
    return Exposure(Image(np.zeros((4, 5), np.float32)), metadata={**HEADER, **header})


@pytest.fixture
def settings(butler):
    """Open the repository with other settings of which header values are kept."""
    opened = []

    def reopen(said: str) -> Butler:
        file = butler.root / "skybutler.yaml"
        file.write_text(file.read_text() + f"header_values: {said}\n")
        opened.append(Butler(butler.root))
        return opened[-1]

    yield reopen
    for one in opened:
        one.close()


def test_a_put_keeps_header_values(butler):
    ref = butler.put("calexp", an_exposure(), visit=1, detector=0)
    assert butler.annotations(ref, "header") == {"AIRMASS": 1.1, "DATE-OBS": "2019-05-03", "OBJECT": "M31"}
    assert list(butler.query_datasets("calexp", where="calexp.header.OBJECT LIKE 'M%'")) == [ref]


def test_a_put_of_what_has_no_header_keeps_nothing(butler, monkeypatch):
    monkeypatch.setattr(butler.registry.annotations, "insert_headers", None)
    butler.put("note", {"AIRMASS": 1}, visit=1, detector=0)


def test_an_ingested_file_gives_the_values_that_a_put_would(butler, tmp_path):
    made = butler.put("calexp", an_exposure(AIRMASS=1.7), visit=1, detector=0)
    copied = shutil.copy(butler.datastore.path(butler.registry.datasets.files(made.id)[0]), tmp_path / "some.fits")
    data_id = {"instrument": "SmallCam", "visit": 1, "detector": 1}
    (ref,) = butler.ingest([FileDataset(copied, [DatasetRef(butler.dataset_type("calexp"), data_id, "in")])], "move")
    assert butler.annotations(ref, "header") == butler.annotations(made, "header")
    assert butler.annotations(ref, "header")["AIRMASS"] == 1.7


@pytest.fixture
def served(tmp_path):
    """A folder, and the URL at which it is served."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.sqlite
@pytest.mark.parametrize("transfer", ["copy", "direct"])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_from_elsewhere_gives_its_values(butler, served, transfer, compressed):
    folder, url = served
    kind = fits.CompImageHDU if compressed else fits.ImageHDU
    hdu = kind(np.zeros((40, 50), np.int16), header=fits.Header([("AIRMASS", 1.25), ("OBJECT", "M31")]))
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(folder / "some.fits")
    ref = DatasetRef(butler.dataset_type("raw"), {"instrument": "SmallCam", "exposure": 1, "detector": 0}, "in")
    butler.ingest([FileDataset(f"{url}/some.fits", [ref])], transfer)
    assert butler.annotations(ref, "header") == {"AIRMASS": 1.25, "OBJECT": "M31"}


def test_all_datasets_of_a_file_have_its_values(butler, tmp_path):
    made = butler.put("calexp", an_exposure(), visit=1, detector=0)
    copied = shutil.copy(butler.datastore.path(butler.registry.datasets.files(made.id)[0]), tmp_path / "some.fits")
    kind = butler.dataset_type("calexp")
    refs = [DatasetRef(kind, {"instrument": "SmallCam", "visit": 2, "detector": d}, "in") for d in (0, 1)]
    butler.ingest([FileDataset(copied, refs)])
    assert [butler.annotations(ref, "header")["AIRMASS"] for ref in refs] == [1.1, 1.1]


def test_a_header_that_was_read_already_is_not_read_again(butler, tmp_path, monkeypatch):
    monkeypatch.setattr(FitsFormatter, "read_header", None)
    path = tmp_path / "raw.fits"
    path.write_bytes(b"anything")
    ref = DatasetRef(butler.dataset_type("raw"), {"instrument": "SmallCam", "exposure": 1, "detector": 0}, "in")
    butler.ingest([FileDataset(path, [ref], header={"AIRMASS": 1.3, "GAIN": 2})])
    assert butler.annotations(ref, "header") == {"AIRMASS": 1.3}


def test_a_file_that_cannot_be_understood_is_ingested_without_values_and_that_is_logged(butler, tmp_path, caplog):
    path = tmp_path / "raw.fits"
    path.write_bytes(b"anything")
    ref = DatasetRef(butler.dataset_type("raw"), {"instrument": "SmallCam", "exposure": 1, "detector": 0}, "in")
    with caplog.at_level(logging.WARNING, header_values.__name__):
        butler.ingest([FileDataset(path, [ref])])
    assert "raw.fits is ingested without header values" in caplog.text
    assert butler.annotations(ref, "header") == {}


def test_ingesting_raws_keeps_their_values_and_reads_each_header_once(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(FitsFormatter, "read_header", None)
    butler = settings("{raw: [SHUTTIME, FIELD, UTSTART, CHIPID, NAXIS1]}")
    simulate(tmp_path / "night", science=1, calibrations=0, bands=("g",), stars=3)
    report = ingest_raws(butler, tmp_path / "night", "simcam")
    assert len(report.ingested) == 2
    for ref in report.ingested:
        kept, metadata = butler.annotations(ref, "header"), butler.get(ref, component="metadata")
        assert kept.pop("NAXIS1") > 0  # which tells how the file is kept, and is no part of the metadata
        assert kept == {key: metadata[key] for key in ("SHUTTIME", "FIELD", "UTSTART", "CHIPID")}
    where = "raw.header.SHUTTIME > 0 AND raw.header.FIELD LIKE 'Sim%'"
    query = butler.query_datasets("raw", report.run, where=where, order_by="-raw.header.CHIPID", instrument="SimCam")
    assert list(query) == sorted(report.ingested, key=lambda ref: -ref.data_id["detector"])


def test_a_failing_put_keeps_nothing(butler):
    def fails() -> None:
        with butler.transaction():
            butler.put("calexp", an_exposure(), visit=1, detector=0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert butler.sql("SELECT count(*) FROM v_annotations")[1] == [(0,)]


def test_settings_say_which_values_are_kept(settings):
    butler = settings('{calexp: [gain, "TEL*", NOWHERE], "*ISR*": []}')
    calexp = butler.put("calexp", an_exposure(), visit=1, detector=0)
    assert butler.annotations(calexp, "header") == {"GAIN": 1.5, "TELFOCUS": 3}
    isr = butler.put("postISRCCD", an_exposure(), exposure=1, detector=0)
    assert butler.annotations(isr, "header") == {}
    bias = butler.put("bias", an_exposure(), detector=0)
    assert butler.annotations(bias, "header") == {"AIRMASS": 1.1, "DATE-OBS": "2019-05-03", "OBJECT": "M31"}


@pytest.mark.parametrize("said", ["[AIRMASS]", "{raw: AIRMASS}", "{raw: [1]}", "{1: [A]}"])
def test_settings_that_mean_nothing_are_refused(settings, said):
    with pytest.raises(ConfigError, match="header_values are lists of keys by dataset types"):
        settings(said)


def test_the_first_rule_that_fits_counts():
    keys = HeaderKeys({"raw": ["A"], "r*": ["B"], "*": []})
    header = {"A": 1, "B": 2, "AIRMASS": 3}
    assert [keys.chosen(name, header) for name in ("raw", "rest", "other")] == [{"A": 1}, {"B": 2}, {}]
    assert HeaderKeys().chosen("other", header) == {"AIRMASS": 3}
