"""Master bias, dark and flat, each a clipped mean of raw frames of one detector."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..imaging.exposure import Exposure
from ..imaging.filter import Filter
from ..imaging.moments import IQR_TO_STDEV
from ..model.errors import ConfigError, TaskError
from ..tasks import (
    Config,
    Field,
    PipelineTask,
    PipelineTaskConfig,
    Struct,
    Subtask,
    SubtaskField,
    TaskConnections,
    time_method,
)
from .calibration_connections import MasterBiasConnections, MasterDarkConnections, MasterFlatConnections
from .isr import IsrTask, dark_time, read_with_detector

if TYPE_CHECKING:
    from ..imaging.detector import Camera, Detector
    from ..imaging.masked_image import MaskedImage
    from ..tasks.quantum_context import InputRefs, OutputRefs, QuantumContext


class CalibrationFrameConfig(PipelineTaskConfig):
    """How raw frames become a master frame."""

    isr: Subtask = SubtaskField(default=IsrTask, description="How each raw frame is processed first.")
    outlier_sigma: float = Field(
        8.0, gt=0, description="A pixel this far above the median of its stack, in its own noise, is a cosmic ray."
    )
    num_sigma_clip: float = Field(3.0, gt=0, description="Clipping threshold of the stack.")
    num_iter: int = Field(3, ge=1, description="Clipping passes.")
    min_frames: int = Field(1, ge=1, description="Fewer raw frames than this are an error.")

    def set_defaults(self) -> None:
        """Do not interpolate: a master frame shows what it found."""
        super().set_defaults()
        self.isr.do_interpolate = False

    def check(self) -> None:
        """Raise `ConfigError` where raw frames would come without what stacking needs."""
        super().check()
        if not self.isr.do_variance:
            raise ConfigError(
                "isr.do_variance is needed: what stands out of a stack is told by the noise of its frames."
            )


class CalibrationFrameTask(PipelineTask):
    """What master bias, dark and flat have in common; use one of these.

    Parameters
    ----------
    config, name, parent_task, log
        As of `Task`.
    """

    ConfigClass: ClassVar[type[Config]] = CalibrationFrameConfig
    isr: IsrTask
    kind: ClassVar[str] = "calibration frame"
    """What is made, for messages."""

    def __init__(self, config: Config | None = None, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        self.make_subtask("isr")

    def run_quantum(self, quantum_context: QuantumContext, inputs: InputRefs, outputs: OutputRefs) -> None:
        """Read inputs, pick the quantum's detector of the camera, run, and write."""
        quantum_context.put(self.run(**read_with_detector(quantum_context, inputs)), outputs)

    def _processed(
        self, raws: Sequence[Exposure], camera: Camera | None, detector: Detector | None, **masters: Exposure | None
    ) -> list[Exposure]:
        if len(raws) < self.config.min_frames:
            raise TaskError(f"a {self.kind} needs {self.config.min_frames} raw frames, and there are {len(raws)}")
        given = {name: master for name, master in masters.items() if master is not None}
        frames = [self.isr.run(raw, camera=camera, detector=detector, **given).exposure for raw in raws]
        self.metadata["frames"] = len(frames)
        self.metadata["medians"] = [float(np.median(frame.masked_image.image.array)) for frame in frames]
        return frames

    def _stack(self, frames: Sequence[Exposure], scales: Sequence[float]) -> MaskedImage:
        """Clipped mean of frames, each divided by its scale, with its variance."""
        from ..imaging import MEANCLIP, StatisticsControl, statistics_stack

        images = []
        for frame, scale in zip(frames, scales, strict=True):
            image = frame.masked_image
            if scale != 1.0:
                image /= float(scale)
            images.append(image)
        rejected = _reject_outliers(images, self.config.outlier_sigma)
        self.metadata["rejected_pixels"] = rejected
        control = StatisticsControl(
            num_sigma_clip=self.config.num_sigma_clip,
            num_iter=self.config.num_iter,
            and_mask=images[0].mask.plane_bit_mask(["CR", "SAT", "NO_DATA"]),
            nan_safe=True,
            calc_error_from_input_variance=True,
        )
        stacked: MaskedImage = statistics_stack(images, MEANCLIP, control)
        stacked = stacked.astype("float32")
        mask = stacked.mask
        # Each pixel that any frame lost is not lost in the master: only what no frame has is.
        for plane in ("CR", "SAT", "SUSPECT", "INTRP", "NO_DATA"):
            mask.clear_mask_plane(plane)
        empty = ~np.isfinite(stacked.image.array)
        if empty.all():
            raise TaskError(
                f"a {self.kind} needs pixels that are neither saturated nor without data, and there is none"
            )
        stacked.image.array[empty] = np.median(stacked.image.array[~empty])
        stacked.variance.array[~np.isfinite(stacked.variance.array)] = 0.0
        mask.array[empty] |= mask.plane_bit_mask("BAD")
        return stacked

    def _master(self, stacked: MaskedImage, frames: Sequence[Exposure], unit: str) -> Exposure:
        first = frames[0]
        master = Exposure(stacked, detector=first.detector)
        master.metadata.set("BUNIT", unit, "unit of the pixels")
        master.metadata.set("OBSTYPE", self.default_name, "kind of master frame")
        master.metadata.set("NFRAMES", len(frames), "raw frames in it")
        for number, frame in enumerate(frames[:999]):
            if frame.visit_info is not None:
                master.metadata.set(f"INPUT{number}", int(frame.visit_info.id), "exposure that went in")
        return master


