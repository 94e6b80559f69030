"""The steps of instrument signature removal, each a small function on what has become of the frame so far.

A step changes ``state.masked_image`` and returns what is worth knowing of it, for the task's metadata. `STEPS` at the
end is their order. Before ``assemble`` the pixels are those of the raw frame, after it the trimmed detector's; from
``gain`` on they are electrons.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..imaging.geometry import Box2I, Extent2I, Point2I
from ..imaging.image import Image
from ..imaging.mask import Mask
from ..imaging.masked_image import MaskedImage
from ..model.errors import TaskError
from .interpolation import interpolate_along_rows
from .overscan import fit_overscan

if TYPE_CHECKING:
    from ..imaging.detector import Amplifier, Detector
    from ..imaging.exposure import Exposure
    from .isr_config import IsrConfig

Notes = Mapping[str, str | int | float | bool]
"""What a step has to tell, by name."""


@dataclass(slots=True)
class IsrState:
    """A frame on its way through the steps."""

    masked_image: MaskedImage
    """The pixels, a copy that the steps may change."""
    detector: Detector
    """Where amplifiers lie and how they behave."""
    config: IsrConfig
    """The task's configuration."""
    dark_time: float
    """Seconds in which dark current gathered; NaN where not known."""
    calibrations: dict[str, Exposure] = field(default_factory=dict)
    """Master frames by step: bias, dark, flat."""

    def gain(self, amplifier: Amplifier) -> float:
        """Electrons per ADU: the configuration's, else the amplifier's."""
        return amplifier.gain if np.isnan(self.config.gain) else self.config.gain

    def read_noise(self, amplifier: Amplifier) -> float:
        """Electrons: the configuration's, else the amplifier's."""
        return amplifier.read_noise if np.isnan(self.config.read_noise) else self.config.read_noise


def saturation(state: IsrState) -> Notes:
    """Mark SAT what is at or above the amplifier's saturation level, in raw ADU."""
    return _mark(state, state.config.saturated_mask_name, 1.0)


def suspect(state: IsrState) -> Notes:
    """Mark SUSPECT what is above a share of the saturation level."""
    return _mark(state, state.config.suspect_mask_name, state.config.suspect_fraction)


def _mark(state: IsrState, plane: str, share: float) -> Notes:
    counts = {}
    for amplifier in state.detector.amplifiers:
        level = amplifier.saturation if np.isnan(state.config.saturation) else state.config.saturation
        part = state.masked_image[amplifier.raw_data_bbox]
        hit = part.image.array >= share * level
        part.mask.array[hit] |= part.mask.plane_bit_mask(plane)
        counts[f"{amplifier.name}.pixels"] = int(hit.sum())
    return counts


def overscan(state: IsrState) -> Notes:
    """Subtract each amplifier's overscan level from its pixels."""
    notes: dict[str, float] = {}
    for amplifier in state.detector.amplifiers:
        box = amplifier.raw_serial_overscan_bbox
        if box is None:
            continue
        pixels = state.masked_image[box].image.array
        exposed = amplifier.raw_data_bbox
        covered = box.min_y <= exposed.min_y and box.max_y >= exposed.max_y
        if not covered and state.config.overscan.is_by_row:
            raise TaskError(
                f"amplifier {amplifier.name}: overscan.fit_type={state.config.overscan.fit_type} takes levels of rows, "
                f"but the overscan has rows {box.min_y} to {box.max_y} and the data {exposed.min_y} to "
                f"{exposed.max_y}; set it to MEDIAN, MEAN or MEANCLIP."
            )
        # The first column is to be the one beside the data, on whichever side that is.
        pixels = pixels if box.min_x >= exposed.min_x else pixels[:, ::-1]
        try:
            fit = fit_overscan(pixels, state.config.overscan)
        except TaskError as error:
            raise TaskError(f"amplifier {amplifier.name}: {error}") from None
        data = state.masked_image[exposed].image.array
        first = exposed.min_y - box.min_y
        rows = np.clip(np.arange(first, first + len(data)), 0, len(fit.level) - 1)
        data -= fit.level[rows, None].astype(data.dtype)
        notes[f"{amplifier.name}.mean"] = fit.mean
        notes[f"{amplifier.name}.residual_stdev"] = fit.residual_stdev
        notes[f"{amplifier.name}.read_noise"] = fit.residual_stdev * state.gain(amplifier)
    return notes


