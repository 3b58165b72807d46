"""A browser for all tests here, and the marker that they have in common."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "browser: needs Chromium and its driver")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == HERE:
            item.add_marker("browser")


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    # Not at the top: without selenium this file is read all the same.
    from chromium import Browser

    opened = Browser()
    yield opened
    opened.driver.quit()
