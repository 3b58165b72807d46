"""Display of the distribution of each weight's elements over candidates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from weightsearch._records import Array
from weightsearch.exceptions import WeightsNotFoundError
from weightsearch.plot._base import (
    LITERAL,
    Display,
    check_matplotlib,
    set_ticks,
    set_title,
    size_of,
)
from weightsearch.plot._colors import OKABE_ITO, add_key, colors_of, robust_limits
from weightsearch.plot._numbers import QUANTILE_COLUMNS, weight_quantiles
from weightsearch.plot._reading import (
    color_values,
    column_of,
    main_score,
    shorten,
    value_text,
    weights_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from weightsearch.run import Run

__all__ = ["WeightDistributionDisplay"]

_MOST_PANELS = 8
_FAR = 10.0
_PANEL, _GAP = 1.25, 0.4  # inches


class WeightDistributionDisplay(Display):
    """Distribution of each weight's elements: a panel per weight, a box per candidate.

    A box reaches from the first to the third quartile, with a line at the median;
    a thin line reaches from the 5th to the 95th percentile.

    Parameters
    ----------
    quantiles : DataFrame
        Columns ``candidate``, ``name``, ``q05``, ``q25``, ``q50``, ``q75``,
        ``q95``. Candidates and weights are drawn in the order of their first
        appearance.
    order_label : str, default="Candidate"
        Name of the order of candidates.
    colors : mapping of int to object, default=None
        A value per candidate, shown by its colour; None: one colour for all.
    color_label : str, default=""
        Name of these values.
    color_levels : sequence of object, default=None
        All values that there are, in their order: a value then has the same colour in
        every picture. None: those of ``colors``.
    n_weights : int, default=None
        Number of all weights, where only some are drawn.

    Attributes
    ----------
    axes_ : list of matplotlib Axes
        One panel per weight, within ``ax_``.
    boxes_ : list of matplotlib PolyCollection
        The boxes of each panel.
    key_ : Colorbar, Legend or None
    ax_, figure_
        Axes and figure.
    """

    def __init__(
        self,
        quantiles: pd.DataFrame,
        *,
        order_label: str = "Candidate",
        colors: Mapping[int, Any] | None = None,
        color_label: str = "",
        color_levels: Sequence[Any] | None = None,
        n_weights: int | None = None,
    ):
        self.quantiles = quantiles
        self.order_label = order_label
        self.colors = colors
        self.color_label = color_label
        self.color_levels = color_levels
        self.n_weights = n_weights

    def plot(self, ax: Axes | None = None, *, cmap: Any = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Divided into panels; None: a new figure.
        cmap : str or Colormap, default=None
            Colours of numbers; None: viridis without its lightest end.

        Returns
        -------
        self : WeightDistributionDisplay
        """
        table = self.quantiles
        candidates = table["candidate"].drop_duplicates().tolist()
        names = table["name"].drop_duplicates().tolist()
        size = (6.4, 1.2 + len(names) * (_PANEL + _GAP))
        with self._drawing(ax, size) as axes:
            values = (
                None
                if self.colors is None
                else [self.colors[number] for number in candidates]
            )
            colors = colors_of(values, self.color_label, cmap, levels=self.color_levels)
            axes.set_axis_off()
            title = "Weights of each layer: quartiles, 5th to 95th percentile"
            if self.n_weights is not None and self.n_weights > len(names):
                title += f" ({len(names)} of {self.n_weights} weights)"
            self.axes_, self.boxes_ = [], []
            for panel, name in zip(_panels(axes, len(names)), names, strict=True):
                rows = table[table["name"] == name].set_index("candidate")
                here = [p for p, n in enumerate(candidates) if n in rows.index]
                numbers = rows.loc[[candidates[p] for p in here], QUANTILE_COLUMNS]
                rgba = OKABE_ITO[0] if values is None else colors.rgba[here]
                self.boxes_.append(
                    _draw_boxes(panel, np.array(here), numbers.to_numpy(), rgba)
                )
                _fit_panel(panel, name, numbers.to_numpy())
                panel.set_xlim(-0.6, len(candidates) - 0.4)
                panel.tick_params(labelsize="small", labelbottom=False)
                self.axes_.append(panel)
            last = self.axes_[-1]
            set_ticks(last, candidates)
            last.tick_params(labelbottom=True)
            last.set_xlabel(self.order_label, **LITERAL)
            set_title(axes, title)
            # "best" would find no place among the panels.
            self.key_ = add_key(axes, colors, outside=True, widen=ax is None)
        return self

    @classmethod
    def from_run(
        cls,
        run: Run,
        names: Sequence[str] | None = None,
        *,
        candidates: Iterable[int] | None = None,
        split: int | None = None,
        order_by: str | None = "score",
        color_by: str | None = "auto",
        ax: Axes | None = None,
        **plot_options: Any,
    ) -> Self:
        """Draw the weights of a run's candidates.

        Parameters
        ----------
        run : Run
        names : sequence of str, default=None
            The weights; None: all, or of more than eight the first eight, matrices
            before vectors.
        candidates : iterable of int, default=None
            Their numbers; None: all that have weights.
        split : int, default=None
            The split whose models are drawn; None: the refits.
        order_by : str, default="score"
            A column of ``run.candidates`` by which candidates are ordered, from low
            to high; ``"score"``: the main score; None: by number.
        color_by : str, default="auto"
            A column of ``run.candidates``; ``"auto"``: up to eight candidates by
            themselves, more by their score; None: one colour for all.
        ax : matplotlib Axes, default=None
            Divided into panels; None: a new figure.
        **plot_options
            As for :meth:`plot`.

        Returns
        -------
        display : WeightDistributionDisplay

        Raises
        ------
        WeightsNotFoundError
            If there are no such candidates or weights.
        QueryError
            If ``order_by`` or ``color_by`` is not a column.
        """
        check_matplotlib(f"{cls.__name__}.from_run")
        tables: dict[int, pd.DataFrame] = {}
        dimensions: dict[str, int] = {}
        for number, weights in weights_of(run, candidates, split):
            # A single read, unless only some are wanted.
            arrays = weights if names is not None else weights.to_dict()
            tables[number] = weight_quantiles(arrays, names)
            dimensions |= {
                name: len(weights.shapes[weights.ties.get(name, name)])
                for name in tables[number]["name"]
            }
        if not dimensions:
            raise WeightsNotFoundError(
                f"Run {run.name} has no numeric weights"
                + (f" called {', '.join(names)}." if names is not None else ".")
            )
        shown = list(dimensions) if names is not None else _first(dimensions)
        numbers, order_label = _ordered(run, list(tables), order_by)
        table = pd.concat(
            [tables[number].assign(candidate=number) for number in numbers],
            ignore_index=True,
        )
        values, label, levels = color_values(run, numbers, color_by)
        display = cls(
            table[table["name"].isin(shown)],
            order_label=order_label,
            colors=None if values is None else dict(zip(numbers, values, strict=True)),
            color_label=label,
            color_levels=levels,
            n_weights=len(dimensions),
        )
        return display.plot(ax, **plot_options)


