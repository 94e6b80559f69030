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

__all__ = ["command_line_task", "run_isr"]

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
    given = _parser(program, label).parse_args(arguments)
    report_errors(lambda: _run(given, label, pipeline), program)


def _parser(program: str, label: str) -> argparse.ArgumentParser:
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
    add("--rerun", metavar="[IN:]OUT", help="outputs go to the collection rerun/OUT; inputs come from rerun/IN first")
    add(
        "--configfile",
        "--config-file",
        "-C",
        action="append",
        default=[],
        metavar="FILE",
        help="apply a file of configuration values, such as `config.doDark = False`",
    )
    add("--config", "-c", nargs="+", action="extend", default=[], metavar="NAME=VALUE", help="set configuration fields")
    add(
        "--show",
        nargs="+",
        choices=["config", "data", "history", "run"],
        default=[],
        help="show this; nothing is run unless `run` is among them",
    )
    add("-j", "--processes", type=int, default=1, metavar="N", help="processes to use; this version runs in one")
    return parser  # fmt: skip


def _run(given: argparse.Namespace, label: str, pipeline: str) -> int:
    from ..tasks.execution import run_pipeline
    from ..tasks.id_arguments import parse_id_arguments, where_of
    from ..tasks.pipeline import Pipeline

    if given.id is None and "config" not in given.show and "history" not in given.show:
        raise SystemExit("say which data: --id visit=1234, or --id alone for everything.")
    where = where_of(data_id for words in given.id or [[]] for data_id in parse_id_arguments(words))
    chosen = Pipeline.load(pipeline).subset(label)
    for file in given.configfile:
        chosen.override_from(label, file)
    for assignment in given.config:
        chosen.override(label, assignment)
    into, inputs = _collections(given.rerun)
    _show(given, chosen, label, where, inputs)
    if given.show and "run" not in given.show:
        return 0
    if given.processes > 1:
        print(f"running in one process; {given.processes} are for a later version", file=sys.stderr)
    if into is None:
        raise SystemExit("say where outputs go: --rerun NAME.")
    from .run import print_report

    report = run_pipeline(given.repo, chosen, output=into, inputs=inputs, where=where)
    print_report(report)
    return report.exit_code


def _collections(rerun: str | None) -> tuple[str | None, list[str]]:
    """Return the output collection and the inputs that ``--rerun [IN:]OUT`` means."""
    if rerun is None:
        return None, [_DEFAULTS]
    before, separator, after = rerun.partition(":")
    if not separator:
        return f"rerun/{before}", [_DEFAULTS]
    return f"rerun/{after}", [f"rerun/{before}", _DEFAULTS]


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
        from ..butler import Butler
        from ..tasks.graph import build_graph

        butler = Butler(given.repo, writeable=False)
        names = [row.name for row in butler.registry.catalog.flatten(tuple(inputs))]
        for quantum in build_graph(butler, pipeline, inputs=names, run="(not made)", where=where):
            print(f"id {dict(quantum.data_id)}")
