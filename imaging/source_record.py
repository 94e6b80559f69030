"""One source of a catalog, and the measurements that a record and a whole catalog give under the same names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..model.lsst_names import LsstNames
from .describe import Described, Facts, Part
from .functor_keys import CovarianceKey, FunctorKey, QuadrupoleKey
from .schema import Field, Schema

if TYPE_CHECKING:
    from astropy.coordinates import Angle, SkyCoord
    from numpy.typing import NDArray

    from .catalog import SourceCatalog
    from .footprint import Footprint
    from .psf import Quadrupole
    from .wcs import Wcs

__all__ = ["SlotField", "SourceMeasurements", "SourceRecord"]


_SHOWN = 6
"""Columns that the `repr` of a record shows: the minimal schema, and two of its own."""


class SlotField:
    """An attribute that reads and writes one column of a slot, and the ``get_`` method beside it.

    Parameters
    ----------
    slot
        Slot, such as ``PsfFlux``; what it stands for is the alias ``slot_PsfFlux`` of the schema.
    column
        Which of its columns, such as ``instFlux``.
    """

    def __init__(self, slot: str, column: str) -> None:
        self.slot = slot
        self.column = f"slot_{slot}_{column}"

    def __set_name__(self, owner: type, name: str) -> None:
        def getter(measured: SourceMeasurements) -> Any:
            return getattr(measured, name)

        getter.__name__ = f"get_{name}"
        getter.__doc__ = f"Return the column ``{self.column}``; an undefined slot is a LookupError."
        setattr(owner, getter.__name__, getter)

    def __get__(self, measured: SourceMeasurements | None, owner: type) -> Any:
        if measured is None:
            return self
        self._check(measured)
        return measured[self.column]

    def __set__(self, measured: SourceMeasurements, value: Any) -> None:
        self._check(measured)
        measured[self.column] = value

    def _check(self, measured: SourceMeasurements) -> None:
        if f"slot_{self.slot}" not in measured.schema.aliases and self.column not in measured.schema:
            raise LookupError(
                f"The slot {self.slot} is not defined in this catalog; say which measurement it is with "
                f"catalog.schema.define_slot({self.slot!r}, 'base_…')."
            )


class SourceMeasurements(LsstNames):
    """What both a record and a catalog can say of sources; numbers of the one, columns of the other.

    Each slot attribute such as `psf_inst_flux` also has its ``get_`` method.
    """

    x = SlotField("Centroid", "x")
    y = SlotField("Centroid", "y")
    centroid_flag = SlotField("Centroid", "flag")
    ixx = SlotField("Shape", "xx")
    iyy = SlotField("Shape", "yy")
    ixy = SlotField("Shape", "xy")
    shape_flag = SlotField("Shape", "flag")
    psf_inst_flux = SlotField("PsfFlux", "instFlux")
    psf_inst_flux_err = SlotField("PsfFlux", "instFluxErr")
    psf_flux_flag = SlotField("PsfFlux", "flag")
    ap_inst_flux = SlotField("ApFlux", "instFlux")
    ap_inst_flux_err = SlotField("ApFlux", "instFluxErr")
    ap_flux_flag = SlotField("ApFlux", "flag")
    model_inst_flux = SlotField("ModelFlux", "instFlux")
    model_inst_flux_err = SlotField("ModelFlux", "instFluxErr")
    model_flux_flag = SlotField("ModelFlux", "flag")
    gaussian_inst_flux = SlotField("GaussianFlux", "instFlux")
    gaussian_inst_flux_err = SlotField("GaussianFlux", "instFluxErr")
    gaussian_flux_flag = SlotField("GaussianFlux", "flag")
    calib_inst_flux = SlotField("CalibFlux", "instFlux")
    calib_inst_flux_err = SlotField("CalibFlux", "instFluxErr")
    calib_flux_flag = SlotField("CalibFlux", "flag")

    if TYPE_CHECKING:

        @property
        def schema(self) -> Schema:
            """The columns."""
            ...

        def __getitem__(self, key: str | Field | FunctorKey) -> Any: ...
        def __setitem__(self, key: str | Field | FunctorKey, value: Any) -> None: ...

    @property
    def id(self) -> Any:
        """The ``id`` column."""
        return self["id"]

    @id.setter
    def id(self, value: Any) -> None:
        self["id"] = value

    @property
    def parent(self) -> Any:
        """The id of the source that this one was deblended from; 0 where it was none."""
        return self["parent"]

    @parent.setter
    def parent(self, value: Any) -> None:
        self["parent"] = value

    @property
    def ra(self) -> Angle:
        """Right ascension, ICRS."""
        return self._angle("coord_ra")

    @property
    def dec(self) -> Angle:
        """Declination, ICRS."""
        return self._angle("coord_dec")

    @property
    def coord(self) -> SkyCoord:
        """Positions on the sky, ICRS: of all rows of a catalog, or of the one record."""
        from astropy.coordinates import SkyCoord

        return SkyCoord(self.ra, self.dec, frame="icrs")

    @coord.setter
    def coord(self, value: SkyCoord) -> None:
        sky = value.icrs
        for column, angle in (("coord_ra", sky.ra), ("coord_dec", sky.dec)):
            self[column] = angle.to_value(self.schema[column].units or "rad")

    def get_coord(self) -> SkyCoord:
        """Return positions on the sky, as `coord`."""
        return self.coord

    @property
    def centroid(self) -> Any:
        """Positions in pixels by the slot Centroid: `Point2D` of a record, array of shape (n, 2) of a catalog."""
        if isinstance(self, SourceRecord):
            from .geometry import Point2D

            return Point2D(self.x, self.y)
        return np.stack([self.x, self.y], axis=-1)

    @property
    def centroid_err(self) -> NDArray[np.float64]:
        """Covariance of the centroid, of the slot's ``xErr``, ``yErr`` and ``x_y_Cov``: shape (2, 2), or (n, 2, 2)."""
        return np.asarray(self[CovarianceKey("slot_Centroid")])

    @property
    def shape_err(self) -> NDArray[np.float64]:
        """Covariance of the moments xx, yy and xy, by the slot Shape: shape (3, 3), or (n, 3, 3)."""
        return np.asarray(self[CovarianceKey("slot_Shape", ("xx", "yy", "xy"))])

    @property
    def shape(self) -> Quadrupole:
        """Second moments by the slot Shape."""
        return self._moments("Shape")

    @property
    def psf_shape(self) -> Quadrupole:
        """Second moments of the PSF by the slot PsfShape."""
        return self._moments("PsfShape")

    def _moments(self, slot: str) -> Quadrupole:
        made: Quadrupole = self[QuadrupoleKey(f"slot_{slot}")]
        return made

    def update_coord(self, wcs: Wcs) -> None:
        """Set the sky positions from the centroids.

        Parameters
        ----------
        wcs
            Sky of the image that was measured.
        """
        self.coord = wcs.pixel_to_sky(self.x, self.y)

    def _angle(self, column: str) -> Angle:
        from astropy.coordinates import Angle

        return Angle(self[column], unit=self.schema[column].units or "rad")


