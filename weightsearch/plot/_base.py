"""The base class of displays: axes, ticks, titles and literal text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = [
    "LITERAL",
    "Display",
    "check_matplotlib",
    "drawing",
    "has_layout",
    "set_ticks",
    "set_title",
    "size_of",
    "thinned",
]

_TITLE_LETTER = 0.084  # inches, of matplotlib's own font

LITERAL: dict[str, Any] = {"parse_math": False, "usetex": False}
"""For text from users, in which ``$`` and ``_`` are not mathematics."""


def check_matplotlib(caller: str) -> None:
    """Raise an ImportError that says what to install if matplotlib is missing.

    Parameters
    ----------
    caller : str
        What needs it: class and method.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"{caller} requires matplotlib: pip install matplotlib"
        ) from error


class Display:
    """Base of all displays.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes; set by ``plot``.
    figure_ : matplotlib Figure
        Their figure.
    """

    ax_: Axes
    figure_: Figure | SubFigure

    @classmethod
    def from_search(cls, search: Any, *args: Any, **options: Any) -> Self:
        """Draw the candidates of a fitted search.

        Parameters
        ----------
        search : WeightTrackingGridSearchCV
            Fitted.
        *args, **options
            As for ``from_run``.

        Returns
        -------
        display : Display
            With its artists as attributes.
        """
        display: Self = cls.from_run(search.run_, *args, **options)  # type: ignore[attr-defined]
        return display

    @contextmanager
    def _drawing(
        self, ax: Axes | None, figsize: tuple[float, float] | None = None
    ) -> Iterator[Axes]:
        with drawing(f"{type(self).__name__}.plot", ax, figsize) as ax:
            yield ax
            self.ax_ = ax
            self.figure_ = ax.figure


@contextmanager
def drawing(
    caller: str, ax: Axes | None, figsize: tuple[float, float] | None = None
) -> Iterator[Axes]:
    """Yield axes to draw on: the user's, or those of a new figure.

    A new figure belongs to pyplot, as in scikit-learn's displays, so that notebooks
    show it; it is closed if drawing fails. With the user's axes, pyplot is not
    imported.

    Parameters
    ----------
    caller : str
        What needs matplotlib.
    ax : matplotlib Axes or None
    figsize : tuple of float, default=None
        Width and height of a new figure in inches.
    """
    check_matplotlib(caller)
    if ax is not None:
        yield ax
        return
    import matplotlib.pyplot as plt

    figure, new = plt.subplots(figsize=figsize, layout="constrained")
    try:
        yield new
    except BaseException:
        plt.close(figure)
        raise


def has_layout(ax: Axes) -> bool:
    """Return whether the figure makes room for what is drawn outside its axes."""
    return ax.figure.get_layout_engine() is not None


def size_of(ax: Axes) -> tuple[float, float]:
    """Return width and height of axes in inches."""
    box = ax.get_window_extent()
    return box.width / ax.figure.dpi, box.height / ax.figure.dpi


def set_title(ax: Axes, title: str) -> None:
    """Set a title of a few lines, not wider than the axes."""
    width = max(24, int(size_of(ax)[0] / _TITLE_LETTER))
    lines = [
        textwrap.fill(line, width, max_lines=2, placeholder="…")
        for line in title.splitlines()
    ]
    ax.set_title("\n".join(lines), fontsize="medium", **LITERAL)


def set_ticks(ax: Axes, labels: Sequence[Any], which: str = "x") -> None:
    """Label the positions 0, 1, 2, ... of an axis, as many as have room."""
    names = [str(label) for label in labels]
    width, height = size_of(ax)
    longest = max(map(len, names), default=1)
    room = width / (0.18 + 0.09 * longest) if which == "x" else height / 0.24
    ticks = thinned(len(names), min(20, max(3, int(room))))
    chosen = [names[tick] for tick in ticks]
    if which == "x":
        ax.set_xticks(ticks, chosen, **LITERAL)
    else:
        ax.set_yticks(ticks, chosen, **LITERAL)


def thinned(count: int, limit: int) -> list[int]:
    """Choose which of the positions 0 to ``count - 1`` get a label.

    Returns
    -------
    list of int
        At most ``limit``, at equal steps of 1, 2, 5, 10, 20, ...
    """
    step, factor = 1, 0
    while count > limit * step:
        factor += 1
        step = (1, 2, 5)[factor % 3] * 10 ** (factor // 3)
    return list(range(0, count, step))
