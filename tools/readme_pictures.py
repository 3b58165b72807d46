"""Make the two pictures of the README from real runs.

    python tools/readme_pictures.py

``docs/_static/resume.svg`` is the output of a search that was killed and started
again, ``docs/_static/readme_report.png`` a report in headless Chromium. Needs ``rich``,
``Pillow`` and Chromium.
"""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from report_picture import BROWSERS, take_picture
from rich.console import Console
from rich.text import Text

STATIC = Path(__file__).resolve().parents[1] / "docs" / "_static"
SEARCH = """\
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from weightsearch import WeightTrackingGridSearchCV

X, y = load_digits(return_X_y=True)
mlp = MLPClassifier(early_stopping=True, random_state=0, max_iter=400)
grid = {
    "mlpclassifier__hidden_layer_sizes": [(32,), (64,)],
    "mlpclassifier__alpha": [1e-4, 1e-2, 1.0, 10.0],
    "mlpclassifier__learning_rate_init": [0.001, 0.01, 0.1],
}
search = WeightTrackingGridSearchCV(
    make_pipeline(StandardScaler(), mlp), grid, cv=5, store="digits.h5", verbose=1
)
search.fit(X, y)
"""
# rich's own format asks another host for a font.
SVG = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" \
xmlns="http://www.w3.org/2000/svg"><style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", \
monospace; font-size: {char_height}px; line-height: {line_height}px; }}
{styles}</style><defs><clipPath id="{unique_id}-clip-terminal">\
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>\
{lines}</defs>{chrome}<g transform="translate({terminal_x}, {terminal_y})" \
clip-path="url(#{unique_id}-clip-terminal)">{backgrounds}\
<g class="{unique_id}-matrix">{matrix}</g></g></svg>
"""


def killed_and_resumed(folder: Path) -> list[tuple[str, str]]:
    """Run the search, kill it, run it twice more; return (style, line) of output."""
    (folder / "search.py").write_text(SEARCH, encoding="utf-8")
    command = [sys.executable, "-u", "-W", "ignore", "search.py"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "88"}
    shown: list[tuple[str, str]] = []
    for attempt in range(3):
        shown.append(("bold", "$ python search.py"))
        with subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            assert process.stdout is not None
            started = time.monotonic()
            for line in process.stdout:
                shown.append(("", line.rstrip().replace(f"{folder}{os.sep}", "")))
                if attempt == 0 and "best" in line and time.monotonic() - started > 8:
                    process.send_signal(signal.SIGKILL)
                    shown += [("red", "Killed")]
                    break
        shown.append(("", ""))
    return shown[:-1]


def write_terminal(lines: list[tuple[str, str]], path: Path) -> None:
    """Write lines as the SVG of a terminal."""
    console = Console(record=True, width=88, file=io.StringIO())
    for style, line in lines:
        console.print(Text(line, style=style))
    svg = console.export_svg(title="", code_format=SVG, unique_id="t")
    path.write_text(svg, encoding="utf-8")


def write_report(folder: Path, path: Path) -> None:
    """Write the first screen of the search's report as a picture."""
    from weightsearch import WeightStore

    with WeightStore(folder / "digits.h5") as store:
        page = store.run().report(folder / "report.html")
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise SystemExit("There is no browser: install Chromium.")
    shot = folder / "report.png"
    take_picture(browser, page, shot)
    with Image.open(shot) as image:
        image.convert("RGB").quantize(128).save(path, optimize=True)


def main() -> None:
    """Make both."""
    with tempfile.TemporaryDirectory() as folder:
        write_terminal(killed_and_resumed(Path(folder)), STATIC / "resume.svg")
        write_report(Path(folder), STATIC / "readme_report.png")


if __name__ == "__main__":
    main()
