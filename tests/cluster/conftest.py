"""Marks the tests on clusters, which have an environment of their own."""

from __future__ import annotations

import pytest


def pytest_itemcollected(item):
    item.add_marker(pytest.mark.cluster)
