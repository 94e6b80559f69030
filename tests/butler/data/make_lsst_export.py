"""Make ``lsst_export/`` and ``lsst_bundle.zip`` with LSST's butler: ``.lsst-venv/bin/python make_lsst_export.py``."""

import shutil
import tempfile
from pathlib import Path

import lsst.sphgeom as sg
from astropy.table import Table
from astropy.time import Time, TimeDelta
from lsst.daf.butler import Butler, CollectionType, DatasetType, Timespan

HERE = Path(__file__).parent
RECORDS = [
    ("instrument", {"name": "Cam", "class_name": "x", "detector_max": 4, "visit_max": 100, "exposure_max": 100}),
    ("physical_filter", {"instrument": "Cam", "name": "Cam-g", "band": "g"}),
    *(("detector", {"instrument": "Cam", "id": n, "full_name": f"D{n}"}) for n in (0, 1)),
    ("day_obs", {"instrument": "Cam", "id": 20250101, "timespan": Timespan.from_day_obs(20250101)}),
    ("visit_system", {"instrument": "Cam", "id": 0, "name": "one"}),
    ("group", {"instrument": "Cam", "name": "g1"}),
]

with tempfile.TemporaryDirectory() as folder:
    Butler.makeRepo(folder)
    butler = Butler.from_config(folder, writeable=True, run="u/run")
    registry, universe = butler.registry, butler.dimensions
    begin = Time("2025-01-01T03:00:00.123456789", format="isot", scale="tai")
    corners = [sg.UnitVector3d(sg.LonLat.fromDegrees(*corner)) for corner in ((0, 0), (1, 0), (1, 1), (0, 1))]
    region = sg.ConvexPolygon(corners)
    taken = {"instrument": "Cam", "id": 1, "physical_filter": "Cam-g", "day_obs": 20250101, "exposure_time": 30.0,
             "timespan": Timespan(begin, begin + TimeDelta(30, format="sec"))}  # fmt: skip
    visit = {"instrument": "Cam", "visit": 1}
    RECORDS += [
        ("exposure", taken | {"obs_id": "e1", "group": "g1", "can_see_sky": True, "seq_num": 1, "tracking_ra": 10.0}),
        ("visit", taken | {"name": "v1", "region": region, "azimuth": 3.0}),
        ("visit_definition", visit | {"exposure": 1}),
        ("visit_system_membership", visit | {"visit_system": 0}),
        *(("visit_detector_region", visit | {"detector": n, "region": region}) for n in (0, 1)),
    ]
    for element, row in RECORDS:
        registry.insertDimensionData(element, row)
    registry.registerDatasetType(DatasetType("cat", ["visit", "detector"], "ArrowAstropy", universe=universe))
    registry.registerDatasetType(DatasetType("info", ["visit"], "StructuredDataDict", universe=universe))
    calib = DatasetType("calib", ["detector"], "StructuredDataDict", universe=universe, isCalibration=True)
    registry.registerDatasetType(calib)
    registry.registerRun("u/cal")
    refs = [butler.put(Table({"a": [1, 2, n]}), "cat", **visit, detector=n) for n in (0, 1)]
    refs.append(butler.put({"x": 1}, "info", **visit))
    calibs = [butler.put({"c": n}, "calib", instrument="Cam", detector=n, run="u/cal") for n in (0, 1)]
    butler.collections.register("tag", CollectionType.TAGGED, doc="picked")
    registry.associate("tag", refs[:1])
    butler.collections.register("cals", CollectionType.CALIBRATION)
    registry.certify("cals", calibs, Timespan(None, begin))
    registry.certify("cals", calibs[:1], Timespan(begin, None))
    butler.collections.register("chain", CollectionType.CHAINED, doc="all")
    butler.collections.redefine_chain("chain", ["u/run", "cals", "tag"])
    target = HERE / "lsst_export"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    with butler.export(directory=str(target), filename="export.yaml", transfer="copy") as export:
        export.saveDatasets([*refs, *calibs])
        for name in ("tag", "cals", "chain"):
            export.saveCollection(name)
        for element in ("visit_definition", "visit_system_membership", "visit_detector_region"):
            export.saveDimensionData(element, list(registry.queryDimensionRecords(element)))
    (Path(folder) / "zips").mkdir()
    made = butler.retrieve_artifacts_zip([*refs, *calibs], f"{folder}/zips")
    shutil.copy(made.ospath, HERE / "lsst_bundle.zip")
