"""What users can name is documented: commands, errors, SQL views, storage classes, dependencies."""

import doctest
import re
import runpy
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from skybutler.butler import Butler
from skybutler.cli.main import command_line
from skybutler.model import errors
from skybutler.model.storage_class import storage_classes
from skybutler.registry.views import GENERAL_VIEWS
from skybutler.storage.formatters import formatter_for
from skybutler.tasks import Pipeline

ROOT = Path(__file__).parents[1]
ERRORS = [value for value in map(errors.__dict__.get, errors.__all__) if isinstance(value, type)]
KEPT_AS = {"fits": "FITS", "parquet": "Parquet", "json": "JSON", "text": "text", "figure": "PNG", "svg": "SVG",
           "defects": "ECSV"}  # fmt: skip


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def table(text: str, header: str) -> list[list[str]]:
    """Return the cells of the rows of the first table whose header begins so."""
    rows = text[text.index(f"| {header}") :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_command_reference_is_what_the_commands_say():
    made = runpy.run_path(str(ROOT / "docs/make_cli_reference.py"))["reference"]()
    same = made.split() == page("cli.md").split()
    assert same, "docs/cli.md is not current: run `python docs/make_cli_reference.py`"
    assert all(f"## skybutler {name}\n" in made for name in command_line.list_commands(None))


def test_every_error_is_documented_with_its_builtin():
    rows = {code(name)[0]: code(builtin)[0] for name, builtin, _ in table(page("errors.md"), "error")}
    assert rows == {error.__name__: error.__bases__[-1].__name__ for error in ERRORS}
    tree = errors.__doc__
    assert all(error.__name__ in tree for error in ERRORS)


def test_every_error_can_be_imported_from_the_package():
    import skybutler

    assert {error.__name__ for error in ERRORS} <= set(skybutler.__all__)


def test_every_storage_class_is_documented_with_its_type_and_format():
    rows = table(page("storage_classes.md"), "storage class")
    documented = {}
    for names, types, kept in rows:
        module = code(types)[0].rpartition(".")[0]
        full = [module + name if name.startswith(".") else name for name in code(types)]
        full *= len(code(names)) if len(full) == 1 else 1
        documented |= {name: (pytype, kept) for name, pytype in zip(code(names), full, strict=True)}
    assert set(documented) == {known.name for known in storage_classes()}
    for known in storage_classes():
        pytype, kept = documented[known.name]
        assert pytype == known.pytype.removeprefix("builtins.")
        try:
            assert kept.startswith(KEPT_AS[formatter_for(known).name])
        except errors.StorageClassError:
            assert kept.startswith("only read")


def test_every_component_and_parameter_is_documented():
    rows = table(page("storage_classes.md"), "of")
    documented = {name: (code(parts), code(parameters)) for names, parts, parameters in rows for name in code(names)}
    known = {k.name: (list(k.components), sorted(k.parameters)) for k in storage_classes() if k.components}
    assert documented == known


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The views of a new repository, and the columns of each."""
    with Butler.create(tmp_path_factory.mktemp("docs") / "repo") as butler:
        names = [row[0] for row in butler.sql("SELECT name FROM sqlite_master WHERE type = 'view'")[1]]
        return {name: butler.sql(f'SELECT * FROM "{name}" LIMIT 0')[0] for name in names}


def test_every_view_and_its_columns_are_documented(views):
    rows = {code(view)[0]: re.sub(r"\([^)]*\)", "", columns) for view, _, columns in table(page("sql.md"), "view")}
    assert set(rows) == {*GENERAL_VIEWS, "v_<type>"}
    for name in GENERAL_VIEWS:
        assert sorted(rows[name].replace(" ", "").split(",")) == sorted(views[name])
    words = rows["v_<type>"]
    assert re.fullmatch(r"collection, one column a dimension ?, (.*)", words)
    others = ["collection", *words.split(", ")[2:]]
    dimensions = ["instrument", "visit", "detector"]
    assert sorted(views["v_calexp"]) == sorted(others + dimensions)


def test_every_dependency_says_why_it_is_there():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = page("dependencies.md")

    def name(requirement: str) -> str:
        return re.split(r"[<>=\[; ]", requirement)[0]

    core = {word for row in table(text, "library") for word in row[0].split(", ")}
    assert core == {name(requirement) for requirement in project["dependencies"]}
    extras = {(code(row[0])[0].strip("[]"), row[1]) for row in table(text, "extra")}
    used = {k: v for k, v in project["optional-dependencies"].items() if k not in ("all", "test", "dev")}
    assert extras == {(extra, name(requirement)) for extra, group in used.items() for requirement in group}
    tools = {name(r) for k in ("test", "dev") for r in project["optional-dependencies"][k]} - {"skybutler"}
    stubs = {tool for tool in tools if tool.startswith("types-") or tool.endswith("-stubs")}
    assert all(tool in text for tool in tools - stubs)


def test_the_task_of_ones_own_loads_from_beside_its_pipeline(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", [*sys.path])
    blocks = re.findall(r"```(python|yaml)\n(.*?)```", page("your_own.md"), re.DOTALL)
    (tmp_path / "mytasks.py").write_text(next(text for kind, text in blocks if kind == "python"))
    (tmp_path / "mine.yaml").write_text(next(text for kind, text in blocks if kind == "yaml"))
    pipeline = Pipeline.load(tmp_path / "mine.yaml")
    pipeline.override("count", "limit=17")
    task = pipeline.tasks["count"].task_class(pipeline.tasks["count"].config)
    assert task.run(sources={"psf_mag": np.array([16.0, 17.5])}).counts == {"bright": 1}


def test_the_examples_of_imaging_do_what_the_page_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
    said: list[str] = []
    examples = doctest.DocTestParser().get_doctest(page("imaging.md"), {}, "imaging.md", None, 0)
    failed, tried = doctest.DocTestRunner(optionflags=flags).run(examples, out=said.append)
    assert tried > 40
    assert failed == 0, "".join(said)


def test_the_readme_names_every_page():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [path.name for path in (ROOT / "docs").glob("*.md") if f"docs/{path.name}" not in readme]
    assert missing == []
