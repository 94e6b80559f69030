"""What a user may say instead of plain keys: other keys, columns, what is related one to one, values of any kind."""

import numpy as np
import pandas as pd
import pytest

from skybutler.butler.butler import Butler
from skybutler.model.data_id import DataId
from skybutler.model.datasets import DatasetType
from skybutler.model.dimensions import DimensionUniverse
from skybutler.model.errors import DataIdError, DatasetNotFoundError
from skybutler.model.timespan import Timespan
from skybutler.testing.small_repository import fill_repository

HERE = {"instrument": "SmallCam"}
NIGHT = 20250103


@pytest.fixture
def noted(butler):
    """Notes by visit, frames by exposure, of detector 1."""
    butler.register_dataset_type("frame", ["exposure", "detector"], "Dict")
    for n in (1, 2, 3):
        butler.put("note", {"visit": n}, visit=n, detector=1)
        butler.put("frame", {"exposure": n}, exposure=n, detector=1)
    return butler


NAMES = [
    {"visit": 2, "detector": "D01"},
    {"visit": "SC-0002", "detector": 1},
    {"visit": 2, "full_name": "D01"},
    {"visit": 2, "detector.full_name": "D01"},
    {"visit.name": "SC-0002", "detector": 1},
    {"exposure": 2, "detector": 1},
    {"exposure": "SC-0002", "detector": "D01"},
    {"exposure.obs_id": "SC-0002", "detector": 1},
    {"exposure.seq_num": 2, "detector": 1},
    {"visit.seq_num": 2, "exposure.day_obs": NIGHT, "detector": 1},
    {"day_obs": NIGHT, "seq_num": 2, "detector": 1},
    {"seq_num": 2, "detector": 1},
    {"target_name": "field 2", "detector": 1},
    {"physical_filter": "SC-r", "seq_num": 2, "detector": 1},
    {"band": "r", "visit": 2, "detector": 1},
    {"visit": np.int64(2), "detector": np.uint8(1)},
    {"visit": np.str_("2"), "detector": "1"},
    {"visit": 2.0, "detector": np.float32(1)},
    {"visit": np.array(2), "detector": 1},
    {"visit": 2, "detector": 1, "exposure": None},
]


@pytest.mark.parametrize("given", NAMES, ids=str)
def test_a_dataset_of_a_visit_or_an_exposure_is_named_in_many_ways(noted, given):
    assert noted.get("note", given) == {"visit": 2}
    assert noted.get("frame", given | HERE) == {"exposure": 2}
    assert noted.exists("note", given)
    assert noted.find_dataset("frame", **given).data_id == HERE | {"exposure": 2, "detector": 1}


@pytest.mark.parametrize(
    "given", [{"detector": "D01"}, {"detector.full_name": "D01"}, {"detector": np.int32(1)}, {"detector": 1.0}], ids=str
)
def test_queries_take_data_ids_as_get_does(noted, given):
    assert noted.query_datasets("note", visit="SC-0002", data_id=given).count() == 1
    assert [d["visit"] for d in noted.query_data_ids(["visit", "detector"], visit="2", **given)] == [2]
    assert [r.full_name for r in noted.query_dimension_records("detector", data_id=given)] == ["D01"]


def test_what_is_put_under_another_name_is_kept_by_its_keys(butler):
    ref = butler.put("note", {}, visit="SC-0004", detector="D02")
    assert dict(ref.data_id) == HERE | {"visit": 4, "detector": 2}


