"""
A greedy ensemble of a finished search
======================================

A search has trained many good models, and keeps one. An ensemble of some of them is
mostly better than each (`Caruana et al. 2004
<https://doi.org/10.1145/1015330.1015432>`_): begin with the best candidate, and add
again and again the one with which the mean of the out-of-fold predictions scores best.
The stored models of the splits make these predictions: nothing is fitted.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from weightsearch import WeightTrackingGridSearchCV

digits, numbers = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(
    digits, numbers, train_size=500, stratify=numbers, random_state=0
)
model = Pipeline([("scale", StandardScaler()), ("model", GaussianNB())])
grid = [
    {"model": [GaussianNB()], "model__var_smoothing": [1e-3, 1e-2, 0.1]},
    {"model": [KNeighborsClassifier()], "model__n_neighbors": [1, 3, 8]},
    {"model": [LogisticRegression(max_iter=300)], "model__C": [1e-3, 0.01, 1.0]},
    {"model": [DecisionTreeClassifier(random_state=0)], "model__max_depth": [4, 8, 12]},
]
search = WeightTrackingGridSearchCV(
    model,
    grid,
    scoring=["neg_log_loss", "accuracy"],
    refit="neg_log_loss",
    cv=StratifiedKFold(5, shuffle=True, random_state=0),
    capture="both",
).fit(X, y)
run = search.run_
selection = run.select_ensemble(X, y, size=25)
print(selection)

# %%
# The left picture shows how the score grows with the votes, the right one who got them.

names = [type(params["model"]).__name__ for params in search.cv_results_["params"]]
figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
steps = np.arange(1, len(selection.scores) + 1)
axes[0].plot(steps, -selection.scores, "o-", ms=4)
axes[0].axvline(selection.votes.sum(), color="C2", label="the ensemble")
axes[0].set(xlabel="Votes", ylabel="Log loss, out of fold")
axes[0].legend()
labels = [f"{names[c]} ({c})" for c in selection.candidates]
axes[1].barh(labels, selection.votes)
axes[1].invert_yaxis()
axes[1].set_xlabel("Votes")

# %%
# A :class:`~sklearn.ensemble.VotingClassifier` of the refits answers for new data. A
# stacking, whose logistic regression is fitted on the same predictions, is one more.

ensemble = run.ensemble(X, y, size=25)
stacking = run.stacking(X, y, LogisticRegression(max_iter=1000))
alone = search.score_candidates(X_test, y_test, scoring="neg_log_loss")["score"]
print(f"best candidate: log loss {-alone[search.best_index_]:.3f}")
for name, combined in (("ensemble", ensemble), ("stacking", stacking)):
    probabilities = combined.predict_proba(X_test)
    loss = -np.mean(np.log(probabilities[np.arange(len(y_test)), y_test]))
    print(f"{name}: log loss {loss:.3f}, accuracy {combined.score(X_test, y_test):.3f}")

# %%
# Candidates that are almost as accurate as the best one are wrong about other rows.
# This is why an ensemble of them is better than each.

agreement = run.agreement(X, y, epsilon=0.03, metric="accuracy")
print(agreement)
agreement.pairwise.round(3)
