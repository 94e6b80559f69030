"""IsrTask: from a raw frame to a picture of the sky, the instrument's own signature removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..imaging.exposure import Exposure
from ..imaging.moments import IQR_TO_STDEV
from ..model.errors import TaskError
from ..tasks import Config, PipelineTask, Struct, TaskConnections, time_method
from .calibration_connections import IsrConnections
from .isr_config import IsrConfig
from .isr_steps import STEPS, IsrState, Step, as_float

if TYPE_CHECKING:
    from ..imaging.detector import Camera, Detector
    from ..tasks.quantum_context import InputRefs, OutputRefs, QuantumContext


class IsrTask(PipelineTask):
    """Remove the instrument's signature from a raw frame.

    Saturation and suspect masks, overscan, gain, assembly, bias, variance, dark, flat, defects, pixels without data,
    edges and interpolation, in this order: `isr_steps.STEPS`. Results are in electrons (``BUNIT``) unless
    ``do_apply_gains`` is off. What each step found is in the task's metadata under its name.

    Parameters
    ----------
    config, name, parent_task, log
        As of `Task`.
    """

    ConfigClass: ClassVar[type[Config]] = IsrConfig
    Connections: ClassVar[type[TaskConnections]] = IsrConnections
    default_name: ClassVar[str] = "isr"

    def run_quantum(self, quantum_context: QuantumContext, inputs: InputRefs, outputs: OutputRefs) -> None:
        """Read inputs, pick the quantum's detector of the camera, run, and write."""
        quantum_context.put(self.run(**read_with_detector(quantum_context, inputs)), outputs)

    @time_method
    def run(
        self,
        ccd_exposure: Exposure,
        *,
        camera: Camera | None = None,
        detector: Detector | None = None,
        bias: Exposure | None = None,
        dark: Exposure | None = None,
        flat: Exposure | None = None,
    ) -> Struct:
        """Process one frame; neither it nor the master frames are changed.

        Parameters
        ----------
        ccd_exposure
            Raw frame, ADU, of any number type.
        camera
            Where the detector is looked up unless it is given, or the exposure has it.
        detector
            Amplifiers with their sections, gains, noise and saturation.
        bias
            Master bias, electrons.
        dark
            Master dark, electrons per second.
        flat
            Master flat of mean 1.

        Returns
        -------
        Struct
            ``exposure``: float32 image in electrons, mask, and variance in electrons squared.

        Raises
        ------
        TaskError
            A step is on (True) and its master frame is not given; no detector is known; sizes do not fit.
        """
        chip = _detector(ccd_exposure, camera, detector)
        calibrations = {"bias": bias, "dark": dark, "flat": flat}
        state = IsrState(
            as_float(ccd_exposure.masked_image),
            chip,
            self.config,
            dark_time(ccd_exposure),
            {name: frame for name, frame in calibrations.items() if frame is not None},
        )
        done = []
        for step in STEPS:
            if self._is_on(step, state):
                self.metadata[step.name] = dict(step.apply(state))
                done.append(step.name)
        self.metadata["steps"] = done
        if self.config.do_standard_statistics:
            self.metadata["final"] = _statistics(state)
        return Struct(exposure=self._exposure(ccd_exposure, state))

    def _is_on(self, step: Step, state: IsrState) -> bool:
        wanted = getattr(self.config, step.switch)
        if not step.needs:
            return bool(wanted)
        there = step.needs in state.calibrations
        if wanted and not there:
            raise TaskError(
                f"{step.switch} is True, but there is no {step.needs} for this frame. Build one, or set "
                f"{step.switch}=None (use one where there is one) or False."
            )
        if wanted is None and not there:
            self.log.info("no %s: this step is left out", step.needs)
        return there and wanted is not False

    def _exposure(self, raw: Exposure, state: IsrState) -> Exposure:
        metadata = raw.metadata.copy()
        exposure = Exposure(
            state.masked_image, wcs=raw.wcs, metadata=metadata, detector=state.detector, filter=raw.filter
        )
        exposure.visit_info = raw.visit_info
        exposure.id = raw.id
        gains = [state.gain(amplifier) for amplifier in state.detector.amplifiers]
        exposure.metadata.set("BUNIT", "electron" if self.config.do_apply_gains else "adu", "unit of the pixels")
        applied = float(np.mean(gains)) if self.config.do_apply_gains else 1.0
        exposure.metadata.set("ISRGAIN", applied, "e-/ADU applied")
        exposure.metadata.set("ISRSTEPS", " ".join(self.metadata["steps"]), "steps of signature removal")
        if raw.photo_calib is not None:
            # The raw frame's calibration is of ADU.
            exposure.photo_calib = type(raw.photo_calib)(
                raw.photo_calib.calibration_mean / applied, raw.photo_calib.calibration_err / applied
            )
        return exposure


def read_with_detector(quantum_context: QuantumContext, inputs: InputRefs) -> dict[str, Any]:
    """Read a quantum's inputs, and pick its detector of the camera, where there is one."""
    arguments = quantum_context.get(inputs)
    camera = arguments.get("camera")
    if camera is not None:
        arguments["detector"] = camera[quantum_context.data_id["detector"]]
    return arguments


def _detector(exposure: Exposure, camera: Camera | None, detector: Detector | None) -> Detector:
    if detector is not None:
        chip = detector
    elif exposure.detector is not None:
        chip = exposure.detector
    elif camera is not None and len(camera) == 1:
        chip = next(iter(camera.values()))
    else:
        raise TaskError("which detector is this? Give detector=camera[number]; the raw exposure does not say.")
    if not chip.amplifiers:
        raise TaskError(f"detector {chip.name} has no amplifiers, so its sections and gains are not known")
    if not exposure.masked_image.bbox.contains(chip.raw_bbox):
        raise TaskError(
            f"the raw frame covers {exposure.masked_image.bbox}, but detector {chip.name} reads out {chip.raw_bbox}"
        )
    return chip


def dark_time(exposure: Exposure) -> float:
    """Return the seconds in which dark current gathered: the exposure time, where no other is known; NaN without."""
    info = exposure.visit_info
    if info is None:
        return float("nan")
    return float(info.dark_time if np.isfinite(info.dark_time) else info.exposure_time)


def _statistics(state: IsrState) -> dict[str, float]:
    good = state.masked_image.image.array[state.masked_image.mask.array == 0]
    if not good.size:
        return {"good_pixels": 0}
    low, middle, high = (float(value) for value in np.percentile(good, [25, 50, 75]))
    return {
        "good_pixels": int(good.size),
        "mean": float(good.mean(dtype=np.float64)),
        "median": middle,
        "robust_stdev": IQR_TO_STDEV * (high - low),
    }
