"""What the tasks that build master frames take and make."""

from __future__ import annotations

from ..tasks import Input, Output, PrerequisiteInput, TaskConnections

_RAW = ("instrument", "exposure", "detector")


class MasterBiasConnections(TaskConnections, dimensions=("instrument", "detector")):
    """Raw bias frames of one detector."""

    raws = Input("raw", storage_class="Exposure", dimensions=_RAW, multiple=True, doc="Raw bias frames.")
    camera = PrerequisiteInput("camera", storage_class="Camera", dimensions=("instrument",), minimum=0, doc="Camera.")
    bias = Output(
        "bias", storage_class="Exposure", dimensions=("instrument", "detector"), doc="Master bias, electrons."
    )


class MasterDarkConnections(TaskConnections, dimensions=("instrument", "detector")):
    """Raw dark frames of one detector, and its bias."""

    raws = Input("raw", storage_class="Exposure", dimensions=_RAW, multiple=True, doc="Raw dark frames.")
    camera = PrerequisiteInput("camera", storage_class="Camera", dimensions=("instrument",), minimum=0, doc="Camera.")
    bias = PrerequisiteInput(
        "bias", storage_class="Exposure", dimensions=("instrument", "detector"), minimum=0, doc="Master bias."
    )
    dark = Output(
        "dark",
        storage_class="Exposure",
        dimensions=("instrument", "detector"),
        doc="Master dark, electrons per second.",
    )


class MasterFlatConnections(TaskConnections, dimensions=("instrument", "detector", "physical_filter")):
    """Raw flats of one detector through one filter, its bias and its dark."""

    raws = Input("raw", storage_class="Exposure", dimensions=_RAW, multiple=True, doc="Raw flats.")
    camera = PrerequisiteInput("camera", storage_class="Camera", dimensions=("instrument",), minimum=0, doc="Camera.")
    bias = PrerequisiteInput(
        "bias", storage_class="Exposure", dimensions=("instrument", "detector"), minimum=0, doc="Master bias."
    )
    dark = PrerequisiteInput(
        "dark", storage_class="Exposure", dimensions=("instrument", "detector"), minimum=0, doc="Master dark."
    )
    flat = Output(
        "flat",
        storage_class="Exposure",
        dimensions=("instrument", "detector", "physical_filter"),
        doc="Master flat of mean 1.",
    )
