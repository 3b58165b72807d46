"""A candidate's stored models as an estimator that scikit-learn's tools can fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone, is_classifier
from sklearn.utils.metaestimators import available_if

from weightsearch._records import Array
from weightsearch.evaluate._models import SplitModels, rows_of
from weightsearch.exceptions import EvaluationError, WeightsNotFoundError

__all__ = ["Recalled", "StoredFits", "the_candidate"]


def the_candidate(run: Any, candidate: Any) -> int:
    """Return a candidate's number; that of the best one for None."""
    if candidate is not None:
        number: int = run._number(candidate)
        return number
    if run.best_index is None:
        raise EvaluationError(
            f"Run {run.name} has no best candidate: pass candidate, a number or params."
        )
    best: int = run.best_index
    return best


class StoredFits:
    """A candidate's stored models, found by the rows that each was fitted on.

    Parameters
    ----------
    models : SplitModels
        Of one candidate.
    refit : bool
        Whether the refit is needed too, which was fitted on all rows.

    Raises
    ------
    EvaluationError
        If a fit of the candidate failed, or it is not a classifier.
    WeightsNotFoundError
        If the refit is needed and was not kept.
    """

    def __init__(self, models: SplitModels, *, refit: bool):
        (number,) = models.candidates
        self.X = models.X
        self.splits = list(models.splits(number))
        self.rows = np.arange(models.n_samples)
        failed = [
            split
            for split in range(models.n_splits)
            if not models.has_model(number, split)
        ]
        if failed:
            raise EvaluationError(
                f"The fit of candidate {number} on split {failed[0]} failed."
            )
        wanted: list[tuple[int, int | None]] = [
            (number, split) for split in range(models.n_splits)
        ]
        self._fitted_on = [train for train, _ in self.splits]
        if refit:
            if not models.has_refit(number):
                raise WeightsNotFoundError(
                    f"{models.why_no_refit(number)} Here the refit is asked too: keep "
                    "both kinds of models with capture='both'."
                )
            wanted.append((number, None))
            self._fitted_on.append(self.rows)
        self.models = list(models.models(wanted))
        if not is_classifier(self.models[0]):
            raise EvaluationError(
                f"Candidate {number} is not a classifier: "
                f"{type(self.models[0]).__name__}."
            )

    def __deepcopy__(self, memo: Mapping[int, Any]) -> StoredFits:
        # A clone asks the same models.
        return self

    def place_of(self, rows: Array) -> int:
        """Return the number of the model that was fitted on some rows."""
        for place, fitted_on in enumerate(self._fitted_on):
            if np.array_equal(fitted_on, rows):
                return place
        raise EvaluationError(f"No stored model was fitted on these {len(rows)} rows.")

    def ask(self, place: int, method: str, rows: Array) -> Any:
        """Ask a model about some rows of the data."""
        model = self.models[place]
        part = rows_of(model, self.X, rows, self._fitted_on[place])
        return getattr(model, method)(part)

    @property
    def unfitted(self) -> Any:
        """The candidate's estimator, not fitted."""
        return clone(self.models[-1])

    @property
    def as_data(self) -> Array:
        """What stands for X: the number of each row."""
        numbers: Array = self.rows[:, np.newaxis]
        return numbers

    @property
    def cv(self) -> Sequence[tuple[Array, Array]]:
        """The splits, as scikit-learn takes them."""
        return self.splits


def _all_have(method: str) -> Callable[[Any], bool]:
    return lambda self: all(hasattr(model, method) for model in self.stored.models)


class Recalled(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier whose ``fit`` recalls the stored model of the same rows.

    X are numbers of rows. So scikit-learn's own code decides what is fitted on what and
    what is asked, and the answers are those of the stored models.

    Parameters
    ----------
    stored : StoredFits
    """

    def __init__(self, stored: StoredFits):
        self.stored = stored

    def fit(self, X: Array, y: Any, sample_weight: Any = None) -> Recalled:
        self.place_ = self.stored.place_of(X[:, 0])
        model = self.model_ = self.stored.models[self.place_]
        # cross_val_predict numbers the classes before it fits.
        self.classes_ = np.unique(y)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(model, name):
                setattr(self, name, getattr(model, name))
        return self

    def predict(self, X: Array) -> Any:
        return self.stored.ask(self.place_, "predict", X[:, 0])

    @available_if(_all_have("predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Array) -> Any:
        return self.stored.ask(self.place_, "predict_proba", X[:, 0])

    @available_if(_all_have("decision_function"))  # type: ignore[untyped-decorator]
    def decision_function(self, X: Array) -> Any:
        return self.stored.ask(self.place_, "decision_function", X[:, 0])
