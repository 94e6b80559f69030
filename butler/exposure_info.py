"""What the registry knows of an exposure and its file does not say.

A raw frame's header speaks its camera's own dialect. Ingest has translated it into dimension records already, so a raw
that is read gets its visit info and filter from there, and its detector from the ``camera`` dataset, whatever camera
took it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..model.data_id import DataId
from ..model.records import DimensionRecord
from ..registry.registry import Registry

if TYPE_CHECKING:
    from ..imaging.exposure import Exposure
    from .butler import Butler

__all__ = ["COMPLETED", "complete_exposure"]

COMPLETED = (None, "visit_info", "filter", "id", "detector")
"""The whole, and the components that may be filled in."""


def complete_exposure(butler: Butler, data_id: DataId, obj: Any, component: str | None) -> Any:
    """Fill in what a file did not say of an exposure or a component of one.

    Parameters
    ----------
    butler
        Whose records, and whose camera, are asked.
    data_id
        The dataset's.
    obj
        The exposure that was read, or the component, None where the file has none.
    component
        One of `COMPLETED`.

    Returns
    -------
    object
        The same exposure, now with ``visit_info``, ``filter``, ``detector`` and ``id``; or the component.
    """
    registry = butler.registry
    missing = obj is None if component else obj.visit_info is None or obj.filter is None
    element = next((name for name in ("exposure", "visit") if name in data_id), None)
    if not missing or element is None:
        return obj
    record = registry.dimension_records.fetch(element, data_id)
    if record is None:
        return obj
    if component == "visit_info":
        return _visit_info(record)
    if component == "filter":
        return _filter(registry, record)
    if component == "detector":
        return _detector(butler, data_id)
    if component == "id":
        return record.id
    exposure: Exposure = obj
    if exposure.visit_info is None:
        exposure.visit_info = _visit_info(record)
    if exposure.filter is None:
        exposure.filter = _filter(registry, record)
    if exposure.detector is None:
        exposure.detector = _detector(butler, data_id)
    if exposure.id is None:
        exposure.id = record.id
    return exposure


def _visit_info(record: DimensionRecord) -> Any:
    from ..imaging.visit_info import VisitInfo
    from ..model.timespan import isot_from_ns

    known = record.to_dict()

    def number(name: str) -> float:
        value = known.get(name)
        return math.nan if value is None else float(value)

    zenith_angle = number("zenith_angle")
    span = record.timespan
    return VisitInfo(
        id=record.id,
        exposure_time=number("exposure_time"),
        dark_time=number("dark_time"),
        begin="" if span is None else isot_from_ns(span.begin_ns),
        boresight_ra=number("tracking_ra"),
        boresight_dec=number("tracking_dec"),
        boresight_azimuth=number("azimuth"),
        boresight_altitude=90.0 - zenith_angle,
        boresight_rotation_angle=number("sky_angle"),
        airmass=1.0 / math.cos(math.radians(zenith_angle)) if zenith_angle < 80.0 else math.nan,
        instrument=record.instrument,
        object=known.get("target_name") or "",
        observation_type=known.get("observation_type") or "",
        observation_reason=known.get("observation_reason") or "",
        science_program=known.get("science_program") or "",
    )


def _detector(butler: Butler, data_id: DataId) -> Any:
    """Return the detector as the camera dataset describes it, None where there is no such dataset."""
    if "camera" not in butler.registry.catalog.dataset_types or "detector" not in data_id:
        return None
    ref = butler.find_dataset("camera", instrument=data_id["instrument"])
    if ref is None:
        return None
    camera = butler.cameras.get(ref.id)
    if camera is None:
        camera = butler.cameras[ref.id] = butler.get(ref)
    return camera[data_id["detector"]]


def _filter(registry: Registry, record: DimensionRecord) -> Any:
    from ..imaging.filter import Filter

    if record.physical_filter is None:
        return None
    key = {"instrument": record.instrument, "physical_filter": record.physical_filter}
    known = registry.dimension_records.fetch("physical_filter", key)
    return Filter(record.physical_filter, (known.band if known is not None else "") or "")
