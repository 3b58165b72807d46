"""Display of the distances between candidates, ordered by clustering."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pandas as pd

from weightsearch._records import Array
from weightsearch.plot._base import (
    LITERAL,
    Display,
    check_matplotlib,
    has_layout,
    set_ticks,
    set_title,
)
from weightsearch.plot._colors import add_key, colors_of, robust_limits
from weightsearch.plot._numbers import dendrogram_lines
from weightsearch.plot._reading import candidate_labels, color_values, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from weightsearch.run import Run

__all__ = ["DistanceMatrixDisplay"]

_LABELS = {
    "l2": "Distance (L2)",
    "relative": "Relative distance",
    "cosine": "Cosine distance",
}
_FEW_ROWS = 12
_ROW_LETTERS = 36
_COLORBAR = 1.0  # inches


class DistanceMatrixDisplay(Display):
    """Distances between candidates, ordered by the dendrogram of a clustering.

    Parameters
    ----------
    distances : DataFrame of shape (n, n)
        Index and columns are the candidates' numbers.
    linkage : ndarray of shape (n - 1, 4), default=None
        As from :func:`scipy.cluster.hierarchy.linkage`, with leaves in the order of
        ``distances``. None: no dendrogram, and no reordering.
    distance_label : str, default="Distance"
        Name of the distances.
    labels : sequence of str, default=None
        Labels of the rows, where there are few; None: the numbers.
    colors : sequence of object, default=None
        A value per candidate, shown in a strip above the matrix.
    color_label : str, default=""
        Name of these values.
    color_levels : sequence of object, default=None
        All values that there are, in their order: a value then has the same colour in
        every picture. None: those of ``colors``.
    title : str, default=""

    Attributes
    ----------
    order_ : ndarray of shape (n,)
        The candidates' numbers from left to right.
    im_ : matplotlib AxesImage
    colorbar_ : matplotlib Colorbar
    dendrogram_ax_, strip_ax_ : matplotlib Axes or None
        Within ``ax_``, above the matrix.
    key_ : Colorbar, Legend or None
        That of the strip.
    ax_, figure_
        Axes and figure.
    """

    def __init__(
        self,
        distances: pd.DataFrame,
        linkage: Array | None = None,
        *,
        distance_label: str = "Distance",
        labels: Sequence[str] | None = None,
        colors: Sequence[Any] | None = None,
        color_label: str = "",
        color_levels: Sequence[Any] | None = None,
        title: str = "",
    ):
        self.distances = distances
        self.linkage = linkage
        self.distance_label = distance_label
        self.labels = labels
        self.colors = colors
        self.color_label = color_label
        self.color_levels = color_levels
        self.title = title

    def plot(self, ax: Axes | None = None, *, cmap: Any = "viridis") -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None: a new figure.
        cmap : str or Colormap, default="viridis"
            Colours of distances.

        Returns
        -------
        self : DistanceMatrixDisplay
        """
        n = len(self.distances)
        leaves, tree = list(range(n)), None
        if self.linkage is not None and len(self.linkage):
            leaves, tree = dendrogram_lines(self.linkage)
        few = self.labels is not None and n <= _FEW_ROWS
        longest = max(map(len, self.labels or [""])) if few else 0
        size = (6.4 + 0.07 * min(longest, _ROW_LETTERS), 6.4)
        with self._drawing(ax, size) as axes:
            ordered = self.distances.iloc[leaves, leaves]
            self.order_ = ordered.index.to_numpy()
            matrix = ordered.to_numpy(dtype=float)
            limit, extend = _limit(matrix)
            self.im_ = axes.imshow(
                np.ma.masked_invalid(matrix), cmap=cmap, vmin=0, vmax=limit
            )
            self.im_.set_cmap(self.im_.cmap.with_extremes(bad="0.8"))
            self._label(axes, leaves)
            above = 1.0
            self.strip_ax_: Axes | None = None
            self.dendrogram_ax_: Axes | None = None
            self.key_: Any = None
            if self.colors is not None:
                above = self._draw_strip(axes, leaves, ax is None)
            if tree is not None:
                self.dendrogram_ax_ = _draw_tree(axes, tree, above)
            set_title(self.dendrogram_ax_ or self.strip_ax_ or axes, self.title)
            self.colorbar_ = axes.figure.colorbar(self.im_, ax=axes, extend=extend)
            self.colorbar_.set_label(self.distance_label, **LITERAL)
            if not has_layout(axes):
                # Make room above the matrix, within the place of the axes.
                box = axes.get_position()
                height = box.height / (above + 0.21 * (tree is not None))
                axes.set_position((box.x0, box.y0, box.width, height))
            if ax is None:
                # A layout engine needs two draws for axes of a fixed aspect.
                new_figure: Any = axes.figure
                new_figure.draw_without_rendering()
        return self

    def _label(self, ax: Axes, leaves: list[int]) -> None:
        set_ticks(ax, self.order_)
        clustered = self.linkage is not None
        ax.set_xlabel("Candidate, ordered by clustering" if clustered else "Candidate")
        if self.labels is not None and len(leaves) <= _FEW_ROWS:
            rows = [shorten(self.labels[leaf], _ROW_LETTERS) for leaf in leaves]
            ax.set_yticks(range(len(rows)), rows, fontsize="small", **LITERAL)
        else:
            set_ticks(ax, self.order_, "y")
            ax.set_ylabel("Candidate")

    def _draw_strip(self, ax: Axes, leaves: list[int], widen: bool) -> float:
        colors = colors_of(self.colors, self.color_label, levels=self.color_levels)
        strip = ax.inset_axes((0, 1.01, 1, 0.035), sharex=ax)
        strip.imshow(
            colors.rgba[leaves][np.newaxis],
            aspect="auto",
            extent=(-0.5, len(leaves) - 0.5, 0, 1),
        )
        strip.tick_params(left=False, bottom=False, labelleft=False, labelbottom=False)
        self.strip_ax_ = strip
        self.key_ = add_key(ax, colors, widen=widen)
        if widen and colors.mappable is not None:
            figure: Any = ax.figure
            width, height = figure.get_size_inches()
            figure.set_size_inches(width + _COLORBAR, height)
        return 1.045

    @classmethod
    def from_run(
        cls,
        run: Run,
        metric: Literal["l2", "relative", "cosine"] = "l2",
        *,
        method: Literal[
            "average", "complete", "single", "weighted", "ward"
        ] = "average",
        align: bool = False,
        split: int | None = None,
        candidates: Iterable[int] | None = None,
        names: str | Iterable[str] | None = None,
        color_by: str | None = None,
        ax: Axes | None = None,
        **plot_options: Any,
    ) -> Self:
        """Draw the distances between a run's candidates.

        Parameters
        ----------
        run : Run
        metric : {"l2", "relative", "cosine"}, default="l2"
            As for :func:`weightsearch.compare.pairwise_distances`.
        method : {"average", "complete", "single", "weighted", "ward"}
            As for :func:`scipy.cluster.hierarchy.linkage`.
        align : bool, default=False
            Whether to match hidden units first.
        split : int, default=None
            The split whose models are drawn; None: the refits.
        candidates : iterable of int, default=None
            The candidates; None: all that have weights.
        names : str or iterable of str, default=None
            Weights that count; None: all.
        color_by : str, default=None
            A column of ``run.candidates`` to show as a strip above the matrix, to see
            whether clusters agree with a param or with the score.
        ax : matplotlib Axes, default=None
            None: a new figure.
        **plot_options
            As for :meth:`plot`.

        Returns
        -------
        display : DistanceMatrixDisplay

        Raises
        ------
        WeightSearchError
            If the candidates cannot be compared or clustered; see ``run.cluster``.
        QueryError
            If ``color_by`` is not a column.
        """
        check_matplotlib(f"{cls.__name__}.from_run")
        clustering = run.cluster(
            metric,
            method=method,
            align=align,
            split=split,
            candidates=candidates,
            names=names,
        )
        numbers = [int(number) for number in clustering.candidates]
        values, label, levels = color_values(run, numbers, color_by)
        few = len(numbers) <= _FEW_ROWS
        display = cls(
            clustering.distances,
            clustering.linkage,
            distance_label=_LABELS.get(metric, metric)
            + (", units aligned" if align else ""),
            labels=candidate_labels(run, numbers) if few else None,
            colors=values,
            color_label=label,
            color_levels=levels,
            title=f"Distances between the weights of {len(numbers)} candidates",
        )
        return display.plot(ax, **plot_options)


