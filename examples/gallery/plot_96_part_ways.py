"""
How two networks part ways
==========================

Two networks begin with the same weights and differ in one param. Snapshots of every
epoch show where their ways part, and whether they end in one basin of the loss.
"""

import warnings

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from weightsearch import WeightTrackingGridSearchCV
from weightsearch.compare import path_stats, settling
from weightsearch.plot import ScorePathDisplay, TrainingCurveDisplay, TrajectoryDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X / 16, y, train_size=800, random_state=0
)
model = MLPClassifier((32,), max_iter=40, learning_rate_init=0.01, random_state=0)
search = WeightTrackingGridSearchCV(model, {"alpha": [1e-4, 1.0]}, cv=2, snapshots=1)
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)  # 40 epochs are all we want
    search.fit(X_train, y_train)

# %%
# The circle is their common start. They part within a few epochs: the penalty holds one
# of them back near small weights.

TrajectoryDisplay.from_search(search, color_by="alpha")

# %%
# The loss that scikit-learn reports contains the penalty.

TrainingCurveDisplay.from_search(search, "train_loss", log=True, color_by="alpha")

# %%
# How far each went, in which steps, and how much a step goes on in the direction of
# the one before.

run = search.run_
weak, strong = run.trajectory(0), run.trajectory(1)
path_stats(weak).iloc[::8]

# %%
path_stats(strong).iloc[::8]

# %%
# When weights settle: the cosine with what they are in the end.

settling(weak).plot(ylabel="Cosine with the end", figsize=(6, 3.5))
plt.tight_layout()

# %%
# On the straight line between the two ends, accuracy does not drop: from one start, and
# with one order of the samples, they came to one basin.

ScorePathDisplay.from_search(search, 0, 1, X_test, y_test)

# %%
# Two networks from different starts are not so lucky, until their hidden units are in
# one order.

with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)
    starts = WeightTrackingGridSearchCV(model, {"random_state": [0, 1]}, cv=2).fit(
        X_train, y_train
    )
ScorePathDisplay.from_search(starts, 0, 1, X_test, y_test, align=True)
