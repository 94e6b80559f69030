"""Quantum graphs and runs, on a small repository with frames of two detectors and no pixels."""

import importlib
import inspect
import io
import json
import logging
import os
import shutil
import uuid
from pathlib import Path

import numpy as np
import pytest

from skybutler import Butler, provenance
from skybutler.model.datasets import DatasetType
from skybutler.model.errors import (
    CollectionTypeError,
    ConfigError,
    DatasetNotFoundError,
    NoWorkFound,
    PipelineError,
)
from skybutler.model.region import Region
from skybutler.tasks import (
    Field,
    InitOutput,
    Input,
    Output,
    Pipeline,
    PipelineTask,
    PipelineTaskConfig,
    PrerequisiteInput,
    Struct,
    TaskConnections,
    run_pipeline,
)
from skybutler.tasks.executors.blas_threads import blas_threads, limited_blas_threads
from skybutler.tasks.graph import build_graph
from skybutler.tasks.log_capture import error_place

FRAME = ("instrument", "exposure", "detector")
PIXELS = ("instrument", "detector")
VISIT = ("instrument", "visit", "detector")
SCIENCE = "exposure.observation_type = 'science'"
DARKS = "exposure.observation_type = 'dark'"


class DarkConfig(PipelineTaskConfig):
    offset: int = Field(0, description="Added to the sum.")
    fails_on: int = Field(-1, description="A detector on which it fails.")

    def check(self) -> None:
        if self.offset == 13:
            raise ConfigError("offset must not be 13.")


class DarkTask(PipelineTask):
    ConfigClass = DarkConfig

    class Connections(TaskConnections, dimensions=PIXELS):
        frames = Input("frame", storage_class="Dict", dimensions=FRAME, multiple=True)
        stack = Output("stack", storage_class="Dict", dimensions=PIXELS)

    def run(self, frames: list) -> Struct:
        self.log.info("%d frames", len(frames))
        self.metadata["frames"] = len(frames)
        if frames[0]["detector"] == self.config.fails_on:
            raise ValueError("a bad detector")
        return Struct(stack={"sum": sum(frame["value"] for frame in frames) + self.config.offset})


class CleanTask(PipelineTask):
    class Connections(TaskConnections, dimensions=FRAME):
        frame = Input("frame", storage_class="Dict", dimensions=FRAME)
        stack = PrerequisiteInput("stack", storage_class="Dict", dimensions=PIXELS)
        linearity = PrerequisiteInput("linearity", storage_class="Dict", dimensions=PIXELS, minimum=0)
        cleaned = Output("cleaned", storage_class="Dict", dimensions=FRAME)
        notes = InitOutput("clean_notes", storage_class="Dict")

    notes = {"columns": ["value"]}  # noqa: RUF012

    def run(self, frame: dict, stack: dict, linearity: dict | None) -> Struct:
        if frame["value"] == 0:
            raise NoWorkFound("an empty frame")
        return Struct(cleaned={"value": frame["value"] - stack["sum"], "linearity": linearity})


class MeasureTask(PipelineTask):
    class Connections(TaskConnections, dimensions=VISIT):
        frame = Input("cleaned", storage_class="Dict", dimensions=FRAME, deferred=True)
        table = Output("table", storage_class="Dict", dimensions=VISIT)

    def run(self, frame) -> Struct:
        return Struct(table={"twice": frame.get()["value"] * 2})


class GatherTask(PipelineTask):
    class Connections(TaskConnections, dimensions=("instrument",)):
        tables = Input("table", storage_class="Dict", dimensions=VISIT, multiple=True)
        total = Output("total", storage_class="Dict", dimensions=("instrument",))

    def run(self, tables: list) -> Struct:
        return Struct(total={"n": len(tables), "sum": sum(table["twice"] for table in tables)})


def make_pipeline() -> Pipeline:
    pipeline = Pipeline.of({"dark": DarkTask, "clean": CleanTask, "measure": MeasureTask, "gather": GatherTask})
    pipeline.tasks["dark"].where = DARKS
    pipeline.tasks["clean"].where = SCIENCE
    return pipeline


