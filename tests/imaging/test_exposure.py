import copy
import pickle

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from skybutler.imaging.ap_corr import ApCorrMap
from skybutler.imaging.background import Background, BackgroundList
from skybutler.imaging.chebyshev import ChebyshevField
from skybutler.imaging.components import COMPONENTS
from skybutler.imaging.detector import Detector
from skybutler.imaging.exposure import Exposure
from skybutler.imaging.filter import Filter
from skybutler.imaging.geometry import Box2I, Extent2I, Point2D, Point2I
from skybutler.imaging.header import Header
from skybutler.imaging.masked_image import MaskedImage
from skybutler.imaging.photo_calib import PhotoCalib
from skybutler.imaging.polygon import Polygon
from skybutler.imaging.psf import GaussianPsf
from skybutler.imaging.visit_info import VisitInfo
from skybutler.imaging.wcs import Wcs

BOX = Box2I(Point2I(100, 50), Extent2I(40, 30))


@pytest.fixture
def exposure():
    masked_image = MaskedImage.full(BOX, (1.0, 0, 2.0))
    masked_image.image.array[:] = np.arange(1200).reshape(30, 40)
    return Exposure(
        masked_image,
        wcs=Wcs.make_tan((110.0, 60.0), (30.0, 40.0), [[-1e-4, 0], [0, 1e-4]]),
        psf=GaussianPsf(11, 11, 2.0),
        photo_calib=PhotoCalib.from_zero_point(25.0),
        background=Background(BOX, [[3.0]]),
        visit_info=VisitInfo(exposure_time=30.0),
        filter=Filter("sdss_r", "r"),
        detector=Detector(0, "ccd", Box2I(Point2I(0, 0), Extent2I(1024, 1024))),
        ap_corr=ApCorrMap({"base_PsfFlux_instFlux": ChebyshevField(BOX, [[1.1]])}),
        valid_polygon=Polygon([[100, 50], [140, 50], [140, 80]]),
        summary_stats={"psfSigma": 2.0},
        id=1234,
        metadata={"EXPTIME": 30.0},
    )


def test_components_are_attributes_and_none_where_absent(exposure):
    bare = Exposure(MaskedImage.full(BOX, 0.0))
    assert bare.components == {}
    assert all(getattr(bare, name) is None for name in COMPONENTS if name != "metadata")
    assert len(bare.metadata) == 0
    assert exposure.calib is exposure.photo_calib
    assert list(exposure.components) == [name for name in COMPONENTS if name != "metadata"]
    assert exposure.filter.band == "r"
    with pytest.raises(TypeError, match="takes MaskedImage, not ndarray"):
        exposure.masked_image = np.zeros((30, 40))
    exposure.psf = None
    assert exposure.psf is None
    assert "psf" not in exposure.components


def test_the_seeds_words_are_heard(exposure):
    assert exposure.getMetadata()["EXPTIME"] == 30.0
    assert exposure.getPsf() is exposure.psf
    assert exposure.getWcs() is exposure.wcs
    assert exposure.getCalib() is exposure.photo_calib
    assert exposure.getMaskedImage() is exposure.masked_image
    assert exposure.hasPsf()
    exposure.setPsf(None)
    assert not exposure.hasPsf()
    width, height = exposure.getDimensions()
    assert (width, height) == (40, 30)
    assert exposure.getBBox() == BOX
    assert tuple(exposure.getXY0()) == (100, 50)


def test_wrong_and_unknown_components_are_refused(exposure):
    with pytest.raises(TypeError, match=r"exposure\.psf takes Psf or None, not int"):
        exposure.psf = 3
    with pytest.raises(TypeError, match=r"exposure\.background takes Background or BackgroundList or None"):
        exposure.background = 3.0
    with pytest.raises(TypeError, match="no component 'point_spread'"):
        Exposure(exposure.masked_image, point_spread=exposure.psf)
    exposure.calib = PhotoCalib(2.0)
    assert exposure.photo_calib.calibration_mean == 2.0


def test_a_part_shares_pixels_and_keeps_the_sky(exposure):
    box = Box2I(Point2I(110, 55), Extent2I(10, 5))
    part = exposure[box]
    assert isinstance(part, Exposure)
    assert part.bbox == box
    part.image.array[:] = -1.0
    assert exposure.image[110, 55] == -1.0
    assert exposure.image[109, 55] == 209.0
    assert part.wcs is exposure.wcs
    assert part.wcs.pixel_to_sky(110, 60).ra.deg == pytest.approx(30.0)
    part.psf = None
    assert exposure.psf is not None
    assert exposure[110:112, 55:57].dimensions == Extent2I(2, 2)
    assert exposure[110, 55] == (-1.0, 0, 2.0)
    exposure[box] = Exposure(MaskedImage.full(box, (5.0, "BAD", 6.0)))
    assert exposure[110, 55] == (5.0, exposure.mask.plane_bit_mask("BAD"), 6.0)


