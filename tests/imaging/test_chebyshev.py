import pickle

import numpy as np
import pytest

from skybutler.imaging.ap_corr import ApCorrMap
from skybutler.imaging.chebyshev import ChebyshevField
from skybutler.imaging.geometry import Box2I, Extent2I, Point2I
from skybutler.imaging.polygon import Polygon

BOX = Box2I(Point2I(10, 20), Extent2I(100, 50))


def test_first_order_terms_run_from_edge_to_edge_of_the_pixels():
    field = ChebyshevField(BOX, [[0.0, 1.0]])
    assert field.evaluate(9.5, 0.0) == -1.0
    assert field.evaluate(109.5, 0.0) == 1.0
    assert field.evaluate(59.5, 33.0) == 0.0
    assert ChebyshevField(BOX, [[2.0], [1.0]]).evaluate(0, 69.5) == 3.0
    np.testing.assert_allclose(field.evaluate(np.array([9.5, 59.5]), np.zeros(2)), [-1.0, 0.0])


def test_pixels_positions_and_means_agree():
    rng = np.random.default_rng(1)
    field = ChebyshevField(BOX, rng.normal(size=(3, 4)))
    y, x = np.mgrid[20:70, 10:110]
    np.testing.assert_allclose(field.array(), field.evaluate(x, y), rtol=1e-12, atol=1e-12)
    part = Box2I(Point2I(15, 30), Extent2I(7, 5))
    np.testing.assert_array_equal(field.array(part).shape, (5, 7))
    np.testing.assert_allclose(field.array(part), field.array()[10:15, 5:12], rtol=1e-12, atol=1e-12)
    assert ChebyshevField(BOX, [[5.0, 1.0, 3.0]]).mean() == pytest.approx(5.0 - 3.0 / 3.0)
    assert ChebyshevField(BOX, [[5.0]]).integrate() == 25000.0
    fine_x, fine_y = np.meshgrid((np.arange(2000) + 0.5) / 20 + 9.5, (np.arange(1000) + 0.5) / 20 + 19.5)
    assert field.mean() == pytest.approx(field.evaluate(fine_x, fine_y).mean(), abs=1e-5)


def test_a_fit_finds_the_field_again():
    truth = ChebyshevField(BOX, [[3.0, 0.5, -0.2], [1.0, 0.1, 0.0], [0.3, 0.0, 0.0]])
    rng = np.random.default_rng(2)
    x, y = rng.uniform(10, 109, 50), rng.uniform(20, 69, 50)
    values = truth.evaluate(x, y)
    values[3] = np.nan
    found = ChebyshevField.fit(BOX, x, y, values, order=2)
    np.testing.assert_allclose(found.coefficients, truth.coefficients, atol=1e-12)
    with pytest.raises(ValueError, match="2 good values cannot fix the 3 terms of order 1"):
        ChebyshevField.fit(BOX, [1, 2], [1, 2], [1, 2], order=1)


def test_fields_and_maps_of_them_come_back():
    field = ChebyshevField(BOX, [[3.0, 0.5]])
    assert ChebyshevField.from_dict(field.to_dict()) == field == pickle.loads(pickle.dumps(field))
    assert (2 * field).evaluate(59.5, 0) == 6.0
    corrections = ApCorrMap({"base_PsfFlux_instFlux": field})
    assert ApCorrMap.from_dict(corrections.to_dict()) == corrections
    with pytest.raises(KeyError, match="Did you mean"):
        corrections["base_PsfFlux"]
    with pytest.raises(ValueError, match="a table"):
        ChebyshevField(BOX, [1.0])
    with pytest.raises(ValueError, match="has pixels"):
        ChebyshevField(Box2I(), [[1.0]])


def test_a_polygon_knows_its_inside():
    square = Polygon([[0, 0], [10, 0], [10, 10], [0, 10]])
    assert square.area == 100.0
    assert square.contains([5, 11, -1, 9.9], [5, 5, 5, 9.9]).tolist() == [True, False, False, True]
    assert tuple(square.bbox.max) == (10.0, 10.0)
    notched = Polygon([[0, 0], [10, 0], [10, 10], [5, 5], [0, 10]])
    assert not notched.contains(5, 8)
    assert Polygon.from_dict(square.to_dict()) == square == pickle.loads(pickle.dumps(square))
    with pytest.raises(ValueError, match="three or more"):
        Polygon([[0, 0], [1, 1]])
