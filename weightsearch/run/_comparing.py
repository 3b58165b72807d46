"""Comparing the candidates of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from weightsearch._records import REFIT
from weightsearch.compare import (
    Clustering,
    Method,
    Metric,
    aligned_distances,
    cluster,
    compare,
    stacked_distances,
)
from weightsearch.exceptions import WeightsNotFoundError
from weightsearch.run._architectures import architectures
from weightsearch.run._layers import layer_similarity
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
        """Compare two candidates; see :func:`weightsearch.compare.compare`.

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

    def distances(
        self,
        metric: Metric = "l2",
        *,
        align: bool = False,
        split: int | None = None,
        candidates: Iterable[int] | None = None,
        names: str | Iterable[str] | None = None,
    ) -> pd.DataFrame:
        """Distances between all pairs of candidates.

        A candidate is taken as one long vector of all its weights.

        Parameters
        ----------
        metric : {"l2", "relative", "cosine"}, default="l2"
            See :func:`weightsearch.compare.pairwise_distances`.
        align : bool, default=False
            Whether the hidden units of each pair are matched first, so that their
            order does not count: the later candidate to the earlier one, as
            ``run.compare(earlier, later, align=True)`` does. Each pair is matched by
            itself, some milliseconds each for small networks: 100 candidates take
            seconds, 1,000 take hundred times as long.
        split : int, default=None
            The split whose models are meant; None: the refits.
        candidates : iterable of int, default=None
            Which candidates are meant, such as ``run.query(...).index``; None: all
            that have weights.
        names : str or iterable of str, default=None
            Weights that count. None: all that are real or complex numbers, so no
            labels, counts and node numbers, and no parts of sparse matrices.

        Returns
        -------
        distances : DataFrame
            Square and symmetric; index and columns are the candidates' numbers.
            NaN between candidates whose weights differ in names or shapes, and for
            weights with NaN or infinite elements.

        Raises
        ------
        WeightsNotFoundError
            If no candidate has such weights, or one that was named has none.
        AlignmentError
            With ``align=True``, if the units of these models cannot be matched.

        Notes
        -----
        Reads one stack a weight, in parts where that takes more than 400 MiB; see
        :func:`weightsearch.compare.stacked_distances`. The result itself takes 8 bytes
        a pair. Distances are right to 4 digits or better for weights in float32, to 7
        in float64, and exactly 0 for equal weights.
        """
        rows = self._rows_with_weights(split, candidates)
        wanted = {names} if isinstance(names, str) else names
        numbers = pd.Index(list(rows), name="candidate", dtype=np.int64)
        found = np.full((len(rows), len(rows)), np.nan)
        np.fill_diagonal(found, 0.0)
        groups = architectures(
            self._source, rows, None if wanted is None else frozenset(wanted)
        )
        for group in groups:
            count, places = len(group.rows), np.ix_(group.positions, group.positions)
            if align:
                part = aligned_distances(group.names, count, group.read_all, metric)
            else:
                part = stacked_distances(group.names, count, group.read, metric)
            if len(groups) == 1 and count == len(rows):
                found = part
            else:
                found[places] = part
        return pd.DataFrame(found, numbers, numbers.rename(None))

    def cluster(
        self,
        metric: Metric = "l2",
        *,
        method: Method = "average",
        align: bool = False,
        split: int | None = None,
        candidates: Iterable[int] | None = None,
        names: str | Iterable[str] | None = None,
    ) -> Clustering:
        """Cluster the candidates by their distances.

        Candidates of different architectures have no distance: each architecture is
        clustered by itself, and all are joined at the top.

        Parameters
        ----------
        metric, align, split, candidates, names
            As for :meth:`distances`.
        method : {"average", "complete", "single", "weighted", "ward"}, \
default="average"
            How far apart two clusters are; see :func:`weightsearch.compare.cluster`.
            ``"ward"`` is defined for Euclidean distances: for ``metric="l2"`` without
            `align`.

        Returns
        -------
        clustering : Clustering
            With ``linkage``, ``candidates``, ``distances``, and ``labels(n_clusters)``.

        Raises
        ------
        ValueError
            An unknown metric or method, or ``"ward"`` where it has no meaning.
        """
        if method == "ward" and (metric != "l2" or align):
            raise ValueError(
                "method='ward' needs Euclidean distances: metric='l2' and align=False. "
                "Use method='average'."
            )
        distances = self.distances(
            metric, align=align, split=split, candidates=candidates, names=names
        )
        return cluster(distances, method)

    def similarity(
        self,
        X: ArrayLike,
        *,
        layer: int | str = -1,
        activation: str | None = None,
        split: int | None = None,
        candidates: Iterable[int] | None = None,
    ) -> pd.DataFrame:
        """Similarity of what a hidden layer of each candidate makes of data.

        Linear CKA, which compares layers of any width and does not see the order of
        units; see :func:`weightsearch.compare.linear_cka`. For scikit-learn's MLPs,
        whose weights tell all that is computed.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data as the MLP itself gets it, after the steps of a pipeline before it.
            More samples than units; some hundreds are enough.
        layer : int or str, default=-1
            A hidden layer: 0 is the first, -1 the last, or the name of its incoming
            weights, such as ``"coefs_/0"``.
        activation : {"identity", "logistic", "tanh", "relu"}, default=None
            None: the candidate's own, from its params or the estimator's.
        split : int, default=None
            The split whose models are meant; None: the refits.
        candidates : iterable of int, default=None
            Which candidates are meant; None: all that have weights.

        Returns
        -------
        similarity : DataFrame
            Square and symmetric, from 0 to 1; index and columns are the candidates'
            numbers. NaN for candidates without such a layer.

        Raises
        ------
        ValueError
            If a candidate is no MLP of scikit-learn, if X does not fit, or the
            activation cannot be told.
        """
        rows = self._rows_with_weights(split, candidates)
        found = layer_similarity(
            [self.weights(number, split).to_dict() for number in rows],
            [self._keys[number] for number in rows],
            self.estimator,
            X,
            layer,
            activation,
        )
        numbers = pd.Index(list(rows), name="candidate", dtype=np.int64)
        return pd.DataFrame(found, numbers, numbers.rename(None))

    def _rows_with_weights(
        self, split: int | None, candidates: Iterable[int] | None = None
    ) -> dict[int, int]:
        """Row of each candidate, of all or of those that are named."""
        wanted = REFIT if split is None else split
        named: Sequence[int] = range(len(self))
        if candidates is not None:
            named = list(dict.fromkeys(self._number(one) for one in candidates))
        rows: dict[int, int] = {}
        for number in named:
            row = self._row(number, wanted)
            if row is not None and self._table.has_weights[row]:
                rows[number] = row
            elif candidates is not None:
                raise WeightsNotFoundError(self._why_missing(number, split))
        if not rows:
            raise WeightsNotFoundError(
                f"No candidate of run {self.name} has weights of "
                f"{'its refit' if split is None else f'split {split}'}: the search ran "
                f"with capture={self.settings.get('capture')!r}, "
                f"refit={self.settings.get('refit')!r}."
            )
        return rows
