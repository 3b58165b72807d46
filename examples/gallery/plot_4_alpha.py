"""
How alpha shapes the first layer
================================

``alpha`` of an ``MLPClassifier`` is its penalty on large weights. Its effect is visible
in the first layer of networks for digits: each hidden unit has a weight per pixel, and
can be shown as an image.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from weightsearch import WeightTrackingGridSearchCV
from weightsearch.plot import SpectrumDisplay, WeightImageDisplay

X, y = load_digits(return_X_y=True)
mlp = MLPClassifier((16,), max_iter=500, tol=1e-3, random_state=0)
grid = {"alpha": [1e-4, 1.0, 5.0, 20.0]}
search = WeightTrackingGridSearchCV(mlp, grid, cv=2).fit(X / 16, y)
run = search.run_

figure, axes = plt.subplots(2, 2, figsize=(10, 9), layout="constrained")
for candidate, ax in enumerate(axes.flat):
    display = WeightImageDisplay.from_run(
        run, "coefs_/0", candidate=candidate, shape=(8, 8), ax=ax
    )
    row = run.candidates.loc[candidate]
    ax.set_title(f"alpha = {row['alpha']:g}, accuracy {row['mean_test_score']:.3f}")

# %%
# All four networks have one seed and started from the same weights: a unit is at the
# same place in each. With a small penalty much of the random start is left, also
# at the edge, where digits have no ink. With a larger one units become strokes, then
# vanish.
#
# The statistics agree. The *effective rank* counts how many directions the layer uses,
# and the share of zeros stays 0: this penalty makes weights small, never exactly zero.

stats = run.stats()
first = stats[stats["name"] == "coefs_/0"].set_index("alpha")
first[["l2", "spectral_norm", "effective_rank", "share_zero"]].round(3)

# %%
# The singular values, each divided by its largest one, fall faster, on the whole, the
# larger alpha is: few directions are left.

SpectrumDisplay.from_run(run, "coefs_/0", color_by="alpha", relative=True)
