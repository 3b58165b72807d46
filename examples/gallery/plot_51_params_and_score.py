"""
Which hyperparameter moves the score?
=====================================

Four pictures of a search's params and scores. They need no weights, and take searches
of scikit-learn's own too.
"""

from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from weightsearch.plot import (
    ParallelCoordinatesDisplay,
    ParamImportanceDisplay,
    ScoreHeatmapDisplay,
    ValidationCurveDisplay,
)

X, y = load_breast_cancer(return_X_y=True)
model = make_pipeline(StandardScaler(), SVC())
grid = {
    "svc__C": [0.01, 0.1, 1.0, 10.0, 100.0],
    "svc__gamma": [0.001, 0.01, 0.1, 1.0],
    "svc__kernel": ["rbf", "sigmoid"],
}
search = GridSearchCV(model, grid, cv=4, return_train_score=True).fit(X, y)
search.best_params_, round(search.best_score_, 3)

# %%
# The share of the score's variance that each param explains, and each pair beyond that.
# On a complete grid it is exact; dotted lines are what chance would explain.

ParamImportanceDisplay.from_search(search)

# %%
# A line is a candidate, its colour the score. Where do the bright ones pass?

ParallelCoordinatesDisplay.from_search(search)

# %%
# The two most important params together.

ScoreHeatmapDisplay.from_search(search)

# %%
# A validation curve: other params are those of the best candidate.

ValidationCurveDisplay.from_search(search, "svc__gamma")
