"""A fit during which an interrupt came is never taken for finished."""

from __future__ import annotations

import _thread
import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import joblib
import numpy as np
import pytest
from search_estimators import CountingClassifier, count_fits
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import scale

from weightsearch import WeightStore, WeightTrackingGridSearchCV

pytestmark = pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(),
    reason="Python delivers interrupts to the main thread alone",
)


GRID = {"C": [0.1, 1.0, 10.0]}
SIGNALS = {
    "signal": lambda: signal.raise_signal(signal.SIGINT),
    "interrupt_main": _thread.interrupt_main,
    "kill": lambda: os.kill(os.getpid(), signal.SIGINT),
}


class Swallowing(CountingClassifier):
    """Is interrupted in its fit number `pause`, and keeps what it has until then."""

    def __init__(self, log=None, C=1.0, pause=0, how="signal"):
        super().__init__(log, C=C, pause=pause)
        self.how = how

    def fit(self, X, y, sample_weight=None):
        now = count_fits(self.log) == self.pause
        pause, self.pause = self.pause, 0
        super().fit(X, y, sample_weight)
        self.pause = pause
        if now:
            try:
                SIGNALS[self.how]()
                time.sleep(0.01)
            except KeyboardInterrupt:
                pass
            self.coef_ = np.zeros_like(self.coef_)
        return self


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(autouse=True)
def same_handler():
    """The handler of SIGINT is the same after every test."""
    before = signal.getsignal(signal.SIGINT)
    yield
    assert signal.getsignal(signal.SIGINT) is before


def make(path, log, after, how="signal", **kwargs):
    return WeightTrackingGridSearchCV(
        Swallowing(str(log), pause=after, how=how), GRID, cv=3, store=path, **kwargs
    )


def equal_to_undisturbed(search, X, y):
    plain = GridSearchCV(CountingClassifier(), GRID, cv=3).fit(X, y)
    for name, column in plain.cv_results_.items():
        if "_test_score" in name:
            np.testing.assert_array_equal(search.cv_results_[name], column)
    np.testing.assert_array_equal(
        search.best_estimator_.coef_, plain.best_estimator_.coef_
    )
    for params, weights in search.weights_by_params_.items():
        by_hand = CountingClassifier().set_params(**params).fit(X, y)
        np.testing.assert_array_equal(weights["coef_"], by_hand.coef_)


@pytest.mark.parametrize("how", SIGNALS)
@pytest.mark.parametrize("after", [0, 4, 9, 10], ids=["first", "4", "best", "refit"])
def test_a_swallowed_interrupt_ends_the_search(iris, tmp_path, after, how):
    """A half-trained model of a split, of the best or of another is not stored."""
    path, log = tmp_path / "s.h5", tmp_path / "fits.log"
    with pytest.raises(KeyboardInterrupt) as caught:
        make(path, log, after, how).fit(*iris)
    assert count_fits(log) == after + 1
    notes = getattr(caught.value, "__notes__", [])
    assert [note.split(" safe")[0] for note in notes] == (
        [f"{after} fits are"] if after else []
    )
    log.write_text("x\n" * 100)
    search = make(path, log, after, how).fit(*iris)
    assert count_fits(log) == 100 + 12 - after
    equal_to_undisturbed(search, *iris)


@pytest.mark.parametrize("backend", ["loky", "threading"])
@pytest.mark.parametrize("after", [4, pytest.param(10, marks=pytest.mark.slow)])
def test_an_interrupt_in_a_worker(iris, tmp_path, backend, after):
    """A worker's interrupt ends the search as Ctrl-C does, whatever its estimator."""
    path, log = tmp_path / "s.h5", tmp_path / "fits.log"
    with (
        joblib.parallel_config(backend, n_jobs=2),
        pytest.raises(KeyboardInterrupt),
    ):
        make(path, log, after).fit(*iris)
    log.write_text("x\n" * 100)
    equal_to_undisturbed(make(path, log, after).fit(*iris), *iris)


def test_a_network_of_scikit_learn(tmp_path):
    """MLPClassifier, which returns when it is interrupted, is fitted again."""

    class Stopping(io.StringIO):
        def write(self, text):
            if text.startswith("Iteration 4,"):
                signal.raise_signal(signal.SIGINT)
            return len(text)

    X, y = load_iris(return_X_y=True)
    X, grid = scale(X), {"alpha": [1e-4, 1.0]}
    network = MLPClassifier((4,), max_iter=30, random_state=0)

    def search(**params):
        return WeightTrackingGridSearchCV(
            network.set_params(**params), grid, cv=2, store=tmp_path / "s.h5"
        ).fit(X, y)

    with contextlib.redirect_stdout(Stopping()), pytest.raises(KeyboardInterrupt):
        search(verbose=True)
    resumed = search(verbose=False)
    plain = GridSearchCV(network, grid, cv=2).fit(X, y)
    np.testing.assert_array_equal(
        resumed.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"]
    )
    assert resumed.best_estimator_.n_iter_ == plain.best_estimator_.n_iter_


