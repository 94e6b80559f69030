"""The columns of the `src` catalog: what each is, its unit, and the LSST names that reach it."""

from __future__ import annotations

from collections.abc import Sequence

from ..imaging.catalog import SourceCatalog
from ..imaging.schema import Schema

PIXEL_FLAGS = {
    "edge": ("EDGE", "near the edge of the detector"),
    "saturated": ("SAT", "saturated"),
    "suspect": ("SUSPECT", "near saturation"),
    "interpolated": ("INTRP", "interpolated"),
    "bad": ("BAD", "bad"),
    "cr": ("CR", "hit by a cosmic ray"),
    "nodata": ("NO_DATA", "without data"),
}
"""Mask plane and words by the name of the flag."""


def aperture_name(radius: float) -> str:
    """Name of the flux in an aperture: ``ap_flux_3``, ``ap_flux_4_5``."""
    return "ap_flux_" + f"{radius:g}".replace(".", "_")


def source_schema(radii: Sequence[float], unit: str, *, calibration: float, calibrated: bool) -> Schema:
    """Columns for a catalog of measured sources.

    Parameters
    ----------
    radii
        Radii of the apertures (pixel).
    unit
        Unit of instrumental fluxes, as astropy spells it.
    calibration
        Radius of the aperture that fluxes are calibrated by.
    calibrated
        Whether a photometric zero point is known: then there are nJy and AB magnitudes, too.
    """
    schema = SourceCatalog.minimal_schema()

    def number(name: str, doc: str, units: str = "", kind: str = "D") -> None:
        schema.add_field(name, kind, doc, units)

    number("x", "column of the centre, parent coordinates, from the PSF fit", "pix")
    number("y", "row of the centre, parent coordinates, from the PSF fit", "pix")
    number("x_err", "error of x", "pix", "F")
    number("y_err", "error of y", "pix", "F")
    number("psf_flux", "PSF flux, blended neighbours fitted along, aperture corrected", unit)
    number("psf_flux_err", "error of psf_flux", unit)
    for radius in radii:
        number(aperture_name(radius), f"flux within {radius:g} pixels, neighbours taken away", unit)
        number(aperture_name(radius) + "_err", f"error of {aperture_name(radius)}", unit)
    number(
        "gaussian_flux", "flux of the elliptical Gaussian that matches the source, scaled to psf_flux for stars", unit
    )
    number("gaussian_flux_err", "error of gaussian_flux", unit)
    for name, of in (
        ("shape", "the source, adaptive Gaussian weight"),
        ("psf_shape", "the PSF at its place, same weight"),
    ):
        number(f"{name}_xx", f"second moment along x of {of}", "pix2")
        number(f"{name}_yy", f"second moment along y of {of}", "pix2")
        number(f"{name}_xy", f"mixed second moment of {of}", "pix2")
    number("extendedness", "0 for a star, 1 for what is larger than the PSF: gaussian_flux exceeds psf_flux", "", "F")
    number("signal_to_noise", "psf_flux over its error", "", "F")
    number("local_background", "background that was subtracted at the centre", unit)
    number("footprint_area", "pixels of the footprint in which it was detected", "pix", "I")
    if calibrated:
        number("psf_flux_njy", "PSF flux", "nJy")
        number("psf_flux_njy_err", "error of psf_flux_njy", "nJy")
        number("psf_mag", "AB magnitude of the PSF flux", "mag")
        number("psf_mag_err", "error of psf_mag", "mag")
    schema.add_field("centroid_flag", "Flag", "the position fit ran away: x and y are where it was detected")
    schema.add_field("psf_flux_flag", "Flag", "the PSF flux cannot be told: too few good pixels")
    schema.add_field("shape_flag", "Flag", "the moments did not converge")
    for radius in radii:
        name = aperture_name(radius)
        schema.add_field(
            f"{name}_flag", "Flag", f"{name} misses masked pixels or such beyond the edge, scaled for them"
        )
    for name, (plane, words) in PIXEL_FLAGS.items():
        schema.add_field(f"flag_{name}", "Flag", f"a pixel of the fitted square is {words} ({plane})")
        schema.add_field(f"flag_{name}_center", "Flag", f"one of the 3x3 central pixels is {words} ({plane})")
    _add_lsst_names(schema, radii, aperture_name(calibration))
    return schema


def _add_lsst_names(schema: Schema, radii: Sequence[float], calibration: str) -> None:
    slots = {
        "PsfFlux": ("base_PsfFlux", "psf_flux"),
        "GaussianFlux": ("base_GaussianFlux", "gaussian_flux"),
        "ModelFlux": ("", "gaussian_flux"),
        "ApFlux": ("", calibration),
        "CalibFlux": ("", calibration),
    }
    for slot, (measurement, column) in slots.items():
        for prefix in filter(None, (f"slot_{slot}", measurement)):
            schema.aliases[f"{prefix}_instFlux"] = column
            schema.aliases[f"{prefix}_instFluxErr"] = f"{column}_err"
            schema.aliases[f"{prefix}_flag"] = "shape_flag" if column == "gaussian_flux" else f"{column}_flag"
    for radius in radii:
        prefix = "base_CircularApertureFlux_" + f"{radius:.1f}".replace(".", "_")
        schema.aliases[f"{prefix}_instFlux"] = aperture_name(radius)
        schema.aliases[f"{prefix}_instFluxErr"] = f"{aperture_name(radius)}_err"
        schema.aliases[f"{prefix}_flag"] = f"{aperture_name(radius)}_flag"
    for prefix in ("slot_Centroid", "base_SdssCentroid"):
        for lsst, column in (("x", "x"), ("y", "y"), ("xErr", "x_err"), ("yErr", "y_err"), ("flag", "centroid_flag")):
            schema.aliases[f"{prefix}_{lsst}"] = column
    for prefix, column in (("slot_Shape", "shape"), ("base_SdssShape", "shape"), ("slot_PsfShape", "psf_shape")):
        for moment in ("xx", "yy", "xy"):
            schema.aliases[f"{prefix}_{moment}"] = f"{column}_{moment}"
    schema.aliases["slot_Shape_flag"] = "shape_flag"
    schema.aliases["base_ClassificationExtendedness_value"] = "extendedness"
