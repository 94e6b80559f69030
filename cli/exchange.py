"""Commands by which datasets go between repositories, and into folders and bundles of the user's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..model.wording import counted
from .options import collections_option, find_all_option, found_datasets, split_names, where_option

if TYPE_CHECKING:
    from ..butler import Butler
    from ..model.datasets import DatasetRef

__all__ = ["export", "import_", "retrieve", "transfer"]

F = TypeVar("F", bound=Callable[..., Any])


def _chosen_options(command: F) -> F:
    """Give a command the arguments and options that say which datasets are meant."""
    for option in (
        find_all_option,
        collections_option,
        where_option,
        click.argument("dataset_types", nargs=-1, metavar="[DATASET_TYPE]..."),
    ):
        command = option(command)
    return command


def _received_options(command: F) -> F:
    """Give a command the options of what comes into a repository."""
    for option in (
        click.option("--dry-run", "-n", is_flag=True, help="Try all of it, but for the files, and change nothing."),
        click.option("--skip-existing", is_flag=True, help="Pass over datasets that are there already."),
    ):
        command = option(command)
    return command


def _chosen(
    butler: Butler, types: Iterable[str], where: str, collections: Iterable[str], find_all: bool
) -> list[DatasetRef]:
    """Return the datasets that are meant.

    Raises
    ------
    click.ClickException
        There are none; says why.
    """
    from ..registry.catalog import is_glob

    if any(map(is_glob, split_names(collections))):  # they have no order, so there is no first in them
        find_all = True
    refs, why = found_datasets(butler, split_names(types) or ["*"], collections, where, find_all=find_all)
    if not refs:
        raise click.ClickException("no dataset is found: " + ("; ".join(why) or "none is there"))
    return refs


@click.command("export")
@click.argument("repo")
@click.argument("target", type=click.Path())
@_chosen_options
@click.option(
    "--with", "along", multiple=True, metavar="NAME",
    help="Chains, TAGGED and CALIBRATION collections that go along, with what they say of these datasets.",
)  # fmt: skip
@click.option("--elements", multiple=True, metavar="NAME", help="Elements all of whose dimension records go along.")
@click.option(
    "--transfer",
    "-t",
    type=click.Choice(["copy", "link", "direct", "none"]),
    default="copy",
    show_default=True,
    help="What becomes of files: direct says where they lie; none, where in a copy of this repository's folder.",
)
def export(
    repo: str, target: str, dataset_types: tuple[str, ...], where: str, collections: tuple[str, ...], find_all: bool,
    along: tuple[str, ...], elements: tuple[str, ...], transfer: str,
) -> None:  # fmt: skip
    """Write datasets of REPO into a new folder TARGET, from which `skybutler import` takes them into another one.

    Where nothing says which datasets, it is the whole repository. An export holds YAML, Parquet tables and the files;
    with the datasets go the dimension records that they need, their RUNs, and what is noted of them.

    \b
      skybutler export demo /backup/demo
      skybutler export demo night1 raw -w "day_obs = 20250103"
      skybutler export demo calibs bias flat -c SimCam/calib --with SimCam/calib
    """
    from ..butler import Butler

    if Path(target).suffix == ".zip":
        raise click.UsageError(
            f"an export is a folder, and {target} would be one, too; `skybutler retrieve` makes zip bundles."
        )
    with Butler(repo, writeable=False) as butler:
        refs = None
        if dataset_types or where or collections or find_all:
            refs = _chosen(butler, dataset_types, where, collections, find_all)
        named = split_names(along) if refs is not None or along else None
        path = butler.export(
            target, refs, collections=named, elements=split_names(elements) or None,
            transfer=None if transfer == "none" else transfer,
        )  # fmt: skip
        said = (
            "all datasets" if refs is None and named is None else counted(len(refs), "dataset") if refs else "datasets"
        )
    click.echo(f"Wrote {said} to {path}")


@click.command("import")
@click.argument("repo")
@click.argument("source", type=click.Path())
@click.option(
    "--transfer",
    "-t",
    type=click.Choice(["auto", "copy", "link", "move", "in_place", "direct"]),
    default="auto",
    show_default=True,
    help="What becomes of the files: auto links or copies them, direct leaves them where the export says.",
)
@_received_options
def import_(repo: str, source: str, transfer: str, skip_existing: bool, dry_run: bool) -> None:
    """Take an export into REPO: all of it, or nothing.

    SOURCE is the folder or YAML file of an export, of SkyButler or of LSST's butler, or a zip bundle. Datasets keep
    their ids. What contradicts the repository is shown, and nothing is changed then.

    \b
      skybutler import copy /backup/demo
      skybutler import copy /backup/demo --dry-run
      skybutler import copy from_lsst/export.yaml --transfer direct
      skybutler import copy night1.zip
    """
    from ..butler import Butler

    with Butler(repo, writeable=True) as butler:
        if Path(source).suffix == ".zip" and not Path(source).is_dir():
            found = butler.ingest_zip(source, transfer, skip_existing=skip_existing, dry_run=dry_run)
        else:
            found = butler.import_(source, transfer=transfer, skip_existing=skip_existing, dry_run=dry_run)
    click.echo(f"{'Would take in' if dry_run else 'Took in'} {found}")


@click.command("transfer")
@click.argument("source")
@click.argument("repo")
@_chosen_options
@click.option(
    "--transfer",
    "-t",
    "how",
    type=click.Choice(["auto", "copy", "link", "direct"]),
    default="auto",
    show_default=True,
    help="What becomes of the files: auto links or copies them, direct leaves them in SOURCE.",
)
@click.option("--no-dimensions", is_flag=True, help="Take no dimension records along.")
@click.option("--no-dataset-types", is_flag=True, help="Take no dataset types along.")
@_received_options
def transfer(
    source: str, repo: str, dataset_types: tuple[str, ...], where: str, collections: tuple[str, ...], find_all: bool,
    how: str, no_dimensions: bool, no_dataset_types: bool, skip_existing: bool, dry_run: bool,
) -> None:  # fmt: skip
    """Take datasets of the repository SOURCE into REPO: all of them, or none.

    They keep their ids and RUNs; dimension records, dataset types and annotations that they need come along.

    \b
      skybutler transfer /shared/repo mine calexp src -c u/first -w "visit = 1234"
      skybutler transfer /shared/repo mine '*' -c 'u/*' --dry-run
    """
    from ..butler import Butler

    with Butler(source, writeable=False) as other, Butler(repo, writeable=True) as butler:
        refs = _chosen(other, dataset_types, where, collections, find_all)
        found = butler.transfer_from(
            other, refs, transfer=how, transfer_dimensions=not no_dimensions,
            register_dataset_types=not no_dataset_types, skip_existing=skip_existing, dry_run=dry_run,
        )  # fmt: skip
    click.echo(f"{'Would take in' if dry_run else 'Took in'} {found}")


@click.command("retrieve")
@click.argument("repo")
@click.argument("target", type=click.Path())
@_chosen_options
@click.option("--overwrite", is_flag=True, help="Replace files that are there already.")
@click.option("--flat", is_flag=True, help="Put all files into one folder, without the folders that they are in.")
def retrieve(
    repo: str, target: str, dataset_types: tuple[str, ...], where: str, collections: tuple[str, ...], find_all: bool,
    overwrite: bool, flat: bool,
) -> None:  # fmt: skip
    """Copy the files of datasets of REPO into a folder TARGET; or into one zip bundle, where it ends in .zip.

    A bundle holds all that must be known of its datasets, for `skybutler import`.

    \b
      skybutler retrieve demo fits calexp -w "visit = 1004" --flat
      skybutler retrieve demo night1.zip raw -w "day_obs = 20250103"
    """
    from ..butler import Butler

    with Butler(repo, writeable=False) as butler:
        refs = _chosen(butler, dataset_types, where, collections, find_all)
        if Path(target).suffix == ".zip":
            if flat:
                raise click.UsageError("--flat is for folders; a bundle keeps the folders that files are in.")
            butler.retrieve_zip(refs, target, overwrite=overwrite)
        else:
            butler.retrieve(refs, target, overwrite=overwrite, preserve_path=not flat)
    click.echo(f"Copied the files of {counted(len(refs), 'dataset')} to {target}")
