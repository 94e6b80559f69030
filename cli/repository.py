"""Commands that make, fill and show a repository."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from .options import collections_option, split_names
from .output import format_option, print_rows

if TYPE_CHECKING:
    from ..butler import Butler

__all__ = ["collections", "create", "dimensions", "ingest_raws", "one_data_id", "show"]


@click.command("create")
@click.argument("repo")
@click.option(
    "--registry", metavar="URL", help="SQLAlchemy URL of the database; an SQLite file in REPO where left out."
)
@click.option(
    "--datastore",
    metavar="PLACE",
    multiple=True,
    help="Where files are kept: s3://bucket/prefix, or a folder (relative: in REPO); REPO where left out. It may be "
    "repeated: what is read is looked for in this order.",
)
@click.option("--cache", metavar="FOLDER", help="Folder for copies of what is not on this machine.")
@click.option(
    "--universe",
    metavar="FILE",
    type=click.Path(),
    help="YAML file of dimensions of one's own (docs/dimensions.md); the default ones where left out.",
)
def create(
    repo: str, registry: str | None, datastore: tuple[str, ...], cache: str | None, universe: str | None
) -> None:
    """Make an empty repository in the folder REPO.

    What a data ID may say, and which columns its records have, is fixed here: --universe takes a YAML file that
    extends the default dimensions or describes others. `skybutler dimensions REPO` shows them.

    \b
      skybutler create demo
      skybutler create demo --datastore s3://bucket/demo --cache /scratch/demo
      skybutler create demo --universe survey.yaml
    """
    from ..butler import Butler

    if not repo:  # an unset variable of a shell, not the folder that one happens to be in
        raise click.UsageError("REPO is empty; name a folder.")
    with Butler.create(repo, registry=registry, datastore=datastore or None, cache=cache, universe=universe) as butler:
        click.echo(f"Made a repository in {butler.root}; it knows {len(butler.dataset_types())} dataset types.")


@click.command("dimensions")
@click.argument("repo")
@click.argument("element", required=False)
@click.option("--yaml", "as_yaml", is_flag=True, help="The whole definition, as --universe of create takes it.")
@format_option
def dimensions(repo: str, element: str | None, as_yaml: bool, output: str) -> None:
    """Show the dimensions of REPO, and the relations among them that have records; or the columns of one ELEMENT.

    \b
      skybutler dimensions demo
      skybutler dimensions demo exposure
      skybutler dimensions demo --yaml > survey.yaml
    """
    from ..butler import Butler

    if as_yaml and element is not None:
        raise click.UsageError("--yaml shows all elements; leave ELEMENT out.")
    with Butler(repo, writeable=False) as butler:
        universe = butler.universe
    if as_yaml:
        import yaml

        click.echo(yaml.safe_dump(universe.definition, sort_keys=False, allow_unicode=True, width=120), nl=False)
    elif element is not None:
        rows: list[list[object]] = [
            [c.name, c.role, c.type, c.unit, "no" if c.nullable else "yes", c.doc] for c in universe[element].columns
        ]
        print_rows(["column", "role", "type", "unit", "needed", "doc"], rows, output)
    else:
        rows = [
            [e.name, f"{e.key.name} {e.key.type}" if e.key else "", e.requires, e.implies,
             [w for w, has in (("region", e.has_region), ("timespan", e.has_timespan)) if has], e.doc]
            for e in universe.elements
        ]  # fmt: skip
        print_rows(["element", "key", "requires", "implies", "has", "doc"], rows, output)


@click.command("ingest-raws")
@click.argument("repo")
@click.argument("files", nargs=-1, required=True, type=click.Path())
@click.option("--instrument", "-i", required=True, help="A camera that is shipped (arcsat, simcam), or its YAML file.")
@click.option("--run", help="RUN of the raws.  [default: INSTRUMENT/raw]")
@click.option(
    "--transfer",
    "-t",
    type=click.Choice(["auto", "direct", "link", "copy", "move", "in_place"]),
    default="auto",
    show_default=True,
    help="What becomes of the files: auto links or copies them, direct leaves them where they are.",
)
@click.option(
    "--on-error",
    type=click.Choice(["continue", "stop"]),
    default="continue",
    show_default=True,
    help="A file that cannot be understood is passed over and named, or nothing is ingested.",
)
@click.option(
    "--checksums/--no-checksums",
    default=None,
    help="Read files that are not copied, whole, for their checksums.  [default: as skybutler.yaml has it, or yes]",
)
def ingest_raws(
    repo: str,
    files: tuple[str, ...],
    instrument: str,
    run: str | None,
    transfer: str,
    on_error: Literal["continue", "stop"],
    checksums: bool | None,
) -> int:
    """Take raw frames (FILES, or folders of them) into REPO.

    Headers become exposure records, science exposures become visits. It may be repeated: what is there already is
    passed over. Files that cannot be understood are named, with the reason, and the exit code is 1.

    \b
      skybutler ingest-raws demo frames/ --instrument arcsat
      skybutler ingest-raws demo /archive/2026 -i arcsat --transfer direct --no-checksums
    """
    import os

    from ..butler import Butler
    from ..butler.ingest import ingest_raws as ingest

    with Butler(repo, writeable=True) as butler:
        report = ingest(
            butler, files, instrument, run=run, transfer=transfer, on_error=on_error, checksums=checksums,
            processes=os.cpu_count() or 1,
        )  # fmt: skip
    for _, reason in report.failed:
        click.echo(f"passed over: {reason}", err=True)
    if not (report.ingested or report.known or report.failed):
        click.echo(f"no FITS file was found in {', '.join(files)}", err=True)
        return 1
    click.echo(str(report))
    return 1 if report.failed else 0


@click.command("collections")
@click.argument("repo")
@click.argument("glob", default="*")
@format_option
def collections(repo: str, glob: str, output: str) -> None:
    """List the collections of REPO whose names match GLOB, and what each chains and holds.

    \b
      skybutler collections demo 'u/*'
    """
    from ..butler import Butler

    with Butler(repo, writeable=False) as butler:
        rows = []
        for name in butler.collections.list(glob):
            info = butler.collections.info(name)
            rows.append([name, info.type.name, info.children, butler.collections.dataset_types(name), info.doc])
    print_rows(["collection", "type", "children", "dataset types", "doc"], rows, output)


@click.command("show")
@click.argument("repo")
@click.argument("dataset", required=False)
@click.argument("data_id", nargs=-1)
@collections_option
@format_option
def show(repo: str, dataset: str | None, data_id: tuple[str, ...], collections: tuple[str, ...], output: str) -> None:
    """Show what REPO holds; or one DATASET, named by its type and a data ID of key=value pairs.

    \b
      skybutler show demo
      skybutler show demo calexp visit=20190503091040 detector=0
      skybutler show demo calexp.wcs visit=20190503091040 detector=0
    """
    from ..butler import Butler
    from ..imaging.describe import Described

    if dataset is None and collections:
        raise click.UsageError("--collections goes with a DATASET; `skybutler collections` lists what each holds.")
    with Butler(repo, writeable=False) as butler:
        if dataset is None:
            _show_repository(butler, output)
            return
        ref = butler.get_deferred(dataset, one_data_id(data_id), collections=split_names(collections) or None).ref
        obj = butler.get(ref, component=dataset.partition(".")[2] or None)
        rows = [
            ["dataset type", dataset], *ref.data_id.items(), ["run", ref.run], ["id", str(ref.id)],
            ["uri", butler.get_uri(ref)], ["content", repr(obj)],
        ]  # fmt: skip
    print_rows(["what", "value"], rows, output)
    if output == "table" and isinstance(obj, Described):
        click.echo(str(obj.describe()))


def one_data_id(words: tuple[str, ...]) -> dict[str, int | str]:
    """Return the one data ID that key=value pairs mean; wrong usage where they mean several."""
    from ..tasks.id_arguments import parse_id_arguments

    data_ids = parse_id_arguments(words)
    if len(data_ids) > 1:
        raise click.UsageError(f"{' '.join(words)!r} means {len(data_ids)} data IDs; name one.")
    return data_ids[0]


def _show_repository(butler: Butler, output: str) -> None:
    """Print how many datasets of each type, in which RUNs, a repository holds."""
    names, rows = butler.sql(
        "SELECT dataset_type, run, count(DISTINCT dataset_id) AS datasets, sum(size) AS bytes "
        "FROM v_datasets GROUP BY dataset_type, run ORDER BY run, dataset_type"
    )
    if output == "table":
        universe = butler.universe
        said = []
        for element in (e for e in universe.elements if e.is_dimension and e.has_table):
            query = butler.query_dimension_records(element.name)
            if element.name in universe.governors and (found := [str(record.values[0]) for record in query]):
                said.append(f"{element.name}: {', '.join(found)}")
            elif element.name not in universe.governors and (count := query.count()):
                said.append(f"{element.name}: {count}")
        click.echo(f"{butler!r}\n{'; '.join(said) or 'no dimension records yet'}")
    print_rows(names, rows, output)
