"""Defects of a detector as a table in ECSV: text that people and astropy read."""

from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...imaging import Box2I, Defects, Extent2I, Point2I
from ...model.errors import FileFormatError, StorageClassError
from .formatter import ByteSink, Formatter, check_parameters, no_component

if TYPE_CHECKING:
    from ...model.storage_class import StorageClass

__all__ = ["DefectsFormatter"]

_COLUMNS = ("x0", "y0", "width", "height")
_PROVENANCE = "skybutler"


class DefectsFormatter(Formatter):
    """Writes boxes as rows of ``x0``, ``y0``, ``width`` and ``height`` in pixels, as LSST's lists have them."""

    name = "defects"
    suffix = ".ecsv"

    def write(self, obj: Defects, sink: ByteSink, storage_class: "StorageClass", provenance: Mapping[str, Any]) -> None:
        """Write the defects."""
        from astropy.table import Table

        rows = [(box.min_x, box.min_y, box.width, box.height) for box in obj]
        table = Table(rows=rows or None, names=_COLUMNS, dtype=[int] * 4, units=["pix"] * 4, meta=dict(obj.metadata))
        if provenance:
            table.meta[_PROVENANCE] = dict(provenance)
        text = StringIO()
        try:
            table.write(text, format="ascii.ecsv")
        except (TypeError, ValueError) as error:
            raise StorageClassError(f"the metadata of these Defects cannot be kept as ECSV: {error}") from error
        sink.write(text.getvalue().encode())

    def read(
        self, path: Path, storage_class: "StorageClass", component: str | None, parameters: Mapping[str, Any]
    ) -> Any:
        """Read the defects, or the table of them."""
        from astropy.io.ascii import InconsistentTableError
        from astropy.table import Table

        from ..tables import from_arrow, to_arrow

        check_parameters(parameters, (), storage_class)
        if component is not None:
            raise no_component(component, (), storage_class)
        try:
            table = Table.read(path, format="ascii.ecsv")
            numbers = [[int(value) for value in table[name]] for name in _COLUMNS]
        except (InconsistentTableError, ValueError, TypeError, KeyError, OSError) as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise FileFormatError(f"{path} is no list of defects: {error}") from error
        table.meta.pop(_PROVENANCE, None)
        if storage_class.tabular:
            return from_arrow(to_arrow(table), storage_class.name)
        boxes = [Box2I(Point2I(x, y), Extent2I(width, height)) for x, y, width, height in zip(*numbers, strict=True)]
        return Defects(boxes, table.meta)
