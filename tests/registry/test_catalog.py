"""The catalog is read once and again only when someone has changed it."""

import pytest

from skybutler.butler.butler import Butler
from skybutler.registry import catalog as catalog_module


@pytest.fixture
def loads(monkeypatch) -> list[int]:
    """Grows by one each time that the catalog is read from the database."""
    seen: list[int] = []
    real = catalog_module.load_catalog

    def load(*arguments):
        seen.append(1)
        return real(*arguments)

    monkeypatch.setattr(catalog_module, "load_catalog", load)
    return seen


def test_finds_and_puts_do_not_read_it_again(butler, loads):
    butler.put("note", {}, visit=1, detector=0)  # the first in its RUN: the summary changes
    butler.find_dataset("note", visit=1, detector=0)
    loads.clear()
    for detector in (1, 2):
        butler.put("note", {}, visit=1, detector=detector)
        assert butler.exists("note", visit=1, detector=detector)
    assert loads == []


def test_another_s_put_does_not_make_it_read_again_but_another_s_collection_does(butler, loads):
    with Butler(butler.root) as other:
        other.put("note", {}, visit=1, detector=0)
        assert butler.collections.list() == other.collections.list() == ["defaults", "user"]
        loads.clear()
        other.put("note", {}, visit=1, detector=1)
        assert butler.exists("note", visit=1, detector=1)
        assert loads == []
        other.collections.register("fresh")
        loads.clear()
        assert butler.collections.list() == ["defaults", "fresh", "user"]
        assert butler.collections.list() == ["defaults", "fresh", "user"]
        assert loads == [1]


def test_a_collection_that_another_deletes_and_makes_again_is_the_new_one(butler):
    butler.collections.register("x", "TAGGED")
    assert butler.collections.info("x").type.name == "TAGGED"
    with Butler(butler.root) as other:
        other.collections.delete("x")
        other.collections.register("x", "CHAINED", "Now a chain.")
    assert butler.collections.info("x").type.name == "CHAINED"
    butler.collections.extend_chain("x", "user")


def test_a_run_that_is_removed_and_made_again_is_found_in_anew(butler):
    butler.put("note", {"old": 1}, visit=1, detector=0, run="again")
    butler.remove_run("again")
    assert butler.collections.list() == ["defaults", "user"]
    butler.put("note", {"new": 1}, visit=1, detector=0, run="again")
    assert butler.get("note", visit=1, detector=0, collections="again") == {"new": 1}


def test_the_summary_follows_a_registration_that_is_rolled_back(butler):
    with pytest.raises(ZeroDivisionError), butler.transaction():  # noqa: PT012
        butler.put("note", {}, visit=1, detector=0)
        assert butler.collections.dataset_types("user") == ["note"]
        raise ZeroDivisionError
    assert butler.collections.dataset_types("user") == []
    butler.put("note", {}, visit=1, detector=0)
    assert butler.collections.dataset_types("defaults") == ["note"]


def test_a_chain_of_a_thousand_runs_finds_in_one_probe(butler):
    names = [f"r{n:04d}" for n in range(1000)]
    with butler.transaction():
        for name in names:
            butler.collections.register(name)
        butler.collections.register("long", "CHAINED")
        butler.collections.redefine_chain("long", names)
    for name in (names[0], names[500], names[-1]):
        butler.put("note", {"in": name}, visit=1, detector=0, run=name)
    assert butler.get("note", visit=1, detector=0, collections="long") == {"in": "r0000"}
    butler.collections.remove_from_chain("long", "r0000")
    assert butler.get("note", visit=1, detector=0, collections="long") == {"in": "r0500"}
    assert butler.get("note", visit=1, detector=0, collections=["r0999", "long"]) == {"in": "r0999"}
