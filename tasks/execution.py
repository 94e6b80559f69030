"""Running a pipeline on a repository: one function for the command line, the demo and code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from ..model.collections import CollectionType, new_run_name
from ..model.errors import CollectionTypeError, ConfigError, DatasetTypeNotFoundError, PipelineError
from .executors.in_process import InProcessExecutor
from .graph import build_graph
from .graph_run import GraphRun
from .pipeline import Pipeline
from .progress import RunProgress
from .quantum import QuantumGraph
from .report import RunReport

if TYPE_CHECKING:
    from ..butler.butler import Butler

__all__ = ["apply_overrides", "run_pipeline"]

_DEFAULTS = "defaults"


def run_pipeline(
    butler: Butler | str | Path,
    pipeline: Pipeline | str | Path,
    *,
    output: str,
    inputs: str | Iterable[str] = _DEFAULTS,
    where: str = "",
    overrides: Iterable[str] = (),
    override_files: Iterable[str] = (),
    skip_existing: bool = True,
    register_dataset_types: bool = True,
    extend_defaults: bool = True,
    progress: bool | None = None,
) -> RunReport:
    """Run a pipeline on what a query chooses, in this process.

    Outputs go to a new RUN ``<output>/<time>``. The collection ``<output>`` is CHAINED: the new RUN, those of earlier
    runs, then the inputs, the present ones first; so it is all that one needs to see the results. A RUN is made when
    there is something to do.

    Parameters
    ----------
    butler
        Repository, or its folder.
    pipeline
        Pipeline, or its file, or the name of one that the package ships.
    output
        Name of the collection for the results, such as ``"u/me/try1"``.
    inputs
        Collections that are searched for inputs, in order.
    where
        Query expression that limits the data of every task, such as ``"visit IN (1..5)"``; or of some only, named by
        label or subset before a colon: ``"isr, characterize: visit IN (1..5)"``. Tasks that take what these make are
        limited by that.
    overrides
        Configuration values, each ``label:name=value``.
    override_files
        Files of configuration values, each ``label:path``.
    skip_existing
        Whether quanta are skipped whose work was done in ``output`` or the inputs before: same code, configuration and
        inputs. What has become stale is never kept.
    register_dataset_types
        Whether dataset types that this repository does not know yet are made known.
    extend_defaults
        Whether ``output`` is put at the head of the collection ``defaults``, for all to see.
    progress
        Whether to show a bar; by default where standard error is a terminal.

    Returns
    -------
    RunReport
        What ran, what was skipped, what failed and why.

    Raises
    ------
    PipelineError
        The pipeline does not fit together, or does not fit the repository.
    ConfigError
        An override is wrong.
    InvalidQueryError
        The query expression means nothing.
    CollectionNotFoundError
        An input is not there.
    CollectionTypeError
        ``output`` is a collection of another type than CHAINED.
    """
    with _opened(butler) as opened:
        loaded = pipeline if isinstance(pipeline, Pipeline) else Pipeline.load(pipeline)
        chosen = loaded.subset(loaded.tasks)  # a copy: the overrides are this run's
        apply_overrides(chosen, overrides, override_files)
        _check_configurations(chosen)
        searched = _flat(opened, [inputs] if isinstance(inputs, str) else list(inputs))
        before = _earlier(opened, output)
        run = new_run_name(output)
        graph = build_graph(opened, chosen, inputs=searched, run=run, where=where)
        report = RunReport(output, run, graph)
        if not len(graph):
            return report
        _register(opened, graph, register_dataset_types)
        executor = InProcessExecutor(opened, run)
        done_in = list(dict.fromkeys([*before, *searched])) if skip_existing else []

        def begin() -> None:
            """Show the results from the first on: what a crash leaves is there for the next run to go on from."""
            with opened.transaction():
                opened.collections.register(run, CollectionType.RUN)
                _publish(opened, output, [run], searched, extend_defaults)

        with RunProgress(progress) as bars:
            GraphRun(opened, graph, executor, report, bars, begin, done_in).run()
        if run not in opened.collections.list():
            _publish(opened, output, [], searched, extend_defaults)
        return report


def _opened(butler: Butler | str | Path) -> nullcontext[Butler] | Butler:
    if isinstance(butler, str | Path):
        from ..butler.butler import Butler as RealButler

        return RealButler(butler, writeable=True)
    return nullcontext(butler)


def apply_overrides(pipeline: Pipeline, overrides: Iterable[str], files: Iterable[str] = ()) -> None:
    """Change a pipeline's configuration by files (``label:path``), then by values (``label:name=value``).

    Raises
    ------
    PipelineError
        A text names no task, or an unknown one.
    ConfigError
        An override is wrong.
    """
    for given in files:
        label, colon, path = given.partition(":")
        if not colon:
            raise PipelineError(f"{given!r} names no task; write label:file, as in isr:config.py.")
        pipeline.override_from(label, path)
    for given in overrides:
        label, colon, assignment = given.partition(":")
        if not colon:
            raise PipelineError(f"{given!r} names no task; write label:name=value, as in isr:doDark=False.")
        pipeline.override(label, assignment)


def _check_configurations(pipeline: Pipeline) -> None:
    """Make each task once: a configuration that contradicts itself is told before anything runs."""
    for label, node in pipeline.tasks.items():
        try:
            node.task_class(node.config, name=label)
        except ConfigError as error:
            raise type(error)(f"Task {label!r}: {error}") from None


def _flat(butler: Butler, names: Iterable[str]) -> list[str]:
    """Return the collections searched under some names, chains opened: what a chain holds later is not meant."""
    found: dict[str, None] = {}
    for name in names:
        info = butler.collections.info(name)
        inner = _flat(butler, info.children) if info.type is CollectionType.CHAINED else [name]
        found.update(dict.fromkeys(inner))
    return list(found)


def _earlier(butler: Butler, output: str) -> list[str]:
    """Return what an output collection holds already."""
    if output not in butler.collections.list():
        return []
    kind = butler.collections.info(output).type
    if kind is not CollectionType.CHAINED:
        raise CollectionTypeError(
            f"{output!r} is a {kind.name} collection; the output of a pipeline is CHAINED. Choose another name."
        )
    return _flat(butler, [output])


def _parted(before: Iterable[str], output: str) -> tuple[list[str], list[str]]:
    """Part the RUNs of an output from the inputs of its earlier runs, which what is searched now comes before.

    Otherwise a new master bias would hide behind the old one in the output, and so in ``defaults``, for the next run.
    """
    own: list[str] = []
    others: list[str] = []
    for name in before:
        (own if name.rpartition("/")[0] == output else others).append(name)
    return own, others


def _register(butler: Butler, graph: QuantumGraph, allowed: bool) -> None:
    for name, dataset_type in graph.dataset_types.items():
        try:
            butler.dataset_type(name)
        except DatasetTypeNotFoundError:
            if not allowed:
                raise PipelineError(
                    f"This repository has no dataset type {name!r}, and register_dataset_types is off."
                ) from None
            butler.register_dataset_type(dataset_type)


def _publish(butler: Butler, output: str, new: Sequence[str], searched: Sequence[str], extend_defaults: bool) -> None:
    """Make results seen: the output chain holds them before what it held, and heads the default collection."""
    collections = butler.collections
    with butler.transaction():
        own, others = _parted(_earlier(butler, output), output)  # what it holds now: another run may have ended
        collections.register(output, CollectionType.CHAINED)
        collections.redefine_chain(output, list(dict.fromkeys([*new, *own, *searched, *others])))
        if extend_defaults:
            collections.register(_DEFAULTS, CollectionType.CHAINED)
            collections.prepend_chain(_DEFAULTS, output)
