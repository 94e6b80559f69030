"""Paths: readable, safe on any file system, and never shared by two datasets."""

import re
import uuid
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skybutler.storage.paths import dataset_path, escape, file_suffix

HOSTILE = [
    "../", "..", ".", "", "a/b", "/etc/passwd", "r 1", "r_1", "r/1", "\0", "ü", "é", "e\u0301", "\ud800", "x" * 500,
    "x" * 501, "ü" * 200, "%", "%20", " ", "con:", "a\nb", "~", "$HOME", ".hidden", "-", "+", "'", '"', "*", "\\",
    "1.0", "a" * 82 + "%-0123456789abcdef", "-5",
]  # fmt: skip
NAME = re.compile(r"(?:[A-Za-z0-9_+%-])(?:[A-Za-z0-9._+%-])*")


def ref(values: dict[str, object], *, run="run", name="raw", uid=None):
    dataset_type = SimpleNamespace(name=name, dimensions=SimpleNamespace(required=tuple(values)))
    return SimpleNamespace(dataset_type=dataset_type, data_id=values, run=run, id=uid or uuid.uuid4())


def test_a_path_reads_as_what_the_file_is():
    dataset = ref(
        {"instrument": "ARCSAT", "exposure": 20190503, "detector": 0},
        run="u/me/try1",
        uid=uuid.UUID("12345678-1234-5678-1234-56789abcdef0"),
    )
    assert dataset_path(dataset, ".fits") == "u/me/try1/raw/ARCSAT/201905/raw_ARCSAT_20190503_0-56789abcdef0.fits"
    assert dataset_path(ref({}, uid=dataset.id), ".json") == "run/raw/raw-56789abcdef0.json"


def test_hostile_values_give_distinct_safe_names():
    names = [escape(value) for value in HOSTILE]
    assert len(set(names)) == len(HOSTILE)
    for name in names:
        assert NAME.fullmatch(name), name
        assert len(name) <= 100


@given(st.text(), st.text())
def test_names_are_injective(one, other):
    assert (escape(one) == escape(other)) == (one == other)


@pytest.mark.parametrize("value", HOSTILE)
def test_no_value_leaves_its_folder_or_breaks_the_limits_of_a_file_system(value):
    path = dataset_path(ref({"a": value, "b": value, "c": value}, run=f"u/{value}/x", name="x" * 300), ".fits")
    assert not path.startswith("/")
    for part in path.split("/"):
        assert part not in ("", ".", "..")
        assert NAME.fullmatch(part)
        assert len(part) < 220


def test_equal_data_ids_of_two_datasets_never_share_a_file():
    values = {"physical_filter": "r 1"}
    assert dataset_path(ref(values), ".fits") != dataset_path(ref(values), ".fits")


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a.fits", ".fits"), ("a.b.fits.fz", ".fits.fz"), ("M13.2019.fits", ".fits"), ("a", ""), ("a.fits.gz", ".fits.gz"),
     (".hidden", ""), ("a.b c", ""), ("x." + "y" * 40, "")],
)  # fmt: skip
def test_the_suffix_tells_the_format(name, suffix):
    assert file_suffix(name) == suffix


def test_no_name_is_one_that_is_kept_for_something_else():
    names = ["CON", "con.txt", "nul", "Com1", "skybutler.yaml", "registry.sqlite3", "x.sqlite3-wal", "end.", "a.db"]
    for name in names:
        assert "%" in escape(name)
    assert len({escape(name) for name in [*names, *map(str.upper, names)]}) == 2 * len(names) - 1
    for name in ("content", "console.1", "skybutler.yaml.fits", "sqlite3", "w_2024.1", "adb"):
        assert escape(name) == name
