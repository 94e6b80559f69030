"""WCS that afw keeps as the text of Starlink AST: what AST says of them, and what FITS has no words for."""

import logging

import numpy as np
import pytest
from astropy.io import fits

import skybutler
from skybutler.imaging import Exposure, MaskedImage, Wcs
from skybutler.model.errors import FileFormatError
from skybutler.storage.formatters.afw_wcs import wcs_from_ast

TO_SKY = """
Map{number} =
 Begin CmpMap
  InvA = 1
  InvB = 1
  MapA =
   Begin ZoomMap
    Nin = 2
    Zoom = 57.295779513082323
   End ZoomMap
  MapB =
   Begin CmpMap
    InvA = 1
    MapA =
     Begin SphMap
      Nin = 3
     End SphMap
    MapB =
     Begin CmpMap
      InvA = 1
      MapA =
       Begin MatrixMap
        Nin = 3
        M0 = 1
        M4 = 1
        M8 = 1
       End MatrixMap
      MapB =
       Begin CmpMap
        MapA =
         Begin SphMap
          Nin = 3
         End SphMap
        MapB =
         Begin WcsMap
          Nin = 2
          Type = "{projection}"
         End WcsMap
       End CmpMap
     End CmpMap
   End CmpMap
 End CmpMap
"""


def frame_set(mapping, projection="TAN", system="ICRS"):
    """Return a frame set of pixels, the tangent plane in degrees, and the sky about its north pole."""
    frames = "\n".join(f"Frm{i} =\n Begin Frame\n  Naxes = 2\n End Frame" for i in (1, 2))
    sky = f'Frm3 =\n Begin SkyFrame\n  System = "{system}"\n End SkyFrame'
    links = "Nframe = 3\nCurrnt = 3\nLnk2 = 1\nLnk3 = 2"
    to_plane = f"Map2 =\n{mapping}"
    text = f"{frames}\n{sky}\n{links}\n{to_plane}\n{TO_SKY.format(number=3, projection=projection)}"
    return f"1 SkyWcs 0 Begin FrameSet\n{text}\nEnd FrameSet"


SHIFT = " Begin ShiftMap\n  Nin = 2\n  Sft1 = -10\n  Sft2 = -20\n End ShiftMap"
MATRIX = ' Begin MatrixMap\n  Nin = 2\n  Form = "Diagonal"\n  M0 = -0.001\n  M1 = 0.002\n End MatrixMap'


def chained(first, second, *flags):
    return "\n".join([" Begin CmpMap", *flags, "MapA =", first, "MapB =", second, " End CmpMap"])


@pytest.mark.parametrize(
    ("name", "sky"),
    [
        ("jointcal_wcs-0030600-088.fits", (360 - 146.27627961343552, 52.990288759278364)),
        ("jointcal_wcs-0034772-004.fits", (360 - 20.50534785603258, 0.76619605537553)),
    ],
)
def test_polynomials_to_the_tangent_plane_are_what_ast_says(shared_data, name, sky):
    wcs = skybutler.read(shared_data / "afw" / name)
    assert isinstance(wcs, Wcs)
    found = wcs.pixel_to_sky(1000, 2000)
    assert (found.ra.deg, found.dec.deg) == pytest.approx(sky, abs=1e-11)
    assert wcs.sky_to_pixel(found) == pytest.approx((1000, 2000), abs=1e-5)
    assert str(wcs.to_header()["CTYPE1"]) == "RA---TAN-SIP"


def test_shifts_and_matrices_are_a_plain_tangent_projection():
    wcs = wcs_from_ast(frame_set(chained(SHIFT, MATRIX)))
    assert wcs.pixel_origin == pytest.approx((10, 20))
    assert wcs.sky_origin.dec.deg == pytest.approx(90)
    assert wcs.cd_matrix == pytest.approx(np.diag([-0.001, 0.002]))
    assert str(wcs.to_header()["CTYPE1"]) == "RA---TAN"
    south = wcs.pixel_to_sky(10, 19)  # (0, -0.002) degrees on the plane, whose native longitude is 0
    assert (south.ra.wrap_at("180d").deg, south.dec.deg) == pytest.approx((0, 90 - 0.002))
    east = wcs.pixel_to_sky(9, 20)
    assert (east.ra.deg, east.dec.deg) == pytest.approx((90, 90 - 0.001))


