"""What the package never does: make objects out of bytes, run text as code or as a command, build SQL out of words."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = (
    "butler", "cli", "imaging", "instruments", "migrations", "model", "pipelines", "registry", "storage", "tasks",
    "testing",
)  # fmt: skip

OBJECTS_OUT_OF_BYTES = {"pickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "copyreg"}
CODE = {"eval", "exec", "compile", "__import__"}
COMMANDS = {"system", "popen", "getoutput", "getstatusoutput", "execv", "execvp", "spawnl", "startfile"}
YAML_LOADERS = {"load", "load_all", "full_load", "full_load_all", "unsafe_load", "unsafe_load_all"}
UNSAFE_YAML = {"Loader", "FullLoader", "UnsafeLoader", "CLoader", "CFullLoader", "CUnsafeLoader", "UnsafeConstructor"}
SQL = {"exec_driver_sql", "text", "literal_column", "DDL", "executescript", "TextClause"}
"""What takes a statement, or a part of one, as text."""
RUNS_SQL = {"execute", "_execute", "executemany", "run", "stream", "fetch_one", "fetch_all"}
"""What takes a statement, as text or built by SQLAlchemy."""

ALLOWED = {
    ("testing/faults.py", "import pickle"): "a test's own child tells its parent what it raised",
    ("testing/faults.py", "loads"): "the same",
    ("tasks/overrides.py", "exec"): "a config file of Python is run by whoever names it: that is the format",
    ("tasks/overrides.py", "compile"): "the same",
    ("model/dimensions.py", "yaml.load"): "the package's own file, by a safe loader, in C where there is one",
    ("model/universe_definition.py", "yaml.load"): "by a loader made of the safe one, that refuses keys given twice",
}
"""Exceptions, each with its reason."""

QUOTED = {
    ("registry/postgres.py", "clear_schema"): "names of tables, quoted by the dialect",
    ("registry/postgres.py", "alone"): "a constant, with the key as a parameter",
    ("registry/postgres.py", "lock_table"): "the name of a table of our own",
    ("registry/postgres.py", "__init__"): "a compiled statement, behind the name of a cursor that is ours",
    ("registry/postgres.py", "_fetch"): "numbers, and the name of a cursor that is ours",
    ("registry/postgres.py", "close"): "the name of a cursor that is ours",
    ("registry/sqlite.py", "begin_writing"): "a number of milliseconds",
    ("registry/views.py", "_create"): "a name quoted by the dialect, and a query of constants compiled by SQLAlchemy",
    ("registry/tables.py", "_calib_table"): "names of columns, which are those of dimensions: letters and digits",
    ("registry/queries/dialect.py", "rows"): "numbers of columns",
    ("registry/queries/search.py", ""): "numbers",
    ("registry/sql.py", "_run_postgresql"): "SQL of the user's, on a connection that reads only",
}
"""Where a statement is no constant: file and function, and what it is made of."""


def modules() -> Iterator[tuple[str, ast.Module]]:
    paths = [*ROOT.glob("*.py"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))]
    assert len(paths) > 200
    for path in sorted(paths):
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def package() -> list[tuple[str, ast.Module]]:
    return list(modules())


def named(function: ast.expr) -> tuple[str, str]:
    """Return what a call calls, and of what: ``yaml.load`` is ("load", "yaml")."""
    if isinstance(function, ast.Attribute):
        return function.attr, function.value.id if isinstance(function.value, ast.Name) else ""
    return (function.id if isinstance(function, ast.Name) else ""), ""


def calls(tree: ast.Module) -> Iterator[tuple[ast.Call, str, ast.AST]]:
    """Yield calls, each with the function that it stands in: its name, empty in none, and what it consists of."""

    def within(node: ast.AST, function: str, body: ast.AST) -> Iterator[tuple[ast.Call, str, ast.AST]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from within(child, child.name, child)
                continue
            if isinstance(child, ast.Call):
                yield child, function, body
            yield from within(child, function, body)

    yield from within(tree, "", tree)


def test_no_module_makes_objects_out_of_bytes(package):
    for path, tree in package:
        for node in ast.walk(tree):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            for name in names:
                if name.partition(".")[0] in OBJECTS_OUT_OF_BYTES:
                    assert (path, f"import {name}") in ALLOWED, f"{path}:{node.lineno} imports {name}"
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert isinstance(node.value, ast.Constant), path
                assert node.value.value is False, path


def test_no_text_is_run_as_code_or_as_a_command(package):
    for path, tree in package:
        for call, _, _ in calls(tree):
            name, owner = named(call.func)
            if not owner and isinstance(call.func, ast.Name) and name in CODE:
                assert (path, name) in ALLOWED, f"{path}:{call.lineno} calls {name}()"
            if owner in ("os", "subprocess", "pty") and name in COMMANDS:
                pytest.fail(f"{path}:{call.lineno} calls {owner}.{name}()")
            for keyword in call.keywords:
                if keyword.arg == "shell":
                    assert isinstance(keyword.value, ast.Constant), f"{path}:{call.lineno}"
                    assert keyword.value.value is False, f"{path}:{call.lineno} runs a shell"


def test_yaml_makes_plain_values(package):
    for path, tree in package:
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "yaml":
                assert node.attr not in UNSAFE_YAML, f"{path}:{node.lineno} uses yaml.{node.attr}"
                if node.attr in YAML_LOADERS:
                    assert (path, f"yaml.{node.attr}") in ALLOWED, f"{path}:{node.lineno} uses yaml.{node.attr}"
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "yaml":
                assert {alias.name for alias in node.names}.isdisjoint(UNSAFE_YAML | YAML_LOADERS), path


def is_made_of_words(node: ast.expr) -> bool:
    """Whether text is put together of parts: by an f-string, ``+``, ``%``, ``format`` or ``join``."""
    if isinstance(node, ast.JoinedStr):
        return any(isinstance(part, ast.FormattedValue) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
        return any(
            is_made_of_words(side) or (isinstance(side, ast.Constant) and isinstance(side.value, str))
            for side in (node.left, node.right)
        )
    if isinstance(node, ast.IfExp):
        return is_made_of_words(node.body) or is_made_of_words(node.orelse)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr in ("format", "join", "replace") and isinstance(
            node.func.value, ast.Constant | ast.Name | ast.JoinedStr
        )
    return False


def is_constant(node: ast.expr) -> bool:
    if isinstance(node, ast.IfExp):
        return is_constant(node.body) and is_constant(node.orelse)
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def values_of(node: ast.expr, body: ast.AST) -> list[ast.expr]:
    """Return an argument, or, of a name, all that the function assigns to it."""
    if not isinstance(node, ast.Name):
        return [node]
    assigned = [
        found.value
        for found in ast.walk(body)
        if isinstance(found, ast.Assign) and any(isinstance(t, ast.Name) and t.id == node.id for t in found.targets)
    ]
    return assigned or [node]


def test_sql_is_made_of_constants_and_of_names_that_are_quoted(package):
    used = set()
    for path, tree in package:
        if not path.startswith(("registry/", "migrations/", "butler/", "cli/")):
            continue
        for call, function, body in calls(tree):
            name, owner = named(call.func)
            if not call.args or not isinstance(call.func, ast.Attribute):
                continue
            takes_text = name in SQL and (owner == "sa" or name in ("exec_driver_sql", "executescript"))
            if not takes_text and name not in RUNS_SQL:
                continue
            values = values_of(call.args[0], body)
            wrong = not all(map(is_constant, values)) if takes_text else any(map(is_made_of_words, values))
            if wrong:
                used.add((path, function))
                assert (path, function) in QUOTED, (
                    f"{path}:{call.lineno}: {function}() makes SQL for {name}() that is no constant: say why in QUOTED"
                )
    assert used == QUOTED.keys()


def test_elsewhere_no_sql_is_spoken(package):
    """A database is asked by the registry alone."""
    for path, tree in package:
        if path.startswith(("registry/", "migrations/", "testing/faults.py")):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                assert not any(alias.name.startswith(("sqlalchemy", "psycopg")) for alias in node.names), path
            if isinstance(node, ast.ImportFrom) and not node.level:
                assert not (node.module or "").startswith(("sqlalchemy", "psycopg", "sqlite3")), path
