"""The Markdown table of all figures, each held against its target."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["report", "unmeasured"]

Result = Mapping[str, Any]
Targets = Mapping[str, Mapping[str, Mapping[str, float]]]

_TITLES = {
    "store": "Writing",
    "read": "Reading",
    "identity": "Identity",
    "search": "Searching",
    "compare": "Comparing",
    "alternatives": "Searching, beside others",
    "networks": "Networks of skorch and Keras",
    "state": "What makes a model again",
    "kinds": "Kinds of estimators",
    "memory": "Memory",
    "imports": "Importing",
}


def report(results: Sequence[Result], targets: Targets) -> str:
    """Write machine, table and a line of what was not met.

    Parameters
    ----------
    results : sequence of dict
        What the benchmarks wrote as JSON.
    targets : mapping
        The content of ``targets.toml``.
    """
    lines = [*_origin(results), ""]
    lines += [
        "| What | Median | Target | Met | Range | Made of |",
        "|---|---|---|---|---|---|",
    ]
    for result in results:
        name = result["benchmark"]
        lines.append(f"| **{_TITLES.get(name, name)}** | | | | | |")
        lines += [_row(figure, targets) for figure in result["figures"]]
    return "\n".join(lines) + "\n"


def unmeasured(results: Iterable[Result], targets: Targets) -> list[str]:
    """Name the targets that no figure was measured for."""
    wanted = {f"{part}.{key}" for part, keys in targets.items() for key in keys}
    known = {
        _family(figure)
        for result in results
        for figure in result["figures"]
        if figure["values"]
    }
    return sorted(wanted - known)


def _origin(results: Sequence[Result]) -> list[str]:
    """Say what was measured, where, and with what."""
    first = results[0]
    machine, versions = first["machine"], first["versions"]
    size = "Small sizes (`--quick`)" if first["quick"] else "All sizes"
    seconds = sum(result["seconds"] for result in results)
    loads = [
        load
        for result in results
        for load in result["load_average"].values()
        if load is not None
    ]
    load = f"; load average {min(loads)} to {max(loads)}" if loads else ""
    variables = {
        name: value
        for name, value in first["threads"]["variables"].items()
        if value is not None
    }
    set_to = ", ".join(f"{name}={value}" for name, value in variables.items())
    pools = ", ".join(f"{n}: {k}" for n, k in first["threads"]["pools"].items())
    return [
        f"- {size}, {first['repeats']} rounds, {seconds / 60:.0f} minutes{load}",
        f"- {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gb']} GB of memory, files on {machine['file_system']}; "
        f"{machine['system']}",
        "- " + ", ".join(f"{name} {number}" for name, number in versions.items()),
        f"- Threads: {set_to or 'as the libraries choose'} ({pools})",
    ]


def _row(figure: Mapping[str, Any], targets: Targets) -> str:
    values, unit = figure["values"], figure["unit"]
    if not values:
        return f"| {figure['what']} | {figure['note']} | | | | |"
    middle = statistics.median(values)
    target, met = _judge(figure, middle, targets)
    shown = f"{_number(min(values))} to {_number(max(values))}"
    cells = [
        figure["what"],
        _with_unit(middle, unit),
        target,
        met,
        shown,
        _made_of(figure),
    ]
    return "| " + " | ".join(cells) + " |"


def _family(figure: Mapping[str, Any]) -> str:
    """Return the name of a figure's target: the same for ``part.key:kind`` of all."""
    name: str = figure["key"].partition(":")[0]
    return name


def _judge(
    figure: Mapping[str, Any], middle: float, targets: Targets
) -> tuple[str, str]:
    part, key = _family(figure).split(".")
    wanted = targets.get(part, {}).get(key)
    if wanted is None:
        return "", ""
    unit = "" if figure["unit"] == "x" else f" {figure['unit']}"
    if "at_most" in wanted:
        limit = wanted["at_most"]
        text, met = f"at most {limit:g}{unit}", middle <= limit
    else:
        limit = wanted["at_least"]
        text, met = f"at least {limit:g}{unit}", middle >= limit
    if not figure["judged"]:
        return text, "other size"
    return text, "met" if met else "**not met**"


def _made_of(figure: Mapping[str, Any]) -> str:
    if len(figure["series"]) == 1:
        return ""
    unit = figure["series_unit"]
    return "; ".join(
        f"{name} {_with_unit(statistics.median(values), unit)}"
        for name, values in figure["series"].items()
    )


def _with_unit(value: float, unit: str) -> str:
    return _number(value) if unit == "x" else f"{_number(value)} {unit}"


def _number(value: float) -> str:
    """Three digits; four where a ratio is near 1, or a number has them anyway."""
    digits = 4 if 0.9 <= value < 1.1 else 3
    return f"{value:.0f}" if value >= 1000 else f"{value:.{digits}g}"
