"""The library of source extraction, which an extra installs."""

from __future__ import annotations

from typing import Any

from ..model.errors import TaskError


def import_sep() -> Any:
    """Return the module ``sep``.

    Raises
    ------
    TaskError
        It is not installed.
    """
    try:
        import sep
    except ImportError as error:
        raise TaskError(
            "finding and measuring sources needs the package sep: pip install 'skybutler[sources]'"
        ) from error
    return sep
