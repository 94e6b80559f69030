"""The command that runs pipelines."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..tasks.pipeline import Pipeline
    from ..tasks.report import RunReport

__all__ = ["print_report", "run"]

_SHOWN = ["pipeline", "config", "graph", "mermaid"]


@click.command("run")
@click.argument("repo")
@click.option(
    "--pipeline",
    "-p",
    required=True,
    metavar="YAML",
    help="A file, or the name of a shipped one (calibration_frames, process); #LABEL,… chooses tasks.",
)
@click.option(
    "--input",
    "-i",
    "inputs",
    multiple=True,
    metavar="NAME",
    help="Collections that are searched for inputs.  [default: defaults]",
)
@click.option(
    "--output", "-o", metavar="NAME", help="Collection for the outputs, e.g. u/me/try1; each run adds a RUN to it."
)
@click.option(
    "--data-query",
    "-d",
    "where",
    default="",
    metavar="EXPRESSION",
    help='What limits the data, e.g. "visit IN (1..5)".',
)
@click.option(
    "--config", "-c", "values", multiple=True, metavar="LABEL:NAME=VALUE", help="Set a configuration field of a task."
)
@click.option(
    "--config-file",
    "-C",
    "files",
    multiple=True,
    metavar="LABEL:FILE",
    help="Apply a file of configuration values (Python or YAML).",
)
@click.option(
    "--skip-existing/--no-skip-existing",
    default=True,
    show_default=True,
    help="Skip work that was done before with the same code, configuration and inputs.",
)
@click.option(
    "--add-to-defaults/--no-add-to-defaults",
    default=True,
    show_default=True,
    help="Put the outputs at the head of the collection `defaults`.",
)
@click.option("--show", "shown", type=click.Choice(_SHOWN), help="Show this and run nothing.")
def run(
    repo: str, pipeline: str, inputs: tuple[str, ...], output: str | None, where: str, values: tuple[str, ...],
    files: tuple[str, ...], skip_existing: bool, add_to_defaults: bool, shown: str | None,
) -> int:  # fmt: skip
    """Run a pipeline over the data of REPO that a query chooses.

    The exit code is 0 when all went well, 1 when something failed, which is named with the reason.

    \b
      skybutler run demo -p calibration_frames -o calib
      skybutler run demo -p process -o u/me/try1 -d "band = 'g'" -c isr:doDark=False
      skybutler run demo -p process#isr -o u/me/isr --show graph
    """
    from ..tasks.execution import run_pipeline
    from ..tasks.pipeline import Pipeline

    chosen = Pipeline.load(pipeline)
    searched = [name for text in inputs for name in text.split(",") if name] or ["defaults"]
    if shown in ("pipeline", "mermaid", "config"):
        _override(chosen, values, files)
        _show(chosen, shown)
        return 0
    if shown == "graph":
        _override(chosen, values, files)
        _show_graph(repo, chosen, searched, where)
        return 0
    if not output:
        raise click.UsageError("missing option '--output' / '-o': the collection that the outputs go to.")
    report = run_pipeline(
        repo, chosen, output=output, inputs=searched, where=where, overrides=values, override_files=files,
        skip_existing=skip_existing, extend_defaults=add_to_defaults,
    )  # fmt: skip
    print_report(report)
    return report.exit_code


def print_report(report: RunReport) -> None:
    """Print what a run did: a table on a terminal, lines in a log; failures on standard error."""
    if not len(report.graph):
        click.echo("nothing to run: no quantum of any task was found", err=True)
    if sys.stdout.isatty():
        from rich.console import Console

        Console().print(report.table())
    else:
        click.echo(str(report))
    for item in report.failures if sys.stdout.isatty() else ():
        click.echo(f"{item.label} {item.data_id!r} failed: {item.why}", err=True)


def _override(pipeline: Pipeline, values: Iterable[str], files: Iterable[str]) -> None:
    from ..tasks.execution import apply_overrides

    apply_overrides(pipeline, values, files)


def _show(pipeline: Pipeline, what: str) -> None:
    from ..tasks.config_text import to_python

    if what == "pipeline":
        click.echo(pipeline.tree())
    elif what == "mermaid":
        click.echo(pipeline.mermaid())
    else:
        for label, node in pipeline.tasks.items():
            click.echo(f"# {label}: {node.task_class.__module__}.{node.task_class.__qualname__}")
            click.echo(to_python(node.config))


def _show_graph(repo: str, pipeline: Pipeline, inputs: list[str], where: str) -> None:
    from ..butler import Butler
    from ..tasks.graph import build_graph

    butler = Butler(repo, writeable=False)
    names = [row.name for row in butler.registry.catalog.flatten(tuple(inputs))]
    graph = build_graph(butler, pipeline, inputs=names, run="(not made)", where=where)
    click.echo(graph.summary())
    for quantum in graph:
        click.echo(f"  {quantum}")
