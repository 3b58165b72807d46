"""Display of the score against one param."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from weightsearch._display import distinct
from weightsearch._records import Array
from weightsearch.plot._base import LITERAL, check_matplotlib, set_title, thinned
from weightsearch.plot._colors import OKABE_ITO, robust_limits
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

__all__ = ["ValidationCurveDisplay"]

_FAR = 10.0
_MOST_POINTS = 20
_GROUPS = 10


class ValidationCurveDisplay(ResultsDisplay):
    """Score against one param, from the candidates that a search has evaluated.

    As :func:`sklearn.model_selection.validation_curve`, without a fit: the line is the
    mean over splits, the band one standard deviation.

    Parameters
    ----------
    values : sequence of object of length n
        The param's value of each candidate.
    test_scores : ndarray of shape (n, n_splits)
        Of each candidate and split; NaN where a fit failed.
    train_scores : ndarray of shape (n, n_splits), default=None
    on_line : ndarray of bool of shape (n,), default=None
        Candidates that make the line; the others are points. None: all.
    name, score_label, title : str, default=""

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        Of test scores, and of train scores if there are any.
    bands_ : list of matplotlib PolyCollection
    points_ : matplotlib PathCollection
        Mean test scores of all candidates.
    ax_, figure_
        Axes and figure.

    Notes
    -----
    Several candidates of one value are averaged first; the band is then the standard
    deviation over splits of their average.
    """

    def __init__(
        self,
        values: Sequence[Any],
        test_scores: Array,
        train_scores: Array | None = None,
        *,
        on_line: Array | None = None,
        name: str = "",
        score_label: str = "",
        title: str = "",
    ):
        self.values = values
        self.test_scores = test_scores
        self.train_scores = train_scores
        self.on_line = on_line
        self.name = name
        self.score_label = score_label
        self.title = title

    def plot(
        self, ax: Axes | None = None, *, line_kw: dict[str, Any] | None = None
    ) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None: a new figure.
        line_kw : dict, default=None
            Options for ``Axes.plot``.

        Returns
        -------
        self : ValidationCurveDisplay
        """
        scale = param_scale(list(self.values))
        test = np.asarray(self.test_scores, dtype=float)
        means = _finite_mean(test)
        chosen = np.ones(len(test), dtype=bool)
        if self.on_line is not None:
            chosen = np.asarray(self.on_line, dtype=bool)
        with self._drawing(ax) as axes:
            self.points_ = axes.scatter(
                scale.positions, means, s=14, color="0.55", linewidths=0, zorder=1
            )
            self.lines_, self.bands_ = [], []
            curves = [("test", test, OKABE_ITO[0])]
            if self.train_scores is not None:
                train = np.asarray(self.train_scores, dtype=float)
                curves.append(("train", train, OKABE_ITO[1]))
            seen = [means[np.isfinite(means)]]
            for label, scores, color in curves:
                x, middle, spread = _curve(scale.positions[chosen], scores[chosen])
                options: dict[str, Any] = {
                    "color": color,
                    "marker": "o",
                    "label": label,
                }
                (line,) = axes.plot(x, middle, **options | (line_kw or {}))
                self.lines_.append(line)
                self.bands_.append(
                    axes.fill_between(
                        x,
                        middle - spread,
                        middle + spread,
                        color=color,
                        alpha=0.2,
                        linewidth=0,
                    )
                )
                ends = np.concatenate([middle - spread, middle + spread])
                seen.append(ends[np.isfinite(ends)])
            title = self.title
            shown = np.concatenate(seen)
            if shown.size:
                low, high = robust_limits(shown, _FAR)
                margin = 0.06 * (high - low) or 0.1
                axes.set_ylim(low - margin, high + margin)
                with np.errstate(invalid="ignore"):
                    beyond = int(((means < low) | (means > high)).sum())
                if beyond:
                    title += f"; {beyond} beyond the axis"
            missing = int((~np.isfinite(means)).sum())
            if missing:
                title += f"; {missing} without a score"
            if scale.is_levels:
                ticks = thinned(len(scale.ticks), 12)
            else:
                ticks = list(range(len(scale.ticks)))
            labels = [scale.labels[i] for i in ticks]
            crowded = sum(map(len, labels)) > 60
            axes.set_xticks(
                [scale.ticks[i] for i in ticks],
                labels,
                rotation=25 if crowded else 0,
                ha="right" if crowded else "center",
                **LITERAL,
            )
            suffix = " (log scale)" if scale.is_log else ""
            axes.set_xlabel(f"{self.name}{suffix}", **LITERAL)
            axes.set_ylabel(self.score_label, **LITERAL)
            set_title(axes, title)
            if len(self.lines_) > 1:
                axes.legend(loc="best")
        return self

    @classmethod
    def from_run(
        cls,
        run: Run,
        param: str | None = None,
        metric: str | None = None,
        *,
        others: Literal["auto", "best", "all"] = "auto",
        candidates: Iterable[int] | None = None,
        ax: Axes | None = None,
        **plot_options: Any,
    ) -> Self:
        """Draw the candidates of a run.

        Parameters
        ----------
        run : Run
        param : str, default=None
            None: the most important one for the metric.
        metric : str, default=None
            As for :meth:`weightsearch.Run.param_importance`; a column such as
            ``"mean_fit_time"`` too, which has no splits and so no band.
        others : {"auto", "best", "all"}, default="auto"
            Candidates that make the line: ``"best"``, those that differ from the best
            one in this param alone, as in a validation curve; ``"all"``, all, averaged
            where they have the same value, in ten groups of equal size where there are
            more than 20 values; ``"auto"``, ``"best"`` where there are two such
            candidates or more.
        candidates : iterable of int, default=None
            Their numbers; None: all, in a halving search those of the first iteration.
        ax : matplotlib Axes, default=None
            None: a new figure.
        **plot_options
            As for :meth:`plot`.

        Returns
        -------
        display : ValidationCurveDisplay

        Raises
        ------
        QueryError
            If there is no such param or metric, or no param varies.
        ValueError
            If `others` is unknown.
        """
        check_matplotlib(f"{cls.__name__}.from_run")
        return cls._from_results(
            Results.of(run),
            param,
            metric,
            others=others,
            candidates=candidates,
            ax=ax,
            **plot_options,
        )

    @classmethod
    def _from_results(
        cls,
        results: Results,
        param: str | None = None,
        metric: str | None = None,
        *,
        others: Literal["auto", "best", "all"] = "auto",
        candidates: Iterable[int] | None = None,
        ax: Axes | None = None,
        **plot_options: Any,
    ) -> Self:
        if others not in ("auto", "best", "all"):
            raise ValueError(f"others must be 'auto', 'best' or 'all', got {others!r}.")
        rows = results.rows(candidates)
        column = results.metric(metric)
        if param is None:
            param = results.by_importance(column, rows)[0]
        scores = results.scores(column, rows)
        test = results.split_scores(column, rows)
        train = None
        trained = column.replace("mean_test_", "mean_train_")
        if trained != column and trained in results.candidates:
            train = results.split_scores(trained, rows)
        values = results.params(rows, param)[param].tolist()
        on_line = np.ones(len(rows), dtype=bool)
        how = "Mean over all other params"
        finite = np.isfinite(scores)
        if others != "all" and finite.any():
            best = int(np.argmax(np.where(finite, scores, -np.inf)))
            keys = [
                distinct({n: v for n, v in results.keys[row].items() if n != param})
                for row in rows
            ]
            beside = np.array([key == keys[best] for key in keys])
            if others == "best" or len({*map(distinct, _at(values, beside))}) > 1:
                on_line = beside
                how = "Other params as in the best candidate"
        if len(rows) > 1 and not on_line.all():
            how += "; points: all candidates"
        name = short_names([param], 48)[param]
        display = cls(
            values,
            scores[:, None] if test is None else test,
            train,
            on_line=on_line,
            name=name,
            score_label=column_label(results.settings, column),
            title=f"How does {name} move the score?\n{how}",
        )
        return display.plot(ax, **plot_options)


def _at(values: Sequence[Any], mask: Array) -> list[Any]:
    return [value for value, wanted in zip(values, mask, strict=True) if wanted]


def _finite_mean(scores: Array) -> Array:
    """Return the mean of each row, NaN where a score is missing, as scikit-learn's."""
    with np.errstate(all="ignore"):
        found: Array = scores.mean(axis=1)
    return found


def _curve(x: Array, scores: Array) -> tuple[Array, Array, Array]:
    """Return positions, means and standard deviations over splits of a curve."""
    kept = np.isfinite(scores).all(axis=1)
    x, scores = x[kept], scores[kept]
    at, codes = np.unique(x, return_inverse=True)
    if len(at) > _MOST_POINTS:
        order = np.argsort(x, kind="stable")
        codes = np.empty(len(x), dtype=np.intp)
        codes[order] = np.arange(len(x)) * _GROUPS // len(x)
        at = np.array([np.median(x[codes == code]) for code in range(_GROUPS)])
    means = np.array([scores[codes == code].mean(axis=0) for code in range(len(at))])
    means = means.reshape(len(at), scores.shape[1])
    return at, means.mean(axis=1), means.std(axis=1)