def add_exposure(butler: Butler, exposure: int, kind: str, value: int, detectors: tuple[int, ...] = (0, 1)) -> None:
    row = {"instrument": "Cam", "id": exposure, "obs_id": f"e{exposure}", "physical_filter": "Cam-r"}
    row |= {"day_obs": 20260101, "group": f"g{exposure}", "observation_type": kind, "exposure_time": 1.0}
    butler.insert_dimension_records("group", [{"instrument": "Cam", "name": f"g{exposure}"}])
    butler.insert_dimension_records("exposure", [row])
    if kind == "science":
        visit = {"instrument": "Cam", "id": exposure, "name": f"e{exposure}", "physical_filter": "Cam-r"}
        butler.insert_dimension_records("visit", [visit | {"day_obs": 20260101}])
        butler.insert_dimension_records(
            "visit_definition", [{"instrument": "Cam", "exposure": exposure, "visit": exposure}]
        )
    for detector in detectors:
        data = {"value": value, "detector": detector}
        butler.put("frame", data, instrument="Cam", exposure=exposure, detector=detector, run="frames")


@pytest.fixture
def butler(repository: Path, tmp_path: Path) -> Butler:
    return Butler(shutil.copytree(repository, tmp_path / "repo"))


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    butler = Butler.create(tmp_path_factory.mktemp("template") / "repo")
    butler.insert_dimension_records("instrument", [{"name": "Cam"}])
    butler.insert_dimension_records("physical_filter", [{"instrument": "Cam", "name": "Cam-r", "band": "r"}])
    butler.insert_dimension_records("day_obs", [{"instrument": "Cam", "id": 20260101}])
    butler.insert_dimension_records(
        "detector", [{"instrument": "Cam", "id": number, "full_name": f"D{number}"} for number in (0, 1)]
    )
    butler.register_dataset_type(DatasetType("frame", FRAME, "Dict"))
    for exposure in (1, 2):
        add_exposure(butler, exposure, "dark", 10 * exposure)
    for exposure in (11, 12, 13):
        add_exposure(butler, exposure, "science", 100 * exposure)
    butler.close()
    return butler.root


def run(butler: Butler, pipeline: Pipeline | None = None, **options):
    return run_pipeline(butler, pipeline or make_pipeline(), **{"output": "u/me/try", "inputs": "frames", **options})


# ---- graphs ---------------------------------------------------------------------------------------------------------


def test_graph_joins_what_exists_with_what_will_be_made(butler):
    graph = build_graph(butler, make_pipeline(), inputs=["frames"], run="out")
    assert {label: len(quanta) for label, quanta in graph.quanta.items()} == {
        "dark": 2,
        "clean": 6,
        "measure": 6,
        "gather": 1,
    }
    dark = graph.quanta["dark"][0]
    assert len(dark.inputs["frames"]) == 2
    clean = next(q for q in graph.quanta["clean"] if q.data_id["detector"] == dark.data_id["detector"])
    assert clean.inputs["stack"] is dark.outputs["stack"]
    assert clean.inputs["linearity"] is None
    assert clean.data_id["physical_filter"] == "Cam-r"
    assert graph.makers[clean.outputs["cleaned"].id] is clean
    assert len(graph.quanta["gather"][0].inputs["tables"]) == 6
    assert graph.empty == {}


def test_graph_follows_the_data_query(butler):
    where = "exposure IN (1, 2, 11) AND detector = 1"
    graph = build_graph(butler, make_pipeline().subset("dark,clean"), inputs=["frames"], run="out", where=where)
    assert [q.data_id["exposure"] for q in graph.quanta["clean"]] == [11]
    assert [q.data_id["detector"] for q in graph.quanta["dark"]] == [1]


@pytest.mark.parametrize("where", ["clean: exposure = 11", "clean:exposure = 11", " clean , measure : exposure = 11"])
def test_a_data_query_may_be_for_some_tasks_only(butler, where):
    report = run(butler, where=where)
    assert report.counts("dark")["done"] == 2
    assert {item.data_id["exposure"] for item in report.quanta if item.label == "clean"} == {11}
    assert report.counts("measure")["done"] == 2
    assert butler.get("stack", instrument="Cam", detector=0, collections="u/me/try") == {"sum": 30}


def test_a_data_query_for_an_unknown_task_is_refused(butler):
    with pytest.raises(PipelineError, match=r"no task or subset 'claen'\. Did you mean 'clean'"):
        run(butler, where="claen: exposure = 11")


