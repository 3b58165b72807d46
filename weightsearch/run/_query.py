"""Filter candidates by what a person types, executing nothing but comparisons.

``pandas.DataFrame.query`` evaluates attribute access and calls, which lets an
expression reach any Python object. Here only names of columns, constants,
comparisons and boolean operators exist; everything else is refused by name.
"""

from __future__ import annotations

import ast
import difflib
import operator
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from weightsearch.exceptions import QueryError

__all__ = ["evaluate_query"]

_LIMIT = 10_000

_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def evaluate_query(
    expression: str, column: Callable[[str], pd.Series | None], names: Iterable[str]
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Evaluate an expression on columns.

    Parameters
    ----------
    expression : str
        Names of columns, constants, ``== != < <= > >= in``, ``and or not``,
        parentheses; ``&``, ``|`` and ``~`` as in pandas.
    column : callable of str -> Series or None
        A column by its name; None where there is none.
    names : iterable of str
        All names, for suggestions.

    Returns
    -------
    mask : ndarray of shape (n_candidates,), bool

    Raises
    ------
    QueryError
        If the expression is no comparison of columns, or names no column.
    """
    if len(expression) > _LIMIT:
        raise QueryError(f"A query may have {_LIMIT} characters at most.")
    try:
        tree = ast.parse(expression.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise QueryError(f"This is no query: {expression!r} ({error})") from error
    mask = _Evaluator(column, list(names)).truth(tree)
    return np.asarray(mask, dtype=bool)


class _Evaluator:
    def __init__(self, column: Callable[[str], pd.Series | None], names: list[str]):
        self._column = column
        self._names = names

    def truth(self, node: ast.expr) -> Any:
        """A boolean column."""
        if isinstance(node, ast.BoolOp):
            parts = [self.truth(value) for value in node.values]
            join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
            return join.reduce(parts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.Invert):
            return np.logical_not(self.truth(node.operand))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd):
            return np.logical_and(self.truth(node.left), self.truth(node.right))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return np.logical_or(self.truth(node.left), self.truth(node.right))
        if isinstance(node, ast.Compare):
            left = self.value(node.left)
            result: Any = True
            for op, right_node in zip(node.ops, node.comparators, strict=True):
                right = self.value(right_node)
                result = np.logical_and(result, self._compare(left, op, right))
                left = right
            return result
        if isinstance(node, ast.Name):
            values = self.value(node)
            if values.dtype.kind == "b" or str(values.dtype) == "boolean":
                return values.fillna(False).to_numpy(dtype=bool)
        raise QueryError(
            f"{ast.unparse(node)!r} is neither a comparison of columns nor one "
            "joined by and, or, not."
        )

    def value(self, node: ast.expr) -> Any:
        """A column or a constant."""
        if isinstance(node, ast.Name):
            found = self._column(node.id)
            if found is not None:
                return found
            close = difflib.get_close_matches(node.id, self._names, n=3)
            hint = f" Did you mean {' or '.join(close)}?" if close else ""
            raise QueryError(f"There is no column {node.id!r}.{hint}")
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            return [self.value(item) for item in node.elts]
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            operand = self.value(node.operand)
            if isinstance(operand, int | float):
                return -operand
        if isinstance(node, ast.Constant):
            return node.value
        raise QueryError(
            f"{ast.unparse(node)!r} cannot stand in a query: only names of columns, "
            "numbers, texts, True, False, None and lists of them."
        )

    def _compare(self, left: Any, op: ast.cmpop, right: Any) -> Any:
        if isinstance(op, ast.In | ast.NotIn):
            if not isinstance(left, pd.Series) or not isinstance(right, list):
                raise QueryError(
                    "in needs a column on its left and a list on its right."
                )
            found = np.array(
                [any(_equal(v, item) for item in right) for v in left], bool
            )
            return found if isinstance(op, ast.In) else ~found
        if not (isinstance(left, pd.Series) or isinstance(right, pd.Series)):
            raise QueryError("A comparison needs a column on one side at least.")
        compare = _COMPARE.get(type(op))
        if compare is None:
            raise QueryError("is and is not do not exist here; use == and !=.")
        if isinstance(op, ast.Eq | ast.NotEq):
            return self._equality(left, right, negate=isinstance(op, ast.NotEq))
        try:
            result = compare(left, right)
        except TypeError as error:
            raise QueryError(f"Values that cannot be ordered: {error}") from error
        return pd.Series(result).fillna(False).to_numpy(dtype=bool)

    def _equality(self, left: Any, right: Any, *, negate: bool) -> Any:
        if not isinstance(left, pd.Series):
            left, right = right, left
        others = right if isinstance(right, pd.Series) else [right] * len(left)
        equal = [_equal(a, b) for a, b in zip(left, others, strict=True)]
        return np.array(equal, dtype=bool) != negate


def _equal(value: Any, wanted: Any) -> bool:
    """Whether a param equals what was typed; tuples and lists are one here."""
    if isinstance(wanted, list) and isinstance(value, list | tuple):
        return len(wanted) == len(value) and all(map(_equal, value, wanted))
    if wanted is None or value is None:
        return value is wanted
    result = value == wanted
    return bool(result) if np.ndim(result) == 0 and result is not pd.NA else False
