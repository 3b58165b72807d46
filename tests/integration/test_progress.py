"""What a search says while it runs, and of the room that its store will need."""

from __future__ import annotations

import re
import shutil
import sys
import warnings
from pathlib import Path

import pytest
from search_estimators import CountingClassifier
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from weightsearch import (
    DiskSpaceWarning,
    NoWeightsWarning,
    Weights,
    WeightTrackingGridSearchCV,
    WeightTrackingHalvingGridSearchCV,
)
from weightsearch._records import Outcome
from weightsearch.search import _progress
from weightsearch.search._progress import Progress

X, y = load_iris(return_X_y=True)


def search(tmp_path, **options):
    return WeightTrackingGridSearchCV(
        LogisticRegression(max_iter=500),
        {"C": [0.1, 1.0, 10.0, 100.0]},
        cv=3,
        store=tmp_path / "search.h5",
        **options,
    )


def test_long_searches_say_how_long_it_takes(tmp_path, capsys, monkeypatch):
    """Every line counts fits and refits, names the best, and tells the time left."""
    monkeypatch.setattr(_progress, "_SECONDS", 0.0)
    fitted = search(tmp_path, verbose=1, capture="both").fit(X, y)
    shown = capsys.readouterr().out
    lines = re.findall(r"^(\d+)/(\d+) fits, (\d+)/(\d+) refits.* left$", shown, re.M)
    best = f"best {fitted.best_score_:.4g} (candidate {fitted.best_index_})"

    assert "To do: 12 fits and 4 refits\n" in shown
    assert len(lines) == 12 + 4
    assert lines[0] == ("1", "12", "0", "4")
    assert lines[-1] == ("12", "12", "4", "4")
    assert shown.splitlines()[-2].startswith(f"12/12 fits, 4/4 refits, {best}, ")
    assert re.fullmatch(
        rf"Done: 12 fits and 4 refits in .*, 4 candidates, {re.escape(best)}",
        shown.splitlines()[-1],
    )


def test_resumed_searches_say_what_is_left(tmp_path, capsys):
    """Stored fits and refits are not planned again, and count for the best."""
    search(tmp_path, capture="both").fit(X, y)
    larger = search(tmp_path, verbose=1, capture="both")
    larger.param_grid = {"C": [0.1, 1.0, 10.0, 100.0, 1e-6]}
    larger.fit(X, y)
    shown = capsys.readouterr().out

    assert "12 of 15 fits reused from " in shown
    assert "To do: 3 fits and 1 refit\n" in shown
    assert shown.splitlines()[-1].startswith("Done: 3 fits and 1 refit in ")
    assert f"best {larger.best_score_:.4g} (candidate {larger.best_index_})" in shown


def test_best_of_a_halving_search_is_of_its_last_iteration(tmp_path, capsys):
    """Earlier iterations see less data; their scores do not compete."""
    fitted = WeightTrackingHalvingGridSearchCV(
        LogisticRegression(max_iter=500),
        {"C": [0.001, 1.0, 100.0]},
        store=tmp_path / "search.h5",
        verbose=1,
        random_state=0,
    ).fit(X, y)

    assert capsys.readouterr().out.endswith(f"(candidate {fitted.best_index_})\n")


def test_best_is_that_of_the_metric_that_decides(tmp_path, capsys):
    """Of several metrics the one that the search refits by is shown."""
    scoring = ["accuracy", "neg_log_loss"]
    fitted = search(tmp_path, verbose=1, scoring=scoring, refit="neg_log_loss")
    fitted.fit(X, y)

    best = f"best {fitted.best_score_:.4g} (candidate {fitted.best_index_})\n"
    assert capsys.readouterr().out.endswith(best)


def test_short_searches_say_nothing_more(tmp_path, capsys):
    """What is over in seconds has no lines of ours, and silence is silence."""
    search(tmp_path, verbose=1).fit(X, y)
    assert " left" not in capsys.readouterr().out
    search(tmp_path).fit(X, y)
    assert capsys.readouterr().out == ""


