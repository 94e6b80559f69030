"""Data IDs as LSST's command-line tasks took them: ``--id visit=1^2..4 detector=0..3``.

=============================  ==================================================================
``visit=1^2^3``                1, 2 and 3
``visit=1..5``                 1 to 5, both included
``visit=1..5:2``               1, 3 and 5
``visit=1^2 detector=0..1``    the product of both, the first key slowest
nothing                        everything: one empty data ID
=============================  ==================================================================

A comma is part of a value. Leading zeros are kept in single values and mean nothing in ranges.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping

from ..model.errors import DataIdError

__all__ = ["parse_id_arguments", "where_of"]

_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)(?::(-?\d+))?")


def parse_id_arguments(arguments: Iterable[str]) -> list[dict[str, int | str]]:
    """Return the data IDs that one ``--id`` option means.

    Parameters
    ----------
    arguments
        Its words, each ``key=value`` with values between ``^``.

    Returns
    -------
    list[dict[str, int | str]]
        Data IDs, whole numbers as int; ``[{}]``, which means everything, for no words.

    Raises
    ------
    DataIdError
        A word is not ``key=value``, a key comes twice, a range is empty or has step 0.

    Examples
    --------
    >>> parse_id_arguments(["visit=1^2", "detector=0..1"])
    [{'visit': 1, 'detector': 0}, {'visit': 1, 'detector': 1}, {'visit': 2, 'detector': 0}, {'visit': 2, 'detector': 1}]
    """
    values: dict[str, list[int | str]] = {}
    for argument in arguments:
        key, equals, text = argument.partition("=")
        if not equals or not key or not text:
            raise DataIdError(f"{argument!r} is no part of a data ID; write key=value, as in visit=1234.")
        if key in values:
            raise DataIdError(f"{key!r} comes twice in one data ID; write {key}=1^2 for several values.")
        values[key] = [value for part in text.split("^") for value in _values(key, part)]
    return [dict(zip(values, combination, strict=True)) for combination in itertools.product(*values.values())]


def _values(key: str, part: str) -> list[int | str]:
    found = _RANGE.fullmatch(part)
    if found is None:
        if not part:
            raise DataIdError(f"{key!r} has an empty value; write {key}=1^2, with a value on each side of '^'.")
        is_number = re.fullmatch(r"-?(0|[1-9]\d*)", part) is not None
        return [int(part) if is_number else part]
    first, last, step = int(found[1]), int(found[2]), int(found[3] or 1)
    if step <= 0:
        raise DataIdError(f"{key}={part}: the step of a range must be at least 1.")
    if last < first:
        raise DataIdError(f"{key}={part} is an empty range; write {key}={last}..{first} for {last} to {first}.")
    return list(range(first, last + 1, step))


def where_of(data_ids: Iterable[Mapping[str, int | str]]) -> str:
    """Return the query expression that selects data IDs; ``""`` where one of them is empty, which means everything.

    Examples
    --------
    >>> where_of(parse_id_arguments(["visit=1^2", "detector=0..3"]))
    '(visit IN (1, 2) AND detector IN (0, 1, 2, 3))'
    """
    data_ids = list(data_ids)
    if not data_ids or not all(data_ids):
        return ""
    by_keys: dict[tuple[str, ...], list[Mapping[str, int | str]]] = {}
    for data_id in data_ids:
        by_keys.setdefault(tuple(data_id), []).append(data_id)
    return " OR ".join(_where_of_product(keys, group) for keys, group in by_keys.items())


def _where_of_product(keys: tuple[str, ...], group: list[Mapping[str, int | str]]) -> str:
    values = {key: list(dict.fromkeys(data_id[key] for data_id in group)) for key in keys}
    full = set(itertools.product(*values.values()))
    if full == {tuple(data_id.values()) for data_id in group}:  # a product says it shorter than its members
        return "(" + " AND ".join(_condition(key, values[key]) for key in keys) + ")"
    members = [" AND ".join(_condition(key, [data_id[key]]) for key in keys) for data_id in group]
    return " OR ".join(f"({member})" for member in members)


def _condition(key: str, values: list[int | str]) -> str:
    literals = [str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'" for value in values]
    return f"{key} = {literals[0]}" if len(literals) == 1 else f"{key} IN ({', '.join(literals)})"
