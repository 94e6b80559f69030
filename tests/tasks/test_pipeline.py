"""Pipelines: connections, YAML, and how tasks fit together."""

import pickle
import sys
from pathlib import Path

import pytest

from skybutler.model.errors import ConfigError, PipelineError, TaskError
from skybutler.tasks import (
    Config,
    Field,
    Input,
    Output,
    Pipeline,
    PipelineTask,
    PipelineTaskConfig,
    PrerequisiteInput,
    Struct,
    TaskConnections,
)

FRAME = ("instrument", "exposure", "detector")
PIXELS = ("instrument", "detector")


class CleanConfig(PipelineTaskConfig):
    do_dark: bool = Field(True, description="Subtract the dark?")
    gain: float = Field(1.0, gt=0, description="Gain.")


class CleanTask(PipelineTask):
    ConfigClass = CleanConfig

    class Connections(TaskConnections, dimensions=FRAME):
        frame = Input("raw", storage_class="Dict", dimensions=FRAME)
        dark = PrerequisiteInput("dark", storage_class="Dict", dimensions=PIXELS)
        cleaned = Output("clean", storage_class="Dict", dimensions=FRAME)

        def __init__(self, config: CleanConfig) -> None:
            super().__init__(config)
            if not config.do_dark:
                del self.dark

    def run(self, frame: dict, dark: dict | None = None) -> Struct:
        return Struct(cleaned=frame)


class DarkTask(PipelineTask):
    class Connections(TaskConnections, dimensions=PIXELS, templates={"kind": "dark"}):
        frames = Input("raw", storage_class="Dict", dimensions=FRAME, multiple=True)
        stack = Output("{kind}", storage_class="Dict", dimensions=PIXELS)


class MeasureTask(PipelineTask):
    class Connections(TaskConnections, dimensions=FRAME):
        frame = Input("clean", storage_class="Dict", dimensions=FRAME)
        table = Output("table", storage_class="Dict", dimensions=FRAME)


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline.of({"measure": MeasureTask, "clean": CleanTask, "dark": DarkTask})


# ---- connections ----------------------------------------------------------------------------------------------------


def test_connections_follow_the_configuration():
    config = CleanTask.ConfigClass()
    config.connections.frame = "raw2"
    config.doDark = False
    connections = CleanTask(config).connections
    assert connections.frame.name == "raw2"
    assert connections.prerequisites == {}
    assert not hasattr(connections, "dark")
    assert CleanTask.Connections.dark.name == "dark"
    assert CleanTask().connections.dark.attribute == "dark"


def test_templates_fill_names():
    config = DarkTask.ConfigClass()
    config.connections.kind = "superdark"
    assert DarkTask(config).connections.stack.name == "superdark"
    config.connections.stack = "my_{kind}"
    assert DarkTask(config).connections.stack.name == "my_superdark"
    with pytest.raises(PipelineError, match="template 'kind' has no default"):

        class Bad(TaskConnections):
            stack = Output("{kind}", storage_class="Dict")


def test_an_unknown_connection_is_a_config_error():
    with pytest.raises(ConfigError, match=r"'fram'. Did you mean 'frame'"):
        CleanTask.ConfigClass().connections.fram = "x"


def test_a_task_that_changes_connections_gets_a_configuration_of_its_own():
    class ChildTask(CleanTask):
        class Connections(CleanTask.Connections):
            extra = Input("extra", storage_class="Dict")

    assert ChildTask.ConfigClass is not CleanConfig
    assert ChildTask.ConfigClass().connections.extra == "extra"
    assert not hasattr(CleanConfig().connections, "extra")
    assert list(ChildTask().connections.inputs) == ["frame", "extra"]


def test_pipeline_tasks_and_their_configurations_survive_pickling():
    config = CleanConfig()
    config.connections.frame = "raw2"
    task = pickle.loads(pickle.dumps(CleanTask(config)))
    assert task.connections.frame.name == "raw2"


