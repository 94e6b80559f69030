"""What the package consists of: every folder is installed, and every module has its place in docs/architecture.md."""

import fnmatch
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
INSTALLED = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
FOLDERS = [Path(*name.split(".")[1:]) for name in INSTALLED]
ROOMS = dict(
    re.findall(r"^\| `([\w/]+)/` \| (.*) \|$", (ROOT / "docs/architecture.md").read_text(encoding="utf-8"), re.M)
)


def modules(folder: Path) -> set[str]:
    return {path.stem for path in (ROOT / folder).glob("*.py") if not path.stem.startswith("__")}


def test_every_folder_with_modules_is_installed():
    above = {folder.parts[0] for folder in FOLDERS if folder.parts}
    found = {path.parent.relative_to(ROOT) for top in above for path in (ROOT / top).rglob("__init__.py")}
    assert found | {Path()} == set(FOLDERS)


@pytest.mark.parametrize("room", ROOMS)
def test_every_module_has_its_place_in_the_table_of_rooms(room):
    inside = [folder for folder in FOLDERS if folder.is_relative_to(room)]
    inside = [folder for folder in inside if folder == Path(room) or str(folder) not in ROOMS]
    named = {name.rpartition("/")[2] for name in re.findall(r"`([\w.*/]+[\w.*])`", ROOMS[room])}
    there = set().union(*map(modules, inside)) | {path.name for path in (ROOT / room).glob("*.*")}
    assert {name for name in named if not fnmatch.filter(there, name)} == set(), "gone"
    assert {name for name in modules(Path(room)) if not any(fnmatch.fnmatch(name, n) for n in named)} == set(), "new"


def test_every_floor_of_the_package_has_a_room():
    above = {folder.parts[0] for folder in FOLDERS if folder.parts} - {"migrations"}
    assert above <= set(ROOMS)
