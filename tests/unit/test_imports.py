"""The layering of the package: imports go downwards only, and none is heavy."""

from __future__ import annotations

import ast
import subprocess
import sys
from fnmatch import fnmatchcase
from graphlib import TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "weightsearch"

PARTS = {
    "choosing": {"choose"},
    "exceptions": {"exceptions"},
    "records": {"_copies", "_display", "_rebound", "_records", "_value_types"},
    "compare": {"compare", "compare.*"},
    "frameworks": {"frameworks", "frameworks.*"},
    "identity": {"_identity", "_identity.*"},
    "params": {"_params", "_params.*"},
    "views": {"_views"},
    "store": {"store", "store.*"},
    "reading": {"evaluate", "evaluate.*", "run", "run.*"},
    "hooks": {
        "search._fits",
        "search._grid_check",
        "search._interrupts",
        "search._sklearn",
        "search._sklearn._callbacks",
        "search._sklearn._cluster",
        "search._sklearn._equal",
        "search._sklearn._known",
        "search._sklearn._parallel",
        "search._sklearn._parts",
        "search._sklearn._prefixes",
        "search._sklearn._rows",
        "search._sklearn._scoring",
        "search._sklearn._shared_steps",
        "search._sklearn._step_cache",
        "search._sklearn._twins",
    },
    "recording": {
        "search._earlier",
        "search._progress",
        "search._rebuilding",
        "search._recorder",
        "search._snapshots",
        "search._unseeded",
    },
    "fitting": {
        "search._sklearn._best",
        "search._sklearn._fit",
        "search._sklearn._refit",
    },
    "search": {
        "search",
        "search._constructor",
        "search._grid_search",
        "search._halving_search",
        "search._randomized_search",
        "search._reference",
        "search._tracked",
    },
    "plot": {"plot", "plot.*"},
    "report": {"report", "report.*"},
    "cli": {"__main__", "cli", "cli.*"},
    "names": {"weightsearch"},
}
"""The package's parts, each with its modules."""

LAYERS = (
    {"exceptions"},
    {"records"},
    {"choosing", "compare", "identity", "store", "views"},
    {"frameworks"},
    {"params", "report"},
    {"hooks", "reading"},
    {"recording"},
    {"fitting"},
    {"search"},
    {"plot"},
    {"cli"},
    {"names"},
)
"""Parts from the lowest up. A part imports what is below it, and its own modules."""

WRITING = {"fitting", "hooks", "recording"}
READING = {"compare", "reading", "plot", "report"}
HEAVY = {"keras", "matplotlib", "scikeras", "skorch", "tensorflow", "torch"}


def _part(module: str) -> str:
    """Name the part of a module, ``store`` for ``weightsearch.store._schema``."""
    name = module.removeprefix("weightsearch.")
    parts = [
        part
        for part, patterns in PARTS.items()
        if any(fnmatchcase(name, pattern) for pattern in patterns)
    ]
    assert len(parts) == 1, f"{module} has no place in PARTS, or more than one"
    return parts[0]


def _module_name(path: Path) -> str:
    names = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


def _sources() -> dict[str, str]:
    return {
        _module_name(path): path.read_text(encoding="utf-8")
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def _imported(module: str, source: str, known: set[str]) -> set[str]:
    """Modules of the package that a module imports, anywhere in its code."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            # ``from package import submodule`` imports the submodule.
            submodules = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (submodules & known) or {str(node.module)}
    return {name for name in found if name in known} - {module}


def _graph() -> dict[str, set[str]]:
    sources = _sources()
    known = set(sources)
    return {name: _imported(name, source, known) for name, source in sources.items()}


def _rank(part: str) -> int:
    return next(rank for rank, layer in enumerate(LAYERS) if part in layer)


def test_every_part_has_a_layer():
    """Each part stands in exactly one layer."""
    assert sorted(PARTS) == sorted(part for layer in LAYERS for part in layer)


def test_imports_go_downwards():
    """No module imports another part of its own layer, or one of a higher layer."""
    upward = [
        f"{module} -> {target}"
        for module, targets in _graph().items()
        for target in targets
        if (here := _part(module)) != (there := _part(target))
        and _rank(there) >= _rank(here)
    ]

    assert upward == []


def test_no_import_cycles():
    """Not even two modules of one part import each other."""
    # static_order raises CycleError, which names the cycle.
    order = list(TopologicalSorter(_graph()).static_order())

    assert len(order) == len(_graph())


def test_writing_and_reading_meet_only_in_the_store():
    """The half that fits and the half that reads do not import each other."""
    crossing = [
        f"{module} -> {target}"
        for module, targets in _graph().items()
        for target in targets
        for here, there in ((WRITING, READING), (READING, WRITING))
        if _part(module) in here and _part(target) in there
    ]

    assert crossing == []


def test_import_is_light():
    """Importing all public names loads no framework and no plotting."""
    code = "from weightsearch import *; import sys; print(*sys.modules)"
    output = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout

    loaded = {name.partition(".")[0] for name in output.split()}

    assert {"weightsearch", "sklearn"} <= loaded
    assert loaded & HEAVY == set()


def test_sources_are_found():
    """The tests above look at the package's files, not at an empty folder."""
    assert {"weightsearch", "weightsearch.exceptions", "weightsearch._records"} <= set(
        _graph()
    )


def test_public_names_are_loaded_when_used():
    """Each public name exists, and importing a subpackage does not hide a function."""
    code = (
        "import weightsearch, weightsearch.compare, sys\n"
        "assert 'weightsearch.search' not in sys.modules\n"
        "assert all(hasattr(weightsearch, name) for name in weightsearch.__all__)\n"
        "assert weightsearch.compare({}, {}).empty\n"
        "assert 'Run' in dir(weightsearch) and not hasattr(weightsearch, 'Runn')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
