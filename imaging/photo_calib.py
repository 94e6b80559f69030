"""How counts become physical fluxes: nanojanskys and AB magnitudes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from ..model.lsst_names import LsstNames
from .blocks import strips
from .chebyshev import ChebyshevField
from .geometry import Point2D
from .image import Image
from .source_record import SourceMeasurements, SourceRecord

if TYPE_CHECKING:
    from astropy.units import Quantity

    from .catalog import SourceCatalog
    from .masked_image import MaskedImage

__all__ = ["AB_ZERO_NANOJANSKY", "Measurement", "PhotoCalib"]

AB_ZERO_NANOJANSKY = 10.0 ** (48.6 / -2.5) * 1e23 * 1e9
"""Flux of AB magnitude 0, nJy: 3630780547701.0 (Oke & Gunn 1983: m = -2.5 lg f[erg/s/cm²/Hz] - 48.6)."""

_MAGNITUDES_PER_RELATIVE_ERROR = 2.5 / math.log(10.0)

Position: TypeAlias = Point2D | tuple[ArrayLike, ArrayLike]
"""Where something was measured, ``(x, y)``, parent pixels; numbers or arrays."""


class Measurement(NamedTuple):
    """A flux or a magnitude, or an array of them, with its error."""

    value: Any
    """What was measured."""
    error: Any
    """Its standard deviation."""


class PhotoCalib(LsstNames):
    """Nanojanskys per count, constant or varying over the image.

    Parameters
    ----------
    mean
        nJy per count; with a field, the field's mean.
    err
        Standard deviation of `mean`. It is common to all sources of the image, and therefore not in the errors of
        single fluxes unless asked for.
    field
        nJy per count by position.

    Raises
    ------
    ValueError
        If the mean or its error is negative or not finite.
    """

    VERSION: ClassVar[int] = 1

    def __init__(self, mean: float, err: float = 0.0, field: ChebyshevField | None = None) -> None:
        given: object = mean
        if isinstance(given, ChebyshevField):
            raise TypeError("PhotoCalib takes nJy per count; PhotoCalib.from_field(field, err) makes a varying one.")
        if not (math.isfinite(mean) and mean >= 0 and math.isfinite(err) and err >= 0):
            raise ValueError(f"A calibration and its error are finite and not negative, not {mean} ± {err}.")
        self.calibration_mean = float(mean)
        self.calibration_err = float(err)
        self.field = field

    @classmethod
    def from_zero_point(cls, zero_point: float, err: float = 0.0) -> Self:
        """Make a constant calibration of an AB zero point: the magnitude of one count, and its error."""
        mean = AB_ZERO_NANOJANSKY * 10.0 ** (zero_point / -2.5)  # -0.4 is no float, and would cost digits
        return cls(mean, mean * err / _MAGNITUDES_PER_RELATIVE_ERROR)

    @classmethod
    def from_inst_flux_at_zero_magnitude(cls, inst_flux: float, err: float = 0.0) -> Self:
        """Make a constant calibration of the counts of a source of magnitude 0 (``FLUXMAG0``), and their error."""
        if not inst_flux > 0:
            raise ValueError(f"A source of magnitude 0 has more than 0 counts, not {inst_flux}.")
        return cls(AB_ZERO_NANOJANSKY / inst_flux, AB_ZERO_NANOJANSKY * err / inst_flux**2)

    @classmethod
    def from_field(cls, field: ChebyshevField, err: float = 0.0) -> Self:
        """Make a varying calibration, in nJy per count, whose mean is the field's."""
        return cls(field.mean(), err, field)

    @property
    def is_constant(self) -> bool:
        """Whether it is the same all over the image."""
        return self.field is None

    @property
    def inst_flux_at_zero_magnitude(self) -> float:
        """Counts of a source of AB magnitude 0; infinite where a count is worth nothing."""
        return AB_ZERO_NANOJANSKY / self.calibration_mean if self.calibration_mean else math.inf

    @property
    def zero_point(self) -> float:
        """AB magnitude of one count."""
        return 2.5 * math.log10(self.inst_flux_at_zero_magnitude)

    def local_calibration(self, point: Position | None = None) -> Any:
        """Return nJy per count at a position ``(x, y)``, numbers or arrays; the mean without one."""
        if self.field is None or point is None:
            return self.calibration_mean
        x, y = point
        return self.field.evaluate(x, y)  # type: ignore[arg-type]

    def compute_scaled_calibration(self) -> ChebyshevField:
        """Return how a varying calibration varies: the field over its mean; ValueError for a constant one."""
        if self.field is None:
            raise ValueError("The calibration is the same all over the image; only a varying one has a field.")
        return self.field * (1.0 / self.calibration_mean)

    def inst_flux_to_nanojansky(
        self,
        inst_flux: ArrayLike | SourceMeasurements,
        inst_flux_err: ArrayLike | Point2D | str | None = None,
        point: Position | None = None,
        *,
        with_calibration_error: bool = False,
    ) -> Any:
        """Return fluxes in nJy, or fluxes and errors, a `Measurement`, where errors are given.

        Parameters
        ----------
        inst_flux, inst_flux_err
            Counts and their standard deviation. As in LSST, a `Point2D` for the second is the point; and a catalog (or
            record) and a prefix ``p`` are for its ``p_instFlux`` and ``p_instFluxErr`` at its centroids; that gives a
            `Measurement` of a record, and of a catalog fluxes and errors as an array of shape (n, 2).
        point
            Where they were measured, ``(x, y)``; the mean calibration without it.
        with_calibration_error
            Whether errors also hold that of the calibration, added in quadrature.
        """
        counts, err, point = self._measured(inst_flux, inst_flux_err, point)
        flux, flux_err = self._flux(counts, err, point, with_calibration_error)
        return _answer(inst_flux, flux, flux_err)

    def inst_flux_to_magnitude(
        self,
        inst_flux: ArrayLike | SourceMeasurements,
        inst_flux_err: ArrayLike | Point2D | str | None = None,
        point: Position | None = None,
        *,
        with_calibration_error: bool = False,
    ) -> Any:
        """Return AB magnitudes, or magnitudes and errors; NaN for negative fluxes, infinity for none.

        The error is ``2.5 / ln 10 · err / |flux|``; parameters as `inst_flux_to_nanojansky`.
        """
        counts, err, point = self._measured(inst_flux, inst_flux_err, point)
        flux, flux_err = self._flux(counts, err, point, with_calibration_error)
        with np.errstate(divide="ignore", invalid="ignore"):
            magnitude = -2.5 * np.log10(flux / AB_ZERO_NANOJANSKY)
            if flux_err is not None:
                flux_err = _MAGNITUDES_PER_RELATIVE_ERROR * np.divide(flux_err, np.abs(flux))
        return _answer(inst_flux, magnitude, flux_err)

    def nanojansky_to_inst_flux(self, flux: ArrayLike, point: Position | None = None) -> Any:
        """Return the counts of fluxes in nJy."""
        return _plain(np.asarray(flux, dtype=np.float64) / self.local_calibration(point))

    def magnitude_to_inst_flux(self, magnitude: ArrayLike, point: Position | None = None) -> Any:
        """Return the counts of AB magnitudes."""
        flux = AB_ZERO_NANOJANSKY * 10.0 ** (np.asarray(magnitude, dtype=np.float64) / -2.5)
        return self.nanojansky_to_inst_flux(flux, point)

    def inst_flux_to_magnitude_array(self, inst_fluxes: ArrayLike, x: ArrayLike, y: ArrayLike) -> Quantity:
        """Return AB magnitudes measured at parent pixels, with their unit, as LSST's method of this name does."""
        from astropy.units import ABmag

        return self.inst_flux_to_magnitude(inst_fluxes, point=(x, y)) * ABmag

    def magnitude_to_inst_flux_array(self, magnitudes: ArrayLike, x: ArrayLike, y: ArrayLike) -> Any:
        """Return the counts, at parent pixels, of AB magnitudes with or without their unit."""
        return self.magnitude_to_inst_flux(getattr(magnitudes, "value", magnitudes), (x, y))

    def _measured(self, inst_flux: Any, inst_flux_err: Any, point: Position | None) -> tuple[Any, Any, Position | None]:
        """Return counts, their errors and where they were measured, of what a conversion was given."""
        if isinstance(inst_flux, SourceMeasurements):
            if not isinstance(inst_flux_err, str):
                raise TypeError("Of a catalog, say which fluxes: the prefix of its columns, such as 'base_PsfFlux'.")
            if point is None and self.field is not None:
                point = (inst_flux.x, inst_flux.y)
            return inst_flux[f"{inst_flux_err}_instFlux"], inst_flux[f"{inst_flux_err}_instFluxErr"], point
        if isinstance(inst_flux_err, Point2D):
            if point is not None:
                raise TypeError(f"The errors of counts are numbers, not {inst_flux_err!r}.")
            return inst_flux, None, inst_flux_err
        return inst_flux, inst_flux_err, point

    def _flux(self, counts: Any, err: Any, point: Position | None, with_calibration_error: bool) -> tuple[Any, Any]:
        """Return fluxes in nJy and their errors; None without errors."""
        scale, counts = self.local_calibration(point), np.asarray(counts, dtype=np.float64)
        if err is not None:
            err = np.asarray(err, dtype=np.float64) * scale
            if with_calibration_error:
                err = np.hypot(err, counts * self.calibration_err)
        return counts * scale, err

    def calibrate_image(self, masked_image: MaskedImage) -> MaskedImage:
        """Return an image in nJy: pixels times the local calibration, variance times its square, the same mask."""
        made = _floating_copy(masked_image)
        for part, scale in self._scales(made):
            part *= scale
        return made

    def uncalibrate_image(self, masked_image: MaskedImage) -> MaskedImage:
        """Return an image in counts, undoing `calibrate_image`."""
        made = _floating_copy(masked_image)
        for part, scale in self._scales(made):
            part /= scale
        return made

    def calibrate_catalog(self, catalog: SourceCatalog, prefixes: Iterable[str] | None = None) -> SourceCatalog:
        """Return a catalog that also has fluxes and magnitudes.

        For each prefix ``p`` with a column ``p_instFlux``, columns ``p_flux`` (nJy) and ``p_mag`` (AB) are added, and
        ``p_fluxErr`` and ``p_magErr`` where there is ``p_instFluxErr``; columns of these names are replaced. A varying
        calibration is taken at the slot Centroid.

        Parameters
        ----------
        catalog
            What was measured; its columns are shared with the result.
        prefixes
            All that have such a column by default.
        """
        if prefixes is None:
            prefixes = [name.removesuffix("_instFlux") for name in catalog.schema.names if name.endswith("_instFlux")]
        point = None if self.field is None else (catalog.x, catalog.y)
        schema, columns = catalog.schema.copy(), dict(catalog.columns)
        for prefix in prefixes:
            counts = catalog[f"{prefix}_instFlux"]
            has_err = f"{prefix}_instFluxErr" in catalog.schema
            errors = catalog[f"{prefix}_instFluxErr"] if has_err else np.full(len(catalog), np.nan)
            flux, flux_err = self.inst_flux_to_nanojansky(counts, errors, point)
            magnitude, magnitude_err = self.inst_flux_to_magnitude(counts, errors, point)
            made = [("flux", flux, "flux", "nJy"), ("mag", magnitude, "AB magnitude", "mag")]
            if has_err:
                made += [("fluxErr", flux_err, "error of the flux", "nJy")]
                made += [("magErr", magnitude_err, "error of the magnitude", "mag")]
            for suffix, values, doc, units in made:
                columns[schema.add_field(f"{prefix}_{suffix}", "D", doc, units, do_replace=True).name] = values
        return type(catalog)(schema, columns, metadata=catalog.metadata, footprints=catalog.footprints)

    def to_dict(self) -> dict[str, Any]:
        """Return mean, error and field as plain values and arrays."""
        field = None if self.field is None else self.field.to_dict()
        return {"mean": self.calibration_mean, "err": self.calibration_err, "field": field}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Make a calibration of what `to_dict` gave."""
        field = content.get("field")
        return cls(content["mean"], content["err"], None if field is None else ChebyshevField.from_dict(field))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PhotoCalib):
            return NotImplemented
        return (self.calibration_mean, self.calibration_err, self.field) == (
            other.calibration_mean,
            other.calibration_err,
            other.field,
        )

    def __hash__(self) -> int:
        return hash((self.calibration_mean, self.calibration_err, self.field))

    def __repr__(self) -> str:
        zero_point = f"{self.zero_point:.4f} mag" if self.calibration_mean else "none"
        varying = "" if self.field is None else ", varying"
        mean = f"{self.calibration_mean:.6g} ± {self.calibration_err:.3g} nJy/count"
        return f"PhotoCalib({mean}, zero point {zero_point}{varying})"

    def _scales(self, masked_image: MaskedImage) -> Iterator[tuple[MaskedImage, float | Image]]:
        """Yield parts of an image, and nJy per count at their pixels."""
        if self.field is None:
            yield masked_image, self.calibration_mean
            return
        for strip in strips(masked_image.bbox):
            yield masked_image[strip], Image(self.field.array(strip), strip.min)


def _floating_copy(masked_image: MaskedImage) -> MaskedImage:
    floating = np.issubdtype(masked_image.dtype, np.floating)
    return masked_image.clone() if floating else masked_image.astype("float32")


def _answer(given: Any, values: Any, errors: Any) -> Any:
    """Return values, with errors where there are any: as LSST does, in an array where a catalog was given."""
    if errors is None:
        return _plain(values)
    if isinstance(given, SourceMeasurements) and not isinstance(given, SourceRecord):
        return np.stack([values, errors], axis=1)
    return Measurement(_plain(values), _plain(errors))


def _plain(values: Any) -> Any:
    """Return an array without axes as a number."""
    return float(values) if np.ndim(values) == 0 else values
