"""What statistics can be asked for, and how they are computed."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntFlag
from typing import Any

from ..model.errors import closest
from ..model.lsst_names import LsstNames

__all__ = [
    "ERRORS",
    "IQRANGE",
    "MAX",
    "MEAN",
    "MEANCLIP",
    "MEANSQUARE",
    "MEDIAN",
    "MIN",
    "NCLIPPED",
    "NMASKED",
    "NOTHING",
    "NPOINT",
    "ORMASK",
    "STDEV",
    "STDEVCLIP",
    "SUM",
    "VARIANCE",
    "VARIANCECLIP",
    "Property",
    "StatisticsControl",
    "string_to_statistics_property",
]


class Property(IntFlag):
    """What can be computed; combine with ``|``. The values are those of LSST's afw."""

    NOTHING = 0
    ERRORS = 0x1
    NPOINT = 0x2
    MEAN = 0x4
    STDEV = 0x8
    VARIANCE = 0x10
    MEDIAN = 0x20
    IQRANGE = 0x40
    MEANCLIP = 0x80
    STDEVCLIP = 0x100
    VARIANCECLIP = 0x200
    MIN = 0x400
    MAX = 0x800
    SUM = 0x1000
    MEANSQUARE = 0x2000
    ORMASK = 0x4000
    NCLIPPED = 0x8000
    NMASKED = 0x10000


NOTHING = Property.NOTHING
ERRORS = Property.ERRORS
NPOINT = Property.NPOINT
MEAN = Property.MEAN
STDEV = Property.STDEV
VARIANCE = Property.VARIANCE
MEDIAN = Property.MEDIAN
IQRANGE = Property.IQRANGE
MEANCLIP = Property.MEANCLIP
STDEVCLIP = Property.STDEVCLIP
VARIANCECLIP = Property.VARIANCECLIP
MIN = Property.MIN
MAX = Property.MAX
SUM = Property.SUM
MEANSQUARE = Property.MEANSQUARE
ORMASK = Property.ORMASK
NCLIPPED = Property.NCLIPPED
NMASKED = Property.NMASKED


def string_to_statistics_property(name: str) -> Property:
    """Return the property of a name, such as ``"MEANCLIP"``; ValueError where there is none."""
    try:
        return Property[name]
    except KeyError:
        raise ValueError(f"no statistics property {name!r}.{closest(name, Property.__members__)}") from None


class _Checked:
    """What refuses values that make no sense when they are set."""

    __slots__ = ()

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "num_sigma_clip" and not value > 0:
            raise ValueError(f"num_sigma_clip must be more than 0, not {value}")
        if name == "num_iter" and value < 1:
            raise ValueError(f"num_iter must be 1 or more, not {value}")
        super().__setattr__(name, value)


@dataclass(slots=True)
class StatisticsControl(LsstNames, _Checked):
    """How statistics are computed."""

    num_sigma_clip: float = 3.0
    """Half-width of the clipping, in standard deviations."""
    num_iter: int = 3
    """Passes of clipping; the first is centred on the median, later ones on the clipped mean."""
    and_mask: int | str | Iterable[str] = 0
    """A pixel with any of these bits (or planes, by name) set is left out."""
    nan_safe: bool = True
    """Whether NaN and infinite pixels are left out."""
    weighted: bool | None = None
    """Whether to weight: by what `make_statistics` is given, else by 1/variance; None: where weights are given."""
    calc_error_from_input_variance: bool = False
    """Whether the error of a mean comes from the variance plane, rather than from the scatter of the pixels."""
    calc_error_mosaic_mode: bool = False
    """Whether the error of a mean is that of a typical input, ``sqrt(Σwv/Σw)``."""
    no_good_pixels_mask: int | str = "NO_DATA"
    """What `statistics_stack` sets in the mask where no input was good."""
    mask_propagation_thresholds: dict[str | int, float] = field(default_factory=dict)
    """For `statistics_stack`: planes (or their bits) that a pixel takes over from inputs left out for their mask, where
    these have more than such a fraction of all weight."""

    def set_mask_propagation_threshold(self, plane: str | int, fraction: float) -> None:
        """Set from which fraction of the weight on a plane of inputs that were left out is taken over."""
        self.mask_propagation_thresholds[plane] = fraction

    def mask_propagation_threshold(self, plane: str | int) -> float:
        """Return from which fraction of the weight on a plane is taken over: 1, which is never, unless set."""
        return self.mask_propagation_thresholds.get(plane, 1.0)

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Raise ValueError where values make no sense together."""
        if self.calc_error_from_input_variance and self.calc_error_mosaic_mode:
            raise ValueError("errors come from the input variance or in mosaic mode, not both")
