"""Collections: names, chains in order, no cycles, no surprises."""

import pytest

from skybutler.model.collections import CollectionInfo, CollectionType
from skybutler.model.errors import (
    CollectionCycleError,
    CollectionNotFoundError,
    CollectionTypeError,
    ConflictingDefinitionError,
    InvalidQueryError,
)


@pytest.fixture
def collections(butler):
    for name in ("a", "b", "c"):
        butler.collections.register(name)
    butler.collections.register("chain", "CHAINED", "Three RUNs.")
    butler.collections.redefine_chain("chain", ["a", "b"])
    return butler.collections


def test_registering_twice_is_no_error_and_says_so(collections):
    assert collections.register("new/run", CollectionType.RUN, "A new one.")
    assert not collections.register("new/run", "run")
    assert collections.info("new/run") == CollectionInfo("new/run", CollectionType.RUN, doc="A new one.")


def test_registering_as_another_type_is_a_conflict(collections):
    with pytest.raises(ConflictingDefinitionError, match="'a' is RUN already, not TAGGED"):
        collections.register("a", CollectionType.TAGGED)


@pytest.mark.parametrize(
    "name",
    ["", "/", "a//b", "/a", "a/", ".", "a/../b", "a/.", "a\nb", "a\0", "a\x7f", "a*", "b?", "c[1]", "\udc80", None],
)
def test_names_that_make_no_good_folder_or_look_like_a_glob_are_refused(collections, name):
    with pytest.raises(ConflictingDefinitionError, match="cannot name a collection"):
        collections.register(name)


@pytest.mark.parametrize("name", ["u/me/try 1", "ünïcode", "a.b", "..a", "a'b", 'a"b', "a%b", "a;b--", "HSC/raw/all"])
def test_any_other_name_will_do(collections, name):
    assert collections.register(name)
    assert collections.info(name).name == name
    assert name in collections.list()


def test_globs_list_sorted_names_and_names_their_order(collections):
    assert collections.list("?") == ["a", "b", "c"]
    assert collections.list("[ac]") == ["a", "c"]
    assert collections.list(["c", "[ab]", "c"]) == ["c", "a", "b"]
    assert collections.list("nothing*") == []
    with pytest.raises(CollectionNotFoundError, match=r"no collection 'chian'\. Did you mean 'chain'\?"):
        collections.list("chian")


def test_chain_edits_keep_each_child_once_and_in_order(collections):
    children = lambda: collections.info("chain").children  # noqa: E731
    collections.prepend_chain("chain", "c")
    assert children() == ("c", "a", "b")
    collections.extend_chain("chain", ["c", "c"])
    assert children() == ("a", "b", "c")
    collections.prepend_chain("chain", ["b", "c"])
    assert children() == ("b", "c", "a")
    collections.remove_from_chain("chain", "c")
    assert children() == ("b", "a")
    collections.redefine_chain("chain", [])
    assert children() == ()
    assert collections.info("a").parents == ()


def test_a_collection_knows_the_chains_that_hold_it(collections):
    assert collections.info("a").parents == ("chain",)
    assert collections.info("chain").parents == ()


def test_a_chain_cannot_hold_itself_however_far_down(collections):
    collections.register("upper", "CHAINED")
    collections.redefine_chain("upper", "chain")
    with pytest.raises(CollectionCycleError, match="'upper' holds 'chain' already"):
        collections.extend_chain("chain", "upper")
    with pytest.raises(CollectionCycleError):
        collections.extend_chain("chain", "chain")
    assert collections.info("chain").children == ("a", "b")


def test_only_chains_have_children(collections):
    with pytest.raises(CollectionTypeError, match="'a' is RUN; only a CHAINED one has children"):
        collections.redefine_chain("a", ["b"])


def test_an_edit_that_names_what_is_not_there_changes_nothing(collections):
    with pytest.raises(CollectionNotFoundError):
        collections.redefine_chain("chain", ["c", "nowhere"])
    assert collections.info("chain").children == ("a", "b")


def test_deleting_a_chain_leaves_its_children(collections):
    collections.delete("chain")
    assert "chain" not in collections.list()
    assert collections.info("a").parents == ()


def test_a_child_of_a_chain_and_a_run_are_not_deleted(collections):
    collections.register("picked", "TAGGED")
    collections.extend_chain("chain", "picked")
    with pytest.raises(ConflictingDefinitionError, match="held by chain; take it out there first"):
        collections.delete("picked")
    with pytest.raises(CollectionTypeError, match="remove_run"):
        collections.delete("a")
    with pytest.raises(CollectionNotFoundError):
        collections.delete("nowhere")


def test_chains_open_depth_first_each_collection_once(butler, collections):
    collections.register("outer", "CHAINED")
    collections.redefine_chain("outer", ["c", "chain", "a", "user"])
    catalog = butler.registry.catalog
    assert [row.name for row in catalog.flatten(("outer",))] == ["c", "a", "b", "user"]
    assert [row.name for row in catalog.flatten(("b", "outer"))] == ["b", "c", "a", "user"]


def test_chains_may_nest_deeper_than_python_recurses_and_meet_often(butler, collections):
    below = "a"
    for level in range(40):  # each level holds the one below through two ways: 2**40 paths
        for side in ("left", "right"):
            collections.register(f"{side}{level}", "CHAINED")
            collections.redefine_chain(
                f"{side}{level}", [f"left{level - 1}", f"right{level - 1}"] if level else [below]
            )
    assert [row.name for row in butler.registry.catalog.flatten(("left39",))] == ["a"]
    with pytest.raises(CollectionCycleError):
        collections.extend_chain("left0", "right39")


def test_a_wildcard_has_no_order_to_find_first_in(butler, collections):
    with pytest.raises(InvalidQueryError, match="pass find_first=False"):
        collections.resolve("*", "note")
    butler.put("note", {}, visit=1, detector=0, run="b")
    assert [name for _, name in collections.resolve("*", "note", find_first=False)] == ["b"]
    assert [name for _, name in collections.resolve(["chain", "user"], "note")] == ["b"]
    assert collections.dataset_types("chain") == ["note"]
    assert collections.dataset_types("a") == []
