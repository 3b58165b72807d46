"""Filter candidates by an expression, of which nothing is ever executed.

``pandas.DataFrame.query`` evaluates attribute access and calls, through which an
expression reaches any Python object. Here a syntax tree may contain names of columns,
constants, comparisons and boolean operators; anything else is an error.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from weightsearch._display import cut, did_you_mean
from weightsearch._params import OpaqueParam
from weightsearch._records import Array
from weightsearch.exceptions import QueryError

__all__ = ["evaluate_query"]

_MAX_LENGTH = 10_000
# Quoted texts first, so that a backtick within one is left alone.
_BACKTICKS = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|`([^`]*)`""")
_SLIP = re.compile(r"(?<![=!<>:])=([<>]?)(?!=)")
_JOIN: dict[type, Any] = {
    ast.And: np.logical_and,
    ast.BitAnd: np.logical_and,
    ast.Or: np.logical_or,
    ast.BitOr: np.logical_or,
}
_ORDER: dict[type, Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


class _Column(list[Any]):
    """The values of a column; what is missing is ``pandas.NA``."""

    name = ""


def evaluate_query(
    expression: str, column: Callable[[str], pd.Series | None], names: Iterable[str]
) -> Array:
    """Evaluate an expression on columns; :meth:`weightsearch.Run.query` has its syntax.

    Parameters
    ----------
    expression : str
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
        If the expression is not a comparison of columns, or names an unknown column.
    """
    if len(expression) > _MAX_LENGTH:
        raise QueryError(f"A query may have at most {_MAX_LENGTH} characters.")
    quoted: dict[str, str] = {}

    def stand_in(match: re.Match[str]) -> str:
        if match[2] is None:
            return match[0]
        quoted[name := f"_backticks_{len(quoted)}"] = match[2]
        return f" {name} "

    def lookup(name: str) -> _Column:
        name = quoted.get(name, name)
        found = column(name)
        if found is None:
            hint = did_you_mean(name, names)
            if name == "missing":
                hint = "To find missing values, write: column is missing."
            raise QueryError(f"There is no column {cut(name, 200)!r}. {hint}".rstrip())
        # A score that is NaN is missing; NaN as a param is a value.
        if found.dtype != object:
            found = found.astype(object).where(found.notna(), pd.NA)
        values = _Column(map(_as_tuple, found))
        values.name = name
        return values

    text = _BACKTICKS.sub(stand_in, expression).strip()
    try:
        return _truth(ast.parse(text, mode="eval").body, lookup)
    except QueryError as error:
        # Where in the tree it was raised does not help the caller.
        raise error.with_traceback(None) from None
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        why = (
            f"{getattr(error, 'msg', error)}. A query compares columns: == != < <= > "
            ">= in, is missing, joined by and, or, not; texts are quoted"
        )
        if slip := _SLIP.search(_BACKTICKS.sub("", text)):
            why = f"did you mean {slip[1] or '='}=?"
        raise QueryError(f"Invalid query {cut(expression, 200)!r}: {why}") from error


def _truth(node: ast.expr, lookup: Callable[[str], _Column]) -> Array:
    """Return where a condition holds."""
    if isinstance(node, ast.BoolOp):
        parts = [_truth(value, lookup) for value in node.values]
        return np.asarray(_JOIN[type(node.op)].reduce(parts))
    if isinstance(node, ast.BinOp) and type(node.op) in _JOIN:
        sides = _truth(node.left, lookup), _truth(node.right, lookup)
        return np.asarray(_JOIN[type(node.op)](*sides))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.Invert):
        return ~_truth(node.operand, lookup)
    if isinstance(node, ast.Compare):
        found, left = [], _operand(node.left, lookup)
        for op, side in zip(node.ops, node.comparators, strict=True):
            is_missing = isinstance(op, ast.Is | ast.IsNot) and _text(side) == "missing"
            right = pd.NA if is_missing else _operand(side, lookup)
            found.append(_compare(left, op, right, _text(node)))
            left = right
        return np.asarray(np.logical_and.reduce(found))
    if isinstance(node, ast.Name):
        column = lookup(node.id)
        if all(value is pd.NA or isinstance(value, bool) for value in column):
            return np.array([value is True for value in column], bool)
        raise QueryError(
            f"Column {column.name!r} is not boolean: compare it with a value."
        )
    raise QueryError(f"{_text(node)!r} is not a comparison of columns.")


