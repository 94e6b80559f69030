"""Whatever is done in whatever order, also by processes that are killed at it, a repository answers as a dictionary."""

import copy
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from skybutler.butler.butler import Butler
from skybutler.model.collections import CollectionType
from skybutler.model.datasets import DatasetRef, FileDataset
from skybutler.model.errors import ConflictingDefinitionError, DatasetExistsError
from skybutler.testing.faults import Kill, run_to
from skybutler.testing.small_repository import INSTRUMENT

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),  # Python 3.12 and later
]

EXAMPLES = int(os.environ.get("SKYBUTLER_EXAMPLES") or 0)
"""How many lives of a repository are tried; few where it is not set."""

RUNS = st.sampled_from(["a", "b", "user"])
DETECTORS = st.integers(0, 2)
SEVERAL = st.lists(DETECTORS, min_size=1, max_size=3, unique=True)
PICKS = "picks"
NOTHING_BEFORE = timedelta(0)


@dataclass
class Held:
    """A dataset."""

    id: uuid.UUID
    value: int
    is_inside: bool = True
    """Whether its file lies in the repository."""
    mark: int | None = None
    """What is noted of it."""


@dataclass
class Removed:
    """A dataset in the trash."""

    run: str
    detector: int
    held: Held
    was_picked: bool


@dataclass
class Model:
    """What a repository should hold."""

    runs: dict[str, dict[int, Held]] = field(default_factory=lambda: {"user": {}})
    chain: list[str] = field(default_factory=lambda: ["user"])
    picks: dict[int, Held] = field(default_factory=dict)
    trash: list[Removed] = field(default_factory=list)

    def add(self, run: str, detector: int, held: Held) -> None:
        self.runs.setdefault(run, {})[detector] = held

    def remove(self, run: str, detectors: Iterable[int], purge: bool) -> None:
        for detector in list(detectors):
            held = self.runs[run].pop(detector)
            was_picked = self.picks.get(detector) is held
            if was_picked:
                del self.picks[detector]
            if not purge:
                self.trash.append(Removed(run, detector, held, was_picked))

    def remove_run(self, run: str, purge: bool) -> None:
        self.remove(run, self.runs[run], purge)
        del self.runs[run]
        self.chain = [name for name in self.chain if name != run]

    def restore(self, removed: Removed) -> None:
        self.trash.remove(removed)
        self.add(removed.run, removed.detector, removed.held)
        if removed.was_picked:
            self.picks.setdefault(removed.detector, removed.held)

    def files_inside(self) -> int:
        held = [one for run in self.runs.values() for one in run.values()]
        return sum(one.is_inside for one in [*held, *(removed.held for removed in self.trash)])