class LenientTask(PipelineTask):
    class Connections(TaskConnections, dimensions=FRAME):
        frame = Input("frame", storage_class="Dict", dimensions=FRAME)
        stack = PrerequisiteInput("stack", storage_class="Dict", dimensions=PIXELS, minimum=0)
        cleaned = Output("cleaned", storage_class="Dict", dimensions=FRAME)

    def run(self, frame: dict, stack: dict | None) -> Struct:
        return Struct(cleaned={"value": frame["value"] - (stack["sum"] if stack else 0)})


def test_a_calibration_that_the_data_query_took_away_is_told(butler, caplog):
    pipeline = Pipeline.of({"dark": DarkTask, "clean": LenientTask})
    pipeline.tasks["dark"].where, pipeline.tasks["clean"].where = DARKS, SCIENCE
    run(butler, pipeline, where="visit = 11")
    assert "clean: 2 of 2 quanta go without 'stack', which dark does not make for them: " in caplog.text
    assert "the data query 'visit = 11'" in caplog.text
    assert "write 'clean: visit = 11'" in caplog.text
    caplog.clear()
    run(butler, pipeline, where="clean: visit = 11", output="u/me/other")
    assert not caplog.messages


@pytest.mark.parametrize(
    ("labels", "where", "inputs", "reason"),
    [
        ("clean", "exposure = 99", "frames", "the data query 'exposure = 99' matches nothing in the repository"),
        ("clean", "exposure = 1", "frames", "have nothing in common"),
        ("clean", "", "user", "there is no 'frame' in user"),
        ("measure", "", "frames", "nothing of dataset type 'cleaned' was ever put or made here"),
        ("clean,measure", "exposure = 99", "frames", "matches nothing"),
    ],
)
def test_an_empty_graph_names_the_constraint_that_emptied_it(butler, labels, where, inputs, reason):
    report = run(butler, make_pipeline().subset(labels), where=where, inputs=inputs)
    assert len(report.graph) == 0
    assert reason in str(report)
    assert report.exit_code == 1
    assert not butler.collections.list("u/*")


def test_one_of_several_inputs_must_be_declared(butler):
    class OneTask(PipelineTask):
        class Connections(TaskConnections, dimensions=PIXELS):
            frame = Input("frame", storage_class="Dict", dimensions=FRAME)

    with pytest.raises(PipelineError, match="declare the connection multiple=True"):
        build_graph(butler, Pipeline.of({"one": OneTask}), inputs=["frames"], run="out")


@pytest.mark.parametrize(
    ("dimensions", "output", "message"),
    [
        (FRAME, Output("made", storage_class="Dict", dimensions=PIXELS), "it must have those of the task"),
        (PIXELS, Output("made", storage_class="Dict", dimensions=FRAME), "it must have those of the task"),
        (FRAME, Output("made", storage_class="Dict", dimensions=PIXELS, multiple=True), "those of the task and more"),
        (PIXELS, InitOutput("made", storage_class="Dict", dimensions=PIXELS), "an init-output has none"),
    ],
)
def test_outputs_that_quanta_would_share_are_refused(butler, dimensions, output, message):
    connections = type("Connections", (TaskConnections,), {"made": output}, dimensions=dimensions)
    task_class = type("OddTask", (PipelineTask,), {"Connections": connections})
    with pytest.raises(PipelineError, match=message):
        build_graph(butler, Pipeline.of({"odd": task_class}), inputs=["frames"], run="out")


def test_one_quantum_may_make_several_of_an_output(butler):
    class SplitTask(PipelineTask):
        class Connections(TaskConnections, dimensions=("instrument", "exposure")):
            frames = Input("frame", storage_class="Dict", dimensions=FRAME, multiple=True)
            parts = Output("part", storage_class="Dict", dimensions=FRAME, multiple=True)

        def run(self, frames: list) -> Struct:
            return Struct(parts=[{"of": frame["detector"]} for frame in frames])

    report = run(butler, Pipeline.of({"split": SplitTask}), where=SCIENCE)
    assert report.counts()["done"] == 3
    assert butler.get("part", exposure=11, detector=1) == {"of": 1}
    assert run(butler, Pipeline.of({"split": SplitTask}), where=SCIENCE).counts()["skipped"] == 3


def test_a_calibration_is_looked_up_with_the_whole_data_id(butler):
    butler.register_dataset_type(DatasetType("stack", PIXELS, "Dict", is_calibration=True))
    for detector in (0, 1):
        butler.put("stack", {"sum": 1}, instrument="Cam", detector=detector, run="calib")
    report = run(butler, make_pipeline().subset("clean"), inputs=["calib", "frames"])
    assert report.counts()["done"] == 6


