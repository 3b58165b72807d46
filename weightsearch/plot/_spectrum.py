"""Display of the singular values of a weight over candidates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from weightsearch._records import Array
from weightsearch.plot._base import Display, check_matplotlib, set_title
from weightsearch.plot._colors import OKABE_ITO, add_key, colors_of, robust_limits
from weightsearch.plot._numbers import singular_values
from weightsearch.plot._reading import (
    color_values,
    main_weight_of,
    read_weights,
    shorten,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from weightsearch.run import Run

__all__ = ["SpectrumDisplay"]

_FEW_POINTS = 20
_FLOOR = 1e-8


class SpectrumDisplay(Display):
    """Singular value spectra of one weight over candidates.

    How fast the singular values decay shows how many directions a layer uses. One line
    per candidate; candidates may differ in width.

    Parameters
    ----------
    spectra : sequence of ndarray
        Singular values of each candidate, largest first.
    name : str, default=""
        The weight's name.
    colors : sequence of object, default=None
        A value per candidate, shown by its colour; None: one colour for all.
    color_label : str, default=""
        Name of these values.
    color_levels : sequence of object, default=None
        All values that there are, in their order: a value then has the same colour in
        every picture. None: those of ``colors``.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        In the order of ``spectra``.
    key_ : Colorbar, Legend or None
    ax_, figure_
        Axes and figure.
    """

    def __init__(
        self,
        spectra: Sequence[Array],
        *,
        name: str = "",
        colors: Sequence[Any] | None = None,
        color_label: str = "",
        color_levels: Sequence[Any] | None = None,
    ):
        self.spectra = spectra
        self.name = name
        self.colors = colors
        self.color_label = color_label
        self.color_levels = color_levels

    def plot(
        self,
        ax: Axes | None = None,
        *,
        relative: bool = False,
        cmap: Any = None,
        line_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None: a new figure.
        relative : bool, default=False
            Whether each spectrum is divided by its largest value.
        cmap : str or Colormap, default=None
            Colours of numbers; None: viridis without its lightest end.
        line_kw : dict, default=None
            Options for ``Axes.plot``.

        Returns
        -------
        self : SpectrumDisplay
        """
        with self._drawing(ax) as axes:
            from matplotlib.ticker import MaxNLocator

            colors = colors_of(
                self.colors, self.color_label, cmap, levels=self.color_levels
            )
            many = len(self.spectra) > len(OKABE_ITO)
            self.lines_ = []
            tops = np.zeros(len(self.spectra))
            bottoms = np.full(len(self.spectra), np.inf)
            for position, spectrum in enumerate(self.spectra):
                values = np.asarray(spectrum, dtype=float)
                if relative and values.size and values[0] > 0:
                    values = values / values[0]
                options: dict[str, Any] = {
                    "color": OKABE_ITO[0]
                    if self.colors is None
                    else colors.rgba[position],
                    "linewidth": 1.0 if many else 1.6,
                    "alpha": 0.6 if many else 1.0,
                    "marker": "o" if values.size <= _FEW_POINTS else "",
                    "markersize": 3,
                }
                positive = np.isfinite(values) & (values > 0)
                tops[position] = values.max(where=positive, initial=0.0)
                bottoms[position] = values.min(where=positive, initial=np.inf)
                # A logarithmic axis cannot show zero.
                shown = np.where(values > 0, values, np.nan)
                (line,) = axes.plot(
                    np.arange(1, values.size + 1), shown, **options | (line_kw or {})
                )
                self.lines_.append(line)
            axes.set_yscale("log")
            title = f"Singular values of {shorten(self.name, 36)}, "
            title += f"{len(tops)} candidate{'s' * (len(tops) != 1)}"
            title += _limit(axes, tops, bottoms)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set_xlabel("Index of the singular value")
            axes.set_ylabel(
                "Singular value / largest one" if relative else "Singular value"
            )
            set_title(axes, title)
            self.key_ = add_key(axes, colors, widen=ax is None)
        return self

    @classmethod
    def from_run(
        cls,
        run: Run,
        name: str | None = None,
        *,
        candidates: Iterable[int] | None = None,
        split: int | None = None,
        units_axis: int | None = None,
        color_by: str | None = "auto",
        ax: Axes | None = None,
        **plot_options: Any,
    ) -> Self:
        """Draw the spectra of a run's candidates.

        Parameters
        ----------
        run : Run
        name : str, default=None
            The weight; None: the first one with two dimensions or more.
        candidates : iterable of int, default=None
            Their numbers; None: all that have the weight.
        split : int, default=None
            The split whose models are drawn; None: the refits.
        units_axis : int, default=None
            See :meth:`weightsearch.plot.WeightImageDisplay.from_run`.
        color_by : str, default="auto"
            A column of ``run.candidates``; ``"auto"``: up to eight candidates by
            themselves, more by their score; None: one colour for all.
        ax : matplotlib Axes, default=None
            None: a new figure.
        **plot_options
            As for :meth:`plot`.

        Returns
        -------
        display : SpectrumDisplay

        Raises
        ------
        WeightsNotFoundError
            If there is no such candidate or weight.
        QueryError
            If ``color_by`` is not a column.
        ValueError
            If the weight is not a matrix of real numbers.
        """
        check_matplotlib(f"{cls.__name__}.from_run")
        if candidates is not None:
            candidates = list(candidates)
        if name is None:
            name = main_weight_of(run, candidates, split)
        spectra = {
            number: singular_values(name, weight, units_axis)
            for number, weight in read_weights(run, name, candidates, split)
        }
        values, label, levels = color_values(run, list(spectra), color_by)
        display = cls(
            list(spectra.values()),
            name=name,
            colors=values,
            color_label=label,
            color_levels=levels,
        )
        return display.plot(ax, **plot_options)


def _limit(ax: Axes, tops: Array, bottoms: Array) -> str:
    """Leave diverged candidates and rounding out of the axis; say how many.

    Parameters
    ----------
    ax : matplotlib Axes
        With a logarithmic y axis.
    tops, bottoms : ndarray of shape (n,)
        Largest and smallest positive singular value of each candidate; 0 and infinite
        where there is none.
    """
    some = tops > 0
    if not some.any():
        return ", none finite" if len(tops) else ""
    tops, bottoms = np.log10(tops[some]), np.log10(bottoms[some])
    high = robust_limits(tops)[1]
    beyond = int((tops > high).sum())
    low = max(float(bottoms[tops <= high].min()), high + np.log10(_FLOOR))
    margin = 0.05 * (high - low) or 0.1
    ax.set_ylim(10.0 ** (low - margin), 10.0 ** (high + margin))
    text = f"\n{beyond} beyond the axis" if beyond else ""
    missing = int((~some).sum())
    return text + (f"\n{missing} not finite or zero" if missing else "")
