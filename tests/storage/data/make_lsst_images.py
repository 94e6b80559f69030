"""Write a masked image and a visit image with the lsst-images package: ``python make_lsst_images.py FOLDER``.

Run by a Python that has ``lsst-images[https]``; the gzipped files beside this one were written so, by its version
30.2026.4300.
"""

import sys
from pathlib import Path

import astropy.units as u
import numpy as np
from astro_metadata_translator import ObservationInfo
from astropy.time import Time
from astropy.wcs import WCS
from lsst.images import (
    Box,
    DetectorFrame,
    GeneralFrame,
    Image,
    Mask,
    MaskedImage,
    MaskPlane,
    MaskSchema,
    SkyProjection,
    VisitImage,
)
from lsst.images.cameras import Detector, DetectorAttributes, DetectorType, Orientation
from lsst.images.cameras._camera_frame_set import CameraFrameSet, astshim
from lsst.images.fields import ChebyshevField
from lsst.images.psfs import GaussianPointSpreadFunction

HEADER = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 30.0, "CRPIX2": 20.0, "CRVAL1": 150.0, "CRVAL2": 2.2,
          "CD1_1": -5e-5, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 5e-5}  # fmt: skip


def main(folder: Path) -> None:
    """Write both files."""
    rng = np.random.default_rng(7)
    box = Box.factory[100:148, 1000:1056]
    image = Image(rng.normal(1000, 12, box.shape).astype("f4"), bbox=box, unit=u.nJy)
    planes = [MaskPlane("BAD", "bad pixels"), MaskPlane("SATURATED", "saturated"), None, MaskPlane("NO_DATA", "none")]
    mask = Mask(0, schema=MaskSchema(planes, dtype=np.uint8), bbox=box)
    for name, limit in (("SATURATED", 0.9), ("NO_DATA", 0.95), ("BAD", 0.97)):
        mask.set(name, rng.random(box.shape) > limit)
    given = {"mask": mask, "variance": Image((image.array / 1.3).astype("f4"), bbox=box, unit=u.nJy**2)}
    pixels = {"pixel_bounds": box, "x0": box.x.start, "y0": box.y.start}
    sky = SkyProjection.from_fits_wcs(WCS(HEADER), GeneralFrame(unit=u.pix), **pixels)
    masked = MaskedImage(image, **given, sky_projection=sky, metadata={"OBJECT": "M13", "seeing": 0.7})
    masked.write(str(folder / "masked_image.fits"))

    frames = astshim.FrameSet(astshim.Frame(2, "Ident=FOCAL_PLANE,Unit(1)=mm,Unit(2)=mm"))
    frames.addFrame(1, astshim.ZoomMap(2, 0.001), astshim.Frame(2, "Ident=FIELD_ANGLE,Unit(1)=rad,Unit(2)=rad"))
    frames.addFrame(1, astshim.ZoomMap(2, 100.0), astshim.Frame(2, "Ident=DETECTOR_003,Unit(1)=pixel,Unit(2)=pixel"))
    whole, none = Box.factory[0:4000, 0:2000], 0 * u.deg
    place = Orientation(focal_plane_x=0.0, focal_plane_y=0.0, focal_plane_z=0.0, yaw=none, pitch=none, roll=none)
    attributes = DetectorAttributes(name="S03", id=3, type=DetectorType.SCIENCE, serial="x7", bbox=whole,
                                    pixel_size=0.01, physical_type="CCD", orientation=place)  # fmt: skip
    info = ObservationInfo(
        instrument="Cam", visit_id=12, exposure_id=12, physical_filter="sdss_r", detector_num=3, object="M13",
        exposure_time=30 * u.s, dark_time=31 * u.s, boresight_airmass=1.2, observation_type="science",
        datetime_begin=Time("2019-05-03T08:44:09", scale="tai"), datetime_end=Time("2019-05-03T08:44:39", scale="tai"),
        temperature=280 * u.K, pressure=780 * u.hPa, relative_humidity=30.0,
    )  # fmt: skip
    VisitImage(
        image, **given, obs_info=info, psf=GaussianPointSpreadFunction(1.8, box, 21), band="r",
        sky_projection=SkyProjection.from_fits_wcs(
            WCS(HEADER), DetectorFrame(instrument="Cam", visit=12, detector=3, bbox=whole), **pixels
        ),
        detector=Detector(attributes, [], CameraFrameSet("Cam", frames), visit=12),
        aperture_corrections={"base_PsfFlux": ChebyshevField(box, np.array([[1.0, 0.01], [0.02, 0.003]]))},
    ).write(str(folder / "visit_image.fits"))  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))
