"""The commands that say when calibrations are valid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .options import only_where_option, reasons

if TYPE_CHECKING:
    from ..model.timespan import Timespan

__all__ = ["certify", "decertify"]


@click.command("certify")
@click.argument("repo")
@click.argument("source", metavar="COLLECTION")
@click.argument("calib")
@click.argument("dataset_types", metavar="TYPE...", nargs=-1, required=True)
@click.option("--begin", metavar="TIME", help="First moment (UTC, 2019-05-03T12:00:00).  [default: since ever]")
@click.option("--end", metavar="TIME", help="Moment up to which (UTC), itself left out.  [default: for ever]")
@only_where_option
def certify(
    repo: str, source: str, calib: str, dataset_types: tuple[str, ...], begin: str | None, end: str | None, where: str
) -> int:
    """Say in CALIB that the datasets of each TYPE in a COLLECTION of REPO are valid from --begin to --end.

    CALIB is a CALIBRATION collection, made where it is not there. Searches that go through it find, for each exposure
    or visit, what was valid then. Nothing is certified where another dataset is valid at a time of that span already.

    \b
      skybutler certify demo simcam/calib simcam/certified bias dark flat --begin 2019-05-03 --end 2019-05-04
    """
    from ..butler import Butler
    from ..model.collections import CollectionType

    timespan = _timespan(begin, end)
    with Butler(repo, writeable=True) as butler:
        found = {name: list(butler.query_datasets(name, source, where=where)) for name in dict.fromkeys(dataset_types)}
        if empty := [name for name, refs in found.items() if not refs]:
            why = reasons(butler.query_datasets(empty[0], source, where=where))
            reason = why[0] if why else f"no {empty[0]} in {source}"
            click.echo(f"nothing was certified: {reason}", err=True)
            return 1
        with butler.transaction():
            butler.collections.register(calib, CollectionType.CALIBRATION)
            butler.collections.certify(calib, [ref for refs in found.values() for ref in refs], timespan)
    counted = ", ".join(f"{len(refs)} {name}" for name, refs in found.items())
    click.echo(f"{counted} certified in {calib!r} for {timespan} (TAI)")
    return 0


@click.command("decertify")
@click.argument("repo")
@click.argument("calib")
@click.argument("dataset_types", metavar="TYPE...", nargs=-1, required=True)
@click.option("--begin", metavar="TIME", help="First moment (UTC, 2019-05-03T12:00:00).  [default: since ever]")
@click.option("--end", metavar="TIME", help="Moment up to which (UTC), itself left out.  [default: for ever]")
@click.option("--id", "data_ids", multiple=True, metavar="KEY=VALUE", help="Only this data ID; repeat for more keys.")
def decertify(
    repo: str, calib: str, dataset_types: tuple[str, ...], begin: str | None, end: str | None, data_ids: tuple[str, ...]
) -> None:
    """Say in the CALIBRATION collection CALIB of REPO that no dataset of a TYPE is valid from --begin to --end.

    What is valid before or after stays so: validity that reaches beyond is cut. The datasets stay in their RUNs.

    \b
      skybutler decertify demo simcam/certified flat --begin 2019-05-03T18:00:00
      skybutler decertify demo simcam/certified flat --id detector=1 --id physical_filter=r
    """
    from ..butler import Butler
    from ..tasks.id_arguments import parse_id_arguments

    timespan = _timespan(begin, end)
    wanted = parse_id_arguments(data_ids) if data_ids else None
    with Butler(repo, writeable=True) as butler, butler.transaction():
        for dataset_type in dict.fromkeys(dataset_types):
            butler.collections.decertify(calib, dataset_type, timespan, wanted)
    click.echo(f"no {', '.join(dict.fromkeys(dataset_types))} of {calib!r} is valid for {timespan} (TAI)")


def _timespan(begin: str | None, end: str | None) -> Timespan:
    from ..model.timespan import Timespan

    for option, text in (("--begin", begin), ("--end", end)):
        try:
            Timespan.from_isot(text, None, scale="utc")
        except ValueError:
            raise click.UsageError(f"{option} {text!r} is no time; write it (UTC) like 2019-05-03T12:00:00.") from None
    timespan = Timespan.from_isot(begin, end, scale="utc")
    if timespan.is_empty:
        raise click.UsageError(f"--end {end} is not after --begin {begin}.")
    return timespan
