"""Commands that ask: datasets, data IDs, dimension records, SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .options import collections_option, find_all_option, reasons, split_names, where_option
from .output import format_option, print_rows

if TYPE_CHECKING:
    from ..model.datasets import DatasetRef, DatasetType

__all__ = ["query_data_ids", "query_datasets", "query_records", "sql"]

F = TypeVar("F", bound=Callable[..., Any])


def _query_options(command: F) -> F:
    """Give a command the options that all queries share."""
    for option in (
        format_option,
        click.option(
            "--limit", "-n", type=int, metavar="N", help="How many rows at most; -N also tells if there are more."
        ),
        click.option(
            "--order-by",
            "-s",
            multiple=True,
            metavar="NAME",
            help="Sort by this (-NAME: reversed); may be repeated, or separated by commas.",
        ),
        collections_option,
        where_option,
    ):
        command = option(command)
    return command


def _searched(collections: Iterable[str], datasets: Iterable[str]) -> list[str] | None:
    """Return the collections that dataset types are looked for in; without types they would mean nothing."""
    searched = split_names(collections)
    if searched and not split_names(datasets):
        raise click.UsageError("--collections goes with --datasets: data IDs and records are in no collection.")
    return searched or None


def _print_found(columns: Sequence[str], rows: Sequence[Sequence[Any]], output: str, query: Any) -> None:
    """Print rows; where there are none, say on standard error why."""
    print_rows(columns, rows, output)
    if not rows:
        for reason in list(dict.fromkeys(reasons(query))) or query.explain().splitlines()[-1:]:
            click.echo(f"nothing found: {reason}", err=True)


@click.command("query-datasets")
@click.argument("repo")
@click.argument("dataset_type", default="*")
@_query_options
@find_all_option
@click.option("--uri", is_flag=True, help="Also print where each file lies.")
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
    from ..butler import Butler
    from ..registry.catalog import is_glob

    searched = split_names(collections)
    if is_glob(dataset_type) and order_by:
        raise click.UsageError(
            "--order-by needs one dataset type, not a glob: types differ in what they can be sorted by."
        )
    if any(map(is_glob, searched)) and not find_all:
        raise click.UsageError("collections by glob have no order, so there is no first in them: add --find-all.")
    with Butler(repo, writeable=False) as butler:
        found: Any
        if is_glob(dataset_type):
            found = butler.query_all_datasets(
                dataset_type, collections=searched or None, find_first=not find_all, where=where, limit=limit
            )
        else:
            found = butler.query_datasets(
                dataset_type, searched or None, find_first=not find_all, where=where,
                order_by=split_names(order_by), limit=limit,
            )  # fmt: skip
        if find_all:
            names, rows, refs = _each_validity(found, dataset_type, butler.dataset_type)
        else:
            refs = list(found)
            types = list(dict.fromkeys(ref.dataset_type for ref in refs))
            if not is_glob(dataset_type):
                types = [butler.dataset_type(dataset_type)]
            dimensions = list(dict.fromkeys(name for one in types for name in one.dimensions.required))
            names = ["type", *dimensions, "run", "id"]
            rows = [
                [ref.dataset_type.name, *(ref.data_id.get(d) for d in dimensions), ref.run, str(ref.id)] for ref in refs
            ]
        if uri:
            names, rows = [*names, "uri"], [[*row, butler.get_uri(ref)] for row, ref in zip(rows, refs, strict=True)]
        _print_found(names, rows, output, found)


def _each_validity(
    found: Any, dataset_type: str, of_name: Callable[[str], DatasetType]
) -> tuple[list[str], list[list[Any]], list[DatasetRef]]:
    """Return all datasets of a query as rows: those of CALIBRATION collections once for each span they are valid in."""
    from uuid import UUID

    from ..model.datasets import DatasetRef
    from ..model.timespan import isot_from_ns

    table = found.to_arrow()
    ends = [name for name in ("timespan_begin", "timespan_end") if name in table.column_names]
    dimensions = [n for n in table.column_names if n not in ("dataset_type", "dataset_id", "run", *ends)]
    cells = {name: table[name].cast("int64" if name in ends else table[name].type).to_pylist()
             for name in table.column_names}  # fmt: skip
    rows, refs = [], []
    for i in range(table.num_rows):
        row = {name: cells[name][i] for name in cells}
        name = row.get("dataset_type", dataset_type)
        spans = [None if row[end] is None else isot_from_ns(row[end]) for end in ends]
        rows.append([name, *(row[d] for d in dimensions), row["run"], row["dataset_id"], *spans])
        data_id = {d: row[d] for d in dimensions if row[d] is not None}
        refs.append(DatasetRef(of_name(name), data_id, row["run"], id=UUID(row["dataset_id"])))
    return ["type", *dimensions, "run", "id", *ends], rows, refs


@click.command("query-data-ids")
@click.argument("repo")
@click.argument("dimensions", nargs=-1, required=True)
@_query_options
@click.option("--datasets", "-t", multiple=True, metavar="TYPE", help="Only data IDs that have a dataset of this type.")
def query_data_ids(
    repo: str, dimensions: tuple[str, ...], where: str, collections: tuple[str, ...], order_by: tuple[str, ...],
    limit: int | None, datasets: tuple[str, ...], output: str,
) -> None:  # fmt: skip
    """List the data IDs of REPO over some DIMENSIONS.

    \b
      skybutler query-data-ids demo visit detector --datasets calexp --where "band = 'g'"
    """
    from ..butler import Butler

    searched = _searched(collections, datasets)
    with Butler(repo, writeable=False) as butler:
        query = butler.query_data_ids(
            dimensions, datasets=split_names(datasets) or None, collections=searched, where=where,
            order_by=split_names(order_by), limit=limit,
        )  # fmt: skip
        names = butler.universe.conform(dimensions).names
        _print_found(names, [[data_id.get(name) for name in names] for data_id in query], output, query)


@click.command("query-records")
@click.argument("repo")
@click.argument("element")
@_query_options
@click.option(
    "--datasets", "-t", multiple=True, metavar="TYPE", help="Only records of data IDs that have a dataset of this type."
)
def query_records(
    repo: str, element: str, where: str, collections: tuple[str, ...], order_by: tuple[str, ...],
    limit: int | None, datasets: tuple[str, ...], output: str,
) -> None:  # fmt: skip
    """List the dimension records of REPO of one ELEMENT: instrument, detector, physical_filter, exposure, visit, …

    \b
      skybutler query-records demo visit --where "exposure_time > 30" --order-by -exposure_time
      skybutler query-records demo detector --format json
    """
    from ..butler import Butler

    searched = _searched(collections, datasets)
    with Butler(repo, writeable=False) as butler:
        query = butler.query_dimension_records(
            element, datasets=split_names(datasets) or None, collections=searched, where=where,
            order_by=split_names(order_by), limit=limit,
        )  # fmt: skip
        names = [column.name for column in butler.universe[element].columns]
        records = list(query)
        if output == "table":  # columns that no record fills only take room
            names = [name for name in names if not records or any(getattr(r, name) is not None for r in records)]
        _print_found(names, [[getattr(record, name) for name in names] for record in records], output, query)


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
    from ..butler import Butler

    with Butler(repo, writeable=False) as butler:
        names, rows = butler.sql(statement)
    print_rows(names, rows, output)
