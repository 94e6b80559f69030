"""CalibrateTask: from a characterized frame to a calibrated exposure and its catalog of sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..imaging.catalog import SourceCatalog
from ..model.errors import ConfigError, TaskError
from ..tasks import (
    Config,
    Field,
    Input,
    Output,
    PipelineTask,
    PipelineTaskConfig,
    PrerequisiteInput,
    Struct,
    TaskConnections,
    time_method,
)
from .aperture_correction import measure_aperture_correction
from .background import surface
from .crowded_field import CrowdedFieldSettings, FieldFit, fit_field, fit_radius
from .measurement import Columns, aperture_fluxes, clean_stamps, extendedness, pixel_flags, shapes
from .planes import Planes
from .psf_stamps import PsfSampler
from .source_ids import source_ids
from .source_schema import PIXEL_FLAGS, aperture_name, source_schema
from .summary import summarize
from .zero_point import ZeroPointConfig, photo_calib_from_header

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..imaging.ap_corr import ApCorrMap
    from ..imaging.exposure import Exposure
    from ..imaging.photo_calib import PhotoCalib
    from ..tasks.quantum_context import InputRefs, OutputRefs, QuantumContext

_VISIT = ("instrument", "visit", "detector")


class CalibrateConnections(TaskConnections, dimensions=_VISIT):
    """A characterized frame, and what its camera's header cards mean."""

    characterized = Input("icExp", storage_class="Exposure", dimensions=_VISIT, doc="Frame with a PSF.")
    camera_description = PrerequisiteInput(
        "camera_description",
        storage_class="Dict",
        dimensions=("instrument",),
        minimum=0,
        doc="Where the header keeps the zero point.",
    )
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
    aperture_radii: tuple[float, ...] = Field((3.0, 4.5, 6.0, 9.0, 12.0), description="Radii of apertures (pixel).")
    do_ap_corr: bool = Field(True, description="Scale PSF fluxes to those in a large aperture?")
    ap_corr_radius: float = Field(12.0, gt=0, description="Radius of that aperture (pixel).")
    ap_corr_min_fwhm: float = Field(2.5, ge=0, description="It is no smaller than so many FWHM.")
    extended_excess: float = Field(0.05, gt=0, description="Share by which an extended source exceeds its PSF flux.")
    zero_point: ZeroPointConfig = Field(
        default_factory=ZeroPointConfig, description="Where the photometric zero point comes from."
    )

    def check(self) -> None:
        """Raise `ConfigError` where an aperture has no size."""
        super().check()
        if not all(radius > 0 for radius in self.aperture_radii):
            raise ConfigError(f"aperture_radii: every radius must be above 0, not {self.aperture_radii}")

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
    def run(
        self,
        characterized: Exposure,
        *,
        camera_description: Mapping[str, Any] | None = None,
        visit: int | None = None,
        detector: int | None = None,
    ) -> Struct:
        """Calibrate one frame, which is not changed.

        Parameters
        ----------
        characterized
            What `CharacterizeImageTask` made; with a PSF.
        camera_description
            What the camera's YAML file says, for the zero point; a camera that is shipped is known without.
        visit, detector
            Numbers for the ids of sources; those of visit_info and detector, else 0, by default.

        Returns
        -------
        Struct
            ``exposure`` (background subtracted, with summary_stats), ``background``, ``sources``.

        Raises
        ------
        TaskError
            The exposure has no PSF, or one without a width.
        """
        psf = characterized.psf
        if psf is None:
            raise TaskError("calibrate needs an exposure with a PSF: run characterize first")
        exposure = characterized.clone()
        masked_image = exposure.masked_image
        if exposure.background is not None:
            masked_image.image.array[...] += surface(exposure.background)
        planes = Planes.of(masked_image)
        sampler = PsfSampler.from_psf(psf, masked_image.bbox)
        fwhm = psf.compute_shape(psf.average_position).fwhm
        if not np.isfinite(fwhm):
            raise TaskError("the exposure's PSF has no width: its moments do not converge")
        field = fit_field(
            planes.image,
            planes.variance,
            masked_image.bbox,
            planes.no_data,
            planes.good,
            sampler,
            fwhm,
            self.config.settings(),
        )
        masked_image.image.array[...] -= surface(field.background)
        mask = masked_image.mask
        mask.clear_mask_plane("DETECTED")
        mask.array[field.detected] |= mask.plane_bit_mask("DETECTED")
        exposure.background = field.background
        exposure.photo_calib = photo_calib_from_header(exposure, self.config.zero_point, camera_description)
        columns = self._measure(exposure, field, planes, sampler, fwhm)
        if self.config.do_ap_corr:
            exposure.ap_corr = self._aperture_correction(exposure, field, columns, fwhm)
        exposure.summary_stats = summarize(exposure, psf, field, sampler, planes.good)
        for name, value in exposure.summary_stats.items():
            self.metadata[name] = value
        self.metadata["passes"] = field.passes
        number = visit if visit is not None else exposure.visit_info.id if exposure.visit_info is not None else 0
        chip = detector if detector is not None else exposure.detector.id if exposure.detector is not None else 0
        columns["id"] = source_ids(number, chip, len(field.fit.x))
        sources = self._catalog(exposure, columns)
        self.log.info(
            "%d sources, seeing %.2f pixels, zero point %.2f", len(sources), fwhm, exposure.summary_stats["zero_point"]
        )
        return Struct(exposure=exposure, background=field.background, sources=sources)

    def _measure(
        self, exposure: Exposure, field: FieldFit, planes: Planes, sampler: PsfSampler, fwhm: float
    ) -> Columns:
        """Columns of the catalog, fluxes as they are fitted."""
        fit = field.fit
        radii = sorted({*self._radii(), self._ap_corr_radius(fwhm)})
        half = max(int(np.ceil(max(radii))) + 1, round(2.0 * fwhm))
        stamps = clean_stamps(field.residual, field.noise, planes.good, sampler, fit.x, fit.y, fit.flux, half=half)
        box = exposure.masked_image.bbox
        columns: Columns = {
            "x": fit.x + box.min_x,
            "y": fit.y + box.min_y,
            "x_err": fit.x_err,
            "y_err": fit.y_err,
            "psf_flux": fit.flux,
            "psf_flux_err": fit.flux_err,
            "signal_to_noise": fit.flux / fit.flux_err,
            "footprint_area": field.area.astype(np.int32),
            "centroid_flag": ~fit.moved,
            "psf_flux_flag": ~np.isfinite(fit.flux),
        }
        columns |= aperture_fluxes(stamps, radii)
        columns |= shapes(stamps, fwhm)
        columns["extendedness"] = extendedness(
            fit.flux, columns["gaussian_flux"], columns["gaussian_flux_err"], excess=self.config.extended_excess
        )
        rows = np.clip(np.rint(fit.y).astype(np.int64), 0, box.height - 1)
        across = np.clip(np.rint(fit.x).astype(np.int64), 0, box.width - 1)
        columns["local_background"] = surface(field.background)[rows, across]
        mask = exposure.masked_image.mask
        bits = {name: mask.plane_bit_mask(plane) for name, (plane, _) in PIXEL_FLAGS.items()}
        return columns | pixel_flags(mask.array, bits, fit.x, fit.y, fit_radius(fwhm, self.config.settings()))

    def _radii(self) -> list[float]:
        return sorted({*self.config.aperture_radii, self.config.ap_corr_radius})

    def _ap_corr_radius(self, fwhm: float) -> float:
        least: float = self.config.ap_corr_radius
        return max(least, float(np.ceil(self.config.ap_corr_min_fwhm * fwhm)))

    def _aperture_correction(self, exposure: Exposure, field: FieldFit, columns: Columns, fwhm: float) -> ApCorrMap:
        """Measure the correction and apply it to the columns."""
        radius = self._ap_corr_radius(fwhm)
        name = aperture_name(radius)
        blemished = columns[f"{name}_flag"] | columns["centroid_flag"] | columns["flag_suspect"]
        correction = measure_aperture_correction(
            field.fit,
            columns[name],
            columns[f"{name}_err"],
            ~blemished & ~(columns["extendedness"] > 0),
            radius=radius,
            fwhm=fwhm,
            pixel_noise=float(np.sqrt(np.median(field.noise))),
        )
        for flux in ("psf_flux", "gaussian_flux"):
            columns[flux] = columns[flux] * correction.factor
            columns[f"{flux}_err"] = columns[f"{flux}_err"] * correction.factor
        self.metadata["ap_corr_scatter"] = correction.scatter
        self.metadata["ap_corr_stars"] = correction.stars
        return correction.as_map(exposure.masked_image.bbox)

    def _catalog(self, exposure: Exposure, columns: Columns) -> SourceCatalog:
        if exposure.photo_calib is not None:
            columns |= _calibrated(exposure.photo_calib, columns)
        unit = str(exposure.metadata.get("BUNIT", "")) or "count"
        schema = source_schema(
            self._radii(), unit, calibration=self.config.ap_corr_radius, calibrated=exposure.photo_calib is not None
        )
        # The aperture of the correction is a column only where it is one of those asked for.
        catalog = SourceCatalog(schema, {name: column for name, column in columns.items() if name in schema})
        if exposure.wcs is not None and len(catalog):
            catalog.coord = exposure.wcs.pixel_to_sky(columns["x"], columns["y"])
        return catalog


def _calibrated(calib: PhotoCalib, columns: Columns) -> Columns:
    """Fluxes in nJy and AB magnitudes; a flux that is not positive has no magnitude."""
    where = columns["x"], columns["y"]
    flux, flux_err = calib.inst_flux_to_nanojansky(columns["psf_flux"], columns["psf_flux_err"], where)
    magnitude, magnitude_err = calib.inst_flux_to_magnitude(columns["psf_flux"], columns["psf_flux_err"], where)
    known = columns["psf_flux"] > 0
    return {
        "psf_flux_njy": flux,
        "psf_flux_njy_err": flux_err,
        "psf_mag": np.where(known, magnitude, np.nan),
        "psf_mag_err": np.where(known, magnitude_err, np.nan),
    }
