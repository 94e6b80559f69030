"""A repository of wholly different dimensions: a fibre spectrograph, from its first record to its SQL views."""

import pytest
import yaml

from skybutler.butler.butler import Butler
from skybutler.model.errors import ConflictingDefinitionError, DataIdError, DatasetNotFoundError
from skybutler.model.timespan import Timespan

SPECTRA = """
version: 3
namespace: spectra
common_pixels: {pixels}
spatial_families: {{targets: [fiber_target], plates: [plate]}}
temporal_families: {{observation: [exposure]}}
elements:
  exposure:
    key: {{id: int}}
    requires: [spectrograph]
    implies: [plate]
    timespan: true
    metadata: {{airmass: {{type: float}}, kind: {{type: str, required: true}}}}
  spectrograph: {{key: {{name: str}}, metadata: {{fibers: {{type: int}}, cooled: {{type: bool}}}}}}
  plate: {{key: {{code: str}}, requires: [spectrograph], region: true}}
  fiber: {{key: {{id: int}}, requires: [spectrograph], alternate: {{label: {{type: str}}}}}}
  fiber_target:
    requires: [spectrograph, plate, fiber]
    region: true
    metadata: {{star: {{type: str}}}}
"""
SECOND = 10**9


@pytest.fixture(scope="module", params=["htm6", "healpix7"])
def file(request, tmp_path_factory):
    made = tmp_path_factory.mktemp("universe") / "spectra.yaml"
    made.write_text(SPECTRA.format(pixels=request.param))
    return made


@pytest.fixture
def spectra(backend, file, tmp_path):
    url = None if backend.is_sqlite else backend.new()
    here = {"spectrograph": "Fib"}
    with Butler.create(tmp_path / "repo", registry=url, universe=file) as butler:
        butler.insert_dimension_records("spectrograph", [{"name": "Fib", "fibers": 3, "cooled": True}])
        butler.insert_dimension_records(
            "plate", [here | {"code": f"P{p}", "region": f"CIRCLE {10 * p} 0 1.5"} for p in range(3)]
        )
        butler.insert_dimension_records("fiber", [here | {"id": f, "label": f"f{f}"} for f in range(3)])
        butler.insert_dimension_records(
            "fiber_target",
            [
                here | {"plate": f"P{p}", "fiber": f, "star": f"s{p}{f}", "region": f"CIRCLE {10 * p} {f / 2} 0.001"}
                for p in range(3)
                for f in range(3)
            ],
        )
        butler.insert_dimension_records(
            "exposure",
            [
                here | {"id": n, "plate": f"P{n % 3}", "airmass": 1 + n / 10, "kind": "science",
                        "timespan": Timespan(n * 100 * SECOND, (n * 100 + 60) * SECOND)}
                for n in range(6)
            ],
        )  # fmt: skip
        butler.register_dataset_type("spectrum", ["exposure", "fiber"], "Dict")
        butler.register_dataset_type("throughput", ["fiber"], "Dict", is_calibration=True)
        yield butler
    if url is not None:
        backend.drop(url)


def test_data_are_put_and_got_by_keys_other_keys_and_metadata(spectra):
    spectra.put("spectrum", {"x": 1}, exposure=4, fiber=2)
    assert spectra.get("spectrum", exposure=4, fiber="f2") == {"x": 1}
    assert spectra.get("spectrum", {"airmass": 1.4, "fiber.label": "f2"}) == {"x": 1}
    ref = spectra.find_dataset("spectrum", spectrograph="Fib", exposure=4, fiber=2)
    assert dict(ref.data_id) == {"spectrograph": "Fib", "exposure": 4, "fiber": 2}
    with pytest.raises(DataIdError, match="no fiber 7 of spectrograph 'Fib': there are 0, 1, 2"):
        spectra.put("spectrum", {}, exposure=4, fiber=7)
    with pytest.raises(DataIdError, match="unknown dimension 'visit'"):
        spectra.register_dataset_type("calexp", ["visit"], "Dict")


def test_queries_speak_of_the_dimensions_and_columns_that_are_there(spectra):
    for exposure in range(6):
        for fiber in range(3):
            spectra.put("spectrum", {}, exposure=exposure, fiber=fiber)
    found = spectra.query_datasets("spectrum", where="airmass > 1.25 AND fiber_target.star LIKE 's1%' AND fiber < 2")
    assert {(r.data_id["exposure"], r.data_id["fiber"]) for r in found} == {(4, 0), (4, 1)}
    near = spectra.query_datasets("spectrum", where="fiber_target.region OVERLAPS CIRCLE(20, 0.5, 0.1)")
    assert {(r.data_id["exposure"], r.data_id["fiber"]) for r in near} == {(2, 1), (5, 1)}
    plates = spectra.query_dimension_records("plate", where="region OVERLAPS POINT(9.5, 0.5)")
    assert [record.code for record in plates] == ["P1"]
    assert spectra.query_data_ids("exposure", where="plate = 'P0'").count() == 2
    assert spectra.query_dimension_records("exposure", where="NOT (kind = 'science')").count() == 0
    when = spectra.query_data_ids("exposure", where="exposure.timespan OVERLAPS :t", bind={"t": Timespan(0, SECOND)})
    assert [data_id["exposure"] for data_id in when] == [0]


