"""Digest functions, classes and modules by what they do, not where they are.

Line numbers, file names, comments, blank lines and the words of docstrings are no
part of it. Python's version is recorded elsewhere, so byte code may be compared.
"""

from __future__ import annotations

import builtins
import dataclasses
import dis
import enum
import functools
import importlib.machinery
import importlib.util
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    ModuleType,
)
from typing import Any

from weightsearch._identity._data import node
from weightsearch._identity._origin import home, home_of_file, is_own

_HAS_DOCSTRING = 0x4000000  # inspect.CO_HAS_DOCSTRING, new in Python 3.13
_UNBOUND = ("unbound",)
_STORED_NOISE = ("__doc__", "__firstlineno__", "__static_attributes__")
_READS_CELL = {"LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"}
_READS_ATTRIBUTE = {"LOAD_ATTR", "LOAD_METHOD"}
_READS_ANNOTATIONS = {
    "__annotations__",
    "annotation",
    "get_annotations",
    "get_type_hints",
}
_HOLDERS = (
    classmethod,
    functools.cached_property,
    functools.partial,
    functools.partialmethod,
    property,
    staticmethod,
)
_LOOKS_UP = {"eval", "exec", "globals"}
_IMPORTS = {"__import__", "import_module", "modules"}
_NAME = re.compile(r"[^\W\d]\w*")

# Set by Python itself, to where the class stands or to what its body says already;
# __slotnames__ when one of its objects is first copied or pickled.
_CLASS_NOISE = frozenset(
    "__module__ __qualname__ __doc__ __dict__ __weakref__ __firstlineno__ "
    "__static_attributes__ __annotations_cache__ __abstractmethods__ _abc_impl "
    "__orig_bases__ __parameters__ __classdictcell__ __slotnames__ "
    # Compiled by pydantic from the fields and annotations, with addresses in them.
    "__pydantic_core_schema__ __pydantic_serializer__ __pydantic_validator__".split()
)
_MODULE_NOISE = frozenset(
    "__name__ __doc__ __package__ __loader__ __spec__ __file__ __cached__ "
    "__builtins__ __path__ __annotations__ __conditional_annotations__ "
    "__annotate__ __warningregistry__".split()
)


@dataclasses.dataclass(frozen=True, slots=True)
class _Facts:
    """A code object with all code inside it: its content and the names it refers to."""

    digest: bytes
    # Names, each with the attributes that are read right from what it stands for.
    reads: tuple[tuple[str, tuple[str, ...]], ...]
    cells: tuple[tuple[str, tuple[str, ...]], ...]
    # Modules that the code imports: name, level and what is taken from them.
    imports: tuple[tuple[str, int, tuple[str, ...]], ...]
    names: frozenset[str]
    texts: frozenset[str]


@functools.lru_cache(maxsize=8192)
def _facts(code: CodeType) -> _Facts:
    tokens = [
        f"{code.co_name} {code.co_argcount} {code.co_posonlyargcount} "
        f"{code.co_kwonlyargcount} {code.co_flags & ~_HAS_DOCSTRING} "
        f"{code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + 2]}",
        code.co_exceptiontable.hex(),
    ]
    reads: dict[tuple[str, tuple[str, ...]], None] = {}
    cells: dict[tuple[str, tuple[str, ...]], None] = {}
    imports: dict[tuple[str, int, tuple[str, ...]], None] = {}
    # Numbers beyond 255 take instructions of their own, which say nothing.
    steps = [s for s in dis.get_instructions(code) if s.opname != "EXTENDED_ARG"]
    for at, step in enumerate(steps):
        name = step.opname
        following = steps[at + 1] if at + 1 < len(steps) else step
        noise = following.opname == "STORE_NAME" and following.argval in _STORED_NOISE
        tokens.append(name if noise else f"{name} {_constant(step.argval)}")
        if name in _READS_CELL:
            cells[step.argval, _attributes(steps, at)] = None
        elif name == "IMPORT_NAME":
            taken = steps[at - 1].argval or ()
            imports[step.argval, int(steps[at - 2].argval), tuple(taken)] = None
        elif (
            step.opcode in dis.hasname
            and name.startswith("LOAD_")
            and not ("ATTR" in name or "METHOD" in name)
        ):
            reads[step.argval, _attributes(steps, at)] = None
    inner = [_facts(c) for c in code.co_consts if isinstance(c, CodeType)]
    texts = {c for c in code.co_consts if isinstance(c, str)}
    return _Facts(
        digest=node("code", *(t.encode("utf-8", "surrogatepass") for t in tokens)),
        reads=tuple(dict.fromkeys([*reads, *(r for f in inner for r in f.reads)])),
        cells=tuple(dict.fromkeys([*cells, *(c for f in inner for c in f.cells)])),
        imports=tuple(
            dict.fromkeys([*imports, *(i for f in inner for i in f.imports)])
        ),
        names=frozenset(code.co_names).union(*(f.names for f in inner)),
        texts=frozenset(texts).union(*(f.texts for f in inner)),
    )


