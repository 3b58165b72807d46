"""
Intervals for a regression
==========================

How far may the truth be from a prediction? The models of the splits and their
out-of-fold residuals give CV+ intervals (`Barber, Candès, Ramdas and Tibshirani 2021
<https://doi.org/10.1214/20-AOS1965>`_), for any candidate and without a fit:
:meth:`weightsearch.Run.prediction_intervals`.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import KFold, train_test_split

from weightsearch import WeightTrackingGridSearchCV

X, X_new, y, y_new = train_test_split(
    *load_diabetes(return_X_y=True), test_size=0.3, random_state=0
)
search = WeightTrackingGridSearchCV(
    RandomForestRegressor(30, random_state=0),
    {"min_samples_leaf": [1, 5, 20]},
    cv=KFold(10, shuffle=True, random_state=0),
    capture="both",
).fit(X, y)

predicted = search.predict(X_new)
low, high = search.run_.prediction_intervals(X, y, X_new, confidence=0.9).T
inside = (low <= y_new) & (y_new <= high)
print(f"{inside.mean():.0%} of {len(y_new)} new targets are in their 90 % interval")

# %%
# Patients in the order of their prediction; crosses are outside.

order = np.argsort(predicted)
figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
place = np.arange(len(order))
ax.fill_between(place, low[order], high[order], color="C0", alpha=0.2, label="90 %")
ax.plot(place, predicted[order], color="C0", label="prediction")
for shown, marker, label in ((inside, ".", "inside"), (~inside, "x", "outside")):
    at = np.flatnonzero(shown[order])
    ax.plot(at, y_new[order][at], marker, color="C3", ms=5, label=label)
ax.set(xlabel="New patients", ylabel="Progression of diabetes")
ax.legend(ncols=4)

# %%
# Asked for more confidence, intervals get wider, and hold about the share of the
# targets that they promise.

asked = np.array([0.5, 0.6, 0.7, 0.8, 0.9, 0.95])
held, width = [], []
for confidence in asked:
    low, high = search.run_.prediction_intervals(X, y, X_new, confidence=confidence).T
    held.append(np.mean((low <= y_new) & (y_new <= high)))
    width.append(np.mean(high - low))

figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
axes[0].plot(asked, held, marker="o")
axes[0].plot(asked, asked, color="0.6", ls="--")
axes[0].set(xlabel="Confidence", ylabel="Share of targets inside")
axes[1].plot(asked, width, marker="o")
axes[1].set(xlabel="Confidence", ylabel="Mean width")
