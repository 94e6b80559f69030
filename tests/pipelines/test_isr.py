"""Signature removal: what went into a raw frame comes out of it, step by step, and inputs stay as they were."""

from typing import Any

import numpy as np
import pytest

from skybutler.imaging import (
    Amplifier,
    Box2I,
    Camera,
    Detector,
    Exposure,
    Extent2I,
    MaskedImage,
    PhotoCalib,
    Point2I,
    VisitInfo,
)
from skybutler.model.errors import ConfigError, TaskError
from skybutler.pipelines import IsrTask
from skybutler.pipelines.interpolation import interpolate_along_rows

WIDTH, HEIGHT, OVERSCAN = 30, 40, 10


def box(x: int, y: int, width: int, height: int) -> Box2I:
    return Box2I(Point2I(x, y), Extent2I(width, height))


def two_amplifiers() -> Detector:
    """Left and right halves; the right one is read out from the other side, its overscan in the middle of the raw."""
    left = Amplifier(
        "A",
        box(0, 0, WIDTH, HEIGHT),
        box(0, 0, 40, HEIGHT),
        box(0, 0, WIDTH, HEIGHT),
        box(30, 0, 10, HEIGHT),
        gain=2.0,
        read_noise=6.0,
        saturation=50000.0,
    )
    right = Amplifier(
        "B",
        box(WIDTH, 0, WIDTH, HEIGHT),
        box(40, 0, 40, HEIGHT),
        box(50, 0, WIDTH, HEIGHT),
        box(40, 0, 10, HEIGHT),
        gain=1.5,
        read_noise=5.0,
        saturation=60000.0,
        flip_x=True,
    )
    return Detector(3, "S03", box(0, 0, 2 * WIDTH, HEIGHT), (left, right))


def raw_of(electrons: np.ndarray, dark_time: float = 20.0, **changes: Any) -> Exposure:
    """A noiseless raw frame of an assembled frame of electrons, pedestals of 1000 and 1200 ADU."""
    raw = np.zeros((HEIGHT, 80))
    raw[:, :30] = 1000.0 + electrons[:, :30] / 2.0
    raw[:, 30:40] = 1000.0
    raw[:, 50:] = 1200.0 + electrons[:, :29:-1] / 1.5
    raw[:, 40:50] = 1200.0
    for (x, y), value in changes.get("pixels", {}).items():
        raw[y, x] = value
    info = VisitInfo(id=1, exposure_time=15.0, dark_time=dark_time)
    data = np.rint(raw).astype(np.uint16) if changes.get("integers", True) else raw
    return Exposure(MaskedImage(data), visit_info=info, detector=two_amplifiers(), metadata={"OBJECT": "M13"})


def master(value: float | np.ndarray, variance: float = 0.0) -> Exposure:
    plane = np.broadcast_to(np.asarray(value, dtype=np.float32), (HEIGHT, 2 * WIDTH)).copy()
    return Exposure(MaskedImage(plane, variance=np.full(plane.shape, variance, dtype=np.float32)))


def scene() -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, : 2 * WIDTH]
    return 600.0 + 6.0 * x + 12.0 * y


def test_amplifiers_are_put_together_in_electrons() -> None:
    result = IsrTask().run(raw_of(scene())).exposure
    assert result.bbox == box(0, 0, 2 * WIDTH, HEIGHT)
    assert result.image.array.dtype == np.float32
    assert result.image.array == pytest.approx(scene(), abs=1.01)  # half an ADU of rounding
    assert result.metadata["BUNIT"] == "electron"
    assert result.metadata["OBJECT"] == "M13"


def test_variance_is_photon_and_read_noise_of_each_amplifier() -> None:
    result = IsrTask().run(raw_of(scene())).exposure
    noise = np.where(np.arange(2 * WIDTH) < WIDTH, 36.0, 25.0)
    assert result.variance.array == pytest.approx(result.image.array + noise[None, :], rel=1e-5)


