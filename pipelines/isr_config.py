"""The configuration of instrument signature removal: field names as in LSST's IsrTask, PEP 8 or camelCase."""

from __future__ import annotations

from ..model.errors import ConfigError
from ..tasks import Field, PipelineTaskConfig
from .overscan import OverscanConfig


class IsrConfig(PipelineTaskConfig):
    """Which steps run, and how. For ``do_bias``, ``do_dark`` and ``do_flat`` None means: where there is one."""

    do_saturation: bool = Field(True, description="Mark saturated pixels?")
    saturated_mask_name: str = Field("SAT", description="Mask plane of saturated pixels.")
    saturation: float = Field(float("nan"), description="Saturation level (raw ADU); NaN: each amplifier's own.")
    grow_saturation_footprint_size: int = Field(
        1, ge=0, description="Pixels by which saturated regions grow before they are interpolated."
    )
    do_suspect: bool = Field(True, description="Mark pixels near saturation, where the response may not be linear?")
    suspect_mask_name: str = Field("SUSPECT", description="Mask plane of suspect pixels.")
    suspect_fraction: float = Field(0.9, gt=0, le=1, description="Share of the saturation level above which they are.")
    do_overscan: bool = Field(True, description="Subtract the overscan, of amplifiers that have one?")
    overscan: OverscanConfig = Field(default_factory=OverscanConfig, description="How the overscan is fitted.")
    do_apply_gains: bool = Field(True, description="Turn ADU into electrons? Without it the frame stays in ADU.")
    gain: float = Field(float("nan"), description="Gain of all amplifiers (e-/ADU); NaN: each amplifier's own.")
    read_noise: float = Field(float("nan"), description="Read noise of all amplifiers (e-); NaN: each one's own.")
    do_assemble_ccd: bool = Field(True, description="Trim, and put amplifiers together?")
    do_bias: bool | None = Field(None, description="Subtract the master bias? None: where there is one.")
    do_variance: bool = Field(True, description="Make the variance plane?")
    do_dark: bool | None = Field(None, description="Subtract the master dark? None: where there is one.")
    do_defect: bool = Field(True, description="Mark defects as bad?")
    defects: tuple[tuple[int, int, int, int, int], ...] = Field(
        (), description="Defects: number of the detector, and x, y, width and height of a box of its trimmed image."
    )
    do_nan_masking: bool = Field(True, description="Mark pixels without a finite value?")
    do_flat: bool | None = Field(None, description="Divide by the master flat? None: where there is one.")
    num_edge_suspect: int = Field(0, ge=0, description="Mark so many pixels along each side as the edge.")
    do_interpolate: bool = Field(True, description="Replace bad pixels by what their neighbours say?")
    mask_list_to_interpolate: tuple[str, ...] = Field(("SAT", "BAD"), description="Mask planes of pixels to replace.")
    do_standard_statistics: bool = Field(True, description="Note mean, median and scatter of the result?")

    def check(self) -> None:
        """Raise `ConfigError` where a step needs another that is off, or a value means nothing."""
        super().check()
        if self.gain <= 0 or self.read_noise < 0 or self.saturation <= 0:
            raise ConfigError(
                f"gain={self.gain}, read_noise={self.read_noise}, saturation={self.saturation}: gain and saturation "
                "must be above 0, the read noise not below; NaN takes each amplifier's own."
            )
        for box in self.defects:
            if min(box[:3]) < 0 or min(box[3:]) < 1:
                raise ConfigError(
                    f"defects: {box} is no detector, x, y, width and height, counted from 0 and of a size."
                )
        if self.do_variance and not self.do_apply_gains:
            raise ConfigError("do_variance needs do_apply_gains: photon noise is known in electrons only.")
        if not self.do_assemble_ccd:
            needing = [name for name in ("do_bias", "do_dark", "do_flat") if getattr(self, name) is not False]
            needing += ["do_variance"] if self.do_variance else []
            needing += ["defects"] if self.defects else []
            if needing:
                raise ConfigError(
                    f"What is for the trimmed detector needs do_assemble_ccd: {', '.join(needing)}. Without it set "
                    "do_bias, do_dark, do_flat and do_variance to False, and give no defects."
                )