def test_mappings_that_are_used_the_other_way_round_are_inverted_in_reverse_order():
    wcs = wcs_from_ast(
        frame_set(chained(SHIFT, MATRIX).replace("ShiftMap", "WinMap")).replace("Lnk2", "Inv2 = 1\nLnk2")
    )
    assert wcs.pixel_origin == pytest.approx((0.01, -0.04))
    assert wcs.cd_matrix == pytest.approx(np.diag([-1000.0, 500.0]))


def test_a_polynomial_of_its_own_is_expanded_about_the_point_of_tangency():
    first = "  NCF1 = 3\n  CF1 = -1\n  CF2 = 0.01\n  PF3 = 1\n  CF3 = 0.00001\n  PF5 = 2"
    second = "  NCF2 = 2\n  CF4 = -2\n  CF5 = 0.02\n  PF10 = 1"
    poly = f" Begin PolyMap\n  Nin = 2\n{first}\n{second}\n End PolyMap"
    wcs = wcs_from_ast(frame_set(poly))
    root = (-0.01 + (0.01**2 + 4e-5) ** 0.5) / 2e-5  # of 1e-5 x² + 0.01 x - 1
    assert wcs.pixel_origin == pytest.approx((root, 100))
    assert wcs.cd_matrix == pytest.approx(np.diag([0.01 + 2e-5 * root, 0.02]))
    assert wcs.to_header()["A_2_0"] == pytest.approx(1e-5 / (0.01 + 2e-5 * root))


def test_what_fits_has_no_words_for_is_refused_by_name():
    good = chained(SHIFT, MATRIX)
    for text, words in (
        (frame_set(good.replace("ShiftMap", "PcdMap")), "a PcdMap on the way to the sky"),
        (
            frame_set(good, projection="ZPN"),
            r"\(ShiftMap, MatrixMap, ZoomMap, WcsMap, SphMap\) do not end in a gnomonic",
        ),
        (frame_set(good, system="GALACTIC"), "no sky of the ICRS"),
        (frame_set(good.replace("Begin CmpMap", "Begin CmpMap\nSeries = 0")), "side by side"),
        (frame_set(good).replace("Lnk2 = 1\n", ""), "do not lead from the pixels"),
        ("1 SkyWcs 0 nothing", "no FrameSet"),
    ):
        with pytest.raises(FileFormatError, match=words):
            wcs_from_ast(text)


def test_the_approximation_beside_what_is_refused_is_taken():
    exact, close = frame_set(chained(SHIFT, MATRIX), projection="ZPN"), frame_set(chained(SHIFT, MATRIX))
    assert wcs_from_ast(f"{exact}\n{close}") == wcs_from_ast(close)


def test_the_archive_says_what_the_header_says(shared_data, tmp_path):
    given = shared_data / "afw" / "exposure-version-2.fits"
    with fits.open(given) as file:
        for hdu in file[1:4]:
            del hdu.header["CTYPE1"], hdu.header["CTYPE2"]
        file.writeto(tmp_path / "a.fits")
    ours, theirs = (skybutler.read(path, "Exposure").wcs for path in (tmp_path / "a.fits", given))
    assert ours.pixel_to_sky(7, 9).separation(theirs.pixel_to_sky(7, 9)).arcsec < 1e-9


def test_components_that_have_no_place_are_named(shared_data, tmp_path, caplog):
    with fits.open(shared_data / "afw" / "exposure-version-2.fits") as file:
        file[0].header["HIERARCH COADD_INPUTS_ID"] = 2
        file[0].header["HIERARCH ARCHIVE_ID_COADD_INPUTS"] = 2
        file[0].header["HIERARCH PSF_ID"] = 3
        file.writeto(tmp_path / "a.fits")
    with caplog.at_level(logging.WARNING):
        exposure = skybutler.read(tmp_path / "a.fits", "Exposure")
    assert exposure.psf is None
    said = " ".join(record.message for record in caplog.records)
    assert "read without COADD_INPUTS (PhotoCalib), which exposures have no place for" in said
    assert "read without its psf, which is a ChebyshevField" in said
    caplog.clear()
    skybutler.write(Exposure(MaskedImage.full((2, 2))), tmp_path / "b.fits")
    skybutler.read(tmp_path / "b.fits")
    assert not caplog.records
