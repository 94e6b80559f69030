"""One task in the form of LSST's command-line tasks: ``runIsr.py REPO --id … --rerun …``."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


def chain(skybutler, repository, name):
    rows = json.loads(skybutler("collections", repository, "--format", "json").out)
    return next(row["children"] for row in rows if row["collection"] == name)


def shown_config(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if line.startswith("config.")]
    return dict(line.removeprefix("config.").split(" = ", 1) for line in lines)


@pytest.mark.parametrize("spelling", ["--id", "-id"])
def test_either_spelling_of_id_chooses_the_data(run_isr, skybutler, repository, spelling):
    done = run_isr(repository, spelling, "visit=1005", "detector=0..1", "--rerun", "mine")
    assert (done.code, done.out) == (0, "isr: 2 done\n")
    assert done.err.splitlines() == [
        f"warning: isr: 2 of 2 quanta go without '{name}', which is nowhere among the inputs"
        for name in ("bias", "dark", "flat")
    ]
    assert skybutler("show", repository, "postISRCCD", "visit=1005", "detector=1", "-c", "rerun/mine").code == 0


def test_the_seed_command(run_isr, skybutler, repository, tmp_path):
    (tmp_path / "config.py").write_text("config.doDark = False\n")
    done = run_isr(
        repository, "--id", "visit=1005", "--rerun", "my_special_rerun", "--configfile", tmp_path / "config.py"
    )
    assert (done.code, done.out) == (0, "isr: 2 done\n")
    assert "'do_dark': False" in skybutler("show", repository, "isr_config", "-c", "rerun/my_special_rerun").out


def test_several_ids_are_joined_and_a_bare_one_means_everything(run_isr, shared_repository):
    several = run_isr(shared_repository, "--id", "visit=1004", "detector=1", "--id", "visit=1005^9", "--show", "data")
    assert [eval(line[3:])["exposure"] for line in several.out.splitlines()] == [1004, 1005, 1005]
    assert len(run_isr(shared_repository, "--show", "data", "--id").out.splitlines()) == 4


def test_a_rerun_takes_inputs_of_another_first(run_isr, skybutler, repository):
    assert run_isr(repository, "--id", "visit=1005", "detector=0", "--rerun", "me/a").out == "isr: 1 done\n"
    again = run_isr(repository, "--id", "visit=1005", "--rerun", "me/a:me/b")
    assert (again.code, again.out) == (0, "isr: 1 done, 1 skipped\n")
    own, *inputs = chain(skybutler, repository, "rerun/me/b")
    assert own.startswith("rerun/me/b/")
    assert inputs[0].startswith("rerun/me/a/")


def test_files_and_values_of_configuration_count_from_left_to_right(run_isr, shared_repository, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("do_dark: false\ndo_flat: false\n")
    words = (shared_repository, "--show", "config")
    after = run_isr(*words, "--configfile", file, "--config", "doDark=True", "doBias=False")
    config = shown_config(after.out)
    assert (config["do_bias"], config["do_dark"], config["do_flat"]) == ("False", "True", "False")
    before = run_isr(*words, "-c", "doDark=True", "-C", file)
    assert shown_config(before.out)["do_dark"] == "False"


def test_history_tells_where_each_value_came_from(run_isr, shared_repository, tmp_path):
    file = tmp_path / "config.py"
    file.write_text("\nconfig.doDark = True\n")
    told = run_isr(shared_repository, "--configfile", file, "--config", "doDark=False", "--show", "history")
    (line,) = told.out.splitlines()
    assert line.startswith("do_dark: None (default of IsrConfig) -> True (")
    assert f"{file}:2" in line
    assert line.endswith("-> False (--config doDark=False)")


def test_show_runs_nothing_unless_told_to(run_isr, repository, contents):
    before = contents(repository)
    words = (repository, "--id", "visit=1005", "--rerun", "x", "--show", "data", "config")
    assert run_isr(*words).code == 0
    assert contents(repository) == before
    assert run_isr(*words, "run").out.endswith("isr: 2 done\n")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ("", 2, "say which data: --id"),
        ("--id visit=1004", 2, "say where outputs go: --rerun"),
        ("--id visit=1004 --rerun a:", 2, "'a:' is not NAME or IN:OUT"),
        ("--id visit=1004 --rerun :a", 2, "':a' is not NAME or IN:OUT"),
        ("--id visit=1004 --rerun x -j 2", 2, "unrecognized arguments: -j 2"),
        ("--id visit=1004 --show everything", 2, "invalid choice: 'everything'"),
        ("--id visit=77 --rerun x", 1, "matches nothing"),
        ("--id visit=77 --show data", 0, "matches nothing"),
        ("--id vist=1004 --rerun x", 1, "Did you mean 'visit'?"),
        ("--id visit --rerun x", 1, "write key=value, as in visit=1234"),
        ("--id visit=5..3 --rerun x", 1, "visit=3..5"),
        ("--id visit=1..3:0 --rerun x", 1, "step"),
        ("--id visit=1 visit=2 --rerun x", 1, "'visit' comes twice"),
        ("--id visit=1004 --rerun no/such:x", 1, "no collection 'rerun/no/such'"),
        ("--id visit=1004 --rerun x --config doDrk=False", 1, "Did you mean 'do_dark'?"),
        ("--id visit=1004 --rerun x --config doDark", 1, "name=value"),
        ("--id visit=1004 --rerun x --configfile no.py", 1, "no.py"),
    ],
)
def test_bad_input_is_told_in_one_line_and_changes_nothing(run_isr, shared_repository, contents, words, code, told):
    before = contents(shared_repository)
    done = run_isr(shared_repository, *words.split())
    said = done.err + done.out
    assert done.code == code, said
    assert told in said
    assert "Traceback" not in said
    assert contents(shared_repository) == before


def test_a_place_that_is_no_repository(run_isr, tmp_path):
    done = run_isr(tmp_path / "nothing", "--id", "--rerun", "x")
    assert done.code == 1
    assert done.err.startswith("runIsr.py: ")
    assert "is no SkyButler repository" in done.err


def test_the_command_that_pip_installs(shared_repository):
    command = Path(sys.executable).with_name("runIsr.py")
    done = subprocess.run(
        [command, shared_repository, "-id", "visit=1004", "--show", "data"], capture_output=True, text=True, check=True
    )
    assert done.stdout.count("'exposure': 1004") == 2
