"""Footprints of a catalog's rows as one column of an Arrow table, and back.

Each is a struct: ``spans``, a list of runs (y, x0, x1, which is inside); ``peaks``, a list of (id, x, y, value); and
``pixels``, of those that keep the values of their pixels lists ``image``, ``mask`` and ``variance``, else null. A row
without a footprint has null. The bits of all masks are of one schema: LSST's default planes, or those that the column's
metadata names.
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ..model.errors import FileFormatError
from .arrow_columns import OWN
from .footprint import Footprint, HeavyFootprint, Peak, common_mask_schema
from .mask_schema import MaskSchema
from .spans import Spans

__all__ = ["from_arrow_column", "is_footprint_column", "to_arrow_column"]

_VERSION = 1
_LINES = {"image": np.float32, "mask": np.int32, "variance": np.float32}
"""What is kept of pixels, and of which type where there is none to tell."""


def is_footprint_column(field: pa.Field) -> bool:
    """Tell whether a column of an Arrow table holds footprints."""
    return "footprints" in _said(field) and pa.types.is_struct(field.type)


def _said(field: pa.Field) -> dict[str, Any]:
    """Return what a column's metadata says of it."""
    try:
        said = json.loads((field.metadata or {}).get(OWN) or b"{}")
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def to_arrow_column(footprints: Sequence[Footprint | None], name: str) -> tuple[pa.Field, pa.Array]:
    """Return footprints as a column.

    Parameters
    ----------
    footprints
        Of each row, or None.
    name
        Of the column.
    """
    runs = [np.zeros((3, 0), np.int64) if one is None else one.spans.runs for one in footprints]
    y, x0, x1 = (pa.array(line, pa.int32()) for line in np.concatenate([np.zeros((3, 0), np.int64), *runs], axis=1))
    spans = pa.StructArray.from_arrays([y, x0, x1], names=["y", "x0", "x1"])
    parts = {"spans": pa.ListArray.from_arrays(_offsets([one.shape[1] for one in runs]), spans)}
    peaks = [() if one is None else one.peaks for one in footprints]
    every = [peak for some in peaks for peak in some]
    columns = [
        pa.array([peak.id for peak in every], pa.int64()),
        pa.array([peak.x for peak in every], pa.int32()),
        pa.array([peak.y for peak in every], pa.int32()),
        pa.array([peak.value for peak in every], pa.float64()),
    ]
    found = pa.StructArray.from_arrays(columns, names=["id", "x", "y", "value"])
    parts["peaks"] = pa.ListArray.from_arrays(_offsets([len(some) for some in peaks]), found)
    schema = common_mask_schema(footprints)
    parts["pixels"] = _pixels([one if isinstance(one, HeavyFootprint) else None for one in footprints], schema)
    mark: dict[str, Any] = {"footprints": _VERSION}
    if schema != MaskSchema.default():
        mark["planes"] = schema.plane_dict
    missing = np.array([one is None for one in footprints], bool)
    column = pa.StructArray.from_arrays(list(parts.values()), names=list(parts), mask=pa.array(missing))
    return pa.field(name, column.type, metadata={OWN: json.dumps(mark).encode()}), column


def _pixels(heavy: list[HeavyFootprint | None], schema: MaskSchema) -> pa.StructArray:
    """Return the values of those pixels that are kept, their masks as a schema has them."""
    lists = []
    for name, kind in _LINES.items():
        lines = [getattr(one, name) for one in heavy if one is not None]
        if name == "mask":
            lines = [one.mask_in(schema, one.mask.dtype) for one in heavy if one is not None]
        values = np.concatenate(lines) if lines else np.zeros(0, kind)
        sizes = [0 if one is None else one.area for one in heavy]
        lists.append(pa.ListArray.from_arrays(_offsets(sizes), pa.array(values)))
    missing = np.array([one is None for one in heavy], bool)
    return pa.StructArray.from_arrays(lists, names=list(_LINES), mask=pa.array(missing))


def _offsets(sizes: list[int]) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(np.array(sizes, np.int64))]), pa.int32())


def from_arrow_column(column: pa.ChunkedArray, field: pa.Field) -> list[Footprint | None]:
    """Return the footprints of a column that `to_arrow_column` made.

    Parameters
    ----------
    column, field
        What it gave, as a table has it.

    Raises
    ------
    FileFormatError
        If it is another one.
    """
    whole = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    try:
        planes = _said(field).get("planes")
        schema = None if planes is None else MaskSchema.from_dict(planes)
        present = np.flatnonzero(whole.is_valid())
        whole = whole.take(pa.array(present))
        found = dict(zip((field.name for field in whole.type), whole.flatten(), strict=True))
        runs, bounds = _lists(found["spans"], ("y", "x0", "x1"))
        spans = Spans.each_of(np.stack(runs).astype(np.int64).reshape(3, -1), bounds)
        values, ends = _lists(found["peaks"], ("x", "y", "value", "id"))
        peaks = [Peak(*peak) for peak in zip(*(one.tolist() for one in values), strict=True)]
        made: list[Footprint] = [
            Footprint(one, peaks[first:last]) for one, first, last in zip(spans, ends, ends[1:], strict=False)
        ]
        lines = [_field(found["pixels"], name).to_numpy(False) for name in _LINES]
        for row in np.flatnonzero(found["pixels"].is_valid()).tolist():
            made[row] = HeavyFootprint(made[row], *(np.asarray(line[row]) for line in lines), mask_schema=schema)
    except (KeyError, ValueError, TypeError, IndexError, AttributeError, pa.ArrowException) as error:
        raise FileFormatError(f"the column of footprints is none that SkyButler writes: {error!r}") from error
    footprints: list[Footprint | None] = [None] * len(column)
    for place, one in zip(present.tolist(), made, strict=True):
        footprints[place] = one
    return footprints


def _field(array: pa.StructArray, name: str) -> pa.Array:
    """Return a part of a struct, null where the struct is."""
    return array.flatten()[array.type.get_field_index(name)]


def _lists(array: pa.ListArray, names: tuple[str, ...]) -> tuple[list[Any], Any]:
    """Return the parts of the elements of all lists, and where those of each begin and those of the last end."""
    sizes = np.asarray(array.value_lengths().to_numpy(False), np.int64)
    elements = array.flatten()
    return [_field(elements, name).to_numpy(False) for name in names], np.concatenate([[0], np.cumsum(sizes)])
