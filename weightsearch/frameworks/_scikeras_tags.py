"""Make scikit-learn recognise scikeras' classifiers and regressors.

Since 1.6, scikit-learn asks ``estimator.__sklearn_tags__()`` what an estimator is.
scikeras 0.13 lists ``BaseEstimator`` before ``ClassifierMixin`` among its bases, so
the method of ``BaseEstimator``, which calls no further one, hides the mixin's:
``is_classifier(KerasClassifier())`` is False, and an AttributeError on 1.6. Then
``cv=3`` does not stratify and ``scoring="roc_auc"`` fails. scikeras is not maintained
any more, so the cure is here, and takes effect on its class in this process.

It is ``BaseWrapper`` that gets the method, not its two children: scikit-learn 1.6
uses the old tags of every class that has ``_more_tags`` and no ``__sklearn_tags__``
of its own, and scikeras' ``BaseWrapper`` is such a class.
"""

from __future__ import annotations

import sys
from typing import Any

from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import ClassifierTags, RegressorTags

__all__ = ["ensure_tags"]

_NAME = "__sklearn_tags__"


def ensure_tags() -> bool:
    """Give scikeras' estimators the tags that scikit-learn 1.6 and later asks for.

    Does nothing where ``scikeras.wrappers`` is not imported, and nothing where its
    classes say by themselves what they are. Subclasses that define
    ``__sklearn_tags__`` keep their own. To be called wherever an estimator may
    just have been unpickled; calling it again costs next to nothing.

    Returns
    -------
    bool
        Whether this call changed scikeras' ``BaseWrapper``.
    """
    wrappers = sys.modules.get("scikeras.wrappers")
    # Another thread may be in the middle of importing it: the last class is there
    # only when all are.
    if wrappers is None or not hasattr(wrappers, "KerasRegressor"):
        return False
    base = wrappers.BaseWrapper
    if vars(base).get(_NAME) is _tags:
        return False
    # Asked directly: on scikit-learn 1.6, is_classifier itself fails on this class.
    if (
        wrappers.KerasClassifier().__sklearn_tags__().estimator_type == "classifier"
        and wrappers.KerasRegressor().__sklearn_tags__().estimator_type == "regressor"
    ):
        return False
    setattr(base, _NAME, _tags)
    return True


def _tags(self: Any) -> Any:
    """Tags of ``BaseEstimator`` plus those of the mixin that it hides."""
    base = sys.modules["scikeras.wrappers"].BaseWrapper
    tags = super(base, self).__sklearn_tags__()
    old = self._tags  # what scikeras told scikit-learn up to 1.5
    tags.target_tags.multi_output = bool(old.get("multioutput", False))
    poor_score = bool(old.get("poor_score", False))
    # As ClassifierMixin and RegressorMixin do; calling them is no use, since their
    # own call to super() ends at ``object``.
    if isinstance(self, ClassifierMixin):
        tags.estimator_type = "classifier"
        tags.classifier_tags = ClassifierTags(
            poor_score=poor_score, multi_label=bool(old.get("multilabel", False))
        )
        tags.target_tags.required = True
    elif isinstance(self, RegressorMixin):
        tags.estimator_type = "regressor"
        tags.regressor_tags = RegressorTags(poor_score=poor_score)
        tags.target_tags.required = True
    return tags