class MasterBiasConfig(CalibrationFrameConfig):
    """How a master bias is made."""

    def set_defaults(self) -> None:
        """Take no master frame off."""
        super().set_defaults()
        self.isr.do_bias = self.isr.do_dark = self.isr.do_flat = False


class MasterBiasTask(CalibrationFrameTask):
    """A master bias: the clipped mean of bias frames, electrons."""

    ConfigClass: ClassVar[type[Config]] = MasterBiasConfig
    Connections: ClassVar[type[TaskConnections]] = MasterBiasConnections
    default_name: ClassVar[str] = "bias"
    kind: ClassVar[str] = "master bias"

    @time_method
    def run(
        self, raws: Sequence[Exposure], *, camera: Camera | None = None, detector: Detector | None = None
    ) -> Struct:
        """Stack bias frames.

        Parameters
        ----------
        raws
            Raw bias frames of one detector.
        camera, detector
            As of `IsrTask.run`.

        Returns
        -------
        Struct
            ``bias``, an Exposure in electrons.
        """
        frames = self._processed(raws, camera, detector)
        for frame in frames:
            # The pedestal, where there is no overscan, is no light and has no noise of its own.
            for amplifier in frame.detector.amplifiers if frame.detector is not None else ():
                sigma = self._noise(amplifier.read_noise)
                frame.masked_image[amplifier.bbox].variance.array[...] = sigma**2
        stacked = self._stack(frames, [1.0] * len(frames))
        self.metadata["read_noise"] = _read_noise(frames)
        return Struct(bias=self._master(stacked, frames, "electron"))

    def _noise(self, amplifier_noise: float) -> float:
        given: float = self.config.isr.read_noise
        return amplifier_noise if np.isnan(given) else given


class MasterDarkConfig(CalibrationFrameConfig):
    """How a master dark is made."""

    hot_pixel_sigma: float = Field(
        15.0, gt=0, description="Pixels this far above the median, in robust standard deviations, are hot: BAD."
    )

    def set_defaults(self) -> None:
        """Take the bias off, nothing else."""
        super().set_defaults()
        self.isr.do_dark = self.isr.do_flat = False


class MasterDarkTask(CalibrationFrameTask):
    """A master dark: the clipped mean of dark frames, scaled to one second, hot pixels BAD."""

    ConfigClass: ClassVar[type[Config]] = MasterDarkConfig
    Connections: ClassVar[type[TaskConnections]] = MasterDarkConnections
    default_name: ClassVar[str] = "dark"
    kind: ClassVar[str] = "master dark"

    @time_method
    def run(
        self,
        raws: Sequence[Exposure],
        *,
        camera: Camera | None = None,
        detector: Detector | None = None,
        bias: Exposure | None = None,
    ) -> Struct:
        """Stack dark frames.

        Parameters
        ----------
        raws
            Raw dark frames of one detector.
        camera, detector, bias
            As of `IsrTask.run`.

        Returns
        -------
        Struct
            ``dark``, an Exposure in electrons per second.

        Raises
        ------
        TaskError
            A frame's dark time is not known, or not positive.
        """
        frames = self._processed(raws, camera, detector, bias=bias)
        stacked = self._stack(frames, [_dark_seconds(frame) for frame in frames])
        image = stacked.image.array
        middle = float(np.median(image))
        spread = float(1.4826 * np.median(np.abs(image - middle)))
        hot = image > middle + self.config.hot_pixel_sigma * max(spread, 1e-6)
        stacked.mask.array[hot] |= stacked.mask.plane_bit_mask("BAD")
        self.metadata["dark_current"] = middle
        self.metadata["hot_pixels"] = int(hot.sum())
        self.log.info("dark current %.3f e-/s, %d hot pixels", middle, hot.sum())
        return Struct(dark=self._master(stacked, frames, "electron/s"))


