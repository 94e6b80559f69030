"""CharacterizeImageTask: what the sky's level, the seeing and the blemishes of a frame are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..imaging.ap_corr import ApCorrMap
from ..imaging.chebyshev import ChebyshevField
from ..imaging.psf import EmpiricalPsf, GaussianPsf, Psf
from ..tasks import (
    Config,
    Field,
    Input,
    Output,
    PipelineTask,
    PipelineTaskConfig,
    Struct,
    Subtask,
    SubtaskField,
    TaskConnections,
    time_method,
)
from .background import SubtractBackgroundTask
from .cosmic_rays import find_cosmic_rays, repair
from .crowded_field import subtract_sources
from .detection import Detections, detect, gaussian_kernel
from .measurement import aperture_fluxes, clean_stamps
from .planes import Planes
from .psf_fit import PsfStack, stack_stars
from .psf_photometry import PsfFit, fit_point_sources
from .psf_stamps import FloatArray, IntArray, PsfSampler, StampPixels, fit_to_size
from .psf_stars import select_stars
from .source_schema import aperture_name

if TYPE_CHECKING:
    from ..imaging.exposure import Exposure
    from ..imaging.geometry import Box2I


class CharacterizeImageConnections(TaskConnections, dimensions=("instrument", "visit", "detector")):
    """A frame without its instrument's signature."""

    exposure = Input(
        "postISRCCD",
        storage_class="Exposure",
        dimensions=("instrument", "exposure", "detector"),
        doc="Trimmed frame in electrons with mask and variance.",
    )
    characterized = Output(
        "icExp",
        storage_class="Exposure",
        dimensions=("instrument", "visit", "detector"),
        doc="The frame without its background, with PSF, aperture correction and cosmic rays marked.",
    )


class CharacterizeImageConfig(PipelineTaskConfig):
    """How a frame is characterized."""

    background: Subtask = SubtaskField(default=SubtractBackgroundTask, description="How the sky's level is found.")
    initial_fwhm: float = Field(3.5, gt=0, description="First guess of the seeing (pixel).")
    detection_threshold: float = Field(10.0, gt=0, description="Significance of sources that are fitted here.")
    psf_min_signal_to_noise: float = Field(30.0, gt=0, description="Least significance of a star in the PSF model.")
    psf_max_stars: int = Field(120, ge=1, description="Most stars in the PSF model.")
    psf_min_stars: int = Field(3, ge=1, description="With fewer stars the PSF is a Gaussian.")
    psf_min_stars_for_slope: int = Field(20, ge=3, description="With fewer stars the PSF is the same all over.")
    psf_iterations: int = Field(2, ge=1, description="How often the PSF is made, the last time without neighbours.")
    psf_radius: float = Field(4.0, gt=1, description="Half-size of the PSF model, in FWHM.")
    do_cosmic_ray: bool = Field(True, description="Find cosmic rays, mark them CR and interpolate?")
    cosmic_ray_min_sigma: float = Field(6.0, gt=0, description="Significance of a cosmic ray's pixels.")
    cosmic_ray_sharpness: float = Field(
        0.6, gt=0, lt=1, description="A pixel is hit when its neighbours fall below this share of a star's contrast."
    )
    do_ap_corr: bool = Field(True, description="Scale PSF fluxes to those in a large aperture?")
    ap_corr_radius: float = Field(12.0, gt=0, description="That aperture (pixel).")