def _constant(value: Any) -> str:
    if isinstance(value, CodeType):
        return f"code {_facts(value).digest.hex()}"
    if isinstance(value, tuple):
        return f"({', '.join(map(_constant, value))})"
    if isinstance(value, frozenset):
        return f"{{{', '.join(sorted(map(_constant, value)))}}}"
    if type(value) is int:
        return hex(value)  # however long
    return f"{type(value).__name__} {value!r}"


def _attributes(steps: list[dis.Instruction], at: int) -> tuple[str, ...]:
    found = []
    for step in steps[at + 1 :]:
        if step.opname not in _READS_ATTRIBUTE:
            break
        found.append(str(step.argval))
    return tuple(found)


def code_digest(code: CodeType) -> bytes:
    """Digest of a code object, of the code inside it too."""
    return _facts(code).digest


def reads_annotations(function: Any) -> bool:
    """Whether a function reads annotations, as type-driven code does."""
    return isinstance(function, FunctionType) and not _READS_ANNOTATIONS.isdisjoint(
        _facts(function.__code__).names
    )


def content_of(item: Any) -> Iterator[tuple[str, Any]]:
    """Yield what decides how a function, class or module behaves: label and value."""
    if isinstance(item, ModuleType):
        yield from _module_content(item)
    elif isinstance(item, type):
        yield from _class_content(item)
    elif _is_singledispatch(item):
        yield "dispatch", list(item.registry.items())
    else:
        yield from _function_content(item)
    place = item.__name__ if isinstance(item, ModuleType) else item.__module__
    compiled = compiled_content(place or "")
    if compiled is not None:
        yield "compiled", compiled


def _is_singledispatch(function: FunctionType) -> bool:
    # Its closure has a cache, which changes by use.
    ours = function.__globals__ is vars(functools)
    return ours and {"registry", "dispatch"} <= set(vars(function))


