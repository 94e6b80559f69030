"""A picture of a camera: its detectors, to scale, each with its name."""

import pytest

from skybutler.imaging import Amplifier, Box2I, Camera, Detector, Extent2I, Point2I

pytest.importorskip("matplotlib").use("Agg")
from matplotlib.figure import Figure  # noqa: E402 - where there is one


def box(x, y, width, height):
    return Box2I(Point2I(x, y), Extent2I(width, height))


def a_camera(count):
    whole = box(0, 0, 100, 50)
    halves = [Amplifier(name, half, half, half) for name, half in (("L", box(0, 0, 50, 50)), ("R", box(50, 0, 50, 50)))]
    return Camera("Cam", [Detector(number, f"S{number:02}", whole, halves) for number in range(count)])


@pytest.mark.parametrize("count", [1, 5, 62])
def test_every_detector_is_drawn_with_its_name(count):
    ax = a_camera(count).plot(Figure(figsize=(6, 6)).subplots())
    assert {text.get_text() for text in ax.texts} == {f"S{number:02}\n{number}" for number in range(count)}
    assert [(patch.get_width(), patch.get_height()) for patch in ax.patches] == [(100, 50)] * count
    corners = {patch.get_xy() for patch in ax.patches}
    assert len(corners) == count
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    assert all(left < x and x + 100 < right and low < y and y + 50 < high for x, y in corners)
    assert f"{count} detector" in ax.get_title()
    assert all(len(collection.get_paths()) == 2 for collection in ax.collections)


def test_a_figure_is_made_where_none_is_given():
    from matplotlib import pyplot

    ax = a_camera(4).plot()
    pyplot.close(ax.figure)
    with pytest.raises(ValueError, match="no detectors"):
        Camera("none", []).plot()
