"""Make the documentation's picture of a report, where there is a browser.

``python tools/report_picture.py docs/_static/report.png``
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from weightsearch import WeightTrackingGridSearchCV

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SIZE = "1400,1780"


def write_report(folder: Path) -> Path:
    """Search networks on digits, and return the search's report."""
    X, y = load_digits(return_X_y=True)
    model = make_pipeline(StandardScaler(), MLPClassifier(max_iter=30, random_state=0))
    grid = {
        "mlpclassifier__alpha": [1e-4, 1e-2, 1.0, 10.0],
        "mlpclassifier__activation": ["relu", "tanh"],
        "mlpclassifier__hidden_layer_sizes": [(10,), (20,), (20, 10)],
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = WeightTrackingGridSearchCV(
            model, grid, cv=5, store=folder / "search.h5"
        ).fit(X[:500], y[:500])
    return search.run_.report(folder / "report.html")


def take_picture(browser: str, page: Path, picture: Path) -> None:
    """Write a PNG of a page as a browser shows it."""
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                *(browser, "--headless=new", "--no-sandbox", "--disable-gpu"),
                *("--disable-background-networking", "--disable-sync"),
                *("--no-first-run", "--hide-scrollbars", f"--user-data-dir={profile}"),
                *("--virtual-time-budget=5000", f"--window-size={SIZE}"),
                *(f"--screenshot={picture}", page.as_uri()),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )


def main() -> None:
    """Make the picture, or remove an old one where there is no browser."""
    picture = Path(sys.argv[1]).resolve()
    picture.unlink(missing_ok=True)
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print("No picture of a report: there is no browser.")
        return
    with tempfile.TemporaryDirectory() as folder:
        take_picture(browser, write_report(Path(folder)), picture)
    if not picture.exists():
        sys.exit(f"{browser} has not made {picture}.")


if __name__ == "__main__":
    main()