# -- handlers --------------------------------------------------------------------------


@contextlib.contextmanager
def handler(chosen):
    before = signal.signal(signal.SIGINT, chosen)
    try:
        yield
        assert signal.getsignal(signal.SIGINT) is chosen
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_users_own_handler_is_called(iris, tmp_path):
    """A handler that only takes a note is called, and the search ends in order."""
    seen = []
    log = tmp_path / "fits.log"
    with (
        handler(lambda number, frame: seen.append(number)),
        pytest.raises(KeyboardInterrupt),
    ):
        make(tmp_path / "s.h5", log, 4).fit(*iris)
    assert set(seen) == {signal.SIGINT}
    assert count_fits(log) == 5


def test_an_ignored_interrupt_interrupts_nothing(iris, tmp_path):
    """Where SIGINT is ignored the search goes on to its end."""
    log = tmp_path / "fits.log"
    with handler(signal.SIG_IGN):
        make(tmp_path / "s.h5", log, 4).fit(*iris)
    assert count_fits(log) == 12


def test_a_search_outside_the_main_thread(iris, tmp_path):
    """A search in another thread works, and touches no handler."""
    log = tmp_path / "fits.log"
    search = make(tmp_path / "s.h5", log, 99)
    thread = threading.Thread(target=search.fit, args=iris)
    thread.start()
    thread.join()
    equal_to_undisturbed(search, *iris)


def test_a_handler_that_the_estimator_sets_stays(iris, tmp_path):
    """A handler that a fit has put in place is not taken away from it."""
    before = signal.getsignal(signal.SIGINT)

    def own(number, frame):
        raise AssertionError

    class Setting(CountingClassifier):
        def fit(self, X, y, sample_weight=None):
            signal.signal(signal.SIGINT, own)
            return super().fit(X, y, sample_weight)

    try:
        WeightTrackingGridSearchCV(Setting(), {"C": [1.0]}, cv=2).fit(*iris)
        assert signal.getsignal(signal.SIGINT) is own
    finally:
        signal.signal(signal.SIGINT, before)


# -- Ctrl-C in a terminal --------------------------------------------------------------

SCRIPT = """
import sys
import time
from pathlib import Path
import joblib
import numpy as np
from search_estimators import CountingClassifier, count_fits
from sklearn.datasets import load_iris
from weightsearch import WeightTrackingGridSearchCV

path, log, gate, backend, n_jobs = sys.argv[1:]

class Waiting(CountingClassifier):
    def fit(self, X, y, sample_weight=None):
        gate, self.gate = self.gate, None
        super().fit(X, y, sample_weight)
        self.gate = gate
        if count_fits(self.log) > 5 and not Path(gate).exists():
            try:
                Path(gate).with_suffix(".waits").touch()
                while not Path(gate).exists():
                    time.sleep(0.01)
            except KeyboardInterrupt:
                pass
            self.coef_ = np.zeros_like(self.coef_)
        return self

with joblib.parallel_config(backend, n_jobs=int(n_jobs)):
    search = WeightTrackingGridSearchCV(
        Waiting(log, gate=gate), {"C": [0.1, 1.0, 10.0]}, cv=3, store=path
    ).fit(*load_iris(return_X_y=True))
print(search.cv_results_["mean_test_score"].tolist())
"""


@pytest.mark.crash
@pytest.mark.skipif(not hasattr(os, "killpg"), reason="has no process groups")
@pytest.mark.parametrize(
    ("backend", "n_jobs"), [("loky", 1), ("loky", 2), ("threading", 2)]
)
def test_ctrl_c_reaches_all_processes(iris, tmp_path, backend, n_jobs):
    """SIGINT to the whole group, as from a terminal, stores nothing half-trained."""
    script, log, gate = (tmp_path / name for name in ("s.py", "fits.log", "gate"))
    script.write_text(SCRIPT)
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{here}:{here.parent.parent}"}
    command = [sys.executable, script, tmp_path / "s.h5", log, gate, backend]
    options = {"env": environment, "text": True, "stderr": subprocess.PIPE}
    with subprocess.Popen(
        [*command, str(n_jobs)], start_new_session=True, **options
    ) as process:
        while not gate.with_suffix(".waits").exists():
            assert process.poll() is None
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        if backend == "threading":
            # Threads are not interrupted: this fit ends, and its result is not used.
            time.sleep(0.5)
            gate.touch()
        _, error = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGINT, error
    assert "KeyboardInterrupt" in error
    with WeightStore(tmp_path / "s.h5") as store:
        assert len(store.run()._source.fits()) <= 5
    gate.touch()
    done = subprocess.run(
        [*command, "1"], stdout=subprocess.PIPE, check=True, **options
    )
    plain = GridSearchCV(CountingClassifier(), GRID, cv=3).fit(*iris)
    assert done.stdout.strip() == str(plain.cv_results_["mean_test_score"].tolist())
