"""One part of the table of searches, in a process of its own.

    python driver.py ROLE FOLDER ROW...

``plain`` runs scikit-learn's search, and fits every candidate by hand; ``first`` runs
ours on a new store; ``again`` runs it on the same store and asks it for every
candidate; ``rebuild`` has seen none of this and loads every candidate from the file.
What each says goes to FOLDER/ROLE/ROW.pickle.
"""

from __future__ import annotations

import pickle
import random
import shutil
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import sklearn
from answers import answers
from fit_counter import counting
from rows import Row
from searches import TABLE
from sklearn.base import clone, is_classifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    ParameterGrid,
    ParameterSampler,
    RandomizedSearchCV,
    check_cv,
)
from sklearn.utils.metaestimators import _safe_split

import weightsearch
from weightsearch import WeightStore
from weightsearch.exceptions import RebuildError, WeightsNotFoundError

PLAIN = {
    "grid": GridSearchCV,
    "random": RandomizedSearchCV,
    "halving_grid": HalvingGridSearchCV,
    "halving_random": HalvingRandomSearchCV,
}
OURS = {
    "grid": weightsearch.WeightTrackingGridSearchCV,
    "random": weightsearch.WeightTrackingRandomizedSearchCV,
    "halving_grid": weightsearch.WeightTrackingHalvingGridSearchCV,
    "halving_random": weightsearch.WeightTrackingHalvingRandomSearchCV,
}

REFUSED = (RebuildError, WeightsNotFoundError)


def main(role: str, folder: Path, names: list[str]) -> None:
    (folder / role).mkdir(parents=True, exist_ok=True)
    for name in names:
        row = TABLE[name]
        start = time.perf_counter()
        try:
            if row.script:
                run_as_script(row.script)
            with sklearn.config_context(**row.config):
                said = ROLES[role](row, folder)
        except Exception:
            said = {"error": traceback.format_exc()}
        said["seconds"] = time.perf_counter() - start
        with (folder / role / f"{name}.pickle").open("wb") as file:
            pickle.dump(said, file)


def plain(row: Row, folder: Path) -> dict[str, Any]:
    X, y, fit_params = row.data()
    estimator, grid = row.build()
    seed(row)
    search = PLAIN[row.search](estimator, grid, **row.options).fit(X, y, **fit_params)
    said = results(search, row)
    if row.second:
        seed(row)
        second = PLAIN[row.search](estimator, grid, **row.second)
        said["second"] = results(second.fit(X, y, **fit_params), row)["scores"]
        X, y, fit_params = row.data()
    said["candidates"] = {}
    own = {k: v for k, v in fit_params.items() if k not in row.by_hand_without}
    splits = list(indices(row, estimator, fit_params)) if row.capture else []
    for number, params in enumerate(search.cv_results_["params"]):
        for key, train in [(number, None), *(((number, s), i) for s, i in splits)]:
            # The best one shows that its fits can be counted.
            counted = key == best_candidate(search)
            with counting(estimator) if counted else nullcontext() as fits:
                said["candidates"][key] = by_hand(row, params, own, train)
            if fits is not None:
                said["counted"] = fits.count
    return said


def best_candidate(search: Any) -> int:
    rank = next(key for key in search.cv_results_ if key.startswith("rank_test_"))
    return int(np.argmin(search.cv_results_[rank]))


def by_hand(row: Row, params: Any, fit_params: dict[str, Any], train: Any) -> Any:
    """What a candidate says that somebody has fitted without any search."""
    X, y, _ = row.data()
    estimator, _ = row.build()
    estimator = clone(estimator).set_params(**clone(dict(params), safe=False))
    if train is not None:
        X, y = _safe_split(estimator, X, y, train)
        fit_params = {
            k: np.asarray(v)[train] if len(v) > len(train) else v
            for k, v in fit_params.items()
        }
    seed(row)
    try:
        estimator.fit(X, **fit_params) if y is None else estimator.fit(
            X, y, **fit_params
        )
    except Exception as error:
        return f"no model: {type(error).__name__}"
    return answers(estimator, row.data)


def indices(row: Row, estimator: Any, params: Any) -> Iterator[tuple[int, Any]]:
    X, y, _ = row.data()
    cv = check_cv(row.options["cv"], y, classifier=is_classifier(estimator))
    for number, (train, _) in enumerate(cv.split(X, y, params.get("groups"))):
        yield number, train


def first(row: Row, folder: Path) -> dict[str, Any]:
    return results(tracked(row, folder), row)


