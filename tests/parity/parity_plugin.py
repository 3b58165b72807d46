"""Runs scikit-learn's own tests with our classeses in the place of its searches.

The names are replaced in the namespace of ``sklearn.model_selection`` alone, before
any test module is imported, so the tests get our classes wherever they import the
originals. scikit-learn's own code keeps the originals: its one user, RidgeCV, is
imported first.

Load it with ``-p parity_plugin``; ``run.py`` does.
"""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import parity_lists
import pytest
import sklearn.experimental.enable_halving_search_cv
import sklearn.linear_model._ridge as sklearn_user
import sklearn.model_selection

SUBSTITUTES_VARIABLE = "WEIGHTSEARCH_PARITY_CLASSES"
"""Environment variable ``Name=module:Class,...`` that names other classes to try."""

SELECT_ALL_VARIABLE = "WEIGHTSEARCH_PARITY_ALL"
"""Environment variable; ``1`` runs every test of the modules, to check the choice."""

DEFAULT_SUBSTITUTES = ",".join(
    f"{name}=weightsearch.search:WeightTracking{name}" for name in parity_lists.SEARCHES
)
REACHED = "reached"


def _load_classes() -> dict[str, Any]:
    """Our classes, by the names of those that they stand for."""
    loaded = {}
    pairs = os.environ.get(SUBSTITUTES_VARIABLE, DEFAULT_SUBSTITUTES)
    for pair in pairs.split(","):
        name, _, place = pair.partition("=")
        module, _, ours = place.partition(":")
        loaded[name] = getattr(importlib.import_module(module), ours)
    return loaded


OURS = _load_classes()
CLASSES = tuple(OURS.values())


class _Counter:
    """Counts the instances that are made of a class."""

    def __init__(self, cls: Any):
        self.made = 0
        original = cls.__init__

        # wraps keeps the signature, from which get_params takes its names.
        @functools.wraps(original)
        def __init__(instance: Any, *args: Any, **kwargs: Any) -> None:
            self.made += 1
            original(instance, *args, **kwargs)

        cls.__init__ = __init__
        self.defaults: dict[str, Any] = original.__kwdefaults__ or {}


_counters = [_Counter(cls) for cls in CLASSES]
for name, cls in OURS.items():
    if getattr(sklearn_user, name, None) in CLASSES:
        raise RuntimeError("sklearn.linear_model must keep scikit-learn's own class")
    setattr(sklearn.model_selection, name, cls)


def _made() -> int:
    return sum(counter.made for counter in _counters)


def _test_key(item: pytest.Item) -> str:
    function = getattr(item, "originalname", None) or item.name
    return f"{item.module.__name__}::{function}"  # type: ignore[attr-defined]


def _mentions(thing: Any, seen: set[int]) -> bool:
    """Whether a class of ours can be reached from a test function or a parameter."""
    if id(thing) in seen:
        return False
    seen.add(id(thing))
    if isinstance(thing, CLASSES) or any(thing is cls for cls in CLASSES):
        return True
    if isinstance(thing, FunctionType):
        named = [thing.__globals__.get(n) for n in _names(thing.__code__)]
        cells = [cell.cell_contents for cell in thing.__closure__ or ()]
        return any(
            _mentions(each, seen) for each in [*named, *cells] if _is_of_tests(each)
        )
    if isinstance(thing, functools.partial):
        return any(_mentions(p, seen) for p in (thing.func, thing.args, thing.keywords))
    if isinstance(thing, dict):
        return any(_mentions(each, seen) for each in [*thing, *thing.values()])
    if isinstance(thing, list | tuple | set | frozenset):
        return any(_mentions(each, seen) for each in thing)
    if hasattr(thing, "__dict__") and not isinstance(thing, type):
        return any(_mentions(each, seen) for each in vars(thing).values())
    return False


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _is_of_tests(thing: Any) -> bool:
    """Whether to look inside: data, our classes, and functions of test modules."""
    if any(thing is cls for cls in CLASSES):
        return True
    if isinstance(thing, FunctionType):
        return ".tests." in (thing.__module__ or "")
    return isinstance(thing, list | tuple | dict)


