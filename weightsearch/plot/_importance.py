"""Display of the importance of params for a score."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from weightsearch.compare import param_importance
from weightsearch.plot._base import LITERAL, check_matplotlib, set_title
from weightsearch.plot._colors import OKABE_ITO
from weightsearch.plot._reading import column_label
from weightsearch.plot._results import Results, ResultsDisplay, short_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from weightsearch.run import Run

__all__ = ["ParamImportanceDisplay"]


class ParamImportanceDisplay(ResultsDisplay):
    """Which params matter: the share of the score's variance that each explains.

    Bars of params, and of pairs for what both explain beyond each alone. Thin lines are
    the standard deviation among a forest's trees; a dotted mark is what chance explains
    on average.

    Parameters
    ----------
    importance : DataFrame
        As :func:`weightsearch.compare.param_importance` returns.
    score_label : str, default=""
        Name of the score.

    Attributes
    ----------
    bars_ : matplotlib BarContainer
        From the top down; those that have no number have no length.
    note_ : str
        Empty, or why the numbers mean little.
    ax_, figure_
        Axes and figure.
    """

    def __init__(self, importance: pd.DataFrame, *, score_label: str = ""):
        self.importance = importance
        self.score_label = score_label

    def plot(self, ax: Axes | None = None, *, max_bars: int = 12) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None: a new figure.
        max_bars : int, default=12
            Most bars; params come before pairs, of which those under 1 % are left out.

        Returns
        -------
        self : ParamImportanceDisplay
        """
        table = self.importance
        params = table[table["other"] == ""]
        pairs = table[(table["other"] != "") & (table["importance"] >= 0.01)]
        shown = pd.concat([params, pairs]).head(max_bars)
        short = short_names(params["param"])
        labels = [
            f"{short[a]} + {short[b]}" if b else short[a]
            for a, b in zip(shown["param"], shown["other"], strict=True)
        ]
        self.note_: str = next((n for n in table["note"] if n), "")
        wide = 5.2 + 0.08 * max(map(len, labels), default=0)
        with self._drawing(ax, (wide, 1.5 + 0.32 * len(shown))) as axes:
            y = np.arange(len(shown))
            is_pair = (shown["other"] != "").to_numpy()
            width = shown["importance"].fillna(0.0).to_numpy()
            self.bars_ = axes.barh(
                y,
                width,
                height=0.7,
                color=[OKABE_ITO[4] if pair else OKABE_ITO[0] for pair in is_pair],
                xerr=shown["std"].fillna(0.0).to_numpy(),
                error_kw={"elinewidth": 1, "ecolor": "0.25"},
            )
            chance = shown["chance"].to_numpy()
            axes.vlines(chance, y - 0.4, y + 0.4, colors="0.25", linestyles=":")
            for row, value in enumerate(shown["importance"]):
                text = "unknown" if np.isnan(value) else f"{value:.0%}"
                end = value + shown["std"].fillna(0.0).iloc[row]
                place = 0.0 if np.isnan(value) else end
                axes.annotate(
                    text, (place, row), (4, 0), textcoords="offset points", va="center"
                )
            axes.set_yticks(y, labels, **LITERAL)
            axes.set_xlim(0, max(1.0, 1.12 * float(width.max(initial=0))))
            axes.invert_yaxis()
            axes.xaxis.set_major_formatter("{x:.0%}")
            axes.set_xlabel("Share of the score's variance")
            axes.spines[["top", "right"]].set_visible(False)
            set_title(axes, self._summary())
        return self

    def _summary(self) -> str:
        first = self.importance.iloc[0]
        title = f"Which params matter for {self.score_label or 'the score'}?\n"
        if first["method"] == "exact":
            title += f"Exact functional ANOVA of {first['n']} candidates"
        else:
            title += f"fANOVA of {first['n']} candidates, forest's R² {first['r2']:.2f}"
        return f"{title}\n{self.note_}".rstrip()

    @classmethod
    def from_run(
        cls,
        run: Run,
        metric: str | None = None,
        *,
        candidates: Iterable[int] | None = None,
        ax: Axes | None = None,
        **plot_options: Any,
    ) -> Self:
        """Draw the importance of a run's params.

        Parameters
        ----------
        run : Run
        metric : str, default=None
            As for :meth:`weightsearch.Run.param_importance`.
        candidates : iterable of int, default=None
            As for :meth:`weightsearch.Run.param_importance`.
        ax : matplotlib Axes, default=None
            None: a new figure.
        **plot_options
            As for :meth:`plot`.

        Returns
        -------
        display : ParamImportanceDisplay

        Raises
        ------
        QueryError
            If there is no such metric, or no param varies.
        """
        check_matplotlib(f"{cls.__name__}.from_run")
        return cls._from_results(
            Results.of(run), metric, candidates=candidates, ax=ax, **plot_options
        )

    @classmethod
    def _from_results(
        cls,
        results: Results,
        metric: str | None = None,
        *,
        candidates: Iterable[int] | None = None,
        ax: Axes | None = None,
        **plot_options: Any,
    ) -> Self:
        rows = results.rows(candidates)
        column = results.metric(metric)
        found = param_importance(results.params(rows), results.scores(column, rows))
        display = cls(found, score_label=column_label(results.settings, column))
        return display.plot(ax, **plot_options)
