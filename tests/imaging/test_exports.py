"""The package's table of names: complete, lazy, and understood in camelCase."""

import subprocess
import sys

import pytest

import skybutler.imaging as imaging


@pytest.mark.parametrize("name", dir(imaging))
def test_every_public_name_is_there_and_documented(name):
    thing = getattr(imaging, name)
    assert isinstance(thing, (int, imaging.ImageOrigin)) or thing.__doc__


def test_a_star_import_gives_every_public_name():
    assert sorted(imaging.__all__) == dir(imaging)
    given = {}
    exec("from skybutler.imaging import *", given)
    assert given["make_statistics"] is imaging.make_statistics


def test_functions_answer_to_camel_case():
    assert imaging.makeStatistics is imaging.make_statistics
    with pytest.raises(AttributeError, match=r"Did you mean 'MaskedImage'"):
        _ = imaging.MaskedImages


def test_the_package_loads_nothing_until_asked():
    code = "import sys, skybutler.imaging as i; assert 'numpy' not in sys.modules; i.Image; "
    subprocess.run([sys.executable, "-c", code + "assert 'astropy' not in sys.modules"], check=True)
