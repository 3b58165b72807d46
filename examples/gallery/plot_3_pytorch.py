"""
PyTorch: which features does each candidate use?
================================================

Networks of skorch on the breast cancer data. Names of weights are those of the
module's ``state_dict``, after the name of the pipeline's step.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier

from weightsearch import WeightTrackingGridSearchCV


class SimpleNet(torch.nn.Module):
    """One hidden layer for 30 features."""

    def __init__(self, hidden_units=16):
        super().__init__()
        torch.manual_seed(0)  # every candidate starts from the same weights
        self.fc1 = torch.nn.Linear(30, hidden_units)
        self.fc2 = torch.nn.Linear(hidden_units, 2)

    def forward(self, x):
        """Return the logits of both classes."""
        return self.fc2(torch.relu(self.fc1(x)))


data = load_breast_cancer()
net = NeuralNetClassifier(
    SimpleNet,
    criterion=torch.nn.CrossEntropyLoss,
    optimizer=torch.optim.AdamW,
    lr=0.01,
    max_epochs=15,
    train_split=None,
    verbose=0,
)
model = make_pipeline(StandardScaler(), net)
grid = {
    "neuralnetclassifier__module__hidden_units": [8, 32],
    "neuralnetclassifier__optimizer__weight_decay": [0.0, 1.0, 10.0],
}
search = WeightTrackingGridSearchCV(model, grid, cv=3)
search.fit(data.data.astype("float32"), data.target)

for name, weight in search.best_weights_.items():
    print(f"{name:34} {weight.dtype} {weight.shape}")

# %%
# How much a network uses a feature: the norm of the feature's column in the first
# layer, as a share of all. One row per candidate, the best at the top.

run = search.run_
order = run.candidates.sort_values("rank_test_score", kind="stable").index
shares, labels = [], []
for candidate in order:
    norms = np.linalg.norm(
        run.weights(candidate)["neuralnetclassifier/fc1.weight"], axis=0
    )
    shares.append(norms / norms.sum())
    hidden_units, decay = run.params(candidate).values()
    score = run.candidates.loc[candidate, "mean_test_score"]
    labels.append(f"{hidden_units} units, decay {decay:g}: {score:.3f}")

figure, ax = plt.subplots(figsize=(10, 4.5), layout="constrained")
image = ax.imshow(shares, cmap="viridis", aspect="auto")
ax.set_yticks(range(len(labels)), labels)
ax.set_xticks(range(30), data.feature_names, rotation=60, ha="right", fontsize=8)
figure.colorbar(image, label="Share of the first layer")

# %%
# The exported file can be read by any program that reads PyTorch's files.

with tempfile.TemporaryDirectory() as folder:
    path = run.export(search.best_index_, Path(folder) / "best.pt")
    for name, tensor in torch.load(path, weights_only=True).items():
        print(f"{name:34} {tensor.dtype} {tuple(tensor.shape)}")
