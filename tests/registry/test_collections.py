"""Collections: names, chains in order, no cycles, no surprises."""

import re

import pytest

from skybutler.butler.butler import Butler
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
    with pytest.raises(CollectionCycleError, match="'chain' would come to hold itself: chain → upper → chain"):
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


def test_a_cycle_is_told_with_its_whole_path(collections):
    for name, child in (("x", "chain"), ("y", "x"), ("z", "y")):
        collections.register(name, "CHAINED")
        collections.redefine_chain(name, child)
    with pytest.raises(CollectionCycleError, match="'chain' would come to hold itself: chain → z → y → x → chain"):
        collections.extend_chain("chain", ["c", "z"])
    assert collections.info("chain").children == ("a", "b")
    with pytest.raises(CollectionCycleError, match="x → x"):
        collections.prepend_chain("x", "x")


def test_globs_name_children_sorted(collections):
    collections.redefine_chain("chain", ["c", "[a-c]"])
    assert collections.info("chain").children == ("c", "a", "b")
    collections.remove_from_chain("chain", "[bc]")
    assert collections.info("chain").children == ("a",)


def test_regular_expressions_are_refused_with_what_to_write(butler, collections):
    pattern = re.compile("u/.*")
    for ask in (
        lambda: collections.list(pattern),
        lambda: collections.list(["a", pattern]),
        lambda: collections.extend_chain("chain", pattern),
        lambda: butler.query_datasets("note", pattern, find_first=False),
        lambda: butler.find_dataset("note", visit=1, detector=0, collections=[pattern]),
        lambda: Butler(butler.root, collections=pattern),
    ):
        with pytest.raises(
            InvalidQueryError, match=r"'u/\.\*' is a regular expression; collections are named by globs"
        ):
            ask()
    with pytest.raises(InvalidQueryError, match="a name, or a list of names; not 5"):
        collections.list(5)
    with pytest.raises(InvalidQueryError, match="named by a text, not None"):
        butler.find_dataset("note", visit=1, detector=0, collections=[None])


def test_documentation_is_kept_and_changed(collections):
    assert collections.info("chain").doc == "Three RUNs."
    collections.set_doc("chain", "Two RUNs – for now.")
    assert collections.info("chain").doc == "Two RUNs – for now."
    with pytest.raises(CollectionNotFoundError, match="Did you mean 'chain'"):
        collections.set_doc("chian", "")
    for odd in (None, "a\0b", "\ud800"):
        with pytest.raises(ConflictingDefinitionError, match="is no text that a database keeps"):
            collections.set_doc("chain", odd)


def test_what_is_held_is_forgotten_when_summaries_are_refreshed(butler, collections):
    first = butler.put("note", {}, visit=1, detector=0, run="a")
    butler.put("note", {}, visit=2, detector=0, run="b")
    collections.register("tagged", "TAGGED")
    collections.tag("tagged", [first])
    assert collections.refresh_summaries() == 0
    assert collections.instruments("chain") == ["SmallCam"]
    assert collections.instruments("c") == []
    collections.untag("tagged", [first])
    butler.remove_datasets([first])
    assert collections.dataset_types("tagged") == collections.dataset_types("a") == ["note"]
    assert collections.instruments("a") == []
    assert collections.refresh_summaries() == 2
    assert collections.dataset_types("tagged") == collections.dataset_types("a") == []
    assert collections.dataset_types("chain") == ["note"]
    again = butler.put("note", {}, visit=1, detector=0, run="a")
    assert butler.find_dataset("note", visit=1, detector=0, collections="a") == again


def test_a_butler_on_collections_that_are_not_there_fails_when_it_is_opened(root, butler):
    butler.collections.register("u/me/first")
    with pytest.raises(CollectionNotFoundError, match=r"no collection 'u/me/frist'\. Did you mean 'u/me/first'\?"):
        Butler(root, collections="u/me/frist")
    with pytest.raises(CollectionNotFoundError, match="no collection 'typo'"):
        Butler(root, collections=["u/me/first", "typo"])
    with Butler(root, collections=["u/me/new", "u/me/first"], run="u/me/new") as opened:
        assert opened.find_dataset("note", visit=1, detector=0) is None
        ref = opened.put("note", {}, visit=1, detector=0)
        assert opened.find_dataset("note", visit=1, detector=0) == ref
    with Butler(root, collections="u/*") as opened:
        assert opened.query_datasets("note", find_first=False).count() == 1
