"""Stores that no search would write, for what shows them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
from store_memory import MemoryRun, complete, refit, write

from weightsearch import Weights

ESCAPE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e"
"""Sets a terminal's title, clears it, colours it, and turns the direction."""

MARKUP = "[bold red]x[/bold red]<script>alert(1)</script>[link=http://x]"
"""Markup of rich, and of HTML."""

NASTY = ESCAPE + MARKUP + "\r\n\ud800"


def hostile_store(path: Path) -> Path:
    """A store with an attack in every text that it has."""
    name = f"w{ESCAPE}{MARKUP}"
    weights = Weights({name: np.arange(6.0).reshape(2, 3), "b": np.ones(2)})
    params = [
        json.dumps({f"p{NASTY}": NASTY, "n": n, "object": {"$object": OBJECT}})
        for n in range(4)
    ]
    run = MemoryRun([refit(n, weights) for n in range(4)], params=params)
    run.header = dataclasses.replace(
        run.header,
        estimator={"class": f"a.{ESCAPE}{MARKUP}", "params": NASTY[:-1]},
        settings={"search": f"{ESCAPE}{MARKUP}", "refit": True},
    )
    return write(path, complete(run))


OBJECT = {"class": f"m.{NASTY}", "repr": NASTY, "digest": "0" * 32}


def large_run(count: int) -> MemoryRun:
    """A run of many candidates with long names and long values."""
    rng = np.random.default_rng(0)
    weights = Weights({f"{'w' * 500}{n}": rng.normal(size=3) for n in range(300)})
    value = "v" * 1000
    params = [
        json.dumps({f"{'p' * 500}{k}": f"{value}{n}" for k in range(30)})
        for n in range(count)
    ]
    return MemoryRun([refit(n, weights) for n in range(count)], params=params)
