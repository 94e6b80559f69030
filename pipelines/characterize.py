"""CharacterizeImageTask: what the sky's level, the seeing and the blemishes of a frame are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..imaging.background import Background
from ..imaging.psf import GaussianPsf
from ..model.errors import TaskError
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
from .background import SubtractBackgroundTask, add, surface
from .cosmic_rays import find_cosmic_rays, repair
from .crowded_field import subtract_sources
from .detection import SIGMA_TO_FWHM, Detections, detect, gaussian_kernel
from .planes import Planes
from .psf_fit import PsfStack, stack_stars
from .psf_photometry import fit_point_sources
from .psf_stamps import FloatArray, IntArray, StampPixels
from .psf_stars import select_stars
from .sep_library import import_sep

if TYPE_CHECKING:
    from ..imaging.exposure import Exposure


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
        doc="The frame without its background, with a PSF, and cosmic rays marked.",
    )


class CharacterizeImageConfig(PipelineTaskConfig):
    """How a frame is characterized."""

    background: Subtask = SubtaskField(default=SubtractBackgroundTask, description="How the sky's level is found.")
    initial_fwhm: float = Field(3.5, gt=0, description="First guess of the seeing (pixel).")
    detection_threshold: float = Field(10.0, gt=0, description="Significance of sources that are fitted here.")
    psf_min_signal_to_noise: float = Field(30.0, gt=0, description="Least significance of a star in the PSF model.")
    psf_max_stars: int = Field(120, ge=1, description="Most stars in the PSF model.")
    psf_min_stars: int = Field(3, ge=1, description="With fewer stars the PSF is a Gaussian.")
    psf_order: int = Field(2, ge=0, le=2, description="Degree of the polynomial by which the PSF changes.")
    psf_stars_per_term: int = Field(7, ge=1, description="The degree is lowered until each term has so many stars.")
    psf_iterations: int = Field(2, ge=1, description="How often the PSF is made, the last time without neighbours.")
    psf_radius: float = Field(4.0, gt=1, description="Half-size of the PSF model, in FWHM.")
    psf_min_radius: int = Field(13, ge=3, description="Smallest half-size of the PSF model (pixel).")
    do_cosmic_ray: bool = Field(True, description="Find cosmic rays, mark them CR and interpolate?")
    cosmic_ray_min_sigma: float = Field(6.0, gt=0, description="Significance of a cosmic ray's pixels.")
    cosmic_ray_sharpness: float = Field(
        0.6, gt=0, lt=1, description="A pixel is hit when its neighbours fall below this share of a star's contrast."
    )


class CharacterizeImageTask(PipelineTask):
    """Background, cosmic rays and PSF of a frame.

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
            ``characterized``: a new Exposure without background, with ``background`` and ``psf``.

        Raises
        ------
        TaskError
            The exposure has no good pixel.
        """
        result = exposure.clone()
        background: Background = self.background.run(result).background
        planes = Planes.of(result.masked_image)
        if not planes.good.any():
            raise TaskError("the exposure has no good pixel: every one is masked, not finite, or without a variance")
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
        made = self._psf(planes, found, stars.index, fwhm, background)
        if made is None:
            size = 2 * self._half(fwhm) + 1
            result.psf = GaussianPsf(size, size, fwhm / SIGMA_TO_FWHM)
        else:
            stack, refined = made
            result.psf = stack.sampler.to_psf(result.masked_image.bbox)
            change = Background(background.bbox, refined.values - background.values, style=background.style)
            result.masked_image.image.array[...] -= surface(change)
            background = refined
        result.background = background
        self.metadata["psf_stars"] = 0 if made is None else int(made[0].used.sum())
        self.metadata["psf_fwhm"] = result.psf.compute_shape(result.psf.average_position).fwhm
        return Struct(characterized=result)

    def _psf(
        self, planes: Planes, found: Detections, chosen: IntArray, fwhm: float, background: Background
    ) -> tuple[PsfStack, Background] | None:
        """Fit the PSF; None where the stars do not suffice."""
        why = f"{len(chosen)} stars fit for a model, and it takes {self.config.psf_min_stars}"
        if len(chosen) >= self.config.psf_min_stars:
            try:
                made = self._fit_psf(planes, found, chosen, fwhm, background)
                psf = made[0].sampler.to_psf(background.bbox)
                if not np.isfinite(psf.compute_shape(psf.average_position).fwhm):
                    raise ValueError("the model's moments do not converge")
                return made
            except ValueError as error:
                why = str(error)
        self.log.warning("the PSF is taken to be a Gaussian of %.2f pixels: %s", fwhm, why)
        return None

    def _half(self, fwhm: float) -> int:
        return max(int(np.ceil(self.config.psf_radius * fwhm)), int(self.config.psf_min_radius))

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
        self, planes: Planes, found: Detections, chosen: IntArray, fwhm: float, background: Background
    ) -> tuple[PsfStack, Background]:
        """Stack the stars; fit and subtract them and what lies beside them; mend the sky; and stack again."""
        sep = import_sep()

        half = self._half(fwhm)
        x, y, _ = sep.winpos(planes.image, found.x[chosen], found.y[chosen], fwhm / SIGMA_TO_FWHM)
        all_x, all_y = found.x, found.y
        noise = float(np.sqrt(np.median(planes.variance)))
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
                order=self.config.psf_order,
                stars_per_term=self.config.psf_stars_per_term,
            )
            fit = fit_point_sources(
                planes.image, planes.variance, planes.good, stack.sampler, all_x, all_y, half=fit_half, rounds=1
            )
            all_x, all_y = fit.x, fit.y
            residual = subtract_sources(
                planes.image, stack.sampler, all_x, all_y, fit.flux, noise=noise, half=fit_half + 2
            )
            # Without its stars the frame shows the sky's level better.
            change = self.background.measure(residual, ~planes.good, background.bbox)
            background = add(background, change)
            planes.image -= surface(change)
            residual -= surface(change)
            x, y, flux = fit.x[chosen], fit.y[chosen], np.nan_to_num(fit.flux[chosen])
            pixels = StampPixels.around(x, y, half, planes.image.shape)
            own = stack.sampler.images(x, y) * flux[:, None, None]
            neighbours = pixels.take(planes.image) - pixels.take(residual) - own
        return stack, background
