"""Filter candidates by what a person types, executing nothing but comparisons.

``pandas.DataFrame.query`` evaluates attribute access and calls, which lets an
expression reach any Python object. Here only names of columns, constants,
comparisons and boolean operators exist; everything else is refused by name.
"""

from __future__ import annotations

import ast
import contextlib
import difflib
import operator
import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from weightsearch._params import OpaqueParam
from weightsearch._records import Array
from weightsearch.exceptions import QueryError

__all__ = ["evaluate_query"]

_LIMIT = 10_000
_SHOWN = 200

_ORDER: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_HINT = (
    "A query compares columns: == != < <= > >= in, is missing, joined by and, or, not; "
    "texts stand in quotes."
)
# Texts first, so that a backtick within one is left alone.
_BACKTICKS = re.compile(
    r"""(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|`(?P<name>[^`]*)`"""
)
_SINGLE = re.compile(r"(?<![=!<>:])=(?!=)")


def evaluate_query(
    expression: str, column: Callable[[str], pd.Series | None], names: Iterable[str]
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Evaluate an expression on columns.

    Parameters
    ----------
    expression : str
        Names of columns, constants, ``== != < <= > >= in``, ``is missing``, ``is not
        missing``, ``and or not``, parentheses; ``&``, ``|`` and ``~`` as in pandas. A
        name that Python would not read as one stands in backticks.
    column : callable of str -> Series or None
        A column by its name; None where there is none.
    names : iterable of str
        All names, for suggestions.

    Returns
    -------
    mask : ndarray of shape (n_candidates,), bool
        A missing value equals nothing, None neither, and is in no order: all but ``!=``
        and ``not in`` are False. So is an order between values that have none, such as
        a text and a number; if no pair has one, it is an error. An object equals the
        text that shows it.

    Raises
    ------
    QueryError
        If the expression is no comparison of columns, or names no column.
    """
    if len(expression) > _LIMIT:
        raise QueryError(f"A query may have {_LIMIT} characters at most.")
    quoted: dict[str, str] = {}
    text = _BACKTICKS.sub(lambda match: _plain_name(match, quoted), expression).strip()
    try:
        tree = ast.parse(text, mode="eval").body
        mask = _Evaluator(column, list(names), quoted).truth(tree)
    except SyntaxError as error:
        why = f"{error.msg}. {_HINT}"
        if _SINGLE.search(_BACKTICKS.sub("", text)):
            why = "a single = compares nothing; write =="
        raise QueryError(f"This is no query: {_cut(expression)!r} ({why})") from error
    except (ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, QueryError):
            raise
        raise QueryError(f"This is no query: {_cut(expression)!r} ({error})") from error
    return np.asarray(mask, dtype=bool)


def _plain_name(match: re.Match[str], quoted: dict[str, str]) -> str:
    if match["name"] is None:
        return match[0]
    stand_in = f"_backticks_{len(quoted)}"
    quoted[stand_in] = match["name"]
    return f" {stand_in} "


class _Evaluator:
    def __init__(
        self,
        column: Callable[[str], pd.Series | None],
        names: list[str],
        quoted: dict[str, str],
    ):
        self._column = column
        self._names = names
        self._quoted = quoted

    def truth(self, node: ast.expr) -> Array:
        """A boolean column."""
        if isinstance(node, ast.BoolOp):
            parts = [self.truth(value) for value in node.values]
            join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
            return np.asarray(join.reduce(parts))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.Invert):
            return ~self.truth(node.operand)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd):
            return self.truth(node.left) & self.truth(node.right)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return self.truth(node.left) | self.truth(node.right)
        if isinstance(node, ast.Compare):
            if any(isinstance(op, ast.Is | ast.IsNot) for op in node.ops):
                return self._identity(node)
            values = [self.value(part) for part in (node.left, *node.comparators)]
            found = [
                _compare(left, op, right)
                for left, op, right in zip(values, node.ops, values[1:], strict=False)
            ]
            return np.asarray(np.logical_and.reduce(found))
        if isinstance(node, ast.Name):
            column = self.value(node)
            if str(column.dtype) in ("bool", "boolean"):
                return np.asarray(column.fillna(False).to_numpy(dtype=bool))
            raise QueryError(
                f"The column {self._quoted.get(node.id, node.id)!r} is not true or "
                "false by itself: compare it with something."
            )
        raise QueryError(
            f"{self._text(node)!r} is neither a comparison of columns nor one "
            "joined by and, or, not."
        )

    def _identity(self, node: ast.Compare) -> Array:
        """Evaluate ``is missing`` and ``is None``."""
        right = node.comparators[0]
        is_none = isinstance(right, ast.Constant) and right.value is None
        is_missing = isinstance(right, ast.Name) and right.id == "missing"
        if len(node.ops) > 1 or not (is_none or is_missing):
            raise QueryError(
                f"{self._text(node)!r}: is and is not have missing or None on their "
                "right and nothing more; for values use == and !=."
            )
        column = self.value(node.left)
        if not isinstance(column, pd.Series):
            raise QueryError(f"{self._text(node)!r}: is needs a column on its left.")
        wanted = isinstance(node.ops[0], ast.Is)
        if is_none:
            return _compare(column, ast.Eq() if wanted else ast.NotEq(), None)
        present = _has_value(column)
        return ~present if wanted else present

    def value(self, node: ast.expr) -> Any:
        """A column or a constant."""
        if isinstance(node, ast.Name):
            name = self._quoted.get(node.id, node.id)
            found = self._column(name)
            if found is not None:
                return found
            hint = self._hint(name)
            if name == "missing":
                hint = " What is missing is found by: column is missing."
            raise QueryError(f"There is no column {_cut(name)!r}.{hint}")
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            items = [self.value(item) for item in node.elts]
            if any(isinstance(item, pd.Series) for item in items):
                raise QueryError(
                    f"{self._text(node)!r}: a list holds numbers and texts, no names "
                    "of columns. Texts stand in quotes."
                )
            return tuple(items)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            operand = self.value(node.operand)
            if isinstance(operand, int | float):
                return -operand if isinstance(node.op, ast.USub) else operand
        if isinstance(node, ast.Constant) and node.value is not ...:
            return node.value
        hint = ""
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd | ast.BitOr):
            hint = " Put what & and | join into parentheses, or use and, or."
        raise QueryError(
            f"{self._text(node)!r} cannot stand in a query: only names of columns, "
            f"numbers, texts, True, False, None and lists of them.{hint}"
        )

    def _text(self, node: ast.expr) -> str:
        return _cut(ast.unparse(node))

    def _hint(self, name: str) -> str:
        # A part of a long name is no close match of it, but what people type.
        inside = [known for known in self._names if name.lower() in known.lower()]
        close = difflib.get_close_matches(name[:_SHOWN], self._names, n=3)
        inside.sort(key=lambda known: _unlikely(name, known))
        shown = list(dict.fromkeys([*close, *inside]))[:3]
        return f" Did you mean {' or '.join(shown)}?" if shown else ""


def _compare(left: Any, op: ast.cmpop, right: Any) -> Array:
    if isinstance(op, ast.In | ast.NotIn):
        if not isinstance(left, pd.Series) or not isinstance(right, tuple):
            raise QueryError("in needs a column on its left and a list on its right.")
        found = _is_in(left, right)
        return found if isinstance(op, ast.In) else ~found
    if not (isinstance(left, pd.Series) or isinstance(right, pd.Series)):
        raise QueryError("A comparison needs a column on one side at least.")
    if isinstance(op, ast.Eq | ast.NotEq):
        if not isinstance(left, pd.Series):
            left, right = right, left
        found = _is_equal(left, right)
        return found if isinstance(op, ast.Eq) else ~found
    return _is_ordered(left, _ORDER[type(op)], right)


def _has_value(column: pd.Series) -> Array:
    """Return where a column has a value; a score that is nan is missing."""
    if column.dtype == object:
        return np.fromiter((v is not pd.NA for v in column), bool, len(column))
    return np.asarray(column.notna().to_numpy(dtype=bool))


def _is_in(column: pd.Series, wanted: tuple[Any, ...]) -> Array:
    values = _values(column)
    # Objects also equal a text; arrays and dicts have no hash.
    if not any(isinstance(value, OpaqueParam) for value in values):
        with contextlib.suppress(TypeError):
            choices = frozenset(map(_plain, wanted))
            return np.fromiter((v in choices for v in values), bool, len(values))
    found = np.zeros(len(values), dtype=bool)
    for one in wanted:
        found |= _is_equal(column, one)
    return found


def _is_equal(column: pd.Series, wanted: Any) -> Array:
    if isinstance(wanted, pd.Series):
        pairs = zip(_values(column), _values(wanted), strict=True)
        return np.fromiter((_same(a, b) for a, b in pairs), bool, len(column))
    if _is_plain_number(column) and isinstance(wanted, int | float):
        return np.asarray(column.to_numpy() == wanted)
    one = _plain(wanted)
    return np.fromiter((_same(v, one) for v in _values(column)), bool, len(column))


def _is_ordered(left: Any, compare: Callable[[Any, Any], Any], right: Any) -> Array:
    try:
        found = compare(left, right)
    except (TypeError, ValueError):
        return _is_ordered_singly(left, compare, right)
    return np.asarray(pd.Series(found).fillna(False).to_numpy(dtype=bool))


def _is_ordered_singly(
    left: Any, compare: Callable[[Any, Any], Any], right: Any
) -> Array:
    n = len(left) if isinstance(left, pd.Series) else len(right)
    found = np.zeros(n, dtype=bool)
    known, problem = False, ""
    pairs = zip(_each(left, n), _each(right, n), strict=True)
    for i, (a, b) in enumerate(pairs):
        if any(value is None or value is pd.NA for value in (a, b)):
            continue
        try:
            found[i] = bool(compare(a, b))
            known = True
        except (TypeError, ValueError) as error:
            problem = str(error)
    if problem and not known:
        raise QueryError(f"Values that cannot be ordered: {problem}.")
    return found


def _each(side: Any, n: int) -> list[Any]:
    return _values(side) if isinstance(side, pd.Series) else [_plain(side)] * n


def _is_plain_number(column: pd.Series) -> bool:
    return isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf"


def _values(column: pd.Series) -> list[Any]:
    """Values in which lists are tuples, and what is missing is ``pandas.NA``."""
    if _is_plain_number(column):
        return list(column.to_numpy().tolist())
    if column.dtype == object:
        return [_plain(value) for value in column]
    return list(column.astype(object).where(column.notna(), pd.NA))


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(map(_plain, value))
    return value


def _same(value: Any, wanted: Any) -> bool:
    if value is pd.NA or wanted is pd.NA:
        return False
    if isinstance(value, OpaqueParam) and isinstance(wanted, str):
        return repr(value) == wanted
    if isinstance(value, np.ndarray):
        return bool(np.array_equal(value, np.asarray(wanted)))
    result = value == wanted
    return result if isinstance(result, bool) else bool(np.all(result))


def _unlikely(name: str, known: str) -> tuple[bool, bool, int]:
    return not known.endswith(name), not known.startswith("mean_"), len(known)


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