def gain(state: IsrState) -> Notes:
    """Turn ADU into electrons."""
    notes = {}
    for amplifier in state.detector.amplifiers:
        state.masked_image[amplifier.raw_data_bbox].image.array[...] *= state.gain(amplifier)
        notes[f"{amplifier.name}.gain"] = state.gain(amplifier)
    return notes


def assemble(state: IsrState) -> Notes:
    """Put the amplifiers' data sections where they belong in the trimmed detector."""
    raw = state.masked_image
    trimmed = MaskedImage.full(
        state.detector.bbox,
        (0.0, raw.mask.plane_bit_mask("NO_DATA"), 0.0),
        dtype=raw.image.dtype,
        schema=raw.mask.schema,
    )
    for amplifier in state.detector.amplifiers:
        flip = (slice(None, None, -1 if amplifier.flip_y else 1), slice(None, None, -1 if amplifier.flip_x else 1))
        source, target = raw[amplifier.raw_data_bbox], trimmed[amplifier.bbox]
        for plane, into in zip(source.arrays, target.arrays, strict=True):
            into[...] = plane[flip]
    state.masked_image = trimmed
    return {"width": trimmed.width, "height": trimmed.height, "amplifiers": len(state.detector.amplifiers)}


def bias(state: IsrState) -> Notes:
    """Subtract the master bias."""
    master = _master(state, "bias")
    state.masked_image -= master
    return {"median": float(np.median(master.image.array))}


def variance(state: IsrState) -> Notes:
    """Add photon and read noise to the variance: ``I + r**2`` in electrons squared."""
    notes: dict[str, float] = {}
    for amplifier in state.detector.amplifiers:
        part = state.masked_image[amplifier.bbox]
        noise = state.read_noise(amplifier)
        part.variance.array[...] += np.clip(part.image.array, 0.0, None) + noise**2
        notes[f"{amplifier.name}.read_noise"] = noise
    known = state.masked_image.variance.array[np.isfinite(state.masked_image.variance.array)]
    notes["median"] = float(np.median(known)) if known.size else float("nan")
    return notes


def dark(state: IsrState) -> Notes:
    """Subtract the master dark, which is of one second, times the frame's dark time."""
    if not np.isfinite(state.dark_time):
        raise TaskError(
            "the dark cannot be scaled: the exposure's visit_info has neither dark_time nor exposure_time. "
            "Set do_dark=False, or mend the header."
        )
    master = _master(state, "dark")
    state.masked_image.scaled_minus(state.dark_time, master)
    return {"scale": state.dark_time, "median": state.dark_time * float(np.median(master.image.array))}


def defect(state: IsrState) -> Notes:
    """Mark BAD the detector's boxes that the configuration lists, and count these and what the masters marked."""
    mask = state.masked_image.mask
    bad = mask.plane_bit_mask("BAD")
    for detector, x, y, width, height in state.config.defects:
        if detector != state.detector.id:
            continue
        box = Box2I(Point2I(x, y), Extent2I(width, height))
        if not mask.bbox.contains(box):
            raise TaskError(f"defects: {box} is not within detector {detector}, which covers {mask.bbox}")
        mask[box].array[...] |= bad
    return {"pixels": int(((mask.array & bad) != 0).sum())}


def nan_masking(state: IsrState) -> Notes:
    """Mark NO_DATA what is not finite, and put the median there."""
    array = state.masked_image.image.array
    broken = ~np.isfinite(array)
    found = int(broken.sum())
    if found:
        state.masked_image.mask.array[broken] |= state.masked_image.mask.plane_bit_mask("NO_DATA")
        array[broken] = np.median(array[~broken]) if found < array.size else 0.0
    return {"pixels": found}


