"""What afw's own tests ask of backgrounds, calibrations, PSFs and the sky, case by case, in numbers."""

import math

import numpy as np
import pytest

from skybutler.imaging import (
    ApCorrMap,
    BackgroundControl,
    Box2I,
    ChebyshevField,
    ConvolutionControl,
    EmpiricalPsf,
    Exposure,
    Extent2I,
    GaussianPsf,
    Image,
    MaskedImage,
    PhotoCalib,
    Point2D,
    Point2I,
    Polygon,
    Quadrupole,
    StatisticsControl,
    WarpingControl,
    Wcs,
    convolve,
    make_background,
    warp_image,
)

NAN, INF = math.nan, math.inf


def box(x, y, width, height):
    return Box2I(Point2I(x, y), Extent2I(width, height))


def near(value, **tolerances):
    return pytest.approx(value, nan_ok=True, **tolerances)


def done(thing, *changes):
    """Change a thing in place, by what an operator's method does, and return it."""
    for change in changes:
        made = change(thing)
        thing = thing if made is None else made
    return thing


def ramp(width=4, height=3, xy0=(0, 0), dtype="float64"):
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return Image((x + 10 * y).astype(dtype), xy0)


def surface(values, style, **options):
    return make_background(np.array(values, dtype=float), BackgroundControl(style=style, **options)).image(
        dtype="float64"
    )


def slope(width=512, height=512):
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return 0.1 * x + 0.2 * y + 10000.0


WIDE = StatisticsControl(num_sigma_clip=20.0, num_iter=1)
CALIB = PhotoCalib(1e-3, 1e-4)
FIELD_BOX = box(-100, -100, 201, 201)
TILTED = PhotoCalib.from_field(ChebyshevField(FIELD_BOX, [[1e-3, 1e-3]]), 1e-4)
INTEGRAL_BOX = Box2I(Point2I(-2, -3), Point2I(5, 7))
TAN = Wcs.make_tan((4, 4), (30.0, 40.0), [[-1e-4, 0], [0, 1e-4]])
LARGE = GaussianPsf(51, 51, 4.0)

