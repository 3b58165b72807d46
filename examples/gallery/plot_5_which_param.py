"""
Which hyperparameter moves the weights?
=======================================

A grid of three hyperparameters and three seeds: which of them decides how large the
weights become, and has that anything to do with the score?
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from weightsearch import WeightTrackingGridSearchCV
from weightsearch.plot import ScoreStatisticDisplay

X, y = load_digits(return_X_y=True)
X, y = X[:700] / 16, y[:700]
mlp = MLPClassifier((12,), max_iter=500, early_stopping=True)
grid = {
    "alpha": [1e-4, 1.0, 10.0],
    "activation": ["relu", "tanh"],
    "learning_rate_init": [0.003, 0.03],
    "random_state": [0, 1, 2],
}
search = WeightTrackingGridSearchCV(mlp, grid, cv=2).fit(X, y)
run = search.run_
f"{len(run)} candidates"

# %%
# ``variance_explained`` says which share of the variance of a statistic goes with each
# param (*eta squared*), for each weight. Seeds are in the grid on purpose: what goes
# with them is noise, and so is what a param of as many values would have by ``chance``.

explained = run.variance_explained("l2")
explained[["name", "param", "eta_squared", "chance", "levels"]].round(2).head(8)

# %%

table = explained.pivot(index="name", columns="param", values="eta_squared")[list(grid)]
figure, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
table.plot.barh(ax=ax, stacked=True, cmap="viridis", width=0.7)
ax.invert_yaxis()
ax.set_xlabel("Share of the variance of the norm (eta squared)")
ax.set_ylabel("")
ax.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)

# %%
# What is missing up to 1 goes with combinations of params.
#
# Does the norm of the first layer go with the score? The title has Spearman's rank
# correlation. It is not a cause: norm and score both follow from the params, as colours
# show.

ScoreStatisticDisplay.from_run(run, "coefs_/0", "l2", color_by="alpha")

# %%
# The same for all statistics of all weights, largest correlation first.

correlation = run.score_correlation()
order = correlation["spearman"].abs().sort_values(ascending=False).index
correlation.loc[order, ["name", "stat", "spearman", "p_value", "n"]].head(8).round(3)
