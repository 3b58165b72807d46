"""Epochs of scikit-learn's networks and boosting, through its private names.

``MLPClassifier`` and ``MLPRegressor`` have no callbacks. ``_fit_stochastic`` calls
``_update_no_improvement_count`` at the end of each epoch, and ``_fit_lbfgs`` gives
scipy's minimizer no callback; both are the same in scikit-learn 1.6 to 1.9.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import scipy.optimize

from weightsearch._rebound import rebound
from weightsearch._records import Array
from weightsearch.frameworks._epochs import Epochs, TakeSnapshot

__all__ = ["EPOCHS"]


@contextmanager
def _watch_mlp(mlp: Any, take: TakeSnapshot) -> Iterator[None]:
    watched = _WatchedMLP(mlp, take)
    own = {name: getattr(watched, name) for name in _HOOKS}
    vars(mlp).update(own)
    try:
        yield
    finally:
        for name in own:
            vars(mlp).pop(name, None)


_HOOKS = ("_fit_stochastic", "_update_no_improvement_count", "_fit_lbfgs")


class _WatchedMLP:
    """Methods that stand before those of a network while it is fitted."""

    def __init__(self, mlp: Any, take: TakeSnapshot):
        self._mlp = mlp
        self._take = take
        self._n_done = 0

    def _weights(self) -> dict[str, Array]:
        return _named(self._mlp.coefs_, self._mlp.intercepts_)

    def _begins(self) -> None:
        if not self._n_done:
            self._take(0, self._weights, lambda: {"step": 0}, self._optimizer)

    def _fit_stochastic(self, *args: Any, **kwargs: Any) -> Any:
        self._begins()
        return type(self._mlp)._fit_stochastic(self._mlp, *args, **kwargs)

    def _update_no_improvement_count(self, *args: Any, **kwargs: Any) -> Any:
        cls = type(self._mlp)
        result = cls._update_no_improvement_count(self._mlp, *args, **kwargs)
        self._n_done += 1
        self._take(self._n_done, self._weights, self._info, self._optimizer)
        return result

    def _optimizer(self) -> dict[str, Array]:
        mlp = self._mlp
        if mlp.solver == "lbfgs":
            raise TypeError("scipy does not tell what lbfgs knows of the curvature")
        if not self._n_done:
            return {}
        optimizer = mlp._optimizer
        moments = {
            f"{name}/{number}": array
            for name in _MOMENTS
            for number, array in enumerate(getattr(optimizer, name, ()))
        }
        best = mlp.best_validation_score_ if mlp.early_stopping else mlp.best_loss_
        numbers = {
            "t": getattr(optimizer, "t", 0),
            "learning_rate": optimizer.learning_rate,
            "n_samples": mlp.t_,
            "n_without_improvement": mlp._no_improvement_count,
            "best": best,
        }
        return moments | {name: np.array(value) for name, value in numbers.items()}

    def _info(self) -> dict[str, float]:
        mlp = self._mlp
        # `t_` counts samples.
        n_samples = mlp.t_ // len(mlp.loss_curve_)
        size = 200 if mlp.batch_size == "auto" else mlp.batch_size
        info = {
            "step": self._n_done * math.ceil(n_samples / min(size, n_samples)),
            # Adam's own has the correction of its moments in it.
            "learning_rate": mlp._optimizer.learning_rate
            if mlp.solver == "sgd"
            else mlp.learning_rate_init,
            "train_loss": mlp.loss_,
        }
        if mlp.early_stopping:
            info["valid_score"] = mlp.validation_scores_[-1]
        return info

    def _fit_lbfgs(self, *args: Any, **kwargs: Any) -> Any:
        """Run the class's own ``_fit_lbfgs`` with a callback for each iteration."""
        self._begins()
        plain = type(self._mlp)._fit_lbfgs
        minimize = partial(scipy.optimize.minimize, callback=self._iterated)
        names = {"scipy": SimpleNamespace(optimize=SimpleNamespace(minimize=minimize))}
        return rebound(plain, names)(self._mlp, *args, **kwargs)

    def _iterated(self, intermediate_result: Any) -> None:
        # The name of the argument tells scipy what to pass.
        now = intermediate_result
        self._n_done += 1
        info = {"step": self._n_done, "train_loss": now.fun}
        unpack = partial(_unpacked, self._mlp, now.x)
        self._take(self._n_done, unpack, lambda: info, self._optimizer)


_MOMENTS = ("ms", "vs", "velocities")


def _named(coefs: list[Array], intercepts: list[Array]) -> dict[str, Array]:
    return dict(zip(_names(len(coefs)), [*coefs, *intercepts], strict=True))


