"""Pixels, masks, catalogs and what belongs to them, in memory.

Every public name is reached from here (``from skybutler.imaging import MaskedImage``), and its module is loaded when it
is first asked for. Functions also answer to their camelCase names: ``makeStatistics`` is ``make_statistics``.
"""

from typing import TYPE_CHECKING

from ..model.lsst_names import lazy_exports

if TYPE_CHECKING:
    # The names are listed below; a type checker needs their types.
    from .ap_corr import *  # noqa: F403
    from .background import *  # noqa: F403
    from .catalog import *  # noqa: F403
    from .chebyshev import ChebyshevField as ChebyshevField
    from .convolution import *  # noqa: F403
    from .defects import *  # noqa: F403
    from .detector import *  # noqa: F403
    from .exposure import *  # noqa: F403
    from .filter import *  # noqa: F403
    from .footprint import *  # noqa: F403
    from .footprint_set import *  # noqa: F403
    from .functor_keys import *  # noqa: F403
    from .geometry import *  # noqa: F403
    from .header import Header as Header
    from .image import Image as Image
    from .interpolate import Interpolate as Interpolate
    from .interpolate import lookup_max_interp_style as lookup_max_interp_style
    from .interpolate import lookup_min_interp_points as lookup_min_interp_points
    from .interpolate import make_interpolate as make_interpolate
    from .mask import Mask as Mask
    from .mask_schema import MaskPlane as MaskPlane
    from .mask_schema import MaskSchema as MaskSchema
    from .masked_image import *  # noqa: F403
    from .photo_calib import PhotoCalib as PhotoCalib
    from .polygon import *  # noqa: F403
    from .psf import *  # noqa: F403
    from .schema import *  # noqa: F403
    from .source_record import SourceRecord as SourceRecord
    from .spans import *  # noqa: F403
    from .spatial_function import PolynomialFunction2D as PolynomialFunction2D
    from .spatial_kernel import *  # noqa: F403
    from .stack import *  # noqa: F403
    from .statistics import *  # noqa: F403
    from .visit_info import *  # noqa: F403
    from .warp import *  # noqa: F403
    from .wcs import *  # noqa: F403

_EXPORTS = {
    "geometry": (
        "LOCAL",
        "PARENT",
        "Box2D",
        "Box2I",
        "EdgeHandling",
        "Extent2D",
        "Extent2I",
        "ImageOrigin",
        "Point2D",
        "Point2I",
    ),
    "image": ("Image",),
    "mask": ("Mask",),
    "mask_schema": ("MaskPlane", "MaskSchema"),
    "masked_image": ("MaskedImage", "make_masked_image", "make_masked_image_from_arrays"),
    "statistics": (
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
        "Statistics",
        "StatisticsControl",
        "make_statistics",
        "string_to_statistics_property",
    ),
    "stack": ("statistics_stack",),
    "spans": ("Spans", "Stencil"),
    "footprint": ("Footprint", "HeavyFootprint", "Peak"),
    "footprint_set": ("FootprintSet", "Polarity", "Threshold", "ThresholdType"),
    "defects": ("Defects",),
    "detector": ("Amplifier", "Camera", "Detector"),
    "wcs": ("Wcs",),
    "convolution": ("ConvolutionControl", "convolve"),
    "spatial_function": ("PolynomialFunction2D",),
    "spatial_kernel": ("LinearCombinationKernel",),
    "warp": ("WarpingControl", "warp_exposure", "warp_image"),
    "psf": ("EmpiricalPsf", "GaussianPsf", "Psf", "Quadrupole"),
    "chebyshev": ("ChebyshevField",),
    "photo_calib": ("PhotoCalib",),
    "ap_corr": ("ApCorrMap",),
    "polygon": ("Polygon",),
    "interpolate": (
        "Interpolate",
        "lookup_max_interp_style",
        "lookup_min_interp_points",
        "make_interpolate",
    ),
    "background": ("Background", "BackgroundControl", "BackgroundList", "make_background"),
    "visit_info": ("VisitInfo",),
    "filter": ("Filter",),
    "header": ("Header",),
    "exposure": ("Exposure",),
    "schema": ("AliasMap", "Field", "Schema"),
    "functor_keys": (
        "ArrayKey",
        "Box2IKey",
        "CoordKey",
        "CovarianceKey",
        "EllipseKey",
        "FunctorKey",
        "Point2DKey",
        "Point2IKey",
        "QuadrupoleKey",
    ),
    "catalog": ("SourceCatalog",),
    "source_record": ("SourceRecord",),
}

__all__ = [name for names in _EXPORTS.values() for name in names]

__getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)
