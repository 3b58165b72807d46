"""A torch ``Dataset`` of weights, over what ``Run.zoo`` returns or exports.

The only module of the package that cannot be imported without torch.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch

from weightsearch._records import Array

__all__ = ["ZooDataset"]


class ZooDataset(torch.utils.data.Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Vectors of weights, each with a number to be predicted from it.

    Parameters
    ----------
    source : Zoo or path-like
        What :meth:`weightsearch.Run.zoo` returns, in memory, or a folder that
        :meth:`weightsearch.Run.export_zoo` wrote: weights are then read on access
        from the memory-mapped matrix, which workers of a ``DataLoader`` share.
    subset : {"train", "val", "test"}, default=None
        Which models; None: all.
    target : str, default="cv.mean_test_score"
        A column of numbers of ``table``.

    Attributes
    ----------
    table : DataFrame
        About the models in the subset, see :class:`weightsearch.Zoo`.
    layout : DataFrame
        Which elements of a vector belong to which weight.

    Raises
    ------
    ValueError
        If there is no such subset or column.
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | tuple[Array, pd.DataFrame, pd.DataFrame],
        subset: Literal["train", "val", "test"] | None = None,
        *,
        target: str = "cv.mean_test_score",
    ):
        if isinstance(source, tuple):
            self._weights, self.layout, table = source
        else:
            folder = Path(source)
            self._weights = np.load(folder / "weights.npy", mmap_mode="r")
            self.layout = pd.read_csv(folder / "layout.csv")
            table = pd.read_csv(folder / "metrics.csv.gz")
        if target not in table:
            raise ValueError(
                f"The zoo has no column {target!r}; there are {', '.join(table)}."
            )
        if subset not in (None, "train", "val", "test"):
            raise ValueError(
                f"subset must be 'train', 'val', 'test' or None, got {subset!r}."
            )
        if subset is not None:
            table = table[table["subset"] == subset]
        self.table = table
        self._targets = torch.tensor(
            table[target].to_numpy(np.float64), dtype=torch.float32
        )

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        row = self._weights[self.table.index[index]]
        return torch.tensor(row, dtype=torch.float32), self._targets[index]
