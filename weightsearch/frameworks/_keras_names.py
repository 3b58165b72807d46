"""Names of a Keras model's variables.

Keras numbers the layers that the user does not name by a counter of the process:
the first Dense layer of the seventh model built is ``dense_12``. Here they are
numbered anew inside each parent, in the parent's own order, as Keras itself does in
``.weights.h5`` files: every model's first one is ``dense``. So equal architectures
have equal names, whatever was built before, and after loading as well.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

__all__ = ["variable_names"]


def variable_names(model: Any) -> dict[int, list[str]]:
    """Every variable's names, by its id; the one to keep comes first."""
    names: dict[int, list[str]] = defaultdict(list)
    at_home: set[int] = set()
    for name, layer, variable in _walk(model, ""):
        known = names[id(variable)]
        # Keras' path ends with the layer that made the variable. Where several hold
        # it, as for tied weights, it keeps the name that it has in that layer.
        if id(variable) not in at_home and _made_by(layer, variable):
            at_home.add(id(variable))
            known.insert(0, name)
        else:
            known.append(name)
    return names


def _made_by(layer: Any, variable: Any) -> bool:
    parents: list[str] = variable.path.split("/")[:-1]
    return parents[-1:] == [layer.name]


def _walk(layer: Any, prefix: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield (name, layer that holds it, variable), layers in Keras' own order."""
    children = layer._flatten_layers(include_self=False, recursive=False)
    of_children = {id(weight) for child in children for weight in child.weights}
    own = [weight for weight in layer.weights if id(weight) not in of_children]
    # One namespace for both, so that no variable is called as a layer beside it.
    taken: set[str] = set()
    for variable, name in zip(own, _numbered(own, taken), strict=True):
        yield prefix + name, layer, variable
    for child, name in zip(children, _numbered(children, taken), strict=True):
        yield from _walk(child, f"{prefix}{name}/")


def _numbered(things: Iterable[Any], taken: set[str]) -> list[str]:
    """Give names to what one parent holds; unique among them and in ``taken``.

    Names that the user gave stay as they are. What Keras named is numbered from
    the start: ``dense``, ``dense_1``, ...
    """
    things = list(things)
    stems = [_stem(thing) for thing in things]
    # Keras counts dense, dense_1: who has a dense_0 counts all of that kind himself.
    by_user = {stem for stem, number in stems if number and not int(number)}
    kept = [
        _unused(thing.name, taken)
        if stem is None or stem in by_user or (number or "").startswith("0")
        else None
        for thing, (stem, number) in zip(things, stems, strict=True)
    ]
    # The users' names are all taken by now, so that none is given to another.
    return [
        _unused(str(stem), taken) if name is None else name
        for name, (stem, _) in zip(kept, stems, strict=True)
    ]


def _unused(name: str, taken: set[str]) -> str:
    """Return the name itself, or with the first number that makes it new; now taken."""
    number, unused = 0, name
    while unused in taken:
        number += 1
        unused = f"{name}_{number}"
    taken.add(unused)
    return unused


def _stem(thing: Any) -> tuple[str | None, str | None]:
    """Split a name as Keras gives it: ``dense_7`` into ``dense`` and ``7``.

    Both are None for a name that only a user can have given. A user's ``dense_7``
    for a Dense layer looks like one of Keras', which notes nowhere who chose a name,
    and so counts as automatic.
    """
    automatic = _snake_case(type(thing).__name__)
    # Bidirectional puts its direction before the name of the layer that it copies.
    match = re.fullmatch(
        rf"((?:(?:forward|backward)_)?{automatic})(?:_(\d+))?", thing.name
    )
    return (match[1], match[2]) if match else (None, None)


def _snake_case(name: str) -> str:
    """Keras' ``to_snake_case``, which it does not export."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
