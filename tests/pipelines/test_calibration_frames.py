"""Master frames: means, variances, hot pixels, cosmic rays and flats with what was put in."""

import numpy as np
import pytest

from skybutler.imaging import Amplifier, Box2I, Detector, Exposure, Extent2I, Filter, MaskedImage, Point2I, VisitInfo
from skybutler.model.errors import ConfigError, TaskError
from skybutler.pipelines import MasterBiasTask, MasterDarkTask, MasterFlatTask

SIZE = 64
GAIN, NOISE, PEDESTAL = 2.0, 6.0, 500.0


def one_amplifier() -> Detector:
    box = Box2I(Point2I(0, 0), Extent2I(SIZE, SIZE))
    return Detector(0, "CCD", box, (Amplifier("A", box, box, box, gain=GAIN, read_noise=NOISE, saturation=65535.0),))


def raw(electrons: np.ndarray | float, seconds: float, seed: int) -> Exposure:
    rng = np.random.default_rng(seed)
    light = rng.poisson(np.broadcast_to(electrons, (SIZE, SIZE)))
    adu = PEDESTAL + (light + rng.normal(0, NOISE, (SIZE, SIZE))) / GAIN
    info = VisitInfo(id=seed, exposure_time=seconds, dark_time=seconds)
    return Exposure(
        MaskedImage(np.rint(adu).astype(np.uint16)), visit_info=info, detector=one_amplifier(), filter=Filter("V1", "V")
    )


@pytest.fixture(scope="module")
def bias() -> Exposure:
    return MasterBiasTask().run([raw(0.0, 0.0, seed) for seed in range(7)]).bias


def test_a_master_bias_is_the_mean_with_its_variance(bias: Exposure) -> None:
    assert np.mean(bias.image.array) == pytest.approx(PEDESTAL * GAIN, abs=0.2)
    assert np.std(bias.image.array) == pytest.approx(NOISE / np.sqrt(7), rel=0.1)
    assert np.median(bias.variance.array) == pytest.approx(NOISE**2 / 7, rel=0.1)
    assert bias.metadata["NFRAMES"] == 7
    assert [bias.metadata[f"INPUT{n}"] for n in range(7)] == list(range(7))


def test_read_noise_is_measured() -> None:
    task = MasterBiasTask()
    task.run([raw(0.0, 0.0, seed) for seed in range(3)])
    assert task.metadata["read_noise"] == pytest.approx(NOISE, rel=0.05)


def test_a_master_dark_is_of_one_second_and_knows_hot_pixels(bias: Exposure) -> None:
    current = np.full((SIZE, SIZE), 2.0)
    current[10, 20] = 100.0
    frames = [raw(current * seconds, seconds, 100 + n) for n, seconds in enumerate((50.0, 100.0, 100.0))]
    frames[1].image.array[30, 31] += 3000  # a cosmic ray
    task = MasterDarkTask()
    dark = task.run(frames, bias=bias).dark
    assert np.median(dark.image.array) == pytest.approx(2.0, abs=0.1)
    bad = (dark.mask.array & dark.mask.plane_bit_mask("BAD")) != 0
    assert bad[10, 20]
    assert bad.sum() == 1
    assert dark.image.array[30, 31] == pytest.approx(2.0, abs=1.5)
    assert dark.metadata["BUNIT"] == "electron/s"


def test_a_master_flat_has_mean_one_and_marks_what_sees_no_light(bias: Exposure) -> None:
    truth = 1.0 + 0.2 * np.linspace(-1, 1, SIZE)[None, :] * np.ones((SIZE, SIZE))
    truth[40, 41] = 0.05
    frames = [raw(level * truth, 5.0, 200 + n) for n, level in enumerate((20000.0, 24000.0, 28000.0))]
    flat = MasterFlatTask().run(frames, bias=bias).flat
    bad = (flat.mask.array & flat.mask.plane_bit_mask("BAD")) != 0
    assert np.argwhere(bad).tolist() == [[40, 41]]
    assert flat.image.array[~bad].mean() == pytest.approx(1.0, abs=1e-3)
    assert np.std((flat.image.array / truth)[~bad]) < 0.006
    assert np.median(flat.variance.array) == pytest.approx(1 / 24000 / 3, rel=0.3)
    assert flat.filter == Filter("V1", "V")


def test_inputs_stay_as_they_were(bias: Exposure) -> None:
    frame = raw(10000.0, 5.0, 1)
    before = frame.image.array.copy()
    MasterFlatTask().run([frame], bias=bias)
    assert np.array_equal(frame.image.array, before)


def test_frames_that_cannot_make_a_master_are_refused(bias: Exposure) -> None:
    with pytest.raises(TaskError, match="there are 0"):
        MasterBiasTask().run([])
    with pytest.raises(TaskError, match="dark time"):
        MasterDarkTask().run([raw(1.0, 0.0, 3)], bias=bias)
    with pytest.raises(TaskError, match="no light"):
        MasterFlatTask().run(
            [Exposure(MaskedImage(np.full((SIZE, SIZE), 400, np.uint16)), detector=one_amplifier())], bias=bias
        )


def test_flats_that_are_saturated_all_over_are_refused(bias: Exposure) -> None:
    bright = [raw(0.0, 1.0, seed) for seed in range(3)]
    for frame in bright:
        frame.image.array[:] = 65535
    with pytest.raises(TaskError, match="3 of 3 flats have a mean of nan electrons"):
        MasterFlatTask().run(bright, bias=bias)
    with pytest.raises(TaskError, match="a master bias needs pixels"):
        MasterBiasTask().run(bright)


def test_a_stack_needs_the_variance_of_its_frames() -> None:
    config = MasterDarkTask.ConfigClass()
    config.isr.do_variance = False
    with pytest.raises(ConfigError, match=r"isr\.do_variance is needed"):
        MasterDarkTask(config)


def test_a_master_frame_that_is_off_is_not_taken() -> None:
    config = MasterFlatTask.ConfigClass()
    config.isr.do_dark = False
    assert set(MasterFlatTask.Connections(config).prerequisites) == {"camera", "bias"}
    assert set(MasterBiasTask.Connections(MasterBiasTask.ConfigClass()).active) == {"camera", "raws", "bias"}
