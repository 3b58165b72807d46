"""Two searches compared, down to the bits of what they have stored."""

from __future__ import annotations

from collections import Counter

import numpy as np
from cluster_processes import lines
from sklearn.model_selection import StratifiedKFold

from weightsearch import StoreError, WeightStore


def assert_same(search, reference):
    """Results but times, and the weights of every fit, are the same bit for bit."""
    ours, theirs = search.cv_results_, reference.cv_results_
    assert ours.keys() == theirs.keys()
    assert ours["params"] == theirs["params"]
    for name in ours:
        if name != "params" and not name.endswith("_time"):
            np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    n_arrays = 0
    for candidate in reference.run_.candidates.index:
        for split in (None, *range(reference.n_splits_)):
            mine = search.run_.weights(candidate, split=split)
            for name, array in reference.run_.weights(candidate, split=split).items():
                same = mine[name]
                assert (same.dtype, same.shape) == (array.dtype, array.shape)
                assert same.flags.f_contiguous == array.flags.f_contiguous
                assert same.tobytes() == array.tobytes(), (candidate, split, name)
                n_arrays += 1
    assert n_arrays >= 2 * len(reference.run_.candidates)
    assert search.run_.status == reference.run_.status == "complete"
    assert search.store_.verify() == []


def stored(path):
    """Return (candidate, split) of all fits that a store shows just now."""
    try:
        with WeightStore(path) as store:
            return {
                (int(candidate), int(split))
                for run in store.runs.values()
                for candidate, split in zip(
                    run._table.candidate, run._table.split, strict=True
                )
            }
    except StoreError:
        return set()


def assert_fitted_once(fits, log, X, y, grid, n_splits):
    """Each of these fits is in the log once, however often others were tried."""
    sums = [X[train].sum() for train, _ in StratifiedKFold(n_splits).split(X, y)]
    tried = Counter((float(C), total) for _, C, total in lines(log))
    again = {
        (candidate, split): n
        for candidate, split in fits
        if (n := tried[grid["C"][candidate], f"{sums[split]:.3f}"]) != 1
    }
    assert again == {}
