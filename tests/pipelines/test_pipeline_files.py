"""The pipelines that ship: they load, fit together, and name only what is there."""

import subprocess
import sys

import pytest

from skybutler import pipelines
from skybutler.model.errors import TaskError
from skybutler.tasks.pipeline import Pipeline


@pytest.mark.parametrize(
    ("name", "labels", "outputs"),
    [
        ("calibration_frames", ["bias", "dark", "flat"], {"bias", "dark", "flat"}),
        ("process", ["isr", "characterize", "calibrate"], {"postISRCCD", "icExp", "calexp", "calexpBackground", "src"}),
    ],
)
def test_a_shipped_pipeline_fits_together(name: str, labels: list[str], outputs: set[str]) -> None:
    pipeline = Pipeline.load(name)
    assert [node.label for node in pipeline.ordered()] == labels
    made = {
        connection.name
        for node in pipeline.ordered()
        for connection in node.connections.active.values()
        if type(connection).__name__ == "Output"
    }
    assert made == outputs


def test_every_public_task_is_there() -> None:
    names = [name for name in dir(pipelines) if name.endswith("Task")]
    assert "IsrTask" in names
    for name in names:
        task = getattr(pipelines, name)
        assert task.ConfigClass().clone() == task.ConfigClass()
        assert all(field.description for field in task.ConfigClass.model_fields.values())


def test_importing_the_tasks_loads_no_library_of_sources() -> None:
    code = (
        "import sys; from skybutler.pipelines import IsrTask, CalibrateTask, CharacterizeImageTask; "
        "sys.exit(str([name for name in ('sep', 'scipy', 'astropy', 'pandas') if name in sys.modules] or ''))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stderr.strip() == ""
    )


def test_a_missing_library_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from skybutler.pipelines.sep_library import import_sep

    monkeypatch.setitem(sys.modules, "sep", None)
    with pytest.raises(TaskError, match=r"skybutler\[sources\]"):
        import_sep()