def test_size_is_said_from_the_first_models_on(tmp_path, capsys):
    """The estimate is near what the weights take in the end."""
    fitted = search(tmp_path, verbose=1, capture="splits").fit(X, y)
    (said,) = re.findall(r"about ([\d.]+) (k?B|kB|bytes) in", capsys.readouterr().out)
    run = fitted.run_
    weights = sum(
        run.weights(n, split).to_dict().nbytes for n in range(4) for split in range(3)
    )
    estimate = float(said[0]) * {"bytes": 1, "kB": 1000}[said[1]]

    assert weights < estimate < 40 * weights


@pytest.mark.parametrize("capture", ["refit", "splits", "both"])
def test_full_disk_is_foreseen(tmp_path, monkeypatch, capture):
    """A search whose weights will not fit says so when it knows their size."""
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))

    with pytest.warns(DiskSpaceWarning, match=r"keep=10.*another disk"):
        search(tmp_path, capture=capture).fit(X, y)


def test_enough_room_is_no_news(tmp_path):
    """Without need there is no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", DiskSpaceWarning)
        search(tmp_path, capture="both", n_jobs=2).fit(X, y)


def test_no_weights_need_no_room(tmp_path):
    """An estimate is never made of nothing."""
    with pytest.warns(NoWeightsWarning):
        WeightTrackingGridSearchCV(
            CountingClassifier(), {"C": [1.0]}, store=tmp_path / "s.h5", refit=False
        ).fit(X, y)


def counted(fits, monkeypatch, capsys, **options):
    """The last line after fits, each at an instant (s) and of a duration (s)."""
    monkeypatch.setattr(_progress, "_SECONDS", 0.0)
    clock = iter([0.0, 0.0, *(instant for instant, _ in fits)])
    monkeypatch.setattr(_progress.time, "monotonic", lambda: next(clock))
    progress = Progress(
        Path("s.h5"), capture="refit", keep="all", refit=True, verbose=1, **options
    )
    progress.expect_fits(n_candidates=6, n_splits=2, n_reused=2)
    for _, seconds in fits:
        result = {"fit_time": seconds, "score_time": 0.0}
        progress.count("fits", Outcome(result, Weights({"w": X}), ()))
    return capsys.readouterr().out.splitlines()[-1]


def test_time_left_counts_refits_for_what_they_cost(capsys, monkeypatch):
    """A refit sees k / (k - 1) of the data that a fit sees."""
    line = counted([(100.0, 100.0)], monkeypatch, capsys)

    # 9 fits and 6 refits of twice a fit's time are left, of 100 s each.
    assert line == "1/10 fits, 0/6 refits, ~35 min 0 s left"


def test_start_of_workers_does_not_count_as_work(capsys, monkeypatch):
    """Two workers took 60 s to start; a fit takes 2 s, so that a unit takes 1 s."""
    fits = [(62.0, 2.0), (62.1, 2.0), (64.0, 2.0), (64.1, 2.0)]
    line = counted(fits, monkeypatch, capsys, n_jobs=2)

    assert line == "4/10 fits, 0/6 refits, ~18 s left"


def test_time_between_fits_counts_as_work(capsys, monkeypatch):
    """Fits of 1 s that arrive every 3 s, since results are sent slowly, need 3 s."""
    line = counted([(10.0, 1.0), (13.0, 1.0), (16.0, 1.0)], monkeypatch, capsys)

    assert line == "3/10 fits, 0/6 refits, ~57 s left"


def test_terminal_has_one_line_in_place(tmp_path, capsys, monkeypatch):
    """It is there before the first fit, narrower than the screen, and goes away."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(_progress, "_REDRAW_SECONDS", 0.0)
    search(tmp_path, verbose=1, capture="both").fit(X, y)
    shown = capsys.readouterr().out
    drawn = re.findall("\x1b\\[2K([^\n]*?)\r", shown)

    assert drawn[0] == "0/12 fits, 0/4 refits"
    assert drawn[-1].startswith("12/12 fits, 4/4 refits, best ")
    assert max(map(len, drawn)) < 80
    assert shown.endswith("\n")
    assert "left" not in re.sub("\x1b\\[2K[^\n]*?\r", "", shown)
