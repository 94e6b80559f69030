"""Keys of several columns: what a record and a whole catalog give and take by them."""

import math

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from skybutler.imaging import (
    ArrayKey,
    Box2I,
    Box2IKey,
    CoordKey,
    CovarianceKey,
    EllipseKey,
    Extent2I,
    Point2D,
    Point2DKey,
    Point2I,
    Point2IKey,
    Quadrupole,
    QuadrupoleKey,
    SourceCatalog,
)


@pytest.fixture
def catalog():
    schema = SourceCatalog.minimal_schema()
    Point2DKey.add_fields(schema, "c", "position", "pix")
    CovarianceKey.add_fields(schema, "c", "errors", "")
    QuadrupoleKey.add_fields(schema, "s", "moments", "pix2")
    Point2IKey.add_fields(schema, "p")
    Box2IKey.add_fields(schema, "box")
    CoordKey.add_fields(schema, "other")
    ArrayKey.add_fields(schema, "flux", size=3)
    made = SourceCatalog(schema, {"id": [1, 2]})
    for slot, prefix in (("Centroid", "c"), ("Shape", "s"), ("PsfShape", "s")):
        made.schema.define_slot(slot, prefix)
    return made


def test_the_fields_have_afws_names(catalog):
    assert catalog.schema.names[4:13] == ["c_x", "c_y", "c_xErr", "c_yErr", "c_x_y_Cov", "s_xx", "s_yy", "s_xy", "p_x"]
    assert catalog.schema["c_x"].units == "pix"
    assert catalog.schema["other_ra"].type == "Angle"


def test_positions(catalog):
    record = catalog[0]
    record.set(Point2DKey("c"), Point2D(1.5, 2.5))
    assert record.get(Point2DKey("slot_Centroid")) == record.getCentroid() == Point2D(1.5, 2.5)
    catalog[Point2DKey("c")] = np.array([[1, 2], [3, 4]])
    assert catalog[Point2DKey("c")].tolist() == [[1, 2], [3, 4]]
    assert catalog["c_y"].tolist() == [2, 4]
    record[Point2IKey("p")] = Point2I(7, 8)
    assert record[Point2IKey("p")] == Point2I(7, 8)


def test_shapes(catalog):
    catalog[1][QuadrupoleKey("s")] = Quadrupole(4.0, 5.0, 1.0)
    assert catalog[1].getShape() == catalog[1].getPsfShape() == Quadrupole(4.0, 5.0, 1.0)
    assert catalog[1].getIxx() == 4
    assert catalog[QuadrupoleKey("s")].iyy[1] == 5


def test_errors(catalog):
    matrix = np.array([[4.0, 1.0], [1.0, 9.0]])
    catalog[0][CovarianceKey("c")] = matrix
    assert catalog[0]["c_xErr"] == 2
    assert np.array_equal(catalog[0].getCentroidErr(), matrix)
    assert catalog.centroid_err.shape == (2, 2, 2)


def test_sky(catalog):
    catalog[0][CoordKey("other")] = SkyCoord(30, 40, unit="deg")
    assert catalog[0]["other_ra"] == pytest.approx(math.radians(30))
    assert catalog[0][CoordKey("other")].dec.deg == pytest.approx(40)
    catalog[CoordKey("coord")] = SkyCoord([1, 2], [3, 4], unit="deg")
    assert catalog.coord.ra.deg == pytest.approx([1, 2])


def test_boxes_and_arrays(catalog):
    box = Box2I(Point2I(3, 4), Extent2I(5, 6))
    catalog[Box2IKey("box")] = [box, Box2I()]
    assert catalog[Box2IKey("box")] == [box, Box2I()]
    catalog[1][Box2IKey("box")] = box
    assert catalog[1][Box2IKey("box")] == box
    catalog[0][ArrayKey("flux", 3)] = [1, 2, 3]
    assert catalog[ArrayKey("flux", 3)][0].tolist() == [1, 2, 3]


def test_a_missing_column_is_named(catalog):
    with pytest.raises(KeyError, match="nothing_x"):
        catalog[0][Point2DKey("nothing")]


def test_ellipses(catalog):
    key = EllipseKey("slot_Shape", center="slot_Centroid")
    catalog[0][key] = Quadrupole(4.0, 5.0, 1.0), Point2D(10.0, 20.0)
    assert catalog[0][key] == (Quadrupole(4.0, 5.0, 1.0), (10, 20))
    assert (catalog[0]["s_xy"], catalog[0]["c_y"]) == (1, 20)
    shapes, positions = catalog[key]
    assert shapes.iyy[0] == 5
    assert positions[0].tolist() == [10, 20]
    schema = SourceCatalog.minimal_schema()
    assert EllipseKey.add_fields(schema, "e").names == ("e_xx", "e_yy", "e_xy", "e_x", "e_y")


def test_covariances_without_a_column_are_zero():
    schema = SourceCatalog.minimal_schema()
    for name in ("m_xErr", "m_yErr"):
        schema.add_field(name, "D")
    schema.define_slot("Centroid", "m")
    catalog = SourceCatalog(schema, {"id": [1], "m_xErr": [2.0], "m_yErr": [3.0]})
    assert catalog[0].getCentroidErr().tolist() == [[4.0, 0.0], [0.0, 9.0]]
    assert catalog.centroid_err.shape == (1, 2, 2)
