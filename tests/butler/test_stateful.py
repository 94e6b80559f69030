"""Whatever is done in whatever order, a repository answers as a plain dictionary would."""

import shutil
import tempfile
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
from skybutler.model.errors import ConflictingDefinitionError, DatasetExistsError

RUNS = st.sampled_from(["a", "b", "user"])
DETECTORS = st.integers(0, 2)


class Repository(RuleBasedStateMachine):
    """Puts, removals, chains and nested transactions, beside a model: run -> detector -> value."""

    @initialize()
    def open(self):
        self.folder = tempfile.TemporaryDirectory()
        root = Path(shutil.copytree(self.template, Path(self.folder.name) / "repo"))
        self.database = self.backend.give_own_database(root)
        self.butler = Butler(root)
        self.model: dict[str, dict[int, int]] = {"user": {}}
        self.chain = ["user"]
        self.open_transactions: list[tuple] = []
        self.count = 0

    @rule(run=RUNS, detector=DETECTORS)
    def put(self, run, detector):
        self.count += 1
        if detector in self.model.get(run, {}):
            with pytest.raises(DatasetExistsError):
                self.butler.put("note", {"n": self.count}, visit=1, detector=detector, run=run)
        else:
            self.butler.put("note", {"n": self.count}, visit=1, detector=detector, run=run)
            self.model.setdefault(run, {})[detector] = self.count

    @rule(run=RUNS, detector=DETECTORS)
    def remove(self, run, detector):
        if run in self.model:
            ref = self.butler.find_dataset("note", visit=1, detector=detector, collections=run)
            assert (ref is not None) == (detector in self.model[run])
            if ref is not None:
                self.butler.remove_datasets([ref], purge=True)
                del self.model[run][detector]

    @rule(run=RUNS, unlink=st.booleans())
    def remove_run(self, run, unlink):
        if run not in self.model or run == "user":
            return
        if run in self.chain and not unlink:
            with pytest.raises(ConflictingDefinitionError):
                self.butler.remove_run(run)
            return
        self.butler.remove_run(run, unlink_from_chains=unlink, purge=True)
        del self.model[run]
        self.chain = [name for name in self.chain if name != run]

    @rule(run=RUNS, first=st.booleans())
    def chain_run(self, run, first):
        if run in self.model:
            others = [name for name in self.chain if name != run]
            self.chain = [run, *others] if first else [*others, run]
            edit = self.butler.collections.prepend_chain if first else self.butler.collections.extend_chain
            edit("defaults", run)

    @precondition(lambda self: len(self.open_transactions) < 3)
    @rule()
    def begin(self):
        transaction = self.butler.transaction()
        transaction.__enter__()
        state = {run: dict(held) for run, held in self.model.items()}, list(self.chain)
        self.open_transactions.append((transaction, state))

    @precondition(lambda self: self.open_transactions)
    @rule(fail=st.booleans())
    def end(self, fail):
        transaction, state = self.open_transactions.pop()
        if fail:
            error = ZeroDivisionError()
            assert not transaction.__exit__(ZeroDivisionError, error, None)
            self.model, self.chain = state
        else:
            transaction.__exit__(None, None, None)

    @invariant()
    def answers_as_the_model_does(self):
        assert set(self.butler.collections.list()) == {*self.model, "defaults"}
        assert list(self.butler.collections.info("defaults").children) == self.chain
        for detector in range(3):
            held = [self.model[run][detector] for run in self.chain if detector in self.model[run]]
            ref = self.butler.find_dataset("note", visit=1, detector=detector)
            assert (ref is not None) == bool(held)
            if ref is not None:
                assert self.butler.get(ref) == {"n": held[0]}

    @invariant()
    def keeps_only_files_of_datasets(self):
        if not self.open_transactions:
            assert len(list(self.butler.root.rglob("*.json"))) == sum(map(len, self.model.values()))

    def teardown(self):
        while self.open_transactions:
            self.end(fail=True)
        self.keeps_only_files_of_datasets()
        self.butler.close()
        if self.database is not None:
            self.backend.drop(self.database)
        self.folder.cleanup()


def test_a_repository_answers_as_a_plain_dictionary_would(backend, small_repository):
    Repository.backend, Repository.template = backend, small_repository  # a state machine takes no fixtures
    count = 15 if backend.is_sqlite else 5
    chosen = settings(
        max_examples=count, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(Repository, settings=chosen)