def test_master_frames_are_taken_off_with_their_variance() -> None:
    shape = (HEIGHT, 2 * WIDTH)
    flat = np.linspace(0.8, 1.2, shape[1])[None, :] * np.ones(shape)
    electrons = scene() * flat + 50.0 + 20.0 * 4.0
    task = IsrTask()
    result = task.run(
        raw_of(electrons, integers=False), bias=master(50.0, 2.0), dark=master(4.0, 0.01), flat=master(flat, 1e-4)
    ).exposure
    assert result.image.array == pytest.approx(scene(), rel=1e-5)
    # (V + 2 + I + r^2 + 20^2 * 0.01 + (I / F)^2 * 1e-4) / F^2, I what the flat divides, the dark's electrons counted
    light = scene() * flat
    noise = np.where(np.arange(shape[1]) < WIDTH, 36.0, 25.0)[None, :]
    expected = (2.0 + light + 80.0 + noise + 400.0 * 0.01 + (light / flat) ** 2 * 1e-4) / flat**2
    assert result.variance.array == pytest.approx(expected, rel=1e-4)
    assert task.metadata["dark.scale"] == 20.0
    assert "flat" in task.metadata["steps"]


def test_no_input_changes() -> None:
    raw, bias, dark, flat = raw_of(scene()), master(5.0), master(0.5), master(1.1)
    flat.masked_image.image.array[3, 3] = 0.0
    before = [frame.masked_image.clone() for frame in (raw, bias, dark, flat)]
    keys = dict(raw.metadata)
    IsrTask().run(raw, bias=bias, dark=dark, flat=flat)
    for frame, old in zip((raw, bias, dark, flat), before, strict=True):
        for plane, was in zip(frame.masked_image.arrays, old.arrays, strict=True):
            assert np.array_equal(plane, was)
    assert dict(raw.metadata) == keys


def test_saturated_pixels_are_marked_grown_and_interpolated() -> None:
    result = IsrTask().run(raw_of(scene(), pixels={(10, 20): 50000, (11, 20): 46000})).exposure
    mask = result.mask
    saturated = (mask.array & mask.plane_bit_mask("SAT")) != 0
    assert saturated.sum() == 9
    assert saturated[19:22, 9:12].all()
    assert mask.array[20, 11] & mask.plane_bit_mask("SUSPECT")
    assert mask.array[20, 10] & mask.plane_bit_mask("INTRP")
    assert result.image.array[19:22, 9:12] == pytest.approx(scene()[19:22, 9:12], abs=2.1)


def test_pixels_that_the_masters_condemn_are_bad() -> None:
    dark = master(0.0)
    dark.mask.array[5, 6] |= dark.mask.plane_bit_mask("BAD")
    flat = master(1.0)
    flat.image.array[7, 8] = 0.0
    config = IsrTask.ConfigClass()
    config.defects = [(3, 50, 30, 2, 3), (4, 0, 0, 9, 9)]  # the second is another detector's
    result = IsrTask(config=config).run(raw_of(scene()), dark=dark, flat=flat).exposure
    bad = (result.mask.array & result.mask.plane_bit_mask("BAD")) != 0
    assert bad[5, 6]
    assert bad[7, 8]
    assert bad[30:33, 50:52].all()
    assert bad.sum() == 8
    assert np.isfinite(result.image.array).all()
    assert result.image.array == pytest.approx(scene(), abs=2.1)


def test_a_step_that_is_off_does_nothing() -> None:
    config = IsrTask.ConfigClass()
    config.doDark = False
    config.do_interpolate = False
    assert config.do_dark is False
    task = IsrTask(config=config)
    result = task.run(raw_of(scene()), dark=master(1000.0)).exposure
    assert result.image.array == pytest.approx(scene(), abs=1.01)
    assert "dark" not in task.metadata
    assert "dark" not in IsrTask.Connections(config).active
    assert "bias" in IsrTask.Connections(config).active


def test_a_step_that_is_demanded_needs_its_master() -> None:
    config = IsrTask.ConfigClass()
    config.do_flat = True
    with pytest.raises(TaskError, match="do_flat is True, but there is no flat"):
        IsrTask(config=config).run(raw_of(scene()))


def test_a_dark_needs_a_dark_time() -> None:
    raw = raw_of(scene())
    raw.visit_info = None
    with pytest.raises(TaskError, match="dark_time"):
        IsrTask().run(raw, dark=master(1.0))