def _first(dimensions: Mapping[str, int]) -> list[str]:
    """Choose as many weights as have room, matrices first."""
    by_kind = sorted(dimensions, key=lambda name: dimensions[name] < 2)
    chosen = by_kind[:_MOST_PANELS]
    return [name for name in dimensions if name in chosen]


def _ordered(
    run: Run, numbers: list[int], order_by: str | None
) -> tuple[list[int], str]:
    if order_by == "score":
        order_by = main_score(run)
    if order_by is None:
        return sorted(numbers), "Candidate"
    column = column_of(run, order_by).loc[numbers]
    if column.dtype == object:
        # Tuples, None and the like have no common order.
        column = column.map(value_text)
    ordered = column.sort_values(kind="stable", na_position="first").index
    return ordered.tolist(), f"Candidate, from low to high {shorten(order_by)}"


def _panels(ax: Axes, count: int) -> list[Axes]:
    """Divide axes into panels, one below the other, with a common x axis."""
    _, height = size_of(ax)
    gap = min(_GAP / max(height, _GAP), 0.5 / count)
    share = (1 - gap * count) / count
    panels: list[Axes] = []
    for row in range(count):
        bottom = 1 - (row + 1) * (share + gap)
        panels.append(
            ax.inset_axes((0, bottom, 1, share), sharex=panels[0] if panels else None)
        )
    return panels


def _fit_panel(ax: Axes, name: str, quantiles: Array) -> None:
    """Set a panel's title, and limits that ignore diverged candidates."""
    title = shorten(name, 60)
    finite = quantiles[np.isfinite(quantiles).all(axis=1)]
    if len(finite):
        low = robust_limits(finite[:, 0], _FAR)[0]
        high = robust_limits(finite[:, -1], _FAR)[1]
        low, high = min(low, 0.0), max(high, 0.0)
        margin = 0.05 * (high - low) or 1.0
        ax.set_ylim(low - margin, high + margin)
        beyond = int(((finite[:, 0] < low) | (finite[:, -1] > high)).sum())
        if beyond:
            who = "candidate reaches" if beyond == 1 else "candidates reach"
            title += f" ({beyond} {who} beyond)"
    # Centred, since a common factor of the ticks is at the left.
    ax.set_title(title, fontsize="small", pad=3, **LITERAL)


def _draw_boxes(ax: Axes, x: Array, quantiles: Array, colors: Any) -> Any:
    from matplotlib.collections import PolyCollection

    low, first, median, third, high = quantiles.T
    ax.vlines(x, low, high, colors=colors, linewidth=0.8)
    left, right = x - 0.35, x + 0.35
    corners = [left, first, left, third, right, third, right, first]
    verts: Any = np.stack(corners, axis=1).reshape(-1, 4, 2)
    boxes = PolyCollection(verts, facecolors=colors, linewidths=0)
    ax.add_collection(boxes)
    ax.hlines(median, left, right, colors="white", linewidth=2)
    ax.hlines(median, left, right, colors="black", linewidth=1)
    ax.axhline(0, color="0.7", linewidth=0.6, zorder=0)
    ax.autoscale_view()
    return boxes
