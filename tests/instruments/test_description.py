"""A camera's YAML: what ships is right, and what is wrong is told with its place."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from skybutler.instruments import Instrument
from skybutler.model.dimensions import default_universe
from skybutler.model.errors import ConfigError

MINIMAL = yaml.safe_load("""
name: Eye
detectors:
  - id: 0
    full_name: E0
    amplifiers:
      - {name: L, data: [4, 0, 10, 8], overscan: [0, 0, 4, 8], gain: 2.0, read_noise: 3.0, saturation: 60000}
      - {name: R, data: [14, 0, 10, 8], overscan: [24, 0, 4, 8], position: [10, 0], flip: x,
         gain: 2.1, read_noise: 3.1, saturation: 61000}
filters: [{physical: Red, band: r}]
time: {key: DATE-OBS}
detector: {key: CHIP}
exposure:
  id: {key: NUM}
  observation_type: {key: TYPE, values: {light: science}}
  exposure_time: {key: EXP}
  physical_filter: {key: FILT}
""")


def changed(place: str, value: Any) -> dict[str, Any]:
    """Return the minimal description with one value changed, or taken away for ``...``."""
    content = copy.deepcopy(MINIMAL)
    *path, last = [int(part) if part.isdigit() else part for part in place.split("/")]
    target: Any = content
    for part in path:
        target = target[part]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return content


@pytest.mark.parametrize("name", ["arcsat", "ARCSAT", "simcam"])
def test_shipped_cameras_load_by_name(name: str) -> None:
    instrument = Instrument.load(name)
    assert instrument.name.lower() == name.lower()
    assert Instrument.load(instrument.registration_records()["instrument"][0]["class_name"]).name == instrument.name


def test_a_camera_loads_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "eye.yaml"
    path.write_text(yaml.safe_dump(MINIMAL))
    instrument = Instrument.load(path)
    assert instrument.name == "Eye"
    assert instrument.source == str(path)
    assert instrument.description == Instrument.from_dict(MINIMAL).description


@pytest.mark.parametrize("name", Instrument.shipped())
def test_registration_records_are_columns_of_the_universe(name: str) -> None:
    universe = default_universe()
    for element, rows in Instrument.load(name).registration_records().items():
        columns = {column.name for column in universe[element].columns}
        assert rows
        assert all(row.keys() <= columns for row in rows), element


def test_camera_gives_detectors_with_their_amplifiers() -> None:
    camera = Instrument.from_dict(MINIMAL).camera()
    detector = camera["E0"]
    left, right = detector.amplifiers
    assert camera[0] is detector
    assert (detector.bbox.width, detector.bbox.height) == (20, 8)
    assert (detector.raw_bbox.width, detector.raw_bbox.height) == (28, 8)
    assert (left.gain, left.read_noise, left.saturation, left.flip_x) == (2.0, 3.0, 60000.0, False)
    assert (right.raw_data_bbox.min_x, right.bbox.min_x, right.flip_x, right.flip_y) == (14, 10, True, False)
    assert right.raw_serial_overscan_bbox is not None
    assert right.raw_serial_overscan_bbox.min_x == 24


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("name", ..., "name is missing"),
        ("nmae", "x", "nmae means nothing here. Did you mean 'name'"),
        ("detectors", [], r"detectors must be a list with at least one entry"),
        ("detectors/0/id", "zero", r"detectors\[0\].id must be a whole number from 0, not 'zero'"),
        ("detectors/0/amplifiers/0/gain", -1, r"amplifiers\[0\].gain must be a positive number, not -1"),
        ("detectors/0/amplifiers/0/data", [0, 0, 10], r"amplifiers\[0\].data must be a list of 4 whole numbers"),
        ("detectors/0/amplifiers/0/data", [0, 0, 0, 10], "with a size"),
        ("detectors/0/amplifiers/0/gain", float("inf"), "must be a positive number, not inf"),
        ("detectors/0/amplifiers/1/flip", "z", "must be none, x, y or xy"),
        ("detectors/0/amplifiers/1/name", "L", r"detectors\[0\].amplifiers 'L' is given twice"),
        (
            "detectors/0/amplifiers/1/position",
            [9, 0],
            r"'L' at position \[0, 0\] and 'R' at \[9, 0\] overlap in the det",
        ),
        (
            "detectors/0/amplifiers/1/data",
            [5, 0, 10, 8],
            "the data of 'L' and the data of 'R' overlap in the raw frame",
        ),
        ("detectors/0/amplifiers/0/overscan", [8, 0, 4, 8], "the data of 'L' and the overscan of 'L' overlap"),
        ("filters/0/band", True, r"filters\[0\].band must be text, not True \(YAML takes y"),
        ("filters", [{"physical": "R", "band": "r"}] * 2, "filters.physical 'R' is given twice"),
        ("time/scale", "gmt", "time.scale must be one of utc, tai, not 'gmt'"),
        ("time/format", "iso", "Did you mean 'isot'"),
        ("day_obs", {"begin_at_hour": 12}, "day_obs.begin_at_hour means nothing here. Did you mean 'begins_at_hour'"),
        ("exposure/id", ..., "exposure.id is missing"),
        ("exposure/exposuretime", {"key": "T"}, "is no field of an exposure. Did you mean 'exposure_time'"),
        ("exposure/exposure_time/unit", "secs", "exposure.exposure_time.unit must be one of s, ms"),
        ("exposure/id", {}, "exposure.id needs exactly one of key, text, time and constant"),
        ("exposure/id", {"key": "A", "constant": 1}, "needs exactly one of"),
        ("exposure/id", {"constant": "one"}, "exposure.id.constant must be of type int, not 'one'"),
        ("exposure/id/key", 5, "must be a header key"),
        ("exposure/obs_id", {"text": "{NUM.__class__}"}, "must hold header keys in braces"),
        ("exposure/id", "NUM", "exposure.id must be a mapping"),
    ],
)
def test_a_wrong_description_is_told_with_its_place(place: str, value: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as error:
        Instrument.from_dict(changed(place, value), "eye.yaml")
    assert str(error.value).startswith("eye.yaml: ")


def test_an_unknown_camera_names_those_that_ship() -> None:
    with pytest.raises(ConfigError, match=r"arcsat, simcam.*Did you mean 'arcsat'"):
        Instrument.load("arcsatt")


@pytest.mark.parametrize("content", ["a: [", "", "- a list"])
def test_a_file_that_is_no_description_is_told(tmp_path: Path, content: str) -> None:
    path = tmp_path / "eye.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"eye\.yaml"):
        Instrument.load(path)
