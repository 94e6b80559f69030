"""A repository to be struck again and again, and what must hold after each time."""

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skybutler.butler.butler import Butler
from skybutler.butler.repository import remove_folder, temporary_folder
from skybutler.imaging import Image
from skybutler.model.datasets import DatasetRef, DatasetType, FileDataset, dataset_uuid
from skybutler.registry import database as database_module
from skybutler.storage.atomic import TEMPORARY_PREFIX
from skybutler.testing.faults import Fault, Outcome, run_to
from skybutler.testing.small_repository import fill_repository

DETECTORS = 6
KINDS = ("note", "stars", "picture")


class CaughtError(Exception):
    """What goes wrong within a transaction, and is caught."""


def content(kind: str, detector: int) -> object:
    """Return the object that is put as a dataset: all of it follows from its type and detector."""
    if kind == "note":
        return {"n": detector, "fill": "x" * 3000}
    if kind == "stars":
        return pd.DataFrame({"a": np.arange(500) + detector, "b": np.arange(500) / 3})
    return Image(np.arange(3000, dtype=np.float32).reshape(50, 60) + detector)


def is_content(kind: str, detector: int, obj: object) -> bool:
    """Whether an object is what was put."""
    wanted = content(kind, detector)
    if kind == "stars":
        return obj.equals(wanted)
    if kind == "picture":
        return np.array_equal(obj.array, wanted.array)
    return obj == wanted


class Work:
    """What a child process does: parts, each of which is done whole or not at all.

    Parameters
    ----------
    butler
        Of the child.
    run
        The RUN that is worked in, which nobody else has used.
    sources
        A folder with a file for each detector, to be ingested.
    """

    def __init__(self, butler: Butler, run: str, sources: Path):
        self.butler, self.run, self.sources = butler, run, sources

    def begin(self, name: str) -> list[Callable[[], object]]:
        """Put what a scenario begins with; return its parts."""
        scenario = SCENARIOS[name]
        if scenario.before:
            self.put_many(*(detector for _, detector in scenario.before))
        return scenario.parts(self)

    def ref(self, detector: int, kind: str = "note") -> DatasetRef:
        data_id = {"instrument": "SmallCam", "visit": 1, "detector": detector}
        return DatasetRef(self.butler.dataset_type(kind), data_id, self.run, dataset_uuid(kind, data_id, self.run))

    def put(self, detector: int, kind: str = "note", run: str | None = None) -> DatasetRef:
        return self.butler.put(kind, content(kind, detector), visit=1, detector=detector, run=run or self.run)

    def put_many(self, *detectors: int) -> None:
        self.butler.put_many([(self.ref(d), content("note", d)) for d in detectors])

    def ingest(self, transfer: str, *detectors: int) -> None:
        folder = self.butler.root / "given" / self.run if transfer == "in_place" else self.sources
        self.butler.ingest([FileDataset(folder / f"{d}.json", [self.ref(d)]) for d in detectors], transfer)

    def ingest_shared(self, *detectors: int) -> None:
        self.butler.ingest([FileDataset(self.sources / "0.json", [self.ref(d) for d in detectors])], "copy")

    def together(self, *actions: Callable[[], object]) -> None:
        with self.butler.transaction():
            for action in actions:
                action()

    def caught(self, *actions: Callable[[], object]) -> None:
        try:
            with self.butler.transaction():
                for action in actions:
                    action()
                raise CaughtError
        except CaughtError:
            pass

    def remove(self, *detectors: int, purge: bool = False) -> None:
        self.butler.remove_datasets([self.ref(d) for d in detectors], purge=purge)

    def restore(self, *detectors: int) -> None:
        self.butler.trash.restore([self.ref(d) for d in detectors])

    def exported(self, *detectors: int) -> Path:
        """Return an export of datasets that are not there any more."""
        self.put_many(*detectors)
        self.butler.export(self.sources / "export", [self.ref(d) for d in detectors])
        self.butler.remove_run(self.run, purge=True)
        return self.sources / "export"