def test_masters_of_another_size_are_refused() -> None:
    wrong = Exposure(MaskedImage(np.zeros((HEIGHT, 80), dtype=np.float32)))
    with pytest.raises(TaskError, match="bias covers"):
        IsrTask().run(raw_of(scene()), bias=wrong)


def test_the_detector_is_found_or_asked_for() -> None:
    raw = raw_of(scene())
    raw.detector = None
    assert IsrTask().run(raw, camera=Camera("C", [two_amplifiers()])).exposure.detector.name == "S03"
    with pytest.raises(TaskError, match="which detector"):
        IsrTask().run(raw)
    small = Exposure(MaskedImage(np.zeros((10, 10), dtype=np.uint16)), detector=two_amplifiers())
    with pytest.raises(TaskError, match="reads out"):
        IsrTask().run(small)


def test_contradicting_switches_are_refused() -> None:
    config = IsrTask.ConfigClass()
    config.do_apply_gains = False
    with pytest.raises(ConfigError, match="do_variance needs do_apply_gains"):
        IsrTask(config=config)
    config.do_variance = False
    result = IsrTask(config=config).run(raw_of(scene())).exposure
    assert result.metadata["BUNIT"] == "adu"
    assert result.image.array[0, 0] == pytest.approx(300.0, abs=0.51)


def test_a_calibration_of_adu_becomes_one_of_electrons() -> None:
    raw = raw_of(scene())
    raw.photo_calib = PhotoCalib(100.0)
    result = IsrTask().run(raw).exposure
    assert result.photo_calib.calibration_mean == pytest.approx(100.0 / 1.75)
    assert result.metadata["ISRGAIN"] == pytest.approx(1.75)


def test_masters_in_another_unit_are_refused() -> None:
    bias = master(50.0)
    bias.metadata["BUNIT"] = "electron"
    config = IsrTask.ConfigClass(do_apply_gains=False, do_variance=False)
    with pytest.raises(TaskError, match=r"the bias is in electron, but the frame in adu: .* do_bias=False"):
        IsrTask(config=config).run(raw_of(scene()), bias=bias)
    bias.metadata["BUNIT"] = "ADU"
    assert IsrTask(config=config).run(raw_of(scene()), bias=bias).exposure.image.array[0, 0] == pytest.approx(250.0)
    with pytest.raises(TaskError, match="the bias is in ADU, but the frame in electron"):
        IsrTask().run(raw_of(scene()), bias=bias)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gain": -1.0}, "gain=-1.0"),
        ({"read_noise": -1.0}, "the read noise not below"),
        ({"defects": [(3, 5, 5, 0, 3)]}, r"\(3, 5, 5, 0, 3\) is no detector"),
        ({"do_assemble_ccd": False, "do_variance": False}, "do_assemble_ccd: do_bias, do_dark, do_flat"),
    ],
)
def test_values_that_mean_nothing_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        IsrTask(config=IsrTask.ConfigClass(**changes))


def test_a_frozen_configuration_cannot_be_changed_from_within() -> None:
    config = IsrTask.ConfigClass(defects=[[3, 0, 0, 1, 1]], mask_list_to_interpolate=["SAT"])
    assert config.defects == ((3, 0, 0, 1, 1),)
    assert config.mask_list_to_interpolate == ("SAT",)


def test_defects_lie_within_their_detector() -> None:
    config = IsrTask.ConfigClass(defects=[(3, 500, 0, 2, 2)])
    with pytest.raises(TaskError, match="is not within detector 3"):
        IsrTask(config=config).run(raw_of(scene()))


def test_edges_are_marked_where_a_width_is_given() -> None:
    task = IsrTask(config=IsrTask.ConfigClass(num_edge_suspect=2))
    mask = task.run(raw_of(scene())).exposure.mask
    at_edge = (mask.array & mask.plane_bit_mask("EDGE")) != 0
    assert at_edge.sum() == HEIGHT * 2 * WIDTH - (HEIGHT - 4) * (2 * WIDTH - 4)
    plain = IsrTask()
    plain.run(raw_of(scene()))
    assert "edge" not in plain.metadata["steps"]


