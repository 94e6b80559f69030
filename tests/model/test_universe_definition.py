"""Universes of one's own are read, extended and checked; each mistake is told with its place and what to do."""

import copy
import re
from pathlib import Path

import pytest
import yaml

from skybutler.model.dimensions import default_universe
from skybutler.model.errors import ConflictingDefinitionError
from skybutler.model.universe_definition import load_universe

KEY = {"key": {"id": "int"}}


def whole(**elements):
    return {"version": 1, "namespace": "mine", "common_pixels": "htm7", "elements": elements}


def added(**elements):
    return {"extends": "default", "namespace": "mine", "elements": elements}


def test_a_column_is_added_to_the_default_universe_in_five_lines(tmp_path):
    file = tmp_path / "survey.yaml"
    file.write_text(
        "extends: default\n"
        "namespace: survey\n"
        "elements:\n"
        "  exposure:\n"
        "    metadata: {seeing: {type: float, unit: arcsec}}\n"
    )
    universe = load_universe(file)
    seeing = universe["exposure"].columns[universe["exposure"].index["seeing"]]
    assert (seeing.type, seeing.unit, seeing.role, seeing.nullable) == ("float", "arcsec", "metadata", True)
    assert [c.name for c in universe["exposure"].columns if c.name != "seeing"] == [
        c.name for c in default_universe()["exposure"].columns
    ]
    assert universe.namespace == "survey"
    assert "seeing" not in default_universe()["exposure"].index


def test_a_dimension_is_added_and_implied_wherever_it_stands():
    universe = load_universe(
        added(exposure={"implies": ["dither"]}, dither={"key": {"id": "int"}, "requires": ["instrument"]})
    )
    assert universe.conform(["exposure"]).implied == ("band", "physical_filter", "day_obs", "group", "dither")
    assert universe.conform(["dither"]).required == ("instrument", "dither")
    names = [e.name for e in universe.elements]
    assert names.index("dither") < names.index("exposure")
    assert [n for n in names if n != "dither"] == [e.name for e in default_universe().elements]


def test_families_and_pixels_are_changed_by_their_names():
    universe = load_universe(
        added(group={"timespan": True}) | {"common_pixels": "healpix6", "temporal_families": {"groups": ["group"]}}
    )
    assert universe.common_pixels == "healpix6"
    assert universe.temporal_families["groups"] == ("group",)
    assert universe.temporal_families["observation"] == default_universe().temporal_families["observation"]