MODELS = {
    **{
        f"a slope is exact in {style}": (
            lambda style=style: surface(slope(), style, nx_sample=6, ny_sample=6, statistics_control=WIDE).array[
                [0, 256, 511], [511, 256, 0]
            ],
            near(slope()[[0, 256, 511], [511, 256, 0]]),
        )
        for style in ("LINEAR", "NATURAL_SPLINE", "CUBIC_SPLINE", "AKIMA_SPLINE", "CHEBYSHEV")
    },
    "one cell is the mean": (
        lambda: surface(slope(64, 64), "CONSTANT", nx_sample=1, ny_sample=1)[0, 63],
        near(10000 + 0.3 * 31.5),
    ),
    "few cells make straight lines": (
        lambda: surface(slope(64, 64), "AKIMA_SPLINE", nx_sample=2, ny_sample=2)[63, 0],
        near(slope(64, 64)[0, 63]),
    ),
    "levels move": (
        lambda: done(
            make_background(np.full((40, 40), 100.0), BackgroundControl(20, 20, "LINEAR")), lambda b: b.__iadd__(123)
        ).image()[7, 7],
        223,
    ),
    "and back": (
        lambda: (
            done(
                make_background(np.full((40, 40), 100.0), BackgroundControl(20, 20, "LINEAR")), lambda b: b.__isub__(50)
            )
            .image()
            .array.mean()
        ),
        50,
    ),
    "cells without pixels fall back on lines": (
        lambda: (
            surface(
                [[1 + 2 * y if x < 12 or y < 6 else NAN for x in range(15)] for y in range(9)],
                "NATURAL_SPLINE",
                nx_sample=5,
                ny_sample=3,
            )
            .array[[0, 8, 8], [0, 0, 14]]
            .tolist()
        ),
        near([1, 17, 17]),
    ),
    "one good pixel is enough": (
        lambda: surface(
            [[20 if x == y == 0 else NAN for x in range(50)] for y in range(20)], "AKIMA_SPLINE"
        ).array.mean(),
        20,
    ),
    "a part of a surface": (
        lambda: make_background(Image(slope(60, 50), (1000, 500))).image(box(1010, 505, 3, 2)).bbox,
        box(1010, 505, 3, 2),
    ),
    "the integral of a constant": (lambda: ChebyshevField(INTEGRAL_BOX, [[5.0]]).integrate(), near(88 * 5)),
    "odd terms drop out": (lambda: ChebyshevField(INTEGRAL_BOX, [[5.0, 2], [3, 4]]).integrate(), near(88 * 5)),
    "even terms count": (lambda: ChebyshevField(INTEGRAL_BOX, [[5.0, 0, 7]]).integrate(), near(88 * 5 - 88 / 3 * 7)),
    "and mixed ones": (
        lambda: ChebyshevField(INTEGRAL_BOX, [[0, 0, 0], [0, 0, 0], [0, 0, 11.0]]).integrate(),
        near(88 / 9 * 11),
    ),
    "the mean of a field": (
        lambda: ChebyshevField(INTEGRAL_BOX, [[7.0, 0, 13], [31, 0, 0], [0, 0, 11]]).mean(),
        near(7 - 13 / 3 + 11 / 9),
    ),
    "fields at their corners": (
        lambda: ChebyshevField(box(0, 0, 10, 10), [[1.0, 2], [3, 4]]).evaluate(9.5, 9.5),
        near(10),
    ),
    "fields are scaled": (lambda: (ChebyshevField(box(0, 0, 10, 10), [[1.0, 2]]) * 3).coefficients.tolist(), [[3, 6]]),
    "corrections are scaled": (
        lambda: done(
            ApCorrMap({"a": ChebyshevField(box(0, 0, 9, 9), [[6.0]])}),
            lambda a: a.__imul__(2.0),
            lambda a: a.__itruediv__(3.0),
        )["a"].mean(),
        near(4),
    ),
    "a count is worth": (lambda: CALIB.instFluxToNanojansky(1000.0), near(1)),
    "one nanojansky in magnitudes": (lambda: CALIB.instFluxToMagnitude(1000.0), near(31.4, abs=1e-6)),
    "575.44 of them": (lambda: CALIB.instFluxToMagnitude(575440.0), near(24.5, abs=1e-5)),
    "errors of fluxes": (lambda: CALIB.inst_flux_to_nanojansky(1000.0, 10.0), (near(1), near(0.01))),
    "errors of magnitudes": (lambda: CALIB.inst_flux_to_magnitude(1000.0, 10.0)[1], near(2.5 / math.log(10) * 0.01)),
    "counts at magnitude 0": (lambda: CALIB.instFluxToMagnitude(CALIB.getInstFluxAtZeroMagnitude()), near(0)),
    "counts of a magnitude": (lambda: CALIB.magnitudeToInstFlux(CALIB.instFluxToMagnitude(575440.0)), near(575440)),
    "counts of a flux": (lambda: CALIB.nanojanskyToInstFlux(1.0), near(1000)),
    "the middle of a slope": (lambda: TILTED.inst_flux_to_nanojansky(1000.0, point=Point2D(0, 0)), near(1)),
    "left of it": (lambda: TILTED.inst_flux_to_nanojansky(1000.0, point=Point2D(-10, 0)), near(1 - 10 / 100.5)),
    "below it": (lambda: TILTED.getLocalCalibration(Point2D(0, -10)), near(1e-3)),
    "the mean of a slope": (lambda: TILTED.calibration_mean, near(1e-3)),
    "calibrated images": (
        lambda: PhotoCalib(2.0).calibrateImage(MaskedImage.full((2, 2), (3.0, 5, 7.0)))[1, 1],
        (6, 5, 28),
    ),
    "and back to counts": (
        lambda: PhotoCalib(2.0).uncalibrateImage(MaskedImage.full((2, 2), (6.0, 5, 28.0)))[1, 1],
        (3, 5, 7),
    ),
    "the sum of a Gaussian": (lambda: LARGE.computeKernelImage().array.sum(), near(1)),
    "the peak of a Gaussian": (lambda: LARGE.computePeak(), near(1 / (2 * math.pi * 16), rel=1e-4)),
    "its moments": (lambda: tuple(LARGE.computeShape()), (16, 16, 0)),
    "its apertures": (lambda: LARGE.computeApertureFlux(5.0), near(1 - math.exp(-0.5 * 25 / 16))),
    "its kernel's place": (lambda: LARGE.computeKernelImage().bbox, box(-25, -25, 51, 51)),
    "its image's place": (lambda: LARGE.computeImage(Point2D(20.2, -3.7)).bbox, box(-5, -29, 51, 51)),
    "resized": (lambda: LARGE.resized(21, 31).compute_kernel_image().dimensions, Extent2I(21, 31)),
    "a model that varies": (
        lambda: (
            EmpiricalPsf(box(0, 0, 101, 101), np.stack([np.ones((3, 3)), np.eye(3), np.eye(3)]))
            .compute_kernel_image((50, 50))
            .array[0, 0]
        ),
        near(1 / 9),
    ),
    "moments of an ellipse": (lambda: tuple(Quadrupole.from_axes(2, 1, math.pi / 2)), near((1, 4, 0))),
    "radii of moments": (
        lambda: (Quadrupole(4, 9).determinant_radius, Quadrupole(4, 9).trace_radius),
        near((math.sqrt(6), math.sqrt(6.5))),
    ),
    "polygons": (
        lambda: (
            Polygon([(0, 0), (4, 0), (0, 3)]).area,
            Polygon([(0, 0), (4, 0), (0, 3)]).contains([1, 3], [1, 2]).tolist(),
        ),
        (6, [True, False]),
    ),
    "the reference pixel's sky": (
        lambda: (TAN.pixelToSky(4, 4).ra.deg, TAN.pixelToSky(Point2D(4, 4)).dec.deg),
        near((30, 40)),
    ),
    "scales": (lambda: TAN.getPixelScale(), near(0.36)),
    "handedness": (lambda: (TAN.isFlipped(), Wcs.make_tan((0, 0), (0.0, 0.0), np.eye(2)).is_flipped), (False, True)),
    "shifted origins": (lambda: TAN.shifted((10, 20)).getPixelOrigin(), Point2D(14, 24)),
    "there and back": (lambda: tuple(TAN.sky_to_pixel(TAN.pixel_to_sky(1000, -500))), near((1000, -500), abs=1e-7)),
    "parts of exposures keep the sky": (
        lambda: Exposure(MaskedImage.full(box(0, 0, 9, 9)), TAN)[2:5, 3:6].wcs.pixel_origin,
        Point2D(4, 4),
    ),
    "moved exposures move the sky": (
        lambda: (
            done(
                Exposure(MaskedImage.full(box(0, 0, 9, 9)), TAN), lambda e: setattr(e, "xy0", Point2I(10, 20))
            ).wcs.pixel_origin
        ),
        Point2D(14, 24),
    ),
    "a delta changes nothing": (lambda: convolve(ramp(5, 5), [[0, 0, 0], [0, 1, 0], [0, 0, 0]])[3, 3], 33),
    "a delta off the middle shifts": (lambda: convolve(ramp(5, 5), [[0, 0, 0], [0, 0, 1], [0, 0, 0]])[2, 2], 23),
    "sums without norm": (
        lambda: convolve(ramp(5, 5), np.ones((3, 3)), ConvolutionControl(do_normalize=False))[2, 2],
        198,
    ),
    "variances of means": (
        lambda: convolve(MaskedImage.full((5, 5), (1.0, 0, 9.0)), np.ones((3, 3)))[2, 2],
        (near(1), 0, near(1)),
    ),
    "edges have no data": (
        lambda: convolve(MaskedImage.full((5, 5), (1.0, 1, 9.0)), np.ones((3, 3)))[0, 2],
        (near(NAN), 256, INF),
    ),
    "edges that are copied": (
        lambda: convolve(
            MaskedImage.full((5, 5), (1.0, 1, 9.0)), np.ones((3, 3)), ConvolutionControl(do_copy_edge=True)
        )[0, 2],
        (1, 17, 9),
    ),
    "warped onto itself": (
        lambda: warp_image(ramp(20, 20), TAN, TAN, box(8, 8, 2, 2)).image.array.tolist(),
        near(np.array([[88, 89], [98, 99]]), abs=1e-5),
    ),
    "warped by one pixel": (
        lambda: warp_image(ramp(20, 20), TAN, TAN.shifted((1, 0)), box(8, 8, 1, 1)).image[8, 8],
        near(87, abs=1e-5),
    ),
    "half a pixel between": (
        lambda: warp_image(ramp(20, 20), TAN, TAN.shifted((0.5, 0)), box(8, 8, 1, 1), WarpingControl("bilinear")).image[
            8, 8
        ],
        near(87.5, abs=1e-5),
    ),
    "an image too small to be warped": (
        lambda: warp_image(
            Image.full((1, 1)),
            Wcs.make_tan((0, 0), (359.0, 0.0), np.eye(2) * 1e-8),
            Wcs.make_tan((0, 0), (358.0, 0.0), np.eye(2) * 1.1e-8),
            box(0, 0, 2, 1),
        )[1, 0],
        (near(NAN), 256, INF),
    ),
    "warped to nothing": (lambda: warp_image(ramp(20, 20), TAN, TAN, Box2I()).dimensions, Extent2I(0, 0)),
    "beyond the image": (lambda: warp_image(ramp(20, 20), TAN, TAN, box(30, 30, 1, 1))[30, 30], (near(NAN), 256, INF)),
}


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
@pytest.mark.parametrize("case", MODELS)
def test_cases(case):
    question, answer = MODELS[case]
    assert question() == answer


