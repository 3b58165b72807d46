"""
A search that was killed resumes
================================

Every finished fit is stored at once. Here a search runs in a process of its own, which
is killed in the middle with ``SIGKILL``, the signal that no program can catch and that
a system out of memory sends. Then the same search runs again.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt

from weightsearch import WeightStore

temporary = tempfile.TemporaryDirectory()
folder = Path(temporary.name)
script = folder / "search.py"
script.write_text(
    """
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier
from weightsearch import WeightTrackingGridSearchCV

X, y = load_digits(return_X_y=True)
search = WeightTrackingGridSearchCV(
    MLPClassifier((32,), max_iter=60, tol=0, n_iter_no_change=60, random_state=0),
    {"alpha": [1e-4, 1e-2, 1.0, 10.0], "activation": ["relu", "tanh"]},
    cv=2,
    store="search.h5",
    verbose=1,
)
search.fit(X / 16, y)
"""
)
environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
command = [sys.executable, script.name]

# %%
# The store can be read while the search runs, and after it was killed.

process = subprocess.Popen(command, cwd=folder, env=environment)
n_fits = [(0.0, 0)]
begin = time.monotonic()
while n_fits[-1][1] < 6 and process.poll() is None:
    time.sleep(0.1)
    try:
        with WeightStore(folder / "search.h5") as store:
            scores = store.run().candidates.filter(regex="^split._test_score$")
    except (OSError, LookupError):
        continue  # nothing is there yet
    n_fits.append((time.monotonic() - begin, int(scores.notna().sum().sum())))

process.kill()  # SIGKILL
print("exit status:", process.wait())

with WeightStore(folder / "search.h5") as store:
    run = store.run()
    print("status of the run:", run.status)
run.candidates[["alpha", "activation", "split0_test_score", "split1_test_score"]]

# %%
# The same script again says what it found.

again = subprocess.run(
    command, cwd=folder, env=environment, capture_output=True, text=True, check=True
)
print(again.stdout)

# %%
# Now every candidate has its scores, and its weights.

with WeightStore(folder / "search.h5") as store:
    run = store.run()
    n_complete = int(run.candidates["mean_test_score"].notna().sum())
    print(run.status, n_complete, "candidates,", run.n_with_weights, "with weights")

# %%
# Fits that were stored before the first process was killed:

seconds, counts = zip(*n_fits, strict=True)
figure, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
ax.step(seconds, counts, where="post")
ax.plot(seconds[-1], counts[-1], "X", color="firebrick", ms=12, label="SIGKILL")
ax.axhline(16, color="0.7", linestyle="--", label="all fits of the splits")
ax.set_xlabel("Seconds")
ax.set_ylabel("Fits in the store")
ax.legend(frameon=False, loc="center left")
