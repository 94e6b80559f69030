"""A tour of the vocabulary: every call of the introduction to LSST's data concepts (S. Krughoff, 2018), running here.

    python examples/seed_tour.py REPO VISIT [DETECTOR]

REPO is a processed repository, such as the one that ``make demo`` leaves. Only the import lines differ from the slides.
The names are LSST's; each has a PEP 8 twin (``calexp.masked_image`` for ``calexp.getMaskedImage()``).
"""

import sys
from datetime import UTC, datetime
from typing import Any

from skybutler import Butler
from skybutler.imaging import MEAN, MEDIAN, Box2I, Extent2I, Point2I, makeStatistics
from skybutler.pipelines import IsrTask


def tour(root: str, visit: int, detector: int = 0) -> dict[str, Any]:
    """Make every call of the tour and return what came of them."""
    seen: dict[str, Any] = {}

    # Input and output: ask by dataset type and data ID
    data_id = {"visit": visit, "detector": detector}
    butler = Butler(root, run=f"u/tour/{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}")  # each tour puts into a RUN of its own
    raw = butler.get("raw", **data_id)
    some_catalog = butler.get("src", **data_id)
    some_catalog = some_catalog.copy()
    butler.put("src", some_catalog, **data_id)
    seen["raw"] = raw

    # An exposure holds what is known about an image
    calexp = butler.get("calexp", **data_id)
    md = calexp.getMetadata()
    psf = calexp.getPsf()
    wcs = calexp.getWcs()
    masked_image = calexp.getMaskedImage()
    calib = calexp.getCalib()
    seen |= {"metadata": md, "psf": psf, "wcs": wcs, "calib": calib}

    # Pixels: image, mask and variance
    im = masked_image.getImage()
    mask = masked_image.getMask()
    var = masked_image.getVariance()
    im_arr, mask_arr, var_arr = masked_image.getArrays()
    seen |= {"planes": (im, mask, var), "arrays": (im_arr, mask_arr, var_arr)}

    # One plane: x first, then y
    value = im[10, 40]
    im[45:50, 15:26] = 15
    size = im.getDimensions()
    offset = im.getXY0()
    arr = im.getArray()
    seen |= {"value": value, "size": size, "offset": offset, "arr": arr}

    # Bounding boxes cut out views
    point = Point2I(10, 10)
    ext = Extent2I(31, 54)
    box = Box2I(point, ext)
    sub_im = masked_image[box]
    seen |= {"sub_im": sub_im, "sub_copy": sub_im.clone()}

    # Catalogs: rows on columns
    src = butler.get("src", **data_id)
    seen["schema"] = src.schema
    seen["column"] = src.get("psf_flux")
    coords = src.getCoord()
    table = src.asAstropy()
    ids = [record["id"] for record in src]
    seen |= {"src": src, "coords": coords, "table": table, "ids": ids}

    # Arithmetic in place carries mask and variance
    mi1 = masked_image.clone()
    mi2 = masked_image.clone()
    mi1 += mi2
    mi1 -= mi2
    mi1 /= mi2
    mi1 *= mi2
    try:
        mi1 = mi1 + mi2
    except NotImplementedError as reason:
        seen["why not mi1 + mi2"] = str(reason)
    stats = makeStatistics(mi1, MEAN | MEDIAN)
    mean = stats.getValue(MEAN)
    seen |= {"stats": stats, "mean": mean, "mi1": mi1}

    # Tasks: algorithms with configuration
    config = IsrTask.ConfigClass()
    seen["config"] = config  # help(config) lists its fields
    config.doDark = False
    task = IsrTask(config=config)
    result = task.run(ccd_exposure=raw, camera=butler.get("camera"))
    seen["isr"] = result.exposure
    return seen


def main() -> None:
    """Take the tour and print what was seen."""
    if len(sys.argv) not in (3, 4) or not all(number.isdecimal() for number in sys.argv[2:]):
        raise SystemExit(__doc__)
    for name, value in tour(sys.argv[1], *map(int, sys.argv[2:])).items():
        text = " ".join(repr(value).split())
        print(f"{name:>18}  {text[:140]}{'…' if len(text) > 140 else ''}")


if __name__ == "__main__":
    main()
