"""Any sequence of events on one store, against a model of it in memory."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import h5py
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from run_samples import fit, header, params, results, same, weights

from weightsearch import WeightStore
from weightsearch._records import REFIT
from weightsearch.exceptions import (
    CorruptStoreError,
    StoreError,
)
from weightsearch.store import WriteSession

pytestmark = [
    pytest.mark.crash,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
]
MODELS = st.lists(st.integers(0, 12), min_size=1, max_size=6, unique=True)


class Store(RuleBasedStateMachine):
    """A store, and which models each of its runs must have.

    Model number n has weights and a key that follow from n alone.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "a.h5"
        self.n_runs = 0
        self.runs: dict[str, list[int]] = {}
        self.unfinished: dict[str, list[int]] = {}
        self.damaged: set[str] = set()

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    # -- what happens ---------------------------------------------------------

    @rule(models=MODELS)
    def search(self, models: list[int]) -> None:
        """A search that comes to its end."""
        uid = self._search(models, len(models))
        self.runs[uid] = models

    @rule(models=MODELS, n_done=st.integers(0, 5))
    def killed_search(self, models: list[int], n_done: int) -> None:
        """A search whose process dies after some fits."""
        n_done = min(n_done, len(models))
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                self._search(models, n_done, die=True)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        uid = header(self.n_runs).uid
        self.n_runs += 1
        if n_done:
            self.unfinished[uid] = models[:n_done]

    def _search(self, models: list[int], n_done: int, *, die: bool = False) -> str:
        head = header(self.n_runs)
        with WriteSession.open(self.path) as session:
            session.begin(head)
            session.set_params(0, params(len(models)))
            for place, number in enumerate(models[:n_done]):
                record = replace(fit(number), candidate=place)
                stored = session.lookup.find(record.key, need_weights=True)
                if stored is not None and self._is_right(stored, number):
                    session.reuse(place, REFIT, record.key, stored)
                else:
                    session.append(record)
            if die:
                os._exit(0)
            done = set(models)
            superseded = [u for u, old in self.unfinished.items() if done >= set(old)]
            session.commit(results(len(models)), supersede=superseded)
        for uid in superseded:
            del self.unfinished[uid]
        self.n_runs += 1
        return head.uid

    def _is_right(self, stored: object, number: int) -> bool:
        try:
            found = stored.weights()
        except CorruptStoreError:
            assert self.damaged
            return False
        assert same(found, weights(number))
        return True

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        """A run is deleted, whoever refers to it."""
        uid = data.draw(st.sampled_from(sorted(self.runs)))
        with WriteSession.open(self.path):
            pass
        with WeightStore(self.path) as store:
            (name,) = [run.name for run in store.runs.values() if run.uid == uid]
            store.delete(name)
        del self.runs[uid]

    @rule()
    def repack(self) -> None:
        """The file is written again; a damaged one may refuse that."""
        if self.path.exists():
            before = self.path.read_bytes()
            try:
                WeightStore.repack(self.path)
            except CorruptStoreError:
                assert self.damaged
                assert self.path.read_bytes() == before

    @precondition(lambda self: self.path.exists())
    @rule(data=st.data())
    def damage(self, data: st.DataObject) -> None:
        """A byte of a weight in the file is flipped."""
        with h5py.File(self.path, "r") as file:
            datasets: list[h5py.Dataset] = []

            def note(name: str, item: object) -> None:
                if "/weights/" in name and isinstance(item, h5py.Dataset):
                    datasets.append(item)

            file.visititems(note)
            if not datasets:
                return
            chosen = data.draw(st.sampled_from(range(len(datasets))))
            dataset = datasets[chosen]
            start, size = dataset.id.get_offset(), dataset.id.get_storage_size()
        place = start + data.draw(st.integers(0, size - 1))
        with self.path.open("r+b") as raw:
            raw.seek(place)
            byte = raw.read(1)[0]
            raw.seek(place)
            raw.write(bytes([byte ^ 1]))
        self.damaged |= {*self.runs, *self.unfinished}

    # -- what must hold -------------------------------------------------------

    @invariant()
    def all_is_there(self) -> None:
        """Every run has the models that it must have, bit for bit."""
        expected = self.runs | self.unfinished
        try:
            store = WeightStore(self.path)
        except StoreError:
            assert not self.path.exists()
            assert not expected
            return
        with store:
            found = {run.uid: run for run in store.runs.values()}
            assert set(found) >= set(expected)
            for uid in set(found) - set(expected):
                assert not found[uid].n_with_weights
            for uid, models in expected.items():
                run = found[uid]
                assert run.status == ("complete" if uid in self.runs else "interrupted")
                for place, number in enumerate(models):
                    try:
                        assert same(run.weights(place).to_dict(), weights(number))
                    except CorruptStoreError:
                        assert uid in self.damaged
            if not self.damaged:
                assert store.verify() == []


TestStore = Store.TestCase
TestStore.settings = settings(
    max_examples=25,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