class SourceRecord(Described, SourceMeasurements):
    """A row of a catalog. It holds no values itself: what is set here is set in the catalog.

    Parameters
    ----------
    catalog
        Where the values are.
    row
        Which row, from 0.
    """

    __slots__ = ("_catalog", "_row")

    def __init__(self, catalog: SourceCatalog, row: int) -> None:
        self._catalog = catalog
        self._row = row

    @property
    def schema(self) -> Schema:
        """The columns of the catalog."""
        return self._catalog.schema

    @property
    def row(self) -> int:
        """Which row of its catalog this is, from 0."""
        return self._row

    @property
    def footprint(self) -> Footprint | None:
        """The pixels of the source; None where it has none."""
        return self._catalog.get_footprint(self._row)

    @footprint.setter
    def footprint(self, given: Footprint | None) -> None:
        self._catalog.set_footprint(self._row, given)

    def __getitem__(self, key: str | Field | FunctorKey) -> Any:
        if isinstance(key, FunctorKey):
            return key.pack(key.values_of(self))
        value = self._catalog[key][self._row]
        # numpy's times would become bare integers, and rows of array columns shall stay views
        return value.item() if isinstance(value, np.generic) and value.dtype.kind not in "mM" else value

    def __setitem__(self, key: str | Field | FunctorKey, value: Any) -> None:
        if isinstance(key, FunctorKey):
            for name, part in zip(key.names, key.unpack(value), strict=True):
                self[name] = part
            return
        self._catalog.set_value(self._row, key, value)

    def get(self, key: str | Field | FunctorKey) -> Any:
        """Return one value, as ``record[key]``."""
        return self[key]

    def set(self, key: str | Field | FunctorKey, value: Any) -> None:
        """Set one value, as ``record[key] = value``."""
        self[key] = value

    def extract(self, *patterns: str) -> dict[str, Any]:
        """Return the values of the columns whose names match some patterns, such as ``"base_Psf*"``, by name."""
        return {name: self[name] for name in self.schema.extract(*(patterns or ("*",)))}

    def assign(self, values: SourceRecord | Mapping[str, Any]) -> None:
        """Set every value that another record, or a mapping, has for the columns of this one; footprints, too."""
        if isinstance(values, SourceRecord):
            self.footprint = values.footprint
        given = values.extract("*") if isinstance(values, SourceRecord) else values
        for name, value in given.items():
            self[name] = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SourceRecord) and self._catalog is other._catalog and self._row == other._row

    def __hash__(self) -> int:
        return hash((id(self._catalog), self._row))

    def _state(self) -> Iterable[str]:
        yield f"row {self._row} of {len(self._catalog)}"
        for name, value in list(self.extract("*").items())[:_SHOWN]:
            yield f"{name}={value!r}"
        if len(self.schema) > _SHOWN:
            yield f"… {len(self.schema) - _SHOWN} more columns"

    def _parts(self) -> Iterable[Part]:
        return (Facts({field.name: f"{field.shown(self[field])} {field.units}".rstrip() for field in self.schema}),)
