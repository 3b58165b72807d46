"""A headless Chromium, and what it has to say of a page."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
MOVED = "Emulation.setDeviceMetricsOverride"


def _found(*names: str) -> str | None:
    return next(filter(None, map(shutil.which, names)), None)


class Browser:
    """One page in a browser."""

    def __init__(self) -> None:
        # Both are named, so that selenium does not look for them on the network.
        browser, driver = _found(*BROWSERS), _found("chromedriver")
        if browser is None or driver is None:
            pytest.skip("needs chromium and chromedriver")
        options = webdriver.ChromeOptions()
        options.binary_location = browser
        for argument in (
            "--headless=new",
            "--no-sandbox",  # a container's root has none
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--window-size=1400,1000",
        ):
            options.add_argument(argument)
        options.set_capability(
            "goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"}
        )
        self.driver = webdriver.Chrome(
            options=options, service=webdriver.ChromeService(driver)
        )

    def open(self, path: Path, width: int = 1400, height: int = 1000) -> None:
        """Open a report and wait until it says that it is ready."""
        self.log(), self.requests()
        size = {"width": width, "height": height, "deviceScaleFactor": 1}
        self.driver.execute_cdp_cmd(MOVED, {**size, "mobile": width < 600})
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
        """Choose an option of a select."""
        code = (
            "const [select, value] = arguments; select.value = value;"
            "select.dispatchEvent(new Event('change', {bubbles: true}));"
            "return select.value"
        )
        assert self.js(code, self.all(selector)[0], value) == value

    def draw_all(self) -> int:
        """Bring every plot into the window, wait until all are drawn, count them."""
        plots = self.all(".plot")
        for i, plot in enumerate(plots):
            self.js("arguments[0].scrollIntoView()", plot)
            self.wait(
                "return document.querySelectorAll('.plot')[arguments[0]]"
                ".querySelector('.main-svg') !== null",
                i,
            )
        return len(plots)

    def log(self) -> list[dict[str, Any]]:
        """What the console has said since the last call: warnings, errors."""
        return self.driver.get_log("browser")

    def requests(self) -> list[str]:
        """What has been asked for since the last call."""
        messages = (
            json.loads(entry["message"])["message"]
            for entry in self.driver.get_log("performance")
        )
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]