def test_a_row_of_a_data_frame_is_a_data_id(noted):
    table = pd.DataFrame({"visit": [2, 3], "detector": [1, 1], "weight": [0.5, 0.25]})
    for _, row in table[["visit", "detector"]].astype(float).iterrows():
        assert noted.exists("note", row.to_dict())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"visit": True, "detector": 1}, "visit is a whole number or a name; True is bool"),
        ({"visit": 2.5, "detector": 1}, r"visit is a whole number or a name; 2\.5 is float"),
        ({"visit": float("nan"), "detector": 1}, "nan is float"),
        ({"visit": [2], "detector": 1}, r"\[2\] is list"),
        ({"visit": np.array([2]), "detector": 1}, "is ndarray"),
        ({"visit": 2, "detector": 1, "physical_filter": 3}, "physical_filter is a name, and 3 is int"),
        ({"visit": 2, "detector": 1, 3: 4}, "3 names no dimension"),
        ({"day_obs": "2025-01-03", "seq_num": 2, "detector": 1}, "day_obs is a number; '2025-01-03' is none"),
        ({"visit": 2, "detector": "D1"}, "no detector full_name 'D1' of instrument 'SmallCam': there are D00, D01"),
        ({"visit": "SC-2", "detector": 1}, "no visit name 'SC-2' of instrument 'SmallCam': there are SC-0001"),
        ({"exposure.obs_id": "SC-9", "detector": 1}, "no exposure obs_id 'SC-9'"),
        ({"exposure": 77, "detector": 1}, "no exposure 77 of instrument 'SmallCam': there are 1, 2, 3, 4"),
        ({"visit": 2, "detector": 1, "band": "g"}, "But visit=2, detector=1, instrument='SmallCam' has band='r'"),
        ({"visit": 2, "detector": 1, "exposure": 3},
         "But detector=1, instrument='SmallCam', exposure=3 has visit=3; .* has exposure=2"),
        ({"visit": 2, "detector": 1, "seq_num": 3}, "has visit=3; .* has seq_num=2"),
        ({"day_obs": NIGHT, "detector": 1}, "is ambiguous: it leaves visit open. Candidates: .*visit: 1.*visit: 2"),
        ({"visit": 2}, "lacks detector: given was visit=2"),
        ({"visit": 2, "detector": 1, "colour": "r"}, "There is no 'colour' here"),
        ({"visit": 2, "detcetor": 1}, "Did you mean 'detector'"),
    ],
    ids=str,
)  # fmt: skip
def test_what_names_nothing_or_contradicts_itself_is_told_with_what_was_found(noted, given, message):
    with pytest.raises(DataIdError, match=message):
        noted.find_dataset("note", given)


def test_a_visit_of_several_exposures_leaves_the_exposure_open_and_names_them(noted):
    noted.insert_dimension_records("visit_definition", [HERE | {"visit": 1, "exposure": 3}])
    with pytest.raises(DataIdError, match=r"leaves exposure open. Candidates: .*exposure: 1,.*; .*exposure: 3"):
        noted.get("frame", visit=1, detector=1)
    assert noted.get("note", exposure=1, detector=1) == {"visit": 1}
    with pytest.raises(DataIdError, match="leaves visit open"):
        noted.get("note", exposure=3, detector=1)


@pytest.fixture
def calibrated(noted):
    """Flats certified for the time of one exposure each: 1 and 3, both SC-g."""
    noted.register_dataset_type("flatfield", ["physical_filter", "detector"], "Dict", is_calibration=True)
    noted.collections.register("calib", "CALIBRATION")
    for record in noted.query_dimension_records("exposure", where="exposure IN (1, 3)"):
        ref = noted.put("flatfield", {"of": record.id}, physical_filter="SC-g", detector=1, run=f"flats/{record.id}")
        noted.collections.certify("calib", [ref], record.timespan)
    return noted


@pytest.mark.parametrize(
    "given",
    [
        {"exposure": 3, "detector": 1},
        {"exposure": "SC-0003", "detector": "D01"},
        {"obs_id": "SC-0003", "detector": 1},
        {"exposure.seq_num": 3, "detector": 1},
        {"day_obs": NIGHT, "seq_num": 3, "detector": 1},
        {"visit": "SC-0003", "detector": 1},
        {"visit": 3, "seq_num": 3, "full_name": "D01"},
    ],
    ids=str,
)
def test_a_calibration_is_found_for_the_time_of_what_is_named_in_any_way(calibrated, given):
    assert calibrated.get("flatfield", given, collections="calib") == {"of": 3}


def test_a_calibration_that_is_not_valid_then_is_not_found(calibrated):
    with pytest.raises(DatasetNotFoundError, match="valid in"):
        calibrated.get("flatfield", exposure=1, detector=1, collections="calib", timespan=Timespan(0, 1))
    with pytest.raises(DataIdError, match="has physical_filter='SC-g'"):
        calibrated.get("flatfield", exposure=3, physical_filter="SC-r", detector=1, collections="calib")


def test_validity_ends_for_detectors_by_their_names(calibrated):
    always = Timespan(None, None)
    calibrated.collections.decertify(
        "calib", "flatfield", always, [HERE | {"physical_filter": "SC-g", "detector": "D01"}]
    )
    assert calibrated.find_dataset("flatfield", exposure=3, detector=1, collections="calib") is None


def test_one_instrument_or_sky_map_need_not_be_named(butler):
    butler.insert_dimension_records("skymap", [{"name": "rings"}])
    butler.insert_dimension_records("tract", [{"skymap": "rings", "id": 5}])
    butler.register_dataset_type("mosaic", ["tract", "band"], "Dict")
    ref = butler.put("mosaic", {}, tract=5, band="r")
    assert dict(ref.data_id) == {"skymap": "rings", "band": "r", "tract": 5}
    butler.insert_dimension_records("skymap", [{"name": "squares"}])
    with pytest.raises(
        DataIdError, match="lacks skymap: given was tract=5, band='r', and the repository has rings, sq"
    ):
        butler.get("mosaic", tract=5, band="r")


