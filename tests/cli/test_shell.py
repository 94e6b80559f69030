"""The prompt on a repository."""

import subprocess
import sys

from skybutler import Butler


def ask(root, lines, *options):
    command = [sys.executable, "-m", "skybutler", "shell", str(root), *options]
    return subprocess.run(command, input=lines, capture_output=True, text=True, check=False, timeout=60)


def test_the_prompt_has_the_butler(tmp_path):
    Butler.create(tmp_path / "repo").close()
    done = ask(tmp_path / "repo", "print(butler.run, Butler.__name__)\n", "--run", "u/me")
    assert done.returncode == 0, done.stderr
    assert "u/me Butler" in done.stdout
    assert "is `butler`" in done.stdout + done.stderr


def test_the_prompt_can_be_read_only(tmp_path):
    Butler.create(tmp_path / "repo").close()
    done = ask(tmp_path / "repo", "butler.collections.register('x')\n", "--read-only")
    assert "ReadOnlyError" in done.stdout + done.stderr
    with Butler(tmp_path / "repo") as butler:
        assert butler.collections.list() == ["defaults", "user"]


def test_the_prompt_wants_a_repository(tmp_path):
    done = ask(tmp_path / "none", "")
    assert done.returncode == 1
    assert "is no SkyButler repository" in done.stderr