class CharacterizeImageTask(PipelineTask):
    """Background, cosmic rays, PSF and aperture correction of a frame.

    Parameters
    ----------
    config, name, parent_task, log
        As of `Task`.
    """

    ConfigClass: ClassVar[type[Config]] = CharacterizeImageConfig
    Connections: ClassVar[type[TaskConnections]] = CharacterizeImageConnections
    default_name: ClassVar[str] = "characterize"
    background: SubtractBackgroundTask

    def __init__(self, config: Config | None = None, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        self.make_subtask("background")

    @time_method
    def run(self, exposure: Exposure) -> Struct:
        """Characterize one frame, which is not changed.

        Parameters
        ----------
        exposure
            Frame with mask and variance.

        Returns
        -------
        Struct
            ``characterized``: a new Exposure without background, with ``background``, ``psf`` and ``ap_corr``.
        """
        result = exposure.clone()
        result.background = self.background.run(result).background
        planes = Planes.of(result.masked_image)
        found = self._detect(planes)
        stars = select_stars(
            planes,
            found,
            self.config.initial_fwhm,
            min_signal_to_noise=self.config.psf_min_signal_to_noise,
            most=self.config.psf_max_stars,
        )
        fwhm = stars.fwhm if np.isfinite(stars.fwhm) else float(self.config.initial_fwhm)
        self.metadata["detections"] = len(found)
        self.metadata["psf_candidates"] = len(stars.index)
        if self.config.do_cosmic_ray:
            self._repair_cosmic_rays(result, planes, fwhm)
        half = self._half(fwhm)
        if len(stars.index) >= self.config.psf_min_stars:
            stack, fit, residual = self._fit_psf(planes, found, stars.index, fwhm, half)
            psf = _empirical(stack.sampler, result.masked_image.bbox)
            used = int(stack.used.sum())
            correction, scatter = self._aperture_correction(planes, stack, fit, residual, stars.index)
        else:
            self.log.warning("only %d stars for a PSF: it is taken to be a Gaussian of %.2f pixels", len(stars.index), fwhm)
            psf, used, correction, scatter = _gaussian(fwhm, half), 0, 1.0, 0.0
        result.psf = psf
        result.ap_corr = _ap_corr_map(result.masked_image.bbox, correction)
        self.metadata["psf_stars"] = used
        self.metadata["psf_fwhm"] = psf.compute_shape(psf.average_position).fwhm
        self.metadata["ap_corr"] = correction
        self.metadata["ap_corr_scatter"] = scatter
        return Struct(characterized=result)

    def _half(self, fwhm: float) -> int:
        return max(int(np.ceil(self.config.psf_radius * fwhm)), int(np.ceil(self.config.ap_corr_radius)) + 1)

    def _detect(self, planes: Planes) -> Detections:
        kernel = gaussian_kernel(self.config.initial_fwhm, max(2, round(0.9 * self.config.initial_fwhm)))
        return detect(
            planes.image,
            planes.variance,
            planes.no_data,
            kernel,
            threshold=self.config.detection_threshold,
            min_area=3,
        )

    def _repair_cosmic_rays(self, exposure: Exposure, planes: Planes, fwhm: float) -> None:
        hit = find_cosmic_rays(
            planes.image,
            planes.variance,
            gaussian_kernel(fwhm, 2),
            ~planes.good,
            min_sigma=self.config.cosmic_ray_min_sigma,
            sharpness=self.config.cosmic_ray_sharpness,
        )
        repair(planes.image, hit, usable=planes.good)
        mask = exposure.masked_image.mask
        mask.array[hit] |= mask.plane_bit_mask(["CR", "INTRP"])
        exposure.masked_image.image.array[hit] = planes.image[hit]
        planes.good &= ~hit
        planes.clean &= ~hit
        self.metadata["cosmic_ray_pixels"] = int(hit.sum())

    def _fit_psf(
        self, planes: Planes, found: Detections, chosen: IntArray, fwhm: float, half: int
    ) -> tuple[PsfStack, PsfFit, FloatArray]:
        """Stack the stars; then fit and subtract what lies beside them, and stack again."""
        import sep

        x, y, _ = sep.winpos(planes.image, found.x[chosen], found.y[chosen], fwhm / 2.3548200450309493)
        neighbours: FloatArray | None = None
        strength = found.signal_to_noise[chosen]
        fit_half = max(3, int(np.ceil(1.6 * fwhm)))
        for _ in range(self.config.psf_iterations):
            stack = stack_stars(
                planes.image,
                planes.good,
                x,
                y,
                strength,
                half=half,
                neighbours=neighbours,
                min_stars_for_slope=self.config.psf_min_stars_for_slope,
            )
            fit = fit_point_sources(
                planes.image, planes.variance, planes.good, stack.sampler, found.x, found.y, half=fit_half, rounds=2
            )
            residual = subtract_sources(planes.image, stack.sampler, fit.x, fit.y, fit.flux)
            x, y, flux = fit.x[chosen], fit.y[chosen], np.nan_to_num(fit.flux[chosen])
            pixels = StampPixels.around(x, y, half, planes.image.shape)
            own = stack.sampler.images(x, y) * flux[:, None, None]
            neighbours = pixels.take(planes.image) - pixels.take(residual) - own
        return stack, fit, residual

    def _aperture_correction(
        self, planes: Planes, stack: PsfStack, fit: PsfFit, residual: FloatArray, chosen: IntArray
    ) -> tuple[float, float]:
        """Ratio of the flux in a large aperture to the PSF flux, and its scatter, from the stars of the PSF."""
        if not self.config.do_ap_corr:
            return 1.0, 0.0
        stars = chosen[stack.used]
        x, y, flux = fit.x[stars], fit.y[stars], fit.flux[stars]
        stamps = clean_stamps(
            residual, planes.variance, planes.good, stack.sampler, x, y, flux, half=stack.sampler.half
        )
        name = aperture_name(self.config.ap_corr_radius)
        columns = aperture_fluxes(stamps, [self.config.ap_corr_radius])
        ratio = np.asarray(columns[name]) / flux
        ratio = ratio[np.isfinite(ratio) & ~np.asarray(columns[f"{name}_flag"])]
        if len(ratio) < self.config.psf_min_stars:
            return 1.0, 0.0
        middle = float(np.median(ratio))
        scatter = float(1.4826 * np.median(np.abs(ratio - middle)))
        return middle, scatter


def _empirical(sampler: PsfSampler, box: Box2I) -> EmpiricalPsf:
    """The same model over parent pixels, its slopes for Chebyshev coordinates, which are 1 at the edges."""
    reach = (box.width / 2 / sampler.scale, box.height / 2 / sampler.scale)
    slopes = [image * length for image, length in zip(sampler.basis[1:], reach, strict=False)]
    return EmpiricalPsf(box, np.stack([sampler.basis[0], *slopes]))


def _gaussian(fwhm: float, half: int) -> Psf:
    return GaussianPsf(2 * half + 1, 2 * half + 1, fwhm / 2.3548200450309493)


def _ap_corr_map(box: Box2I, correction: float) -> ApCorrMap:
    field = ChebyshevField(box, [[correction]])
    return ApCorrMap({"psf_flux": field, "gaussian_flux": field})
