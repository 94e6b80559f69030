"""Configurations: what they take, what they refuse and how they say so, where values come from."""

import pickle
import pydoc
from typing import Literal

import numpy as np
import pytest

from skybutler.model.errors import ConfigError
from skybutler.tasks import Config, Field, Subtask, SubtaskField, Task
from skybutler.tasks.config import set_from
from skybutler.tasks.config_text import from_json, to_json, to_python


class SmoothConfig(Config):
    sigma: float = Field(2.0, gt=0, description="Width of the kernel (pixel).")
    do_edge: bool = Field(True, description="Smooth up to the edge?")


class SmoothTask(Task):
    ConfigClass = SmoothConfig


class MedianConfig(Config):
    sigma: float = Field(1.0, description="Width.")
    size: int = Field(3, description="Size.")


class MedianTask(Task):
    ConfigClass = MedianConfig


class DetectConfig(Config):
    n: int = Field(3, ge=0, le=10, description="How many.")
    threshold: float = Field(5.0, description="In sigma.")
    mode: str | None = Field(None, description="Mode.")
    either: int | Literal["auto"] = Field("auto", description="A number, or auto.")
    limits: dict[str, float] = Field({}, description="Limits.")
    planes: tuple[str, ...] = Field(("BAD", "SAT"), description="Mask planes.")
    numbers: tuple[float, ...] = Field((), description="Numbers.")
    smooth: Subtask = SubtaskField(SmoothTask, description="How to smooth.")

    def check(self) -> None:
        if self.n == 7:
            raise ConfigError("n must not be 7.")


class DetectTask(Task):
    ConfigClass = DetectConfig


@pytest.fixture
def config() -> DetectConfig:
    return DetectTask.ConfigClass()


def test_both_spellings_reach_a_field(config):
    config.smooth.doEdge = False
    assert config.smooth.do_edge is False
    assert config.smooth.config.doEdge is False
    assert config.getN() == 3
    assert DetectConfig(n=4).n == 4


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("c.treshold = 3", "DetectTask has no configuration field 'treshold'. Did you mean 'threshold'?"),
        ("c.smooth.doEdgee = 3", "SmoothTask has no configuration field 'doEdgee'. Did you mean 'do_edge'?"),
        ("c.qqq", "It has: n, threshold, mode, either, limits, planes, numbers, smooth."),
        ("c.n = 'x'", "DetectTask.n = 'x': Input should be a valid integer"),
        ("c.n = '5'", "Input should be int, not str"),
        ("c.n = True", "Input should be int, not bool"),
        ("c.n = 4.0", "Input should be int, not float"),
        ("c.n = 11", "DetectTask.n = 11: Input should be less than or equal to 10"),
        ("c.smooth.do_edge = 1", "Input should be bool, not int"),
        ("c.smooth.sigma = -1", "Input should be greater than 0"),
        ("c.numbers = [1.5, '5']", "item 1: Input should be float, not str"),
        ("c.numbers = [True]", "item 0: Input should be float, not bool"),
        ("c.planes = ('BAD', 3)", "item 1: Input should be a valid string"),
        ("c.either = 'x'", "valid integer, unable to parse string as an integer; or: Input should be 'auto'"),
        ("c.limits = {'a': 'x'}", "item a: Input should be a valid number"),
        ("c.smooth = 3", "takes a task class or its configuration, not 3"),
        ("c.smooth = M()", "SmoothTask takes a SmoothConfig, not MedianConfig"),
        ("c.set('n.x', 1)", "not a group of fields"),
        ("del c.n", "cannot be deleted"),
    ],
)
def test_what_is_wrong_is_a_config_error_of_one_clear_line(config, statement, message):
    with pytest.raises(ConfigError) as caught:
        exec(statement, {"c": config, "M": MedianConfig})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_field_is_an_attribute_error_too(config):
    with pytest.raises(AttributeError):
        _ = config.nothing
    assert not hasattr(config, "nothing")
    assert getattr(config, "nothing", 3) == 3


def test_safe_conversions_happen(config):
    config.threshold = 3
    config.n = np.int64(5)
    config.planes = ["CR"]
    assert (type(config.threshold), type(config.n), config.planes) == (float, int, ("CR",))


def test_a_refused_value_leaves_the_old_one(config):
    with pytest.raises(ConfigError):
        config.n = 100
    assert config.n == 3
    assert len(config.history("n")) == 1


def test_history_tells_value_and_place(config):
    config.n = 4
    config.smooth.sigma = 3.5
    default, set_here = config.history("n")
    assert tuple(default) == (3, "default of DetectConfig")
    assert set_here.value == 4
    assert "test_config.py:" in set_here.where
    assert "test_config.py:" in config.history("smooth.sigma")[-1].where