def test_a_dataset_type_of_other_dimensions_is_refused(butler):
    pipeline = make_pipeline().subset("dark")
    pipeline.override("dark", "connections.stack=frame")
    pipeline.override("dark", "connections.frames=raw")
    with pytest.raises(PipelineError, match="makes 'frame' with dimensions instrument, detector, but this repository"):
        build_graph(butler, pipeline, inputs=["frames"], run="out")


def test_a_dataset_type_of_another_storage_class_is_refused_but_tables_pass(butler):
    class TableTask(PipelineTask):
        class Connections(TaskConnections, dimensions=PIXELS):
            frames = Input("frame", storage_class="Dict", dimensions=FRAME, multiple=True)
            made = Output("kept", storage_class="DataFrame", dimensions=PIXELS)

        def run(self, frames: list) -> Struct:
            import pandas as pd

            return Struct(made=pd.DataFrame({"value": [frame["value"] for frame in frames]}))

    pipeline = Pipeline.of({"table": TableTask})
    butler.register_dataset_type(DatasetType("kept", PIXELS, "ArrowTable"))
    assert run(butler, pipeline, where=DARKS).counts()["done"] == 2
    assert butler.get("kept", detector=0).to_pydict() == {"value": [10, 20]}
    pipeline.override("table", "connections.made=other")
    butler.register_dataset_type(DatasetType("other", PIXELS, "Dict"))
    with pytest.raises(PipelineError, match="makes 'other' as DataFrame, but this repository has it as Dict"):
        run(butler, pipeline)


# ---- runs -----------------------------------------------------------------------------------------------------------


def test_a_run_makes_everything_and_says_so(butler):
    report = run(butler)
    assert report.exit_code == 0
    assert report.counts() == {"done": 15, "skipped": 0, "no_work": 0, "failed": 0, "blocked": 0}
    assert butler.get("table", visit=11, detector=0, collections="u/me/try") == {"twice": (1100 - 30) * 2}
    assert butler.get("total", collections="u/me/try")["n"] == 6
    assert butler.get("total")["n"] == 6  # the output heads defaults
    assert butler.collections.info("u/me/try").children == (report.run, "frames")
    assert report.run.startswith("u/me/try/2")


def test_config_metadata_log_and_packages_are_datasets(butler):
    run(butler, overrides=["dark:offset=5"])
    assert butler.get("dark_config")["values"]["offset"] == 5
    notes = butler.get("dark_metadata", detector=0)["dark"]
    assert notes["frames"] == 2
    assert notes["quantum_wall_time"] > 0
    log = butler.get("dark_log", detector=0)
    assert [(entry["level"], entry["message"]) for entry in log] == [("INFO", "2 frames")]
    assert "python" in butler.get("packages")
    assert butler.get("clean_notes") == {"columns": ["value"]}
    json.dumps(log)


def test_nothing_is_done_twice(butler):
    first = run(butler)
    second = run(butler)
    assert second.counts()["skipped"] == 15
    assert second.run not in butler.collections.list()
    assert butler.collections.info("u/me/try").children == (first.run, "frames")
    assert run(butler, skip_existing=False).counts()["done"] == 15


def test_a_new_input_makes_again_what_needs_it_and_nothing_else(butler):
    run(butler)
    add_exposure(butler, 14, "science", 7)
    report = run(butler)
    assert report.counts("dark")["skipped"] == 2
    assert (report.counts("clean")["done"], report.counts("clean")["skipped"]) == (2, 6)
    assert report.counts("gather")["done"] == 1
    assert butler.get("total")["n"] == 8


def test_a_changed_configuration_makes_all_that_follows_again(butler):
    first = run(butler).run
    changed = run(butler, overrides=["dark:offset=5"])
    assert changed.counts()["done"] == 15
    assert butler.get("stack", detector=0) == {"sum": 35}
    back = run(butler)  # the first results exist, but later ones lie before them
    assert back.counts()["done"] == 15
    assert butler.get("stack", detector=0) == {"sum": 30}
    assert butler.collections.info("u/me/try").children == (back.run, changed.run, first, "frames")