def _limit(matrix: Array) -> tuple[float, Literal["neither", "max"]]:
    """Return the upper end of the colours, without diverged candidates."""
    apart = np.where(np.eye(len(matrix), dtype=bool) | ~np.isfinite(matrix), 0, matrix)
    highest = float(apart.max(initial=0.0))
    if highest == 0:
        return 1.0, "neither"
    # A diverged candidate is far from most others.
    typical = np.median(apart, axis=1)
    near = typical <= robust_limits(typical)[1]
    others = apart[np.ix_(near, near)]
    limit = robust_limits(others[others > 0])[1] if others.any() else highest
    return (limit, "max") if highest > 3 * limit else (highest, "neither")


def _draw_tree(ax: Axes, tree: Array, bottom: float) -> Axes:
    from matplotlib.collections import LineCollection
    from matplotlib.ticker import MaxNLocator

    above = ax.inset_axes((0, bottom + 0.01, 1, 0.2), sharex=ax)
    segments: Any = tree
    width = 1.2 if len(tree) < 50 else 0.7
    lines = LineCollection(segments, colors="0.2", linewidths=width)
    above.add_collection(lines)
    heights = tree[..., 1].max(axis=1)
    above.set_ylim(0, robust_limits(heights)[1] * 1.05 or 1.0)
    above.tick_params(bottom=False, labelbottom=False, labelsize="x-small")
    above.spines[["top", "right", "bottom"]].set_visible(False)
    above.yaxis.set_major_locator(MaxNLocator(3, prune="lower"))
    return above
