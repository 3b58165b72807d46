"""Contents of reports for tests: made by hand, of any size."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from weightsearch._records import Array
from weightsearch.report import ReportContents, WeightGroup

HOSTILE = (
    "<script>globalThis.hurt=1</script>",
    '"><img src=x onerror="globalThis.hurt=1">',
    "'; globalThis.hurt=1; //",
    "</script><svg onload=globalThis.hurt=1>",
    "<!--<script>",
    '<a href="javascript:globalThis.hurt=1">click</a>',
    "&lt;b&gt; ${globalThis.hurt=1} {{7*7}} %{x} \u2028\u2029 \ud800",
)
"""Texts that would do something in a page that takes them for markup or code."""


def payload_of(page: str | Path) -> dict[str, Any]:
    """Decode what a page embeds."""
    text = page.read_text(encoding="utf-8") if isinstance(page, Path) else page
    found = re.search(r'id="payload">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    payload: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(found[1])))
    return payload


def unpacked(packed: Sequence[str]) -> Array:
    """Decode an array of a page."""
    dtype, text = packed
    return np.frombuffer(base64.b64decode(text), np.dtype(dtype).newbyteorder("<"))


def group(name: str, stack: Array, candidates: Sequence[int] | None = None) -> Any:
    """Give a weight of some candidates, the first ones if none are named."""
    numbers = tuple(range(len(stack)) if candidates is None else candidates)
    place = {number: i for i, number in enumerate(numbers)}
    return WeightGroup(
        name, stack.shape[1:], numbers, lambda some: stack[[place[c] for c in some]]
    )


@dataclass
class SamplePath(Mapping[str, Array]):
    """A trajectory made by hand."""

    arrays: Mapping[str, Array]
    metrics: pd.DataFrame

    @property
    def epochs(self) -> Array:
        return self.metrics.index.to_numpy()

    def thinned(self, n: int) -> SamplePath:
        places = np.unique(np.linspace(0, len(self.metrics) - 1, n).astype(int))
        arrays = {name: values[places] for name, values in self.arrays.items()}
        return SamplePath(arrays, self.metrics.iloc[places])

    def __getitem__(self, name: str) -> Array:
        return self.arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)


def path(array: Array, *metrics: str, name: str = "coef_") -> SamplePath:
    """Give a trajectory of one weight, with metrics that fall from 1."""
    index = pd.Index(np.arange(len(array)), name="epoch")
    falling = 1 / (1 + np.arange(len(array)))
    return SamplePath(
        {name: array}, pd.DataFrame(dict.fromkeys(metrics, falling), index)
    )


def contents(
    weights: Mapping[str, Array] | None = None, n: int = 4, **changes: Any
) -> ReportContents:
    """Give a report's contents, candidates from best to worst."""
    frame = pd.DataFrame(
        {
            "alpha": np.logspace(-3, 0, n),
            "kind": ["relu" if i % 2 else "tanh" for i in range(n)],
            "mean_test_score": np.linspace(0.9, 0.5, n),
            "rank_test_score": np.arange(1, n + 1),
            "status": "ok",
        }
    )
    return ReportContents(
        **{
            "title": "A search",
            "subtitle": "of a sample",
            "facts": {"Search": {"cv": "3"}, "Versions": {"numpy": "2"}},
            "candidates": frame,
            "params": ["alpha", "kind"],
            "score": "mean_test_score",
            "best": 0,
            "weights": [group(name, stack) for name, stack in (weights or {}).items()],
            **changes,
        }
    )


def hostile_contents(n: int = 6) -> ReportContents:
    """Give contents in which every text is hostile."""
    rng = np.random.default_rng(0)
    texts = [HOSTILE[i % len(HOSTILE)] for i in range(n)]
    frame = pd.DataFrame(
        {
            **{f"{i}{text}": [*texts[i:], *texts[:i]] for i, text in enumerate(texts)},
            "mean_test_" + HOSTILE[0]: rng.random(n),
            "rank_test_" + HOSTILE[1]: np.arange(1, n + 1),
            "status": texts,
        }
    )
    return ReportContents(
        title=" ".join(HOSTILE),
        subtitle=" ".join(HOSTILE),
        facts={text: {other: other for other in HOSTILE} for text in HOSTILE},
        candidates=frame,
        params=[str(column) for column in frame.columns[:n]],
        score="mean_test_" + HOSTILE[0],
        best=0,
        weights=[group(text, rng.normal(size=(n, 3, 2))) for text in HOSTILE],
        trajectory=lambda candidate: path(rng.normal(size=(5, 3, 2)), *HOSTILE),
        notes=HOSTILE,
    )
