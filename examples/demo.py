"""Three searches in three frameworks, written to one store and shown.

    python examples/demo.py [folder]

Runs the three examples in this folder on data that comes with scikit-learn, all with
one store, and shows the candidates with their weights, best first. Without the
frameworks, `weightsearch demo` does the same with scikit-learn alone.
"""

import sys
import tempfile
import time
from pathlib import Path

import keras_digits
import pandas as pd
import sklearn_mlp
import torch_breast_cancer

from weightsearch import WeightStore, weight_stats
from weightsearch.cli._demo import closing_words, run_search

EXAMPLES = (sklearn_mlp, keras_digits, torch_breast_cancer)


def run_searches(path):
    """Run the three searches into one store."""
    for number, example in enumerate(EXAMPLES, start=1):
        print(f"\n[{number}/{len(EXAMPLES)}] {example.NAME}", flush=True)
        run_search(*example.build(path))


def last(name, separator):
    """Return a name without the pipeline step that it begins with."""
    return name.rpartition(separator)[2] if separator in name else name


def ranked(run):
    """Return the numbers of a run's candidates, the best first."""
    return run.candidates.sort_values("rank_test_score", kind="stable").index.tolist()


def network(run, candidate):
    """Return a candidate's weights without those of the scaler before it."""
    weights = run.weights(candidate)
    return {name: weights[name] for name in weights if "scaler/" not in name}


def weights_table(run):
    """Return a table with one row per weight, the best candidate first."""
    rows = []
    for place, candidate in enumerate(ranked(run), start=1):
        score = run.candidates.loc[candidate, "mean_test_score"]
        params = ", ".join(
            f"{last(name, '__')}={value}"
            for name, value in run.params(candidate).items()
        )
        for name, weight in weight_stats(network(run, candidate)).iterrows():
            shape = " x ".join(str(length) for length in weight["shape"])
            norm = round(weight["l2"], 3)
            rows.append((place, f"{score:.3f}", candidate, params, name, shape, norm))
    columns = ["rank", "score", "candidate", "params", "weight", "shape", "norm"]
    return pd.DataFrame(rows, columns=columns).set_index(columns[:5])


def pair_to_compare(run):
    """Return the two best candidates that have the same architecture."""
    order = ranked(run)
    shapes = [run.weights(candidate).shapes for candidate in order]
    return next(
        (first, second)
        for i, first in enumerate(order)
        for j, second in enumerate(order)
        if i < j and shapes[i] == shapes[j]
    )


def show(path):
    """Print each run's candidates and weights, and compare two candidates."""
    with WeightStore(path) as store:
        for run, example in zip(store.runs.values(), EXAMPLES, strict=True):
            print(f"\n=== {example.NAME}: run {run.name}\n")
            print(weights_table(run).to_string())
        run = store.run()
        first, second = pair_to_compare(run)
        columns = ["shape_a", "l2_a", "l2_b", "l2_distance", "cosine"]
        print(f"\n=== Candidates {first} and {second} of the last run, compared")
        for candidate in (first, second):
            print(f"{candidate}: {dict(run.params(candidate))}")
        comparison = run.compare(first, second)
        is_network = ~comparison.index.str.contains("scaler/")
        print(comparison.loc[is_network, columns].to_string())


def main(folder=None):
    folder = Path(folder or tempfile.mkdtemp(prefix="weightsearch-demo-"))
    path = folder / "demo.h5"
    if path.exists():
        sys.exit(f"{path} already exists: name another folder.")
    begin = time.perf_counter()
    run_searches(path)
    show(path)
    print(f"\nAll done in {time.perf_counter() - begin:.0f} s.")
    print(closing_words(path))


if __name__ == "__main__":
    main(*sys.argv[1:2])
