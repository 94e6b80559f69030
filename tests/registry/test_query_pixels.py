"""Sky pixels of any level and kind in queries: as results, in conditions, and as what datasets are kept by."""

import pytest

from skybutler.model.errors import InvalidQueryError
from skybutler.model.pixels import pixelization

LEVELS = [("htm", 9), ("htm", 5), ("healpix", 10), ("healpix", 4)]


def expected(butler, element, kind, level):
    """Return the pairs of a record's own number and a pixel that it touches, one by one."""
    pixels = pixelization(kind, level)
    return {
        (record.data_id(butler.universe).required_values, pixel)
        for record in butler.query_dimension_records(element)
        for pixel in pixels.touched(record.region)
    }


@pytest.mark.parametrize(("kind", "level"), LEVELS)
def test_data_ids_pair_visits_with_each_pixel_that_they_touch(butler, kind, level):
    name = f"{kind}{level}"
    query = butler.query_data_ids(["visit", name])
    found = [((d["instrument"], d["visit"]), d[name]) for d in query]
    assert set(found) == expected(butler, "visit", kind, level)
    assert len(found) == len(set(found)) == query.count()
    assert query.to_arrow().num_rows == len(found)


@pytest.mark.parametrize(("kind", "level"), LEVELS)
def test_detectors_of_visits_are_tested_by_their_own_regions(butler, kind, level):
    name = f"{kind}{level}"
    found = {
        ((d["instrument"], d["visit"], d["detector"]), d[name])
        for d in butler.query_data_ids(["visit", "detector", name])
    }
    assert found == expected(butler, "visit_detector_region", kind, level)


@pytest.mark.parametrize(("kind", "level"), LEVELS)
def test_records_are_found_by_a_pixel(butler, kind, level):
    name = f"{kind}{level}"
    pairs = expected(butler, "visit", kind, level)
    for pixel in {pixel for _, pixel in pairs}:
        visits = {key[1] for key, one in pairs if one == pixel}
        by_where = butler.query_dimension_records("visit", where=f"{name} = {pixel}")
        by_keyword = butler.query_dimension_records("visit", **{name: pixel})
        by_bind = butler.query_dimension_records("visit", where=f"{name} IN (:p)", bind={"p": [pixel, 10**9]})
        for query in (by_where, by_keyword, by_bind):
            assert {record.id for record in query} == visits
            assert query.count() == len(visits)
    assert not butler.query_dimension_records("visit", where=f"{name} = 1000000007").any()


def test_an_overlap_may_be_spelt_out(butler):
    joined = butler.query_data_ids(["visit", "htm9"], where="visit.region OVERLAPS htm9.region")
    assert set(joined) == set(butler.query_data_ids(["visit", "htm9"]))


def test_datasets_kept_by_pixels_are_found_by_the_visits_that_touch_them(butler):
    butler.register_dataset_type("cell", ["healpix10"], "Dict")
    touched = {d["healpix10"] for d in butler.query_data_ids(["visit", "healpix10"], where="visit = 2")}
    for pixel in [*touched, 5]:
        butler.put("cell", {"pixel": pixel}, healpix10=pixel)
    found = butler.query_datasets("cell", where="visit = 2", instrument="SmallCam")
    assert {ref.data_id["healpix10"] for ref in found} == touched
    assert butler.query_datasets("cell", where="healpix10 = 5").count() == 1
    assert butler.query_datasets("cell", visit=4, instrument="SmallCam").count() == 0
    both = butler.query_data_ids(["visit", "healpix10"], datasets="cell")
    assert {d["visit"] for d in both} >= {2}


def test_what_is_asked_again_sees_records_that_came(butler):
    query = butler.query_data_ids(["visit", "healpix10"])
    before = query.count()
    row = {"instrument": "SmallCam", "id": 9, "name": "nine", "region": "CIRCLE 100 20 0.01"}
    butler.insert_dimension_records("visit", [row])
    assert query.count() > before
    assert query.where("visit = 9").any()


def test_pixels_of_nothing_or_too_many_are_refused(butler):
    with pytest.raises(InvalidQueryError, match=r"sky pixels alone \(htm9\) are too many to list"):
        butler.query_data_ids(["htm9"])
    row = {"instrument": "SmallCam", "id": 9, "name": "nine", "region": "CIRCLE 100 20 5"}
    butler.insert_dimension_records("visit", [row])
    with pytest.raises(InvalidQueryError, match="more than 500,000 healpix14 pixels"):
        butler.query_data_ids(["visit", "healpix14"])
    assert butler.query_data_ids(["visit", "healpix17"], visit=9, healpix17=5).count() == 0
    for few in ("healpix17 IN (5, 6)", "healpix17 = 5 OR healpix17 = 6"):
        assert not butler.query_data_ids(["visit", "healpix17"], where=f"visit = 9 AND ({few})").any()
    assert butler.query_data_ids(["visit", "healpix14"], where="visit IN (1, 2)").any()