State = set[tuple[str, int]]


class Scenario:
    """Some work, and the datasets that are there before it and after each of its parts."""

    def __init__(
        self, parts: Callable[[Work], list[Callable[[], object]]], *states: State, before: State = frozenset()
    ):
        self.parts = parts
        self.states = [set(before), *map(set, states)]
        self.before = sorted(before)


def notes(*detectors: int) -> State:
    return {("note", detector) for detector in detectors}


SCENARIOS = {
    "put": Scenario(lambda w: [lambda: w.put(0), lambda: w.put(1)], notes(0), notes(0, 1)),
    "put of a table and an image": Scenario(
        lambda w: [lambda: w.put(0, "stars"), lambda: w.put(0, "picture")],
        {("stars", 0)}, {("stars", 0), ("picture", 0)},
    ),
    "put_many": Scenario(lambda w: [lambda: w.put_many(0, 1, 2)], notes(0, 1, 2)),
    **{
        f"ingest by {transfer}": Scenario(
            lambda w, transfer=transfer: [lambda: w.ingest(transfer, 0, 1), lambda: w.ingest(transfer, 2)],
            notes(0, 1), notes(0, 1, 2),
        )
        for transfer in ("copy", "link", "move", "direct", "in_place", "auto")
    },
    "ingest of a file with several": Scenario(lambda w: [lambda: w.ingest_shared(0, 1)], notes(0, 1)),
    "transaction": Scenario(
        lambda w: [lambda: w.together(lambda: w.put(0), lambda: w.put_many(1, 2), lambda: w.ingest("move", 3))],
        notes(0, 1, 2, 3),
    ),
    "nested transactions": Scenario(
        lambda w: [
            lambda: w.together(
                lambda: w.put(0),
                lambda: w.caught(lambda: w.put(1), lambda: w.ingest("copy", 2), lambda: w.remove(0)),
                lambda: w.together(lambda: w.put(3)),
            )
        ],
        notes(0, 3),
    ),
    "remove": Scenario(
        lambda w: [lambda: w.remove(0), lambda: w.remove(1, 2)], notes(1, 2, 3), notes(3), before=notes(0, 1, 2, 3)
    ),
    "remove and put anew": Scenario(
        lambda w: [lambda: w.together(lambda: w.remove(0), lambda: w.put(0), lambda: w.put(4))],
        notes(0, 1, 4), before=notes(0, 1),
    ),
    "remove for good": Scenario(
        lambda w: [lambda: w.remove(0, purge=True), lambda: w.remove(1, 2, purge=True)],
        notes(1, 2, 3), notes(3), before=notes(0, 1, 2, 3),
    ),
    "remove a run": Scenario(lambda w: [lambda: w.butler.remove_run(w.run)], set(), before=notes(0, 1, 2)),
    "remove a run for good": Scenario(
        lambda w: [lambda: w.butler.remove_run(w.run, purge=True)], set(), before=notes(0, 1, 2)
    ),
    "remove and restore": Scenario(
        lambda w: [lambda: w.remove(0, 1), lambda: w.restore(0, 1)], notes(2), notes(0, 1, 2), before=notes(0, 1, 2)
    ),
    "remove and empty the trash": Scenario(
        lambda w: [lambda: w.remove(0, 1), lambda: w.butler.trash.empty()], notes(2), notes(2), before=notes(0, 1, 2)
    ),
    "import": Scenario(lambda w: [partial(w.butler.import_, w.exported(0, 1, 2), transfer="copy")], notes(0, 1, 2)),
}  # fmt: skip


ON_SERVERS = {
    "put_many",
    "ingest by move",
    "nested transactions",
    "remove and put anew",
    "remove a run for good",
    "import",
}
"""The scenarios that every run of the tests strikes on PostgreSQL, too."""


