"""The content of functions and classes: what they do, not where they stand.

Line numbers, file names, comments, blank lines and the words of docstrings are no
part of it. Python's version is recorded elsewhere, so byte code may be compared.
"""

from __future__ import annotations

import builtins
import dis
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType, MemberDescriptorType, ModuleType
from typing import Any

from weightsearch._identity._origin import home, home_of_file

_HAS_DOCSTRING = 0x4000000  # inspect.CO_HAS_DOCSTRING, new in Python 3.13
_READS_GLOBAL = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}
_READS_CLOSURE = {"LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"}
_READS_ATTRIBUTE = {"LOAD_ATTR", "LOAD_METHOD"}
_PLAIN = (str, int, float, complex, bytes, type(None), type(Ellipsis))

# Set by Python itself, to where the class stands or to what its body says already;
# __slotnames__ when one of its objects is first copied or pickled.
_CLASS_NOISE = frozenset(
    "__module__ __qualname__ __doc__ __dict__ __weakref__ __firstlineno__ "
    "__static_attributes__ __annotations__ __annotate__ __annotate_func__ "
    "__annotations_cache__ __abstractmethods__ _abc_impl __orig_bases__ "
    "__parameters__ __classdictcell__ __slotnames__".split()
)
_STORED_NOISE = ("__doc__", "__firstlineno__", "__static_attributes__")


@dataclass(frozen=True, slots=True)
class ModuleName:
    """An installed module that need not be loaded, known by its name and version."""

    name: str
    place: str


