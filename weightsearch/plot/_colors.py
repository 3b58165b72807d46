"""Colours of candidates, and legends or colour bars for them."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from weightsearch._display import distinct
from weightsearch._records import Array
from weightsearch.plot._base import LITERAL, has_layout
from weightsearch.plot._reading import shorten, value_texts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable

__all__ = ["OKABE_ITO", "Colors", "add_key", "colors_of", "robust_limits"]

OKABE_ITO = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#000000",
    "#F0E442",
)
"""Eight colours that colour-blind people can distinguish [1]_.

.. [1] M. Okabe and K. Ito, Color Universal Design, 2008.
"""
_MISSING = "#999999"
_NONE = "#D55E00"
_FEW_NUMBERS = 6
_DECADES = 1000.0
_LEGEND_WIDTH = 34


@dataclass
class Colors:
    """Colours of candidates.

    Attributes
    ----------
    rgba : ndarray of shape (n, 4)
    label : str
        Meaning of the colours.
    entries : list of (str, color)
        Entries of a legend, which beside a colour bar are for values that are not
        numbers; may be empty.
    mappable : ScalarMappable or None
        Content of the colour bar; None without one.
    extend : {"neither", "both", "min", "max"}
        Ends of the colour bar that values exceed.
    """

    rgba: Array
    label: str = ""
    entries: list[tuple[str, Any]] = field(default_factory=list)
    mappable: ScalarMappable | None = None
    extend: str = "neither"


def robust_limits(values: Array, times: float = 3.0) -> tuple[float, float]:
    """Compute limits that ignore a few outliers.

    Parameters
    ----------
    values : ndarray of shape (n,), finite
    times : float, default=3.0
        How many times farther than the fence an outlier is.

    Returns
    -------
    low, high : float
        The range of the values. A side that is more than ``times`` as far from the
        median as Tukey's outer fence [1]_, three interquartile ranges from the
        quartile, ends at the last value within the fence.

    References
    ----------
    .. [1] J. W. Tukey, Exploratory Data Analysis, Addison-Wesley, 1977, section 2C.
    """
    low, high = float(values.min()), float(values.max())
    lower, middle, upper = map(float, np.quantile(values, [0.25, 0.5, 0.75]))
    # Where most values are equal, one is far if it is of another magnitude.
    reach = 3 * (upper - lower) or 1000 * abs(middle)
    if reach == 0:
        return low, high
    if middle - low > times * (middle - lower + reach):
        low = float(values[values >= lower - reach].min())
    if high - middle > times * (upper + reach - middle):
        high = float(values[values <= upper + reach].max())
    return low, high


def colors_of(
    values: Sequence[Any] | None,
    label: str,
    cmap: Any = None,
    levels: Sequence[Any] | None = None,
) -> Colors:
    """Choose a colour for each value.

    Parameters
    ----------
    values : sequence of object or None
        One value per candidate: numbers, texts, anything with a repr; NA and NaN are
        missing, a None among them is a value. None: one colour for all.
    label : str
        Name of the values.
    cmap : str or Colormap, default=None
        For numbers; None: viridis without its lightest end, which is hard to see on
        white. Other values, up to eight, get the colours of :data:`OKABE_ITO`.
    levels : sequence of object, default=None
        All values that there are, in their order, by which the colours are chosen: a
        value then has the same colour whatever else is shown. None: `values`.
    """
    from matplotlib.colors import to_rgba

    if values is None:
        return Colors(np.empty((0, 4)), label)
    missing = np.array([_is_missing(value) for value in values], dtype=bool)
    rgba = np.tile(to_rgba(_MISSING), (len(values), 1))
    gaps = [("missing", _MISSING)] if missing.any() else []
    known = [v for v, gone in zip(values, missing, strict=True) if not gone]
    domain = known if levels is None else [v for v in levels if not _is_missing(v)]
    numbers = [value for value in domain if value is not None]
    numeric = bool(numbers) and all(_is_number(value) for value in numbers)
    if numeric and len(set(numbers)) > _FEW_NUMBERS:
        nothing = np.array([value is None for value in values], dtype=bool)
        rgba[nothing] = to_rgba(_NONE)
        where = ~(missing | nothing)
        shown = np.array([value for value in known if value is not None], dtype=float)
        limits = np.array(numbers, dtype=float)
        colors = _continuous(shown, limits, where, rgba, label, cmap)
        none = [("None", _NONE)] if nothing.any() else []
        return replace(colors, entries=[*none, *gaps])
    names = dict(zip(map(distinct, domain), value_texts(domain, 96), strict=True))
    texts = [names[distinct(value)] for value in known]
    entries = _levels(domain, [names[distinct(v)] for v in domain], numeric, cmap)
    palette = dict(entries)
    other = next((name for name in palette if name.startswith("others (")), "")
    texts = [text if text in palette else other for text in texts]
    for position, text in zip(np.flatnonzero(~missing).tolist(), texts, strict=True):
        rgba[position] = to_rgba(palette[text])
    shown_entries = [entry for entry in entries if entry[0] in set(texts)]
    return Colors(rgba, label, [*shown_entries, *gaps])


def _is_missing(value: Any) -> bool:
    return value is pd.NA or (isinstance(value, float | np.floating) and value != value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _levels(
    known: list[Any], texts: list[str], numeric: bool, cmap: Any
) -> list[tuple[str, Any]]:
    if numeric:
        ordered = sorted(
            {text: value for text, value in zip(texts, known, strict=True)}.items(),
            key=lambda pair: (pair[1] is None, pair[1] or 0),
        )
        shades = list(_color_map(cmap)(np.linspace(0, 1, max(len(ordered), 2))))
        if ordered and ordered[-1][1] is None:
            shades[len(ordered) - 1] = _NONE
        return [
            (text, shade) for (text, _), shade in zip(ordered, shades, strict=False)
        ]
    counts = Counter(texts)
    if len(counts) <= len(OKABE_ITO):
        return list(zip(counts, OKABE_ITO, strict=False))
    most = [name for name, _ in counts.most_common(len(OKABE_ITO) - 1)]
    rest = len(counts) - len(most)
    return [*zip(most, OKABE_ITO, strict=False), (f"others ({rest})", "#BBBBBB")]


def _continuous(
    known: Array, domain: Array, where: Array, rgba: Array, label: str, cmap: Any
) -> Colors:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm, Normalize

    finite = domain[np.isfinite(domain)]
    low, high = robust_limits(finite) if finite.size else (0.0, 1.0)
    norm = Normalize(low, high)
    if finite.size and finite.min() > 0 and finite.max() / finite.min() >= _DECADES:
        low, high = float(finite.min()), float(finite.max())
        norm = LogNorm(low, high)
    mappable = ScalarMappable(norm, _color_map(cmap))
    mappable.set_array(known)
    rgba[where] = mappable.to_rgba(known)
    below, above = bool((known < low).any()), bool((known > high).any())
    extend = ("neither", "min", "max", "both")[below + 2 * above]
    return Colors(rgba, label, mappable=mappable, extend=extend)


def _color_map(cmap: Any) -> Any:
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    if cmap is not None:
        return colormaps.get_cmap(cmap)
    return ListedColormap(colormaps["viridis"](np.linspace(0, 0.92, 256)))


def add_key(
    ax: Axes, colors: Colors, *, outside: bool = False, widen: bool = False
) -> Any:
    """Draw the colour bar or the legend beside axes.

    Parameters
    ----------
    ax : matplotlib Axes
    colors : Colors
    outside : bool, default=False
        Whether to put a legend beside the axes also where the figure does not make
        room for it: the axes become narrower.
    widen : bool, default=False
        Whether the figure may grow to make room for a legend.

    Returns
    -------
    key : Colorbar, Legend or None
        None where there is nothing to distinguish.
    """
    if colors.mappable is not None:
        bar = ax.figure.colorbar(colors.mappable, ax=ax, extend=colors.extend)
        bar.set_label(colors.label, **LITERAL)
        if colors.entries:
            _add_legend(ax, replace(colors, label=""), {"loc": "best"})
        return bar
    if not colors.entries:
        return None
    # Inside the axes, unless the figure makes room beside them.
    place: dict[str, Any] = {"loc": "best"}
    if outside and not has_layout(ax):
        box = ax.get_position()
        ax.set_position((box.x0, box.y0, 0.68 * box.width, box.height))
    if outside or has_layout(ax):
        place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0)}
    legend, texts = _add_legend(ax, colors, place)
    if widen:
        longest = max((len(line) for lines in texts for line in lines), default=0)
        figure: Any = ax.figure
        width, height = figure.get_size_inches()
        figure.set_size_inches(width + 0.6 + 0.075 * longest, height)
    return legend


def _add_legend(
    ax: Axes, colors: Colors, place: dict[str, Any]
) -> tuple[Any, list[list[str]]]:
    """Draw the legend; return it with the lines of its texts."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=color, marker="o", linestyle="-")
        for _, color in colors.entries
    ]
    # Labels are set afterwards, since matplotlib hides those like "_x".
    blank = [" "] * len(handles)
    legend = ax.legend(
        handles, blank, title=" ", fontsize="small", title_fontsize="small", **place
    )
    texts = [textwrap.wrap(label, _LEGEND_WIDTH) for label, _ in colors.entries]
    for text, lines in zip(legend.get_texts(), texts, strict=True):
        text.set(text="\n".join(lines), **LITERAL)
    legend.get_title().set(text=shorten(colors.label, _LEGEND_WIDTH + 4), **LITERAL)
    return legend, texts
