"""Displays of training: the path of weights, recorded metrics, lines between models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from weightsearch._display import did_you_mean
from weightsearch._records import Array
from weightsearch.compare import PathComponents, path_components
from weightsearch.exceptions import QueryError, SnapshotError
from weightsearch.plot._base import LITERAL, Display, check_matplotlib, set_title
from weightsearch.plot._colors import OKABE_ITO, add_key, colors_of
from weightsearch.plot._reading import color_values, shorten, value_text, weights_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from weightsearch.run import Run, Trajectory

__all__ = ["ScorePathDisplay", "TrainingCurveDisplay", "TrajectoryDisplay"]


class _Colored(Display):
    """A display of one line per candidate."""

    colors: Sequence[Any] | None
    color_label: str
    color_levels: Sequence[Any] | None

    def _colors(self, n: int, cmap: Any) -> tuple[Any, Sequence[Any]]:
        colors = colors_of(
            self.colors, self.color_label, cmap, levels=self.color_levels
        )
        plain = self.colors is None
        return colors, [OKABE_ITO[0]] * n if plain else list(colors.rgba)


class TrajectoryDisplay(_Colored):
    """Paths of weights in the plane of their first two principal components.

    A circle is the first snapshot of a candidate, a square the last; dots between are
    the others. Both axes have one scale, so that lengths can be compared.

    Parameters
    ----------
    components : PathComponents
        As :func:`weightsearch.compare.path_components` returns, of two components.
    colors : sequence of object, default=None
        A value per trajectory, shown by its colour; None: one colour for all.
    color_label : str, default=""
        Name of these values.
    color_levels : sequence of object, default=None
        All values that there are, in their order: a value then has the same colour in
        every picture. None: those of ``colors``.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        In the order of the trajectories.
    key_ : Colorbar, Legend or None
    ax_, figure_
        Axes and figure.
    """

    def __init__(
        self,
        components: PathComponents,
        *,
        colors: Sequence[Any] | None = None,
        color_label: str = "",
        color_levels: Sequence[Any] | None = None,
    ):
        self.components = components
        self.colors = colors
        self.color_label = color_label
        self.color_levels = color_levels

    def plot(self, ax: Axes | None = None, *, cmap: Any = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None: a new figure.
        cmap : str or Colormap, default=None
            Colours of numbers; None: viridis without its lightest end.

        Returns
        -------
        self : TrajectoryDisplay
        """
        paths = self.components.coordinates
        with self._drawing(ax) as axes:
            colors, each = self._colors(len(paths), cmap)
            self.lines_ = []
            for path, color in zip(paths, each, strict=True):
                (line,) = axes.plot(
                    *path.T, color=color, linewidth=1.4, marker=".", markersize=4
                )
                self.lines_.append(line)
                ends: dict[str, Any] = {"color": color, "zorder": 3}
                axes.plot(*path[0], marker="o", mfc="white", markersize=7, **ends)
                axes.plot(*path[-1], marker="s", markersize=7, **ends)
            axes.set_aspect("equal", adjustable="datalim")
            shares = self.components.explained_variance_ratio
            axes.set_xlabel(f"Component 1 ({shares[0]:.0%} of the variance)")
            axes.set_ylabel(f"Component 2 ({shares[1]:.0%} of the variance)")
            n = len(paths)
            set_title(
                axes,
                f"Weights in training, {n} candidate{'s' * (n != 1)}\n"
                "from circle to square",
            )
            self.key_ = add_key(axes, colors, widen=ax is None)
        return self

    @classmethod
    def from_run(
        cls,
        run: Run,
        *,
        candidates: Iterable[int] | None = None,
        split: int | None = None,
        names: Iterable[str] | None = None,
        color_by: str | None = "auto",
        ax: Axes | None = None,
        **plot_options: Any,
    ) -> Self:
        """Draw the trajectories of a run's candidates.

        Parameters
        ----------
        run : Run
        candidates : iterable of int, default=None
            Their numbers, of one architecture; None: all that have snapshots.
        split : int, default=None
            The split whose models are drawn; None: the refits.
        names : iterable of str, default=None
            The weights that are meant; None: all.
        color_by : str, default="auto"
            A column of ``run.candidates``; ``"auto"``: up to eight candidates by
            themselves, more by their score; None: one colour for all.
        ax : matplotlib Axes, default=None
            None: a new figure.
        **plot_options
            As for :meth:`plot`.

        Returns
        -------
        display : TrajectoryDisplay

        Raises
        ------
        SnapshotError
            If there are no snapshots.
        ValueError
            As from :func:`weightsearch.compare.path_components`.
        """
        check_matplotlib(f"{cls.__name__}.from_run")
        found = _trajectories(run, candidates, split)
        components = path_components(list(found.values()), 2, names)
        values, label, levels = color_values(run, list(found), color_by)
        display = cls(components, colors=values, color_label=label, color_levels=levels)
        return display.plot(ax, **plot_options)