class Struck:
    """A repository that one fault after the other strikes.

    Parameters
    ----------
    root
        Its folder.
    folder
        Where files to ingest are made.
    """

    def __init__(self, root: Path, folder: Path):
        self.root, self.folder = root, folder
        self.count = 0
        self.orphans: set[str] = set()
        """Files that no dataset has, which earlier faults have left."""

    def strike(self, name: str, fault: Fault, *, warm: bool) -> tuple[Outcome, set[str]]:
        """Let a fault strike a scenario; check that the repository is sound; return the files that it has orphaned.

        With a warm process, which has done the same before, all steps are those of the work itself. Of a cold one most
        are those of modules that are loaded, statements that are compiled and connections that are opened.
        """
        self.count += 1
        run = f"run{self.count}"
        sources = self.give(name, run)
        before = [(f"before{run}", self.give(name, f"before{run}"))] if warm else []

        def work() -> tuple[Callable[[], object], ...]:
            butler = Butler(self.root)
            for other, files in before:
                for part in Work(butler, other, files).begin(name):
                    part()
            here = Work(butler, run, sources)
            parts = here.begin(name)

            def afterwards() -> None:
                """What was struck may go on: no lock is held, no transaction open."""
                assert not butler.registry.database.in_transaction
                here.put(DETECTORS - 1, run="after" + run)

            return (*parts, afterwards)

        outcome = run_to(fault, work)
        states = SCENARIOS[name].states
        with Butler(self.root) as butler:
            self.check(butler, name, run, states[outcome.done : outcome.done + 2])
            if not outcome.was_killed:
                assert butler.exists("note", visit=1, detector=DETECTORS - 1, collections="after" + run)
            else:
                butler.put("note", content("note", 0), visit=2, detector=0, run="after" + run)
        return outcome, self.left()

    def give(self, name: str, run: str) -> Path:
        """Make the files that a scenario ingests; return their folder."""
        sources = self.folder / run
        for place in (sources, self.root / "given" / run):
            place.mkdir(parents=True)
            for detector in range(DETECTORS):
                (place / f"{detector}.json").write_text(
                    json.dumps(content("note", 0 if "several" in name else detector))
                )
        return sources

    def check(self, butler: Butler, name: str, run: str, allowed: list[State]) -> None:
        """The RUN that a scenario works in holds what it may, all of it whole."""
        there: State = set()
        for kind in KINDS if run in butler.collections.list() else ():
            for ref in butler.query_datasets(kind, collections=run):
                detector = ref.data_id["detector"]
                there.add((kind, detector))
                wanted = 0 if "several" in name else detector
                assert is_content(kind, wanted, butler.get(ref)), f"{ref} is not what was put"
                for stored in butler.registry.datasets.files(ref.id):
                    butler.datastore.verify(stored)
        assert there in allowed, f"{there} is none of {allowed}"
        for detector in range(DETECTORS):
            if not (self.folder / run / f"{detector}.json").exists():
                assert "move" in name or name == "transaction"
                assert ("note", detector) in there, "a file that was to move is gone"

    def left(self) -> set[str]:
        """Return the files that have been orphaned since this was asked."""
        left = self._orphans() - self.orphans
        self.orphans |= left
        return left

    def _orphans(self) -> set[str]:
        """Return files below the root that no dataset has, without those that were given."""
        with Butler(self.root) as butler:
            known = {row[0] for row in butler.sql("SELECT path FROM stored_file")[1]}
            kept, going = (
                {
                    row[0]
                    for row in butler.sql(f"SELECT path FROM trash_file JOIN trash USING (dataset_id) WHERE {which}")[1]
                }
                for which in ("state = 0", "state = 1")
            )
            known |= kept
        found = set()
        for folder, _, files in os.walk(self.root):
            if not folder.startswith(str(self.root / "given")):
                found |= {Path(folder, file).relative_to(self.root).as_posix() for file in files}
        assert {path for path in known if not path.startswith("/") and not path.startswith("given")} <= found
        return {name for name in found - known - going if not name.startswith(("registry.sqlite3", "skybutler.yaml"))}

    @staticmethod
    def is_ours(name: str) -> bool:
        """Whether a file's name says that SkyButler wrote it."""
        last = name.rpartition("/")[2]
        return last.startswith((TEMPORARY_PREFIX, *KINDS))

    def check_whole(self) -> None:
        """All that the registry says holds together, and every file of a dataset is as it was written."""
        with Butler(self.root) as butler:
            if butler.registry.database.dialect_name == "sqlite":
                with butler.registry.database.read() as connection:
                    assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
                    assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
            found = butler.verify(checksums=True, older_than=timedelta(0))
            kinds = {finding.kind for finding in found.findings}
            assert kinds <= {"orphan", "temporary", "empty folder", "half-deleted"}, found
            butler.verify(repair=True, older_than=timedelta(0))
            again = butler.verify(checksums=True, older_than=timedelta(0))
            assert again.sound, again
            assert again.findings == []
        assert self._orphans() == set()


