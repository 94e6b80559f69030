"""Commands that ask: datasets, data IDs, dimension records, SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from ..butler import Butler
from .output import format_option, print_rows

__all__ = ["query_data_ids", "query_datasets", "query_records", "sql"]

F = TypeVar("F", bound=Callable[..., Any])


def _query_options(command: F) -> F:
    """Give a command the options that all queries share."""
    for option in reversed(
        [
            click.option("--where", "-w", default="", metavar="EXPRESSION", help="What must hold, e.g. \"band = 'r'\"."),
            click.option("--collections", "-c", multiple=True, metavar="NAME", help="What is searched; may be repeated, or separated by commas.  [default: defaults]"),
            click.option("--order-by", "-s", multiple=True, metavar="NAME", help="Sort by this; -NAME reverses; may be repeated."),
            click.option("--limit", "-n", type=click.IntRange(min=0), help="How many rows at most."),
        ]
    ):  # fmt: skip
        command = option(command)
    return command


def _names(given: Iterable[str]) -> list[str] | None:
    names = [name for text in given for name in text.split(",") if name]
    return names or None


@click.command("query-datasets")
@click.argument("repo")
@click.argument("dataset_type", default="*")
@_query_options
@click.option("--find-all", is_flag=True, help="All datasets of a data ID, not only the first in the search.")
@click.option("--uri", is_flag=True, help="Also print where each file lies.")
@format_option
def query_datasets(
    repo: str, dataset_type: str, where: str, collections: tuple[str, ...], order_by: tuple[str, ...],
    limit: int | None, find_all: bool, uri: bool, output: str,
) -> None:  # fmt: skip
    """List the datasets of REPO of a DATASET_TYPE (a name, or a glob such as 'cal*').

    \b
      skybutler query-datasets demo calexp --where "visit.exposure_time > 30 AND band IN ('g', 'r')"
      skybutler query-datasets demo src -s -visit -n 5 --uri
      skybutler query-datasets demo '*' -c 'u/*' --find-all --format csv
    """
    butler = Butler(repo, writeable=False)
    found: Iterable[Any]
    if any(c in dataset_type for c in "*?["):
        if order_by:
            raise click.UsageError(
                "--order-by needs one dataset type, not a glob: types differ in what they can be sorted by."
            )
        found = butler.query_all_datasets(
            dataset_type, collections=_names(collections), find_first=not find_all, where=where, limit=limit
        )
    else:
        found = butler.query_datasets(
            dataset_type, _names(collections), find_first=not find_all, where=where, order_by=_names(order_by) or (), limit=limit,
        )  # fmt: skip
    refs = list(found)
    dimensions = list(dict.fromkeys(name for ref in refs for name in ref.dataset_type.dimensions.required))
    names = ["type", *dimensions, "run", "id", *(["uri"] if uri else [])]
    rows = (
        [ref.dataset_type.name, *(ref.data_id.get(d) for d in dimensions), ref.run, ref.id, *([butler.get_uri(ref)] if uri else [])]
        for ref in refs
    )  # fmt: skip
    print_rows(names, rows, output)


@click.command("query-data-ids")
@click.argument("repo")
@click.argument("dimensions", nargs=-1, required=True)
@_query_options
@click.option("--datasets", "-t", multiple=True, metavar="TYPE", help="Only data IDs that have a dataset of this type.")
@format_option
def query_data_ids(
    repo: str, dimensions: tuple[str, ...], where: str, collections: tuple[str, ...], order_by: tuple[str, ...],
    limit: int | None, datasets: tuple[str, ...], output: str,
) -> None:  # fmt: skip
    """List the data IDs of REPO over some DIMENSIONS.

    \b
      skybutler query-data-ids demo visit detector --datasets calexp --where "band = 'g'"
    """
    butler = Butler(repo, writeable=False)
    query = butler.query_data_ids(
        dimensions, datasets=_names(datasets), collections=_names(collections), where=where,
        order_by=_names(order_by) or (), limit=limit,
    )  # fmt: skip
    names = butler.universe.conform(dimensions).names
    print_rows(names, ([data_id.get(name) for name in names] for data_id in query), output)


@click.command("query-records")
@click.argument("repo")
@click.argument("element")
@_query_options
@click.option(
    "--datasets", "-t", multiple=True, metavar="TYPE", help="Only records of data IDs that have a dataset of this type."
)
@format_option
def query_records(
    repo: str, element: str, where: str, collections: tuple[str, ...], order_by: tuple[str, ...],
    limit: int | None, datasets: tuple[str, ...], output: str,
) -> None:  # fmt: skip
    """List the dimension records of REPO of one ELEMENT: instrument, detector, physical_filter, exposure, visit, …

    \b
      skybutler query-records demo visit --where "exposure_time > 30" --order-by -exposure_time
      skybutler query-records demo detector --format json
    """
    butler = Butler(repo, writeable=False)
    query = butler.query_dimension_records(
        element, datasets=_names(datasets), collections=_names(collections), where=where,
        order_by=_names(order_by) or (), limit=limit,
    )  # fmt: skip
    names = [column.name for column in butler.universe[element].columns]
    records = list(query)
    if output == "table":  # columns that no record fills only take room
        names = [name for name in names if not records or any(getattr(r, name) is not None for r in records)]
    print_rows(names, ([getattr(record, name) for name in names] for record in records), output)


@click.command("sql")
@click.argument("repo")
@click.argument("statement")
@format_option
def sql(repo: str, statement: str, output: str) -> None:
    """Run an SQL STATEMENT on REPO's registry; it cannot write.

    The views v_datasets, v_collections, v_quanta and one a dataset type (v_calexp, …) are there to be asked.

    \b
      skybutler sql demo "SELECT dataset_type, count(*), sum(size) FROM v_datasets GROUP BY 1"
    """
    names, rows = Butler(repo, writeable=False).sql(statement)
    print_rows(names, rows, output)
