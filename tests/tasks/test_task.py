"""Tasks, their notes and their results."""

import json
import logging
import pickle

import numpy as np
import pytest

from skybutler.model.errors import ConfigError, TaskError
from skybutler.tasks import Config, Field, Struct, Subtask, SubtaskField, Task, TaskMetadata, time_method


class PartConfig(Config):
    factor: int = Field(2, description="Factor.")


class PartTask(Task):
    ConfigClass = PartConfig

    @time_method
    def run(self, x: int) -> Struct:
        self.metadata["x"] = x
        return Struct(y=x * self.config.factor)


class WholeConfig(Config):
    part: Subtask = SubtaskField(PartTask, description="Part.")
    limit: int = Field(3, description="Limit.")

    def check(self) -> None:
        if self.limit < 0:
            raise ConfigError("limit must not be negative.")


class WholeTask(Task):
    ConfigClass = WholeConfig
    _DefaultName = "whole"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.makeSubtask("part")

    def run(self, x: int) -> Struct:
        return self.part.run(x)


def test_a_task_keeps_a_frozen_copy_of_its_config():
    config = WholeConfig()
    task = WholeTask(config=config)
    config.part.factor = 10
    assert task.config.part.factor == 2
    with pytest.raises(ConfigError, match="frozen"):
        task.config.limit = 4


def test_subtasks_run_with_their_own_config_and_names():
    config = WholeConfig()
    config.part.factor = 5
    task = WholeTask(config)
    assert task.run(3).y == 15
    assert task.part.full_name == "whole.part"
    assert task.part.log.name == "skybutler.whole.part"
    assert set(task.task_dict) == {"whole", "whole.part"}


def test_metadata_has_wall_cpu_and_memory_and_is_json():
    task = WholeTask()
    task.run(3)
    notes = task.full_metadata.to_dict()["whole:part"]
    assert notes["x"] == 3
    assert notes["run_wall_time"] >= 0
    assert notes["run_cpu_time"] >= 0
    assert notes["run_peak_memory"] > 1e6
    assert notes["run_start_utc"].startswith("20")
    json.dumps(task.full_metadata.to_dict())
    task.empty_metadata()
    assert task.part.metadata.to_dict() == {}


def test_repeated_timing_appends():
    task = PartTask()
    for _ in range(2):
        task.run(1)
    assert len(task.metadata.array("run_wall_time")) == 2


def test_names_follow_the_class_unless_given():
    class CrowdedFieldTask(Task):
        pass

    class ChildTask(WholeTask):
        pass

    assert CrowdedFieldTask().name == "crowded_field"
    assert ChildTask().name == "whole"
    assert CrowdedFieldTask(name="x").name == "x"


def test_wrong_uses_are_told():
    with pytest.raises(TaskError, match="PartTask takes a PartConfig as its config, not a WholeConfig"):
        PartTask(WholeConfig())
    with pytest.raises(ConfigError, match="must not be negative"):
        WholeTask(WholeConfig(limit=-1))
    with pytest.raises(TaskError, match=r"no subtask 'prt'. Did you mean 'part'"):
        WholeTask().make_subtask("prt")
    with pytest.raises(NotImplementedError):
        Task().run()


def test_tasks_survive_pickling():
    again = pickle.loads(pickle.dumps(WholeTask(WholeConfig(limit=8))))
    assert again.config.limit == 8
    assert again.run(1).y == 2


def test_a_task_logs_where_it_is_told(caplog):
    task = PartTask(log=logging.getLogger("elsewhere"))
    with caplog.at_level(logging.INFO, "elsewhere"):
        task.log.info("hello")
    assert caplog.messages == ["hello"]


def test_struct_holds_items_by_name():
    struct = Struct(a=1, b=2)
    struct.merge_items(Struct(c=3, d=4), "c")
    assert struct.getDict() == {"a": 1, "b": 2, "c": 3}
    assert "c" in struct
    assert "d" not in struct
    assert list(struct) == struct.keys() == ["a", "b", "c"]
    assert len(struct.copy()) == 3
    with pytest.raises(TaskError, match="here already"):
        struct.mergeItems(Struct(a=2), "a")
    with pytest.raises(TaskError, match="no item 'x'"):
        struct.mergeItems(Struct(a=2), "x")
    with pytest.raises(AttributeError):
        _ = struct.nothing


def test_metadata_nests_appends_and_round_trips():
    metadata = TaskMetadata()
    metadata["overscan.mean"] = np.float32(1.5)
    metadata.add("overscan.rows", 3)
    metadata.add("overscan.rows", np.array([4, 5]))
    metadata["names"] = ("a", "b")
    assert metadata.to_dict() == {"overscan": {"mean": 1.5, "rows": [3, 4, 5]}, "names": ["a", "b"]}
    assert metadata.scalar("overscan.rows") == 5
    assert metadata.getArray("overscan.mean") == [1.5]
    assert TaskMetadata.from_json(metadata.to_json()) == metadata
    assert "overscan.rows" in metadata
    del metadata["overscan.rows"]
    assert "overscan.rows" not in metadata


def test_metadata_refuses_what_is_no_scalar():
    metadata = TaskMetadata({"a": 1})
    for name, value in [("b", object()), ("a.b", 1), ("c", [[1]])]:
        with pytest.raises(TypeError, match="Metadata"):
            metadata[name] = value
    with pytest.raises(KeyError):
        _ = metadata["none"]
