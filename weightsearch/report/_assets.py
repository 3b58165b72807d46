"""The JavaScript libraries of a page, taken from installed packages."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

__all__ = ["Libraries", "libraries", "page_file"]

SCRIPTS = ("data.js", "table.js", "compare.js", "figures.js", "plots.js", "main.js")
"""The parts of the page's own script, in order."""

_DEFAULT_EXPORT = re.compile(r"export\s*\{[^{}]*?([\w$]+) as default[^{}]*\}\s*;?")


@dataclass(frozen=True)
class Libraries:
    """Third-party scripts and styles, as they are in their packages."""

    plotly: str
    """Sets ``globalThis.Plotly``."""
    datatables: str
    """A module's text; sets ``globalThis.DataTable``."""
    datatables_style: str
    credits: str
    """Names, versions and licences."""


def libraries() -> Libraries:
    """Find plotly.js and DataTables in the installed packages.

    Raises
    ------
    ImportError
        If plotly or itables is not installed, or its files are not found.
    """
    bundle = _read("itables", "html/dt_bundle.js")
    named, count = _DEFAULT_EXPORT.subn(r"globalThis.DataTable = \1;", bundle)
    if count != 1:
        raise ImportError(_wrong("itables", "html/dt_bundle.js"))
    return Libraries(
        plotly=_read("plotly", "package_data/plotly.min.js"),
        datatables=named,
        datatables_style=_read("itables", "html/dt_bundle.css"),
        credits=(
            f"plotly.js (MIT, Plotly, Inc.) from plotly {version('plotly')}; "
            "DataTables with its extensions (MIT, SpryMedia Ltd), jQuery (MIT, OpenJS "
            "Foundation and contributors) and JSZip (MIT, Stuart Knightley and "
            f"contributors) from itables {version('itables')} (MIT, Marc Wouts)."
        ),
    )


def page_file(name: str) -> str:
    """Return the text of one of the page's own files."""
    return _unix(files("weightsearch.report").joinpath("page", name).read_bytes())


def _read(package: str, place: str) -> str:
    # Found, not imported: importing plotly or itables takes longer than reading.
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec is not None else None
    if not folders:
        raise ImportError(
            f"A report needs {package}, which is not installed: "
            "pip install plotly itables",
            name=package,
        )
    path = Path(next(iter(folders)), place)
    if not path.is_file():
        raise ImportError(_wrong(package, place), name=package)
    return _unix(path.read_bytes())


def _wrong(package: str, place: str) -> str:
    return (
        f"{package} {version(package)} does not contain {place} in a known form: "
        "pip install --upgrade plotly itables"
    )


def _unix(content: bytes) -> str:
    # Browsers normalize line ends to \n before they check a script's hash.
    return content.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
