"""
How optimistic is my best score?
================================

The best of many candidates is the best by merit and by luck, so that its score is too
high for new data. Nested cross-validation tells how much, for many times the cost of
the search. The bootstrap bias correction (`Tsamardinos et al. 2018
<https://doi.org/10.1007/s10994-018-5714-4>`_) needs nothing but the out-of-fold
predictions of the models that the search has fitted already.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.tree import DecisionTreeClassifier

from weightsearch import WeightTrackingGridSearchCV

X_all, progression = load_diabetes(return_X_y=True)
y_all = progression > np.median(progression)
grid = {
    "max_depth": [1, 2, 3, 5, None],
    "min_samples_leaf": [1, 3, 5],
    "max_features": [None, "sqrt", 2],
}


def search_in(number):
    """Search 45 trees on 80 rows; the other rows know the truth."""
    X, X_rest, y, y_rest = train_test_split(
        X_all, y_all, train_size=80, stratify=y_all, random_state=number
    )
    search = WeightTrackingGridSearchCV(
        DecisionTreeClassifier(random_state=0),
        grid,
        cv=StratifiedKFold(5, shuffle=True, random_state=number),
        capture="splits",
    ).fit(X, y)
    corrected = search.run_.bias_corrected_score(X, y, random_state=0)
    return search, corrected, search.score(X_rest, y_rest)


search, corrected, truth = search_in(0)
print(corrected)
print(f"accuracy on {len(y_all) - 80} other rows: {truth:.4g}")

# %%
# Each bootstrap sample picks the candidate that is best on the sample,
# and scores it on the rows that are not in it. That the winner changes from sample to
# sample is the reason for the optimism.

figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
axes[0].hist(corrected.samples, bins=25, color="0.7")
for value, label, color in (
    (corrected.best_score, "best_score_", "C3"),
    (corrected.score, "corrected", "C0"),
    (truth, "other rows", "C2"),
):
    axes[0].axvline(value, label=f"{label}: {value:.3f}", color=color, lw=2)
axes[0].set(xlabel="Accuracy", ylabel="Bootstrap samples")
axes[0].legend()
candidates, times = np.unique(corrected.picked, return_counts=True)
axes[1].bar(candidates, times / len(corrected.picked), color="0.4")
axes[1].set(xlabel="Candidate", ylabel="Share of samples that pick it")

# %%
# One search shows little: the correction is right on average. So here are eight, each
# on 80 other rows.

results = [search_in(number) for number in range(8)]
best = np.array([one.best_score for _, one, _ in results])
honest = np.array([one.score for _, one, _ in results])
truths = np.array([truth for *_, truth in results])
print(f"best_score_ is too high by {np.mean(best - truths):.3f} on average")
print(f"the corrected score by {np.mean(honest - truths):.3f}")

figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
ax.boxplot(
    [best - truths, honest - truths],
    tick_labels=["best_score_", "bias_corrected_score"],
    widths=0.5,
)
ax.axhline(0, color="C2", lw=1)
ax.set_ylabel("Too high by")

# %%
# Rows that belong together, such as those of a patient, are drawn together with
# ``groups=``; rows in order of time in stretches of ``block_length=``.