def test_a_task_that_is_edited_and_reloaded_is_run_again(butler, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    source = inspect.getsource(MeasureTask).replace('["value"] * 2', '["value"] * FACTOR')
    heading = "from skybutler.tasks import *\nVISIT, FRAME = {VISIT}, {FRAME}\nFACTOR = {factor}\n\n"
    module = tmp_path / "edited_between_runs.py"
    pipeline = make_pipeline()
    for factor in (2, 1):
        module.write_text(heading.format(VISIT=VISIT, FRAME=FRAME, factor=factor) + source)
        if factor == 2:
            edited = importlib.import_module(module.stem)
        else:
            shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)  # within a second, of the same size
            edited = importlib.reload(edited)
        pipeline.tasks["measure"] = Pipeline.of({"measure": edited.MeasureTask}).tasks["measure"]
        assert run(butler, pipeline).counts("measure")["done"] == 6
    assert run(butler, pipeline).counts("measure")["skipped"] == 6


def test_a_task_of_a_notebook_is_run_again_when_its_code_changes(butler):
    def of_a_notebook(text: str) -> type[PipelineTask]:
        namespace = {"__name__": "a_notebook", "VISIT": VISIT, "FRAME": FRAME}
        exec("from skybutler.tasks import *\n" + text, namespace)
        return namespace["MeasureTask"]

    source = inspect.getsource(MeasureTask)
    pipeline = make_pipeline()
    outcomes = []
    for text in (source, source, "\n\n" + source, source.replace("* 2", "* 3")):
        pipeline.tasks["measure"] = Pipeline.of({"measure": of_a_notebook(text)}).tasks["measure"]
        outcomes.append({name for name, count in run(butler, pipeline).counts("measure").items() if count})
    assert outcomes == [{"done"}, {"skipped"}, {"skipped"}, {"done"}]


def test_overrides_are_of_one_run(butler):
    pipeline = make_pipeline()
    run(butler, pipeline, overrides=["dark:offset=5"])
    assert pipeline.tasks["dark"].config.offset == 0


def test_a_configuration_that_contradicts_itself_is_told_before_anything_runs(butler):
    with pytest.raises(ConfigError, match=r"^Task 'dark': offset must not be 13\.$"):
        run(butler, overrides=["dark:offset=13"])
    assert not butler.collections.list("u/*")


def test_a_lost_output_is_made_again(butler):
    run(butler)
    butler.remove_datasets([butler.find_dataset("table", visit=11, detector=0)])
    report = run(butler)
    assert report.counts("measure") == {"done": 1, "skipped": 5, "no_work": 0, "failed": 0, "blocked": 0}


def test_a_failure_blocks_what_needs_it_and_nothing_else(butler):
    with_logs: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: with_logs.append(record.getMessage())
    logging.getLogger("skybutler.run").addHandler(handler)
    try:
        report = run(butler, overrides=["dark:fails_on=1"])
    finally:
        logging.getLogger("skybutler.run").removeHandler(handler)
    assert report.exit_code == 1
    assert report.counts("dark")["failed"] == 1
    assert report.counts("clean") == {"done": 3, "skipped": 0, "no_work": 0, "failed": 0, "blocked": 3}
    assert report.counts("gather")["blocked"] == 1
    lines = Path(__file__).read_text().splitlines()
    place = next(number for number, line in enumerate(lines, 1) if "raise ValueError" in line)
    why = f"ValueError: a bad detector (test_execution.py, line {place})"
    assert [item.why for item in report.failures] == [why]
    assert "needs stack, and dark instrument=Cam, detector=1 failed" in {item.why for item in report.quanta}
    assert with_logs == [f"dark instrument=Cam, detector=1 failed: {why}"]
    log = butler.get("dark_log", detector=1)
    assert "Traceback" in log[-1]["exception"]
    with pytest.raises(DatasetNotFoundError):
        butler.get("stack", detector=1)
    again = run(butler)
    assert again.counts()["failed"] == 0
    assert butler.get("total")["n"] == 6


def test_no_work_is_no_failure_and_a_gather_takes_the_rest(butler):
    add_exposure(butler, 14, "science", 0)
    report = run(butler)
    assert report.exit_code == 0
    assert report.counts("clean")["no_work"] == 2
    assert report.counts("measure")["no_work"] == 2
    assert butler.get("total")["n"] == 6


def test_a_missing_prerequisite_fails_its_quanta_only(butler):
    run(butler, make_pipeline().subset("dark"), where="detector = 0", output="darks")
    report = run(butler, make_pipeline().subset("clean"), inputs=["darks", "frames"])
    assert report.counts("clean") == {"done": 3, "skipped": 0, "no_work": 0, "failed": 3, "blocked": 0}
    assert "no 'stack' for" in report.failures[0].why


