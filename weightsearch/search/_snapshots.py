"""Snapshots of the weights of fits while they train."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone

from weightsearch._records import (
    OPTIMIZER,
    OPTIMIZER_KEPT,
    Array,
    Outcome,
    Snapshots,
)
from weightsearch.exceptions import SnapshotError, SnapshotWarning, StoreError
from weightsearch.frameworks._epochs import epochs_of, final_estimator, why_no_epochs
from weightsearch.store import Spool, StoredFit, has_optimizer

__all__ = [
    "SnapshotPlan",
    "Snapshotter",
    "WantedSnapshots",
    "all_in_model",
    "check_epochs",
    "follow_fit",
    "make_plan",
]

_BLOCK_BYTES = 4 << 20
"""Bytes of snapshots that a worker holds in memory."""

_SPOOL_SECONDS = 2.0
"""From then on, and as often, a fit under way writes what it has into its spool."""

_DTYPES = {"epoch": np.int64, "step": np.int64, "time": np.float64}


@dataclass(frozen=True)
class SnapshotPlan:
    """A value for the param ``snapshots`` of a search, with more than epochs.

    Parameters
    ----------
    epochs : "all", int, list of int or callable, default="all"
        The epochs, as the param itself takes them.
    optimizer : bool, default=False
        Whether the state of the optimizer is kept with each snapshot, such as Adam's
        moments. Then :meth:`Run.rewind <weightsearch.Run.rewind>` gives a model that
        trains on as it did, bit for bit, if it gets the same batches and random
        numbers. Adam's state takes twice the room of the weights.

    Examples
    --------
    >>> from weightsearch import SnapshotPlan
    >>> SnapshotPlan(10, optimizer=True)
    SnapshotPlan(epochs=10, optimizer=True)
    """

    epochs: Any = "all"
    optimizer: bool = False


@dataclass(frozen=True)
class WantedSnapshots:
    """Which snapshots a search takes.

    Attributes
    ----------
    wanted : "all", int, tuple of int or callable
    store : Path
        The store's file.
    optimizer : bool
        Whether the state of the optimizer is kept too.
    """

    wanted: Any
    store: Path = Path()
    optimizer: bool = False

    def wants(self, epoch: int) -> bool:
        """Whether the state after an epoch is kept."""
        wanted = self.wanted
        if isinstance(wanted, str):
            return True
        if isinstance(wanted, int):
            return epoch % wanted == 0
        if isinstance(wanted, tuple):
            return epoch in wanted
        return bool(wanted(epoch))

    @property
    def named(self) -> tuple[int, ...]:
        """The epochs of a list."""
        return self.wanted if isinstance(self.wanted, tuple) else ()

    def beyond(self, n_epochs: int) -> list[int]:
        """Return the epochs that are named, and that a fit did not come to."""
        return [epoch for epoch in self.named if epoch > n_epochs]

    def accepts(self, stored: StoredFit) -> bool:
        """Whether a stored fit has all snapshots that are wanted of it."""
        found = stored.snapshots
        if found is None:
            return False
        if self.optimizer and len(found) and not has_optimizer(found):
            return False
        have = set(found.columns["epoch"].tolist())
        return all(
            epoch in have or not self.wants(epoch)
            for epoch in range(found.n_epochs + 1)
        )


def make_plan(snapshots: Any) -> WantedSnapshots | None:
    """Check the param ``snapshots`` of a search.

    Raises
    ------
    SnapshotError
        If it is nothing that says which epochs are wanted.
    """
    if snapshots is None:
        return None
    if isinstance(snapshots, SnapshotPlan):
        epochs = _epochs(snapshots.epochs)
        return WantedSnapshots(epochs, optimizer=bool(snapshots.optimizer))
    return WantedSnapshots(_epochs(snapshots))


def _epochs(snapshots: Any) -> Any:
    if callable(snapshots) or snapshots == "all":
        return snapshots
    if _is_integer(snapshots):
        if snapshots < 1:
            raise SnapshotError(
                f"snapshots={snapshots} is not a positive number: an int n keeps every "
                "n-th epoch."
            )
        return int(snapshots)
    if isinstance(snapshots, str | bytes | Mapping) or not isinstance(
        snapshots, Iterable
    ):
        raise SnapshotError(
            f"snapshots={snapshots!r} does not say which epochs are wanted: pass "
            "'all', an int n for every n-th, a list of epochs, or a function of the "
            "epoch that returns a bool."
        )
    epochs = list(snapshots)
    wrong = [epoch for epoch in epochs if not _is_integer(epoch) or epoch < 0]
    if wrong or not epochs:
        found = f"has {wrong[0]!r} among its epochs" if wrong else "is empty"
        raise SnapshotError(
            f"snapshots={epochs!r} {found}: name epochs from 0 (before training) on."
        )
    repeated = sorted({epoch for epoch in epochs if epochs.count(epoch) > 1})
    if repeated:
        raise SnapshotError(f"snapshots={epochs!r} has epoch {repeated[0]} twice.")
    return tuple(sorted(map(int, epochs)))


def _is_integer(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool | np.bool_)


def check_epochs(estimator: Any, candidates: Iterable[Mapping[str, Any]]) -> None:
    """Raise before any fit if a candidate has no epochs that can be followed.

    Raises
    ------
    SnapshotError
    """
    seen = set()
    for params in candidates:
        parts = _parts(params)
        structure = frozenset((name, id(value)) for name, value in parts.items())
        if structure not in seen:
            seen.add(structure)
            _check(_with(estimator, parts))
    if not seen:
        _check(estimator)


def _check(estimator: Any) -> None:
    reason = why_no_epochs(estimator)
    if reason is not None:
        raise SnapshotError(f"snapshots is set, but {reason}.")


def all_in_model(estimator: Any, params: Mapping[str, Any]) -> bool:
    """Whether all epochs of a candidate are in its final model, as with boosting."""
    _, final = final_estimator(_with(estimator, _parts(params)))
    epochs = epochs_of(type(final))
    return epochs is not None and epochs.watch is None


def _parts(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the params that decide which estimator is the final one."""
    return {
        name: value
        for name, value in params.items()
        if hasattr(value, "get_params")
        or (isinstance(value, str) and value == "passthrough")
    }


