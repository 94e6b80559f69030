"""Raw frames become datasets, exposures and visits; again does nothing, and a bad file keeps no other out."""

import shutil
from pathlib import Path

import pytest
import yaml

import skybutler
from skybutler.butler.butler import Butler
from skybutler.butler.ingest import ingest_raws, register_instrument
from skybutler.butler.raw_files import find_frames
from skybutler.instruments.instrument import Instrument
from skybutler.model.errors import ConflictingDefinitionError, FileFormatError
from skybutler.model.region import Region
from skybutler.storage.datastore import Datastore
from skybutler.testing.sky_simulator import FIELD_CENTER, simulate


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two detectors' frames of a bias, a dark, a flat and two exposures of the sky, 1001 to 1005."""
    folder = tmp_path_factory.mktemp("night")
    simulate(folder, science=2, calibrations=1, bands=("g",), stars=5)
    return folder


@pytest.fixture
def night(simulated: Path, tmp_path: Path) -> Path:
    """The frames, for one test to do with as it likes."""
    return Path(shutil.copytree(simulated, tmp_path / "night"))


@pytest.fixture(scope="session")
def empty_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("empty") / "repo"
    Butler.create(root).close()
    return root


@pytest.fixture
def empty(empty_repository: Path, tmp_path: Path):
    """A Butler on a repository that knows no instrument."""
    with Butler(shutil.copytree(empty_repository, tmp_path / "new")) as opened:
        yield opened


def table(butler: Butler, name: str) -> int:
    return butler.sql(f"SELECT count(*) FROM {name}")[1][0][0]


def test_a_night_becomes_exposures_visits_and_raws(empty, night):
    report = ingest_raws(empty, str(night), "simcam")  # one place is as good as a list of it
    assert (len(report.ingested), report.known, report.failed, report.visits) == (10, [], [], 2)
    assert str(report) == "10 raw frames ingested into 'SimCam/raw', 2 visits defined"
    counts = {"exposure": 5, "visit": 2, "visit_definition": 2, "visit_detector_region": 4}
    assert {name: table(empty, name) for name in counts} == counts
    assert empty.sql("SELECT observation_type, count(*) FROM exposure GROUP BY 1 ORDER BY 1")[1] == [
        ("bias", 1), ("dark", 1), ("flat", 1), ("science", 2),
    ]  # fmt: skip
    assert empty.collections.info("defaults").children == ("SimCam/raw", "SimCam/camera", "user")
    assert empty.get("camera").name == "SimCam"
    assert all(empty.exists("raw", exposure=1005, detector=d) for d in (0, 1))