def test_a_frame_without_any_data_is_all_masked() -> None:
    raw = raw_of(scene(), integers=False)
    raw.image.array[:, :30] = np.nan
    raw.image.array[:, 50:] = np.nan
    result = IsrTask().run(raw).exposure
    assert ((result.mask.array & result.mask.plane_bit_mask("NO_DATA")) != 0).all()
    assert np.isfinite(result.image.array).all()


def test_an_overscan_without_data_is_told_with_its_amplifier() -> None:
    raw = raw_of(scene(), integers=False)
    raw.image.array[:, 40:50] = np.nan
    with pytest.raises(TaskError, match="amplifier B: the overscan has no pixel"):
        IsrTask().run(raw)


def test_flipped_amplifiers_go_where_they_belong() -> None:
    """Four quarters, each read out towards its own corner, whatever is asked of the overscan's rows."""
    electrons = scene()[:, :40].copy()
    raw, amplifiers = np.zeros((HEIGHT, 60)), []
    for name, right, upper in (("A", 0, 0), ("B", 1, 0), ("C", 0, 1), ("D", 1, 1)):
        place = box(20 * right, 20 * upper, 20, 20)
        data, overscan = box(30 if right else 10, 20 * upper, 20, 20), box(50 if right else 0, 20 * upper, 10, 20)
        part = electrons[20 * upper : 20 * upper + 20, 20 * right : 20 * right + 20]
        gain = 1.0 + right + 2 * upper
        flipped = part[:: -1 if upper else 1, :: -1 if right else 1]
        raw[20 * upper : 20 * upper + 20, data.min_x : data.min_x + 20] = 500.0 + flipped / gain
        raw[20 * upper : 20 * upper + 20, overscan.min_x : overscan.min_x + 10] = 500.0
        both = data.expanded_to(overscan)
        amplifiers.append(
            Amplifier(name, place, both, data, overscan, gain, 5.0, 6e4, flip_x=bool(right), flip_y=bool(upper))
        )
    frame = Exposure(MaskedImage(raw), detector=Detector(0, "Q", box(0, 0, 40, HEIGHT), tuple(amplifiers)))
    for fit_type in ("MEDIAN", "MEAN_PER_ROW"):
        config = IsrTask.ConfigClass()
        config.overscan.fit_type = fit_type
        result = IsrTask(config=config).run(frame).exposure
        assert result.image.array == pytest.approx(electrons, rel=1e-5)


def test_rows_take_no_level_from_an_overscan_that_does_not_reach_them() -> None:
    amplifier = Amplifier("A", box(0, 0, 9, 20), box(0, 0, 9, 25), box(0, 0, 9, 20), box(0, 20, 9, 5), 1.0, 5.0, 6e4)
    raw = Exposure(MaskedImage(np.full((25, 9), 100.0)), detector=Detector(0, "P", box(0, 0, 9, 20), (amplifier,)))
    assert np.all(IsrTask().run(raw).exposure.image.array == 0.0)
    config = IsrTask.ConfigClass()
    config.overscan.fit_type = "MEDIAN_PER_ROW"
    with pytest.raises(TaskError, match="overscan has rows 20 to 24 and the data 0 to 19"):
        IsrTask(config=config).run(raw)


def test_what_has_no_data_is_not_interpolated_from() -> None:
    raw = raw_of(scene(), integers=False, pixels={(10, 20): 60000.0})
    raw.image.array[20, 12] = np.nan
    result = IsrTask(config=IsrTask.ConfigClass(grow_saturation_footprint_size=1)).run(raw).exposure
    assert np.isfinite(result.variance.array[20, 9:12]).all()
    assert result.image.array[20, 10] == pytest.approx(scene()[20, 10], rel=1e-3)


def test_interpolation_takes_the_nearest_good_neighbours() -> None:
    array = np.array([[1.0, 9.0, 9.0, 4.0], [9.0, 2.0, 2.0, 9.0], [9.0, 9.0, 9.0, 9.0]])
    interpolate_along_rows(array, array == 9.0)
    assert array == pytest.approx(np.array([[1, 2, 3, 4], [2, 2, 2, 2], [2, 2, 2, 2]]))
