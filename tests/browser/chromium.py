"""A headless Chromium, and what it has to say of a page."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

REQUIRED = "WEIGHTSEARCH_REQUIRE_BROWSER"
"""Set to 1, a missing browser is a failure: CI must not skip these tests."""

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
MOVED = "Emulation.setDeviceMetricsOverride"


def _found(*names: str) -> str | None:
    return next(filter(None, map(shutil.which, names)), None)


def _missing(what: str) -> None:
    if os.environ.get(REQUIRED, "0") not in ("", "0"):
        pytest.fail(f"{REQUIRED} is set, but there is no {what}")
    pytest.skip(f"needs {what}")


class Browser:
    """One page in a browser."""

    def __init__(self, profile: Path) -> None:
        try:
            from selenium import webdriver
        except ImportError:
            _missing("selenium")
        # Both are named, so that selenium does not look for them on the network.
        browser, driver = _found(*BROWSERS), _found("chromedriver")
        if browser is None or driver is None:
            _missing("chromium or chromedriver")
        options = webdriver.ChromeOptions()
        options.binary_location = browser
        for argument in (
            "--headless=new",
            "--no-sandbox",  # a container's root has none
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-sync",
            "--no-first-run",
            f"--user-data-dir={profile}",
            "--window-size=1400,1000",
        ):
            options.add_argument(argument)
        options.set_capability(
            "goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"}
        )
        self.driver = webdriver.Chrome(
            options=options, service=webdriver.ChromeService(driver)
        )

    def open(
        self, path: Path, width: int = 1400, height: int = 1000, dark: bool = False
    ) -> None:
        """Open a report and wait until it says that it is ready."""
        self.log(), self.requests()
        size = {"width": width, "height": height, "deviceScaleFactor": 1}
        self.driver.execute_cdp_cmd(MOVED, {**size, "mobile": width < 600})
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [scheme]}
        )
        self.driver.get(path.as_uri())
        self.wait("return document.documentElement.dataset.ready")

    def js(self, code: str, *arguments: Any) -> Any:
        """Run code in the page."""
        return self.driver.execute_script(code, *arguments)

    def wait(self, code: str, *arguments: Any, seconds: float = 60) -> Any:
        """Wait until code returns something true, and return it."""
        end = time.monotonic() + seconds
        while not (found := self.js(code, *arguments)):
            assert time.monotonic() < end, f"{code} is still {found!r}: {self.log()}"
            time.sleep(0.02)
        return found

    def all(self, selector: str) -> list[Any]:
        return self.driver.find_elements("css selector", selector)

    def texts(self, selector: str) -> list[str]:
        """Text of all elements, as the page has it, seen or not."""
        code = (
            "return [...document.querySelectorAll(arguments[0])]"
            ".map((node) => node.textContent)"
        )
        return self.js(code, selector)

    def click(self, selector: str, which: int = 0) -> None:
        """Click as a person would: it must be there to be hit."""
        element = self.all(selector)[which]
        self.js("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def choose(self, selector: str, value: str) -> None:
        """Choose an option of a select by its value or its text."""
        code = (
            "const [select, value] = arguments;"
            "select.value = [...select.options].find((option) =>"
            "  option.value === value || option.textContent === value).value;"
            "select.dispatchEvent(new Event('change', {bubbles: true}))"
        )
        self.js(code, self.all(selector)[0], value)

    def plot(self, label: str) -> Any:
        """Bring a plot into the window, wait until it is drawn, and return it."""
        code = (
            "const plot = [...document.querySelectorAll('.plot')].find((node) =>"
            "  node.ariaLabel.startsWith(arguments[0]));"
            "plot?.scrollIntoView({block: 'center', behavior: 'instant'});"
            "return plot?.marks ? plot : null"
        )
        return self.wait(code, label)

    def marks(self, label: str) -> Any:
        """Candidates of a plot's marks, with their places in pixels of the plot."""
        code = (
            "const {rows, x, y} = arguments[0].marks;"
            "return rows.map((row, i) => [row, x[i], y[i]])"
        )
        self.settle()
        return self.js(code, self.plot(label))

    def settle(self) -> None:
        """Wait until what was changed has been drawn."""
        self.driver.execute_async_script(
            "const done = arguments[0];"
            "requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done)))"
        )

    def mouse(self, node: Any, *path: tuple[float, float]) -> None:
        """Press the mouse at the first place in an element, release it at the last."""
        left, top = self.js(
            "const box = arguments[0].getBoundingClientRect(); return [box.x, box.y]",
            node,
        )
        places = [(left + x, top + y) for x, y in path]
        steps = [("mouseMoved", places[0]), ("mousePressed", places[0])]
        steps += [("mouseMoved", place) for place in places[1:]]
        for kind, (x, y) in [*steps, ("mouseReleased", places[-1])]:
            event = {"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1}
            self.driver.execute_cdp_cmd("Input.dispatchMouseEvent", event)

    def draw_all(self) -> int:
        """Bring every plot into the window, wait until all are drawn, count them."""
        plots = self.all(".plot")
        for plot in plots:
            self.js("arguments[0].scrollIntoView({behavior: 'instant'})", plot)
            self.wait("return arguments[0].marks !== undefined", plot)
        return len(plots)

    def log(self) -> list[dict[str, Any]]:
        """What the console has said since the last call: warnings, errors."""
        return self.driver.get_log("browser")

    def requests(self) -> list[str]:
        """What pages from files have asked for since the last call.

        The browser's own pages, such as that of a new tab, do not count.
        """
        messages = (
            json.loads(entry["message"])["message"]
            for entry in self.driver.get_log("performance")
        )
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
            and message["params"]["documentURL"].startswith("file:")
        ]