def test_a_put_that_is_refused_fails_the_quantum_and_leaves_nothing_of_it(butler):
    class WrongTask(DarkTask):
        ConfigClass = DarkConfig

        def run(self, frames: list) -> Struct:
            return Struct(stack="no dictionary")

    report = run(butler, Pipeline.of({"dark": WrongTask}))
    assert report.counts()["failed"] == 2
    assert "StorageClassError" in report.failures[0].why
    assert not list(butler.query_datasets("stack", collections="u/me/try"))
    assert len(list(butler.query_datasets("dark_log", collections="u/me/try"))) == 2


@pytest.mark.parametrize(
    ("result", "message"), [({}, "must return a Struct, not dict"), (Struct(stac=1), "no 'stack'")]
)
def test_a_wrong_result_is_told(butler, result, message):
    class WrongTask(DarkTask):
        ConfigClass = DarkConfig

        def run(self, frames: list) -> Struct:
            return result

    report = run(butler, Pipeline.of({"dark": WrongTask}))
    assert message in report.failures[0].why


def test_ctrl_c_keeps_what_was_done(butler):
    class InterruptedTask(DarkTask):
        ConfigClass = DarkConfig

        def run(self, frames: list) -> Struct:
            if frames[0]["detector"] == 1:
                raise KeyboardInterrupt
            return super().run(frames)

    report = run(butler, Pipeline.of({"dark": InterruptedTask}))
    assert report.interrupted
    assert report.exit_code == 130
    assert report.counts()["done"] == 1
    assert butler.get("stack", detector=0, collections="u/me/try") == {"sum": 3630}


def test_a_crash_leaves_what_was_done_for_the_next_run(butler, monkeypatch):
    class CrashingTask(DarkTask):
        ConfigClass = DarkConfig

        def run(self, frames: list) -> Struct:
            if os.environ.get("CRASH") and frames[0]["detector"] == 1:
                raise SystemExit
            return super().run(frames)

    monkeypatch.setenv("CRASH", "yes")
    pipeline = Pipeline.of({"dark": CrashingTask})
    with pytest.raises(SystemExit):
        run(butler, pipeline)
    assert butler.exists("stack", detector=0)
    assert not butler.exists("stack", detector=1)
    monkeypatch.delenv("CRASH")
    report = run(butler, pipeline)
    assert (report.counts()["skipped"], report.counts()["done"]) == (1, 1)


def test_output_must_be_a_chain(butler):
    with pytest.raises(CollectionTypeError, match="'frames' is a RUN collection"):
        run(butler, output="frames")


def test_runs_that_begin_at_the_same_time_keep_each_others_results(butler, monkeypatch):
    graphs = []

    def build_while_another_runs(*arguments, **options):
        graph = build_graph(*arguments, **options)
        if not graphs:
            graphs.append(graph)
            run(butler, where="detector = 0")
        return graph

    monkeypatch.setattr("skybutler.tasks.execution.build_graph", build_while_another_runs)
    late = run(butler, where="detector = 1", skip_existing=False)
    runs = butler.collections.info("u/me/try").children
    assert len([name for name in runs if name.startswith("u/me/try/")]) == 2
    assert runs[0] == late.run
    for detector in (0, 1):
        assert butler.exists("stack", instrument="Cam", detector=detector, collections="u/me/try")


def test_defaults_as_input_and_output_make_no_circle(butler):
    butler.collections.prepend_chain("defaults", "frames")
    run(butler, inputs="defaults")
    again = run(butler, inputs="defaults")
    assert again.counts()["skipped"] == 15
    assert butler.collections.info("defaults").children[0] == "u/me/try"


def test_a_new_calibration_hides_behind_no_older_one_in_the_output_of_a_later_run(butler):
    butler.collections.prepend_chain("defaults", "frames")
    dark, clean = make_pipeline().subset("dark"), make_pipeline().subset("clean")
    run(butler, dark, inputs="defaults", output="calib")
    run(butler, clean, inputs="defaults")
    run(butler, dark, inputs="defaults", output="calib", overrides=["dark:offset=5"])
    assert run(butler, clean, inputs="defaults").counts()["done"] == 6
    assert butler.get("stack", detector=0) == butler.get("stack", detector=0, collections="u/me/try") == {"sum": 35}
    assert run(butler, clean, inputs="defaults").counts()["skipped"] == 6