def again(row: Row, folder: Path) -> dict[str, Any]:
    estimator, _ = row.build()
    # In threads, so that fits in workers would be counted too.
    with counting(estimator) as fits, joblib.parallel_config("threading"):
        search = tracked(row, folder)
    said = results(search, row)
    said["fits"] = fits.count
    if row.second:
        with counting(estimator) as fits, joblib.parallel_config("threading"):
            copy = folder / "again" / f"{row.name}.h5"
            shutil.copyfile(folder / f"{row.name}.h5", copy)
            second = tracked(row, folder / "again", row.second)
        said["second"] = results(second, row)["scores"]
        same_best = getattr(second, "best_index_", 0) == getattr(
            search, "best_index_", 0
        )
        # Another best candidate is refit: the store has no complete model of it.
        said["second_fits"] = fits.count - (not same_best)
    said["candidates"] = loaded(
        row, search.run_, lambda n, **split: search.estimator_for(n, **split)
    )
    return said


def rebuild(row: Row, folder: Path) -> dict[str, Any]:
    copy = folder / "rebuild" / f"{row.name}.h5"
    shutil.copyfile(folder / f"{row.name}.h5", copy)
    estimator, grid = row.build()
    candidates = params_of_candidates(row, grid)
    with WeightStore(copy) as store:
        run = store.run()

        def with_params(number: int, **split: Any) -> Any:
            prepared = clone(estimator).set_params(**candidates[number])
            return run.load_estimator(number, prepared, **split)

        said = {
            "alone": loaded(row, run, lambda n, **s: run.load_estimator(n, **s)),
            "file": loaded(
                row, run, lambda n, **s: run.load_estimator(n, estimator, **s)
            ),
        }
        if candidates:
            said["template"] = loaded(row, run, with_params)
    return said


def params_of_candidates(row: Row, grid: Any) -> list[dict[str, Any]]:
    """Candidates in the order of the search; none where scores decide on them."""
    if row.search == "grid":
        return list(ParameterGrid(grid))
    if row.search == "random":
        options = row.options
        return list(
            ParameterSampler(
                grid, options.get("n_iter", 10), random_state=options["random_state"]
            )
        )
    return []


def tracked(row: Row, folder: Path, options: Any = None) -> Any:
    X, y, fit_params = row.data()
    estimator, grid = row.build()
    seed(row)
    store = folder / f"{row.name}.h5"
    search = OURS[row.search](
        estimator, grid, **(options or row.options), **row.tracking, store=store
    )
    return search.fit(X, y, **fit_params)


def results(search: Any, row: Row) -> dict[str, Any]:
    """What a search has found: all of ``cv_results_`` but times, and the best."""
    scores = {
        name: values
        for name, values in search.cv_results_.items()
        if not name.endswith("_time") and name[:5] != "param"
    }
    said = {"scores": scores, "best": None}
    for name in ("best_index_", "best_score_", "n_splits_"):
        if hasattr(search, name):
            said["scores"][name] = getattr(search, name)
    if hasattr(search, "best_estimator_"):
        said["best"] = answers(search.best_estimator_, row.data)
    return said


def loaded(row: Row, run: Any, load: Callable[..., Any]) -> dict[Any, Any]:
    """What every stored model says, or why there is none."""
    said = {}
    splits = [{"split": n} for n in range(row_splits(run))] if row.capture else []
    for number in range(len(run.candidates)):
        for split in [{}, *splits]:
            key = (number, split["split"]) if split else number
            try:
                estimator = load(number, **split)
            except REFUSED as error:
                said[key] = f"{type(error).__name__}: {error}"
            except Exception:
                said[key] = traceback.format_exc()
            else:
                said[key] = answers(estimator, row.data)
    return said


def row_splits(run: Any) -> int:
    return sum(
        name.startswith("split") and name.endswith("_test_score")
        for name in run.candidates.columns
    )


def seed(row: Row) -> None:
    """Begin with the same global generators in every process."""
    random.seed(0)
    np.random.seed(0)
    if row.framework == "torch":
        import torch

        torch.manual_seed(0)
    elif row.framework == "keras":
        import keras
        import tensorflow

        # Networks of a few steps are traced longer than they learn.
        tensorflow.config.run_functions_eagerly(True)
        keras.utils.set_random_seed(0)


def run_as_script(name: str) -> None:
    """Execute a file as if it were the script that this process runs."""
    path = Path(__file__).with_name(name)
    code = compile(path.read_text(encoding="utf-8"), str(path), "exec")
    exec(code, vars(sys.modules["__main__"]))


ROLES = {"plain": plain, "first": first, "again": again, "rebuild": rebuild}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
