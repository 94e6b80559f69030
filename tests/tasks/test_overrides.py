"""Overrides from files and command lines."""

import pytest

from skybutler.model.errors import ConfigError
from skybutler.tasks import Config, Field, Subtask, SubtaskField, Task
from skybutler.tasks.overrides import apply_assignment, apply_mapping, parse_assignment


class InnerConfig(Config):
    size: int = Field(3, description="Size.")


class InnerTask(Task):
    ConfigClass = InnerConfig


class OuterConfig(Config):
    do_dark: bool = Field(True, description="Dark?")
    name: str = Field("a", description="Name.")
    items: tuple[int, ...] = Field((), description="Items.")
    inner: Subtask = SubtaskField(InnerTask, description="Inner.")


@pytest.fixture
def config() -> OuterConfig:
    return OuterConfig()


def test_a_python_file_sees_config_and_history_names_its_line(config, tmp_path):
    path = tmp_path / "isr.py"
    path.write_text("# comment\nconfig.doDark = False\nfor i in range(3):\n    config.inner.size = i\n")
    config.load(path)
    assert (config.do_dark, config.inner.size) == (False, 2)
    assert config.history("do_dark")[-1].where == f"{path}:2"
    assert config.history("inner.size")[-1].where == f"{path}:4"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\nconfig.doDrk = False", "isr.py:2: OuterConfig has no configuration field 'doDrk'. Did you mean 'do_dark'?"),
        ("config.do_dark = ", "isr.py:1: invalid syntax"),
        ("\n\nconfig.do_dark = undefined", "isr.py:3: NameError"),
    ],
)
def test_an_error_in_a_python_file_names_its_line(config, tmp_path, text, message):
    path = tmp_path / "isr.py"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        config.load(path)
    assert message in str(caught.value)


def test_yaml_may_be_dotted_or_nested(config, tmp_path):
    path = tmp_path / "isr.yaml"
    path.write_text("doDark: false\ninner.size: 5\nitems: [1, 2]\n")
    config.load(path)
    assert (config.do_dark, config.inner.size, config.items) == (False, 5, (1, 2))
    path.write_text("inner: {size: 6}\n")
    config.load(path)
    assert config.inner.size == 6
    assert config.history("inner.size")[-1].where == str(path)


@pytest.mark.parametrize("text", ["[1]", "a: [", "nope: 1"])
def test_bad_yaml_is_a_config_error_that_names_the_file(config, tmp_path, text):
    path = tmp_path / "isr.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"isr\.yaml"):
        config.load(path)


def test_a_missing_file_is_a_config_error(config, tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load(tmp_path / "none.py")


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("doDark=False", ("doDark", False)),
        ("a.b=3.5", ("a.b", 3.5)),
        ("name=r2", ("name", "r2")),
        ("name = 'x=y' ", ("name", "x=y")),
        ("name=x=y", ("name", "x=y")),
        ("items=(1, 2)", ("items", (1, 2))),
        ("mode=None", ("mode", None)),
    ],
)
def test_assignments_are_literals_or_text(text, parsed):
    assert parse_assignment(text) == parsed


@pytest.mark.parametrize("text", ["doDark", "=3"])
def test_what_is_no_assignment_says_how_to_write_one(text):
    with pytest.raises(ConfigError, match="write name=value"):
        parse_assignment(text)


def test_assignment_remembers_where_it_came_from(config):
    apply_assignment(config, "inner.size=7", "-c isr:inner.size=7")
    assert config.history("inner.size")[-1].where == "-c isr:inner.size=7"
    with pytest.raises(ConfigError, match=r"-c inner\.sise=7: .* Did you mean 'size'"):
        apply_assignment(config, "inner.sise=7", "-c inner.sise=7")


def test_a_mapping_can_retarget(config):
    apply_mapping(config, {"inner": {"task": f"{__name__}.InnerTask", "config": {"size": 8}}}, "here")
    assert config.inner.size == 8
