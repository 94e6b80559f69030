"""Commands that change collections: chains, tags, documentation, removal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..model.wording import counted
from .options import find_all_option, found_datasets, only_where_option

if TYPE_CHECKING:
    from ..butler import Butler

__all__ = ["chain", "describe_collection", "remove_collections", "tag", "untag"]


@click.command("chain")
@click.argument("repo")
@click.argument("parent")
@click.argument("children", nargs=-1)
@click.option(
    "--mode",
    type=click.Choice(["redefine", "prepend", "extend", "remove"]),
    default="redefine",
    show_default=True,
    help="Search just CHILDREN; search them first; search them last; search them no more.",
)
@click.option("--flatten", is_flag=True, help="Put in the place of each CHAINED child what it searches.")
@click.option("--doc", help="A sentence on what PARENT is for.")
def chain(repo: str, parent: str, children: tuple[str, ...], mode: str, flatten: bool, doc: str | None) -> None:
    """Make, or change, the CHAINED collection PARENT of REPO: what it searches, in this order.

    CHILDREN are names or globs; what a glob matches is sorted. A child stands in a chain once: one that is there
    already moves. A chain may hold chains, never itself. Without CHILDREN, `redefine` empties it.

    \b
      skybutler chain demo u/me/best u/me/rerun2 u/me/rerun1
      skybutler chain demo defaults u/me/best --mode prepend
      skybutler chain demo defaults 'u/me/try*' --mode remove
    """
    from ..butler import Butler

    if not children and mode != "redefine":
        raise click.UsageError(f"--mode {mode} wants CHILDREN.")
    with Butler(repo, writeable=True) as butler, butler.transaction():
        known = butler.collections
        names = known.list(children) if children else []
        if flatten:
            names = list(dict.fromkeys(name for child in names for name in _flat(butler, child)))
        known.register(parent, "CHAINED")
        change = {"redefine": known.redefine_chain, "prepend": known.prepend_chain, "extend": known.extend_chain,
                  "remove": known.remove_from_chain}[mode]  # fmt: skip
        change(parent, names)
        if doc is not None:
            known.set_doc(parent, doc)
        click.echo(f"{parent} searches {', '.join(known.info(parent).children) or 'nothing'}")


def _flat(butler: Butler, name: str) -> list[str]:
    return [row.name for row in butler.registry.catalog.flatten((name,))]


@click.command("tag")
@click.argument("repo")
@click.argument("collection")
@click.argument("dataset_types", metavar="TYPE...", nargs=-1, required=True)
@click.option("--collections", "-c", multiple=True, metavar="NAME", help="Where they are.  [default: defaults]")
@only_where_option
@find_all_option
def tag(
    repo: str, collection: str, dataset_types: tuple[str, ...], collections: tuple[str, ...], where: str, find_all: bool
) -> int:
    """Put datasets of each TYPE (names or globs) into the TAGGED COLLECTION of REPO, made where it is not there.

    Their RUNs go on owning them. A TAGGED collection has one dataset a type and data ID.

    \b
      skybutler tag demo u/me/good calexp src -c u/me/first -w "visit.exposure_time > 30"
    """
    from ..butler import Butler

    with Butler(repo, writeable=True) as butler:
        refs, _ = found_datasets(butler, dataset_types, collections, where, find_all=find_all)
        if not refs:
            click.echo(f"nothing was tagged: no {', '.join(dataset_types)} was found", err=True)
            return 1
        with butler.transaction():
            butler.collections.register(collection, "TAGGED")
            butler.collections.tag(collection, refs)
    click.echo(f"tagged {counted(len(refs), 'dataset')} in {collection}")
    return 0


@click.command("untag")
@click.argument("repo")
@click.argument("collection")
@click.argument("dataset_types", metavar="TYPE...", nargs=-1, required=True)
@only_where_option
def untag(repo: str, collection: str, dataset_types: tuple[str, ...], where: str) -> int:
    """Take datasets of each TYPE (names or globs) out of the TAGGED COLLECTION of REPO; the datasets stay.

    \b
      skybutler untag demo u/me/good src -w "visit = 1234"
    """
    from ..butler import Butler

    with Butler(repo, writeable=True) as butler:
        refs, _ = found_datasets(butler, dataset_types, [collection], where, find_all=False)
        butler.collections.untag(collection, refs)
    click.echo(f"took {counted(len(refs), 'dataset')} out of {collection}")
    return 0 if refs else 1


@click.command("describe-collection")
@click.argument("repo")
@click.argument("collection")
@click.argument("doc", required=False)
def describe_collection(repo: str, collection: str, doc: str | None) -> None:
    """Print what COLLECTION of REPO is for; or, with DOC, say so.

    \b
      skybutler describe-collection demo u/me/first "First try with the new flats."
    """
    from ..butler import Butler

    with Butler(repo, writeable=doc is not None) as butler:
        if doc is not None:
            butler.collections.set_doc(collection, doc)
        click.echo(butler.collections.info(collection).doc)


@click.command("remove-collections")
@click.argument("repo")
@click.argument("globs", metavar="NAME...", nargs=-1, required=True)
@click.option("--runs", is_flag=True, help="RUNs, too: the datasets that they own go to the trash.")
@click.option("--unlink", is_flag=True, help="Take them out of the chains that hold them first.")
@click.option("--yes", "-y", is_flag=True, help="Do it; without this, it is only said what would go.")
def remove_collections(repo: str, globs: tuple[str, ...], runs: bool, unlink: bool, yes: bool) -> int:
    """Remove collections of REPO by names or globs: chains, tags and validities; RUNs only with --runs.

    What a chain, a TAGGED or a CALIBRATION collection refers to stays. A RUN owns its datasets, and takes them along.

    \b
      skybutler remove-collections demo 'u/me/old*'
      skybutler remove-collections demo 'u/me/old*' --runs --unlink --yes
    """
    from ..butler import Butler
    from ..model.collections import CollectionType

    with Butler(repo, writeable=True) as butler:
        infos = [butler.collections.info(name) for name in butler.collections.list(globs)]
        if not infos:
            click.echo(f"nothing to remove: no collection matches {', '.join(globs)}", err=True)
            return 1
        owning = [info for info in infos if info.type is CollectionType.RUN]
        if owning and not runs:
            click.echo(f"RUNs own datasets, and are removed with --runs: {', '.join(i.name for i in owning)}", err=True)
            return 1
        for info in infos:
            click.echo(f"{'removing' if yes else 'would remove'} {info.type.name} {info.name}")
        if yes:
            with butler.transaction():
                names = {info.name for info in infos}
                for info in sorted(infos, key=lambda info: info.type is not CollectionType.CHAINED):
                    _remove(butler, info.name, info.type is CollectionType.RUN, unlink, names)
    if not yes:
        click.echo("nothing was removed yet: --yes does it", err=True)
    return 0


def _remove(butler: Butler, name: str, is_run: bool, unlink: bool, going: set[str]) -> None:
    """Remove a collection, and its places in chains that go, too."""
    for parent in butler.collections.info(name).parents:
        if unlink or parent in going:
            butler.collections.remove_from_chain(parent, name)
    if is_run:
        butler.remove_run(name)
    else:
        butler.collections.delete(name)
