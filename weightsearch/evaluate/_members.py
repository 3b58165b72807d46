"""Fitted voting and stacking estimators made of stored models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.frozen import FrozenEstimator
from sklearn.utils.metaestimators import available_if

from weightsearch._copies import copied
from weightsearch._records import Array
from weightsearch.evaluate._metrics import Observations, stand_in

__all__ = ["Member", "stacking_estimator", "voting_estimator"]


def _has(method: str) -> Any:
    return available_if(lambda self: hasattr(self.estimator, method))


class Member(FrozenEstimator):  # type: ignore[misc]
    """A stored model as a member of one of scikit-learn's ensembles.

    It cannot change the data before the other members see them, and predicts numbers of
    classes, as members do that such an ensemble has fitted itself. A regressor of one
    output predicts one number per row, also where the model itself returns a column.
    """

    def predict(self, X: Any) -> Any:
        """Predict; a classifier returns the place of each class in ``classes_``."""
        predicted = self.estimator.predict(copied(X))
        if not is_classifier(self.estimator):
            return _one_output(predicted)
        return _numbered(predicted, self.estimator.classes_)

    @_has("predict_proba")  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Any:
        """Probabilities of the classes."""
        return self.estimator.predict_proba(copied(X))

    @_has("decision_function")  # type: ignore[untyped-decorator]
    def decision_function(self, X: Any) -> Any:
        """Decision function."""
        return self.estimator.decision_function(copied(X))


def _one_output(predicted: Any) -> Any:
    """Return a column of predictions as a vector."""
    if np.ndim(predicted) < 2:
        return predicted
    if np.shape(predicted)[1] == 1:
        return np.asarray(predicted)[:, 0]
    raise TypeError(
        "scikit-learn's ensembles combine regressors of one output, and this one "
        f"predicts {np.shape(predicted)[1]} numbers per row."
    )


def _numbered(predicted: Any, classes: Any) -> Any:
    """Return the places of predicted classes among all of them."""
    known = np.asarray(classes)
    if np.ndim(predicted) != 1 or known.ndim != 1:
        return predicted
    return np.searchsorted(known, predicted)


def voting_estimator(
    members: Sequence[tuple[str, Any]],
    votes: Sequence[int] | Array | None = None,
    *,
    voting: str = "auto",
) -> Any:
    """Make a fitted voting estimator of fitted ones.

    Parameters
    ----------
    members : sequence of (name, estimator)
    votes : sequence of int, default=None
        Weights of the members; None: all alike.
    voting : {"auto", "soft", "hard"}, default="auto"
        Of classifiers: the mean of the probabilities, or votes for a class; "auto":
        soft where all members have probabilities.

    Returns
    -------
    VotingClassifier or VotingRegressor

    Raises
    ------
    TypeError
        If the members are neither all classifiers nor all regressors, or lack the
        probabilities that soft voting needs.
    """
    # Here, since importing the package need not wait for it.
    from sklearn.ensemble import VotingClassifier, VotingRegressor

    models = [model for _, model in members]
    frozen = [(name, Member(model)) for name, model in members]
    whole: Any
    weights = None if votes is None else [int(vote) for vote in votes]
    # Frozen members ignore the fit, which tells the whole only the names of classes.
    if all(map(is_classifier, models)):
        how = voting_of(models, voting)
        classes = np.asarray(models[0].classes_)
        whole = VotingClassifier(frozen, voting=how, weights=weights)
        whole.fit(_rows(models[0], len(classes)), classes)
    elif all(map(is_regressor, models)):
        whole = VotingRegressor(frozen, weights=weights)
        whole.fit(_rows(models[0], 2), np.zeros(2))
    else:
        _refuse(models, "An ensemble votes over classifiers or over regressors")
    # A clone of the whole fits its members, and does not keep these.
    whole.estimators = [(name, clone(model)) for name, model in members]
    return whole


def _refuse(models: Sequence[Any], what: str) -> NoReturn:
    names = sorted({type(model).__name__ for model in models})
    raise TypeError(f"{what}; these candidates are {', '.join(names)}.")


def voting_of(models: Sequence[Any], voting: str) -> str:
    """Return how classifiers vote."""
    if voting not in ("auto", "soft", "hard"):
        raise ValueError(f"voting must be 'auto', 'soft' or 'hard', got {voting!r}.")
    lacking = [m for m in models if not hasattr(m, "predict_proba")]
    if voting == "soft" and lacking:
        raise TypeError(
            f"{type(lacking[0]).__name__} has no predict_proba with these params, and "
            "soft voting needs it. Pass voting='hard'."
        )
    return voting if voting != "auto" else "hard" if lacking else "soft"


def stacking_estimator(
    members: Sequence[tuple[str, Any]],
    out_of_fold: Sequence[tuple[str, Array]],
    X: Any,
    y: Any,
    splits: Sequence[tuple[Array, Array]],
    *,
    final_estimator: Any = None,
    stack_method: str = "auto",
    passthrough: bool = False,
    n_jobs: int | None = None,
) -> Any:
    """Make a stacking estimator of fitted ones; only the final estimator is fitted.

    Parameters
    ----------
    members : sequence of (name, estimator)
        Fitted on all the data.
    out_of_fold : sequence of (method, ndarray)
        For each member the method that is stacked, and its answers to all rows of X by
        models that have not seen them.
    X, y : array-like
    splits : sequence of (train, test)
        For the param `cv`, so that a clone can be fitted.
    final_estimator : estimator object, default=None
        None: scikit-learn's own choice.
    stack_method : str, default="auto"
        The param of that name.
    passthrough : bool, default=False
        Whether the final estimator gets X too.
    n_jobs : int, default=None

    Returns
    -------
    StackingClassifier or StackingRegressor
    """
    from sklearn.ensemble import StackingClassifier, StackingRegressor

    models = [model for _, model in members]
    if all(map(is_classifier, models)):
        kind, classes = StackingClassifier, np.asarray(models[0].classes_)
    elif all(map(is_regressor, models)):
        kind, classes = StackingRegressor, None
    else:
        _refuse(models, "Classifiers or regressors can be stacked")
    rows = np.arange(len(out_of_fold[0][1]))
    answering = []
    for (name, _), (method, answers) in zip(members, out_of_fold, strict=True):
        if method == "predict" and classes is not None:
            # As scikit-learn fits its members on numbers of classes.
            answers = np.searchsorted(classes, answers)
        known = {"predict": answers, method: answers}
        observations = Observations(
            rows, {m: a[None] for m, a in known.items()}, classes
        )
        answering.append((name, stand_in(observations, 0, rows)))
    whole = kind(
        answering,
        final_estimator=final_estimator,
        cv="prefit",
        passthrough=passthrough,
        n_jobs=n_jobs,
    )
    if classes is not None:
        whole.set_params(stack_method=stack_method)
    # Members that are fitted are asked about X at once, and answer as their split
    # models did; then the models that new data will see take their places.
    whole.fit(X, y)
    frozen = [Member(model) for model in models]
    whole.estimators = [(name, clone(model)) for (name, model) in members]
    whole.cv = [(train, test) for train, test in splits]
    whole.estimators_ = frozen
    for (name, model), member in zip(members, frozen, strict=True):
        whole.named_estimators_[name] = member
        if hasattr(model, "feature_names_in_"):
            whole.feature_names_in_ = model.feature_names_in_
    return whole


def _rows(model: Any, count: int) -> Array:
    return np.zeros((count, int(getattr(model, "n_features_in_", 1))))
