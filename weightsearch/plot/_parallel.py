"""Display of candidates as lines over all their params."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from weightsearch._records import Array
from weightsearch.plot._base import LITERAL, check_matplotlib, set_title, thinned
from weightsearch.plot._colors import colors_of, robust_limits
from weightsearch.plot._reading import column_label
from weightsearch.plot._results import (
    Results,
    ResultsDisplay,
    param_scale,
    short_names,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from weightsearch.run import Run

__all__ = ["ParallelCoordinatesDisplay"]

_MISSING = "#999999"
_MOST_TICKS = 12


class ParallelCoordinatesDisplay(ResultsDisplay):
    """Where good candidates are: a line per candidate, over an axis per param.

    The last axis is the score, which also colours the lines; the best are drawn last.
    Candidates without a score are dashed, and end below the axis.

    Parameters
    ----------
    params : DataFrame of n rows
        One column per param, one row per candidate.
    scores : array-like of shape (n,)
    score_label : str, default=""
        Name of the score.

    Attributes
    ----------
    lines_ : matplotlib LineCollection
        Candidates with a score, the best last.
    missing_ : matplotlib LineCollection
        Candidates without one.
    ax_, figure_
        Axes and figure.
    """

    def __init__(
        self, params: pd.DataFrame, scores: ArrayLike, *, score_label: str = ""
    ):
        self.params = params
        self.scores = scores
        self.score_label = score_label

    def plot(
        self,
        ax: Axes | None = None,
        *,
        cmap: Any = None,
        line_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None: a new figure.
        cmap : str or Colormap, default=None
            Colours of scores; None: viridis without its lightest end.
        line_kw : dict, default=None
            Options for the ``LineCollection`` of candidates.

        Returns
        -------
        self : ParallelCoordinatesDisplay
        """
        scores = np.asarray(self.scores, dtype=float)
        names = list(map(str, self.params.columns))
        scored = np.isfinite(scores)
        size = (max(6.4, 1.6 + 1.35 * (len(names) + 1)), 4.8)
        with self._drawing(ax, size) as axes:
            from matplotlib.collections import LineCollection

            heights = np.empty((len(scores), len(names) + 1))
            for column, name in enumerate(names):
                scale = param_scale(self.params[name].tolist())
                heights[:, column] = _unit(scale.positions, scale.low, scale.high)
                ticks = _unit(np.array(scale.ticks), scale.low, scale.high)
                chosen = thinned(len(ticks), _MOST_TICKS)
                labels = [scale.labels[i] for i in chosen]
                _draw_axis(axes, column, ticks[chosen], labels)
            low, high = robust_limits(scores[scored]) if scored.any() else (0.0, 1.0)
            heights[:, -1] = np.where(
                scored, np.clip(_unit(scores, low, high), -0.03, 1.03), -0.06
            )
            ticks, texts = _score_ticks(low, high)
            _draw_axis(axes, len(names), ticks, texts)
            order = np.flatnonzero(scored)[np.argsort(scores[scored], kind="stable")]
            # Few scores are numbers too, with the colours of the scale.
            scale_of = [*np.linspace(low, high, 9), *scores[order]]
            colors = colors_of(
                scores[order].tolist(), self.score_label, cmap, levels=scale_of
            )
            shift = _shifts(heights, self.params)
            many = len(order) > 60
            options: dict[str, Any] = {
                "colors": colors.rgba,
                "linewidths": 0.9 if many else 1.5,
                "alpha": 0.65 if many else 0.9,
            }
            x = np.arange(len(names) + 1)
            drawn = heights + shift
            self.lines_ = LineCollection(
                [np.column_stack([x, drawn[row]]) for row in order],
                **options | (line_kw or {}),
            )
            self.missing_ = LineCollection(
                [np.column_stack([x, drawn[row]]) for row in np.flatnonzero(~scored)],
                colors=_MISSING,
                linewidths=0.9,
                linestyles="dashed",
            )
            axes.add_collection(self.missing_)
            axes.add_collection(self.lines_)
            axes.set_xlim(-0.25, len(names) + 0.25)
            axes.set_ylim(min(-0.08, drawn.min() - 0.02), max(1.05, drawn.max() + 0.02))
            short = short_names(names, 20)
            labels = [*(short[name] for name in names), self.score_label or "score"]
            tilted = max(map(len, labels)) > 14
            axes.set_xticks(
                x,
                labels,
                rotation=20 if tilted else 0,
                ha="right" if tilted else "center",
                **LITERAL,
            )
            axes.tick_params(axis="x", length=0)
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
            set_title(axes, self._summary(scores))
        return self

    def _summary(self, scores: Array) -> str:
        missing = int((~np.isfinite(scores)).sum())
        title = "Where are the good candidates?\n"
        title += f"{len(scores)} candidate{'s' * (len(scores) != 1)}"
        return title + (f", {missing} without a score (dashed)" if missing else "")

    @classmethod
    def from_run(
        cls,
        run: Run,
        params: Iterable[str] | None = None,
        metric: str | None = None,
        *,
        candidates: Iterable[int] | None = None,
        ax: Axes | None = None,
        **plot_options: Any,
    ) -> Self:
        """Draw the candidates of a run.

        Parameters
        ----------
        run : Run
        params : iterable of str, default=None
            From left to right; None: all that vary, the most important last, beside
            the score.
        metric : str, default=None
            As for :meth:`weightsearch.Run.param_importance`.
        candidates : iterable of int, default=None
            Their numbers; None: all, in a halving search those of the first iteration.
        ax : matplotlib Axes, default=None
            None: a new figure.
        **plot_options
            As for :meth:`plot`.

        Returns
        -------
        display : ParallelCoordinatesDisplay

        Raises
        ------
        QueryError
            If there is no such param or metric, or no param varies.
        """
        check_matplotlib(f"{cls.__name__}.from_run")
        return cls._from_results(
            Results.of(run),
            params,
            metric,
            candidates=candidates,
            ax=ax,
            **plot_options,
        )

    @classmethod
    def _from_results(
        cls,
        results: Results,
        params: Iterable[str] | None = None,
        metric: str | None = None,
        *,
        candidates: Iterable[int] | None = None,
        ax: Axes | None = None,
        **plot_options: Any,
    ) -> Self:
        rows = results.rows(candidates)
        column = results.metric(metric)
        if params is None:
            params = reversed(results.by_importance(column, rows))
        display = cls(
            results.params(rows, list(params)),
            results.scores(column, rows),
            score_label=column_label(results.settings, column),
        )
        return display.plot(ax, **plot_options)


