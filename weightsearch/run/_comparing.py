"""Comparing the candidates of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from weightsearch.compare import compare
from weightsearch.run._stored import StoredRun

__all__ = ["ComparedRun"]


class ComparedRun(StoredRun):
    """A run whose candidates can be compared with one another."""

    def compare(
        self,
        a: int | Mapping[str, Any],
        b: int | Mapping[str, Any],
        *,
        split: int | None = None,
        align: bool = False,
    ) -> pd.DataFrame:
        """Compare the weights of two candidates; see :func:`weightsearch.compare`.

        Parameters
        ----------
        a, b : int or dict
            Candidates, by number or params.
        split : int, default=None
            The split whose models are meant; None: the refits.
        align : bool, default=False
            Whether the hidden units of `b` are brought into the order of those of
            `a` first.

        Returns
        -------
        comparison : DataFrame
            A row a weight.
        """
        first, second = self.weights(a, split), self.weights(b, split)
        return compare(first.to_dict(), second.to_dict(), align=align)