def _is_selected(item: pytest.Item) -> bool:
    if not isinstance(item, pytest.Function):
        return False
    seen: set[int] = set()
    params = item.callspec.params if hasattr(item, "callspec") else {}
    # unwrap: ignore_warnings and the like hide the test function behind a wrapper.
    function = item.obj
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return _mentions(getattr(function, "__func__", function), seen) or _mentions(
        params, seen
    )


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Keep the tests that can reach our classes, less those that cannot apply."""
    known = {_test_key(item) for item in items}
    modules = {key.partition("::")[0] for key in known}
    for entry in (*parity_lists.DESELECTED, *parity_lists.SPLITS_ONLY):
        module = entry.test.partition("::")[0]
        if entry.applies and module in modules and entry.test not in known:
            raise pytest.UsageError(f"parity_lists: no such test: {entry.test}")
    excluded = {entry.test for entry in parity_lists.DESELECTED}
    every = os.environ.get(SELECT_ALL_VARIABLE) == "1"
    kept, dropped = [], []
    for item in items:
        wanted = _test_key(item) not in excluded and (every or _is_selected(item))
        (kept if wanted else dropped).append(item)
    config.hook.pytest_deselected(items=dropped)
    items[:] = kept


@contextmanager
def _capturing_splits(params: dict[str, Any]) -> Iterator[None]:
    """Let searches add no fits: those that the test makes, and those it is given."""
    given = [value for value in params.values() if isinstance(value, CLASSES)]
    usual = _counters[0].defaults["capture"]
    for counter in _counters:
        counter.defaults["capture"] = "splits"
    for search in given:
        search.set_params(capture="splits")
    try:
        yield
    finally:
        for counter in _counters:
            counter.defaults["capture"] = usual
        for search in given:
            search.set_params(capture=usual)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Note whether the test reached a class of ours; set its default if it must be."""
    before = _made()
    key = _test_key(item)
    params = item.callspec.params if hasattr(item, "callspec") else {}
    counts_fits = key in {entry.test for entry in parity_lists.SPLITS_ONLY}
    try:
        with _capturing_splits(params) if counts_fits else nullcontext():
            return (yield)
    finally:
        if _made() > before or _mentions(params, set()):
            module = key.partition("::")[0]
            item.user_properties.append((REACHED, f"{module}::{item.name}"))


class _Summary:
    """Counts, in the process that reports, the tests that reached our classes."""

    def __init__(self) -> None:
        self.reached: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and not report.skipped:
            self.reached += [v for k, v in report.user_properties if k == REACHED]

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        report = session.config.getoption("parity_report")
        if report is not None:
            report.write_text("".join(f"{test}\n" for test in sorted(self.reached)))
        if len(self.reached) < self.floor(session.config):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def floor(self, config: pytest.Config) -> int:
        # The floor is that of a whole run; a chosen part may reach fewer.
        if not config.getoption("parity_floor"):
            return 0
        major_minor = ".".join(str(part) for part in parity_lists.SKLEARN.release[:2])
        return parity_lists.FLOORS.get(major_minor, min(parity_lists.FLOORS.values()))

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, config: pytest.Config
    ) -> None:
        terminalreporter.write_line(
            f"scikit-learn {parity_lists.SKLEARN}: {len(self.reached)} tests reached "
            f"our searches (at least {self.floor(config)} expected)"
        )


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of a parity run."""
    group = parser.getgroup("parity")
    group.addoption(
        "--parity-floor",
        action="store_true",
        help="fail if fewer tests than expected reach our classes",
    )
    group.addoption(
        "--parity-report",
        type=Path,
        help="file to write the tests to that reached our classes",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Count where results are reported: not in xdist's workers."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Summary(), "parity-summary")
