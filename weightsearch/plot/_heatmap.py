"""One weight of one candidate as a heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from weightsearch._records import Array
from weightsearch.plot._arrays import largest
from weightsearch.plot._base import (
    LITERAL,
    Display,
    check_matplotlib,
    set_title,
)
from weightsearch.plot._reading import (
    candidate_number,
    main_weight,
    shorten,
    title_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

    from weightsearch.run import Run
from weightsearch.plot._tiles import as_image

__all__ = ["WeightHeatmapDisplay"]


class WeightHeatmapDisplay(Display):
    """Heat map of a weight, on a diverging scale centred at 0.

    Parameters
    ----------
    matrix : ndarray of shape (rows, columns)
        Elements that are not finite are drawn grey.
    title, row_label, column_label : str, default=""
        What is seen.

    Attributes
    ----------
    im_ : matplotlib AxesImage
    colorbar_ : matplotlib Colorbar
    ax_, figure_
        Axes and figure.
    """

    def __init__(
        self,
        matrix: Array,
        *,
        title: str = "",
        row_label: str = "",
        column_label: str = "",
    ):
        self.matrix = matrix
        self.title = title
        self.row_label = row_label
        self.column_label = column_label

    def plot(
        self,
        ax: Axes | None = None,
        *,
        cmap: Any = "RdBu_r",
        vmax: float | None = None,
        im_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure.
        cmap : str or Colormap, default="RdBu_r"
            A diverging one.
        vmax : float, default=None
            The scale goes from ``-vmax`` to ``vmax``; None: the largest absolute
            value. Give one number to compare several pictures.
        im_kw : dict, default=None
            Options for ``Axes.imshow``.

        Returns
        -------
        self : WeightHeatmapDisplay
        """
        matrix = np.asarray(self.matrix, dtype=float)
        limit = largest(matrix) if vmax is None else vmax
        with self._drawing(ax) as axes:
            from matplotlib.ticker import MaxNLocator

            options = {"cmap": cmap, "vmin": -limit, "vmax": limit, "aspect": "auto"}
            self.im_ = axes.imshow(
                np.ma.masked_invalid(matrix), **options | (im_kw or {})
            )
            self.im_.set_cmap(self.im_.cmap.with_extremes(bad="0.6"))
            for axis, count in zip((axes.yaxis, axes.xaxis), matrix.shape, strict=True):
                axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
                if count == 1:
                    axis.set_ticks([])
            axes.set_xlabel(self.column_label)
            axes.set_ylabel(self.row_label)
            title = self.title
            if bad := int((~np.isfinite(matrix)).sum()):
                title += f"; {bad} not finite (grey)"
            set_title(axes, title)
            self.colorbar_ = axes.figure.colorbar(self.im_, ax=axes)
            self.colorbar_.set_label("Weight", **LITERAL)
        return self

    @classmethod
    def from_run(
        cls,
        run: Run,
        name: str | None = None,
        *,
        candidate: int | Mapping[str, Any] | None = None,
        split: int | None = None,
        units_axis: int | None = None,
        ax: Axes | None = None,
        **plot_options: Any,
    ) -> Self:
        """Draw a weight of a run's candidate.

        Parameters
        ----------
        run : Run
        name : str, default=None
            The weight; None: the first one with two dimensions or more.
        candidate : int or dict, default=None
            Number or params; None: the best one.
        split : int, default=None
            The split whose model is meant; None: the refit.
        units_axis : int, default=None
            As for :class:`WeightImageDisplay`.
        ax : matplotlib Axes, default=None
            None makes a new figure.
        **plot_options
            As for :meth:`plot`.

        Returns
        -------
        display : WeightHeatmapDisplay

        Raises
        ------
        WeightsNotFoundError
            There is no such candidate or weight.
        ValueError
            The weight is not of real numbers.
        """
        check_matplotlib(f"{cls.__name__}.from_run")
        number = candidate_number(run, candidate)
        weights = run.weights(number, split)
        name = main_weight(weights) if name is None else name
        matrix, rows, columns = as_image(name, weights[name], units_axis)
        title = title_of(run, number, shorten(name, 36))
        display = cls(matrix, title=title, row_label=rows, column_label=columns)
        return display.plot(ax, **plot_options)
