"""What is not needed is not imported: each case in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from skybutler.butler import Butler
from skybutler.model.datasets import DatasetType
from skybutler.testing.small_repository import fill_repository

HEAVY = {"numpy", "pandas", "pyarrow", "astropy", "scipy", "matplotlib", "sep", "lsst"}
DATABASE = {"sqlalchemy", "alembic", "lark"}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("imports") / "repo"
    with Butler.create(root) as butler:
        fill_repository(butler)
        butler.register_dataset_type(
            DatasetType("level", ("instrument", "visit", "detector"), "Dict", universe=butler.universe)
        )
        butler.put("level", {"mean": 1.5}, visit=1, detector=0)
    return root


def loaded(code: str) -> set[str]:
    """Return the top-level modules that some code leaves loaded when it ends, however it ends."""
    report = (
        "import atexit, sys; atexit.register(lambda: print('|' + ' '.join(n.partition('.')[0] for n in sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", report + code], capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("|")[2].split())


def test_importing_the_package_loads_only_the_standard_library():
    own = loaded("import skybutler; skybutler.__version__; dir(skybutler)")
    assert "skybutler" in own
    assert not own & (HEAVY | DATABASE | {"yaml", "pydantic", "click", "rich"})


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["creat"]])
def test_help_of_the_command_loads_no_library_but_click(words):
    code = f"import sys\nfrom skybutler.cli.main import main\ntry:\n main({words})\nexcept SystemExit: pass"
    assert not loaded(code) & (HEAVY | DATABASE | {"yaml", "pydantic", "rich"})


@pytest.mark.parametrize("command", ["create", "ingest-raws", "run", "query-datasets", "sql", "show"])
def test_help_of_each_command_loads_no_library_but_click(command):
    code = f"from skybutler.cli.main import main; main([{command!r}, '--help'])"
    assert not loaded(code) & (HEAVY | DATABASE | {"yaml", "pydantic", "rich"})


def test_opening_a_repository_and_finding_loads_nothing_heavy(repository):
    code = (
        f"from skybutler import Butler\nbutler = Butler({str(repository)!r})\n"
        "ref = butler.find_dataset('level', visit=1, detector=0)\n"
        "assert butler.get(ref) == {'mean': 1.5}\n"
        "assert butler.get_uri('level', visit=1, detector=0).endswith('.json')\n"
    )
    assert not loaded(code) & (HEAVY | {"alembic", "lark", "pydantic", "rich"})


def test_a_query_loads_nothing_heavy_but_the_grammar(repository):
    code = (
        f"from skybutler import Butler\nbutler = Butler({str(repository)!r})\n"
        "assert [ref.data_id['visit'] for ref in butler.query_datasets('level', where='visit = 1')] == [1]\n"
    )
    assert not loaded(code) & (HEAVY | {"alembic", "pydantic", "rich"})


def test_printing_rows_into_a_pipe_loads_no_table_library(repository):
    code = f"from skybutler.cli.main import main; main(['query-datasets', {str(repository)!r}, 'level', '--uri'])"
    assert not loaded(code) & (HEAVY | {"alembic", "pydantic", "rich"})