@cache
def _names(n_layers: int) -> list[str]:
    parts = ("coefs_", "intercepts_")
    return [f"{part}/{index}" for part in parts for index in range(n_layers)]


def _unpacked(mlp: Any, packed: Array) -> dict[str, Array]:
    return _named(
        [packed[a:b].reshape(shape) for a, b, shape in mlp._coef_indptr],
        [packed[a:b] for a, b in mlp._intercept_indptr],
    )


def _resume_mlp(mlp: Any) -> None:
    """Let ``fit`` go on from the network's weights, as if it had just drawn them."""
    mlp.set_params(warm_start=True)
    mlp.n_iter_ = mlp.t_ = 0
    mlp._best_coefs = [array.copy() for array in mlp.coefs_]
    mlp._best_intercepts = [array.copy() for array in mlp.intercepts_]
    if mlp.solver != "lbfgs":
        mlp.loss_curve_ = []
        mlp._no_improvement_count = 0
        mlp.best_loss_ = None if mlp.early_stopping else np.inf
        mlp.validation_scores_ = [] if mlp.early_stopping else None
        mlp.best_validation_score_ = -np.inf if mlp.early_stopping else None
    # Of the best candidate, that of the end of training was restored.
    vars(mlp).pop("_optimizer", None)


def _restore_mlp(mlp: Any, state: Mapping[str, Array]) -> None:
    """Let the next ``fit`` use an optimizer with the state of an earlier one."""
    if not state:
        return
    from sklearn.neural_network._multilayer_perceptron import BaseMultilayerPerceptron

    if type(mlp)._fit_stochastic is not BaseMultilayerPerceptron._fit_stochastic:
        raise TypeError(f"{type(mlp).__name__} has a training loop of its own")
    mlp.t_ = int(state["n_samples"])
    mlp._no_improvement_count = int(state["n_without_improvement"])
    best = "best_validation_score_" if mlp.early_stopping else "best_loss_"
    setattr(mlp, best, float(state["best"]))
    vars(mlp)["_fit_stochastic"] = _FitOn(mlp, dict(state))


class _FitOn:
    """``_fit_stochastic`` of a network whose optimizer has a past; used once."""

    def __init__(self, mlp: Any, state: dict[str, Array]):
        self._mlp = mlp
        self._state = state

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        mlp = self._mlp
        vars(mlp).pop("_fit_stochastic", None)
        plain = type(mlp)._fit_stochastic
        names = ("AdamOptimizer", "SGDOptimizer")
        made = {name: partial(self._make, plain.__globals__[name]) for name in names}
        return rebound(plain, made)(mlp, *args, **kwargs)

    def _make(self, cls: Any, *args: Any, **kwargs: Any) -> Any:
        mlp, state = self._mlp, self._state
        optimizer = cls(*args, **kwargs)
        for name in _MOMENTS:
            known = getattr(optimizer, name, ())
            arrays = [state[f"{name}/{number}"] for number in range(len(known))]
            if arrays:
                setattr(optimizer, name, arrays)
        if hasattr(optimizer, "t"):
            optimizer.t = int(state["t"])
        optimizer.learning_rate = float(state["learning_rate"])
        # What scikit-learn does between the snapshot and the next epoch.
        optimizer.iteration_ends(mlp.t_)
        if mlp._no_improvement_count > mlp.n_iter_no_change:
            optimizer.trigger_stopping("", False)
            mlp._no_improvement_count = 0
        return optimizer


# -- boosting: all stages are in the final model -------------------------------------


def _cut_gradient_boosting(model: Any, epoch: int) -> None:
    model.estimators_ = model.estimators_[:epoch]
    model.n_estimators_ = epoch
    for name in ("train_score_", "oob_improvement_", "oob_scores_"):
        if hasattr(model, name):
            setattr(model, name, getattr(model, name)[:epoch])


def _cut_hist(model: Any, epoch: int) -> None:
    model._predictors = model._predictors[:epoch]
    for name in ("train_score_", "validation_score_"):
        # The first score is that before the first tree.
        setattr(model, name, getattr(model, name)[: epoch + 1])


EPOCHS = {
    "sklearn.neural_network._multilayer_perceptron.BaseMultilayerPerceptron": Epochs(
        watch=_watch_mlp, resume=_resume_mlp, restore=_restore_mlp
    ),
    "sklearn.ensemble._gb.BaseGradientBoosting": Epochs(
        count=lambda model: len(model.estimators_),
        cut=_cut_gradient_boosting,
    ),
    "sklearn.ensemble._hist_gradient_boosting.gradient_boosting"
    ".BaseHistGradientBoosting": Epochs(
        count=lambda model: len(model._predictors), cut=_cut_hist
    ),
}
"""Qualified class name -> how its epochs are followed; subclasses included."""
