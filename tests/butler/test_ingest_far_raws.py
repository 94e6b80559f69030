"""Raw frames in a bucket and on the web are ingested by their URIs: where they are, or copied."""

from pathlib import Path

import pytest

from skybutler.butler.butler import Butler
from skybutler.butler.ingest import ingest_raws
from skybutler.model.errors import ArgumentError
from skybutler.storage.stores.s3 import S3Store
from skybutler.testing.bad_network import web_server
from skybutler.testing.sky_simulator import simulate


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A few frames of the simulated camera, by their names."""
    folder = tmp_path_factory.mktemp("far_night")
    simulate(folder, science=1, calibrations=1, bands=("g",), stars=5)
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*.fits"))}


@pytest.fixture
def far(bucket, frames, tmp_path) -> tuple[Butler, str]:
    """An empty repository in a bucket, beside a folder of frames and something else."""
    store = S3Store(f"s3://{bucket.name}", endpoint=bucket.endpoint, region="us-east-1")
    for name, data in {**frames, "notes.txt": b"x"}.items():
        (tmp_path / "given").write_bytes(data)
        store.put(f"night 1/{name}", tmp_path / "given")
    with Butler.create(tmp_path / "repo", datastore=bucket.place("/repo")) as butler:
        yield butler, f"s3://{bucket.name}/night 1"


@pytest.mark.parametrize("transfer", ["direct", "copy"])
def test_what_is_below_a_prefix_is_ingested(far, frames, transfer):
    butler, place = far
    report = ingest_raws(butler, place, "simcam", transfer=transfer)
    assert (len(report.ingested), report.failed) == (len(frames), [])
    uris = [butler.get_uri(ref) for ref in report.ingested]
    assert all(uri.startswith(f"{place}/") == (transfer == "direct") for uri in uris)
    assert butler.get(report.ingested[0]).image.array.any()
    again = ingest_raws(butler, [f"{place}/", f"{place}/{next(iter(frames))}"], "simcam", transfer=transfer)
    assert (again.ingested, len(again.known)) == ([], len(frames))
    assert str(again.known[0]).startswith("s3://")


def test_files_of_the_web_are_ingested_one_by_one(frames, tmp_path):
    with web_server({**frames, "bad.fits": b"no FITS"}) as web, Butler.create(tmp_path / "repo") as butler:
        urls = [f"{web.url}/{name}" for name in (*frames, "bad.fits")]
        report = ingest_raws(butler, urls, "simcam", transfer="direct")
        assert len(report.ingested) == len(frames)
        ((failed, why),) = report.failed
        assert failed == f"{web.url}/bad.fits"
        assert "not a FITS file" in why
        assert butler.get_uri(report.ingested[0]) == urls[0]
        copied = ingest_raws(butler, urls[:2], "simcam", run="u/copies")
        assert [Path(butler.get_uri(ref)[7:]).read_bytes() for ref in copied.ingested] == list(frames.values())[:2]


def test_what_cannot_be_is_said_before_anything_is_done(far):
    butler, place = far
    with web_server({}) as web:
        for places, error, match in (
            (f"{web.url}/night", ArgumentError, "names no FITS file .*name the files"),
            (f"{web.url}/gone.fits", FileNotFoundError, "there is no http.*gone.fits"),
            (f"{place}/gone.fits", FileNotFoundError, "there is no s3://.*gone.fits"),
            (f"{place} 2", FileNotFoundError, "no FITS file below s3://"),
        ):
            with pytest.raises(error, match=match):
                ingest_raws(butler, places, "simcam")
        with pytest.raises(ValueError, match="copied, or left where it is"):
            ingest_raws(butler, place, "simcam", transfer="move")
    assert "SimCam/raw" not in butler.collections.list()
