"""Notice an interrupt that an estimator swallows."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

__all__ = ["InterruptWatch"]


class InterruptWatch:
    """End a block with KeyboardInterrupt if SIGINT came while it ran.

    scikit-learn's networks and skorch catch KeyboardInterrupt and return a model that
    is only half trained. The handler that was there before still runs. Nothing is
    watched outside the main thread, where Python delivers no interrupt, nor where
    SIGINT is ignored or left to the system.
    """

    def __init__(self) -> None:
        self._asked = False
        self._handler: Callable[[int, FrameType | None], Any] | None = None
        self._leaving = False
        self._put_off = False

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            handler = signal.getsignal(signal.SIGINT)
            if callable(handler):
                self._handler = handler
                try:
                    signal.signal(signal.SIGINT, self._handle)
                except ValueError:
                    # The main thread of an interpreter that is not the main one.
                    self._handler = None
        return self

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        if self._leaving:
            self._put_off = True
        elif self._handler is not None:
            self._handler(number, frame)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: Any
    ) -> None:
        # From here on a signal waits until the handler before is in its place again.
        self._leaving = True
        if self._handler is None:
            return
        current = signal.getsignal(signal.SIGINT)
        # One that the block has set itself stays.
        if isinstance(getattr(current, "__self__", None), InterruptWatch):
            signal.signal(signal.SIGINT, self._handler)
        if self._put_off:
            signal.raise_signal(signal.SIGINT)
        if self._asked and (error is None or isinstance(error, Exception)):
            # An error may be that of workers which the same Ctrl-C has ended.
            raise KeyboardInterrupt from error