def test_a_visit_covers_what_its_detectors_cover(empty, night):
    ingest_raws(empty, [night], "simcam")
    _, rows = empty.sql("SELECT v.region, d.region FROM visit v JOIN visit_detector_region d ON d.visit = v.id")
    for whole, part in rows:
        corners = [float(number) for number in part.split()[1:]]
        middle = sum(corners[::2]) / (len(corners) // 2), sum(corners[1::2]) / (len(corners) // 2)
        assert Region(whole).contains(*middle)
        assert Region(whole).overlaps(Region.circle(*FIELD_CENTER, 0.1))


def test_ingesting_again_changes_nothing(empty, night):
    first = ingest_raws(empty, [night], "simcam")
    before = empty.sql("SELECT * FROM v_datasets ORDER BY 1"), empty.sql("SELECT * FROM visit")
    again = ingest_raws(empty, [night], "simcam")
    assert (again.ingested, len(again.known), again.visits) == ([], 10, 0)
    assert str(again).endswith("10 were there already")
    assert (empty.sql("SELECT * FROM v_datasets ORDER BY 1"), empty.sql("SELECT * FROM visit")) == before
    assert first.run == again.run


def test_frames_that_come_one_by_one_make_the_same_visits(empty, night, tmp_path):
    frames = find_frames([night], empty.datastore)
    for frame in frames:
        ingest_raws(empty, [frame], "simcam")
    whole = empty.sql("SELECT id, name, region FROM visit ORDER BY id")
    assert table(empty, "visit_detector_region") == 4
    with Butler.create(tmp_path / "at_once") as other:
        ingest_raws(other, [night], "simcam")
        assert other.sql("SELECT id, name, region FROM visit ORDER BY id") == whole


def test_the_same_raw_has_the_same_id_in_every_repository(empty, night, tmp_path):
    ids = {ref.id for ref in ingest_raws(empty, [night], "simcam").ingested}
    with Butler.create(tmp_path / "other") as other:
        assert {ref.id for ref in ingest_raws(other, [night], "simcam").ingested} == ids
    assert {uuid.version for uuid in ids} == {5}


def test_a_file_that_cannot_be_understood_is_reported_and_keeps_none_out(empty, night):
    (night / "aa_broken.fits").write_bytes(b"this is no FITS file")
    (night / "bb_empty.fits").write_bytes(b"")
    shutil.copy(night / "simcam_00001001_S00.fits", night / "cc_double.fits")
    report = ingest_raws(empty, [night], "simcam")
    assert len(report.ingested) == 10
    assert sorted(path.name for path, _ in report.failed) == [
        "aa_broken.fits", "bb_empty.fits", "simcam_00001001_S00.fits",
    ]  # fmt: skip
    assert all(str(path) in reason for path, reason in report.failed)
    assert "is exposure 1001 of detector 0, as is" in dict(report.failed)[night / "simcam_00001001_S00.fits"]
    assert str(report).endswith("3 passed over")
    assert repr(report).splitlines()[0] == f"IngestReport({report})"
    assert len(repr(report).splitlines()) == 4


def test_frames_that_move_are_gone_from_their_folder_and_read_in_theirs(empty, night):
    ingest_raws(empty, [night], "simcam", transfer="move", run="elsewhere", add_to_defaults=False)
    assert list(night.glob("*.fits")) == []
    assert empty.exists("raw", exposure=1001, detector=0, collections="elsewhere")
    assert empty.collections.info("defaults").children == ("user",)


def test_frames_below_the_root_stay_where_they_are(empty, night):
    inside = empty.root / "incoming"
    shutil.copytree(night, inside)
    ingest_raws(empty, [inside], "simcam")
    assert empty.get_uri("raw", exposure=1001, detector=0) == (inside / "simcam_00001001_S00.fits").absolute().as_uri()


def test_a_place_that_is_not_there_is_an_error_before_anything_is_done(empty, night):
    with pytest.raises(FileNotFoundError, match=r"there is no .*nowhere"):
        ingest_raws(empty, [night, night / "nowhere"], "simcam")
    assert table(empty, "instrument") == 0


def test_an_instrument_is_registered_once_and_not_contradicted(empty):
    simcam = Instrument.load("simcam")
    register_instrument(empty, simcam)
    register_instrument(empty, simcam)
    assert table(empty, "detector") == 2
    assert table(empty, "dataset") == 2
    row = {"instrument": "SimCam", "id": 0, "full_name": "Other"}
    with pytest.raises(ConflictingDefinitionError):
        empty.sync_dimension_records("detector", row)
    empty.sync_dimension_records("detector", row, update=True)
    with pytest.raises(ConflictingDefinitionError, match="full_name='Other'"):
        register_instrument(empty, simcam)


def test_a_camera_of_ones_own_is_kept_with_its_description_and_its_file_may_move(empty, night, tmp_path):
    described = yaml.safe_load((Path(skybutler.__file__).parent / "instruments" / "simcam.yaml").read_text())
    described["name"] = "MyCam"
    described["exposure"]["observation_type"]["values"][0] = "bias"  # YAML's keys need not be text
    file = tmp_path / "mycam.yaml"
    file.write_text(yaml.safe_dump(described))
    assert "anew" not in str(ingest_raws(empty, [night], str(file)))
    kept = empty.get("camera_description", instrument="MyCam")
    assert kept["zero_point"] == {"key": "MAGZERO", "per": "second"}
    assert Instrument.from_dict(kept).description == Instrument.load(file).description

    elsewhere = file.rename(tmp_path / "moved.yaml")
    assert register_instrument(empty, Instrument.load(elsewhere)) == ["MyCam/camera"]
    assert empty.sql("SELECT class_name FROM instrument")[1] == [(str(elsewhere),)]


def test_a_camera_that_is_described_anew_is_used_from_then_on(empty, night):
    simcam = Instrument.load("simcam")
    ingest_raws(empty, [night], simcam)
    described = simcam.to_dict()
    described["detectors"][0]["amplifiers"][0]["gain"] = 1.25
    report = ingest_raws(empty, [night], Instrument.from_dict(described))
    assert report.camera.startswith("SimCam/camera/")
    assert report.camera in str(report)
    assert empty.get("camera")[0].amplifiers[0].gain == 1.25
    assert empty.get("raw.detector", exposure=1001, detector=0).amplifiers[0].gain == 1.25
    assert empty.get("camera", collections="SimCam/camera")[0].amplifiers[0].gain == 1.5
    assert ingest_raws(empty, [night], Instrument.from_dict(described)).camera == ""
    assert empty.sql("SELECT count(*) FROM v_camera WHERE collection = run")[1] == [(2,)]

    del described["zero_point"]  # another description of the same camera: what needs the camera is not done again
    again = ingest_raws(empty, [night], Instrument.from_dict(described))
    assert again.camera > report.camera
    assert empty.find_dataset("camera").run == report.camera
    assert "zero_point" not in empty.get("camera_description")


def test_frames_are_found_in_order_once_and_by_every_usual_ending(tmp_path):
    for name in ("b.fits", "a.FIT", "c.fits.fz", "d.fts", "e.fits.gz", "notes.txt", "sub/f.fits"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    names = [
        p.relative_to(tmp_path).as_posix() for p in find_frames([tmp_path / "d.fts", tmp_path], Datastore(tmp_path))
    ]
    assert names == ["d.fts", "a.FIT", "b.fits", "c.fits.fz", "e.fits.gz", "sub/f.fits"]


def renamed(frame: Path, to: Path, **cards: object) -> None:
    """Copy a frame with other values in its header."""
    from astropy.io import fits

    with fits.open(frame) as hdus:
        hdus[0].header.update(cards)
        hdus.writeto(to)


def everything(butler: Butler) -> list[tuple[int]]:
    tables = ("instrument", "exposure", "visit", "visit_detector_region", "dataset", "day_obs", "collection")
    return [butler.sql(f"SELECT count(*) FROM {name}")[1] for name in tables]


def test_several_processes_read_the_same_as_one(empty, night, tmp_path, monkeypatch):
    (night / "aa_broken.fits").write_bytes(b"this is no FITS file")
    monkeypatch.setattr("skybutler.butler.ingest._WORTH_IT", 5)
    report = ingest_raws(empty, [night], "simcam", processes=2)
    assert (len(report.ingested), len(report.failed)) == (10, 1)
    with Butler.create(tmp_path / "one") as other:
        alone = ingest_raws(other, [night], "simcam")
        assert [ref.id for ref in alone.ingested] == [ref.id for ref in report.ingested]
        assert alone.failed == report.failed
        assert other.sql("SELECT * FROM exposure ORDER BY id") == empty.sql("SELECT * FROM exposure ORDER BY id")


@pytest.mark.parametrize("processes", [1, 2])
def test_where_an_error_is_to_stop_it_nothing_is_changed(empty, night, monkeypatch, processes):
    monkeypatch.setattr("skybutler.butler.ingest._WORTH_IT", 5)
    before = everything(empty)
    (night / "zz_broken.fits").write_bytes(b"this is no FITS file")
    with pytest.raises(FileFormatError, match=r"zz_broken\.fits: not a FITS file"):
        ingest_raws(empty, [night], "simcam", on_error="stop", processes=processes)
    assert everything(empty) == before
    with pytest.raises(ValueError, match="on_error='maybe' is neither"):
        ingest_raws(empty, [night], "simcam", on_error="maybe")


def test_frames_that_contradict_what_is_known_are_reported_or_stop_it(empty, night, tmp_path):
    frame = night / "simcam_00001005_S00.fits"
    ingest_raws(empty, [frame], "simcam")
    before = everything(empty)
    other = tmp_path / "other"
    other.mkdir()
    renamed(night / "simcam_00001005_S01.fits", other / "longer.fits", SHUTTIME=12345.0)
    renamed(frame, other / "new.fits", EXPNUM=2001)
    with pytest.raises(ConflictingDefinitionError, match="exposure is defined otherwise"):
        ingest_raws(empty, [other], "simcam", on_error="stop")
    assert everything(empty) == before
    report = ingest_raws(empty, [other], "simcam")
    assert [ref.data_id["exposure"] for ref in report.ingested] == [2001]
    ((path, why),) = report.failed
    assert path == other / "longer.fits"
    assert why.startswith(f"{path}: exposure is defined otherwise already")


def test_a_frame_whose_record_cannot_be_kept_keeps_no_other_out(empty, night, tmp_path):
    """Two exposures of one name: the database refuses one of many, and which it is must be found out."""
    ingest_raws(empty, [night / "simcam_00001004_S00.fits"], "simcam")
    other = tmp_path / "other"
    other.mkdir()
    for number in (2001, 2002, 2003):
        renamed(night / "simcam_00001004_S00.fits", other / f"{number}.fits", EXPNUM=number)
    described = Instrument.load("simcam").to_dict()
    described["exposure"]["obs_id"] = {"text": "S{SEQNO}"}
    report = ingest_raws(empty, [other], Instrument.from_dict(described))
    assert sorted(ref.data_id["exposure"] for ref in report.ingested) == [2001]
    assert sorted(path.name for path, _ in report.failed) == ["2002.fits", "2003.fits"]


def test_frames_are_ingested_without_being_read_where_told_to(empty, night):
    ingest_raws(empty, [night], "simcam", checksums=False, transfer="direct")
    assert empty.sql("SELECT DISTINCT checksum FROM stored_file WHERE path LIKE '%simcam_%.fits'")[1] == [(None,)]
    assert empty.get("raw", exposure=1001, detector=0).metadata["EXPNUM"] == 1001
