"""What every test may ask for."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# A slow machine is no failure, and CI is to fail for what has changed only: it tries the same examples each time.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real frames: ``SKYBUTLER_TEST_DATA``, or ``../shared/data`` beside the project."""
    given = os.environ.get("SKYBUTLER_TEST_DATA")
    folder = Path(given) if given else Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is not a folder (set SKYBUTLER_TEST_DATA)")
    return folder
