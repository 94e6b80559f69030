import numpy as np
import pytest

from skybutler.imaging import SourceCatalog
from skybutler.imaging.schema import AliasMap, Field, Schema


@pytest.fixture
def schema():
    made = Schema()
    made.add_field("id", "L", "unique id")
    made.add_field("coord_ra", "Angle", "position")
    made.add_field("base_PsfFlux_instFlux", "D", "flux", "count")
    made.add_field("base_PsfFlux_flag", "Flag")
    made.add_field("name", "String", size=8)
    made.add_field("ap", "ArrayF", "apertures", "count", size=3)
    return made


def test_lsst_letters_and_numpy_types_mean_the_same(schema):
    assert [field.type for field in schema] == ["int64", "Angle", "float64", "bool", "String", "float32"]
    other = Schema()
    assert other.add_field("id", np.int64, "unique id") == schema["id"]
    assert other.add_field("flag", bool).is_flag
    assert other.add_field("small", "int16").dtype == np.int16
    assert other.add_field("text", np.dtype("U5")).size == 5
    assert other.add_field("matrix", "D", shape=(2, 3)).empty(4).shape == (4, 2, 3)


def test_defaults_are_zero_nan_false_and_no_text(schema):
    assert schema["id"].empty(2).tolist() == [0, 0]
    assert np.isnan(schema["coord_ra"].empty(1)[0])
    assert schema["base_PsfFlux_flag"].empty(1).tolist() == [False]
    assert schema["name"].empty(1).tolist() == [""]
    assert schema["ap"].empty(2).shape == (2, 3)
    assert schema["ap"].empty(2).dtype == np.float32


def test_an_angle_is_in_radians(schema):
    assert schema["coord_ra"].units == "rad"
    with pytest.raises(ValueError, match="radians, not in deg"):
        schema.add_field("coord_dec", "Angle", units="deg")


def test_names_once_and_the_closest_in_the_error(schema):
    with pytest.raises(ValueError, match="'id' already"):
        schema.add_field("id", "L")
    with pytest.raises(KeyError, match=r"no column 'coord_r' among its 6\. Did you mean 'coord_ra'"):
        schema["coord_r"]
    with pytest.raises(TypeError, match="no type of a catalog column"):
        schema.add_field("x", "Floaty")
    with pytest.raises(ValueError, match="needs its size"):
        schema.add_field("x", "ArrayD")
    with pytest.raises(TypeError, match="cannot hold object"):
        schema.add_field("x", "object")


def test_the_longest_prefix_is_replaced_repeatedly():
    aliases = AliasMap({"q": "a", "qq": "b", "b_x": "c"})
    assert aliases.resolve("q_1") == "a_1"
    assert aliases.resolve("qq_1") == "b_1"
    assert aliases.resolve("qq_x") == "c"
    assert aliases.resolve("other") == "other"
    aliases["a"] = "z"
    assert aliases.resolve("q_1") == "z_1"
    del aliases["q"]
    assert aliases.resolve("q_1") == "q_1"


def test_a_circle_of_aliases_is_an_error():
    aliases = AliasMap({"a": "b", "b": "a"})
    with pytest.raises(RuntimeError, match="'a' leads in a circle"):
        aliases.resolve("a")


def test_slots_are_aliases(schema):
    schema.define_slot("PsfFlux", "base_PsfFlux")
    assert schema["slot_PsfFlux_instFlux"].name == "base_PsfFlux_instFlux"
    assert "slot_PsfFlux_flag" in schema
    with pytest.raises(KeyError, match="stands for 'base_PsfFlux_instFluxErr'"):
        schema["slot_PsfFlux_instFluxErr"]


def test_a_frozen_schema_takes_aliases_but_no_columns(schema):
    frozen = schema.frozen()
    with pytest.raises(TypeError, match="fixed, 'new' cannot be added"):
        frozen.add_field("new", "D")
    frozen.aliases["flux"] = "base_PsfFlux_instFlux"
    assert frozen["flux"].units == "count"
    assert "flux" not in schema
    assert len(frozen.copy().add_field("new", "D").name) == 3


def test_extracts_by_pattern_and_speaks_camel_case(schema):
    assert list(schema.extract("base_*")) == ["base_PsfFlux_instFlux", "base_PsfFlux_flag"]
    assert schema.addField("more", "I") == Field("more", "int32")
    assert schema.getNames()[-1] == "more"


def test_dictionaries_bring_it_back(schema):
    schema.define_slot("PsfFlux", "base_PsfFlux")
    assert Schema.from_dict(schema.to_dict()) == schema
    assert ["ap", "float32[3]", "count", "apertures"] in [line.split() for line in repr(schema).splitlines()]


def test_a_field_is_its_own_key_as_lsst_code_asks_for_one():
    schema = SourceCatalog.minimal_schema()
    key = schema.find("id").key
    assert key == schema["id"].asKey() == schema.find("id").getKey() == schema["id"]
    assert SourceCatalog(schema, {"id": [7]})[0].get(key) == 7
