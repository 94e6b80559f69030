"""The quantum graph takes the calibration that was valid when its exposure was taken."""

import pytest

from skybutler import Butler
from skybutler.model.datasets import DatasetType
from skybutler.model.errors import PipelineError
from skybutler.model.timespan import Timespan
from skybutler.tasks import Input, Output, Pipeline, PipelineTask, PrerequisiteInput, Struct, TaskConnections
from skybutler.tasks.graph import build_graph
from skybutler.testing.small_repository import fill_repository

FRAME = ("instrument", "exposure", "detector")
FIRST = 1_735_948_837 * 10**9
"""Begin of the first exposure; each takes 30 s, one a minute."""


class SubtractTask(PipelineTask):
    class Connections(TaskConnections, dimensions=FRAME):
        frame = Input("frame", storage_class="Dict", dimensions=FRAME)
        bias = PrerequisiteInput("bias", storage_class="Dict", dimensions=("instrument", "detector"), minimum=0)
        clean = Output("clean", storage_class="Dict", dimensions=FRAME)

    def run(self, frame: dict, bias: dict | None) -> Struct:
        return Struct(clean={})


@pytest.fixture
def butler(tmp_path):
    with Butler.create(tmp_path / "repo") as made:
        fill_repository(made, visits=4, detectors=1)
        made.register_dataset_type(DatasetType("frame", FRAME, "Dict"))
        made.register_dataset_type(DatasetType("bias", ["instrument", "detector"], "Dict", True), replace=True)
        for exposure in range(1, 5):
            made.put("frame", {}, exposure=exposure, detector=0, run="raw")
        made.collections.register("calib", "CALIBRATION")
        for run, begin, end in (("r1", 0, 75), ("r2", 75, 170)):  # seconds: the second exposure begins at 60
            ref = made.put("bias", {}, detector=0, run=run)
            made.collections.certify("calib", [ref], Timespan(FIRST + begin * 10**9, FIRST + end * 10**9))
        yield made


def test_each_quantum_has_the_calibration_of_its_time(butler):
    graph = build_graph(butler, Pipeline.of({"subtract": SubtractTask}), inputs=["calib", "raw"], run="out")
    quanta = {q.data_id["exposure"]: q for q in graph.quanta["subtract"]}
    runs = {n: q.inputs["bias"] and q.inputs["bias"].run for n, q in quanta.items()}
    assert runs == {1: "r1", 2: None, 3: "r2", 4: None}
    assert "several bias" in quanta[2].problem
    assert [quanta[n].problem for n in (1, 3, 4)] == ["", "", ""]


def test_collections_before_the_calibrations_win(butler):
    graph = build_graph(butler, Pipeline.of({"subtract": SubtractTask}), inputs=["r2", "calib", "raw"], run="out")
    assert {q.inputs["bias"].run for q in graph.quanta["subtract"]} == {"r2"}


class StackTask(PipelineTask):
    class Connections(TaskConnections, dimensions=("instrument", "detector")):
        bias = Input("bias", storage_class="Dict", dimensions=("instrument", "detector"))
        stack = Output("stack", storage_class="Dict", dimensions=("instrument", "detector"))

    def run(self, bias: dict) -> Struct:
        return Struct(stack={})


def test_an_input_that_is_valid_for_a_time_is_not_taken_at_random(butler):
    pipeline = Pipeline.of({"stack": StackTask})
    with pytest.raises(PipelineError, match=r"several 'bias' for .* by a PrerequisiteInput, not by an Input"):
        build_graph(butler, pipeline, inputs=["calib"], run="out")
    assert len(build_graph(butler, pipeline, inputs=["r1", "calib"], run="out").quanta["stack"]) == 1
    graph = build_graph(butler, pipeline, inputs=["calib"], run="out", where="exposure = 3")
    assert [q.inputs["bias"].run for q in graph.quanta["stack"]] == ["r2"]
