"""The dataset types and collections that every new repository has, so that a first get or put needs no ceremony."""

from __future__ import annotations

from ..model.datasets import DatasetType
from ..model.dimensions import DimensionUniverse

__all__ = ["DEFAULT_COLLECTION", "DEFAULT_RUN", "standard_dataset_types"]

DEFAULT_COLLECTION = "defaults"
"""The CHAINED collection that is searched where none is named."""
DEFAULT_RUN = "user"
"""The RUN that is put into where none is named."""

_STANDARD = [
    ("raw", ("instrument", "exposure", "detector"), "Exposure"),
    ("camera", ("instrument",), "Camera"),
    ("camera_description", ("instrument",), "Dict"),
    ("bias", ("instrument", "detector"), "Exposure"),
    ("dark", ("instrument", "detector"), "Exposure"),
    ("flat", ("instrument", "physical_filter", "detector"), "Exposure"),
    ("postISRCCD", ("instrument", "exposure", "detector"), "Exposure"),
    ("calexp", ("instrument", "visit", "detector"), "Exposure"),
    ("calexpBackground", ("instrument", "visit", "detector"), "Background"),
    ("src", ("instrument", "visit", "detector"), "SourceCatalog"),
]
_CALIBRATIONS = {"camera", "camera_description", "bias", "dark", "flat"}


def standard_dataset_types(universe: DimensionUniverse) -> list[DatasetType]:
    """Return the standard dataset types; none of them where a universe of one's own lacks their dimensions."""
    if not all(name in universe for _, dimensions, _ in _STANDARD for name in dimensions):
        return []
    return [
        DatasetType(name, dimensions, storage_class, name in _CALIBRATIONS, universe=universe)
        for name, dimensions, storage_class in _STANDARD
    ]
