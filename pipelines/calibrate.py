"""CalibrateTask: from a characterized frame to a calibrated exposure and its catalog of sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..imaging.catalog import SourceCatalog
from ..model.errors import TaskError
from ..tasks import (
    Config,
    Field,
    Input,
    Output,
    PipelineTask,
    PipelineTaskConfig,
    Struct,
    TaskConnections,
    time_method,
)
from .background import surface
from .crowded_field import CrowdedFieldSettings, FieldFit, fit_field, fit_radius
from .measurement import Columns, aperture_fluxes, clean_stamps, extendedness, pixel_flags, shapes
from .planes import Planes
from .psf_stamps import PsfSampler
from .source_ids import source_ids
from .source_schema import PIXEL_FLAGS, source_schema
from .summary import summarize
from .zero_point import ZeroPointConfig, photo_calib_from_header

if TYPE_CHECKING:
    from ..imaging.exposure import Exposure
    from ..tasks.quantum_context import InputRefs, OutputRefs, QuantumContext

_VISIT = ("instrument", "visit", "detector")


class CalibrateConnections(TaskConnections, dimensions=_VISIT):
    """A characterized frame."""

    characterized = Input("icExp", storage_class="Exposure", dimensions=_VISIT, doc="Frame with a PSF.")
    exposure = Output("calexp", storage_class="Exposure", dimensions=_VISIT, doc="Calibrated exposure.")
    background = Output(
        "calexpBackground", storage_class="Background", dimensions=_VISIT, doc="What was subtracted from calexp."
    )
    sources = Output("src", storage_class="SourceCatalog", dimensions=_VISIT, doc="Sources measured on calexp.")


class CalibrateConfig(PipelineTaskConfig):
    """How sources are found and measured."""

    detection_threshold: float = Field(5.0, gt=0, description="Significance of a source, in detection and flux.")
    fit_radius: float = Field(1.6, gt=0.5, description="Half-size of the squares that are fitted, in FWHM.")
    fit_rounds: int = Field(2, ge=0, description="Rounds of position fits after each detection.")
    residual_passes: int = Field(1, ge=0, description="How often the residual is searched for hidden neighbours.")
    deblend_contrast: float = Field(1e-4, gt=0, le=1, description="Smallest share of a blend that is a source.")
    background_bin_size: int = Field(64, ge=16, description="Side of the squares in which the sky is taken (pixel).")
    background_cell_size: int = Field(32, ge=4, description="Side of the cells in which it is kept (pixel).")
    aperture_radii: list[float] = Field([3.0, 4.5, 6.0, 9.0, 12.0], description="Radii of apertures (pixel).")
    extended_excess: float = Field(0.05, gt=0, description="Share by which an extended source exceeds its PSF flux.")
    zero_point: ZeroPointConfig = Field(
        default_factory=lambda: ZeroPointConfig(), description="Where the photometric zero point comes from."
    )

    def settings(self) -> CrowdedFieldSettings:
        """Return what the fit of the field takes."""
        return CrowdedFieldSettings(
            threshold=self.detection_threshold,
            fit_radius=self.fit_radius,
            rounds=self.fit_rounds,
            residual_passes=self.residual_passes,
            background_size=self.background_bin_size,
            cell_size=self.background_cell_size,
            deblend_contrast=self.deblend_contrast,
        )


class CalibrateTask(PipelineTask):
    """Find, deblend and measure sources; take the background off; calibrate fluxes by the header's zero point.

    Parameters
    ----------
    config, name, parent_task, log
        As of `Task`.
    """

    ConfigClass: ClassVar[type[Config]] = CalibrateConfig
    Connections: ClassVar[type[TaskConnections]] = CalibrateConnections
    default_name: ClassVar[str] = "calibrate"

    def run_quantum(self, quantum_context: QuantumContext, inputs: InputRefs, outputs: OutputRefs) -> None:
        """Read the frame, run with the numbers of its visit and detector, and write."""
        data_id = quantum_context.data_id
        arguments: dict[str, Any] = quantum_context.get(inputs)
        result = self.run(**arguments, visit=int(data_id["visit"]), detector=int(data_id["detector"]))
        quantum_context.put(result, outputs)

    @time_method
    def run(self, characterized: Exposure, *, visit: int | None = None, detector: int | None = None) -> Struct:
        """Calibrate one frame, which is not changed.

        Parameters
        ----------
        characterized
            What `CharacterizeImageTask` made; with a PSF.
        visit, detector
            Numbers for the ids of sources; those of visit_info and detector, else 0, by default.

        Returns
        -------
        Struct
            ``exposure`` (background subtracted, with summary_stats), ``background``, ``sources``.

        Raises
        ------
        TaskError
            The exposure has no PSF.
        """
        if characterized.psf is None:
            raise TaskError("calibrate needs an exposure with a PSF: run characterize first")
        exposure = characterized.clone()
        masked_image = exposure.masked_image
        if exposure.background is not None:
            masked_image.image.array[...] += exposure.background.image().array
        planes = Planes.of(masked_image)
        half = max(exposure.psf.dimensions.x, exposure.psf.dimensions.y) // 2
        sampler = PsfSampler.from_psf(exposure.psf, masked_image.bbox, half)
        fwhm = exposure.psf.compute_shape(exposure.psf.average_position).fwhm
        field = fit_field(
            planes.image, planes.variance, masked_image.bbox, planes.no_data, planes.good, sampler, fwhm,
            self.config.settings(),
        )
        masked_image.image.array[...] -= field.background.image().array
        mask = masked_image.mask
        mask.clear_mask_plane("DETECTED")
        mask.array[field.detected] |= mask.plane_bit_mask("DETECTED")
        exposure.background = field.background
        exposure.photo_calib = photo_calib_from_header(exposure, self.config.zero_point)
        exposure.summary_stats = summarize(exposure, field, sampler, planes.good)
        for name, value in exposure.summary_stats.items():
            self.metadata[name] = value
        self.metadata["passes"] = field.passes
        number = visit if visit is not None else exposure.visit_info.id if exposure.visit_info is not None else 0
        chip = detector if detector is not None else exposure.detector.id if exposure.detector is not None else 0
        sources = self._catalog(exposure, field, planes, sampler, fwhm, source_ids(number, chip, len(field.fit.x)))
        self.log.info(
            "%d sources, seeing %.2f pixels, zero point %.2f", len(sources), fwhm, exposure.summary_stats["zero_point"]
        )
        return Struct(exposure=exposure, background=field.background, sources=sources)

    def _catalog(
        self,
        exposure: Exposure,
        field: FieldFit,
        planes: Planes,
        sampler: PsfSampler,
        fwhm: float,
        ids: np.ndarray[Any, np.dtype[np.int64]],
    ) -> SourceCatalog:
        fit = field.fit
        radii = list(self.config.aperture_radii)
        half = max(int(np.ceil(max(radii))) + 1, round(2.5 * fwhm))
        stamps = clean_stamps(
            field.residual, field.noise, planes.good, sampler, fit.x, fit.y, fit.flux, half=half
        )
        box = exposure.masked_image.bbox
        x, y = fit.x + box.min_x, fit.y + box.min_y
        correction = np.ones(len(x))
        if exposure.ap_corr is not None and "psf_flux" in exposure.ap_corr:
            correction = np.asarray(exposure.ap_corr["psf_flux"].evaluate(x, y), dtype=np.float64)
        columns: Columns = {"id": ids, "x": x, "y": y, "x_err": fit.x_err, "y_err": fit.y_err}
        columns["psf_flux"], columns["psf_flux_err"] = fit.flux * correction, fit.flux_err * correction
        columns |= aperture_fluxes(stamps, radii)
        columns |= shapes(stamps, fwhm)
        columns["gaussian_flux"] = columns["gaussian_flux"] * correction
        columns["gaussian_flux_err"] = columns["gaussian_flux_err"] * correction
        columns["extendedness"] = extendedness(
            columns["psf_flux"],
            columns["gaussian_flux"],
            columns["gaussian_flux_err"],
            excess=self.config.extended_excess,
        )
        columns["signal_to_noise"] = fit.flux / fit.flux_err
        level = surface(field.background)
        rows = np.clip(np.rint(fit.y).astype(int), 0, box.height - 1)
        pixels = np.clip(np.rint(fit.x).astype(int), 0, box.width - 1)
        columns["local_background"] = level[rows, pixels]
        columns["footprint_area"] = field.area.astype(np.int32)
        columns["centroid_flag"] = ~fit.moved
        columns["psf_flux_flag"] = ~np.isfinite(fit.flux)
        mask = exposure.masked_image.mask
        bits = {name: mask.plane_bit_mask(plane) for name, (plane, _) in PIXEL_FLAGS.items()}
        columns |= pixel_flags(mask.array, bits, fit.x, fit.y, fit_radius(fwhm, self.config.settings()))
        if exposure.photo_calib is not None:
            columns |= _calibrated(exposure, columns)
        schema = source_schema(radii, _unit(exposure), calibrated=exposure.photo_calib is not None)
        catalog = SourceCatalog(schema, columns)
        if exposure.wcs is not None and len(catalog):
            sky = exposure.wcs.pixel_to_sky(x, y)
            catalog["coord_ra"], catalog["coord_dec"] = sky.icrs.ra.rad, sky.icrs.dec.rad
        return catalog


def _unit(exposure: Exposure) -> str:
    unit = exposure.metadata.get("BUNIT", "") if exposure.metadata is not None else ""
    return str(unit) or "count"


def _calibrated(exposure: Exposure, columns: Columns) -> Columns:
    """Fluxes in nJy and AB magnitudes; a flux that is not positive has no magnitude."""
    per_count = exposure.photo_calib.local_calibration((columns["x"], columns["y"]))
    flux, error = columns["psf_flux"] * per_count, columns["psf_flux_err"] * per_count
    with np.errstate(invalid="ignore", divide="ignore"):
        magnitude = -2.5 * np.log10(flux * 1e-9 / 3631.0)
        magnitude_error = 2.5 / np.log(10.0) * error / flux
    known = flux > 0
    return {
        "psf_flux_njy": flux,
        "psf_flux_njy_err": error,
        "psf_mag": np.where(known, magnitude, np.nan),
        "psf_mag_err": np.where(known, magnitude_error, np.nan),
    }
