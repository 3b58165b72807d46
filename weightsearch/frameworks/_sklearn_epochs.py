"""Epochs of scikit-learn's networks and boosting, through its private names.

``MLPClassifier`` and ``MLPRegressor`` have no callbacks. ``_fit_stochastic`` calls
``_update_no_improvement_count`` at the end of each epoch, and ``_fit_lbfgs`` gives
scipy's minimizer no callback; both are the same in scikit-learn 1.6 to 1.9.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from types import FunctionType, SimpleNamespace
from typing import Any

import numpy as np
import scipy.optimize

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
            self._take(0, self._weights, lambda: {"step": 0})

    def _fit_stochastic(self, *args: Any, **kwargs: Any) -> Any:
        self._begins()
        return type(self._mlp)._fit_stochastic(self._mlp, *args, **kwargs)

    def _update_no_improvement_count(self, *args: Any, **kwargs: Any) -> Any:
        cls = type(self._mlp)
        result = cls._update_no_improvement_count(self._mlp, *args, **kwargs)
        self._n_done += 1
        self._take(self._n_done, self._weights, self._info)
        return result

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
        fit = FunctionType(
            plain.__code__,
            {**plain.__globals__, **names},
            plain.__name__,
            plain.__defaults__,
            plain.__closure__,
        )
        return fit(self._mlp, *args, **kwargs)

    def _iterated(self, intermediate_result: Any) -> None:
        # The name of the argument tells scipy what to pass.
        now = intermediate_result
        self._n_done += 1
        info = {"step": self._n_done, "train_loss": now.fun}
        self._take(self._n_done, partial(_unpacked, self._mlp, now.x), lambda: info)


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
        watch=_watch_mlp, resume=_resume_mlp
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
