"""Whatever is certified and decertified in whatever order, the registry answers as a dictionary of intervals would."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skybutler.butler.butler import Butler
from skybutler.model.datasets import DatasetRef, DatasetType
from skybutler.model.errors import CalibrationLookupError, ConflictingDefinitionError
from skybutler.model.timespan import Timespan

RUNS = ["r1", "r2", "r3"]
DETECTORS = [0, 1]
LATEST = 8
"""Moments are whole numbers up to this one; before the first and after the last there is time without end."""

moments = st.integers(0, LATEST)
spans = st.tuples(moments | st.none(), moments | st.none())
steps = st.one_of(
    st.tuples(st.just("certify"), st.sampled_from(RUNS), st.sets(st.sampled_from(DETECTORS), min_size=1), spans),
    st.tuples(st.just("decertify"), st.none(), st.sets(st.sampled_from(DETECTORS)) | st.none(), spans),
)


class Model:
    """Which RUN's dataset is valid, by detector and unit of time: the units between moments, and those outside."""

    def __init__(self) -> None:
        self.valid: dict[int, dict[int, str]] = {detector: {} for detector in DETECTORS}

    @staticmethod
    def units(span: tuple[int | None, int | None]) -> range:
        begin, end = span
        return range(-1 if begin is None else begin, LATEST + 1 if end is None else end)

    def certify(self, run: str, detectors: set[int], span: tuple[int | None, int | None]) -> bool:
        units = self.units(span)
        if not units or any(unit in self.valid[d] for d in detectors for unit in units):
            return False
        for detector in detectors:
            self.valid[detector] |= dict.fromkeys(units, run)
        return True

    def decertify(self, detectors: set[int] | None, span: tuple[int | None, int | None]) -> None:
        for detector in DETECTORS if detectors is None else detectors:
            for unit in self.units(span):
                self.valid[detector].pop(unit, None)

    def found(self, detector: int, span: tuple[int | None, int | None]) -> set[str]:
        return {self.valid[detector][unit] for unit in self.units(span) if unit in self.valid[detector]}

    def spans(self) -> set[tuple[int, str, int]]:
        return {(detector, run, unit) for detector, units in self.valid.items() for unit, run in units.items()}


def timespan(span: tuple[int | None, int | None]) -> Timespan:
    return Timespan(*(None if moment is None else moment * 10 for moment in span))


@pytest.fixture(scope="module")
def certified(small_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Butler]:
    """A Butler with the same two biases in three RUNs; examples undo what they do in it."""
    root = Path(shutil.copytree(small_repository, tmp_path_factory.mktemp("random") / "repo"))
    with Butler(root) as butler:
        butler.register_dataset_type(DatasetType("flaw", ["instrument", "detector"], "Dict", True))
        for run in RUNS:
            for detector in DETECTORS:
                butler.put("flaw", {}, detector=detector, run=run)
        yield butler


class Undo(Exception):  # noqa: N818 - no error
    """Ends an example's transaction."""


@pytest.mark.sqlite
@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.lists(steps, max_size=12), spans)
def test_the_registry_agrees_with_a_dictionary_of_intervals(certified, given_steps, asked):
    refs = {(ref.run, ref.data_id["detector"]): ref for run in RUNS for ref in certified.query_datasets("flaw", run)}
    with pytest.raises(Undo), certified.transaction():  # noqa: PT012 - all of it is undone in the end
        check(certified, refs, given_steps, asked)
        raise Undo


def check(butler: Butler, refs: dict[tuple[str, int], DatasetRef], given_steps: list, asked: tuple) -> None:
    """Do the steps on both, and compare after each."""
    model = Model()
    butler.collections.register("calib", "CALIBRATION")
    for what, run, detectors, span in given_steps:
        if what == "decertify":
            model.decertify(detectors, span)
            data_ids = None if detectors is None else [{"detector": d} for d in sorted(detectors)]
            butler.collections.decertify("calib", "flaw", timespan(span), data_ids)
        else:
            chosen = [refs[run, detector] for detector in sorted(detectors)]
            if model.certify(run, detectors, span):
                butler.collections.certify("calib", chosen, timespan(span))
            else:
                with pytest.raises(ConflictingDefinitionError):
                    butler.collections.certify("calib", chosen, timespan(span))
        listed = set()
        for row in butler.query_datasets("flaw", "calib", find_first=False).to_arrow().to_pylist():
            ends = [row[f"timespan_{end}"] for end in ("begin", "end")]
            units = Model.units(tuple(None if end is None else end.value // 10 for end in ends))
            new = {(row["detector"], row["run"], unit) for unit in units}
            assert not listed & new
            listed |= new
        assert listed == model.spans()
    for detector in DETECTORS:
        expected = model.found(detector, asked)
        query = butler.query_datasets(
            "flaw", "calib", where="timespan OVERLAPS :t AND detector = :d", bind={"t": timespan(asked), "d": detector}
        )
        assert {ref.run for ref in query} == expected
        find = lambda d=detector: butler.find_dataset(  # noqa: E731
            "flaw", detector=d, collections="calib", timespan=timespan(asked)
        )
        if len(expected) > 1:
            with pytest.raises(CalibrationLookupError):
                find()
        else:
            ref = find()
            assert {ref.run} == expected if ref else not expected