def _unit(values: Array, low: float, high: float) -> Array:
    """Return values such that low is 0 and high is 1; 0.5 where both are equal."""
    if high == low:
        return np.where(np.isfinite(values), 0.5, np.nan)
    return (values / 2 - low / 2) / (high / 2 - low / 2)


def _shifts(heights: Array, params: pd.DataFrame) -> Array:
    """Return small offsets that separate lines which meet at one level."""
    shifts = np.zeros_like(heights)
    for column in range(params.shape[1]):
        levels, codes = np.unique(heights[:, column], return_inverse=True)
        if len(levels) > _MOST_TICKS:
            continue
        room = 0.3 / max(len(levels), 2)
        for code in range(len(levels)):
            here = np.flatnonzero(codes == code)
            rank = np.argsort(np.argsort(heights[here, -1], kind="stable"))
            spread = min(room, 0.012 * (len(here) - 1))
            shifts[here, column] = spread * (rank / max(len(here) - 1, 1) - 0.5)
    return shifts


def _score_ticks(low: float, high: float) -> tuple[Array, list[str]]:
    from matplotlib.ticker import MaxNLocator

    ticks = np.asarray(MaxNLocator(6).tick_values(low, high))
    ticks = ticks[(ticks >= low) & (ticks <= high)]
    return _unit(ticks, low, high), [f"{tick:.4g}" for tick in ticks]


def _draw_axis(ax: Axes, x: int, ticks: Array, labels: list[str]) -> None:
    ax.vlines(x, 0, 1, colors="0.3", linewidth=0.8, zorder=3)
    for tick, label in zip(ticks, labels, strict=True):
        ax.plot([x - 0.02, x], [tick, tick], color="0.3", linewidth=0.8, zorder=3)
        ax.annotate(
            label,
            (x, float(tick)),
            (-5, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize="small",
            zorder=4,
            bbox={"facecolor": "white", "alpha": 0.85, "linewidth": 0, "pad": 0.6},
            **LITERAL,
        )
