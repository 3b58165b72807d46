"""Rebuild a fitted estimator from its state, without training and without pickle."""

from __future__ import annotations

import base64
import json
import math
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import sklearn
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import InconsistentVersionWarning

from weightsearch._records import Array
from weightsearch.exceptions import RebuildError, UntrustedTypeError
from weightsearch.frameworks._state._compiled import check_compiled
from weightsearch.frameworks._state._encode import FORMAT, digest
from weightsearch.frameworks._state._parts import NotStored, rebuilder_of
from weightsearch.frameworks._state._special_types import (
    SPECIAL_TYPES,
    dtype_of,
    text_of,
)
from weightsearch.frameworks._state._trust import (
    CallerObjects,
    plain_class,
    trusted_object,
)

__all__ = ["ModelMaker", "is_complete", "kind_of_model", "rebuild", "why_not"]

_NONSENSE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)
_KNOWN_SKELETONS = 64
_CHECKED = frozenset({"Tree", "KDTree", "BallTree"})


def is_complete(text: str | None) -> bool:
    """Whether an estimator rebuilt from this state can also continue training."""
    return text is not None and bool(_parse(text).get("complete"))


def why_not(text: str) -> str | None:
    """Why a state cannot be rebuilt, as far as its text says."""
    # Called after every fit, so not all of it is parsed.
    if '"error":' not in text[:32]:
        return None
    return str(_parse(text)["error"])


def kind_of_model(text: str) -> str:
    """Digest of the skeleton, which all models of one kind share."""
    _, found, rest = text.partition('"skeleton":"')
    if not found:
        raise ValueError("the state has no skeleton")
    return rest[:32]


def rebuild(
    text: str,
    weight: Callable[[str], Array],
    blob: Callable[[str], bytes],
    *,
    template: Any = None,
    trusted: Iterable[str | type] = (),
    trust_template: bool = False,
) -> Any:
    """Rebuild one fitted estimator; see :class:`ModelMaker`."""
    maker = ModelMaker(template, trusted, trust_template=trust_template)
    return maker.make(text, weight, blob)


class ModelMaker:
    """Rebuild fitted estimators from their states.

    The names in a skeleton are looked up and checked once per kind of model.

    Parameters
    ----------
    template : object, default=None
        An estimator, or a tuple of estimators and values of params. Functions, classes
        and objects that are not stored are taken from it, if their content is the same
        as that of the model's.
    trusted : iterable of str or type
        Further types that may be constructed.
    trust_template : bool, default=False
        Whether the states come from the template itself, so that the ``__setstate__``
        of its classes may run.
    """

    def __init__(
        self,
        template: Any = None,
        trusted: Iterable[str | type] = (),
        *,
        trust_template: bool = False,
    ):
        self._brought = CallerObjects(template, trusted)
        self._trusts_states = trust_template
        self._found: dict[tuple[str, str], Any] = {}
        self._checked: set[str] = set()

    def make(
        self, text: str, weight: Callable[[str], Array], blob: Callable[[str], bytes]
    ) -> Any:
        """Rebuild a fitted estimator.

        Parameters
        ----------
        text : str
            :attr:`ModelState.text <weightsearch._records.ModelState>`.
        weight, blob : callable
            Return a weight, and a content, by its name.

        Returns
        -------
        estimator : object

        Raises
        ------
        UntrustedTypeError
            If it needs other types; nothing was constructed.
        RebuildError
            If it cannot be rebuilt; says what is missing.
        """
        state = _parse(text)
        if "error" in state:
            raise RebuildError(
                f"its state could not be stored without pickle ({state['error']}), "
                "so only its weights were"
            )
        try:
            skeleton = _skeleton(state["skeleton"], blob)
            values = state.get("values")
            if "rest" in state:
                values = json.loads(_content(state["rest"], blob))
            if not isinstance(values, list):
                raise ValueError("its values are not a list")
            if state["skeleton"] not in self._checked:
                self._check(skeleton)
                self._checked.add(state["skeleton"])
            decoder = _Decoder(values, weight, blob, self._look_up)
            estimator = decoder.one(skeleton)
            decoder.end()
        except RebuildError:
            raise
        except _NONSENSE as error:
            raise RebuildError(
                f"its stored state is damaged, or does not fit the installed versions: "
                f"{type(error).__name__}: {error}"
            ) from error
        if decoder.must_check:
            check_compiled(estimator)
        stored = state.get("sklearn")
        if stored != sklearn.__version__ and isinstance(stored, str):
            warnings.warn(
                InconsistentVersionWarning(
                    estimator_name=type(estimator).__name__,
                    current_sklearn_version=sklearn.__version__,
                    original_sklearn_version=stored,
                ),
                stacklevel=2,
            )
        return estimator

    def _check(self, skeleton: Any) -> None:
        """Look up everything that a model needs, before anything is constructed.

        Raises
        ------
        UntrustedTypeError
            If something is neither trusted nor passed by the caller.
        RebuildError
            If what the caller passed differs from what the model had.
        """
        untrusted: set[str] = set()
        missing: list[str] = []
        todo = [(skeleton, False)]
        while todo:
            node, in_part = todo.pop()
            tag = node[0]
            if tag in ("part", "new"):
                in_part = True
                if self._look_up(node[1], is_class=True) is None:
                    missing.append(f"a {node[1][1]}")
            elif tag in ("o", "o*"):
                if not self._may_get_state(node[1]):
                    untrusted.add(node[1][1])
            # Inside a part, its framework decides whether it needs it.
            elif tag in ("g", "x") and not in_part and self._look_up(node) is None:
                if tag == "g":
                    untrusted.add(node[1])
                else:
                    missing.append(f"a {node[1]} as {node[3]}")
            children = node[_FIRST_CHILD.get(tag, len(node)) :]
            todo += [(child, in_part) for child in children if type(child) is list]
        if untrusted and not missing:
            raise _untrusted(sorted(untrusted))
        if missing:
            raise RebuildError(
                f"it contains {missing[0]}, which is made from your own code: pass "
                "estimator=, the estimator as it was searched"
            )

    def _may_get_state(self, node: Any) -> bool:
        cls = self._look_up(node, is_class=True)
        form = plain_class(cls) if isinstance(cls, type) else None
        if form is None:
            return False
        # A __setstate__ of its own may run anything.
        return (
            not form.sets_itself
            or self._trusts_states
            or trusted_object(node[1]) is cls
            or self._brought.trusts(node[1])
        )

    def _look_up(self, node: Any, *, is_class: bool = False) -> Any:
        """Return what a name refers to; None if it is neither trusted nor passed."""
        name = node[1]
        if len(node) == 2:
            return trusted_object(name)
        key = name, node[2]
        if key not in self._found:
            self._found[key] = self._brought.find(
                name, node[2], node[3], is_class=is_class
            )
            if self._found[key] is None and is_class:
                self._found[key] = _made_alone(name)
        return self._found[key]