def test_retarget_carries_values_over_and_names_the_rest(config):
    config.smooth.sigma = 4.0
    config.smooth.do_edge = False
    assert config.smooth.retarget(MedianTask) == ["do_edge"]
    assert config.smooth.target is MedianTask
    assert config.smooth.sigma == 4.0
    assert config.smooth.size == 3
    assert "kept when retargeted from SmoothTask" in config.history("smooth.sigma")[-1].where


def test_a_task_class_or_configuration_may_be_assigned_to_a_subtask(config):
    config.smooth = SmoothConfig(sigma=9.0)
    assert config.smooth.sigma == 9.0
    config.smooth = MedianTask
    assert config.smooth.target is MedianTask


def test_frozen_refuses_all_changes_and_a_clone_takes_them(config):
    config.freeze()
    for statement in ("c.n = 4", "c.smooth.sigma = 4.0", "c.smooth.retarget(M)", "c.smooth = M"):
        with pytest.raises(ConfigError, match="frozen"):
            exec(statement, {"c": config, "M": MedianTask})
    clone = config.clone()
    clone.n = 4
    clone.smooth.sigma = 4.0
    assert (config.n, config.smooth.sigma) == (3, 2.0)
    assert config.is_frozen
    assert not clone.is_frozen


def test_diff_and_compare(config):
    other = config.clone()
    assert config.compare(other)
    assert config == other
    other.smooth.sigma = 3.0
    other.smooth.retarget(MedianTask)
    assert {item.name for item in config.diff(other)} == {"smooth", "smooth.sigma", "smooth.do_edge", "smooth.size"}
    assert str(SmoothConfig().diff(SmoothConfig(sigma=1.5))[0]) == "sigma: 2.0 != 1.5"
    nan = SmoothConfig(sigma=float("inf"))
    assert nan == nan.clone()


def test_python_text_round_trips(config, tmp_path):
    config.smooth.retarget(MedianTask)
    config.smooth.sigma = float("inf")
    config.planes = ("ONE",)
    config.save(tmp_path / "c.py")
    again = DetectConfig()
    again.load(tmp_path / "c.py")
    assert again == config
    assert "# Mask planes.\nconfig.planes = ('ONE',)" in to_python(config)


def test_json_round_trips_and_names_its_class(config, tmp_path):
    config.smooth.retarget(MedianTask)
    config.mode = "fast"
    again = from_json(to_json(config))
    assert type(again) is DetectConfig
    assert again == config
    config.save(tmp_path / "c.json")
    third = DetectConfig()
    third.load(tmp_path / "c.json")
    assert third == config


@pytest.mark.parametrize("text", ["nonsense", "[]", '{"class": "no.Such", "values": {}}'])
def test_bad_json_is_a_config_error(text):
    with pytest.raises(ConfigError):
        from_json(text)


def test_pickle_keeps_values_and_history(config):
    config.n = 4
    again = pickle.loads(pickle.dumps(config))
    assert again == config
    assert [item.value for item in again.history("n")] == [3, 4]


def test_repr_shows_what_was_changed(config):
    config.n = 4
    assert repr(config) == "DetectConfig(n=4, 9 at their defaults)"
    assert repr(SmoothConfig()) == "SmoothConfig(2 at their defaults)"


def test_history_tells_who_retargeted_a_subtask(config):
    config.smooth.retarget(MedianTask)
    with set_from("an override"):
        config.smooth = SmoothTask
    for one in (config, config.clone(), pickle.loads(pickle.dumps(config))):
        _, first, second = one.history("smooth")
        assert (first.value, first.where.rpartition(":")[0]) == (f"{__name__}.MedianTask", __file__)
        assert (second.value, second.where) == (f"{__name__}.SmoothTask", "an override")


def test_help_lists_fields_with_types_bounds_and_words():
    assert pydoc.plain(pydoc.render_doc(DetectConfig)).splitlines()[3] == " |  DetectConfig(**values)"
    text = DetectConfig.__doc__
    assert "n : int, >= 0, <= 10 = 3\n    How many." in text
    assert "SmoothTask" in text


def test_set_defaults_is_below_what_the_caller_gives():
    class Special(DetectConfig):
        def set_defaults(self) -> None:
            self.n = 9
            self.smooth.sigma = 8.0

    assert (Special().n, Special(n=1).n, Special().smooth.sigma) == (9, 1, 8.0)
    assert Special().history("n")[-1].where == "set_defaults of Special"