def test_calibrations_are_found_by_the_time_of_an_exposure(spectra):
    for run, first, last in (("a", 0, 300), ("b", 300, 600)):
        ref = spectra.put("throughput", {"run": run}, fiber=1, run=run)
        spectra.collections.register("calib", "CALIBRATION")
        spectra.collections.certify("calib", [ref], Timespan(first * SECOND, last * SECOND))
    assert spectra.get("throughput", exposure=1, fiber="f1", collections="calib") == {"run": "a"}
    assert spectra.get("throughput", airmass=1.5, exposure=5, fiber=1, collections="calib") == {"run": "b"}


def test_sql_shows_the_dimensions_by_their_names(spectra):
    spectra.put("spectrum", {}, exposure=1, fiber=0)
    names, rows = spectra.sql("SELECT * FROM v_spectrum")
    assert names[:4] == ["collection", "spectrograph", "fiber", "exposure"] or set(names) >= {
        "collection", "spectrograph", "fiber", "exposure",
    }  # fmt: skip
    assert len(rows) == 1


def test_a_repository_keeps_its_universe(spectra, file):
    spectra.put("spectrum", {"x": 1}, exposure=1, fiber=0)
    with Butler(spectra.root) as again:
        assert again.universe is spectra.universe
        assert (again.universe.namespace, again.universe.version) == ("spectra", 3)
        assert again.universe.common_pixels == yaml.safe_load(file.read_text())["common_pixels"]
        assert again.universe["exposure"].required == ("spectrograph", "exposure")
        assert again.get("spectrum", exposure=1, fiber=0) == {"x": 1}
        with pytest.raises(DatasetNotFoundError):
            again.get("spectrum", exposure=2, fiber=0)


@pytest.mark.parametrize(
    ("universe", "message"),
    [
        ({"extends": "default", "elements": {"star": {"key": {"id": "bytes"}}}}, "a key is an int or a str"),
        ({"extends": "default", "elements": {"attribute": {"key": {"id": "int"}}}}, "the registry has a table"),
        ({"extends": "default", "elements": {"tag_x": {"key": {"id": "int"}}}}, "the registry has a table"),
    ],
)
def test_nothing_is_written_for_a_universe_that_makes_no_sense(tmp_path, universe, message):
    with pytest.raises(ConflictingDefinitionError, match=message):
        Butler.create(tmp_path / "repo", universe=universe)
    assert list(tmp_path.iterdir()) == []


def test_the_default_universe_grows_by_a_column_that_queries_and_sql_know(tmp_path):
    own = {"extends": "default", "elements": {"detector": {"metadata": {"gain": {"type": "float", "unit": "e-/adu"}}}}}
    with Butler.create(tmp_path / "repo", universe=own) as butler:
        butler.insert_dimension_records("instrument", [{"name": "Cam"}])
        rows = [{"instrument": "Cam", "id": n, "full_name": str(n), "gain": n / 2} for n in range(4)]
        butler.insert_dimension_records("detector", rows)
        assert [r.id for r in butler.query_dimension_records("detector", where="gain > 0.9")] == [2, 3]
        assert butler.sql("SELECT sum(gain) FROM detector")[1] == [(3.0,)]
        assert "calexp" in {t.name for t in butler.dataset_types()}


WORDS = ("select", "where_", "group", "table", "join", "from", "limit_", "user", "case", "check", "union", "desc")


def test_words_of_sql_are_names_as_good_as_others(tmp_path):
    """What databases and the query language write in their own statements is quoted where it is a name."""
    columns = {word: {"type": "int"} for word in WORDS}
    own = {
        "extends": "default",
        "namespace": "words",
        "elements": {"order": {"key": {"id": "int"}, "metadata": columns}},
    }
    with Butler.create(tmp_path / "repo", universe=own) as butler:
        rows = [{"id": n} | {word: n * (place + 1) for place, word in enumerate(WORDS)} for n in (1, 2)]
        butler.insert_dimension_records("order", rows)
        butler.register_dataset_type("menu", ["order"], "Dict")
        butler.put("menu", {"dish": 1}, {"order.select": 2})
        for place, word in enumerate(WORDS):
            found = butler.query_dimension_records(
                "order", where=f"order.{word} = {place + 1}", order_by=f"-order.{word}"
            )
            assert [record.id for record in found] == [1]
            assert butler.sql(f'SELECT "{word}" FROM "order" ORDER BY 1')[1] == [(place + 1,), (2 * (place + 1),)]
        assert [ref.data_id["order"] for ref in butler.query_datasets("menu", where="order = 2", order_by="order")] == [
            2
        ]
        assert butler.get("menu", order=2) == {"dish": 1}
        assert butler.sql('SELECT "order" FROM v_menu')[1] == [(2,)]
        butler.export(tmp_path / "export")
    with Butler.create(tmp_path / "other", universe=own) as other:
        other.import_(tmp_path / "export")
        assert other.query_dimension_records("order").to_arrow()["select"].to_pylist() == [1, 2]
