"""What all tests share: quiet frameworks, and markers for those that need one."""

from __future__ import annotations

import importlib.util
import os

import pytest

# Read by TensorFlow and by matplotlib when they are first imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")

FRAMEWORKS = {"keras": ("tensorflow", "scikeras"), "torch": ("torch", "skorch")}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep tests of one framework in one xdist worker; skip those that lack it.

    Importing a framework takes seconds, so that two workers should not both do it.
    A test needs one if it is marked so or if its file is named after it; one whose
    function or parameter is named after it only goes to the same worker.
    """
    for item in items:
        for framework, packages in FRAMEWORKS.items():
            if framework in item.path.name:
                item.add_marker(framework)
            if item.get_closest_marker(framework):
                missing = [p for p in packages if importlib.util.find_spec(p) is None]
                if missing:
                    reason = f"needs {' and '.join(missing)}"
                    item.add_marker(pytest.mark.skip(reason=reason))
            elif framework not in item.name.lower():
                continue
            item.add_marker(pytest.mark.xdist_group(framework))
