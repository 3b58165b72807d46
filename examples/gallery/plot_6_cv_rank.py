"""
Does the rank in cross-validation hold on new data?
===================================================

A search picks the candidate with the best cross-validated score. To know whether it is
also the best one on new data, *all* candidates must be scored there (`scikit-learn
issue 16765 <https://github.com/scikit-learn/scikit-learn/issues/16765>`_ asks for it,
to choose a cross-validation strategy). Their models are in the store, so nothing is
fitted again.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import ShuffleSplit, StratifiedKFold, train_test_split
from sklearn.neural_network import MLPClassifier

from weightsearch import WeightTrackingGridSearchCV

digits, numbers = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(
    digits / 16, numbers, train_size=400, random_state=0
)
mlp = MLPClassifier(max_iter=500, tol=0.01, n_iter_no_change=3, random_state=0)
grid = {
    "hidden_layer_sizes": [(4,), (8,), (16,), (32,)],
    "alpha": [1e-4, 1.0, 10.0],
    "activation": ["relu", "tanh"],
}
search = WeightTrackingGridSearchCV(mlp, grid, cv=StratifiedKFold(3)).fit(X, y)
scores = search.score_candidates(X_test, y_test)
scores.sort_values("rank").head()

# %%
# ``scores.attrs["spearman"]`` is the rank correlation of both scores.


def draw(ax, scores, title):
    """Draw ranks of candidates: cross-validation against new data."""
    ax.plot([1, len(scores)], [1, len(scores)], color="0.8", zorder=0)
    points = ax.scatter(
        scores["rank_test_score"],
        scores["rank"].astype(int),
        c=[sizes[0] for sizes in scores["hidden_layer_sizes"]],
        cmap="viridis_r",
        edgecolor="0.3",
    )
    ax.set_title(f"{title}: Spearman {scores.attrs['spearman']:.2f}")
    ax.set_xlabel("Rank in cross-validation")
    ax.set_ylabel("Rank on test data")
    return points


figure, ax = plt.subplots(figsize=(6, 5), layout="constrained")
figure.colorbar(draw(ax, scores, "Three folds"), label="Hidden units")

# %%
# Another way to cross-validate: five random splits with little to train on. The refits
# are the same, since they do not depend on the splits; only the order that
# cross-validation predicts differs.

few = ShuffleSplit(5, train_size=60, random_state=0)
other = WeightTrackingGridSearchCV(mlp, grid, cv=few).fit(X, y)
other_scores = other.score_candidates(X_test, y_test)
assert (other_scores["score"] == scores["score"]).all()

figure, axes = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
draw(axes[0], scores, "Three folds")
points = draw(axes[1], other_scores, "60 samples, five times")
figure.colorbar(points, label="Hidden units")