def _parse(text: str) -> dict[str, Any]:
    try:
        state = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RebuildError(f"its stored state is not JSON: {error}") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise RebuildError(
            "its stored state is of a format unknown to this version: install a newer "
            "weightsearch"
        )
    return state


_skeletons: OrderedDict[str, Any] = OrderedDict()


def _skeleton(name: str, blob: Callable[[str], bytes]) -> Any:
    """Return a skeleton, which many models share; the last ones are cached."""
    known = _skeletons.get(name)
    if known is None:
        known = json.loads(_content(name, blob))
        _skeletons[name] = known
        while len(_skeletons) > _KNOWN_SKELETONS:
            _skeletons.popitem(last=False)
    return known


def _content(name: str, blob: Callable[[str], bytes]) -> bytes:
    content = blob(name)
    # Contents are cached by name, also across stores.
    if digest(content) != name:
        raise ValueError(f"the content {name} does not match its name")
    return content


class _Decoder:
    """Rebuild one model, in the order in which it was captured."""

    def __init__(
        self,
        values: list[Any],
        weight: Callable[[str], Array],
        blob: Callable[[str], bytes],
        look_up: Callable[..., Any],
    ):
        self._values = iter(values)
        self._weight = weight
        self._blob = blob
        self._look_up = look_up
        self._numbered: list[Any] = []
        # Items without bytes of their own, bounded by the size of the file.
        self._budget = 10_000 + 16 * len(values)
        self.must_check = False

    def end(self) -> None:
        """Check that all values were used."""
        if next(self._values, self) is not self:
            raise ValueError("it has more values than nodes")

    # -- one value ----------------------------------------------------------------

    def one(self, node: Any) -> Any:
        """Value of a node."""
        if node == "v":
            return self._next()
        read = _ONE[node[0]]
        return read(self, node)

    def _next(self) -> Any:
        value = next(self._values, self)
        if value is self:
            raise ValueError("it has fewer values than nodes")
        return value

    def _size(self) -> int:
        size = self._next()
        if type(size) is not int or size < 0:
            raise ValueError(f"{size!r} is not a size")
        return size

    def _spend(self, count: int) -> None:
        self._budget -= count
        if self._budget < 0:
            raise ValueError("it would need more memory than its content")

    def _number(self, value: Any) -> int:
        self._numbered.append(value)
        return len(self._numbered) - 1

    def _same(self, node: Any) -> Any:
        return self._by_number(node[1])

    def _by_number(self, number: Any) -> Any:
        if type(number) is not int or number < 0:
            raise ValueError(f"{number!r} is not the number of an object")
        value = self._numbered[number]
        if value is self:
            raise ValueError("an object is a part of itself")
        return value

    def _scalar(self, node: Any) -> Any:
        return dtype_of(node[1]).type(self._next())

    def _list(self, node: Any) -> list[Any]:
        made: list[Any] = []
        self._number(made)
        made += self.column(node[1], self._size())
        return made

    def _tuple(self, node: Any) -> tuple[Any, ...]:
        return tuple(self.column(node[1], self._size()))

    def _dict(self, node: Any) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        self._number(made)
        size = self._size()
        keys = self.column(node[1], size)
        made.update(zip(keys, self.column(node[2], size), strict=True))
        return made

    def _names(self, node: Any) -> dict[str, Any]:
        made: dict[str, Any] = {}
        self._number(made)
        made.update(self._named(node[1], node[2:]))
        return made

    def _named(self, names: list[str], nodes: list[Any]) -> dict[str, Any]:
        return {name: self.one(node) for name, node in zip(names, nodes, strict=True)}

    # -- arrays -------------------------------------------------------------------

    def _array(self, node: Any) -> Array:
        number = self._number(self)
        made = self._numbered[number] = self._leaf(node[1])
        return made

    def _objects(self, node: Any) -> Array:
        number = self._number(self)
        shape = _shape(self._next())
        size = math.prod(shape)
        self._spend(size)
        made = np.empty(size, object)
        made[:] = self.column(node[1], size) if size else []
        self._numbered[number] = made = made.reshape(shape)
        return made

    def _leaf(self, node: Any) -> Array:
        tag = node[0]
        if tag == "w" or tag == "ws":
            array = self._weight(node[1])
            self._budget += array.nbytes
            if tag == "ws":
                array = array.reshape(_shape(self._next()))
            # Writable, since further training may change it.
            return array if array.flags.writeable else array.copy("K")
        dtype = dtype_of(node[1])
        if tag == "fields":
            shape = _shape(self._next())
            fields = {field: self._weight(name) for field, name in node[2].items()}
            return _of_fields(dtype, fields).reshape(shape)
        content, shape = self._next()
        shape = _shape(shape)
        if tag == "i":
            raw = base64.b64decode(content)
        elif tag == "b":
            raw = self._blob(content)
        else:
            raise ValueError(f"{tag!r} does not say where an array is")
        if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(raw):
            raise ValueError("an array does not have its size")
        self._budget += len(raw)
        # In aligned memory, as in the original: the order of sums depends on it.
        flat = np.empty(math.prod(shape), dtype)
        if raw:
            bits = f"V{dtype.itemsize}"
            flat.view(bits)[:] = np.frombuffer(raw, bits)
        return flat.reshape(shape, order=node[2])

    # -- what is known by name, and objects -----------------------------------------

    def _global(self, node: Any) -> Any:
        found = self._look_up(node)
        return NotStored(node[1], node[-1]) if found is None else found

    def _opaque(self, node: Any) -> Any:
        number = self._number(self)
        # As scikit-learn's clone does, so that no two models share it.
        made = self._numbered[number] = clone(self._global(node), safe=False)
        return made

    def _special(self, node: Any) -> Any:
        number = self._number(self)
        kind = SPECIAL_TYPES[node[1]]
        self.must_check |= kind.name in _CHECKED
        made = self._numbered[number] = kind.make(self.one(node[2]))
        return made

    def _part(self, node: Any) -> Any:
        number = self._number(self)
        cls = self._look_up(node[1], is_class=True)
        rebuilder = rebuilder_of(cls)
        if rebuilder is None:
            raise ValueError(f"{node[1][1]} is not an estimator of a framework")
        if node[0] == "new":
            made = self._numbered[number] = cls(**self._named(node[2], node[3:]))
            return made
        weights = {name: self._leaf(place) for name, place in node[2].items()}
        attributes = self._named(node[3], node[4:])
        try:
            made = rebuilder.rebuild(cls, attributes, weights)
        except RebuildError:
            raise
        except Exception as error:
            # From the caller's own code, or from a library.
            raise RebuildError(
                f"its {cls.__name__} could not be rebuilt: "
                f"{type(error).__name__}: {error}"
            ) from error
        self._numbered[number] = made
        return made

    def _object(self, node: Any) -> Any:
        cls = self._look_up(node[1], is_class=True)
        made = cls.__new__(cls)
        self._number(made)
        self._set_state(made, self._named(node[2], node[3:]))
        return made

    def _set_state(self, made: Any, state: dict[str, Any]) -> None:
        cls: Any = type(made)
        form = plain_class(cls)
        assert form is not None
        self.must_check |= type(made).__name__ in ("BSpline", "TreePredictor")
        if form.sets_itself:
            if isinstance(made, BaseEstimator):
                state["_sklearn_version"] = sklearn.__version__
            made.__setstate__(state)
            return
        if not form.slots:
            made.__dict__.update(state)
            if cls.__name__ == "_CFNode":
                _join_rows(state, made)
            return
        for name, value in state.items():
            if name in form.slots:
                object.__setattr__(made, name, value)
            else:
                made.__dict__[name] = value

    # -- many values --------------------------------------------------------------

    def column(self, node: Any, n: int) -> Sequence[Any]:
        """Values of a node of many."""
        if node == "vs" or node == "refs":
            values = self._next()
            if not isinstance(values, list):
                raise ValueError("values are not a list")
            made: Sequence[Any] = values
            if node == "refs":
                made = list(map(self._by_number, values))
        else:
            made = _MANY[node[0]](self, node, n)
        if len(made) != n:
            raise ValueError(f"there are {len(made)} values, and {n} places")
        return made

    def _each(self, node: Any, n: int) -> list[Any]:
        return [self.one(item) for item in node[1:]]

    def _all_same(self, node: Any, n: int) -> list[Any]:
        self._spend(n)
        return [self.one(node[1])] * n

    def _numbers(self, node: Any, n: int) -> list[Any]:
        array = self._leaf(node[1])
        if array.ndim != 1 or array.dtype.kind not in "biuf":
            raise ValueError("numbers are not of their type")
        values: list[Any] = array.tolist()
        return values

    def _scalars(self, node: Any, n: int) -> list[Any]:
        return list(self._leaf(node[1]))

    def _texts(self, node: Any, n: int) -> list[str]:
        joined = text_of(self._leaf(node[1]))
        lengths = self._leaf(node[2])
        ends = np.cumsum(lengths, dtype=np.int64).tolist()
        if lengths.dtype.kind not in "iu" or (ends and ends[-1] != len(joined)):
            raise ValueError("texts do not have their lengths")
        starts = [0, *ends[:-1]]
        return [joined[a:b] for a, b in zip(starts, ends, strict=True)]

    def _copies(self, node: Any, n: int) -> list[Array]:
        first = self._leaf(node[1])
        self._spend(n * (1 + first.nbytes // 64))
        return [first.copy("K") for _ in range(n)]

    def _arrays(self, node: Any, n: int) -> list[Array]:
        lengths = None if node[1] is None else self._leaf(node[1]).ravel()
        dtype = dtype_of(node[2])
        fields = {name: self._leaf(leaf) for name, leaf in node[3].items()}
        whole = fields[""] if dtype.names is None else _of_fields(dtype, fields)
        if whole.dtype != dtype:
            raise ValueError("an array is not of its type")
        if lengths is None:
            self._spend(n)
            return list(whole)
        if lengths.dtype.kind not in "iu" or len(lengths) != n:
            raise ValueError("arrays do not have their lengths")
        if (len(lengths) and lengths.min() < 0) or lengths.sum() != len(whole):
            raise ValueError("arrays do not have their lengths")
        ends = np.cumsum(lengths).tolist()
        starts = [0, *ends[:-1]]
        return [whole[a:b] for a, b in zip(starts, ends, strict=True)]

    def _lists(self, node: Any, n: int) -> list[Any]:
        make = _LISTS[node[1]]
        if node[2] == "v":
            size = self._size()
            self._spend(n)
            lengths = [size] * n
        else:
            lengths = self._leaf(node[2]).tolist()
            if len(lengths) != n or min(lengths, default=0) < 0:
                raise ValueError("lists do not have their lengths")
        self._spend(n)
        flat = self.column(node[3], sum(lengths))
        made, start = [], 0
        for length in lengths:
            made.append(make(flat[start : start + length]))
            start += length
        return made

    def _rows(self, node: Any, n: int) -> list[Any]:
        make = _LISTS[node[1]]
        places = [self.column(place, n) for place in node[2:]]
        return [make(row) for row in zip(*places, strict=True)]

    def _specials(self, node: Any, n: int) -> list[Any]:
        self._spend(n)
        first = len(self._numbered)
        self._numbered += [self] * n
        kind = SPECIAL_TYPES[node[1]]
        self.must_check |= kind.name in _CHECKED
        if kind.make_many is None:
            raise ValueError(f"{kind.name} has no columns")
        made = kind.make_many(self.column(node[2], n))
        self._numbered[first : first + n] = made
        return made

    def _many_objects(self, node: Any, n: int) -> list[Any]:
        self._spend(n)
        cls = self._look_up(node[1], is_class=True)
        made = [cls.__new__(cls) for _ in range(n)]
        self._numbered += made
        names = node[2]
        columns = [self.column(column, n) for column in node[3:]]
        if len(names) != len(columns):
            raise ValueError("attributes are missing")
        for item, values in zip(made, zip(*columns, strict=True), strict=True):
            self._set_state(item, dict(zip(names, values, strict=True)))
        return made


_ONE: dict[str, Callable[[_Decoder, Any], Any]] = {
    "=": _Decoder._same,
    "scalar": _Decoder._scalar,
    "list": _Decoder._list,
    "tuple": _Decoder._tuple,
    "dict": _Decoder._dict,
    "names": _Decoder._names,
    "array": _Decoder._array,
    "objects": _Decoder._objects,
    "g": _Decoder._global,
    "x": _Decoder._opaque,
    "S": _Decoder._special,
    "part": _Decoder._part,
    "new": _Decoder._part,
    "o": _Decoder._object,
}

_MANY: dict[str, Callable[[_Decoder, Any, int], Sequence[Any]]] = {
    "each": _Decoder._each,
    "same": _Decoder._all_same,
    "numbers": _Decoder._numbers,
    "scalars": _Decoder._scalars,
    "texts": _Decoder._texts,
    "copies": _Decoder._copies,
    "arrays": _Decoder._arrays,
    "lists": _Decoder._lists,
    "rows": _Decoder._rows,
    "S*": _Decoder._specials,
    "o*": _Decoder._many_objects,
}

_LISTS: dict[str, Callable[[Iterable[Any]], Any]] = {"list": list, "tuple": tuple}


_FIRST_CHILD = {
    **dict.fromkeys(("list", "tuple", "dict", "objects", "each", "same"), 1),
    **dict.fromkeys(("names", "S", "S*", "rows"), 2),
    **dict.fromkeys(("o", "o*", "new", "lists"), 3),
    "part": 4,
}
"""Index of the first child node, after which all others follow."""


def _made_alone(name: str) -> Any:
    """Return a framework's class that needs no estimator of the caller's."""
    from importlib import import_module

    from weightsearch.frameworks._registry import framework_module

    rebuilders: Mapping[str, Any] = getattr(framework_module(name), "REBUILDERS", {})
    if any(name in rebuilder.alone for rebuilder in rebuilders.values()):
        module, _, last = name.rpartition(".")
        return getattr(import_module(module), last, None)
    return None


def _shape(content: Any) -> tuple[int, ...]:
    shape = tuple(content)
    if not all(type(size) is int and size >= 0 for size in shape):
        raise ValueError(f"{content!r} is not a shape")
    return shape


def _of_fields(dtype: np.dtype[Any], fields: Mapping[str, Array]) -> Array:
    """Structured array from its fields."""
    names = dtype.names or ()
    if not names or set(fields) != set(names):
        raise ValueError("the fields of an array are not those of its type")
    shape = fields[names[0]].shape
    for name, values in fields.items():
        if values.dtype != dtype[name] or values.shape != shape:
            raise ValueError(f"the field {name!r} is not of its type or shape")
    if dtype.itemsize > 4 * sum(dtype[name].itemsize for name in names):
        raise ValueError("an array would be mostly padding")
    array = np.zeros(shape, dtype)
    for name, values in fields.items():
        array[name] = values
    return array


def _join_rows(state: dict[str, Any], node: Any) -> None:
    """Let the rows that a node of Birch has be views of its room for rows, as in fit.

    Further training writes into the room, and reads the rows.
    """
    for rows, room in (
        ("centroids_", "init_centroids_"),
        ("squared_norm_", "init_sq_norm_"),
    ):
        if isinstance(state.get(rows), np.ndarray):
            setattr(node, rows, state[room][: len(state[rows])])


def _untrusted(unknown: list[str]) -> UntrustedTypeError:
    shown = ", ".join(unknown[:10]) + (" ..." if len(unknown) > 10 else "")
    return UntrustedTypeError(
        f"it needs {shown}, which cannot be loaded from a store safely. Pass "
        "estimator=, the estimator as it was searched, or, if you trust this store "
        f"with them, trusted={unknown[:10]}",
        tuple(unknown),
    )
