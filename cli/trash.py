"""Commands that remove datasets, bring them back, and tell what takes up room."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from ..model.wording import counted
from .options import collections_option, confirm, find_all_option, found_datasets, only_where_option, time_span
from .output import format_option, print_rows, readable_size

if TYPE_CHECKING:
    from ..butler import Butler

__all__ = ["du", "remove", "trash"]


@click.command("remove")
@click.argument("repo")
@click.argument("dataset_types", metavar="TYPE...", nargs=-1)
@only_where_option
@collections_option
@find_all_option
@click.option("--run", "runs", multiple=True, metavar="GLOB", help="A whole RUN instead, with all that it owns.")
@click.option("--unlink", is_flag=True, help="Take RUNs out of the chains that hold them first.")
@click.option("--purge", is_flag=True, help="For good, not into the trash.")
@click.option("--yes", "-y", is_flag=True, help="Do it without asking.")
def remove(
    repo: str, dataset_types: tuple[str, ...], where: str, collections: tuple[str, ...], find_all: bool,
    runs: tuple[str, ...], unlink: bool, purge: bool, yes: bool,
) -> int:  # fmt: skip
    """Remove datasets of each TYPE (names or globs) from REPO, or whole RUNs.

    They go to the trash, whence `skybutler trash restore` brings them back for seven days (trash: in skybutler.yaml).
    Their files take up room until then; --purge makes room at once. It is said how much goes, and asked.

    \b
      skybutler remove demo calexp src -c u/me/first --where "visit.exposure_time < 5"
      skybutler remove demo --run 'u/me/first/*' --unlink
      skybutler remove demo 'calexp*' -c u/me/old --purge --yes
    """
    from ..butler import Butler
    from ..registry.usage import size_of

    if bool(runs) == bool(dataset_types):
        raise click.UsageError("name dataset types, or RUNs by --run.")
    if runs and (where or collections or find_all):
        raise click.UsageError("--run removes all of a RUN; name dataset types to remove some of it.")
    with Butler(repo, writeable=True) as butler:
        names = butler.collections.list(runs) if runs else []
        _check_removable(butler, names, unlink)
        refs, _ = found_datasets(butler, dataset_types, collections, where, find_all=find_all)
        ids = [ref.id for ref in refs] + [one for name in names for one in butler.registry.datasets.ids_in_run(name)]
        if not ids and not names:
            click.echo(f"nothing to remove: no {', '.join(runs or dataset_types)} was found", err=True)
            return 1
        what = f"RUNs {', '.join(names)}: " if names else ""
        click.echo(f"{what}{counted(len(ids), 'dataset')}, {readable_size(size_of(butler.registry, ids))}")
        for_good = purge or not butler.trash.window
        if not yes:
            confirm("Remove them for good?" if for_good else "Move them to the trash?")
        with butler.transaction():
            count = sum(butler.remove_run(name, unlink_from_chains=unlink, purge=purge) for name in names)
            count += butler.remove_datasets(refs, purge=purge) if refs else 0
    datasets = counted(count, "dataset")
    click.echo(f"removed {datasets}" if for_good else f"moved {datasets} to the trash")
    return 0


def _check_removable(butler: Butler, names: Iterable[str], unlink: bool) -> None:
    """Raise, before anything is asked, where collections are no RUNs, or chains hold RUNs.

    Raises
    ------
    click.ClickException
        Says what to do instead.
    """
    from ..model.collections import CollectionType

    for name in names:
        info = butler.collections.info(name)
        if info.type is not CollectionType.RUN:
            text = f"{name!r} is {info.type.name}, no RUN"
            if info.type is CollectionType.CHAINED:
                rows = butler.registry.catalog.flatten((name,))
                held = [row.name for row in rows if row.type is CollectionType.RUN]
                text += f": it searches the RUNs {', '.join(held) or '(none)'}, which --run takes"
            raise click.ClickException(f"{text}. `skybutler remove-collections` removes {name!r}, and no dataset.")
        if info.parents and not unlink:
            raise click.ClickException(
                f"{name!r} is held by {', '.join(info.parents)}; --unlink takes it out of there first."
            )


@click.group("trash", context_settings={"help_option_names": ["-h", "--help"]})
def trash() -> None:
    """Show what was removed from a repository, bring it back, or remove it for good.

    \b
      skybutler trash list demo
      skybutler trash restore demo --run 'u/me/first/*'
      skybutler trash empty demo --older-than "2 days"
    """


@trash.command("list")
@click.argument("repo")
@click.argument("dataset_type", metavar="[TYPE]", default="*")
@click.option("--run", default="*", metavar="GLOB", help="Only datasets that such RUNs owned.")
@format_option
def trash_list(repo: str, dataset_type: str, run: str, output: str) -> None:
    """List what is in the trash of REPO, of a TYPE (a name or glob), the last one removed first.

    \b
      skybutler trash list demo 'cal*' --run 'u/me/*'
    """
    from ..butler import Butler

    with Butler(repo, writeable=False) as butler:
        rows = [
            [one.dataset_type, " ".join(f"{k}={v}" for k, v in one.data_id.items()), one.run, one.removed[:19],
             "being emptied" if one.is_going else one.expires[:19], one.size, str(one.id)]
            for one in butler.trash.list(dataset_type, run=run)
        ]  # fmt: skip
    print_rows(["type", "data ID", "run", "removed (TAI)", "expires (TAI)", "bytes", "id"], rows, output)


@trash.command("restore")
@click.argument("repo")
@click.argument("ids", metavar="[ID]...", nargs=-1, type=click.UUID)
@click.option("--type", "dataset_type", default="*", metavar="GLOB", help="All of such dataset types.")
@click.option("--run", metavar="GLOB", help="All that such RUNs owned.")
@click.option("--skip-conflicts", is_flag=True, help="Leave what cannot be restored, and restore the others.")
def trash_restore(repo: str, ids: tuple[Any, ...], dataset_type: str, run: str | None, skip_conflicts: bool) -> int:
    """Bring datasets of REPO back from the trash: by their IDs, by RUN or by type; all of them, or none.

    A RUN that is gone is made again, and datasets go back into the TAGGED and CALIBRATION collections that held them.
    What has its place taken by now is told, and nothing is restored, unless --skip-conflicts is given.

    \b
      skybutler trash restore demo --run 'u/me/first/*'
      skybutler trash restore demo --type src --run '*'
    """
    from ..butler import Butler

    if bool(ids) == (run is not None or dataset_type != "*"):
        raise click.UsageError("name IDs (`skybutler trash list` shows them), or say --run or --type.")
    with Butler(repo, writeable=True) as butler:
        found = butler.trash.list()
        if not ids and not butler.trash.list(dataset_type, run=run or "*"):
            what = [f"of RUN {run!r}"] * (run is not None) + [f"of type {dataset_type!r}"] * (dataset_type != "*")
            held = ", ".join(sorted({f"{one.dataset_type} of {one.run!r}" for one in found})) or "nothing at all"
            raise click.ClickException(f"the trash holds nothing {' '.join(what)}; there is {held}.")
        done = butler.trash.restore(ids, dataset_type=dataset_type, run=run, skip_conflicts=skip_conflicts)
    for text in [*(f"not restored: {conflict}" for conflict in done.conflicts), *(f"lost: {one}" for one in done.lost)]:
        click.echo(text, err=True)
    click.echo(f"restored {counted(len(done.refs), 'dataset')}")
    return 0 if done.refs and not done.conflicts else 1


@trash.command("empty")
@click.argument("repo")
@click.option("--older-than", metavar="TIME", help="Only what was removed so long ago ('2 days').  [default: all]")
@click.option("--yes", "-y", is_flag=True, help="Do it without asking.")
def trash_empty(repo: str, older_than: str | None, yes: bool) -> None:
    """Remove for good what is in the trash of REPO, and finish removals that were cut off.

    \b
      skybutler trash empty demo --older-than "2 days" --yes
    """
    from ..butler import Butler

    age = None if older_than is None else time_span(older_than)
    with Butler(repo, writeable=True) as butler:
        found = butler.trash.list()
        if not yes and found:
            size = readable_size(sum(one.size for one in found))
            what = "them" if age is None else f"what has been there for {older_than}"
            confirm(f"{counted(len(found), 'dataset')} in the trash, {size}. Remove {what} for good?")
        count = butler.trash.empty(age)
    click.echo(f"removed {counted(count, 'dataset')} for good")


@click.command("du")
@click.argument("repo")
@click.argument("name", metavar="[GLOB]", default="*")
@click.option(
    "--by",
    type=click.Choice(["run", "dataset_type", "collection"]),
    default="run",
    show_default=True,
    help="What room is counted by; a dataset in several collections counts in each.",
)
@format_option
def du(repo: str, name: str, by: Any, output: str) -> None:
    """Tell what takes up how much room in REPO: RUNs, dataset types or collections whose names match GLOB.

    A file that several datasets share counts once. As JSON or CSV, sizes are bytes.

    \b
      skybutler du demo
      skybutler du demo 'u/me/*' --by collection
    """
    from fnmatch import fnmatchcase

    from ..butler import Butler

    with Butler(repo, writeable=False) as butler:
        found = [usage for usage in butler.disk_usage(by) if fnmatchcase(usage.name, name)]
        whole = butler.disk_usage("repository")
        removed = butler.trash.list()
    readable = output == "table"
    rows = [[u.name, u.datasets, u.files, readable_size(u.size) if readable else u.size] for u in found]
    print_rows([by.replace("_", " "), "datasets", "files", "size" if readable else "bytes"], rows, output)
    if readable:
        if by == "collection" and rows:
            click.echo("a dataset in several collections counts in each of them")
        said = f"in the whole repository {readable_size(sum(usage.size for usage in whole))}"
        if removed:
            size = readable_size(sum(one.size for one in removed))
            said += f", and {size} in the trash ({counted(len(removed), 'dataset')})"
        click.echo(said)
    if not rows and name != "*":
        click.echo(f"nothing found: no {by.replace('_', ' ')} with datasets is called {name!r}", err=True)
