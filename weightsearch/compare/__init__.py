"""Compare the weights of models: pure functions on names and arrays.

Weights are a mapping of names to arrays, from any source: a store, a fitted search,
:func:`weightsearch.extract_weights`, a file. Only numpy, scipy and pandas are needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import wrap
from typing import Any

import numpy as np
import pandas as pd

from weightsearch._display import MAX_ROWS, section, table, text_table, view
from weightsearch._records import Array
from weightsearch.compare._alignment import align
from weightsearch.compare._clusters import Clustering, Method, cluster
from weightsearch.compare._distances import (
    Metric,
    aligned_distances,
    pairwise_distances,
    stacked_distances,
)
from weightsearch.compare._effects import score_correlation, variance_explained
from weightsearch.compare._importance import param_importance
from weightsearch.compare._numeric import as_numbers, norm
from weightsearch.compare._similarity import (
    cka_matrix,
    layer_similarity,
    linear_cka,
    mlp_activations,
)
from weightsearch.compare._trajectories import (
    PathComponents,
    path_components,
    path_stats,
    settling,
)
from weightsearch.compare._weight_stats import STATISTICS, statistics_of, weight_stats
from weightsearch.exceptions import AlignmentError

__all__ = [
    "STATISTICS",
    "AlignmentError",
    "Clustering",
    "Method",
    "Metric",
    "PathComponents",
    "align",
    "aligned_distances",
    "cka_matrix",
    "cluster",
    "compare",
    "layer_similarity",
    "linear_cka",
    "mlp_activations",
    "pairwise_distances",
    "param_importance",
    "path_components",
    "path_stats",
    "score_correlation",
    "settling",
    "stacked_distances",
    "statistics_of",
    "variance_explained",
    "weight_stats",
]

_align = align  # The parameter of this name hides the function in compare.
_MAX_SHOWN = 60
_NUMBERS = (
    "relative_distance",
    "cosine",
    "max_abs_difference",
    "sign_difference",
    "l2_a",
    "l2_b",
    "l2_distance",
)


class _Comparison(pd.DataFrame):  # type: ignore[misc]
    """A frame that shows its distances, where all columns would be too wide.

    What is made of it, such as a part, is a plain frame.
    """

    _BRIEF = ("relative_distance", "cosine", "l2_distance")

    @property
    def _constructor(self) -> Any:
        return pd.DataFrame

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        names = [name for name in self._BRIEF if name in self]
        rows = [
            [str(name), *(f"{value:.4g}" for value in row)]
            for name, row in zip(self.index, self[names].to_numpy(float), strict=True)
        ]
        return ["weight", *names], rows

    def __repr__(self) -> str:
        columns, rows = self._cells()
        shown = rows[:_MAX_SHOWN]
        lines = text_table(columns, shown)
        if len(rows) > len(shown):
            lines.append(f"... and {len(rows) - len(shown)} more weights")
        others = [str(name) for name in self if name not in columns]
        note = f"[{len(rows)} weights; more columns: {', '.join(others)}]"
        return "\n".join([*lines, "", *wrap(note, 80)])

    def _repr_html_(self) -> str:
        columns, rows = self._cells()
        everything = pd.DataFrame(self).to_html(max_rows=MAX_ROWS, escape=True)
        return view(
            f"{len(self)} weights compared",
            table(columns, rows, len(rows)),
            section("All columns", everything),
        )


def compare(
    a: Mapping[str, Any], b: Mapping[str, Any], *, align: bool = False
) -> pd.DataFrame:
    r"""Compare two sets of weights, weight by weight.

    Parameters
    ----------
    a, b : mapping of str to array-like
        Weights of two models. They need not have the same architecture.
    align : bool, default=False
        Whether to match the hidden units of ``b`` to those of ``a`` first, by
        :func:`align`. Without it, networks that differ only in the order of their units
        seem far apart.

    Returns
    -------
    DataFrame
        One row per weight: those of ``a`` in order, then those that only ``b`` has. The
        index is called ``name``.

        - ``relative_distance`` :math:`\|a - b\| / \max(\|a\|, \|b\|)`, between 0 and 2,
          symmetric in a and b [1]_; 0 where both are all zero;
        - ``cosine`` :math:`\mathrm{Re} \langle a, b \rangle / (\|a\| \|b\|)` [2]_; NaN
          where one is all zero;
        - ``max_abs_difference`` :math:`\max |a - b|`;
        - ``sign_difference``: share of the elements whose sign (negative, zero,
          positive) differs; NaN for complex weights;
        - ``l2_a``, ``l2_b``: Euclidean norms :math:`\|a\|`, :math:`\|b\|`;
        - ``shape_a``, ``shape_b`` (tuple of int, None on the side without it);
        - ``l2_distance`` :math:`\|a - b\|`;
        - ``in``: ``"both"``, ``"a"`` or ``"b"``.

        Numbers are NaN where they are not defined: the weight is on one side only, the
        shapes differ, there are no elements, or they are not numbers. Computed in
        float64.

    Raises
    ------
    AlignmentError
        With ``align=True``, if the units cannot be matched; see :func:`align`.

    References
    ----------
    .. [1] L. Törnqvist, P. Vartia and Y. O. Vartia, How should relative changes be
       measured?, The American Statistician 39(1), 1985.
    .. [2] G. Salton and M. J. McGill, Introduction to Modern Information Retrieval,
       McGraw-Hill, 1983, section 4.1.

    Examples
    --------
    >>> import numpy as np
    >>> from weightsearch.compare import compare
    >>> a = {"coef_": np.array([3.0, 4.0]), "intercept_": np.array(1.0)}
    >>> b = {"coef_": np.array([3.0, 3.0])}
    >>> compare(a, b)[["l2_a", "l2_distance", "relative_distance", "in"]]
                l2_a  l2_distance  relative_distance    in
    name
    coef_        5.0          1.0                0.2  both
    intercept_   1.0          NaN                NaN     a
    """
    if align:
        b = _align(a, b)
    names = [*a, *(name for name in b if name not in a)]
    # What pandas shows on a narrow screen are the first and the last columns.
    columns = [*_NUMBERS[:-1], "shape_a", "shape_b", _NUMBERS[-1], "in"]
    frame = pd.DataFrame(
        [_row(name, a, b) for name in names],
        index=pd.Index(names, name="name", dtype=object),
        columns=columns,
    )
    objects = frame.astype({"shape_a": object, "shape_b": object, "in": object})
    return _Comparison(objects)


def _row(name: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"shape_a": None, "shape_b": None}
    row |= dict.fromkeys(_NUMBERS, np.nan)
    row["in"] = "both" if name in a and name in b else "a" if name in a else "b"
    values: list[Array] = []
    for side, weights in (("a", a), ("b", b)):
        if name in weights:
            weight = np.asarray(weights[name])
            row[f"shape_{side}"] = weight.shape
            numbers = as_numbers(weight)
            if numbers is not None and numbers.size:
                row[f"l2_{side}"] = norm(numbers)
                values.append(numbers)
    if len(values) == 2 and values[0].shape == values[1].shape:
        with np.errstate(all="ignore"):
            row |= _difference(values[0], values[1], row["l2_a"], row["l2_b"])
    return row


def _difference(a: Array, b: Array, l2_a: float, l2_b: float) -> dict[str, float]:
    difference = a - b
    distance = norm(difference)
    longer = max(l2_a, l2_b)
    found = {
        "l2_distance": distance,
        "relative_distance": distance / longer if longer else 0.0,
        "max_abs_difference": float(np.abs(difference).max()),
    }
    if l2_a and l2_b:
        # Scaled first, so that products do not overflow.
        cosine = float(np.vdot(a / l2_a, b / l2_b).real)
        found["cosine"] = 1.0 if distance == 0 else min(max(cosine, -1.0), 1.0)
    if a.dtype.kind != "c" and b.dtype.kind != "c":
        found["sign_difference"] = float(np.mean(np.sign(a) != np.sign(b)))
    return found