def _with(estimator: Any, parts: Mapping[str, Any]) -> Any:
    return clone(estimator).set_params(**parts) if parts else estimator


class Snapshotter:
    """Take the snapshots of one fit, in the process that makes it.

    At most :data:`_BLOCK_BYTES`, or one snapshot, are in memory; what is more goes into
    a file beside the store. So does what has come in :data:`_SPOOL_SECONDS`, for those
    who read the fit under way.

    Parameters
    ----------
    plan : WantedSnapshots
    run : str
        Uid of the run.
    candidate, split : int
        The fit.
    """

    def __init__(self, plan: WantedSnapshots, run: str, candidate: int, split: int):
        self._plan = plan
        self._fit = run, candidate, split
        self._began = self._spooled_at = 0.0
        self.seconds = 0.0
        """Seconds that the snapshots took"""
        self._n_epochs = 0
        self._prefix = ""
        self._names: list[str] = []
        self._paths: list[str] = []
        self._weights: Set[str] = set()
        self._kinds: list[tuple[np.dtype[Any], tuple[int, ...]]] = []
        # One each per weight: of the block that is gathered, and the last content.
        self._contents: list[list[bytes]] = []
        self._changed: list[list[bool]] = []
        self._last: list[bytes | None] = []
        self._infos: list[dict[str, float]] = []
        self._kept: list[int] = []
        """Epochs of the snapshots"""
        self._n_bytes = 0
        self._blocks: list[Mapping[str, Array]] = []
        self._spool: Spool | None = None
        self._n_spooled = 0
        """Blocks in memory that are in the spool too"""
        self._may_spool = True
        self._needs_spool = False
        self._expected = True
        self._n_taken = 0
        self._notes: list[Warning] = []

    @contextmanager
    def following(self, estimator: Any) -> Iterator[None]:
        """Take snapshots while the estimator is fitted in the block.

        Raises
        ------
        SnapshotError
            If its epochs cannot be followed.
        """
        _check(estimator)
        self._prefix, final = final_estimator(estimator)
        epochs = epochs_of(type(final))
        assert epochs is not None
        self._expected = epochs.watch is not None
        self._began = self._spooled_at = time.perf_counter()
        watch = epochs.watch
        try:
            with nullcontext() if watch is None else watch(final, self._take):
                yield
        except Exception:
            self.abandon()
            raise
        except BaseException:
            # Of a fit that is interrupted, what there is stays.
            if self._spool is not None:
                self._spool_now_and_then()
            raise

    def _take(
        self,
        epoch: int,
        weights: Callable[[], Mapping[str, Array]],
        info: Callable[[], Mapping[str, float]],
        optimizer: Callable[[], Mapping[str, Array]],
    ) -> None:
        start = time.perf_counter()
        self._n_epochs = epoch
        self._n_taken += 1
        if self._plan.wants(epoch):
            seconds = start - self._began - self.seconds
            arrays = weights()
            state = self._optimizer_state(optimizer) if self._plan.optimizer else {}
            self._add(arrays, state, {"epoch": epoch, "time": seconds, **info()})
        if start - self._spooled_at > _SPOOL_SECONDS and self._n_taken > 1:
            self._spool_now_and_then()
        self.seconds += time.perf_counter() - start

    def _optimizer_state(
        self, optimizer: Callable[[], Mapping[str, Array]]
    ) -> dict[str, Array]:
        try:
            state = optimizer()
        except TypeError as error:
            note = (
                f"The state of the optimizer could not be kept: {error}. The models "
                "cannot be trained on as they were."
            )
            if note not in map(str, self._notes):
                self._notes.append(SnapshotWarning(note))
            return {OPTIMIZER_KEPT: np.array(False)}
        named = {OPTIMIZER + name: array for name, array in state.items()}
        return {OPTIMIZER_KEPT: np.array(True), **named}

    def _add(
        self,
        weights: Mapping[str, Array],
        state: Mapping[str, Array],
        info: dict[str, float],
    ) -> None:
        if not weights:
            self._warn_of_missing(info["epoch"], info["epoch"])
            return
        names = [*weights, *state]
        arrays = [*weights.values(), *state.values()]
        kinds = [(array.dtype, array.shape) for array in arrays]
        if kinds != self._kinds or names != self._names:
            if self._weights < weights.keys():
                # Lazy modules have no weights before they have seen a batch.
                self._forget()
            self._flush()
            known = dict(
                zip(self._names, zip(self._kinds, self._last, strict=True), strict=True)
            )
            self._last = [
                known[name][1] if name in known and known[name][0] == kind else None
                for name, kind in zip(names, kinds, strict=True)
            ]
            self._names, self._kinds = names, kinds
            self._weights = set(weights)
            self._paths = [*(self._prefix + name for name in weights), *state]
            if any(path.startswith(OPTIMIZER) for path in self._paths[: len(weights)]):
                raise SnapshotError(
                    f"There is a weight whose name begins with {OPTIMIZER!r}, as the "
                    "state of the optimizer does. Rename the step of the pipeline."
                )
            self._begin_block()
        for number, array in enumerate(arrays):
            content = array.tobytes()
            changed = content != self._last[number]
            self._changed[number].append(changed)
            if changed:
                self._last[number] = content
                self._contents[number].append(content)
                self._n_bytes += len(content)
        self._infos.append(info)
        self._kept.append(int(info["epoch"]))
        if self._n_bytes >= _BLOCK_BYTES:
            self._spool_all()
            self._needs_spool = True
            self._blocks = []
            self._n_spooled = self._n_bytes = 0

    def _forget(self) -> None:
        """Drop the snapshots taken until now."""
        if self._kept:
            self._warn_of_missing(self._kept[0], self._kept[-1])
        self.abandon()
        self._spool = None
        self._needs_spool = False
        self._blocks, self._kept = [], []
        self._last = [None] * len(self._names)
        self._begin_block()
        self._n_spooled = self._n_bytes = 0

    def _warn_of_missing(self, first: float, last: float) -> None:
        which = f"epoch {first}" if first == last else f"epochs {first} to {last}"
        self._notes.append(
            SnapshotWarning(
                f"There is no snapshot of {which}: the model had not yet made all its "
                "weights. Build it before it is trained."
            )
        )

    def _flush(self) -> None:
        """Make a block of what has been gathered."""
        if not self._infos:
            return
        block = _columns(self._infos)
        gathered = zip(
            self._paths, self._kinds, self._changed, self._contents, strict=True
        )
        for name, (dtype, shape), changes, contents in gathered:
            changed = np.array(changes, bool)
            if not changed.all():
                block[f"changed/{name}"] = changed
            raw = np.frombuffer(b"".join(contents), dtype)
            block[f"weights/{name}"] = raw.reshape(len(contents), *shape)
        self._blocks.append(block)
        self._begin_block()

    def _begin_block(self) -> None:
        self._infos = []
        self._contents = [[] for _ in self._names]
        self._changed = [[] for _ in self._names]

    def _spool_all(self) -> None:
        """Write all that is in memory into the spool."""
        self._flush()
        if self._spool is None:
            self._spool = Spool(self._plan.store, *self._fit)
        for block in self._blocks[self._n_spooled :]:
            self._spool.write(block, self._n_epochs)
            self._n_spooled += 1

    def _spool_now_and_then(self) -> None:
        """Let others read the fit under way."""
        if self._may_spool and (self._infos or self._n_spooled < len(self._blocks)):
            try:
                self._spool_all()
            except StoreError:
                # Elsewhere, where the store's folder is not, memory may suffice.
                self._may_spool = False
        self._spooled_at = time.perf_counter()

    def finish(self, outcome: Outcome) -> Outcome:
        """Add the snapshots to what came of the fit."""
        if outcome.weights is None or not self._expected:
            self.abandon()
            return outcome
        if not self._n_taken:
            # Its own fit calls neither ours nor the training loop of its framework.
            warning = SnapshotWarning(
                "There are no snapshots, since the estimator's fit reports no epochs. "
                "Does its class replace the training loop of its framework?"
            )
            return outcome._replace(notes=(*outcome.notes, warning))
        self._flush()
        spooled = None
        if self._spool is not None and self._needs_spool:
            self._spool.close()
            spooled = self._spool.blocks
            self._blocks = self._blocks[self._n_spooled :]
        else:
            self.abandon()
        snapshots = Snapshots(self._n_epochs, tuple(self._blocks), spooled)
        notes = (*outcome.notes, *self._notes)
        return outcome._replace(snapshots=snapshots, notes=notes)

    def abandon(self) -> None:
        """Remove what was written."""
        if self._spool is not None:
            self._spool.remove()


def _columns(infos: Sequence[Mapping[str, float]]) -> dict[str, Array]:
    """Return what is known of some snapshots, as columns."""
    block = {
        name: np.array([info.get(name, -1) for info in infos], dtype)
        for name, dtype in _DTYPES.items()
    }
    names = dict.fromkeys(name for info in infos for name in info)
    for name in names:
        if name not in _DTYPES:
            values = [info.get(name, np.nan) for info in infos]
            block[f"metrics/{name}"] = np.array(values, np.float64)
    return block


def follow_fit(estimator: Any, snapshotter: Snapshotter) -> None:
    """Let the next call of ``estimator.fit`` take snapshots."""

    def fit(*args: Any, **kwargs: Any) -> Any:
        del vars(estimator)["fit"]
        with snapshotter.following(estimator):
            return estimator.fit(*args, **kwargs)

    # Not by setattr, of which estimators have their own.
    vars(estimator)["fit"] = fit