def test_report_reads_as_a_table(butler):
    from rich.console import Console

    graph = run(butler, output="u/me/shown").graph
    assert repr(graph) == f"QuantumGraph({graph.run!r}, dark: 2, clean: 6, measure: 6, gather: 1)"
    console = Console(width=120, file=io.StringIO())
    console.print(run(butler).table())
    assert "gather" in console.file.getvalue()


def test_failures_that_are_alike_take_one_line(butler, caplog):
    with caplog.at_level(logging.CRITICAL, "skybutler"):
        report = run(butler, make_pipeline().subset("clean"), inputs=["frames"], where="detector = 0")
    lines = str(report).splitlines()
    assert lines[0] == "clean: 3 failed"
    assert lines[1].startswith("clean instrument=Cam, exposure=11, detector=0 and 2 more failed: no 'stack' for ")
    assert len(lines) == 2


def test_progress_is_on_standard_error_and_only_where_asked(butler, capsys):
    run(butler, progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "gather" in shown.err
    run(butler, skip_existing=False)
    assert capsys.readouterr() == ("", "")


def test_linear_algebra_uses_one_thread_in_a_quantum_and_as_before_outside(butler):
    class CountTask(DarkTask):
        def run(self, frames: list) -> Struct:
            return Struct(stack={"threads": blas_threads()})

    with limited_blas_threads(2):
        before = blas_threads()
        run(butler, Pipeline.of({"dark": CountTask}))
        assert blas_threads() == before
    inside = butler.get("stack", instrument="Cam", detector=0, collections="u/me/try")["threads"]
    assert inside == [1] * len(before)


def test_provenance_is_recorded(butler):
    report = run(butler)
    names, rows = butler.sql("SELECT label, outcome, count(*) FROM quantum GROUP BY 1, 2 ORDER BY 1")
    assert [tuple(row) for row in rows] == [
        ("clean", "done", 6),
        ("dark", "done", 2),
        ("gather", "done", 1),
        ("measure", "done", 6),
    ]
    assert len(names) == 3
    assert report.exit_code == 0


def test_files_tell_of_which_datasets_they_were_made(butler):
    class CountTask(PipelineTask):
        class Connections(TaskConnections, dimensions=PIXELS):
            frames = Input("frame", storage_class="Dict", dimensions=FRAME, multiple=True)
            counts = Output("counts", storage_class="NumpyRecords", dimensions=PIXELS)

        def run(self, frames: list) -> Struct:
            return Struct(counts=np.array([(len(frames),)], [("n", "i4")]))

    class DoubleTask(PipelineTask):
        class Connections(TaskConnections, dimensions=PIXELS):
            counts = Input("counts", storage_class="NumpyRecords", dimensions=PIXELS)
            double = Output("double", storage_class="NumpyRecords", dimensions=PIXELS)

        def run(self, counts: np.ndarray) -> Struct:
            return Struct(double=counts)

    run(butler, Pipeline.of({"count": CountTask, "double": DoubleTask}))
    told = {}
    for name in ("counts", "double"):
        ref = butler.find_dataset(name, instrument="Cam", detector=1, collections="u/me/try")
        told[name] = provenance(butler.datastore.path(butler.registry.datasets.files(ref.id)[0]))
        assert (told[name].dataset_type, told[name].data_id, told[name].id) == (name, dict(ref.data_id), ref.id)
    frames = list(butler.query_datasets("frame", collections="frames", where="detector = 1"))
    assert {(one.id, one.dataset_type, one.run) for one in told["counts"].inputs} == {
        (ref.id, "frame", "frames") for ref in frames
    }
    assert told["counts"].input_count == len(frames) == 5
    assert [(one.id, one.dataset_type) for one in told["double"].inputs] == [(told["counts"].id, "counts")]
    made = butler.sql("SELECT label, id FROM quantum WHERE label = 'double'")[1]
    assert told["double"].quantum in [uuid.UUID(bytes=key) if isinstance(key, bytes) else key for _, key in made]


def test_an_error_within_skybutler_is_placed_where_the_user_led_there():
    with pytest.raises(ValueError, match="not a region") as caught:
        Region("SQUARE 1 2 3")
    lines = Path(__file__).read_text().splitlines()
    place = next(number for number, line in enumerate(lines, 1) if line.strip() == 'Region("SQUARE 1 2 3")')
    assert error_place(caught.value) == f" (test_execution.py, line {place})"
