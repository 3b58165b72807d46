"""
scikit-learn: every network of a grid
=====================================

``GridSearchCV`` leaves one fitted model. Here six multilayer perceptrons are fitted to
the wine data, and the weights of all six are kept.
"""

from sklearn.datasets import load_wine
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from weightsearch import WeightTrackingGridSearchCV
from weightsearch.plot import WeightDistributionDisplay, WeightHeatmapDisplay

X, y = load_wine(return_X_y=True)
model = make_pipeline(StandardScaler(), MLPClassifier(max_iter=1000, random_state=42))
grid = {
    "mlpclassifier__hidden_layer_sizes": [(20,), (50,), (20, 20)],
    "mlpclassifier__activation": ["relu", "tanh"],
}
search = WeightTrackingGridSearchCV(model, grid, cv=3).fit(X, y)
search.best_params_

# %%
# The weights of the best model are those of ``best_estimator_``, under their names.

for name, weight in search.best_weights_.items():
    print(f"{name:30} {weight.shape}")

# %%
# Other candidates are found by their params.

params = {
    "mlpclassifier__hidden_layer_sizes": (20, 20),
    "mlpclassifier__activation": "tanh",
}
search.weights_by_params_[params]["mlpclassifier/coefs_/1"].shape

# %%
# The run has a table of candidates, and their weights.

run = search.run_
run.candidates[["rank_test_score", *grid]]

# %%
# Two weights of all candidates at once, in the order of their scores. ``coefs_/1`` is
# the output layer of networks with one hidden layer, and the second hidden layer of the
# others.

first, second = "mlpclassifier/coefs_/0", "mlpclassifier/coefs_/1"
WeightDistributionDisplay.from_search(search, [first, second])

# %%
# Which features does the best network look at? Rows are the 13 features of a wine,
# columns the hidden units.

WeightHeatmapDisplay.from_search(search, first)
