"""Curves through points: the numbers of afw's tests of them."""

import numpy as np
import pytest

from skybutler import imaging
from skybutler.imaging import lookup_max_interp_style, lookup_min_interp_points, make_interpolate

X = np.arange(10.0)


@pytest.mark.parametrize("style", ["AKIMA_SPLINE", "CUBIC_SPLINE", "NATURAL_SPLINE", "LINEAR"])
def test_a_ramp_is_exact_and_goes_on(style):
    curve = make_interpolate(X, X + 1, style)
    assert curve.interpolate(4.5) == 5.5
    assert curve.interpolate([-2.0, 11.0]) == pytest.approx([-1, 12])


def test_a_parabola_is_exact_in_an_akima_spline():
    assert make_interpolate(X, 0.5 * X**2 + X + 1).interpolate(4.5) == 0.5 * 4.5**2 + 4.5 + 1


def test_constant_is_the_mean_of_both_sides():
    y = [1.0, 2.4, 5.0, 8.4, 13.0, 18.4, 25.0, 32.6, 41.0, 50.6]
    means = [1.0, 1.7, 3.7, 6.7, 10.7, 15.7, 21.7, 28.8, 36.8, 45.8, 50.6]
    curve = imaging.makeInterpolate(X, y, "CONSTANT")
    for at, value in zip(np.arange(-0.5, 10), means, strict=True):
        assert curve.interpolate(at) == curve.interpolate(at + 0.1) == pytest.approx(value)
    assert (curve.interpolate(-10), curve.interpolate(19)) == (1.0, 50.6)
    assert make_interpolate([0], [1], "CONSTANT").interpolate(7) == 1


def test_several_curves_at_once():
    curves = make_interpolate([0, 1, 2], [[0, 10], [1, 20], [2, 30]], "LINEAR")
    assert curves.interpolate([0.5, 3.0]).tolist() == [[0.5, 15], [3, 40]]
    assert curves.interpolate(-1).tolist() == [-1, 0]


def test_styles_need_points():
    assert [lookup_max_interp_style(n) for n in (1, 2, 3, 4, 5, 6)] == [
        "CONSTANT", "LINEAR", "CUBIC_SPLINE", "CUBIC_SPLINE", "AKIMA_SPLINE", "AKIMA_SPLINE",
    ]  # fmt: skip
    assert [lookup_min_interp_points(name) for name in ("CONSTANT", "LINEAR", "NATURAL_SPLINE", "AKIMA_SPLINE")] == [
        1, 2, 3, 5,
    ]  # fmt: skip
    for wrong in (
        lambda: make_interpolate([], [], "CONSTANT"),
        lambda: make_interpolate([0], [1], "LINEAR"),
        lambda: make_interpolate(X, X[1:]),
        lambda: make_interpolate(X[::-1], X),
        lambda: lookup_max_interp_style(0),
        lambda: lookup_min_interp_points("BOGUS"),
    ):
        with pytest.raises(ValueError, match=r"point|position|BOGUS"):
            wrong()
