"""What all tests share: quiet frameworks, and markers for those that need one."""

from __future__ import annotations

import importlib.util
import os
import signal
from typing import Any

import pytest

# Read by TensorFlow and by matplotlib when they are first imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")

# A shell's background jobs ignore Ctrl+C, which the tests of interrupts send.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

FRAMEWORKS = {"keras": ("tensorflow", "scikeras"), "torch": ("torch", "skorch")}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests that need a framework which is not installed.

    A test needs one if it is marked so or if its file is named after it.
    """
    for item in items:
        for framework, packages in FRAMEWORKS.items():
            if framework in item.path.name:
                item.add_marker(framework)
            missing = [p for p in packages if importlib.util.find_spec(p) is None]
            if missing and item.get_closest_marker(framework):
                reason = f"needs {' and '.join(missing)}"
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Send tests of one framework, of one document, and of one table to one worker.

    Importing a framework takes seconds, so that two workers should not both do it;
    blocks of code in a document build on each other, and the rows of the table of
    searches, and the models that are rebuilt, share processes. xdist's own
    ``loadgroup`` would do, but its groups have no effect with pytest 9.2 (xdist 3.8).
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFramework(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            names = (
                *("test_readme", "test_report_browser", "test_rebuild"),
                *(*FRAMEWORKS, "test_searches"),
            )
            return next((name for name in names if name in nodeid.lower()), nodeid)

    return ByFramework(config, log)
