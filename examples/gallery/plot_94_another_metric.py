"""
Another metric for a finished search
====================================

A search by accuracy has finished, and then somebody asks about probabilities, or about
one group of patients. The models of the splits are in the store, so that the answers
cost predictions alone: :meth:`weightsearch.Run.rescore` returns what a new search with
that scoring would, bit for bit.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold

from weightsearch import WeightTrackingGridSearchCV

X, y = load_breast_cancer(return_X_y=True)
search = WeightTrackingGridSearchCV(
    RandomForestClassifier(30, random_state=0),
    {"min_samples_leaf": [1, 2, 4, 8, 16, 32, 64]},
    cv=StratifiedKFold(5, shuffle=True, random_state=0),
    capture="splits",
).fit(X, y)
leaves = search.param_grid["min_samples_leaf"]

# %%
# By accuracy and by log loss other forests are the best: probabilities need leaves of
# another size than decisions do.

scores = search.run_.rescore(X, y, ["accuracy", "neg_log_loss", "roc_auc"])
print(scores.filter(regex="min_samples|rank").to_string())

figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
for ax, metric in zip(axes, ["accuracy", "neg_log_loss", "roc_auc"], strict=True):
    mean, std = scores[f"mean_test_{metric}"], scores[f"std_test_{metric}"]
    ax.errorbar(leaves, mean, std / np.sqrt(5), marker="o", capsize=3)
    best = int(mean.argmax())
    ax.plot(leaves[best], mean[best], "o", color="C3", ms=10, mfc="none")
    ax.set(xscale="log", xlabel="min_samples_leaf", title=metric)

# %%
# How well are small tumours recognized, and large ones? Each group has the scores of
# its own rows, always from the models that did not see them.

size = np.where(X[:, 0] > np.median(X[:, 0]), "large", "small")
by_size = search.run_.rescore(X, y, "neg_log_loss", groups=size)

figure, ax = plt.subplots(figsize=(6, 3.8), layout="constrained")
for name in ("small", "large"):
    of_group = by_size.xs(name, level="group")
    ax.plot(leaves, -of_group["mean_test_score"], marker="o", label=f"{name} tumours")
ax.set(xscale="log", xlabel="min_samples_leaf", ylabel="Log loss")
ax.legend()