def test_a_clone_has_pixels_and_changing_parts_of_its_own(exposure):
    made = exposure.clone()
    made.image.array[:] = 0
    made.metadata["EXPTIME"] = 1.0
    made.summary_stats["psfSigma"] = 9.0
    made.background += 1.0
    assert exposure.image[101, 50] == 1.0
    assert exposure.metadata["EXPTIME"] == 30.0
    assert exposure.summary_stats == {"psfSigma": 2.0}
    assert exposure.background.mean == 3.0
    assert made.wcs is exposure.wcs


def test_a_new_origin_moves_the_sky_along(exposure):
    before = exposure.wcs.pixel_to_sky(100, 50)
    exposure.setXY0(Point2I(0, 0))
    assert exposure.bbox == Box2I(Point2I(0, 0), Extent2I(40, 30))
    assert exposure.wcs.pixel_to_sky(0, 0).separation(before).arcsec < 1e-6


def test_a_cutout_is_padded_with_no_data(exposure):
    cut = exposure.get_cutout(Point2D(100, 50), Extent2I(5, 5))
    assert cut.bbox == Box2I(Point2I(98, 48), Extent2I(5, 5))
    no_data = cut.mask.plane_bit_mask("NO_DATA")
    assert cut.image[100, 50] == 0.0
    assert cut.image[102, 52] == 82.0
    assert cut.mask.array.tolist() == [[no_data] * 5] * 2 + [[no_data] * 2 + [0] * 3] * 3
    assert np.isnan(cut.image[98, 48])
    assert np.isinf(cut.variance[98, 48])
    assert cut.psf is exposure.psf
    cut.image.array[:] = 0
    assert exposure.image[102, 52] == 82.0


def test_a_cutout_is_found_on_the_sky(exposure):
    cut = exposure.get_cutout(SkyCoord(30, 40, unit="deg"), (3, 3))
    assert cut.bbox == Box2I(Point2I(109, 59), Extent2I(3, 3))
    assert exposure.contains_sky_coords(SkyCoord([30, 31], [40, 40], unit="deg")).tolist() == [True, False]
    with pytest.raises(ValueError, match="outside the image"):
        exposure.get_cutout(SkyCoord(31, 40, unit="deg"), (3, 3))
    exposure.wcs = None
    with pytest.raises(ValueError, match="no wcs"):
        exposure.get_cutout(SkyCoord(30, 40, unit="deg"), (3, 3))


def test_the_centre_of_a_cutout_is_within_the_pixels(exposure):
    exposure.get_cutout(Point2D(99.5, 49.5), (3, 3))
    for center in ((99.4999, 60), (139.5001, 60), (110, 80), (np.nan, 60)):
        with pytest.raises(ValueError, match="outside the image"):
            exposure.get_cutout(Point2D(*center), (3, 3))
    with pytest.raises(ValueError, match="one pixel or more"):
        exposure.get_cutout(Point2D(110, 60), (0, 3))


def test_every_component_packs_and_comes_back(exposure):
    for name, value in exposure.components.items():
        component = COMPONENTS[name]
        again = component.unpack(component.pack(value), component.version)
        assert isinstance(again, component.kinds)
        assert repr(again) == repr(value)
        with pytest.raises(ValueError, match=f"file's {name} is of version 99"):
            component.unpack(component.pack(value), 99)
    several = BackgroundList([exposure.background])
    assert len(COMPONENTS["background"].unpack(COMPONENTS["background"].pack(several))) == 1
    header = COMPONENTS["metadata"].unpack(COMPONENTS["metadata"].pack(exposure.metadata))
    assert header == exposure.metadata
    hdus = [component.hdu for component in COMPONENTS.values() if component.hdu is not None]
    assert len(set(hdus)) == len(hdus)
    assert COMPONENTS["psf"].hdu == "PSF"


def test_it_pickles_and_deep_copies(exposure):
    for same in (pickle.loads(pickle.dumps(exposure)), copy.deepcopy(exposure)):
        assert repr(same) == repr(exposure)
        np.testing.assert_array_equal(same.image.array, exposure.image.array)
        assert same.wcs == exposure.wcs


def test_repr_says_what_it_holds(exposure):
    bare = Exposure(MaskedImage.full(BOX, 0.0), metadata=Header({"A": 1}), filter=Filter("sdss_r", "r"))
    assert repr(bare) == "Exposure(40x30 float32 at (100, 50) sdss_r (r), filter, 1 header cards)"
    html = exposure._repr_html_()
    assert 'src="data:image/png;base64,iVBORw0KGgo' in html
    assert "wcs, psf" in html