def _operand(node: ast.expr, lookup: Callable[[str], _Column]) -> Any:
    """Return a column or a constant; lists are tuples."""
    hint = ""
    match node:
        case ast.Name(name):
            return lookup(name)
        case ast.Constant(value) if value is not ...:
            return value
        case ast.UnaryOp(ast.USub(), ast.Constant(int() | float() as number)):
            return -number
        case ast.UnaryOp(ast.UAdd(), ast.Constant(int() | float() as number)):
            return number
        case ast.Tuple(items) | ast.List(items) | ast.Set(items):
            found = tuple(_operand(item, lookup) for item in items)
            if not any(isinstance(item, _Column) for item in found):
                return found
        case ast.BinOp(_, ast.BitAnd() | ast.BitOr(), _):
            hint = " Put both sides of & and | into parentheses, or use and, or."
    raise QueryError(
        f"{_text(node)!r} is not allowed in a query: only columns, numbers, quoted "
        f"texts, True, False, None and lists of constants.{hint}"
    )


def _compare(left: Any, op: ast.cmpop, right: Any, text: str) -> Array:
    """Compare columns, value by value, with each other or with constants."""
    needs_left = isinstance(op, ast.Is | ast.IsNot | ast.In | ast.NotIn)
    if not isinstance(left, _Column) and (needs_left or not isinstance(right, _Column)):
        raise QueryError(f"{text!r} needs a column on its left.")
    if isinstance(op, ast.Is | ast.IsNot):
        if right is not None and right is not pd.NA:
            raise QueryError(
                f"{text!r}: only missing or None may follow is; to compare values use "
                "== and !=."
            )
        return np.array([a is right for a in left], bool) ^ isinstance(op, ast.IsNot)
    if isinstance(op, ast.In | ast.NotIn):
        if not isinstance(right, tuple):
            raise QueryError(f"{text!r}: in needs a list on its right.")
        found = [any(_is_equal(a, one) for one in right) for a in left]
        return np.array(found, bool) ^ isinstance(op, ast.NotIn)
    n = len(left if isinstance(left, _Column) else right)
    sides = (one if isinstance(one, _Column) else [one] * n for one in (left, right))
    pairs = zip(*sides, strict=True)
    if isinstance(op, ast.Eq | ast.NotEq):
        found = [_is_equal(a, b) for a, b in pairs]
        return np.array(found, bool) ^ isinstance(op, ast.NotEq)
    found, n_ordered, problem = [False] * n, 0, None
    for i, (a, b) in enumerate(pairs):
        if a is None or b is None or a is pd.NA or b is pd.NA:
            continue
        try:
            found[i] = bool(_ORDER[type(op)](a, b))
            n_ordered += 1
        except (TypeError, ValueError) as error:
            problem = error
    if problem is not None and not n_ordered:
        raise QueryError(f"{text!r} compares values without an order: {problem}.")
    return np.array(found, bool)


def _is_equal(a: Any, b: Any) -> bool:
    if isinstance(a, str | int | float) and isinstance(b, str | int | float):
        return a == b
    if a is pd.NA or b is pd.NA:
        return False
    for one, other in ((a, b), (b, a)):
        if isinstance(one, OpaqueParam) and isinstance(other, str):
            return repr(one) == other
        if isinstance(one, np.ndarray):
            return bool(np.array_equal(one, np.asarray(other)))
    return bool(np.all(a == b))


def _as_tuple(value: Any) -> Any:
    return tuple(map(_as_tuple, value)) if isinstance(value, list | tuple) else value


def _text(node: ast.expr) -> str:
    return cut(ast.unparse(node), 200)
