"""Options that several commands have, and the datasets that they mean."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

import click

if TYPE_CHECKING:
    from datetime import timedelta

    from ..butler import Butler
    from ..model.datasets import DatasetRef

__all__ = [
    "collections_option",
    "confirm",
    "find_all_option",
    "found_datasets",
    "only_where_option",
    "reasons",
    "split_names",
    "time_span",
    "where_option",
]  # fmt: skip

collections_option = click.option(
    "--collections",
    "-c",
    multiple=True,
    metavar="NAME",
    help="What is searched; may be repeated, or separated by commas.  [default: defaults]",
)
find_all_option = click.option(
    "--find-all", is_flag=True, help="All datasets of a data ID, not only the first in the search."
)
where_option = click.option(
    "--where", "-w", default="", metavar="EXPRESSION", help="What must hold, as in \"band = 'r'\"."
)
only_where_option = click.option(
    "--where", "-w", default="", metavar="EXPRESSION", help="Only datasets for which this holds."
)


def split_names(given: Iterable[str]) -> list[str]:
    """Return the names of an option that may be repeated, or hold several separated by commas."""
    return [name for text in given for name in text.split(",") if name]


class _Explains(Protocol):
    def explain(self) -> str:
        """Return what is asked, and what lets nothing through."""


def reasons(query: _Explains) -> list[str]:
    """Return what lets nothing through a query."""
    return [line[4:] for line in query.explain().splitlines() if line.startswith("  - ")]


def found_datasets(
    butler: Butler, dataset_types: Iterable[str], collections: Iterable[str], where: str, *, find_all: bool
) -> tuple[list[DatasetRef], list[str]]:
    """Return the datasets that options mean, each once, and why types have none.

    Parameters
    ----------
    butler
        The repository.
    dataset_types
        Names or globs.
    collections
        What is searched; the Butler's own where there are none.
    where
        What must hold.
    find_all
        Whether all datasets of a data ID are meant, not only the first in the search.
    """
    refs: dict[DatasetRef, None] = {}
    why: dict[str, None] = {}
    for name in dict.fromkeys(dataset_types):
        query = butler.query_all_datasets(
            name, collections=split_names(collections) or None, where=where, find_first=not find_all
        )
        found = dict.fromkeys(query)
        refs |= found
        if not found:
            empty: _Explains = query
            if name in butler.registry.catalog.dataset_types:  # says in which collections they are
                searched = split_names(collections) or None
                empty = butler.query_datasets(name, searched, where=where, find_first=not find_all)
            why |= dict.fromkeys(reasons(empty) or empty.explain().splitlines()[-1:])
    return list(refs), list(why)


def confirm(question: str) -> None:
    """Ask whether to go on; return where the answer is yes.

    Raises
    ------
    click.ClickException
        The answer is no, or nobody is there to give one.
    """
    try:
        agreed = click.confirm(question)
    except click.Abort:
        if sys.stdin.isatty():  # Ctrl-C
            raise
        click.echo(err=True)
        raise click.UsageError("nobody answers, as there is no terminal: pass --yes to do it without asking.") from None
    if not agreed:
        raise click.ClickException("nothing was done.")


def time_span(text: str) -> timedelta:
    """Return the span of time of ``--older-than``.

    Raises
    ------
    click.BadParameter
        It is none.
    """
    from datetime import timedelta

    from ..butler.places import seconds
    from ..model.errors import ConfigError

    try:
        return timedelta(seconds=seconds(text, "--older-than"))
    except (ConfigError, OverflowError) as error:
        raise click.BadParameter(str(error)) from error
