"""What the tasks that work on raw frames take and make: a frame, its camera, and master frames."""

from __future__ import annotations

from typing import Any

from ..tasks import Config, Input, Output, PrerequisiteInput, TaskConnections

_RAW = ("instrument", "exposure", "detector")
_DETECTOR = ("instrument", "detector")
_FILTER = ("instrument", "detector", "physical_filter")


class CameraConnections(TaskConnections):
    """The camera; a master frame whose step of signature removal is off is not taken."""

    camera = PrerequisiteInput(
        "camera", storage_class="Camera", dimensions=("instrument",), minimum=0, doc="Amplifiers of the detectors."
    )

    def __init__(self, config: Config | None = None) -> None:
        super().__init__(config)
        settings: Any = config
        isr = settings.isr if config is not None and "isr" in type(config).model_fields else settings
        for name in self.prerequisites:
            if getattr(isr, f"do_{name}", None) is False:
                delattr(self, name)


class BiasedConnections(CameraConnections):
    """The camera and the detector's master bias."""

    bias = PrerequisiteInput(
        "bias", storage_class="Exposure", dimensions=_DETECTOR, minimum=0, doc="Master bias, electrons."
    )


class DarkConnections(BiasedConnections):
    """The camera and the detector's master bias and dark."""

    dark = PrerequisiteInput(
        "dark", storage_class="Exposure", dimensions=_DETECTOR, minimum=0, doc="Master dark, electrons per second."
    )


class IsrConnections(DarkConnections, dimensions=_RAW):
    """A raw frame and the master frames of its detector; all of these are optional."""

    ccd_exposure = Input("raw", storage_class="Exposure", dimensions=_RAW, doc="Raw frame.")
    flat = PrerequisiteInput(
        "flat", storage_class="Exposure", dimensions=_FILTER, minimum=0, doc="Master flat of mean 1."
    )
    exposure = Output(
        "postISRCCD",
        storage_class="Exposure",
        dimensions=_RAW,
        doc="Trimmed frame in electrons with mask and variance.",
    )


class MasterBiasConnections(CameraConnections, dimensions=_DETECTOR):
    """Raw bias frames of one detector."""

    raws = Input("raw", storage_class="Exposure", dimensions=_RAW, multiple=True, doc="Raw bias frames.")
    bias = Output("bias", storage_class="Exposure", dimensions=_DETECTOR, doc="Master bias, electrons.")


class MasterDarkConnections(BiasedConnections, dimensions=_DETECTOR):
    """Raw dark frames of one detector, and its bias."""

    raws = Input("raw", storage_class="Exposure", dimensions=_RAW, multiple=True, doc="Raw dark frames.")
    dark = Output("dark", storage_class="Exposure", dimensions=_DETECTOR, doc="Master dark, electrons per second.")


class MasterFlatConnections(DarkConnections, dimensions=_FILTER):
    """Raw flats of one detector through one filter, its bias and its dark."""

    raws = Input("raw", storage_class="Exposure", dimensions=_RAW, multiple=True, doc="Raw flats.")
    flat = Output("flat", storage_class="Exposure", dimensions=_FILTER, doc="Master flat of mean 1.")