class Repository(RuleBasedStateMachine):
    """A repository, another one that takes from it, and a model of each."""

    @initialize()
    def open(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(shutil.copytree(self.template, Path(self.folder.name) / "repo"))
        self.database = self.backend.give_own_database(self.root)
        self.butler = Butler(self.root)
        self.butler.collections.register(PICKS, CollectionType.TAGGED)
        self.note = self.butler.dataset_type("note")
        self.model = Model()
        self.other = Butler(shutil.copytree(self.taker, Path(self.folder.name) / "other"))
        self.taken: dict[str, dict[int, Held]] = {}
        self.open_transactions: list[tuple] = []
        self.has_orphans = False
        self.count = 0

    # What is done

    def ref(self, run: str, detector: int, id_: uuid.UUID | None = None) -> DatasetRef:
        return DatasetRef(self.note, {"instrument": INSTRUMENT, "visit": 1, "detector": detector}, run, id_)

    def new(self, run: str, detector: int, **more) -> tuple[DatasetRef, Held]:
        self.count += 1
        ref = self.ref(run, detector)
        return ref, Held(ref.id, self.count, **more)

    def is_taken(self, run: str, detectors: Iterable[int]) -> bool:
        return any(detector in self.model.runs.get(run, {}) for detector in detectors)

    def there(self, run: str, detector: int) -> Held | None:
        return self.model.runs.get(run, {}).get(detector)

    @rule(run=RUNS, detector=DETECTORS)
    def put(self, run, detector):
        ref, held = self.new(run, detector)
        if self.is_taken(run, [detector]):
            with pytest.raises(DatasetExistsError):
                self.butler.put(ref, {"n": held.value})
        else:
            self.butler.put(ref, {"n": held.value})
            self.model.add(run, detector, held)

    @rule(run=RUNS, detectors=SEVERAL)
    def put_many(self, run, detectors):
        made = [self.new(run, detector) for detector in detectors]
        items = [(ref, {"n": held.value}) for ref, held in made]
        if self.is_taken(run, detectors):
            with pytest.raises(DatasetExistsError):
                self.butler.put_many(items)
        else:
            self.butler.put_many(items)
            for detector, (_, held) in zip(detectors, made, strict=True):
                self.model.add(run, detector, held)

    @rule(run=RUNS, detector=DETECTORS, transfer=st.sampled_from(["copy", "link", "move", "in_place", "direct"]))
    def ingest(self, run, detector, transfer):
        ref, held = self.new(run, detector, is_inside=transfer != "direct")
        given = (self.root if transfer == "in_place" else Path(self.folder.name)) / "given" / f"{held.value}.json"
        given.parent.mkdir(exist_ok=True)
        given.write_text(json.dumps({"n": held.value}))
        file = FileDataset(given, [ref])
        if self.is_taken(run, [detector]):
            with pytest.raises(DatasetExistsError):
                self.butler.ingest([file], transfer)
            given.unlink()  # it is still there
        else:
            self.butler.ingest([file], transfer)
            self.model.add(run, detector, held)
            if transfer == "in_place" and self.open_transactions:
                self.open_transactions[-1][2].append(given)

    @rule(run=RUNS, detector=DETECTORS, purge=st.booleans())
    def remove(self, run, detector, purge):
        if (held := self.there(run, detector)) is not None:
            assert self.butler.remove_datasets([self.ref(run, detector, held.id)], purge=purge) == 1
            self.model.remove(run, [detector], purge)

    @rule(run=RUNS, unlink=st.booleans(), purge=st.booleans())
    def remove_run(self, run, unlink, purge):
        if run not in self.model.runs or run == "user":
            return
        if run in self.model.chain and not unlink:
            with pytest.raises(ConflictingDefinitionError):
                self.butler.remove_run(run)
            return
        self.butler.remove_run(run, unlink_from_chains=unlink, purge=purge)
        self.model.remove_run(run, purge)

    @precondition(lambda self: self.model.trash)
    @rule(data=st.data())
    def restore(self, data):
        removed = self.model.trash[data.draw(st.integers(0, len(self.model.trash) - 1))]
        if self.is_taken(removed.run, [removed.detector]):
            with pytest.raises(ConflictingDefinitionError):
                self.butler.trash.restore(removed.held.id)
        else:
            self.butler.trash.restore(removed.held.id)
            self.model.restore(removed)

    @precondition(lambda self: not self.open_transactions)
    @rule()
    def empty_trash(self):
        assert self.butler.trash.empty() == len(self.model.trash)
        self.model.trash = []

    @rule(run=RUNS, detector=DETECTORS)
    def pick(self, run, detector):
        if (held := self.there(run, detector)) is None:
            return
        ref = self.ref(run, detector, held.id)
        if self.model.picks.setdefault(detector, held) is held:
            self.butler.collections.tag(PICKS, [ref])
        else:
            with pytest.raises(ConflictingDefinitionError):
                self.butler.collections.tag(PICKS, [ref])

    @rule(run=RUNS, detector=DETECTORS)
    def unpick(self, run, detector):
        if (held := self.there(run, detector)) is not None:
            self.butler.collections.untag(PICKS, [self.ref(run, detector, held.id)])
            if self.model.picks.get(detector) is held:
                del self.model.picks[detector]

    @rule(run=RUNS, detector=DETECTORS, mark=st.none() | st.integers(0, 9))
    def annotate(self, run, detector, mark):
        if (held := self.there(run, detector)) is not None:
            self.butler.annotate(self.ref(run, detector, held.id), mark=mark)
            held.mark = mark

    @rule(run=RUNS, how=st.sampled_from(["prepend", "extend", "remove", "only"]))
    def edit_chain(self, run, how):
        if run not in self.model.runs:
            return
        collections, others = self.butler.collections, [name for name in self.model.chain if name != run]
        if how == "remove":
            if run in self.model.chain:
                collections.remove_from_chain("defaults", run)
        elif how == "only":
            collections.redefine_chain("defaults", [run])
            others = [run]
        else:
            {"prepend": collections.prepend_chain, "extend": collections.extend_chain}[how]("defaults", run)
            others = [run, *others] if how == "prepend" else [*others, run]
        self.model.chain = others

    @precondition(lambda self: len(self.open_transactions) < 3)
    @rule()
    def begin(self):
        transaction = self.butler.transaction()
        transaction.__enter__()
        self.open_transactions.append((transaction, copy.deepcopy(self.model), []))

    @precondition(lambda self: self.open_transactions)
    @rule(fail=st.booleans())
    def end(self, fail):
        transaction, before, given = self.open_transactions.pop()
        if fail:
            error = ZeroDivisionError()
            assert not transaction.__exit__(ZeroDivisionError, error, None)
            self.model = before
            for path in given:  # what was ingested where it lay stays there
                path.unlink(missing_ok=True)
        else:
            transaction.__exit__(None, None, None)
            if self.open_transactions:
                self.open_transactions[-1][2].extend(given)

    @precondition(lambda self: not self.open_transactions)
    @rule()
    def reopen(self):
        self.butler.close()
        self.butler = Butler(self.root)

    @precondition(lambda self: not self.open_transactions)
    @rule(run=RUNS, how=st.sampled_from(["transfer", "export", "bundle"]))
    def take_over(self, run, how):
        """The other repository takes all of a RUN: what is new to it, or, where a place is another's, nothing."""
        held = self.model.runs.get(run, {})
        refs = [self.ref(run, detector, one.id) for detector, one in held.items()]
        theirs = self.taken.get(run, {})
        is_wrong = any(detector in theirs and theirs[detector].id != one.id for detector, one in held.items())
        if not refs:
            return

        def take() -> None:
            place = Path(self.folder.name) / "out"
            if how == "transfer":
                self.other.transfer_from(self.butler, refs, transfer="copy", skip_existing=True)
            elif how == "export":
                self.other.import_(self.butler.export(place, refs), transfer="copy", skip_existing=True)
            else:
                bundle = self.butler.retrieve_zip(refs, f"{place}.zip", overwrite=True)
                self.other.ingest_zip(bundle, "copy", skip_existing=True)

        if is_wrong:
            with pytest.raises(ConflictingDefinitionError):
                take()
        else:
            take()
            self.taken[run] = copy.deepcopy(held) | theirs
        shutil.rmtree(Path(self.folder.name) / "out", ignore_errors=True)
        found = {run: {} for run in self.taken}
        for ref in (
            self.other.query_datasets("note", collections=list(self.taken), find_first=False) if self.taken else ()
        ):
            found[ref.run][ref.data_id["detector"]] = ref.id, self.other.get(ref)["n"], self.other.annotations(ref)
        assert found == {
            run: {d: (one.id, one.value, {} if one.mark is None else {"mark": one.mark}) for d, one in taken.items()}
            for run, taken in self.taken.items()
        }

    # What a process does that is killed at it

    @precondition(lambda self: not self.open_transactions)
    @rule(run=RUNS, detectors=SEVERAL, step=st.integers(1, 90), data=st.data())
    def crash(self, run, detectors, step, data):
        after = copy.deepcopy(self.model)
        kinds = ["put", "transaction"]
        if after.trash and not self.is_taken((last := after.trash[-1]).run, [last.detector]):
            kinds.append("restore")
        there = [detector for detector in detectors if self.there(run, detector) is not None]
        if there:
            kinds += ["remove", "purge", "pick and annotate"]
        if run in after.runs and run != "user":
            kinds.append("remove a run")
        work = self.crashing(data.draw(st.sampled_from(kinds)), after, run, detectors, there)
        self.butler.close()

        def in_child() -> tuple[Callable[[], object], ...]:
            butler = Butler(self.root)
            return lambda: work(butler), lambda: None

        outcome = run_to(Kill(step), in_child)
        assert outcome.error is None, outcome.error
        self.butler = Butler(self.root)
        self.has_orphans |= outcome.was_killed
        if outcome.done or self.found() == self.expected(after):
            self.model = after

    def crashing(self, kind, after: Model, run, detectors, there) -> Callable[[Butler], object]:
        """Return what a process begins to do, and have a model say what comes of it."""
        if kind in ("put", "transaction"):
            free = [detector for detector in detectors if detector not in there]
            made = [self.new(run, detector) for detector in free]
            for detector, (_, held) in zip(free, made, strict=True):
                after.add(run, detector, held)
            items = [(ref, {"n": held.value}) for ref, held in made]
            if kind == "put":
                return lambda butler: butler.put_many(items)

            gone = [self.ref(run, detector, after.runs[run][detector].id) for detector in there]
            after.remove(run, there, purge=True)

            def work(butler: Butler) -> None:
                with butler.transaction():
                    for item in items:
                        butler.put(*item)
                    butler.remove_datasets(gone, purge=True)

            return work
        if kind == "restore":
            removed = after.trash[-1]
            after.restore(removed)
            return lambda butler: butler.trash.restore(removed.held.id)
        refs = [self.ref(run, detector, after.runs[run][detector].id) for detector in there]
        if kind == "remove a run":
            after.remove_run(run, purge=False)
            return lambda butler: butler.remove_run(run, unlink_from_chains=True)
        if kind == "pick and annotate":
            first = after.runs[run][there[0]]
            first.mark = 77
            after.picks[there[0]] = first

            def note(butler: Butler) -> None:
                with butler.transaction():
                    if there[0] in self.model.picks:
                        old = self.model.picks[there[0]]
                        owner = next(name for name, held in self.model.runs.items() if held.get(there[0]) is old)
                        butler.collections.untag(PICKS, [self.ref(owner, there[0], old.id)])
                    butler.collections.tag(PICKS, refs[:1])
                    butler.annotate(refs[0], mark=77)

            return note
        after.remove(run, there, purge=kind == "purge")
        return lambda butler: butler.remove_datasets(refs, purge=kind == "purge")

    @precondition(lambda self: not self.open_transactions)
    @rule()
    def fsck(self):
        found = self.butler.verify(repair=True, checksums=True, older_than=NOTHING_BEFORE)
        assert found.sound, found
        kinds = {finding.kind for finding in found.findings}
        assert kinds <= ({"orphan", "temporary", "empty folder", "half-deleted"} if self.has_orphans else set()), found
        self.has_orphans = False

    # What always holds

    def expected(self, model: Model) -> dict:
        """Return what a repository should answer."""
        return {
            "collections": {*model.runs, "defaults", PICKS},
            "chain": model.chain,
            "runs": {
                run: {d: (held.id, held.value, held.mark) for d, held in datasets.items()}
                for run, datasets in model.runs.items()
            },
            "picks": {detector: held.id for detector, held in model.picks.items()},
            "trash": {(removed.held.id, removed.run) for removed in model.trash},
            "first": {
                d: next((model.runs[run][d].id for run in model.chain if d in model.runs[run]), None) for d in range(3)
            },
        }

    def found(self) -> dict:
        """Return what a repository answers."""
        butler = self.butler
        runs = {name: {} for name in butler.collections.list() if name not in ("defaults", PICKS)}
        for ref in butler.query_datasets("note", collections=list(runs), find_first=False):
            mark = butler.annotations(ref).get("mark")
            runs[ref.run][ref.data_id["detector"]] = ref.id, butler.get(ref)["n"], mark
        firsts = {d: butler.find_dataset("note", visit=1, detector=d) for d in range(3)}
        return {
            "collections": set(butler.collections.list()),
            "chain": list(butler.collections.info("defaults").children),
            "runs": runs,
            "picks": {ref.data_id["detector"]: ref.id for ref in butler.query_datasets("note", collections=PICKS)},
            "trash": {(removed.id, removed.run) for removed in butler.trash.list() if not removed.is_going},
            "first": {d: None if ref is None else ref.id for d, ref in firsts.items()},
        }

    @invariant()
    def answers_as_the_model_does(self):
        assert self.found() == self.expected(self.model)

    @invariant()
    def keeps_only_files_of_datasets(self):
        if not self.open_transactions:
            there = len(list(self.root.rglob("*.json")))
            wanted = self.model.files_inside()
            assert there >= wanted if self.has_orphans else there == wanted

    def teardown(self):
        while self.open_transactions:
            self.end(fail=True)
        self.fsck()
        self.keeps_only_files_of_datasets()
        self.answers_as_the_model_does()
        self.butler.close()
        self.other.close()
        if self.database is not None:
            self.backend.drop(self.database)
        self.folder.cleanup()


@pytest.fixture(scope="module")
def taker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new repository, in a folder, that takes from others."""
    root = tmp_path_factory.mktemp("taker") / "repo"
    Butler.create(root).close()
    return root


def test_a_repository_answers_as_a_plain_dictionary_would(backend, small_repository, taker):
    Repository.backend, Repository.template, Repository.taker = backend, small_repository, taker  # it has no fixtures
    count = EXAMPLES or (15 if backend.is_sqlite else 3)
    chosen = settings(
        max_examples=count, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(Repository, settings=chosen)
