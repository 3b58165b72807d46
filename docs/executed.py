"""Sphinx extension: run the Python blocks of pages; show what they print and draw.

``executed_pages`` in ``conf.py`` names the pages. A page's blocks share a namespace and
a folder, as in ``tests/unit/test_readme.py``. Under a block stand what it prints, the
value of its last expression, and its figures.
"""

import ast
import contextlib
import importlib.util
import io
import re
import sys
import tempfile
import warnings
from pathlib import Path

from sphinx.errors import ExtensionError

BLOCK = re.compile(
    r"^(?:<!-- needs: ([\w ]+) -->\n)?```python\n(.*?)^```$", re.DOTALL | re.MULTILINE
)
FOLDER = "gallery/executed"


def shown(value):
    """Return the text of a block's last value; empty for pictures and models."""
    from sklearn.base import BaseEstimator

    from weightsearch.plot._base import Display

    if value is None or isinstance(value, BaseEstimator | Display):
        return ""
    return "" if type(value).__module__.startswith("matplotlib") else f"{value!r}\n"


def run(code, namespace):
    """Run a block; return what it prints, and its last value as text."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(tree, "<page>", "exec"), namespace)
        if last is not None:
            expression = compile(ast.Expression(last.value), "<page>", "eval")
            sys.stdout.write(shown(eval(expression, namespace)))
    return printed.getvalue().rstrip()


def execute(app, docname, source):
    """Add output and figures to a page's blocks."""
    if docname not in app.config.executed_pages:
        return
    import matplotlib as mpl
    import pandas as pd

    mpl.use("agg")
    import matplotlib.pyplot as plt

    pictures = Path(app.srcdir, FOLDER)
    pictures.mkdir(parents=True, exist_ok=True)
    namespace = {"__name__": "__main__"}
    count = 0

    def with_output(match):
        nonlocal count
        needs, code = match.groups()
        if not all(map(importlib.util.find_spec, (needs or "").split())):
            return match[0]
        try:
            output = run(code, namespace)
        except Exception as error:
            raise ExtensionError(f"{docname}: {error!r} in\n{code}") from error
        text = match[0]
        if output:
            text += f"\n\n```{{code-block}} text\n:class: output\n\n{output}\n```\n"
        for number in plt.get_fignums():
            count += 1
            name = f"{docname}-{count}.png"
            plt.figure(number).savefig(pictures / name, dpi=100)
            text += f"\n\n![What the code above draws]({FOLDER}/{name})\n"
        plt.close("all")
        return text

    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
        pd.option_context("display.width", 88, "display.max_columns", 8),
    ):
        source[0] = BLOCK.sub(with_output, source[0])


def setup(app):
    """Connect the extension."""
    app.add_config_value("executed_pages", set(), "env", types=[set])
    # Before conf.py's own changes to pages.
    app.connect("source-read", execute, priority=400)
    return {"parallel_read_safe": False}
