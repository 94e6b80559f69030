"""One task as a command of its own, in the form that LSST's command-line tasks had.

``runIsr.py REPO --id visit=1234^1235 detector=0..3 --rerun my_rerun --configfile config.py`` runs one task as a
pipeline of one: ``--id`` becomes a data query, ``--rerun`` an output collection below ``rerun/``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .main import report_errors

if TYPE_CHECKING:
    from ..tasks.pipeline import Pipeline

__all__ = ["command_line_parser", "command_line_task", "run_isr"]

_DEFAULTS = "defaults"


def run_isr() -> None:
    """Run `IsrTask` from the command line (``runIsr.py``)."""
    command_line_task("runIsr.py", "isr", "process")


def command_line_task(program: str, label: str, pipeline: str, arguments: Sequence[str] | None = None) -> None:
    """Run one task of a pipeline from the command line, and exit.

    Parameters
    ----------
    program
        Name of the command, for its messages.
    label
        The task's label in the pipeline.
    pipeline
        File or shipped name of the pipeline.
    arguments
        Words of the command line; those of the process where left out.
    """
    parser = command_line_parser(program, label)
    given = parser.parse_args(arguments)
    if given.id is None and not {"config", "history"} & set(given.show):
        parser.error("say which data: --id visit=1234, or --id alone for everything.")
    if given.rerun is None and (not given.show or "run" in given.show):
        parser.error("say where outputs go: --rerun NAME.")
    report_errors(lambda: _run(given, label, pipeline), program)


def command_line_parser(program: str, label: str) -> argparse.ArgumentParser:
    """Return what reads the command line of a task's own command."""
    parser = argparse.ArgumentParser(
        prog=program,
        description=f"Run the task {label!r} on the data that --id names.",
        epilog=f"example: {program} repo --id visit=1234^1235 detector=0..3 --rerun me/first --config doDark=False",
    )
    add = parser.add_argument
    add("repo", help="the repository's folder")
    add(
        "--id",
        "-id",
        nargs="*",
        action="append",
        metavar="KEY=VALUE",
        default=None,
        help="data IDs: values joined by ^, ranges as 0..3 or 0..9:2; may be repeated; with no words: everything",
    )
    add(
        "--rerun",
        type=_rerun,
        metavar="[IN:]OUT",
        help="outputs go to the collection rerun/OUT; inputs come from rerun/IN first",
    )
    add(
        "--configfile",
        "--config-file",
        "-C",
        action="append",
        dest="overrides",
        type=lambda text: (True, text),
        metavar="FILE",
        help="apply a file of configuration values, such as `config.doDark = False`",
    )
    add(
        "--config",
        "-c",
        nargs="+",
        action="extend",
        dest="overrides",
        type=lambda text: (False, text),
        metavar="NAME=VALUE",
        help="set configuration fields; these and files are applied from left to right",
    )
    add(
        "--show",
        nargs="+",
        choices=["config", "data", "history", "run"],
        default=[],
        help="show this; nothing is run unless `run` is among them",
    )
    return parser


def _rerun(text: str) -> tuple[str, list[str]]:
    """Return the output collection and the inputs that ``--rerun [IN:]OUT`` means."""
    before, separator, after = text.rpartition(":")
    if not after or (separator and not before):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME or IN:OUT")
    return f"rerun/{after}", [f"rerun/{before}", _DEFAULTS] if separator else [_DEFAULTS]


def _run(given: argparse.Namespace, label: str, pipeline: str) -> int:
    from ..tasks.execution import run_pipeline
    from ..tasks.id_arguments import parse_id_arguments, where_of
    from ..tasks.pipeline import Pipeline
    from .run import print_report

    where = where_of(data_id for words in given.id or [[]] for data_id in parse_id_arguments(words))
    chosen = Pipeline.load(pipeline).subset(label)
    for is_file, text in given.overrides or ():
        if is_file:
            chosen.override_from(label, text)
        else:
            chosen.override(label, text, f"--config {text}")
    output, inputs = given.rerun or (None, [_DEFAULTS])
    _show(given, chosen, label, where, inputs)
    if output is None or (given.show and "run" not in given.show):
        return 0
    report = run_pipeline(given.repo, chosen, output=output, inputs=inputs, where=where)
    print_report(report)
    return report.exit_code


def _show(given: argparse.Namespace, pipeline: Pipeline, label: str, where: str, inputs: list[str]) -> None:
    config = pipeline.node(label).config
    if "config" in given.show:
        from ..tasks.config_text import to_python

        print(to_python(config), end="")
    if "history" in given.show:
        for name in config.flat():
            if len(settings := config.history(name)) > 1:
                print(f"{name}: " + " -> ".join(f"{s.value!r} ({s.where})" for s in settings))
    if "data" in given.show:
        from .run import find_quanta

        graph = find_quanta(given.repo, pipeline, inputs, where)
        for quantum in graph:
            print(f"id {dict(quantum.data_id)}")
        if not len(graph):
            print(graph.summary(), file=sys.stderr)
