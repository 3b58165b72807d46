"""Displays of one weight of one candidate: as a heat map, or as images of units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from weightsearch._records import Array
from weightsearch.plot._base import LITERAL, Display, check_matplotlib, set_title
from weightsearch.plot._numbers import as_image, largest, tiled, unit_images
from weightsearch.plot._reading import (
    candidate_number,
    main_weight,
    shorten,
    title_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from weightsearch.run import Run

__all__ = ["WeightHeatmapDisplay", "WeightImageDisplay"]

_MOST = 100


class WeightHeatmapDisplay(Display):
    """Heat map of a weight, on a diverging scale centred at 0.

    Parameters
    ----------
    matrix : ndarray of shape (rows, columns)
        Elements that are not finite are grey.
    title, row_label, column_label : str, default=""
        Texts of the axes.

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
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None: a new figure.
        cmap : str or Colormap, default="RdBu_r"
            A diverging colour map.
        vmax : float, default=None
            The scale goes from ``-vmax`` to ``vmax``; None: the largest absolute
            value. Pass one number to compare several displays.
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
            The split whose model is drawn; None: the refit.
        units_axis : int, default=None
            As for :class:`WeightImageDisplay`.
        ax : matplotlib Axes, default=None
            None: a new figure.
        **plot_options
            As for :meth:`plot`.

        Returns
        -------
        display : WeightHeatmapDisplay

        Raises
        ------
        WeightsNotFoundError
            If there is no such candidate or weight.
        ValueError
            If the weight does not contain real numbers.
        """
        check_matplotlib(f"{cls.__name__}.from_run")
        number = candidate_number(run, candidate)
        weights = run.weights(number, split)
        name = main_weight(weights) if name is None else name
        matrix, rows, columns = as_image(name, weights[name], units_axis)
        title = title_of(run, number, shorten(name, 36))
        display = cls(matrix, title=title, row_label=rows, column_label=columns)
        return display.plot(ax, **plot_options)


class WeightImageDisplay(Display):
    """Incoming weights of each unit as images, on one scale centred at 0.

    Parameters
    ----------
    images : ndarray of shape (n, height, width)
    units : sequence of int, default=None
        The number of each image's unit; None: 0, 1, 2, ...
    title : str, default=""

    Attributes
    ----------
    im_ : matplotlib AxesImage
        All images, in one mosaic.
    mosaic_ : ndarray
        Its values, NaN between the images.
    colorbar_ : matplotlib Colorbar
    ax_, figure_
        Axes and figure.
    """

    def __init__(
        self, images: Array, *, units: Sequence[int] | None = None, title: str = ""
    ):
        self.images = images
        self.units = units
        self.title = title

    def plot(
        self,
        ax: Axes | None = None,
        *,
        columns: int | None = None,
        cmap: Any = "RdBu_r",
        vmax: float | None = None,
    ) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None: a new figure.
        columns : int, default=None
            Images per row; None: such that the whole is about square.
        cmap : str or Colormap, default="RdBu_r"
            A diverging colour map.
        vmax : float, default=None
            The scale goes from ``-vmax`` to ``vmax``; None: the largest absolute
            value.

        Returns
        -------
        self : WeightImageDisplay
        """
        images = np.asarray(self.images, dtype=float)
        n, height, _ = images.shape
        units = range(n) if self.units is None else self.units
        mosaic, columns = tiled(images, columns)
        limit = largest(images) if vmax is None else vmax
        with self._drawing(ax) as axes:
            self.im_ = axes.imshow(
                np.ma.masked_invalid(mosaic),
                cmap=cmap,
                vmin=-limit,
                vmax=limit,
                interpolation="nearest",
            )
            # Grey between the images, so that a white one has an edge.
            self.im_.set_cmap(self.im_.cmap.with_extremes(bad="0.6"))
            self.mosaic_ = mosaic
            _label_rows(axes, units, columns, height)
            axes.set_xticks([])
            axes.set_ylabel("Units")
            set_title(axes, self.title)
            self.colorbar_ = axes.figure.colorbar(self.im_, ax=axes)
            self.colorbar_.set_label("Weight", **LITERAL)
        return self

    @classmethod
    def from_run(
        cls,
        run: Run,
        name: str | None = None,
        *,
        shape: tuple[int, int] | None = None,
        candidate: int | Mapping[str, Any] | None = None,
        units: Sequence[int] | None = None,
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
        shape : (int, int), default=None
            Height and width of the input; None: a square.
        candidate : int or dict, default=None
            Number or params; None: the best one.
        units : sequence of int, default=None
            The units to draw; None: the first hundred.
        split : int, default=None
            The split whose model is drawn; None: the refit.
        units_axis : int, default=None
            The axis of the units. None: by the name, which is the last one for Keras'
            ``kernel`` and for ``coefs_/0`` of scikit-learn's MLPs, and axis 0 for
            torch's ``weight`` and for ``coef_`` and ``components_``.
        ax : matplotlib Axes, default=None
            None: a new figure.
        **plot_options
            As for :meth:`plot`.

        Returns
        -------
        display : WeightImageDisplay

        Raises
        ------
        WeightsNotFoundError
            If there is no such candidate or weight.
        ValueError
            If the weight's inputs are not an image of that shape.
        """
        check_matplotlib(f"{cls.__name__}.from_run")
        number = candidate_number(run, candidate)
        weights = run.weights(number, split)
        name = main_weight(weights) if name is None else name
        images = unit_images(name, weights[name], shape, units_axis)
        total = len(images)
        chosen = list(range(min(total, _MOST)) if units is None else units)
        what = shorten(name, 36)
        if len(chosen) < total:
            what = f"{len(chosen)} of {total} units of {what}"
        title = title_of(run, number, what)
        display = cls(images[chosen], units=chosen, title=title)
        return display.plot(ax, **plot_options)


def _label_rows(ax: Axes, units: Sequence[int], columns: int, height: int) -> None:
    """Label each row with its units."""
    ticks, labels = [], []
    for row, start in enumerate(range(0, len(units), columns)):
        part = list(units[start : start + columns])
        one_by_one = part == list(range(part[0], part[0] + len(part)))
        ticks.append(row * (height + 1) + (height - 1) / 2)
        if len(part) == 1:
            labels.append(str(part[0]))
        elif one_by_one:
            labels.append(f"{part[0]} to {part[-1]}")
        else:
            labels.append(shorten(", ".join(map(str, part)), 16))
    ax.set_yticks(ticks, labels)
    ax.tick_params(left=False)