def test_lsst_code_finds_components_by_the_info(exposure):
    info = exposure.getInfo()
    assert info.getVisitInfo() is exposure.visit_info
    assert info.getApCorrMap() is exposure.ap_corr
    info.setApCorrMap(None)
    assert (exposure.ap_corr, exposure.info.hasApCorrMap()) == (None, False)
    info.setId(5)
    assert exposure.id == 5
    assert (info.hasId(), info.hasWcs(), info.getFilter()) == (True, True, Filter("sdss_r", "r"))


def test_an_id_is_an_integer_of_any_kind_and_no_truth_value(exposure):
    for given in (np.int64(7), np.uint16(7), np.array(7), 7):
        exposure.id = given
        assert exposure.id == 7
        assert type(exposure.id) is int
    for wrong in (True, 7.0, "7", np.float64(7)):
        with pytest.raises(TypeError, match=r"exposure\.id takes int or None"):
            exposure.id = wrong
    with pytest.raises(TypeError, match=r"exposure\.summary_stats takes dict or None, not bool"):
        exposure.summary_stats = True


def test_misspelt_attributes_are_refused(exposure):
    with pytest.raises(AttributeError, match="phto_calib"):
        exposure.phto_calib = PhotoCalib(2.0)
    for made in (copy.copy(exposure), pickle.loads(pickle.dumps(exposure))):
        assert list(made.components) == list(exposure.components)


def test_a_cutout_of_a_box_is_that_box(exposure):
    box = Box2I(Point2I(135, 70), Extent2I(8, 5))
    cutout = exposure.getCutout(box)
    assert cutout.bbox == box
    assert cutout.image[135, 70] == 835.0
    assert cutout.mask.as_string(140, 70) == "NO_DATA"
    assert np.isposinf(cutout.variance[140, 70])
    with pytest.raises(ValueError, match="outside the image"):
        exposure.get_cutout(box.shifted_by(Extent2I(5, 0)))
    assert exposure.get_cutout(box.shifted_by(Extent2I(4, 9))).image[139, 79] == 1199.0  # its centre is outside
    with pytest.raises(ValueError, match="outside the image"):
        exposure.get_cutout(Box2I())
    with pytest.raises(TypeError, match="needs a size"):
        exposure.get_cutout(Point2D(110, 60))


def test_the_image_on_the_sky_as_a_region_and_by_quantities(exposure):
    from astropy import units
    from lsst.sphgeom import LonLat, UnitVector3d

    wcs = exposure.wcs
    for padding, inside in ((10, True), (0, False)):
        region = exposure.getConvexPolygon(padding)
        assert len(region.getVertices()) == 4
        for x, y, near in ((120, 65, True), (145, 65, inside), (151, 65, False), (120, 84, inside), (120, 91, False)):
            sky = wcs.pixel_to_sky(x, y)
            assert region.contains(UnitVector3d(LonLat.fromDegrees(sky.ra.deg, sky.dec.deg))) == near
    corner = wcs.pixel_to_sky(89.5, 39.5)
    vertices = [LonLat(vertex) for vertex in exposure.getConvexPolygon().getVertices()]
    assert (
        min(
            abs(v.getLon().asDegrees() - corner.ra.deg) + abs(v.getLat().asDegrees() - corner.dec.deg) for v in vertices
        )
        < 1e-12
    )
    sky = wcs.pixel_to_sky(np.array([100.0, 139.0, 140.0]), np.array([50.0, 79.0, 60.0]))
    assert exposure.containsSkyCoords(sky.ra, sky.dec).tolist() == [True, True, False]
    assert exposure.containsSkyCoords(sky.ra.deg * units.deg, sky.dec.rad * units.rad).tolist() == [True, True, False]
    exposure.wcs = None
    with pytest.raises(ValueError, match="no wcs"):
        exposure.get_convex_polygon()


def test_aperture_corrections_are_set_and_scaled_in_a_clone_alone(exposure):
    made = exposure.clone()
    made.ap_corr["other"] = ChebyshevField(BOX, [[1.0]])
    made.ap_corr.set("other", ChebyshevField(BOX, [[2.0]]))
    made.ap_corr *= 2.0
    assert {name: field.mean() for name, field in made.ap_corr.items()} == {"base_PsfFlux_instFlux": 2.2, "other": 4.0}
    assert [(name, field.mean()) for name, field in exposure.ap_corr.items()] == [("base_PsfFlux_instFlux", 1.1)]


def test_pixels_are_converted_by_lsst_names(exposure):
    counts = Exposure(MaskedImage.full(BOX, (7, "BAD", 2.0), dtype="int32"), exposure.wcs)
    for made, dtype in ((counts.convertF(), "float32"), (counts.convertD(), "float64")):
        assert (made.image.dtype, made[100, 50], made.wcs) == (dtype, (7.0, 1, 2.0), exposure.wcs)
        assert counts.masked_image.astype(dtype).dtype == counts.image.convertD().astype(dtype).dtype == dtype
    with pytest.raises(TypeError, match="Mask is made of integers, not of float32"):
        counts.mask.convertF()
