"""Queries of the sky: regions against constants and against each other, exact however they are asked."""

import numpy as np
import pytest
import sqlalchemy as sa
from astropy import units as u
from astropy.coordinates import SkyCoord
from lsst import sphgeom

from skybutler import DatasetRef, DatasetType, InvalidQueryError, Region
from skybutler.registry import queries
from skybutler.registry.registry import Registry

VISITS = 12


def square(ra: float, dec: float, size: float) -> Region:
    half = size / 2
    return Region.polygon(
        [(ra - half, dec - half), (ra + half, dec - half), (ra + half, dec + half), (ra - half, dec + half)]
    )


@pytest.fixture(scope="module")
def sky():
    """Regions by key: of visits, of (visit, detector) and of (tract, patch), scattered about ra = 0."""
    rng = np.random.default_rng(11)
    visits = {i: square(rng.uniform(-1.5, 1.5) % 360, rng.uniform(-1.5, 1.5), 1.0) for i in range(VISITS)}
    detectors = {}
    for visit, region in visits.items():
        box = region.shape.getBoundingBox()
        ra, dec = box.getLon().getA().asDegrees(), box.getLat().getA().asDegrees()
        for detector in range(4):
            detectors[visit, detector] = square(
                ra + 0.25 + 0.5 * (detector % 2), dec + 0.25 + 0.5 * (detector // 2), 0.45
            )
    patches = {(0, p): square((-1.5 + p % 4) % 360, -1.5 + p // 4, 1.0) for p in range(16)}
    tracts = {0: square(0, 0, 4.0), 1: square(90, 0, 4.0)}
    return {"visit": visits, "visit_detector_region": detectors, "patch": patches, "tract": tracts}


@pytest.fixture(scope="module")
def registry(backend, tmp_path_factory, sky):
    registry = Registry.create(tmp_path_factory.mktemp("sky") / "registry.sqlite3")
    insert = registry.dimension_records.insert
    cam, skymap = {"instrument": "Cam"}, {"skymap": "S"}
    insert("instrument", [{"name": "Cam"}])
    insert("physical_filter", [{**cam, "name": "F", "band": "r"}])
    insert("day_obs", [{**cam, "id": 1}])
    insert("detector", [{**cam, "id": i} for i in range(4)])
    insert("visit", [{**cam, "id": i, "name": f"v{i}", "physical_filter": "F", "day_obs": 1, "region": region}
                     for i, region in [*sky["visit"].items(), (99, None)]])  # fmt: skip
    insert("visit_detector_region", [{**cam, "visit": v, "detector": d, "region": region}
                                     for (v, d), region in sky["visit_detector_region"].items()])  # fmt: skip
    insert("skymap", [{"name": "S"}])
    insert("tract", [{**skymap, "id": t, "region": region} for t, region in sky["tract"].items()])
    insert("patch", [{**skymap, "tract": t, "id": p, "cell_x": 0, "cell_y": 0, "region": region}
                     for (t, p), region in sky["patch"].items()])  # fmt: skip
    registry.register_dataset_type(DatasetType("calexp", ["visit", "detector"], "Dict"))
    registry.collections.register("run", "RUN")
    calexp, tables = registry.dataset_type("calexp"), registry.tables
    with registry.database.write() as connection:
        for visit, detector in sky["visit_detector_region"]:
            ref = DatasetRef(calexp, {**cam, "visit": visit, "detector": detector}, "run")
            row = {"id": ref.id, "dataset_type_id": 1, "run_id": 1, "ingest_date": 0}
            tag = {"dataset_type_id": 1, "collection_id": 1, "dataset_id": ref.id, **ref.data_id}
            connection.execute(sa.insert(tables.dataset).values(row))
            connection.execute(sa.insert(tables.tag(calexp.dimensions)).values(tag))
        connection.execute(sa.insert(tables.collection_summary).values(collection_id=1, dataset_type_id=1))
        registry.catalog_changed(connection)
    yield registry
    registry.close()


def visits(registry, where, **bind):
    return sorted(r.id for r in queries.query_dimension_records(registry, "visit", where=where, bind=bind))


CONSTANTS = {
    "POINT(0.1, 0.2)": Region.point(0.1, 0.2),
    "POINT(-0.4, 0.2)": Region.point(-0.4, 0.2),
    "CIRCLE(0.3, -0.2, 0.25)": Region.circle(0.3, -0.2, 0.25),
    "CIRCLE(359.5, 0, 0.05)": Region.circle(359.5, 0, 0.05),
    "CIRCLE(0.2 + 0.1, -(0.2), 0.5 / 2)": Region.circle(0.3, -0.2, 0.25),
    "BOX(0.0, 0.0, 0.4, 0.2)": Region.box(0, 0, 0.4, 0.2),
    "POLYGON(0, 0, 0.5, 0, 0.5, 0.5)": Region.polygon([(0, 0), (0.5, 0), (0.5, 0.5)]),
    "REGION('CIRCLE 0.3 -0.2 0.25')": Region.circle(0.3, -0.2, 0.25),
    "REGION('RANGE 0 1 -1 0')": Region("RANGE 0 1 -1 0"),
    "CIRCLE(180, 0, 1)": Region.circle(180, 0, 1),
}


class TestConstantRegions:
    @pytest.mark.parametrize("text", CONSTANTS)
    def test_exactly_the_regions_that_overlap_are_found(self, registry, sky, text):
        wanted = [i for i, region in sky["visit"].items() if region.overlaps(CONSTANTS[text])]
        assert visits(registry, f"visit.region OVERLAPS {text}") == wanted
        assert visits(registry, f"{text} OVERLAPS visit.region") == wanted

    @pytest.mark.parametrize("text", CONSTANTS)
    def test_also_within_or_and_not(self, registry, sky, text):
        wanted = {i for i, region in sky["visit"].items() if region.overlaps(CONSTANTS[text])}
        assert visits(registry, f"visit.region OVERLAPS {text} OR visit = 3") == sorted(wanted | {3})
        assert visits(registry, f"NOT visit.region OVERLAPS {text}") == sorted(set(sky["visit"]) - wanted)
        assert visits(registry, f"NOT (visit.region OVERLAPS {text} OR visit < 5)") == sorted(
            set(range(5, VISITS)) - wanted
        )

    @pytest.mark.parametrize("text", CONSTANTS)
    def test_counts_limits_and_orders_are_of_what_overlaps(self, registry, sky, text):
        wanted = [k for k, region in sky["visit_detector_region"].items() if region.overlaps(CONSTANTS[text])]
        query = queries.query_datasets(registry, "calexp", "run", where=f"visit_detector_region.region OVERLAPS {text}")
        assert query.count() == len(wanted)
        assert query.any() == bool(wanted)
        assert len(list(query.limit(3))) == query.limit(3).count() == min(3, len(wanted))
        ordered = query.order_by("-visit", "detector").limit(4)
        keys = [(ref.data_id["visit"], ref.data_id["detector"]) for ref in ordered]
        assert keys == sorted(wanted, key=lambda k: (-k[0], k[1]))[:4]
        assert query.to_arrow().num_rows == len(wanted)

    def test_the_radius_of_a_circle_is_its_radius(self, registry, sky):
        box = sky["visit"][0].shape.getBoundingBox()
        ra = box.getLon().getB().asDegrees()
        dec = box.getCenter().getLat().asDegrees()
        where = "visit = 0 AND visit.region OVERLAPS CIRCLE(:ra, :dec, 0.1)"
        assert visits(registry, where, ra=ra + 0.11, dec=dec) == []
        assert visits(registry, where, ra=ra + 0.09, dec=dec) == [0]

    @pytest.mark.parametrize(
        "value",
        [
            Region.circle(0.3, -0.2, 0.25),
            sphgeom.Circle(
                sphgeom.UnitVector3d(sphgeom.LonLat.fromDegrees(0.3, -0.2)), sphgeom.Angle.fromDegrees(0.25)
            ),
        ],
        ids=["Region", "sphgeom"],
    )
    def test_regions_may_be_bound(self, registry, value):
        assert visits(registry, "visit.region OVERLAPS :r", r=value) == visits(
            registry, "visit.region OVERLAPS CIRCLE(0.3, -0.2, 0.25)"
        )

    @pytest.mark.parametrize(
        "value",
        [
            SkyCoord(0.1 * u.deg, 0.2 * u.deg),
            SkyCoord(0.1 * u.deg, 0.2 * u.deg).galactic,
            sphgeom.LonLat.fromDegrees(0.1, 0.2),
        ],
        ids=["ICRS", "galactic", "LonLat"],
    )
    def test_points_may_be_bound(self, registry, value):
        assert visits(registry, "visit.region OVERLAPS :r", r=value) == visits(
            registry, "visit.region OVERLAPS POINT(0.1, 0.2)"
        )

    def test_a_record_without_region_is_in_neither(self, registry):
        assert visits(registry, "visit.region IS NULL") == [99]
        assert 99 not in visits(registry, "NOT visit.region OVERLAPS POINT(0, 0)")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("visit.region OVERLAPS POINT(0, 91)", "POINT"),
            ("visit.region OVERLAPS CIRCLE(0, 0, -1)", "negative"),
            ("visit.region OVERLAPS BOX(0, 0, -1, 1)", "negative"),
            ("visit.region OVERLAPS CIRCLE(0, 0)", "is written CIRCLE"),
            ("visit.region OVERLAPS POLYGON(0, 0, 1, 1)", "three or more pairs"),
            ("visit.region OVERLAPS POLYGON(0, 0, 1, 1, 2)", "three or more pairs"),
            ("visit.region OVERLAPS REGION('FOO 1 2')", "REGION"),
            ("visit.region OVERLAPS REGION(1)", "POS string"),
            ("visit.region OVERLAPS CIRCLE(visit, 0, 1)", "has no place in it"),
            ("visit.region OVERLAPS CIRCLE('a', 0, 1)", "wants numbers"),
            ("visit.region OVERLAPS visit.region", "belong together"),
            ("visit.region OVERLAPS visit_detector_region.region", "belong together"),
            ("visit.region = POINT(0, 0)", "Use OVERLAPS"),
            ("POINT(0, 0) OVERLAPS CIRCLE(0, 0, 1)", "must be a column"),
            ("visit.region OVERLAPS 1", "OVERLAPS takes"),
            ("NOT visit.region OVERLAPS patch.region AND skymap = 'S'", "can only be joined"),
            ("htm7.region OVERLAPS POINT(0, 0)", "only overlaps regions of records"),
            ("visit.region OVERLAPS :r", "an array of coordinates"),
            ("visit.region IN (POINT(0, 0))", "Use OVERLAPS"),
        ],
    )
    def test_one_error_says_what_is_wrong(self, registry, text, message):
        bind = {"r": SkyCoord([1, 2] * u.deg, [1, 2] * u.deg)}
        with pytest.raises(InvalidQueryError, match=message):
            queries.query_dimension_records(registry, "visit", where=text, bind=bind)


class TestJoins:
    def pairs(self, sky, first, second):
        return sorted(
            (*_key(a), *_key(b)) for a, ra in sky[first].items() for b, rb in sky[second].items() if ra.overlaps(rb)
        )

    def test_visits_and_patches(self, registry, sky):
        found = queries.query_data_ids(registry, ["visit", "patch"])
        rows = sorted((d["visit"], d["tract"], d["patch"]) for d in found)
        assert rows == self.pairs(sky, "visit", "patch")
        assert found.count() == len(rows)

    def test_the_most_precise_regions_are_compared(self, registry, sky):
        found = queries.query_data_ids(registry, ["visit", "detector", "patch"])
        rows = sorted((d["visit"], d["detector"], d["tract"], d["patch"]) for d in found)
        assert rows == self.pairs(sky, "visit_detector_region", "patch")

    def test_an_overlap_that_is_asked_for_stands_in_for_the_usual_one(self, registry, sky):
        found = queries.query_data_ids(registry, ["visit", "patch"], where="visit.region OVERLAPS tract.region")
        tracts = {v for v, _ in self.pairs(sky, "visit", "tract")}
        assert found.count() == len(tracts) * 16

    def test_patches_under_one_detector(self, registry, sky):
        where = "visit = 3 AND detector = 2"
        found = queries.query_data_ids(registry, ["patch"], where=where, data_id={"skymap": "S", "instrument": "Cam"})
        wanted = [p for v, d, _, p in self.pairs(sky, "visit_detector_region", "patch") if (v, d) == (3, 2)]
        assert sorted(d["patch"] for d in found) == wanted
        assert len(list(found.limit(1))) == 1

    def test_datasets_in_a_patch(self, registry, sky):
        where = "tract = 0 AND patch = 5 AND skymap = 'S'"
        found = queries.query_datasets(registry, "calexp", "run", where=where, order_by=["visit", "detector"])
        wanted = [(v, d) for v, d, _, p in self.pairs(sky, "visit_detector_region", "patch") if p == 5]
        assert [(r.data_id["visit"], r.data_id["detector"]) for r in found] == sorted(wanted)
        two = queries.query_datasets(registry, "calexp", "run", where="patch IN (5, 6) AND skymap = 'S' AND tract = 0")
        assert two.count() == len(
            {(v, d) for v, d, _, p in self.pairs(sky, "visit_detector_region", "patch") if p in (5, 6)}
        )

    def test_a_join_beside_a_constant_region(self, registry, sky):
        circle = Region.circle(0.3, -0.2, 0.25)
        found = queries.query_data_ids(
            registry, ["visit", "patch"], where="patch.region OVERLAPS CIRCLE(0.3, -0.2, 0.25)"
        )
        wanted = [(v, t, p) for v, t, p in self.pairs(sky, "visit", "patch") if sky["patch"][t, p].overlaps(circle)]
        assert sorted((d["visit"], d["tract"], d["patch"]) for d in found) == wanted

    def test_pixels_of_a_visit(self, registry, sky):
        found = queries.query_data_ids(registry, ["htm7", "visit"], where="visit = 2")
        wanted = [p for begin, end in sky["visit"][2].htm_pixels(7) for p in range(begin, end)]
        assert sorted(d["htm7"] for d in found) == wanted
        assert 2 in visits(registry, f"htm7 = {wanted[0]}")

    def test_regions_of_pixels_overlap_as_the_pixels_do(self, registry):
        asked = queries.query_data_ids(registry, ["htm7", "visit"], where="visit.region OVERLAPS htm7.region")
        assert set(asked) == set(queries.query_data_ids(registry, ["htm7", "visit"]))

    def test_datasets_kept_by_pixels_are_joined_with_what_lies_in_them(self, registry, sky):
        registry.register_dataset_type(DatasetType("refcat", ["htm7"], "Dict"))
        registry.collections.register("refcats", "RUN")
        refcat, catalog, tables = registry.dataset_type("refcat"), registry.catalog, registry.tables
        type_id, run_id = catalog.type_ids["refcat"], catalog.collections["refcats"].id
        pixels = sorted({p for begin, end in sky["visit"][2].htm_pixels(7) for p in range(begin, end)} | {5, 6})
        with registry.database.write() as connection:
            for pixel in pixels:
                ref = DatasetRef(refcat, {"htm7": pixel}, "refcats")
                row = {"id": ref.id, "dataset_type_id": type_id, "run_id": run_id, "ingest_date": 0}
                tag = {"dataset_type_id": type_id, "collection_id": run_id, "dataset_id": ref.id, "htm7": pixel}
                connection.execute(sa.insert(tables.dataset).values(row))
                connection.execute(sa.insert(tables.tag(refcat.dimensions)).values(tag))
            summary = sa.insert(tables.collection_summary)
            connection.execute(summary.values(collection_id=run_id, dataset_type_id=type_id))
            registry.catalog_changed(connection)
        every = queries.query_datasets(registry, "refcat", "refcats")
        assert every.count() == len(pixels)
        assert every.where("htm7 < 10").count() == 2
        found = every.where("instrument = 'Cam' AND visit = 2").order_by("htm7")
        assert [ref.data_id["htm7"] for ref in found] == pixels[2:]
        assert queries.query_data_ids(registry, ["htm7"], datasets="refcat", collections="refcats").count() == len(
            pixels
        )

    def test_relations_have_records_of_their_own(self, registry, sky):
        found = queries.query_dimension_records(
            registry, "visit_detector_region", where="region OVERLAPS POINT(0.1, 0.2)", order_by=["visit", "detector"]
        )
        point = Region.point(0.1, 0.2)
        wanted = sorted(k for k, region in sky["visit_detector_region"].items() if region.overlaps(point))
        assert [(record.visit, record.detector) for record in found] == wanted

    def test_pixels_alone_are_not_listed(self, registry):
        with pytest.raises(InvalidQueryError, match="too many to list"):
            queries.query_data_ids(registry, ["htm7"])


def _key(key):
    return key if isinstance(key, tuple) else (key,)