def _function_content(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Byte code, defaults, closure, attributes, and the global names it reads."""
    facts = _facts(function.__code__)
    yield "name", function.__name__
    yield "code", facts.digest
    yield "defaults", function.__defaults__
    yield "keyword defaults", sorted((function.__kwdefaults__ or {}).items())
    closure = _closure(function)
    for name, value in closure.items():
        if not isinstance(value, ModuleType):
            yield f"closure value {name!r}", value
    for name, attributes in facts.cells:
        if isinstance(closure.get(name), ModuleType):
            label = f"closure value {name!r}"
            yield _followed(label, closure[name], attributes)
    yield from _globals(function.__globals__, facts)
    for imported in facts.imports:
        yield from _imported(imported, function.__globals__.get("__package__") or "")
    for name, value in sorted(function.__dict__.items()):
        yield f"attribute {name!r}", value


def _closure(function: FunctionType) -> dict[str, Any]:
    closure: dict[str, Any] = {}
    cells = function.__closure__ or ()
    for name, cell in zip(function.__code__.co_freevars, cells, strict=True):
        try:
            closure[name] = cell.cell_contents
        except ValueError:  # not bound yet
            closure[name] = _UNBOUND
    return closure


def _globals(scope: Mapping[str, Any], facts: _Facts) -> Iterator[tuple[str, Any]]:
    """Yield the current values of the global names that code reads."""
    for name, attributes in facts.reads:
        if name in scope:
            yield _followed(f"global {name!r}", scope[name], attributes)
        else:
            value = getattr(builtins, name, _UNBOUND)
            if not isinstance(value, BuiltinFunctionType | type):
                yield f"global {name!r}", value
    # What is looked up by name while running, as far as the name is written out.
    if not _IMPORTS.isdisjoint(facts.names):
        for name in sorted(facts.texts & sys.modules.keys()):
            if home(name) is None:
                yield f"module {name!r}", sys.modules[name]
    if not _LOOKS_UP.isdisjoint(name for name, _ in facts.reads):
        words = {word for text in facts.texts for word in _NAME.findall(text)}
        for name in sorted(words & scope.keys()):
            yield f"global {name!r}", scope[name]


def _followed(label: str, value: Any, attributes: tuple[str, ...]) -> tuple[str, Any]:
    """Follow ``helpers.nested.build``; a user's module that goes elsewhere is whole.

    Of an installed module nothing counts but its name and version, and what a user
    has put in there.
    """
    for attribute in attributes:
        if not isinstance(value, ModuleType) or attribute not in vars(value):
            break
        found = vars(value)[attribute]
        if not isinstance(found, ModuleType) and home(value.__name__) is not None:
            return (f"{label}.{attribute}", found if is_own(found) else value)
        label, value = f"{label}.{attribute}", found
    return label, value


def _class_content(cls: type) -> Iterator[tuple[str, Any]]:
    """Its bases and all it defines; annotations as well, as decorators read them."""
    yield "name", cls.__name__
    yield "bases", cls.__bases__
    yield "metaclass", type(cls)
    noise: Any = _CLASS_NOISE
    if isinstance(cls, enum.EnumMeta):
        # Python keeps members in several tables, some of which grow by use.
        members: Mapping[str, Any] = cls.__members__
        yield "members", [(name, member._value_) for name, member in members.items()]
        noise = {*noise, *members}
        noise |= {
            name
            for name, value in vars(cls).items()
            if name[:1] == name[-1:] == "_" != name[1:2] and not callable(value)
        }
    for name, value in sorted(vars(cls).items()):
        if name in noise or isinstance(
            value, MemberDescriptorType | GetSetDescriptorType
        ):
            continue
        if name == "__annotations__" and not value:
            # Created on access, for a class that has none.
            continue
        if isinstance(value, staticmethod | classmethod):
            yield f"attribute {name!r}", (type(value).__name__, value.__func__)
        elif isinstance(value, property):
            yield f"attribute {name!r}", (value.fget, value.fset, value.fdel)
        elif name == "__pydantic_decorators__":
            yield f"attribute {name!r}", _pydantic_decorators(value)
        else:
            yield f"attribute {name!r}", value


def _pydantic_decorators(infos: Any) -> list[Any]:
    # Each knows its class by an address.
    return [
        (kind.name, name, decorator.cls_var_name, decorator.info)
        for kind in dataclasses.fields(infos)
        if isinstance(getattr(infos, kind.name), dict)
        for name, decorator in getattr(infos, kind.name).items()
    ]


def _module_content(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Yield everything in a user's module, other modules of the user included."""
    for name, value in sorted(vars(module).items()):
        if name not in _MODULE_NOISE:
            yield f"attribute {name!r}", value


def compiled_content(module: str) -> bytes | None:
    """Bytes of the shared library that a module of the user's own was built into."""
    place = getattr(sys.modules.get(module), "__file__", None) or ""
    suffixes = tuple(importlib.machinery.EXTENSION_SUFFIXES)
    if not place.endswith(suffixes) or home(module) is not None:
        return None
    return Path(place).read_bytes()


def patches(obj: Any, done: dict[str, list[Any]]) -> list[Any]:
    """Return what a user has set on an installed class or function, or on its module.

    By name. What was found in modules before is in `done`, which is added to.
    """
    classes = obj.__mro__[:-1] if isinstance(obj, type) else ()
    found = [p for cls in classes for p in _own_parts(cls.__module__, cls)]
    for name in dict.fromkeys(item.__module__ for item in (*classes, obj)):
        if name not in done:
            done[name] = _own_parts(name, sys.modules.get(name))
        found += done[name]
    return found


def _own_parts(module: str, owner: Any) -> list[Any]:
    """Yield what a user has set on an installed module, or on one of its classes."""
    if module not in sys.modules or home(module) is None:
        return []
    scope, root = vars(sys.modules[module]), module.partition(".")[0]
    found = []
    for name, value in tuple(vars(owner).items()):
        inner = value
        if isinstance(value, _HOLDERS):
            holds = ("fget", "__func__", "func")
            inner = next(getattr(value, h) for h in holds if hasattr(value, h))
        if isinstance(inner, FunctionType):
            installed = inner.__globals__ is scope
        elif isinstance(inner, type):
            installed = inner.__module__.partition(".")[0] == root
        else:
            continue
        if not installed and is_own(inner):
            bound = [getattr(value, part, None) for part in ("args", "keywords")]
            found.append((f"{owner.__name__}.{name}", [inner, *bound]))
    return found


def _imported(
    imported: tuple[str, int, tuple[str, ...]], package: str
) -> Iterator[tuple[str, Any]]:
    """Content of a module that is imported where it is used, in a function's body.

    It is compiled, not run: an identity must not depend on what was imported
    before.
    """
    name, level, taken = imported
    if level > 0:
        if not package:
            return
        name = importlib.util.resolve_name("." * level + name, package)
    seen: dict[str, Any] = {}
    _read_module(name, taken, seen)
    for found, content in seen.items():
        yield f"import {found!r}", content


def _read_module(name: str, taken: tuple[str, ...], seen: dict[str, Any]) -> None:
    """Read the source of a user's module, and of those that it imports in turn."""
    parent = name.rpartition(".")[0]
    if parent:
        _read_module(parent, (), seen)
    if name not in seen and not isinstance(seen.get(parent), ModuleName):
        loaded = sys.modules.get(name)
        # Without a file, a module is what it contains.
        own = loaded is not None and home(name) is None
        seen[name] = loaded if own else ("module", name)
        spec = _find_spec(name) or getattr(loaded, "__spec__", None)
        place = spec.origin if spec is not None else None
        if spec is not None and place not in (None, "built-in", "frozen"):
            assert place is not None
            if home_of_file(name, place) is not None:
                seen[name] = ModuleName(name, place)
                return
            _read_source(spec, place, seen)
    for attribute in taken:
        child = f"{name}.{attribute}"
        installed = isinstance(seen.get(name), ModuleName)
        if not installed and _find_spec(child) is not None:
            _read_module(child, (), seen)


def _read_source(
    spec: importlib.machinery.ModuleSpec, place: str, seen: dict[str, Any]
) -> None:
    source = Path(place).read_bytes()
    seen[spec.name] = source
    if not place.endswith(".py"):
        return
    try:
        code = compile(source, spec.name, "exec", dont_inherit=True)
    except SyntaxError:
        return
    facts = _facts(code)
    seen[spec.name] = facts.digest
    package = spec.name if spec.submodule_search_locations else spec.parent or ""
    for name, level, taken in facts.imports:
        if level > 0 and not package:
            continue
        absolute = importlib.util.resolve_name("." * level + name, package)
        _read_module(absolute if level > 0 else name, taken, seen)


@dataclasses.dataclass(frozen=True, slots=True)
class ModuleName:
    """An installed module that need not be loaded, known by its name and version."""

    name: str
    place: str


def _find_spec(name: str) -> importlib.machinery.ModuleSpec | None:
    """Find a module without importing its parents, as importlib would."""
    path: Any = None
    spec = None
    dotted = ""
    for part in name.split("."):
        dotted = f"{dotted}.{part}" if dotted else part
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = find(dotted, path) if find is not None else None
            if spec is not None:
                break
        if spec is None:
            return None
        path = spec.submodule_search_locations
        if path is None and dotted != name:
            return None
    return spec
