"""Rows found by value, between values, and by flags as bits; the numbers of afw's tests of tables."""

import numpy as np
import pytest

from skybutler.imaging import ChebyshevField, Image, MaskedImage, PhotoCalib, Schema, SourceCatalog
from skybutler.imaging.geometry import Box2I, Extent2I, Point2I


@pytest.fixture
def catalog():
    schema = SourceCatalog.minimal_schema()
    for name, kind in (("i", "I"), ("l", "L"), ("f", "D"), ("a_flag", "Flag"), ("b_flag", "Flag"), ("c_flag", "Flag")):
        schema.add_field(name, kind)
    made = SourceCatalog(schema)
    values = np.random.default_rng(1).normal(0, 1, 50)
    for j, value in zip(range(50, 0, -1), values, strict=True):
        record = made.add_new()
        record.assign({"i": j // 10, "l": j, "f": value, "a_flag": j % 2 == 0, "b_flag": j % 3 == 0, "c_flag": j > 9})
    return made


def test_sorted_columns_are_searched_between_values(catalog):
    assert not catalog.isSorted("i")
    assert not catalog.isSorted("l")
    with pytest.raises(ValueError, match=r"not sorted by l, .* sort\('l'\)"):
        catalog.lower_bound(3, "l")
    catalog.sort("l")
    assert catalog.isSorted("l")
    assert catalog.find(10, "l")["l"] == 10
    assert catalog.find(1000, "l") is None
    assert (catalog.lower_bound(10, "l"), catalog.upper_bound(10, "l"), catalog.upperBound(99, "l")) == (9, 10, 50)
    assert catalog.between(3, 5, "l") == slice(2, 5)
    catalog.sort("f")
    inside = catalog[catalog.between(-0.5, 0.5, "f")]["f"]
    assert len(inside) == np.count_nonzero(np.abs(catalog["f"]) <= 0.5) > 0
    assert np.abs(inside).max() <= 0.5
    catalog.sort("i")
    rows = catalog.equal_range(3, "i")
    assert catalog[rows]["i"].tolist() == [3] * 10
    assert catalog[rows].is_sorted("f")  # the sort was stable
    assert rows == slice(catalog.lower_bound(3, "i"), catalog.upper_bound(3, "i"))


def test_flags_become_bits(catalog):
    every, some = catalog.getBits(), catalog.bits(["a_flag", "c_flag"])
    assert [every.getMask(name) for name in ("a_flag", "b_flag", "c_flag")] == [1, 2, 4]
    assert [some.mask(name) for name in ("a_flag", "c_flag")] == [1, 2]
    for bit, name in enumerate(("a_flag", "b_flag", "c_flag")):
        assert np.array_equal((every.array & 1 << bit) != 0, catalog[name])
    assert np.array_equal((some.array & 2) != 0, catalog["c_flag"])
    with pytest.raises(TypeError, match="i is no flag"):
        catalog.bits(["i"])
    with pytest.raises(KeyError):
        some.mask("b_flag")


def test_the_64th_flag_has_a_bit_and_the_65th_none():
    schema = Schema()
    for number in range(65):
        schema.add_field(f"f{number}", "Flag")
    catalog = SourceCatalog(schema, {"f63": [True, False]})
    bits = catalog.bits([f"f{number}" for number in range(64)])
    assert bits.array.tolist() == [-(1 << 63), 0]
    with pytest.raises(ValueError, match="65 flags"):
        catalog.bits()


def test_columns_are_chosen_by_patterns():
    schema = Schema()
    for name, kind in (("a_b_c1", "D"), ("a_b_c2", "Flag"), ("a_d1", "I"), ("a_d2", "F"), ("q_e1_x", "I")):
        schema.add_field(name, kind)
    assert list(schema.extract("a_b_*")) == ["a_b_c1", "a_b_c2"]
    assert list(schema.extract("*1")) == ["a_b_c1", "a_d1"]
    assert list(schema.extract("a_b_*", "*2")) == ["a_b_c1", "a_b_c2", "a_d2"]
    assert list(schema.extract(regex=r"a_(.+)1", sub=r"\1f")) == ["b_cf", "df"]
    assert list(schema.extract(regex=r"a_d\d")) == ["a_d1", "a_d2"]
    schema.aliases["b_f"] = "a_b"
    assert sorted(schema.extract("b_f*")) == ["b_f_c1", "b_f_c2"]
    catalog = SourceCatalog(schema, {"a_d1": [5, 6, 7, 8, 9]})
    assert set(catalog.extract("*")) == set(schema.names)
    where = np.array([True, False, False, True, True])
    assert catalog.extract("a_d1", where=where)["a_d1"].tolist() == [5, 8, 9]
    assert catalog.extract("a_d1", where=slice(0, 4, 2))["a_d1"].tolist() == [5, 7]
    assert np.shares_memory(catalog.extract("a_d1")["a_d1"], catalog["a_d1"])
    assert not np.shares_memory(catalog.extract("a_d1", copy=True)["a_d1"], catalog["a_d1"])


def test_columns_are_replaced_by_ones_of_their_type():
    schema = Schema()
    for name, kind, size in (("f1", "I", 0), ("f2", "Flag", 0), ("f3", "ArrayF", 4)):
        schema.addField(name, doc=f"{name}a", type=kind, size=size)
    for name, kind in (("f1", "I"), ("f2", "Flag"), ("f1", "F")):
        with pytest.raises(ValueError, match="There is a column"):
            schema.addField(name, doc="b", type=kind)
    for name, kind, size in (("f1", "F", 0), ("f2", "F", 0), ("f3", "ArrayF", 3)):
        with pytest.raises(TypeError, match="another type"):
            schema.addField(name, doc="b", type=kind, size=size, do_replace=True)
    for name, kind, size in (("f1", "I", 0), ("f2", "Flag", 0), ("f3", "ArrayF", 4)):
        schema.addField(name, doc=f"{name}b", type=kind, size=size, do_replace=True)
    assert [field.doc for field in schema] == ["f1b", "f2b", "f3b"]


def test_columns_of_fluxes_that_are_there_are_filled():
    schema = SourceCatalog.minimal_schema()
    for name in ("s_instFlux", "s_instFluxErr", "s_flux", "s_mag", "n_instFlux"):
        schema.add_field(name, "D")
    given = SourceCatalog(schema, {"s_instFlux": [1000.0, 575440.0], "s_instFluxErr": [10.0, 10.0]})
    made = PhotoCalib(1e-3, 1e-4).calibrate_catalog(given)
    assert made["s_flux"] == pytest.approx([1, 575.44])
    assert made["s_fluxErr"] == pytest.approx([0.01, 0.01])
    assert made["s_mag"] == pytest.approx([31.4, 24.5], abs=1e-5)
    assert "n_fluxErr" not in made.schema
    assert np.isnan(given["s_flux"]).all()
    with pytest.raises(KeyError, match="NoSuch_instFlux"):
        PhotoCalib(1.0).calibrate_catalog(given, ["NoSuch"])


def test_fields_fill_and_scale_images():
    box = Box2I(Point2I(-5, -5), Extent2I(11, 11))
    field = ChebyshevField(box, [[2.0, 1.0], [0.5, 0.25]])
    image = Image.full(box, dtype="float64")
    field.fillImage(image)
    assert np.array_equal(image.array, field.array())
    assert image[Point2I(5, -5)] == pytest.approx(field.evaluate(5.0, -5.0))
    field.add_to_image(image, 2.0)
    assert np.allclose(image.array, 3 * field.array())
    masked = MaskedImage.full(box, (1.0, "BAD", 1.0), dtype="float64")
    field.multiply_image(masked)
    assert np.allclose(masked.image.array, field.array())
    assert np.allclose(masked.variance.array, field.array() ** 2)
    field.divide_image(masked)
    assert np.allclose(masked.image.array, 1)
    assert masked.mask[Point2I(0, 0)] == 1


def test_a_field_of_another_box_takes_what_is_in_both():
    field = ChebyshevField(Box2I(Point2I(0, 3), Extent2I(4, 2)), [[2.0]])
    image = Image.full((11, 11), 1.0)
    with pytest.raises(ValueError, match="overlap_only"):
        field.multiply_image(image)
    field.multiply_image(image, overlap_only=True)
    assert image.array.sum() == 121 + 8
    field.fill_image(image[10:11, 10:11], overlap_only=True)
    assert image[10, 10] == 1


def test_nan_is_above_all_numbers():
    schema = SourceCatalog.minimal_schema()
    schema.add_field("flux", "F")
    catalog = SourceCatalog(schema, {"id": [1, 2, 3], "flux": [3.0, np.nan, 1.0]})
    assert not catalog.is_sorted("flux")
    catalog.sort("flux")
    assert catalog.is_sorted("flux")
    assert catalog.lower_bound(2.0, "flux") == 1
