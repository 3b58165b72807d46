"""Weights over time: the snapshots of a fit, and models as they were after an epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from weightsearch._copies import memory_order
from weightsearch._records import (
    OPTIMIZER,
    OPTIMIZER_KEPT,
    Array,
    FitSnapshots,
    RunSource,
    Weights,
    WeightSpecs,
)
from weightsearch.exceptions import (
    RebuildError,
    SnapshotError,
    WeightsNotFoundError,
)
from weightsearch.frameworks._epochs import epochs_of, final_estimator
from weightsearch.run._weights import listed

__all__ = [
    "Trajectory",
    "cut_model",
    "optimizer_at",
    "resumable",
    "stack_at",
    "weights_at",
]

_METRICS = "metrics/"


class Trajectory(Mapping[str, Array]):
    """The weights of one fit over time, read on access.

    A mapping from the name of a weight to an array of shape ``(n_snapshots, *shape)``.
    What was not trained, such as the scaler of a pipeline, is not in it.

    Attributes
    ----------
    epochs : ndarray of shape (n_snapshots,), int
        Epochs that were done at each snapshot; 0 is the state before training.
    n_epochs : int
        Epochs that the fit trained.
    is_finished : bool
        Whether the fit has ended. If not, ask the run again for what has come since.
    metrics : DataFrame
        What the framework knew at each snapshot; the index is the epoch. ``step``:
        updates of the weights so far; ``time``: seconds since the fit began, without
        those that the snapshots took; ``learning_rate`` during the epoch; losses and
        metrics under the framework's own names.
    """

    def __init__(
        self,
        snapshots: FitSnapshots,
        specs: WeightSpecs | None,
        indexes: Array | None = None,
    ):
        self._snapshots = snapshots
        self._specs = specs
        self._indexes = np.arange(len(snapshots)) if indexes is None else indexes
        # A fit that has not ended has no final weights.
        self.is_finished = specs is not None
        self.ties = {} if specs is None else dict(specs.ties)
        self.n_epochs = snapshots.n_epochs

    @cached_property
    def epochs(self) -> Array:
        """Epochs that were done at each snapshot."""
        epochs: Array = self._snapshots.columns["epoch"][self._indexes]
        return epochs

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """What the framework knew at each snapshot; the index is the epoch."""
        columns = {
            name.removeprefix(_METRICS): column[self._indexes]
            for name, column in self._snapshots.columns.items()
            if name != "epoch"
        }
        known = {
            name: column
            for name, column in columns.items()
            if not np.isnan(column.astype(float)).all()
        }
        return pd.DataFrame(known, pd.Index(self.epochs, name="epoch"))

    @cached_property
    def _names(self) -> list[str]:
        return snapshot_names(self._snapshots)

    def __getitem__(self, name: str) -> Array:
        return read_weight(self._snapshots, self._known(name), self._indexes)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names or self.ties.get(str(name)) in self._names

    def at(self, epoch: int) -> dict[str, Array]:
        """All weights after an epoch.

        Raises
        ------
        SnapshotError
            If there is no snapshot of it.
        """
        index = np.array([index_of(self._snapshots, epoch)])
        return {name: read_weight(self._snapshots, name, index)[0] for name in self}

    def thinned(self, n: int) -> Trajectory:
        """A trajectory of at most `n` snapshots: the first, the last, some between.

        Those between are evenly spaced. The others are never read, so that long
        trajectories of large models fit into memory.

        Parameters
        ----------
        n : int
            At least 2.

        Returns
        -------
        trajectory : Trajectory
            This one, if it has no more.
        """
        if n < 2:
            raise ValueError(f"n must be at least 2, got {n}.")
        count = len(self._indexes)
        if count <= n:
            return self
        places = np.rint(np.linspace(0, count - 1, n)).astype(int)
        return Trajectory(self._snapshots, self._specs, self._indexes[places])

    def _known(self, name: str) -> str:
        name = self.ties.get(name, name)
        if name not in self._names:
            raise WeightsNotFoundError(
                f"There are no snapshots of a weight {name!r}; there are those of "
                f"{listed(self._names)}."
            )
        return name

    def __repr__(self) -> str:
        epochs = self.epochs
        span = f"epochs {epochs[0]} to {epochs[-1]}" if len(epochs) else "none"
        if not self.is_finished:
            span += ", unfinished"
        return f"<Trajectory: {len(self)} weights, {len(epochs)} snapshots ({span})>"


def snapshot_names(snapshots: FitSnapshots) -> list[str]:
    """Return the names of the weights that snapshots have."""
    specs = snapshots.specs(0) if len(snapshots) else None
    names = [] if specs is None else [spec.name for spec in specs.arrays]
    return [name for name in names if not name.startswith(OPTIMIZER)]


def optimizer_at(
    source: RunSource, row: int, epoch: int, what: str
) -> dict[str, Array] | None:
    """Return the state of a fit's optimizer after an epoch; None if not wanted.

    Raises
    ------
    SnapshotError
        If it could not be kept.
    """
    snapshots = source.snapshots(row)
    if snapshots is None:
        return None
    index = index_of(snapshots, epoch, what)
    # The first steps of most optimizers make their moments.
    specs = {id(one): one for one in map(snapshots.specs, range(index + 1))}
    names = {
        spec.name: None
        for one in specs.values()
        for spec in (() if one is None else one.arrays)
        if spec.name.startswith(OPTIMIZER)
    }
    at = np.array([index])
    found = {name: read_weight(snapshots, name, at)[0, ...] for name in names}
    kept = found.pop(OPTIMIZER_KEPT, None)
    if kept is None:
        return None
    if not kept:
        raise SnapshotError(
            f"{what} cannot be trained on as it was: the state of its optimizer could "
            "not be kept, of which its search warned. To train it with a new one, set "
            "warm_start=True on load_estimator(candidate, epoch=...)."
        )
    return {name.removeprefix(OPTIMIZER): array for name, array in found.items()}


def index_of(snapshots: FitSnapshots, epoch: int, what: str = "") -> int:
    """Return which snapshot is that of an epoch."""
    epochs = snapshots.columns["epoch"]
    found = np.flatnonzero(epochs == epoch)
    if not len(found):
        shown = ", ".join(map(str, epochs[:20].tolist()))
        more = ", ..." if len(epochs) > 20 else ""
        there = f"there are those of {shown}{more}" if len(epochs) else "none was taken"
        begin = f"{what}: there" if what else "There"
        raise SnapshotError(
            f"{begin} is no snapshot of epoch {epoch}; the fit trained "
            f"{snapshots.n_epochs} epochs, and {there}."
        )
    return int(found[0])


def read_weight(snapshots: FitSnapshots, name: str, indexes: Array) -> Array:
    """Return a weight in some snapshots, stacked."""
    rows = np.flatnonzero(snapshots.changed(name))
    places = np.searchsorted(rows, indexes, "right") - 1
    needed, inverse = np.unique(places, return_inverse=True)
    if not len(indexes) or needed[0] < 0:
        raise WeightsNotFoundError(f"There are no snapshots of a weight {name!r}.")
    found = snapshots.stack(name, rows[needed])
    same = len(needed) == len(indexes) and (np.diff(indexes) > 0).all()
    return found if same else found[inverse]


def weights_at(
    source: RunSource, row: int, weights: Weights, epoch: int, what: str
) -> Weights | None:
    """Return a fit's weights as they were after an epoch.

    None where no snapshots were taken: the final model may have all its epochs.
    """
    snapshots = source.snapshots(row)
    if snapshots is None:
        return None
    index = np.array([index_of(snapshots, epoch, what)])
    found = dict(weights)
    for name in snapshot_names(snapshots):
        if name not in found:
            raise RebuildError(f"{what}: the model had no weight {name!r} in the end.")
        order: Any = memory_order(found[name])
        array = read_weight(snapshots, name, index)[0]
        found[name] = np.array(array, order=order)
    return Weights(found, ties=weights.ties, encodings=weights.encodings)


def cut_model(estimator: Any, epoch: int, what: str) -> Any:
    """Make a rebuilt model with all its epochs the one that it was after some."""
    _, final = final_estimator(estimator)
    epochs = epochs_of(type(final))
    if epochs is None or epochs.cut is None or epochs.count is None:
        raise SnapshotError(
            f"{what} after epoch {epoch}: no snapshots were taken. Search with "
            "snapshots='all', or name the epochs."
        )
    count = epochs.count(final)
    if not 1 <= epoch <= count:
        raise SnapshotError(f"{what} after epoch {epoch}: it has {count} stages.")
    if epoch < count:
        epochs.cut(final, epoch)
    return estimator


def resumable(estimator: Any, what: str, state: Mapping[str, Array] | None) -> Any:
    """Let ``fit`` of a rebuilt estimator go on from its weights.

    Its optimizer has a state, or else is a new one.

    Raises
    ------
    RebuildError
        If its framework cannot.
    """
    _, final = final_estimator(estimator)
    epochs = epochs_of(type(final))
    reason = "it has no epochs" if epochs is None else epochs.why_not_resumed
    if epochs is None or epochs.resume is None:
        raise RebuildError(f"{what} cannot be trained on: {reason}.")
    epochs.resume(final)
    if state is not None and epochs.restore is not None:
        try:
            epochs.restore(final, state)
        except (TypeError, ValueError, LookupError) as error:
            raise RebuildError(
                f"{what}: the state of its optimizer does not fit this model: {error}."
            ) from error
    return estimator


def stack_at(
    source: RunSource, name: str, rows: Sequence[int], epoch: int
) -> tuple[Array | None, Array]:
    """Return a weight after an epoch in the rows that have it, and which do."""
    has_it = np.zeros(len(rows), bool)
    parts = []
    for place, row in enumerate(rows):
        snapshots = source.snapshots(row)
        if snapshots is not None and name in snapshot_names(snapshots):
            index = np.flatnonzero(snapshots.columns["epoch"] == epoch)
            if len(index):
                has_it[place] = True
                parts.append(read_weight(snapshots, name, index[:1])[0])
    return np.stack(parts) if parts else None, has_it
