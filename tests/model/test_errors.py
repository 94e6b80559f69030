"""Every error is a SkyButlerError, a builtin too, drawn in the tree, and reached from the top."""

import builtins

import pytest

import skybutler
from skybutler.model import errors

CLASSES = [getattr(errors, name) for name in errors.__all__ if name != "closest"]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_each_error_is_documented_exported_and_a_builtin_that_callers_think_of(cls):
    assert issubclass(cls, errors.SkyButlerError)
    assert cls.__doc__
    assert f"── {cls.__name__} " in errors.__doc__ or cls is errors.SkyButlerError
    assert getattr(skybutler, cls.__name__) is cls
    assert cls.__name__ in skybutler.__all__
    if cls is not errors.SkyButlerError:
        builtin = [base for base in cls.__mro__ if base.__module__ == "builtins"]
        assert builtin[0] is not builtins.Exception


def test_the_tree_names_no_error_that_is_not_there():
    drawn = [line.split("── ")[1].split()[0] for line in errors.__doc__.splitlines() if "── " in line]
    assert sorted([*drawn, "SkyButlerError"]) == sorted(cls.__name__ for cls in CLASSES)
