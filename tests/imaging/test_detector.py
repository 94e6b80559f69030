import json
import pickle

import pytest

from skybutler.imaging.detector import Amplifier, Camera, Detector
from skybutler.imaging.geometry import Box2I, Extent2I, Point2I


def box(x, y, width, height):
    return Box2I(Point2I(x, y), Extent2I(width, height))


def two_amplifiers(number=0):
    left = Amplifier("L", box(0, 0, 50, 20), box(0, 0, 60, 20), box(0, 0, 50, 20), box(50, 0, 10, 20), gain=1.5)
    right = Amplifier(
        "R", box(50, 0, 50, 20), box(60, 0, 60, 20), box(70, 0, 50, 20), None, 2.0, 5.5, 60000.0, flip_x=True
    )
    return Detector(number, f"S0{number}", box(0, 0, 100, 20), [left, right], "serial", 0.2)


def test_amplifiers_are_found_by_name_and_position():
    detector = two_amplifiers()
    assert detector["R"].gain == 2.0
    assert detector[0].read_noise == 0.0
    assert detector[0].saturation == float("inf")
    assert [amplifier.name for amplifier in detector] == ["L", "R"]
    assert len(detector.getAmplifiers()) == 2
    assert detector["R"].getReadNoise() == 5.5
    assert detector.raw_bbox == box(0, 0, 120, 20)
    with pytest.raises(KeyError, match="no amplifier 'X', only"):
        detector["X"]


def test_boxes_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="must be the same pixels"):
        Amplifier("A", box(0, 0, 50, 20), box(0, 0, 60, 20), box(0, 0, 40, 20))
    with pytest.raises(ValueError, match=r"raw_serial_overscan_bbox .* is not within"):
        Amplifier("A", box(0, 0, 5, 2), box(0, 0, 6, 2), box(0, 0, 5, 2), box(5, 0, 2, 2))
    amplifier = two_amplifiers()["L"]
    with pytest.raises(ValueError, match="name of its own"):
        Detector(0, "d", box(0, 0, 100, 20), (amplifier, amplifier))
    detector = Detector(0, "d", box(0, 0, 10, 20), (amplifier,))  # as afw's own tests have them in exposures
    with pytest.raises(ValueError, match="amplifier L of detector d is not within"):
        Camera("Cam", [detector])


def test_a_camera_finds_detectors_by_id_and_name():
    camera = Camera("Cam", [two_amplifiers(0), two_amplifiers(3)])
    assert camera[3] is camera["S03"]
    assert list(camera) == [0, 3]
    assert "S00" in camera
    assert 1 not in camera
    assert camera.get(7) is None
    assert repr(camera) == "Camera('Cam', 2 detectors)"
    with pytest.raises(KeyError, match=r"no detector 5; it has 0 \(S00\), 3 \(S03\)"):
        camera[5]
    with pytest.raises(ValueError, match="id and a name of its own"):
        Camera("Cam", [two_amplifiers(0), two_amplifiers(0)])


def test_json_and_pickle_bring_it_back():
    camera = Camera("Cam", [two_amplifiers(0), two_amplifiers(3)])
    assert Camera.from_dict(json.loads(json.dumps(camera.to_dict(), allow_nan=False))) == camera
    assert pickle.loads(pickle.dumps(camera)) == camera
    detector = two_amplifiers()
    assert Detector.from_dict(detector.to_dict()) == detector
