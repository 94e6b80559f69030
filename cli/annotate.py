"""The command that notes something of datasets."""

from __future__ import annotations

import click

from .options import collections_option, only_where_option, reasons, split_names

__all__ = ["annotate"]


@click.command("annotate")
@click.argument("repo")
@click.argument("dataset_type", metavar="TYPE")
@click.argument("pairs", metavar="KEY=VALUE...", nargs=-1, required=True)
@only_where_option
@collections_option
def annotate(repo: str, dataset_type: str, pairs: tuple[str, ...], where: str, collections: tuple[str, ...]) -> int:
    """Note KEY=VALUE of the datasets of a TYPE in REPO, for queries to find them by (TYPE.annotation.KEY).

    A value is a number, true or false, or else text, which may stand in single quotes: night='007'. What was noted
    under a key gives way; a key without a value (KEY=) is taken away.

    \b
      skybutler annotate demo raw quality=good seeing=0.8 --where "exposure = 20190503091040"
      skybutler query-datasets demo raw --where "raw.annotation.quality = 'good'"
    """
    from ..butler import Butler

    noted = dict(map(_pair, pairs))
    with Butler(repo, writeable=True) as butler:
        query = butler.query_datasets(dataset_type, split_names(collections) or None, where=where)
        if not (refs := list(query)):
            for reason in reasons(query):
                click.echo(f"nothing was annotated: {reason}", err=True)
            return 1
        butler.annotate(refs, **noted)
    kept = ", ".join(key for key, value in noted.items() if value is not None)
    gone = ", ".join(key for key, value in noted.items() if value is None)
    done = [f"{kept} noted of" if kept else "", f"{gone} taken away from" if gone else ""]
    click.echo(f"{' and '.join(filter(None, done))} {len(refs)} {dataset_type}")
    return 0


def _pair(text: str) -> tuple[str, str | int | float | bool | None]:
    """Return the key and the value of an argument."""
    key, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"{text!r} is no KEY=VALUE; a condition goes with --where.")
    return key, _value(value)


def _value(text: str) -> str | int | float | bool | None:
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1]
    if text in ("", "true", "false"):
        return {"": None, "true": True, "false": False}[text]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            pass
    return text