def test_a_pipeline_task_needs_a_pipeline_task_config():
    with pytest.raises(TaskError, match="must be a PipelineTaskConfig"):

        class BadTask(PipelineTask):
            ConfigClass = Config


# ---- fitting together -----------------------------------------------------------------------------------------------


def test_tasks_are_ordered_by_what_they_take(pipeline):
    assert [node.label for node in pipeline.ordered()] == ["dark", "clean", "measure"]
    assert set(pipeline.overall_inputs()) == {"raw"}
    assert set(pipeline.subset("clean,measure").overall_inputs()) == {"raw", "dark"}


def test_a_subset_leaves_the_whole_alone(pipeline):
    part = pipeline.subset("clean")
    part.override("clean", "doDark=False")
    assert pipeline.tasks["clean"].config.do_dark is True


def test_two_makers_of_one_dataset_type_are_refused(pipeline):
    pipeline.override("measure", "connections.table=clean")
    with pytest.raises(PipelineError, match="'measure' and 'clean' both make 'clean'"):
        pipeline.ordered()


def test_a_circle_is_shown(pipeline):
    pipeline.override("clean", "connections.frame=table")
    with pytest.raises(PipelineError, match="circle: measure -> clean -> measure"):
        pipeline.ordered()


def test_a_task_that_takes_what_it_makes_is_refused(pipeline):
    pipeline.override("clean", "connections.frame=clean")
    with pytest.raises(PipelineError, match="takes 'clean', which it makes itself"):
        pipeline.ordered()


def test_maker_and_taker_must_agree_on_dimensions(pipeline):
    pipeline.override("measure", "connections.frame=dark")
    with pytest.raises(PipelineError, match="'dark' has dimensions instrument, detector in task 'dark'"):
        pipeline.ordered()


def test_overrides_name_the_task_in_errors(pipeline):
    with pytest.raises(ConfigError, match=r"Task 'clean': .*'doDrk'. Did you mean 'do_dark'"):
        pipeline.override("clean", "doDrk=1")
    with pytest.raises(PipelineError, match=r"no task or subset 'cleen'. Did you mean 'clean'"):
        pipeline.override("cleen", "doDark=1")


def test_drawings_name_tasks_and_datasets(pipeline):
    tree = pipeline.tree()
    assert "clean: CleanTask (instrument, exposure, detector)" in tree
    assert "├─ takes dark: Dict, prerequisite from dark" in tree
    assert "├─ takes raw (several): Dict" in tree
    mermaid = pipeline.mermaid()
    assert mermaid.startswith("flowchart TD")
    assert "d_dark -.-> t_clean" in mermaid
    assert "t_clean --> d_clean" in mermaid


# ---- YAML -----------------------------------------------------------------------------------------------------------

YAML = f"""
description: A test.
parameters: {{gain: 2.5}}
tasks:
  dark: {{class: {__name__}.DarkTask, where: "exposure.observation_type = 'dark'"}}
  clean:
    class: {__name__}.CleanTask
    config:
      gain: parameters.gain
      doDark: false
  measure: {__name__}.MeasureTask
subsets:
  frames: [clean, measure]
  darks: {{subset: [dark], description: Darks.}}
"""


