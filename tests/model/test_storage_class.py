"""Storage classes are found by name, by object, and know their components."""

import sys

import numpy as np
import pandas as pd
import pytest

from skybutler.model.collections import CollectionType
from skybutler.model.errors import CollectionTypeError, StorageClassError, closest
from skybutler.model.storage_class import (
    StorageClass,
    register_storage_class,
    storage_class,
    storage_class_for,
    storage_classes,
)


@pytest.mark.parametrize(
    ("obj", "name"),
    [
        ({}, "Dict"), ([], "List"), (5, "Integer"), ("text", "Text"), (pd.DataFrame(), "DataFrame"),
        (np.zeros(3), "NumpyRecords"),
    ],
)  # fmt: skip
def test_an_object_finds_the_class_that_keeps_it(obj, name):
    assert storage_class_for(obj).name == name


def test_an_object_that_none_keeps_is_refused():
    with pytest.raises(StorageClassError, match=r"no storage class keeps a builtins.complex"):
        storage_class_for(1j)


def test_a_component_is_of_a_class_of_its_own():
    exposure = storage_class("Exposure")
    assert exposure.components["wcs"] == "Wcs"
    assert storage_class("DataFrame").components["columns"] == "List"
    exposure.check_component("wcs")
    with pytest.raises(StorageClassError, match=r"no component 'wsc'\. Did you mean 'wcs'"):
        exposure.check_component("wsc")
    with pytest.raises(StorageClassError, match="It has: none"):
        storage_class("Text").check_component("a")


def test_every_component_names_a_class_that_exists():
    for each in storage_classes():
        for component in each.components:
            assert storage_class(each.components[component]).name


def test_an_object_of_another_type_is_refused_by_its_name():
    with pytest.raises(StorageClassError, match=r"storage class Dict takes builtins.dict, not builtins.list"):
        storage_class("Dict").check([])


def test_a_class_may_be_registered_again_but_not_otherwise():
    register_storage_class(storage_class("Dict"))
    with pytest.raises(
        StorageClassError, match=r"'Dict' is builtins.dict .*storage_class; .*test_storage_class.py .*list"
    ):
        register_storage_class(StorageClass("Dict", "builtins.list"))


def test_a_type_that_is_not_installed_is_named():
    with pytest.raises(StorageClassError, match=r"storage class Odd needs nowhere_at_all.Thing"):
        _ = StorageClass("Odd", "nowhere_at_all.Thing").type


def test_collection_types_go_by_name_in_any_case():
    assert CollectionType.from_name("Tagged") is CollectionType.TAGGED
    assert CollectionType.from_name(CollectionType.RUN) is CollectionType.RUN
    with pytest.raises(CollectionTypeError, match="there are RUN, TAGGED, CHAINED, CALIBRATION"):
        CollectionType.from_name("HEAP")


def test_the_nearest_name_is_suggested_only_where_one_is_near():
    assert closest("viist", ["visit", "tract"]) == " Did you mean 'visit'?"
    assert closest("zzz", ["visit", "tract"]) == ""


def test_the_vocabulary_imports_nothing_heavy():
    import subprocess

    code = (
        "import sys, skybutler.model.datasets, skybutler.model.records, skybutler.model.timespan;"
        "from skybutler.model.dimensions import default_universe; default_universe();"
        "print(*{'numpy', 'pandas', 'astropy', 'sqlalchemy', 'pyarrow', 'lsst', 'pydantic'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == ""
