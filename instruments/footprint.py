"""Where on the sky a detector looks, from the WCS in its header."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import atan2, cos, degrees, hypot, radians, sin

__all__ = ["is_plain_tan", "sky_positions", "tan_to_sky"]

_DISTORTED = ("A_ORDER", "B_ORDER", "PV1_1", "PV2_1", "LONPOLE", "LATPOLE", "CPDIS1", "D2IMDIS1", "WAT1_001")


def is_plain_tan(header: Mapping[str, object]) -> bool:
    """Whether a header's WCS is a tangential projection in degrees, right ascension first, with no distortion."""
    return (
        header.get("CTYPE1") == "RA---TAN"
        and header.get("CTYPE2") == "DEC--TAN"
        and all(header[key] == "deg" for key in ("CUNIT1", "CUNIT2") if key in header)
        and not any(key in header for key in _DISTORTED)
        and not ("CRVAL2" in header and header["CRVAL2"] == 90.0)  # about the pole LONPOLE has another default
    )


def tan_to_sky(header: Mapping[str, object], pixels: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Deproject pixels of a plain TAN WCS (Calabretta & Greisen 2002, equations 1, 3, 54 and 55).

    Parameters
    ----------
    header
        CRVAL, CRPIX and a CD matrix, or a PC matrix or CROTA2 with CDELT.
    pixels
        FITS pixel coordinates: the centre of the first pixel is (1, 1).

    Returns
    -------
    positions
        Right ascension in [0, 360) and declination, degrees.

    Raises
    ------
    KeyError
        A key is missing.
    ValueError
        A value is not a number.
    """

    def number(key: str, default: float | None = None) -> float:
        value = header[key] if key in header else None  # noqa: SIM401 - Header.get is slow for a key that is not there
        if value is None:
            if default is None:
                raise KeyError(key)
            return default
        return float(str(value))

    if any(f"CD{i}_{j}" in header for i in (1, 2) for j in (1, 2)):
        cd11, cd12, cd21, cd22 = (number(f"CD{i}_{j}", 0.0) for i in (1, 2) for j in (1, 2))
    else:
        scale_x, scale_y = number("CDELT1", 1.0), number("CDELT2", 1.0)
        if "CROTA2" in header and not any(f"PC{i}_{j}" in header for i in (1, 2) for j in (1, 2)):
            turn = radians(number("CROTA2"))
            pc11, pc12 = cos(turn), -sin(turn) * scale_y / scale_x
            pc21, pc22 = sin(turn) * scale_x / scale_y, cos(turn)
        else:
            pc11, pc12, pc21, pc22 = (
                number("PC1_1", 1.0),
                number("PC1_2", 0.0),
                number("PC2_1", 0.0),
                number("PC2_2", 1.0),
            )
        cd11, cd12, cd21, cd22 = scale_x * pc11, scale_x * pc12, scale_y * pc21, scale_y * pc22
    ra0, dec0 = radians(number("CRVAL1")), radians(number("CRVAL2"))
    x0, y0 = number("CRPIX1"), number("CRPIX2")
    positions = []
    for x, y in pixels:
        dx, dy = x - x0, y - y0
        xi, eta = radians(cd11 * dx + cd12 * dy), radians(cd21 * dx + cd22 * dy)
        across = cos(dec0) - eta * sin(dec0)
        ra = ra0 + atan2(xi, across)
        dec = atan2(sin(dec0) + eta * cos(dec0), hypot(xi, across))
        positions.append((degrees(ra) % 360.0, degrees(dec)))
    return positions


def sky_positions(header: Mapping[str, object], pixels: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the sky positions of pixels: by formula for a plain TAN, through `astropy.wcs` for anything else.

    Parameters
    ----------
    header
        A FITS header with a celestial WCS.
    pixels
        FITS pixel coordinates: the centre of the first pixel is (1, 1).

    Returns
    -------
    positions
        Right ascension in [0, 360) and declination, degrees.

    Raises
    ------
    KeyError, ValueError
        The WCS lacks a key, or means nothing.
    """
    if is_plain_tan(header):
        return tan_to_sky(header, pixels)
    import warnings

    from astropy.io import fits
    from astropy.wcs import WCS

    cards = fits.Header({key: value for key, value in header.items() if key and key not in ("COMMENT", "HISTORY")})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # astropy tells what it mended; the footprint does not depend on it
        sky = WCS(cards).celestial.all_pix2world(list(pixels), 1)
    return [(float(ra) % 360.0, float(dec)) for ra, dec in sky]
