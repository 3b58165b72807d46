"""A model's skops schema, split into what candidates share and what they do not.

skops writes an object as a zip file: ``schema.json``, a tree of nodes, and a file for
each array. All candidates of a search have nearly the same tree, so it is kept once,
as the *skeleton*, and each candidate has only the *values* of its leaves.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["fill", "nodes", "split"]

_PACK_ITEMS = 8
_PACK_KEYS = 64
"""From so many plain values on, a list or dict is one leaf, however long it is."""
_LEAF = "JsonNode"
_VALUE = "__value__"
_FIRST_LEAF = 1 << 40
"""Ids of leaves, far above those of the skeleton."""


def split(schema: dict[str, Any]) -> tuple[dict[str, Any], list[str], list[str]]:
    """Take the values out of a schema.

    Parameters
    ----------
    schema : dict
        As skops makes it; is changed.

    Returns
    -------
    skeleton : dict
        The schema without values, its ids and files numbered anew.
    values : list of str
        The leaves' values as JSON, in order.
    files : list of str
        Names of the files, in order.
    """
    values: list[str] = []
    files: dict[str, int] = {}
    numbers: dict[int, int] = {}

    def walk(node: Any) -> Any:
        if isinstance(node, list | tuple):
            return [walk(item) for item in node]
        if not isinstance(node, dict):
            return node
        if _is_leaf(node):
            # Whether equal values are one object says nothing about a model.
            node.pop("__id__", None)
            values.append(node.pop("content"))
            return node
        if "__id__" in node:
            node["__id__"] = numbers.setdefault(node["__id__"], len(numbers) + 1)
        if type(node.get("file")) is str:
            node["file"] = files.setdefault(node["file"], len(files))
        packed = _packed(node.get("content"))
        if packed is not None:
            values.append(packed)
            node["content"] = _VALUE
        return {
            # Most are texts, which go by without a call.
            _as_key(key): value if type(value) is str else walk(value)
            for key, value in node.items()
        }

    return walk(schema), values, list(files)


def _as_key(key: Any) -> str:
    """Give a key as JSON has it."""
    if type(key) is str:
        return key
    text: str = next(iter(json.loads(json.dumps({key: None}))))
    return text


def fill(
    skeleton: dict[str, Any], values: list[str], name_of: Callable[[int], str]
) -> dict[str, Any]:
    """Put the values back; the reverse of :func:`split`.

    Raises
    ------
    ValueError
        If there are more or fewer values than places for them.
    """
    left = iter(values)
    ids = itertools.count(_FIRST_LEAF)

    def leaf(content: str) -> dict[str, Any]:
        return {
            "__class__": "str",
            "__module__": "builtins",
            "__loader__": _LEAF,
            "is_json": True,
            "content": content,
            "__id__": next(ids),
        }

    def walk(node: Any) -> Any:
        if isinstance(node, list):
            return [walk(item) for item in node]
        if not isinstance(node, dict):
            return node
        if _is_leaf(node):
            return leaf(_next(left))
        done: dict[str, Any] = {}
        if node.get("content") == _VALUE:
            packed = json.loads(_next(left))
            done["content"] = (
                {key: leaf(json.dumps(value)) for key, value in packed.items()}
                if isinstance(packed, dict)
                else [leaf(json.dumps(value)) for value in packed]
            )
        if isinstance(node.get("file"), int):
            done["file"] = name_of(node["file"])
        return {
            key: done[key] if key in done else walk(value)
            for key, value in node.items()
        }

    filled: dict[str, Any] = walk(skeleton)
    if next(left, None) is not None:
        raise ValueError("there are more values than places for them")
    return filled


def nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield every node of a schema, outer ones first."""
    todo = [schema]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            if "__loader__" in item:
                yield item
            todo += reversed(item.values())
        elif isinstance(item, list):
            todo += reversed(item)


def _next(values: Iterator[str]) -> str:
    value = next(values, None)
    if value is None:
        raise ValueError("there are fewer values than places for them")
    return value


def _is_leaf(node: Any) -> bool:
    return (
        isinstance(node, dict)
        and node.get("__loader__") == _LEAF
        and node.get("is_json") is True
    )


def _packed(content: Any) -> str | None:
    """Put many plain values into one text; None where they are few or not plain."""
    if isinstance(content, list | tuple) and len(content) >= _PACK_ITEMS:
        if all(map(_is_leaf, content)):
            return f"[{','.join(item['content'] for item in content)}]"
    elif isinstance(content, dict) and len(content) >= _PACK_KEYS:
        if all(map(_is_leaf, content.values())):
            pairs = (
                f"{json.dumps(_as_key(k))}:{v['content']}" for k, v in content.items()
            )
            return f"{{{','.join(pairs)}}}"
    return None