def function_content(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Say what decides a function's result.

    Parameters
    ----------
    function : function

    Yields
    ------
    (str, object)
        Label and value: the byte code, defaults, closure, attributes, and the
        global names that the code reads, each with its value of now.
    """
    names = _Names(function)
    yield "name", function.__name__
    yield "code", tuple(code_tokens(function.__code__))
    yield "defaults", function.__defaults__
    yield "keyword defaults", function.__kwdefaults__
    for name, value in names.closure.items():
        yield f"closure value {name!r}", value
    for label, value in _read_names(function.__code__, names):
        yield label, value
    for name, value in sorted(function.__dict__.items()):
        if name != "__wrapped__":  # the closure or the code leads to it
            yield f"attribute {name!r}", value


def class_content(cls: type) -> Iterator[tuple[str, Any]]:
    """Say what decides how a class behaves: its bases and all it defines.

    Parameters
    ----------
    cls : type

    Yields
    ------
    (str, object)
        Label and value.
    """
    yield "name", cls.__name__
    yield "bases", cls.__bases__
    yield "metaclass", type(cls)
    for name, value in sorted(vars(cls).items()):
        if name in _CLASS_NOISE or isinstance(value, MemberDescriptorType):
            continue
        if isinstance(value, staticmethod | classmethod):
            yield f"attribute {name!r}", (type(value).__name__, value.__func__)
        elif isinstance(value, property):
            yield f"attribute {name!r}", (value.fget, value.fset, value.fdel)
        else:
            yield f"attribute {name!r}", value


def compiled_content(module: str) -> bytes | None:
    """Bytes of the shared library that a module of the user's own was built into."""
    place = getattr(sys.modules.get(module), "__file__", None) or ""
    suffixes = tuple(importlib.machinery.EXTENSION_SUFFIXES)
    return Path(place).read_bytes() if place.endswith(suffixes) else None


def code_tokens(code: CodeType) -> Iterator[Any]:
    """Byte code as text, with names and constants in place of their numbers.

    Parameters
    ----------
    code : code

    Yields
    ------
    object
        Text mostly; constants that are no plain values as they are.
    """
    yield (
        f"{code.co_name} {code.co_argcount} {code.co_posonlyargcount} "
        f"{code.co_kwonlyargcount} {code.co_flags & ~_HAS_DOCSTRING} "
        f"{code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + 2]}"
    )
    yield code.co_exceptiontable
    instructions = list(dis.get_instructions(code))
    for at, step in enumerate(instructions):
        value = step.argval
        following = instructions[at + 1] if at + 1 < len(instructions) else None
        if (
            following is not None
            and following.opname == "STORE_NAME"
            and following.argval in _STORED_NOISE
        ):
            yield step.opname
        elif isinstance(value, CodeType):
            yield tuple(code_tokens(value))
        elif isinstance(value, _PLAIN):
            yield f"{step.opname} {value!r}"
        else:
            yield step.opname
            yield value


class _Names:
    """What the names in a function's code stand for."""

    def __init__(self, function: FunctionType):
        self.globals: dict[str, Any] = function.__globals__
        self.closure: dict[str, Any] = {}
        cells = function.__closure__ or ()
        for name, cell in zip(function.__code__.co_freevars, cells, strict=True):
            try:
                self.closure[name] = cell.cell_contents
            except ValueError:  # not bound yet
                self.closure[name] = ("unbound",)

    def read(self, name: str) -> Any:
        if name in self.globals:
            return self.globals[name]
        return getattr(builtins, name, ("unbound",))


def _read_names(code: CodeType, names: _Names) -> Iterator[tuple[str, Any]]:
    """Walk the global names that code reads, in its inner functions too."""
    seen: set[str] = set()
    for inner in _with_inner(code):
        instructions = list(dis.get_instructions(inner))
        for at, step in enumerate(instructions):
            if step.opname in _READS_GLOBAL:
                label, value = f"global {step.argval!r}", names.read(step.argval)
            elif step.opname in _READS_CLOSURE and isinstance(
                names.closure.get(step.argval), ModuleType
            ):
                label = f"closure value {step.argval!r}"
                value = names.closure[step.argval]
            elif step.opname == "IMPORT_NAME":
                yield from _imported(instructions, at, names)
                continue
            else:
                continue
            if isinstance(value, ModuleType):
                dotted, value = _through_module(value, instructions[at + 1 :])
                label += dotted
            if label not in seen:
                seen.add(label)
                yield label, value


def _with_inner(code: CodeType) -> Iterator[CodeType]:
    yield code
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from _with_inner(const)


def _through_module(
    module: ModuleType, following: list[dis.Instruction]
) -> tuple[str, Any]:
    """Follow ``helpers.nested.build`` to the value, where the module is the user's."""
    value: Any = module
    dotted = ""
    for step in following:
        if (
            not isinstance(value, ModuleType)
            or home(value.__name__) is not None
            or step.opname not in _READS_ATTRIBUTE
        ):
            break
        dotted += f".{step.argval}"
        value = getattr(value, step.argval, ("unbound",))
    return dotted, value


def _imported(
    instructions: list[dis.Instruction], at: int, names: _Names
) -> Iterator[tuple[str, Any]]:
    """Content of a module that is imported where it is used, in a function's body.

    It is compiled, not run: an identity must not depend on what was imported
    before. What such a module imports in turn is not followed.
    """
    name = str(instructions[at].argval)
    level = instructions[at - 2].argval if at >= 2 else 0
    if isinstance(level, int) and level > 0:
        package = names.globals.get("__package__") or ""
        if not package:
            return
        name = importlib.util.resolve_name("." * level + name, package)
    yield f"import {name!r}", _module_content(name)
    for step in instructions[at + 1 :]:
        if step.opname == "IMPORT_FROM":
            child = f"{name}.{step.argval}"
            if child not in sys.modules or home(child) is None:
                yield f"import {child!r}", _module_content(child)
        elif step.opname not in ("STORE_FAST", "STORE_NAME", "STORE_DEREF"):
            break


def _module_content(name: str) -> Any:
    spec = _find_spec(name)
    place = spec.origin if spec is not None else None
    if place is None or place in ("built-in", "frozen"):
        return ("module", name)
    if home_of_file(name, place) is not None:
        return ModuleName(name, place)
    source = Path(place).read_bytes()
    if not place.endswith(".py"):
        return source
    try:
        code = compile(source, name, "exec", dont_inherit=True)
    except SyntaxError:
        return source
    return tuple(code_tokens(code))


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
    return spec
