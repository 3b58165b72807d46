"""Write the store of format 1 that the tests read for ever, and what is in it."""

from __future__ import annotations

import json
from pathlib import Path

import ml_dtypes
import numpy as np
from scipy import sparse
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils._testing import ignore_warnings
from store_memory import MemoryRun, mlp_results, refit, write

from weightsearch._records import FAILED, FitRecord, Weights

HERE = Path(__file__).parent


@ignore_warnings(category=ConvergenceWarning)
def mlp(candidate: int) -> Weights:
    X, y = load_iris(return_X_y=True)
    size = 3 + candidate % 2
    model = MLPClassifier((size,), max_iter=20, random_state=candidate).fit(X, y)
    return Weights(
        [(f"coefs_/{i}", array) for i, array in enumerate(model.coefs_)]
        + [(f"intercepts_/{i}", array) for i, array in enumerate(model.intercepts_)]
    )


def tree(leaves: int) -> Weights:
    X, y = load_iris(return_X_y=True)
    noise = np.random.default_rng(0).permutation(y)
    model = DecisionTreeClassifier(max_leaf_nodes=leaves, random_state=0)
    state = model.fit(X, noise).tree_.__getstate__()
    return Weights({"tree_/nodes": state["nodes"], "tree_/values": state["values"]})


def odd() -> Weights:
    matrix = sparse.csr_array(np.eye(3, dtype=np.float32))
    parts = {name: getattr(matrix, name) for name in ("data", "indices", "indptr")}
    return Weights(
        {
            "a": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
            "a/b": np.arange(3).astype(ml_dtypes.bfloat16),
            "": np.array(True),
            "50%/..": np.array(["x", "éü"]),
            "when": np.array("2025-01-01", "<M8[D]"),
            "big": np.arange(4, dtype=">f2"),
            "none": np.zeros((0, 2), np.complex64),
        }
        | {f"coef_/{name}": array for name, array in parts.items()}
        | {"coef_/shape": np.array(matrix.shape)},
        ties={"tied": "a"},
        encodings={"coef_": "csr"},
    )


def main() -> None:
    failed = FitRecord(3, 1, FAILED, None, {"test_scores": np.nan, "fit_error": "no"})
    nets = [refit(i, mlp(i), test_scores={"score": i / 8}) for i in range(8)]
    runs = [
        MemoryRun([*nets, failed], name="nets", splits=[(np.arange(9), np.arange(3))]),
        MemoryRun(
            [refit(i, tree(2 + i)) for i in range(20)],
            name="trees",
            uid="b" * 32,
            started="2025-01-02T00:00:00+00:00",
        ),
        MemoryRun(
            [refit(0, odd())],
            name="odd/names",
            uid="d" * 32,
            started="2025-01-03T00:00:00+00:00",
        ),
    ]
    results = {run.uid: mlp_results(run) for run in runs[:2]}
    # The best weights are those of a fit that has some.
    results[runs[0].uid] = mlp_results(MemoryRun(nets, uid=runs[0].uid))
    write(HERE / "store.h5", *runs, results=results)
    write(HERE / "compressed.h5", *runs, results=results, compression="gzip")
    write_expected(runs)


def write_expected(runs: list[MemoryRun]) -> None:
    """Write every array's bytes, type and shape in files that need no HDF5."""
    content, raw = [], {}
    for run in runs:
        for row, record in enumerate(run.records):
            for name, array in (record.weights or {}).items():
                key = f"{len(raw):04}"
                raw[key] = np.frombuffer(array.tobytes("C"), np.uint8)
                order = "F" if array.flags.f_contiguous else "C"
                content.append(
                    {
                        "key": key,
                        "run": run.header.name,
                        "row": row,
                        "name": name,
                        "dtype": str(array.dtype),
                        "shape": list(array.shape),
                        "order": "C" if array.flags.c_contiguous else order,
                    }
                )
    (HERE / "expected.json").write_text(json.dumps(content, indent=0))
    np.savez_compressed(HERE / "expected.npz", **raw)


if __name__ == "__main__":
    main()
