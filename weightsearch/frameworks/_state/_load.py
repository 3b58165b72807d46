"""From what was taken down to a fitted estimator, without training and pickle."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sklearn.base import clone

from weightsearch._records import Array
from weightsearch.exceptions import RebuildError, UntrustedTypeError
from weightsearch.frameworks._registry import qualified_name
from weightsearch.frameworks._state._checks import check_loaded, check_schema
from weightsearch.frameworks._state._dump import FORMAT
from weightsearch.frameworks._state._files import restore
from weightsearch.frameworks._state._parts import (
    NUMBERS,
    Part,
    Rebuilder,
    find_parts,
    named_rebuilder,
    rebuilder_of,
    resolved,
)
from weightsearch.frameworks._state._schema import fill, nodes
from weightsearch.frameworks._state._skops import SCHEMA, skops_io
from weightsearch.frameworks._state._trust import Brought, names_of, trusted_names

__all__ = ["is_complete", "rebuild"]

_MOST_TEXT = 1 << 28
"""Bytes of one unpacked text; no real model comes near it."""
_SUPPLIED = "supplied"
_SCRIPT = "__main__"
_NONSENSE = (
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    zlib.error,
)


def is_complete(text: str | None) -> bool:
    """Whether an estimator rebuilt of this state lacks nothing."""
    return text is not None and bool(_parse(text).get("complete"))


def rebuild(
    text: str,
    weight: Callable[[str], Array],
    blob: Callable[[str], bytes],
    *,
    template: Any = None,
    trusted: Iterable[str | type] = (),
) -> Any:
    """Make a fitted estimator again.

    Parameters
    ----------
    text : str
        :attr:`ModelState.text <weightsearch._records.ModelState>`.
    weight, blob : callable
        Give a weight by its name, and a content by its name.
    template : estimator, default=None
        Unfitted, with the candidate's params. Functions and classes among its
        params, and its own classes, are taken from it.
    trusted : iterable of str or type
        Types that may be constructed besides.

    Returns
    -------
    estimator : object

    Raises
    ------
    UntrustedTypeError
        If it needs other types; nothing has been constructed then.
    RebuildError
        If it cannot be made, with what is missing.
    """
    skops = skops_io()
    state = _parse(text)
    if "error" in state:
        raise RebuildError(
            "this estimator holds something that cannot be stored without pickle "
            f"({state['error']}), so only its weights were kept"
        )
    brought = Brought(template)
    try:
        if "state" in state:
            state = _parse(_unpacked(state["state"], blob))
        schema, files = _schema(state, weight, blob)
        check_schema(schema, files)
        n_parts = _supply(schema, brought)
    except _NONSENSE as error:
        raise RebuildError(f"its stored state makes no sense: {error}") from error
    archive = _archive(schema, files)
    allowed = [*trusted_names(), *brought.trusted, *names_of(trusted)]
    unknown = set(skops.get_untrusted_types(data=archive)).difference(allowed)
    if unknown:
        raise _untrusted(sorted(unknown))
    try:
        loaded = skops.loads(archive, trusted=allowed)
    except Exception as error:
        # Whatever a class says to a state that is not one of its own.
        raise RebuildError(
            f"its stored state does not suit the installed versions: {error}"
        ) from error
    if n_parts:
        loaded = resolved(loaded, _Places(template, brought.objects).resolve)
    check_loaded(loaded)
    return loaded


def _parse(text: str) -> dict[str, Any]:
    try:
        state = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RebuildError(f"its stored state is no JSON: {error}") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise RebuildError(
            "its stored state is of a format that this version does not know; a "
            "newer weightsearch may"
        )
    return state


def _schema(
    state: Mapping[str, Any],
    weight: Callable[[str], Array],
    blob: Callable[[str], bytes],
) -> tuple[dict[str, Any], dict[str, bytes]]:
    skeleton = json.loads(_unpacked(state["skeleton"], blob))
    values = [_unpacked(value, blob) for value in state["values"]]
    files = {
        f"{number}.{'npy' if 'blob' not in reference else 'bin'}": restore(
            reference, weight, blob
        )
        for number, reference in enumerate(state["files"])
    }
    names = list(files)
    return fill(skeleton, values, lambda number: names[number]), files


def _unpacked(reference: Any, blob: Callable[[str], bytes]) -> str:
    """Give a text that may be kept as a content."""
    if isinstance(reference, str):
        return reference
    unpacker = zlib.decompressobj()
    raw = unpacker.decompress(blob(reference["blob"]), _MOST_TEXT)
    if unpacker.unconsumed_tail:
        raise ValueError("a text is far too long")
    return raw.decode()


def _archive(schema: dict[str, Any], files: Mapping[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr(SCHEMA, json.dumps(schema))
    return target.getvalue()


def _supply(schema: dict[str, Any], brought: Brought) -> int:
    """Let stand-ins take the place of functions and classes that the caller has.

    Returns
    -------
    int
        Number of stand-ins, those of networks among them.
    """
    own = qualified_name(Part)
    count = 0
    for node in nodes(schema):
        if node.get("__module__") == _SCRIPT:
            # What a script has stored may be a module's when it is loaded.
            node["__module__"] = brought.home_of(str(node["__class__"])) or _SCRIPT
        name = f"{node.get('__module__')}.{node.get('__class__')}"
        functions = ("FunctionNode", "TypeNode")
        # Plain types are at home here as there, and the keys of dicts need them.
        plain = name.startswith(("builtins.", "numpy."))
        if node["__loader__"] in functions and name in brought.objects and not plain:
            node.clear()
            node.update(_stand_in(name))
            count += 1
        elif name == own:
            count += 1
    return count


def _stand_in(name: str) -> dict[str, Any]:
    content = skops_io().dumps(Part(kind=_SUPPLIED, path=name))
    schema = json.loads(zipfile.ZipFile(io.BytesIO(content)).read(SCHEMA))
    for node in nodes(schema):
        node.pop("__id__", None)
    return {key: schema[key] for key in schema if not key.startswith(("prot", "_sk"))}


class _Places:
    """Where the caller's estimator has what a stored part becomes."""

    def __init__(self, template: Any, objects: Mapping[str, Any]):
        self._known = dict(find_parts(template)) if template is not None else {}
        self._objects = objects

    def resolve(self, part: Part) -> Any:
        if part.kind == _SUPPLIED:
            return self._objects[part.path]
        if part.kind == NUMBERS:
            return list(part.attributes["values"])
        estimator, rebuilder = self._find(part)
        return rebuilder.rebuild(estimator, part.attributes, part.weights)

    def _find(self, part: Part) -> tuple[Any, Rebuilder]:
        same = {
            path: known
            for path, known in self._known.items()
            if qualified_name(type(known)) == part.kind
        }
        # Meta-estimators clone one part into many: then its class tells.
        found = same.get(part.path) or (
            next(iter(same.values())) if len(same) == 1 else None
        )
        if found is not None:
            rebuilder = rebuilder_of(type(found))
            assert rebuilder is not None
            return clone(found), rebuilder
        named = named_rebuilder(part.kind)
        if same or named is None or named.create is None:
            raise RebuildError(
                f"it contains a {part.kind}, which is made from your own code: pass "
                "estimator=, the estimator as it was searched"
            )
        return named.create(part.attributes), named


def _untrusted(unknown: list[str]) -> UntrustedTypeError:
    shown = ", ".join(unknown[:10]) + (" ..." if len(unknown) > 10 else "")
    return UntrustedTypeError(
        f"it needs {shown}, which a store cannot bring along safely. Pass estimator=, "
        "the estimator as it was searched, or, if you know that this store can be "
        f"trusted with them, trusted={unknown[:10]}",
        tuple(unknown),
    )
