"""Detect interrupts that an estimator catches and ignores."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

__all__ = ["InterruptWatch"]


class _Handler:
    """A handler of SIGINT that counts and then calls the one before it."""

    def __init__(self, before: Callable[[int, FrameType | None], Any]):
        self.before = before
        self.n_signals = 0
        self.leaving = False
        self.put_off = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.n_signals += 1
        if self.leaving:
            self.put_off = True
        else:
            self.before(number, frame)


class InterruptWatch:
    """End a block with KeyboardInterrupt if SIGINT came while it ran.

    scikit-learn's networks and skorch catch KeyboardInterrupt and return a model that
    is only half trained. The handler that was there before still runs. Nothing is
    watched outside the main thread, where Python delivers no interrupt, nor where
    SIGINT is ignored or left to the system.

    A watch within another one only reads its count, which costs next to nothing.
    """

    def __init__(self) -> None:
        self._handler: _Handler | None = None
        self._n_before = 0
        self._outermost = False

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self
        current = signal.getsignal(signal.SIGINT)
        if isinstance(current, _Handler):
            handler = current
        elif callable(current):
            handler = _Handler(current)
            try:
                signal.signal(signal.SIGINT, handler)
            except ValueError:
                # The main thread of an interpreter that is not the main one.
                return self
            self._outermost = True
        else:
            return self
        self._handler = handler
        self._n_before = handler.n_signals
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: Any
    ) -> None:
        handler = self._handler
        if handler is None:
            return
        if self._outermost:
            # From here on a signal waits until the handler before is in place again.
            handler.leaving = True
            # One that the block has set itself stays.
            if isinstance(signal.getsignal(signal.SIGINT), _Handler):
                signal.signal(signal.SIGINT, handler.before)
            if handler.put_off:
                signal.raise_signal(signal.SIGINT)
        interrupted = handler.n_signals > self._n_before
        if interrupted and (error is None or isinstance(error, Exception)):
            # An error may be that of workers which the same Ctrl-C has ended.
            raise KeyboardInterrupt from error
