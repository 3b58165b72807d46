"""Display of the score against a statistic of one weight."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from weightsearch._records import Array
from weightsearch.compare import STATISTICS, score_correlation
from weightsearch.compare._weight_stats import statistics_of
from weightsearch.exceptions import QueryError
from weightsearch.plot._base import LITERAL, Display, check_matplotlib, set_title
from weightsearch.plot._colors import OKABE_ITO, add_key, colors_of, robust_limits
from weightsearch.plot._reading import (
    color_values,
    column_label,
    column_of,
    main_score,
    main_weight_of,
    read_weights,
    shorten,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from weightsearch.run import Run

__all__ = ["ScoreStatisticDisplay"]

_LABELS = {
    "mean": "Mean",
    "std": "Standard deviation",
    "min": "Smallest element",
    "max": "Largest element",
    "l1": "L1 norm",
    "l2": "L2 norm",
    "share_zero": "Share of zeros",
    "share_nonfinite": "Share of NaN and infinite elements",
    "spectral_norm": "Spectral norm",
    "stable_rank": "Stable rank",
    "condition_number": "Condition number",
    "effective_rank": "Effective rank",
}
_DECADES = 1000.0
_FAR = 10.0


class ScoreStatisticDisplay(Display):
    """Score of each candidate against a statistic of one of its weights.

    The title has Spearman's rank correlation of both, which does not mean causation:
    both depend on the params.

    Parameters
    ----------
    values, scores : ndarray of shape (n,)
        Statistic and score of each candidate, which is not drawn where one of them is
        not finite.
    statistic_label, score_label : str, default=""
        Their names.
    colors : sequence of object, default=None
        A value per candidate, shown by its colour; None: one colour for all.
    color_label : str, default=""
        Name of these values.
    color_levels : sequence of object, default=None
        All values that there are, in their order: a value then has the same colour in
        every picture. None: those of ``colors``.

    Attributes
    ----------
    scatter_ : matplotlib PathCollection
        The candidates that have both numbers.
    spearman_, p_value_ : float
        NaN where meaningless; see :func:`weightsearch.compare.score_correlation`.
    note_ : str
        Empty, or why they are meaningless.
    key_ : Colorbar, Legend or None
    ax_, figure_
        Axes and figure.
    """

    def __init__(
        self,
        values: Array,
        scores: Array,
        *,
        statistic_label: str = "",
        score_label: str = "",
        colors: Sequence[Any] | None = None,
        color_label: str = "",
        color_levels: Sequence[Any] | None = None,
    ):
        self.values = values
        self.scores = scores
        self.statistic_label = statistic_label
        self.score_label = score_label
        self.colors = colors
        self.color_label = color_label
        self.color_levels = color_levels

    def plot(
        self,
        ax: Axes | None = None,
        *,
        cmap: Any = None,
        scatter_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None: a new figure.
        cmap : str or Colormap, default=None
            Colours of numbers; None: viridis without its lightest end.
        scatter_kw : dict, default=None
            Options for ``Axes.scatter``.

        Returns
        -------
        self : ScoreStatisticDisplay
        """
        values = np.asarray(self.values, dtype=float)
        scores = np.asarray(self.scores, dtype=float)
        shown = np.isfinite(values) & np.isfinite(scores)
        frame = pd.DataFrame({"name": "", "stat": "", "value": values, "score": scores})
        (found,) = score_correlation(frame, "score").to_dict("records")
        self.spearman_: float = found["spearman"]
        self.p_value_: float = found["p_value"]
        self.note_: str = found["note"]
        with self._drawing(ax) as axes:
            colors = colors_of(
                self.colors, self.color_label, cmap, levels=self.color_levels
            )
            options: dict[str, Any] = {
                "c": OKABE_ITO[0] if self.colors is None else colors.rgba[shown],
                "s": 30,
                # An edge separates overlapping candidates.
                "edgecolors": "0.25",
                "linewidths": 0.4,
            }
            self.scatter_ = axes.scatter(
                values[shown], scores[shown], **options | (scatter_kw or {})
            )
            positive = values[shown]
            if positive.size and positive.min() > 0:
                if positive.max() / positive.min() >= _DECADES:
                    axes.set_xscale("log")
            axes.set_xlabel(self.statistic_label, **LITERAL)
            axes.set_ylabel(self.score_label, **LITERAL)
            beyond = _limit(axes, values[shown], scores[shown])
            text = self._summary(int(shown.sum()), len(shown))
            set_title(axes, f"{text}\n{beyond} beyond the axes" if beyond else text)
            self.key_ = add_key(axes, colors, widen=ax is None)
        return self

    def _summary(self, drawn: int, total: int) -> str:
        count = f"n={drawn}" + (f" of {total}" if drawn < total else "")
        if np.isnan(self.spearman_):
            return f"{self.note_ or 'no correlation'}, {count}"
        text = f"Spearman's rank correlation {self.spearman_:.2f}, {count}"
        if np.isfinite(self.p_value_):
            return f"{text}, p={self.p_value_:.2g}"
        return f"{text}: {self.note_}"

    @classmethod
    def from_run(
        cls,
        run: Run,
        name: str | None = None,
        statistic: str = "l2",
        *,
        score: str | None = None,
        candidates: Iterable[int] | None = None,
        split: int | None = None,
        color_by: str | None = None,
        ax: Axes | None = None,
        **plot_options: Any,
    ) -> Self:
        """Draw the candidates of a run.

        Parameters
        ----------
        run : Run
        name : str, default=None
            The weight; None: the first one with two dimensions or more.
        statistic : str, default="l2"
            A column of :func:`weightsearch.compare.weight_stats`.
        score : str, default=None
            A column of ``run.candidates``; None: the mean test score that the
            search refitted by.
        candidates : iterable of int, default=None
            Their numbers; None: all that have the weight.
        split : int, default=None
            The split whose models are drawn; None: the refits.
        color_by : str, default=None
            A column of ``run.candidates``, such as a param; None: one colour for all;
            ``"auto"``: up to eight candidates by themselves.
        ax : matplotlib Axes, default=None
            None: a new figure.
        **plot_options
            As for :meth:`plot`.

        Returns
        -------
        display : ScoreStatisticDisplay

        Raises
        ------
        WeightsNotFoundError
            If there is no such candidate or weight.
        QueryError
            If ``score`` or ``color_by`` is not a column, or there is no score.
        ValueError
            If there is no such statistic.
        """
        check_matplotlib(f"{cls.__name__}.from_run")
        if statistic not in STATISTICS:
            raise ValueError(
                f"There is no statistic {statistic!r}; there are "
                f"{', '.join(STATISTICS)}."
            )
        score = main_score(run) if score is None else score
        if score is None:
            raise QueryError(f"Run {run.name} has no scores yet.")
        if candidates is not None:
            candidates = list(candidates)
        if name is None:
            name = main_weight_of(run, candidates, split)
        values = {
            number: statistics_of(name, weight)[statistic]
            for number, weight in read_weights(run, name, candidates, split)
        }
        numbers = list(values)
        colors, color_label, levels = color_values(run, numbers, color_by)
        display = cls(
            np.array(list(values.values()), dtype=float),
            column_of(run, score).loc[numbers].to_numpy(dtype=float),
            statistic_label=f"{_LABELS[statistic]} of {shorten(name, 48)}",
            score_label=column_label(run.settings, score),
            colors=colors,
            color_label=color_label,
            color_levels=levels,
        )
        return display.plot(ax, **plot_options)


def _limit(ax: Axes, x: Array, y: Array) -> int:
    """Leave diverged candidates out of the axes; return how many."""
    beyond = np.zeros(len(x), dtype=bool)
    is_log = ax.get_xscale() == "log"
    for values, set_limits in (
        (np.log10(x) if is_log else x, ax.set_xlim),
        (y, ax.set_ylim),
    ):
        if not values.size:
            continue
        low, high = robust_limits(values, _FAR)
        outside = (values < low) | (values > high)
        if outside.any():
            beyond |= outside
            ends = np.array([low, high]) + np.array([-0.06, 0.06]) * (high - low or 1)
            if is_log and values is not y:
                ends = 10.0**ends
            set_limits(*ends.tolist())
    return int(beyond.sum())
