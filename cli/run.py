"""The command that runs pipelines."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from .options import split_names

if TYPE_CHECKING:
    from ..tasks.pipeline import Pipeline
    from ..tasks.quantum import QuantumGraph
    from ..tasks.report import RunReport

__all__ = ["find_quanta", "print_report", "run"]

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
    "--config",
    "-c",
    "values",
    multiple=True,
    metavar="LABEL:NAME=VALUE",
    help="Set a configuration field of a task, after all files.",
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
    from ..tasks.execution import apply_overrides, run_pipeline
    from ..tasks.pipeline import Pipeline

    if not output and not shown:
        raise click.UsageError("missing option '--output' / '-o': the collection that the outputs go to.")
    chosen = Pipeline.load(pipeline)
    apply_overrides(chosen, values, files)
    searched = split_names(inputs) or ["defaults"]
    if not output or shown:
        _show(str(shown), chosen, repo, searched, where)
        return 0
    report = run_pipeline(
        repo, chosen, output=output, inputs=searched, where=where, skip_existing=skip_existing,
        extend_defaults=add_to_defaults,
    )  # fmt: skip
    print_report(report)
    return report.exit_code


def print_report(report: RunReport) -> None:
    """Print what a run did: a table on a terminal, lines in a log; failures and gaps on standard error."""
    if not len(report.graph):
        click.echo("nothing to run: no quantum of any task was found", err=True)
    if sys.stdout.isatty():
        from rich.console import Console

        Console().print(report.table())
        for item in report.failures:
            click.echo(f"{item} failed: {item.why}", err=True)
    else:
        click.echo(str(report))
    for gap in report.graph.gaps():
        click.echo(f"warning: {gap}, which is nowhere among the inputs", err=True)


def find_quanta(repo: str, pipeline: Pipeline, inputs: Iterable[str], where: str) -> QuantumGraph:
    """Return what a pipeline would do, without a trace in the repository."""
    from ..butler import Butler
    from ..tasks.graph import build_graph

    with Butler(repo, writeable=False) as butler:
        return build_graph(butler, pipeline, inputs=list(inputs), run="(not made)", where=where)


def _show(what: str, pipeline: Pipeline, repo: str, inputs: Iterable[str], where: str) -> None:
    if what == "pipeline":
        click.echo(pipeline.tree())
    elif what == "mermaid":
        click.echo(pipeline.mermaid())
    elif what == "graph":
        graph = find_quanta(repo, pipeline, inputs, where)
        click.echo(graph.summary())
        for quantum in graph:
            click.echo(f"  {quantum}")
    else:
        from ..tasks.config_text import to_python

        for label, node in pipeline.tasks.items():
            click.echo(f"# {label}: {node.task_class.__module__}.{node.task_class.__qualname__}")
            click.echo(to_python(node.config))
