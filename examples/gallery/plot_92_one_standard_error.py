"""
The simplest model within one standard error
============================================

The candidate of the best mean score is rarely alone at the top: many others differ
from it by less than the noise of cross-validation. Of those, the simplest one is the
better choice (Breiman et al. 1984). A rule of :mod:`weightsearch.choose` says so to any
search, as its ``refit``, or to a finished one.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from weightsearch import WeightTrackingGridSearchCV
from weightsearch.choose import OneStandardError, ParetoKnee, WithinPercent

X, y = load_digits(return_X_y=True)
X, y = X[:600] / 16, y[:600]
model = Pipeline(
    [("pca", PCA(svd_solver="covariance_eigh")), ("model", LogisticRegression(C=0.1))]
)
grid = {"pca__n_components": [2, 4, 6, 8, 10, 15, 20, 25, 30, 40, 50]}
search = WeightTrackingGridSearchCV(model, grid, cv=5).fit(X, y)
print(f"best mean score: {search.best_params_}, {search.best_score_:.3f}")

search.choose(OneStandardError(simplest="pca__n_components"))
print(f"one standard error: {search.best_params_}, {search.best_score_:.3f}")
search.best_estimator_["pca"].components_.shape

# %%
# The search is now one that chose these components: it predicts with them. Nothing was
# fitted, as the store has the refit of every candidate.

results = search.cv_results_
n_components = np.array(grid["pca__n_components"])
means = results["mean_test_score"]
scores = np.array([results[f"split{n}_test_score"] for n in range(5)])
errors = scores.std(axis=0, ddof=1) / np.sqrt(5)
best = int(np.argmax(means))

figure, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
ax.errorbar(n_components, means, errors, fmt="o-", capsize=3, color="0.4")
ax.axhspan(means[best] - errors[best], means[best], alpha=0.25, color="C0")
rules = {
    "best mean": WithinPercent(0, "pca__n_components"),
    "one standard error": OneStandardError("pca__n_components"),
    "within 10 percent": WithinPercent(10, "pca__n_components"),
    "knee of score and size": ParetoKnee("score", "pca__n_components"),
}
for number, (name, rule) in enumerate(rules.items()):
    chosen = search.run_.choose(rule)
    ax.plot(
        n_components[chosen],
        means[chosen],
        "o",
        ms=13,
        mfc="none",
        mew=2.5,
        color=f"C{number}",
        label=name,
    )
ax.set(xlabel="Principal components", ylabel="Mean accuracy in 5 splits")
ax.set_ylim(0.75, 1)
ax.legend()

# %%
# Is a candidate worse at all? The corrected resampled t-test allows for the overlap of
# the training sets, and the Bayesian one gives probabilities.

table = search.run_.compare_scores(best, rope=0.01)
table.insert(0, "n_components", n_components[table.index])
table[["n_components", "difference", "p_adjusted", "p_equivalent"]].round(3)