class TrainingCurveDisplay(_Colored):
    """A metric that the framework recorded in training, over epochs.

    Parameters
    ----------
    curves : sequence of Series
        Of each candidate; the index is the epoch.
    metric : str, default=""
        Name of the metric.
    colors, color_label, color_levels
        As for :class:`TrajectoryDisplay`.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        In the order of ``curves``.
    key_ : Colorbar, Legend or None
    ax_, figure_
        Axes and figure.
    """

    def __init__(
        self,
        curves: Sequence[pd.Series[Any]],
        *,
        metric: str = "",
        colors: Sequence[Any] | None = None,
        color_label: str = "",
        color_levels: Sequence[Any] | None = None,
    ):
        self.curves = curves
        self.metric = metric
        self.colors = colors
        self.color_label = color_label
        self.color_levels = color_levels

    def plot(
        self, ax: Axes | None = None, *, log: bool = False, cmap: Any = None
    ) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None: a new figure.
        log : bool, default=False
            Whether the metric's axis is logarithmic.
        cmap : str or Colormap, default=None
            Colours of numbers; None: viridis without its lightest end.

        Returns
        -------
        self : TrainingCurveDisplay
        """
        with self._drawing(ax) as axes:
            from matplotlib.ticker import MaxNLocator

            n = len(self.curves)
            colors, each = self._colors(n, cmap)
            self.lines_ = []
            for curve, color in zip(self.curves, each, strict=True):
                # What is not known of an epoch, such as 0, makes no gap.
                known = curve[np.isfinite(curve.to_numpy(float))]
                (line,) = axes.plot(
                    known.index.to_numpy(),
                    known.to_numpy(float),
                    color=color,
                    linewidth=1.0 if n > len(OKABE_ITO) else 1.6,
                    marker="o" if len(known) <= 12 else "",
                    markersize=3,
                )
                self.lines_.append(line)
            if log:
                axes.set_yscale("log")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set_xlabel("Epoch")
            axes.set_ylabel(shorten(self.metric), **LITERAL)
            title = f"{shorten(self.metric)} in training, "
            set_title(axes, f"{title}{n} candidate{'s' * (n != 1)}")
            self.key_ = add_key(axes, colors, widen=ax is None)
        return self

    @classmethod
    def from_run(
        cls,
        run: Run,
        metric: str | None = None,
        *,
        candidates: Iterable[int] | None = None,
        split: int | None = None,
        color_by: str | None = "auto",
        ax: Axes | None = None,
        **plot_options: Any,
    ) -> Self:
        """Draw a metric of a run's candidates.

        Parameters
        ----------
        run : Run
        metric : str, default=None
            A column of ``run.trajectory(candidate).metrics``; None: the first loss.
        candidates : iterable of int, default=None
            Their numbers; None: all that have snapshots.
        split, color_by, ax, **plot_options
            As for :meth:`TrajectoryDisplay.from_run`.

        Returns
        -------
        display : TrainingCurveDisplay

        Raises
        ------
        SnapshotError
            If there are no snapshots.
        QueryError
            If there is no such metric.
        """
        check_matplotlib(f"{cls.__name__}.from_run")
        frames = {
            number: trajectory.metrics
            for number, trajectory in _trajectories(run, candidates, split).items()
        }
        known = list(dict.fromkeys(str(name) for f in frames.values() for name in f))
        if metric is None:
            losses = [name for name in known if "loss" in name]
            metric = next(iter([*losses, *known]), "loss")
        frames = {number: frame for number, frame in frames.items() if metric in frame}
        if not frames:
            raise QueryError(
                f"No candidate has a metric {metric!r}; there are {', '.join(known)}. "
                f"{did_you_mean(metric, known)}".rstrip()
            )
        values, label, levels = color_values(run, list(frames), color_by)
        display = cls(
            [frame[metric] for frame in frames.values()],
            metric=metric,
            colors=values,
            color_label=label,
            color_levels=levels,
        )
        return display.plot(ax, **plot_options)


class ScorePathDisplay(Display):
    """Scores on the straight line between the weights of two models.

    Dashed lines lead from end to end: as far as scores are below, there is a barrier.

    Parameters
    ----------
    scores : DataFrame
        As :meth:`weightsearch.Run.score_path` returns.
    labels : tuple of str, default=("start", "end")
        What the ends are.
    score_label : str, default="score"
        Name of the score.

    Attributes
    ----------
    lines_ : dict of str to matplotlib Line2D
        By the column of ``scores``.
    ax_, figure_
        Axes and figure.
    """

    def __init__(
        self,
        scores: pd.DataFrame,
        *,
        labels: tuple[str, str] = ("start", "end"),
        score_label: str = "score",
    ):
        self.scores = scores
        self.labels = labels
        self.score_label = score_label

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None: a new figure.

        Returns
        -------
        self : ScorePathDisplay
        """
        barriers: Mapping[str, float] = self.scores.attrs.get("barrier", {})
        named = {"score": "as trained", "aligned": "units aligned"}
        with self._drawing(ax) as axes:
            share: Array = self.scores.index.to_numpy(float)
            self.lines_ = {}
            for column, color in zip(self.scores, OKABE_ITO, strict=False):
                values = self.scores[column].to_numpy(float)
                label = named.get(str(column), str(column))
                if column in barriers:
                    label += f", barrier {value_text(barriers[str(column)])}"
                options: dict[str, Any] = {"color": color, "label": label}
                (line,) = axes.plot(share, values, marker="o", markersize=3, **options)
                self.lines_[str(column)] = line
                ends = [0, -1]
                axes.plot(share[ends], values[ends], "--", color="0.6", linewidth=1)
            first, last = (shorten(label, 24) for label in self.labels)
            axes.set_xticks([0, 0.5, 1], [first, "½", last], **LITERAL)
            axes.set_xlabel("Share of the weights")
            axes.set_ylabel(shorten(self.score_label), **LITERAL)
            axes.legend(fontsize="small")
            set_title(axes, "Scores on the line between two models")
        return self

    @classmethod
    def from_run(
        cls,
        run: Run,
        start: Any,
        end: Any,
        X: Any,
        y: Any = None,
        *,
        ax: Axes | None = None,
        **options: Any,
    ) -> Self:
        """Score a line and draw it.

        Parameters
        ----------
        run : Run
        start, end, X, y
            As for :meth:`weightsearch.Run.score_path`.
        ax : matplotlib Axes, default=None
            None: a new figure.
        **options
            As for :meth:`weightsearch.Run.score_path`, such as ``align=True``.

        Returns
        -------
        display : ScorePathDisplay
        """
        check_matplotlib(f"{cls.__name__}.from_run")
        scores = run.score_path(start, end, X, y, **options)
        scoring = options.get("scoring")
        score_label = scoring if isinstance(scoring, str) else "score"
        labels = _end_label(run, start), _end_label(run, end)
        return cls(scores, labels=labels, score_label=score_label).plot(ax)


def _trajectories(
    run: Run, candidates: Iterable[int] | None, split: int | None
) -> dict[int, Trajectory]:
    """Return trajectories: of given candidates, or of all that have snapshots."""
    if candidates is not None:
        return {int(number): run.trajectory(number, split) for number in candidates}
    found = {}
    error = None
    for number, _ in weights_of(run, None, split):
        try:
            found[number] = run.trajectory(number, split)
        except SnapshotError as missing:
            error = missing
    if not found and error is not None:
        raise error
    return found


def _end_label(run: Run, place: Any) -> str:
    candidate, epoch = place if isinstance(place, tuple) else (place, None)
    label = f"candidate {run._number(candidate)}"
    return label if epoch is None else f"{label}, epoch {epoch}"
