"""What a search says while it runs, and of the room that its store will need."""

from __future__ import annotations

import re
import shutil
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
)
from weightsearch._records import Outcome
from weightsearch.search import _progress
from weightsearch.search._progress import Progress

X, y = load_iris(return_X_y=True)
SMALL = Outcome({}, Weights({"w": X}), ())


def search(tmp_path, **options):
    return WeightTrackingGridSearchCV(
        LogisticRegression(max_iter=500),
        {"C": [0.1, 1.0, 10.0, 100.0]},
        cv=3,
        store=tmp_path / "search.h5",
        **options,
    )


def test_long_searches_say_how_long_it_takes(tmp_path, capsys, monkeypatch):
    """Every line counts fits and refits, and tells the time left."""
    monkeypatch.setattr(_progress, "_SECONDS", 0.0)
    search(tmp_path, verbose=1, capture="both").fit(X, y)
    lines = re.findall(
        r"(\d+) of (\d+) fits and (\d+) of (\d+) refits done in .* left",
        capsys.readouterr().out,
    )

    assert len(lines) == 12 + 4
    assert lines[0] == ("1", "12", "0", "4")
    assert lines[-1] == ("12", "12", "4", "4")


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


def test_time_left_counts_refits_for_what_they_cost(capsys, monkeypatch):
    """A refit sees k / (k - 1) of the data that a fit sees."""
    monkeypatch.setattr(_progress, "_SECONDS", 0.0)
    clock = iter([0.0, *range(100, 10_000, 100)])
    monkeypatch.setattr(_progress.time, "monotonic", lambda: next(clock))
    progress = Progress(
        Path("search.h5"), capture="refit", keep="all", refit=True, verbose=1
    )
    progress.expect_fits(n_candidates=6, n_splits=2, n_reused=2)
    progress.count("fits", SMALL)
    first = capsys.readouterr().out.splitlines()[-1]

    # 9 fits and 6 refits of twice a fit's time are left, of 100 s each.
    assert first == (
        "1 of 10 fits and 0 of 6 refits done in 1 min 40 s, about 35 min 0 s left"
    )