def test_none_is_the_default_universe_and_a_copy_of_it_is_the_same_object():
    assert load_universe(None) is default_universe()
    assert load_universe(copy.deepcopy(default_universe().definition)) is default_universe()
    own = load_universe(whole(star=KEY))
    assert load_universe(own) is own
    assert load_universe(whole(star=KEY)) is own


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ({"elements": "none"}, "elements: a mapping of names is wanted"),
        ({}, "lacks 'common_pixels'; write `common_pixels: htm7`"),
        ({"common_pixels": "htm7"}, "lacks 'elements'"),
        ({"extends": "lsst"}, "extends: 'lsst' is unknown; there is only `extends: default`"),
        ({"extend": "default"}, "unknown key 'extend'. Did you mean 'extends'?"),
        (added() | {"version": "two"}, "version: 'two' is no number"),
        (added() | {"namespace": "my survey"}, "namespace: 'my survey' is no name"),
        ({"extends": "default", "namespace": "skybutler", "elements": {"star": KEY}}, "give yours another name"),
        (added() | {"common_pixels": "htm25"}, "common_pixels is 'htm25'; it must be htm0 … htm24 or healpix0"),
        (whole(star=1), r"elements.star: 1 stands where an element is described"),
        (whole(star=KEY | {"metdata": {}}), "elements.star: unknown key 'metdata'. Did you mean 'metadata'?"),
        (whole(star={}), "elements.star: it has neither a key nor dimensions"),
        (whole(star={"key": {"id": "float"}}), "elements.star.key.id: a key is an int or a str, not 'float'"),
        (whole(star=KEY | {"metadata": {"mag": {"type": "flaot"}}}),
         "elements.star.metadata.mag: type 'flaot' is unknown; a column is one of int, float"),
        (whole(star=KEY | {"metadata": {"mag": {}}}), "elements.star.metadata.mag: it has no type"),
        (whole(star=KEY | {"metadata": {"mag": "float"}}), "elements.star.metadata.mag: 'float' stands where a column"),
        (whole(star=KEY | {"metadata": {"mag": {"type": "float", "units": "mag"}}}), "Did you mean 'unit'?"),
        (whole(star=KEY | {"metadata": {"mag": {"type": "float", "required": 1}}}), "mag.required: true or false"),
        (whole(star=KEY | {"metadata": {"region": {"type": "str"}}}), "write `region: true` in the element"),
        (whole(star=KEY | {"metadata": {"to_dict": {"type": "str"}}}), "cannot be called 'to_dict'"),
        (whole(star=KEY | {"metadata": {"id": {"type": "int"}}}), "universe: dimension element 'star': .*two columns"),
        (whole(star=KEY | {"metadata": {"star": {"type": "int"}}}), "star.star means the key of star; choose another"),
        (whole(star=KEY | {"metadata": {"Mag": {"type": "int"}}}), "cannot be called 'Mag'"),
        (whole(star=KEY | {"metadata": {True: {"type": "int"}}}), "YAML reads yes, no, on and off"),
        (whole(star=KEY | {"region": "yes"}), "elements.star.region: true or false is wanted"),
        (whole(star=KEY | {"requires": "plate"}), "elements.star.requires: a list of names is wanted"),
        (whole(plate=KEY, star=KEY | {"requires": ["plate", "plate"]}), "'plate' is named twice"),
        (whole(plate=KEY, star=KEY | {"requires": ["plat"]}), "there is no element 'plat'. Did you mean 'plate'?"),
        (whole(a=KEY | {"requires": ["b"]}, b=KEY | {"requires": ["c"]}, c=KEY | {"implies": ["a"]}),
         "it depends on itself: a → b → c → a"),
        (whole(a=KEY, b=KEY | {"requires": ["a"]}, c=KEY | {"requires": ["b"]}),
         "elements.c.requires: it requires 'b' and so must require 'a', too; add a to elements.c.requires"),
        (whole(a=KEY, b=KEY | {"requires": ["a"], "implies": ["a"]}), "it requires 'a' already"),
        (whole(a=KEY, b=KEY, r={"requires": ["a", "b"]}, c=KEY | {"implies": ["r"]}), "'r' has no key: it is no dim"),
        (whole(run=KEY), "elements.run: 'run' means something else to the Butler"),
        (whole(collections=KEY), "'collections' means something else"),
        (whole(overlaps=KEY), "'overlaps' means something else"),
        (whole(a=KEY, b=KEY | {"virtual": {"union": "a"}}), "b.virtual: union: 'a' is no element that implies b"),
        (whole(a=KEY) | {"spatial_families": {"f": ["b"]}}, "spatial_families.f: there is no element 'b'"),
        (whole(a=KEY) | {"temporal_families": {"f": ["a"]}}, "temporal_families.f: 'a' has no timespan; write"),
        (whole(a=KEY) | {"spatial_families": ["a"]}, "spatial_families: a mapping of names is wanted"),
        (added(exposure={"metadata": {"exposure_time": {"type": "str"}}}),
         r"exposure.metadata.exposure_time: the default universe has a column exposure.exposure_time \(float\)"),
        (added(exposure={"metadata": {"obs_id": {"type": "str"}}}), "has a column exposure.obs_id .*another name"),
        (added(exposure={"key": {"id": "str"}}), "exposure.key: the default universe has an element 'exposure'"),
        (added(exposure={"timespan": False}), "elements.exposure.timespan: it is True in the default universe"),
        (added(band={"virtual": {"union": "subfilter"}}), "elements.band.virtual: it is .*physical_filter"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place_and_what_to_do(definition, message):
    with pytest.raises(ConflictingDefinitionError, match=message.replace("?", r"\?")):
        load_universe(definition)


def test_what_the_default_universe_says_may_be_said_again():
    shipped = default_universe().definition["elements"]["exposure"]
    said = {
        "key": shipped["key"],
        "timespan": True,
        "metadata": {"exposure_time": shipped["metadata"]["exposure_time"]},
    }
    assert load_universe(added(exposure=said))["exposure"] == default_universe()["exposure"]
    assert load_universe(added(group={"region": True}))["group"].has_region


def test_mistakes_in_files_name_the_file_and_a_key_that_stands_twice_its_line(tmp_path):
    file = tmp_path / "survey.yaml"
    file.write_text("extends: default\nelements:\n  exposure: {metadat: {}}\n")
    with pytest.raises(ConflictingDefinitionError, match=r"survey\.yaml: elements\.exposure: unknown key 'metadat'"):
        load_universe(str(file))
    file.write_text("extends: default\nelements:\n  star:\n    key: {id: int}\n    key: {name: str}\n")
    with pytest.raises(ConflictingDefinitionError, match=r"survey\.yaml:5: 'key' stands twice in one mapping"):
        load_universe(file)
    file.write_text("extends: [default\n")
    with pytest.raises(ConflictingDefinitionError, match=r"survey\.yaml is no YAML"):
        load_universe(file)
    with pytest.raises(FileNotFoundError):
        load_universe(tmp_path / "missing.yaml")
    with pytest.raises(TypeError, match="a universe is a YAML file, a mapping or a DimensionUniverse, not int"):
        load_universe(7)


def test_what_a_repository_keeps_can_be_read_again():
    own = load_universe(added(star=KEY))
    assert load_universe(yaml.safe_load(yaml.safe_dump(own.definition, sort_keys=False))) is own


def test_the_page_on_dimensions_shows_universes_that_can_be_read():
    page = (Path(__file__).parents[2] / "docs" / "dimensions.md").read_text(encoding="utf-8")
    shown = [load_universe(yaml.safe_load(text)) for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    assert ["seeing" in universe["exposure"].index for universe in shown] == [True, False]
    assert "dither" in shown[1].conform(["exposure"]).implied
