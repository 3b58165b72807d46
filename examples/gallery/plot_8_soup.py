"""
A soup and an ensemble of candidates
====================================

A search has trained many good models and keeps one. Two ways to use several: ask all
of them (an *ensemble*), or average their weights (a *soup*, `Wortsman et al. 2022
<https://proceedings.mlr.press/v162/wortsman22a.html>`_).
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from weightsearch import WeightTrackingGridSearchCV

digits, numbers = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(
    digits / 16, numbers, train_size=500, random_state=0
)

# One seed: all candidates start from the same weights, as a soup wants it.
mlp = MLPClassifier((32,), tol=0.01, n_iter_no_change=3, random_state=0)
grid = {"alpha": [1e-4, 0.1, 1.0], "learning_rate_init": [0.002, 0.005, 0.01]}
search = WeightTrackingGridSearchCV(mlp, grid, cv=3).fit(X, y)
run = search.run_
alone = search.score_candidates(X_test, y_test)["score"]
best = run.candidates.sort_values("rank_test_score").index[:4].tolist()

soup = run.average(best)
ensemble = run.ensemble(candidates=best)
print(f"single candidates: {alone.min():.3f} to {alone.max():.3f}")
print(f"the one that the search picked: {alone[search.best_index_]:.3f}")
print(f"soup of four: {soup.score(X_test, y_test):.3f}")
print(f"ensemble of four: {ensemble.score(X_test, y_test):.3f}")

# %%
# A soup costs one prediction, an ensemble one per member. Both need only the store.
# Neither is always better than the best member, and here neither is: a small search
# over a small network.
#
# Where a soup goes wrong
# -----------------------
# Networks that started from different weights have their hidden units in another order,
# and are in different minima. Their mean predicts badly. ``align=True`` puts the units
# into one order first, which helps but is not enough.

seeds = WeightTrackingGridSearchCV(
    MLPClassifier((32,), tol=0.01, n_iter_no_change=3, learning_rate_init=0.005),
    {"random_state": [0, 1, 2, 3]},
    cv=3,
).fit(X, y)
others = seeds.run_
members = list(range(4))
alone_seeds = seeds.score_candidates(X_test, y_test)["score"]
results = {
    "soup": others.average(members).score(X_test, y_test),
    "soup, aligned": others.average(members, align=True).score(X_test, y_test),
    "ensemble": others.ensemble(candidates=members).score(X_test, y_test),
}

same_start = {
    "soup": soup.score(X_test, y_test),
    "ensemble": ensemble.score(X_test, y_test),
}
figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
axes[0].set(title="One start", ylabel="Accuracy on test data")
axes[1].set(title="Four starts")
for ax, members, together in (
    (axes[0], alone[best], same_start),
    (axes[1], alone_seeds, results),
):
    ax.scatter(np.zeros(len(members)), members, alpha=0.7)
    ax.scatter(range(1, len(together) + 1), together.values(), marker="D", s=70)
    ax.set_xticks(range(len(together) + 1), ["each alone", *together])
    ax.grid(axis="y", alpha=0.4)
    ax.margins(x=0.2)

# %%
# So: score a soup before you use it, on data that chose neither it nor its members.