def flat(state: IsrState) -> Notes:
    """Divide by the master flat, whose mean is 1."""
    master = _master(state, "flat")
    # A flat without light says nothing of the sky: such pixels are bad, and dividing by them would make them infinite.
    dead = ~(master.image.array > 0)
    if dead.any():
        master = master.clone()
        master.image.array[dead] = 1.0
        master.mask.array[dead] |= master.mask.plane_bit_mask("BAD")
    state.masked_image /= master
    return {"min": float(master.image.array.min()), "max": float(master.image.array.max())}


def edge(state: IsrState) -> Notes:
    """Mark EDGE the outermost pixels."""
    width = state.config.num_edge_suspect
    mask = state.masked_image.mask
    inner = np.zeros(mask.array.shape, dtype=bool)
    inner[width:-width, width:-width] = True
    mask.array[~inner] |= mask.plane_bit_mask("EDGE")
    return {"width": width}


def interpolate(state: IsrState) -> Notes:
    """Replace bad pixels by what their neighbours in the row say, and mark them INTRP."""
    mask = state.masked_image.mask
    config = state.config
    grown = config.grow_saturation_footprint_size
    if grown > 0:
        from scipy.ndimage import binary_dilation

        name = config.saturated_mask_name
        hit = (mask.array & mask.plane_bit_mask(name)) != 0
        if hit.any():
            square = np.ones((2 * grown + 1, 2 * grown + 1), dtype=bool)
            mask.array[binary_dilation(hit, square)] |= mask.plane_bit_mask(name)
    bad = (mask.array & mask.plane_bit_mask(config.mask_list_to_interpolate)) != 0
    blank = (mask.array & mask.plane_bit_mask("NO_DATA")) != 0
    interpolate_along_rows(state.masked_image.image.array, bad, blank)
    interpolate_along_rows(state.masked_image.variance.array, bad, blank)
    mask.array[bad] |= mask.plane_bit_mask("INTRP")
    return {"pixels": int(bad.sum())}


def _master(state: IsrState, name: str) -> MaskedImage:
    exposure = state.calibrations[name]
    unit, other = ("electron", "adu") if state.config.do_apply_gains else ("adu", "electron")
    said = str(exposure.metadata.get("BUNIT", ""))
    if said.lower().startswith(other):
        raise TaskError(
            f"the {name} is in {said}, but the frame in {unit}: set do_apply_gains={unit == 'adu'} or do_{name}=False"
        )
    master = exposure.masked_image
    if master.bbox != state.masked_image.bbox:
        raise TaskError(
            f"the {name} covers {master.bbox}, but the trimmed frame {state.masked_image.bbox}: "
            "it was made for another detector, or without trimming"
        )
    return master


def as_float(masked_image: MaskedImage) -> MaskedImage:
    """Return a float32 copy with mask and a variance of zeros; the raw frame stays as it is."""
    image = Image(masked_image.image.array.astype(np.float32), masked_image.xy0)
    mask: Mask = masked_image.mask.clone()
    return MaskedImage(image, mask)


@dataclass(frozen=True, slots=True)
class Step:
    """One step, and the switch that turns it on."""

    name: str
    """As in the metadata."""
    apply: Callable[[IsrState], Notes]
    """What it does."""
    switch: str
    """Field of the configuration: on, or a number that is not 0."""
    needs: str = ""
    """Master frame that it takes."""


STEPS = (
    Step("saturation", saturation, "do_saturation"),
    Step("suspect", suspect, "do_suspect"),
    Step("overscan", overscan, "do_overscan"),
    Step("gain", gain, "do_apply_gains"),
    Step("assemble", assemble, "do_assemble_ccd"),
    Step("bias", bias, "do_bias", needs="bias"),
    # Dark current is counted with its own noise, so the variance comes before the dark goes.
    Step("variance", variance, "do_variance"),
    Step("dark", dark, "do_dark", needs="dark"),
    Step("flat", flat, "do_flat", needs="flat"),
    Step("defect", defect, "do_defect"),
    Step("nan_masking", nan_masking, "do_nan_masking"),
    Step("edge", edge, "num_edge_suspect"),
    Step("interpolate", interpolate, "do_interpolate"),
)
"""All steps in their order."""
