"""Display of the score over two params."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from weightsearch._records import Array
from weightsearch.exceptions import QueryError
from weightsearch.plot._base import LITERAL, check_matplotlib, set_ticks, set_title
from weightsearch.plot._colors import colors_of, robust_limits
from weightsearch.plot._reading import column_label
from weightsearch.plot._results import (
    Results,
    ResultsDisplay,
    is_finite,
    param_scale,
    short_names,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from weightsearch.run import Run

__all__ = ["ScoreHeatmapDisplay"]

_MOST_LEVELS = 20
_GROUPS = 10
_MOST_TEXTS = 120


class ScoreHeatmapDisplay(ResultsDisplay):
    """How two params act together: a cell per pair of values, coloured by the score.

    Parameters
    ----------
    scores : ndarray of shape (n_y, n_x)
        Of each cell, from the bottom up; NaN where no candidate has a score.
    x_labels, y_labels : sequence of str
        Values of the params.
    x_name, y_name, score_label : str, default=""
        Names.
    title : str, default=""

    Attributes
    ----------
    image_ : matplotlib AxesImage
    texts_ : list of matplotlib Text
        Scores of the cells, up to 120 cells.
    colorbar_ : matplotlib Colorbar
    ax_, figure_
        Axes and figure.
    """

    def __init__(
        self,
        scores: Array,
        x_labels: Sequence[str],
        y_labels: Sequence[str],
        *,
        x_name: str = "",
        y_name: str = "",
        score_label: str = "",
        title: str = "",
    ):
        self.scores = scores
        self.x_labels = x_labels
        self.y_labels = y_labels
        self.x_name = x_name
        self.y_name = y_name
        self.score_label = score_label
        self.title = title

    def plot(self, ax: Axes | None = None, *, cmap: Any = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None: a new figure.
        cmap : str or Colormap, default=None
            Colours of scores; None: viridis without its lightest end.

        Returns
        -------
        self : ScoreHeatmapDisplay
        """
        scores = np.asarray(self.scores, dtype=float)
        rows, columns = scores.shape
        known = scores[np.isfinite(scores)]
        low, high = robust_limits(known) if known.size else (0.0, 1.0)
        size = (max(6.4, min(2.2 + 0.62 * columns, 14)), max(3.4, 1.7 + 0.36 * rows))
        with self._drawing(ax, size) as axes:
            from matplotlib.colors import Normalize

            # Few cells too have a scale.
            shades = colors_of(
                [low, high], "", cmap, levels=np.linspace(low, high or 1.0, 9).tolist()
            )
            assert shades.mappable is not None
            used = shades.mappable.get_cmap().with_extremes(bad="0.88")
            self.image_ = axes.imshow(
                np.ma.masked_invalid(scores),
                origin="lower",
                aspect="auto",
                cmap=used,
                norm=Normalize(low, high),
            )
            self.texts_ = []
            if scores.size <= _MOST_TEXTS:
                digits = _digits(known[(known >= low) & (known <= high)])
                for (row, column), value in np.ndenumerate(scores):
                    if not np.isfinite(value):
                        continue
                    shade = used(self.image_.norm(value))
                    light = 0.3 * shade[0] + 0.59 * shade[1] + 0.11 * shade[2] > 0.5
                    far = digits == 5 or not low <= value <= high
                    text = f"{value:.2g}" if far else f"{value:.{digits}f}"
                    self.texts_.append(
                        axes.text(
                            column,
                            row,
                            text,
                            ha="center",
                            va="center",
                            fontsize="x-small",
                            color="black" if light else "white",
                        )
                    )
            set_ticks(axes, self.x_labels)
            set_ticks(axes, self.y_labels, "y")
            axes.set_xlabel(self.x_name, **LITERAL)
            axes.set_ylabel(self.y_name, **LITERAL)
            set_title(axes, self.title)
            beyond = (bool((known < low).any()), bool((known > high).any()))
            extend: Any = ("neither", "min", "max", "both")[beyond[0] + 2 * beyond[1]]
            bar = axes.figure.colorbar(self.image_, ax=axes, extend=extend)
            bar.set_label(self.score_label, **LITERAL)
            self.colorbar_ = bar
        return self

    @classmethod
    def from_run(
        cls,
        run: Run,
        x: str | None = None,
        y: str | None = None,
        metric: str | None = None,
        *,
        aggregate: Literal["mean", "max", "min"] = "mean",
        candidates: Iterable[int] | None = None,
        ax: Axes | None = None,
        **plot_options: Any,
    ) -> Self:
        """Draw the candidates of a run.

        Parameters
        ----------
        run : Run
        x, y : str, default=None
            Params; None: the most important ones for the metric. More than 20 numbers
            are put into ten groups of equal size, named by their medians.
        metric : str, default=None
            As for :meth:`weightsearch.Run.param_importance`.
        aggregate : {"mean", "max", "min"}, default="mean"
            Score of a cell with several candidates, which differ in other params.
        candidates : iterable of int, default=None
            Their numbers; None: all, in a halving search those of the first iteration.
        ax : matplotlib Axes, default=None
            None: a new figure.
        **plot_options
            As for :meth:`plot`.

        Returns
        -------
        display : ScoreHeatmapDisplay

        Raises
        ------
        QueryError
            If there is no such param or metric, or fewer than two params vary.
        ValueError
            If `aggregate` is unknown.
        """
        check_matplotlib(f"{cls.__name__}.from_run")
        return cls._from_results(
            Results.of(run),
            x,
            y,
            metric,
            aggregate=aggregate,
            candidates=candidates,
            ax=ax,
            **plot_options,
        )

    @classmethod
    def _from_results(
        cls,
        results: Results,
        x: str | None = None,
        y: str | None = None,
        metric: str | None = None,
        *,
        aggregate: Literal["mean", "max", "min"] = "mean",
        candidates: Iterable[int] | None = None,
        ax: Axes | None = None,
        **plot_options: Any,
    ) -> Self:
        if aggregate not in ("mean", "max", "min"):
            raise ValueError(
                f"aggregate must be 'mean', 'max' or 'min', got {aggregate!r}."
            )
        rows = results.rows(candidates)
        column = results.metric(metric)
        if x is None or y is None:
            ranked = [p for p in results.by_importance(column, rows) if p not in (x, y)]
            x = x if x is not None else (ranked.pop(0) if ranked else None)
            y = y if y is not None else (ranked.pop(0) if ranked else None)
        if x is None or y is None:
            raise QueryError("A heat map needs two params, and only one varies.")
        params = results.params(rows, [x, y])
        found = [_cells(params[name].tolist()) for name in (x, y)]
        (x_codes, x_labels), (y_codes, y_labels) = found
        scores = results.scores(column, rows)
        cells = np.full((len(y_labels), len(x_labels)), np.nan)
        index = y_codes * len(x_labels) + x_codes
        counts = []
        for cell in np.unique(index):
            inside = scores[index == cell]
            counts.append(len(inside))
            inside = inside[np.isfinite(inside)]
            if len(inside):
                cells.flat[cell] = getattr(np, aggregate)(inside)
        title = "How do two params act together?"
        if max(counts) > 1:
            fewest, most = min(counts), max(counts)
            many = f"{fewest}" if fewest == most else f"{fewest} to {most}"
            kind = {"mean": "Mean", "max": "Highest", "min": "Lowest"}[aggregate]
            title += f"\n{kind} of {many} candidates per cell"
        short = short_names([x, y], 40)
        display = cls(
            cells,
            x_labels,
            y_labels,
            x_name=short[x],
            y_name=short[y],
            score_label=column_label(results.settings, column),
            title=title,
        )
        return display.plot(ax, **plot_options)


def _cells(values: list[Any]) -> tuple[Array, list[str]]:
    """Return the row or column of each value, and the labels of all."""
    numbers = np.array([v for v in values if is_finite(v)], dtype=float)
    if len(np.unique(numbers)) > _MOST_LEVELS:
        edges = np.unique(np.quantile(numbers, np.linspace(0, 1, _GROUPS + 1)))
        middles = [
            float(f"{np.median(numbers[(numbers >= low) & (numbers <= high)]):.3g}")
            for low, high in itertools.pairwise(edges)
        ]
        groups = np.searchsorted(edges[1:-1], numbers, side="right")
        middle = iter(groups)
        values = [middles[next(middle)] if is_finite(v) else v for v in values]
    scale = param_scale(values, _MOST_LEVELS)
    return scale.positions.astype(np.intp), scale.labels


def _digits(known: Array) -> int:
    """Return how many decimals tell scores apart; 5 for too many."""
    if not known.size or np.abs(known).max() >= 1000:
        return 5
    spread = float(np.ptp(known))
    if spread == 0:
        return 3
    return int(np.clip(np.ceil(-np.log10(spread)) + 1, 0, 4))