class MasterFlatConfig(CalibrationFrameConfig):
    """How a master flat is made."""

    low: float = Field(0.3, ge=0, description="Pixels below this share of the mean are BAD.")
    high: float = Field(3.0, gt=1, description="Pixels above this multiple of the mean are BAD.")

    def set_defaults(self) -> None:
        """Take bias and dark off."""
        super().set_defaults()
        self.isr.do_flat = False


class MasterFlatTask(CalibrationFrameTask):
    """A master flat: the clipped mean of flats, each divided by its own level, with mean 1; odd pixels BAD."""

    ConfigClass: ClassVar[type[Config]] = MasterFlatConfig
    Connections: ClassVar[type[TaskConnections]] = MasterFlatConnections
    default_name: ClassVar[str] = "flat"
    kind: ClassVar[str] = "master flat"

    @time_method
    def run(
        self,
        raws: Sequence[Exposure],
        *,
        camera: Camera | None = None,
        detector: Detector | None = None,
        bias: Exposure | None = None,
        dark: Exposure | None = None,
    ) -> Struct:
        """Stack flats.

        Parameters
        ----------
        raws
            Raw flats of one detector through one filter.
        camera, detector, bias, dark
            As of `IsrTask.run`.

        Returns
        -------
        Struct
            ``flat``, an Exposure of mean 1 with its filter.

        Raises
        ------
        TaskError
            A flat holds no light.
        """
        frames = self._processed(raws, camera, detector, bias=bias, dark=dark)
        levels = [_level(frame.masked_image) for frame in frames]
        dim = [level for level in levels if not level > 0]
        if dim:
            raise TaskError(
                f"{len(dim)} of {len(levels)} flats have a mean of {dim[0]:.1f} electrons: they hold no light, are "
                "saturated all over (nan), or no bias was taken off"
            )
        stacked = self._stack(frames, levels)
        stacked /= _level(stacked)
        image = stacked.image.array
        odd = ~((image > self.config.low) & (image < self.config.high))
        stacked.mask.array[odd] |= stacked.mask.plane_bit_mask("BAD")
        image[odd] = 1.0
        self.metadata["levels"] = levels
        self.metadata["odd_pixels"] = int(odd.sum())
        master = self._master(stacked, frames, "")
        first: Filter | None = frames[0].filter
        master.filter = first
        return Struct(flat=master)


def _level(image: MaskedImage) -> float:
    from ..imaging import MEANCLIP, StatisticsControl, make_statistics

    bad = image.mask.plane_bit_mask(["BAD", "SAT", "NO_DATA", "CR"])
    return float(make_statistics(image, MEANCLIP, StatisticsControl(and_mask=bad, nan_safe=True))[MEANCLIP])


def _dark_seconds(frame: Exposure) -> float:
    seconds = dark_time(frame)
    if not seconds > 0:
        number = frame.visit_info.id if frame.visit_info is not None else "?"
        raise TaskError(
            f"dark frame {number} has a dark time of {seconds} s: "
            "visit_info.dark_time or exposure_time must say how long it was"
        )
    return seconds


def _reject_outliers(images: Sequence[MaskedImage], num_sigma: float) -> int:
    """Mark CR what stands far above the same pixel of the other frames.

    Clipping cannot do this for three frames: one outlier makes their scatter so large that it is within it.
    """
    if len(images) < 3:
        return 0
    middle = np.median(np.stack([image.image.array for image in images]), axis=0)
    found = 0
    for image in images:
        spread = np.sqrt(np.clip(image.variance.array, 0.0, None))
        high = image.image.array - middle > num_sigma * spread + 0.05 * np.abs(middle)
        image.mask.array[high] |= image.mask.plane_bit_mask("CR")
        found += int(high.sum())
    return found


def _read_noise(frames: Sequence[Exposure]) -> float:
    """Read noise (electrons) from differences of successive frames; NaN with fewer than two."""
    noise = []
    for one, other in pairwise(frames):
        change = one.masked_image.image.array - other.masked_image.image.array
        low, high = np.percentile(change, [25, 75])
        noise.append(IQR_TO_STDEV * (high - low) / np.sqrt(2.0))
    return float(np.median(noise)) if noise else float("nan")