def write(folder: Path, text: str, name: str = "p.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_yaml_becomes_a_pipeline(tmp_path):
    path = write(tmp_path, YAML)
    pipeline = Pipeline.load(path)
    clean = pipeline.tasks["clean"]
    assert (clean.config.gain, clean.config.do_dark) == (2.5, False)
    assert clean.config.history("gain")[-1].where == f"{path} (task clean)"
    assert pipeline.tasks["dark"].where == "exposure.observation_type = 'dark'"
    assert pipeline.description == "A test."
    assert list(pipeline.subset("frames").tasks) == ["clean", "measure"]
    assert list(Pipeline.load(f"{path}#frames").tasks) == ["clean", "measure"]


def test_imports_can_be_cut_and_configured(tmp_path):
    write(tmp_path, YAML)
    importing = "imports: {location: p.yaml, exclude: [dark]}\ntasks:\n  clean: {config: {gain: 7.0}}\n"
    pipeline = Pipeline.load(write(tmp_path, importing, "q.yaml"))
    assert list(pipeline.tasks) == ["clean", "measure"]
    assert pipeline.tasks["clean"].config.gain == 7.0
    assert pipeline.subsets == {"frames": ("clean", "measure")}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (".DarkTask", ".DrkTask", "Task 'dark': Module .* has no class 'DrkTask'. Did you mean 'DarkTask'"),
        (f"{__name__}.DarkTask", "no_such_package.Task", "There is no module 'no_such_package'"),
        (f"{__name__}.DarkTask", "pathlib.Path", "is no PipelineTask"),
        ("doDark", "doDrk", "Task 'clean': .* Did you mean 'do_dark'"),
        ("doDark: false", "gain: -1", "Input should be greater than 0"),
        ("parameters.gain", "parameters.gian", "parameter 'gian', which is not defined. Did you mean 'gain'"),
        ("[clean, measure]", "[cleann]", "no task or subset 'cleann'. Did you mean 'clean'"),
        ("subsets:", "subset:", "A pipeline has no key 'subset'. Did you mean 'subsets'"),
        ("where:", "were:", "Task 'dark' has no key 'were'. Did you mean 'where'"),
        ("tasks:", "tasks: [", "it is not YAML"),
        ("parameters: {gain: 2.5}", "imports: nowhere.yaml", "There is no pipeline 'nowhere.yaml'"),
        ("parameters: {gain: 2.5}", "imports: p.yaml", "imports itself"),
    ],
)
def test_mistakes_are_told_with_file_and_label(tmp_path, old, new, message):
    path = write(tmp_path, YAML.replace(old, new, 1))
    with pytest.raises((PipelineError, ConfigError), match=message) as caught:
        Pipeline.load(path)
    assert "p.yaml" in str(caught.value)


def test_a_task_of_ones_own_lies_in_a_module_beside_the_pipeline(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", [*sys.path])
    (tmp_path / "tasks_beside_a_pipeline.py").write_text(
        "from skybutler.tasks import PipelineTask, TaskConnections\n"
        "class EmptyTask(PipelineTask):\n"
        "    class Connections(TaskConnections, dimensions=()):\n"
        "        pass\n"
    )
    file = tmp_path / "mine.yaml"
    file.write_text("tasks: {empty: tasks_beside_a_pipeline.EmptyTask}")
    assert Pipeline.load(file).tasks["empty"].task_class.__name__ == "EmptyTask"
    file.write_text("tasks: {empty: tasks_beside_a_pipeline.EmtyTask}")
    with pytest.raises(PipelineError, match=r"has no class 'EmtyTask'\. Did you mean 'EmptyTask'"):
        Pipeline.load(file)


def test_an_unknown_pipeline_lists_what_is_shipped():
    with pytest.raises(PipelineError, match="neither a file nor a shipped one"):
        Pipeline.load("no_such_pipeline")


def test_a_connection_may_be_named_like_a_method_of_configurations():
    class FlatTask(PipelineTask):
        class Connections(TaskConnections, dimensions=FRAME):
            flat = PrerequisiteInput("flat", storage_class="Dict", dimensions=PIXELS)
            history = Output("history", storage_class="Dict", dimensions=FRAME)

    config = FlatTask.ConfigClass()
    config.connections.flat = "superflat"
    task = FlatTask(config)
    assert task.connections.flat.name == "superflat"
    assert config.clone() == config
    assert repr(config) == "PipelineTaskConfig(connections.flat='superflat', 1 at its default)"
    assert config.history("connections.flat")[-1].value == "superflat"