@pytest.fixture(scope="session")
def struck_template(backend, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("struck") / "repo"
    with Butler.create(root, registry=None if backend.is_sqlite else backend.new()) as made:
        fill_repository(made, detectors=DETECTORS)
        for kind, storage_class in zip(KINDS, ("Dict", "DataFrame", "Image"), strict=True):
            made.register_dataset_type(DatasetType(kind, ["visit", "detector"], storage_class))
    return root


@pytest.fixture
def struck(backend, struck_template: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Struck]:
    """A repository to be struck: in memory, as what a killed process has written outlives it there as on a disk."""
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT", 3.0)  # a lock that is left is found out sooner
    folder = temporary_folder()
    root = Path(shutil.copytree(struck_template, folder / "repo"))
    database = backend.give_own_database(root)
    yield Struck(root, folder / "sources")
    if database is not None:
        backend.drop(database)
    remove_folder(folder)


@pytest.fixture
def struck_at() -> type[Struck]:
    """What looks after a repository that is struck."""
    return Struck


@pytest.fixture
def scenarios() -> dict[str, Scenario]:
    """What is done to a repository, by a name."""
    return SCENARIOS


@pytest.fixture
def work() -> type[Work]:
    """Who does it."""
    return Work


class Chosen:
    """Steps chosen at random out of many, others each time but under CI; the test that fails says which one struck.

    Parameters
    ----------
    count
        How many, unless ``SKYBUTLER_FAULTS`` says so; ``SKYBUTLER_FAULTS_SEED`` has the same ones chosen again.
    """

    def __init__(self, count: int):
        self.count = int(os.environ.get("SKYBUTLER_FAULTS") or count)
        seed = os.environ.get("SKYBUTLER_FAULTS_SEED") or (
            "2026" if "CI" in os.environ else str(random.randrange(10**6))
        )
        print(f"SKYBUTLER_FAULTS_SEED={seed}")  # pytest shows it of a test that fails
        self.chance = random.Random(seed)

    def steps(self, steps: int, some: int) -> list[int]:
        """Choose some steps of so many; all, where there are not as many."""
        return sorted(self.chance.sample(range(1, steps + 1), min(some, steps)))


@pytest.fixture
def chosen(backend) -> Chosen:
    """The steps that a test strikes at."""
    return Chosen(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out most of the scenarios on servers, which take their time, unless ``SKYBUTLER_FAULTS`` is set."""
    if not os.environ.get("SKYBUTLER_FAULTS"):
        items[:] = [item for item in items if not is_left_out(getattr(item, "callspec", None))]


def is_left_out(callspec) -> bool:
    given = {} if callspec is None else callspec.params
    return "scenario" in given and given["scenario"] not in ON_SERVERS and given["backend"] != "sqlite"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "scenario" in metafunc.fixturenames:
        metafunc.parametrize("scenario", SCENARIOS)
