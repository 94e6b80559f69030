"""Dimension groups are closed, ordered and unique; universes that make no sense are refused."""

import copy
import pickle
import subprocess
import sys

import pytest

from skybutler.model.dimensions import DimensionUniverse, default_universe, universe_from_json
from skybutler.model.errors import ConflictingDefinitionError, DataIdError


@pytest.fixture(scope="module")
def universe() -> DimensionUniverse:
    return default_universe()


def define(**elements: object) -> DimensionUniverse:
    return DimensionUniverse({"version": 1, "common_pixels": "htm7", "elements": elements})


KEY = {"key": {"id": "int"}}


@pytest.mark.parametrize(
    ("names", "required", "implied"),
    [
        ([], (), ()),
        (["detector"], ("instrument", "detector"), ()),
        (["band"], ("band",), ()),
        (["physical_filter"], ("instrument", "physical_filter"), ("band",)),
        (["visit"], ("instrument", "visit"), ("band", "physical_filter", "day_obs")),
        (["detector", "visit"], ("instrument", "visit", "detector"), ("band", "physical_filter", "day_obs")),
        (["exposure"], ("instrument", "exposure"), ("band", "physical_filter", "day_obs", "group")),
        (["patch"], ("skymap", "tract", "patch"), ()),
        (["patch", "band"], ("skymap", "band", "tract", "patch"), ()),
        (["visit", "subfilter"], ("instrument", "subfilter", "visit"), ("band", "physical_filter", "day_obs")),
        (["healpix9", "htm7"], ("healpix9", "htm7"), ()),
    ],
)
def test_a_group_holds_what_its_dimensions_require_and_imply_in_the_order_of_the_universe(
    universe, names, required, implied
):
    group = universe.conform(names)
    assert group.required == required
    assert group.implied == implied
    assert group.names == required + implied
    assert [group.index[name] for name in group.names] == list(range(len(group.names)))


def test_equal_groups_are_one_object(universe):
    group = universe.conform(["visit", "detector"])
    assert universe.conform(["detector", "visit", "instrument"]) is group
    assert universe.conform(group) is group
    assert universe.conform(["visit"]) | universe.conform(["detector"]) is group
    assert universe.conform("visit") is universe.conform(["visit"])


def test_groups_compare_as_sets(universe):
    visit, both = universe.conform(["visit"]), universe.conform(["visit", "detector"])
    assert visit <= both
    assert not both <= visit
    assert "band" in visit
    assert "detector" not in visit
    assert len(both) == 6


def test_a_group_knows_the_relations_that_hold_in_it(universe):
    assert "visit_detector_region" in universe.conform(["visit", "detector"]).elements
    assert "visit_detector_region" not in universe.conform(["visit"]).elements
    assert "visit_definition" in universe.conform(["visit", "exposure"]).elements


def test_an_unknown_dimension_is_an_error_that_suggests_the_nearest(universe):
    with pytest.raises(DataIdError, match=r"unknown dimension 'vist'\. Did you mean 'visit'\?"):
        universe.conform(["vist"])


def test_a_relation_is_no_dimension(universe):
    with pytest.raises(DataIdError, match="name instrument, visit, detector"):
        universe.conform(["visit_detector_region"])


@pytest.mark.parametrize("name", ["htm25", "healpix18", "htm", "htm-1", "quadtree7"])
def test_pixelizations_beyond_their_deepest_level_are_unknown(universe, name):
    assert name not in universe
    with pytest.raises(DataIdError):
        universe.conform([name])


def test_pixels_have_an_order_that_does_not_change_with_the_hash_seed():
    code = (
        "from skybutler.model.dimensions import default_universe;"
        "print(*default_universe().conform(['htm7', 'htm9', 'healpix5', 'htm11']).names)"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2", "5")
    }
    assert seen == {"healpix5 htm11 htm7 htm9\n"}


def test_elements_name_their_columns_as_lsst_does(universe):
    visit = universe["visit"]
    assert visit.required == ("instrument", "visit")
    assert [c.name for c in visit.columns][:5] == ["instrument", "id", "name", "physical_filter", "day_obs"]
    assert visit.column_of("visit") == "id"
    assert visit.column_of("instrument") == "instrument"
    assert visit.has_region
    assert visit.has_timespan
    assert not universe["band"].has_table
    assert not universe["htm7"].has_table
    assert universe["exposure"].columns[universe["exposure"].index["exposure_time"]].unit == "s"


def test_a_pickled_group_comes_back_as_the_same_object(universe):
    group = universe.conform(["visit", "detector"])
    assert pickle.loads(pickle.dumps(group)) is group
    assert copy.deepcopy(group) is group
    assert pickle.loads(pickle.dumps(universe)) is universe


def test_a_universe_comes_back_from_its_json_once_a_process(universe):
    assert universe_from_json(universe.to_json()) is universe
    own = define(star=KEY)
    again = universe_from_json(own.to_json())
    assert again == own
    assert again is universe_from_json(own.to_json()) is pickle.loads(pickle.dumps(again))


def test_a_universe_of_ones_own_has_its_own_dimensions():
    own = define(survey={"key": {"name": "str"}}, field={"key": {"id": "int"}, "requires": ["survey"]})
    assert own.conform(["field"]).required == ("survey", "field")
    assert "visit" not in own
    assert own != default_universe()


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ({"a": {"key": {"id": "int"}, "requires": ["b"]}, "b": KEY}, "'b' is not a dimension defined before it"),
        ({"a": {"key": {"id": "int"}, "implies": ["b"]}}, "'b' is not a dimension defined before it"),
        ({"a": {"key": {"id": "integer"}}}, "column 'id' has the type 'integer'"),
        ({"a": {"key": "id"}}, "its key is one column"),
        ({"a": {"key": {"id": "int", "name": "str"}}}, "its key is one column"),
        ({"a": KEY | {"metadata": {"x": {}}}}, "column 'x' has the type ''"),
        ({"a": KEY | {"metadata": {"id": {"type": "int"}}}}, "two columns 'id'"),
        ({"a": KEY | {"metadata": {"x y": {"type": "int"}}}}, "a column cannot be called 'x y'"),
        ({"a": KEY, "b": KEY | {"requires": ["a"]}, "c": KEY | {"requires": ["b"]}}, "must require 'a', too"),
        ({"Star": KEY}, "a name has"),
        ({"htm5": KEY}, "is no sky pixelization's"),
        ({"a": KEY | {"virtual": {"union": "nothing"}}}, "no 'nothing' to unite"),
    ],
)
def test_a_universe_that_makes_no_sense_says_why(elements, reason):
    with pytest.raises(ConflictingDefinitionError, match=reason):
        define(**elements)


def test_a_universe_lacking_its_parts_says_which():
    with pytest.raises(ConflictingDefinitionError, match="lacks common_pixels, elements, version"):
        DimensionUniverse({})
    with pytest.raises(ConflictingDefinitionError, match="common_pixels is 'quadtree'"):
        DimensionUniverse({"version": 1, "common_pixels": "quadtree", "elements": {"a": KEY}})
    with pytest.raises(ConflictingDefinitionError, match="family 'f' holds 'b'"):
        DimensionUniverse(
            {"version": 1, "common_pixels": "htm7", "elements": {"a": KEY}, "spatial_families": {"f": ["a", "b"]}}
        )
