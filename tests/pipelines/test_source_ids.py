"""Ids of sources: unique, within 63 bits, and they say where a source came from."""

import numpy as np
import pytest

from skybutler.pipelines.source_ids import MAX_SOURCES, source_ids, unpack_source_id


@pytest.mark.parametrize("visit", [0, 1234, 2**33 - 1, 20190503091040, 20991231235959, 2025071300123, 2026112299999])
@pytest.mark.parametrize("detector", [0, 7, 511])
def test_ids_say_visit_detector_and_number(visit: int, detector: int) -> None:
    ids = source_ids(visit, detector, 3)
    assert ids.dtype == np.int64
    assert [unpack_source_id(int(one)) for one in ids] == [(visit, detector, n) for n in range(3)]
    assert (ids >= 0).all()


def test_the_last_number_fits() -> None:
    last = int(source_ids(20991231235959, 511, MAX_SOURCES)[-1])
    assert unpack_source_id(last) == (20991231235959, 511, MAX_SOURCES - 1)
    assert last < 2**63


@pytest.mark.parametrize(
    ("visit", "detector", "count"),
    [(-1, 0, 1), (2**33, 0, 1), (20191399000000, 0, 1), (1, 512, 1), (1, 0, MAX_SOURCES + 1)],
)
def test_numbers_that_do_not_fit_are_refused(visit: int, detector: int, count: int) -> None:
    with pytest.raises(ValueError, match="source id"):
        source_ids(visit, detector, count)
