"""The command as a process: pipes, terminals, Ctrl-C, start."""

import os
import pty
import select
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from skybutler.butler import Butler

WAITING_TASK = '''
"""A task that, where WAIT names an exposure, says so when it comes there, and waits."""
import os, signal
from skybutler.tasks import Input, Output, PipelineTask, Struct, TaskConnections

class Connections(TaskConnections, dimensions=("instrument", "exposure", "detector")):
    raw = Input("raw", storage_class="Exposure", dimensions=("instrument", "exposure", "detector"))
    sum = Output("frame_sum", storage_class="Dict", dimensions=("instrument", "exposure", "detector"))

class WaitingTask(PipelineTask):
    Connections = Connections

    def run(self, raw):
        if os.environ.get("WAIT") == str(int(raw.metadata["EXPNUM"])):
            os.write(2, b"waiting\\n")
            signal.pause()
        return Struct(sum={"sum": float(raw.image.array.sum())})
'''


def heed_interrupts():
    """Undo in a new process what a shell does to its background jobs: let Ctrl-C reach it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(program, *words, **options):
    return subprocess.Popen(
        [*program, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,  # noqa: PLW1509 - no other thread runs here
        **options,
    )


def on_terminal(command, columns=80):
    """Return what a command writes to a terminal (standard output and error), and its exit code."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(columns)}
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, close_fds=True)
    os.close(theirs)
    text = b""
    while True:
        ready, _, _ = select.select([ours], [], [], 60)
        assert ready, "nothing came for a minute"
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        text += part
    os.close(ours)
    return text.decode(), process.wait()


def test_python_m_skybutler_is_the_command(program):
    done = subprocess.run([*program, "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage: skybutler ")
    assert subprocess.run([*program, "creat"], capture_output=True, check=False).returncode == 2


def test_a_reader_that_goes_away_is_no_error_to_talk_about(program, shared_repository):
    statement = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) SELECT i FROM n"
    for output in ("table", "csv", "json"):
        process = start(program, "sql", shared_repository, statement, "--format", output)
        assert process.stdout.readline()
        process.stdout.close()  # as `| head -1` does
        assert process.stderr.read() == ""
        process.stderr.close()
        assert process.wait() in (0, 1)  # 0 where the pipe had taken all by then


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_told_in_a_line(program, shared_repository):
    with Path("/dev/full").open("w") as full:
        words = [*program, "sql", shared_repository, "SELECT 1"]
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode in (1, 120)  # 120: Python could not flush, either
    assert done.stderr.startswith("skybutler: No space left on device\n")


def test_into_a_pipe_output_is_plain_and_whole(program, shared_repository):
    statement = f"SELECT '{'x' * 3000}' AS long, '[bold]' AS marked, 'ÅÖ' AS letters"
    done = subprocess.run([*program, "sql", shared_repository, statement], capture_output=True, text=True, check=True)
    header, row, count = done.stdout.splitlines()
    assert header.split() == ["long", "marked", "letters"]
    assert row.split() == ["x" * 3000, "[bold]", "ÅÖ"]
    assert count == "1 row"
    assert "\x1b" not in done.stdout


def test_on_a_terminal_tables_fit_and_lose_nothing(program, shared_repository):
    text, code = on_terminal([*program, "sql", str(shared_repository), f"SELECT '{'x' * 300}' AS long, '[bold]' AS m"])
    assert code == 0
    assert "\x1b[1m" in text
    assert text.count("x") == 300
    assert "[bold]" in text


def test_on_a_terminal_runs_and_ingests_show_progress(program, frames, tmp_path):
    root = tmp_path / "repo"
    Butler.create(root).close()
    ours = [str(frames / f"simcam_00001004_S0{detector}.fits") for detector in (0, 1)]
    text, code = on_terminal([*program, "ingest-raws", str(root), *ours, "-i", "simcam"])
    assert code == 0
    assert "Reading headers" in text
    assert "2/2" in text
    text, code = on_terminal([*program, "run", str(root), "-p", "process#isr", "-o", "mine"])
    assert code == 0
    assert "2/2" in text
    assert "seconds" in text  # a column of the report


@pytest.fixture
def waiting_run(program, repository, tmp_path):
    """The command line of a run over exposures 1001 to 1005, and its environment."""
    (tmp_path / "waiting_task.py").write_text(WAITING_TASK)
    (tmp_path / "waiting.yaml").write_text("tasks:\n  wait: waiting_task.WaitingTask\n")
    words = ["run", str(repository), "-p", str(tmp_path / "waiting.yaml"), "-o", "u/waiting"]
    return words, {**os.environ, "PYTHONPATH": str(tmp_path)}


def test_ctrl_c_leaves_a_sound_repository_and_the_run_goes_on_later(program, repository, waiting_run):
    words, environment = waiting_run
    process = start(program, *words, env={**environment, "WAIT": "1003"})
    assert process.stderr.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")
    assert out == "wait: 4 done\ninterrupted; run it again to do the rest\n"

    with sqlite3.connect(f"file:{repository}/registry.sqlite3?mode=ro", uri=True) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        paths = {row[0] for row in connection.execute("SELECT path FROM v_datasets WHERE run LIKE 'u/waiting/%'")}
    connection.close()
    there = {str(p.relative_to(repository)) for p in repository.glob("u/waiting/**/*") if p.is_file()}
    assert there == paths  # each file is registered, each registered one is there
    assert sum("frame_sum" in path for path in paths) == 4

    again = subprocess.run([*program, *words], env=environment, capture_output=True, text=True, check=False)
    assert (again.returncode, again.stdout, again.stderr) == (0, "wait: 6 done, 4 skipped\n", "")


def test_ctrl_c_elsewhere_is_told_in_a_word(shared_repository):
    code = (
        "import os, signal\n"
        "from skybutler.cli import main, query\n"
        "query.print_rows = lambda *_: os.kill(os.getpid(), signal.SIGINT)\n"
        f"main.main(['sql', {str(shared_repository)!r}, 'SELECT 1'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, preexec_fn=heed_interrupts
    )
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "skybutler: interrupted")


def test_a_traceback_for_those_who_ask(program, tmp_path):
    words = [*program, "show", str(tmp_path)]
    environment = {**os.environ, "SKYBUTLER_TRACEBACK": "1"}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