REFUSED = {
    "backgrounds beyond the image": (lambda: make_background(ramp(20, 20)).image(box(10, 10, 20, 20)), ValueError),
    "negative calibrations": (lambda: PhotoCalib(-1.0), ValueError),
    "negative errors": (lambda: PhotoCalib(1.0, -1.0), ValueError),
    "even PSFs": (lambda: GaussianPsf(50, 51, 1.0), ValueError),
    "PSFs of even height": (lambda: GaussianPsf(51, 50, 1.0), ValueError),
    "kernels larger than the image": (lambda: convolve(ramp(3, 3), np.ones((5, 5))), ValueError),
    "kernels of nothing": (lambda: convolve(ramp(3, 3), np.zeros((0, 0))), ValueError),
    "unknown warping kernels": (lambda: WarpingControl("lanczos"), ValueError),
    "mask kernels that reach too far": (lambda: WarpingControl("bilinear", "lanczos3"), ValueError),
    "cutouts off the image": (lambda: Exposure(ramp(20, 20)).getCutout(Point2D(30, 30), Extent2I(3, 3)), ValueError),
    "cutouts of nothing": (lambda: Exposure(ramp(20, 20)).getCutout(Point2D(5, 5), Extent2I(0, 3)), ValueError),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case):
    question, kind = REFUSED[case]
    with pytest.raises(kind):
        question()
