"""The skorch callback that follows a net through its epochs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

from skorch.callbacks import Callback

from weightsearch._records import Array
from weightsearch.frameworks._epochs import TakeSnapshot

__all__ = ["SnapshotCallback"]


class SnapshotCallback(Callback):  # type: ignore[misc]
    """Call `take` before the first epoch and after each; a copy does nothing."""

    def __init__(
        self,
        take: TakeSnapshot | None = None,
        weights: Callable[[Any], Mapping[str, Array]] | None = None,
        optimizer: Callable[[Any], Mapping[str, Array]] | None = None,
    ):
        self.take = take
        self.weights = weights
        self.optimizer = optimizer
        self.n_done = self.n_steps = 0
        self.learning_rate = float("nan")

    def __reduce__(self) -> Any:
        # A checkpoint of the net must not hold what is for this fit alone.
        return type(self), ()

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **_: Any) -> None:
        """Take the state before training."""
        if not self.n_done:
            self._take(net, {})

    def on_epoch_begin(self, net: Any, **_: Any) -> None:
        """Note the learning rate, which callbacks may change at the end."""
        optimizer = getattr(net, "optimizer_", None)
        if optimizer is not None:
            self.learning_rate = float(optimizer.param_groups[0]["lr"])

    def on_batch_end(
        self, net: Any, batch: Any = None, training: bool = False, **_: Any
    ) -> None:
        """Count the updates."""
        self.n_steps += bool(training)

    def on_epoch_end(self, net: Any, **_: Any) -> None:
        """Take the state after an epoch."""
        self.n_done += 1
        info = {
            name: float(value)
            for name, value in net.history[-1].items()
            if isinstance(value, Real)
            and not isinstance(value, bool)
            and name not in ("epoch", "dur")
            and not name.endswith(("_best", "_batch_count"))
        }
        self._take(net, {"learning_rate": self.learning_rate, **info})

    def _take(self, net: Any, info: dict[str, float]) -> None:
        take, weights, optimizer = self.take, self.weights, self.optimizer
        if take is not None and weights is not None and optimizer is not None:
            n_steps = self.n_steps
            take(
                self.n_done,
                lambda: weights(net),
                lambda: {"step": n_steps, **info},
                lambda: optimizer(net),
            )
