"""The command that looks whether registry and files agree."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from ..model.wording import counted
from .options import time_span
from .output import readable_size

if TYPE_CHECKING:
    from ..butler.verify import Verification

__all__ = ["fsck"]

_SHOWN = 20


@click.command("fsck")
@click.argument("repo")
@click.option("--checksums", is_flag=True, help="Read every file and compare its checksum; else only its size.")
@click.option("--repair", is_flag=True, help="Make whole what can be: see above.")
@click.option(
    "--forget-missing", is_flag=True, help="With --repair: move datasets whose files are gone or damaged to the trash."
)
@click.option(
    "--older-than",
    metavar="TIME",
    default="1 day",
    show_default=True,
    help="Age from which on a file that no dataset has is no writer's any more ('0': nobody is at work).",
)
@click.option("--everywhere", is_flag=True, help="Abandoned files in buckets, too: no other repository uses them.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def fsck(
    repo: str, checksums: bool, repair: bool, forget_missing: bool, older_than: str, everywhere: bool, as_json: bool
) -> int:
    """Compare the registry of REPO with its files; exit with 0 only when all is sound.

    Found are datasets whose files are gone, of another length or (--checksums) content; files that no dataset has;
    removals that were cut off; rows of the registry that do not fit together.

    --repair removes what crashes have left (files that were never finished, or never registered), finishes removals and
    mends rows. Only what is provably SkyButler's own is ever removed; other files are counted as not ours, and stay. A
    dataset whose file is gone or damaged is told, and stays registered unless --forget-missing is given as well. Others
    may go on working meanwhile.

    \b
      skybutler fsck demo --checksums
      skybutler fsck demo --repair
    """
    from ..butler import Butler

    if forget_missing and not repair:
        raise click.UsageError("--forget-missing goes with --repair.")
    with Butler(repo, writeable=repair) as butler:
        found = butler.verify(
            checksums=checksums, repair=repair, forget_missing=forget_missing, everywhere=everywhere,
            older_than=time_span(older_than),
        )  # fmt: skip
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=1, ensure_ascii=False))
    else:
        _print(found)
    return 0 if found.sound else 1


def _print(found: Verification) -> None:
    """Print a report for people."""
    for one in found.findings:
        of = f" ({one.dataset})" if one.dataset else ""
        where = f" {one.where}" if one.where and one.where not in one.text else ""
        click.echo(f"{one.kind}:{where} {one.text}{of}{f' — {one.done}' if one.done else ''}")
    for what, names in (("not ours, left alone", found.foreign), ("perhaps being written just now", found.young)):
        for name in names[:_SHOWN]:
            click.echo(f"{what}: {name}")
        if len(names) > _SHOWN:
            click.echo(f"{what}: {len(names) - _SHOWN} more")
    for note in found.notes:
        click.echo(f"note: {note}")
    read = f", {found.checksums} of them read" if found.checksums else ""
    sums = f"{counted(found.datasets, 'dataset')}, {counted(found.files, 'file')}{read}, {readable_size(found.size)}"
    click.echo(sums)
    left = sum(not one.done for one in found.findings)
    done = len(found.findings) - left
    mended = f"{counted(done, 'fault')} mended. " if done else ""
    click.echo(f"{mended}All is sound." if not left else f"{mended}{counted(left, 'fault')} left.")