def test_a_butler_of_one_of_several_instruments_names_it(root):
    with Butler(root, instrument="SmallCam") as butler:
        butler.insert_dimension_records("instrument", [{"name": "Other"}])
        ref = butler.put("note", {}, visit="SC-0001", detector="D00")
        assert ref.data_id["instrument"] == "SmallCam"


@pytest.mark.sqlite
def test_a_data_id_of_another_universe_is_read_as_a_mapping(butler):
    definition = butler.universe.definition
    names = list(definition["elements"])
    names.remove("detector")
    names.insert(names.index("exposure"), "detector")
    other = DimensionUniverse(definition | {"elements": {name: definition["elements"][name] for name in names}})
    group = other.conform(["visit", "detector"])
    assert group.required == ("instrument", "detector", "visit")
    data_id = DataId(group, ("SmallCam", 2, 4))
    assert dict(butler.registry.data_ids.resolve(butler.dataset_type("note").dimensions, data_id)) == HERE | {
        "visit": 4, "detector": 2,
    }  # fmt: skip


@pytest.mark.sqlite
def test_pixels_of_any_level_are_dimensions_within_their_numbers(butler):
    butler.register_dataset_type(DatasetType("cell", ["healpix10"], "Dict", universe=butler.universe))
    butler.put("cell", {"a": 1}, healpix10=12)
    assert butler.get("cell", healpix10=np.int64(12)) == {"a": 1}
    assert butler.get("cell", healpix10="12") == {"a": 1}
    with pytest.raises(DataIdError, match="healpix10 pixels are numbered 0 … 12582911; not 12582912"):
        butler.put("cell", {}, healpix10=12 << 20)


@pytest.mark.sqlite
def test_plain_keys_are_found_by_one_statement_and_other_names_by_two(noted):
    noted.find_dataset("note", visit=2, detector=1)
    statements: list[str] = []
    noted.registry.database.cursor().connection.set_trace_callback(statements.append)
    noted.find_dataset("note", instrument="SmallCam", visit=2, detector=1)
    assert len([s for s in statements if s.lstrip().upper().startswith("SELECT")]) == 1
    statements.clear()
    noted.find_dataset("note", instrument="SmallCam", visit="SC-0002", detector=1)
    assert len([s for s in statements if s.lstrip().upper().startswith("SELECT")]) == 2


def test_the_only_detector_of_an_instrument_follows(noted):
    with pytest.raises(DataIdError, match="detector"):
        noted.find_dataset("note", visit=2)
    one = {"instrument": "OneCam"}
    noted.insert_dimension_records("instrument", [{"name": "OneCam", "detector_max": 5}])
    noted.insert_dimension_records("detector", [{**one, "id": 4, "full_name": "D04"}])
    resolve = noted.registry.data_ids.resolve
    for name in ("visit", "exposure"):
        group = noted.universe.conform([name, "detector"])
        assert resolve(group, {**one, name: 1})["detector"] == 4


def test_data_of_a_camera_of_one_detector_need_not_name_it():
    """Datasets are put, found and read without it, and calibrations by the visit that they are for."""
    with Butler.in_memory() as butler:
        fill_repository(butler, detectors=1)
        butler.register_dataset_type("stars", ["visit", "detector"], "Dict")
        butler.register_dataset_type("dome", ["detector"], "Dict", is_calibration=True)
        ref = butler.put("stars", {"n": 1}, visit=2)
        assert ref.data_id == {"instrument": "SmallCam", "visit": 2, "detector": 0}
        assert butler.get("stars", visit=2) == butler.get("stars", {"visit": "SC-0002"}) == {"n": 1}
        assert butler.get("stars", exposure=2) == {"n": 1}
        assert butler.find_dataset("stars", visit=2) == ref
        assert butler.exists("stars", visit=2)
        assert not butler.exists("stars", visit=1)
        assert butler.get_uri("stars", visit=2) == butler.get_uri(ref)
        assert butler.get_deferred("stars", visit=2).get() == {"n": 1}
        assert butler.query_datasets("stars", visit=2).count() == 1
        butler.put("dome", {"n": 2})
        butler.collections.register("certified", "CALIBRATION")
        butler.collections.certify("certified", butler.query_datasets("dome"), Timespan(None, None))
        assert butler.get("dome", visit=2, collections="certified") == {"n": 2}
        with pytest.raises(DatasetNotFoundError, match=r"visit: 3, detector: 0\}.*There is .*visit: 2"):
            butler.get("stars", visit=3)
        with pytest.raises(DataIdError, match="detector"):
            butler.get("stars", visit=2, detector=1)
