"""How often candidates of nearly equal score give different answers."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from weightsearch._records import Array

__all__ = ["Agreement", "agreement_of"]


@dataclass(frozen=True)
class Agreement:
    """What near-best candidates agree on, as :meth:`weightsearch.Run.agreement` finds.

    Attributes
    ----------
    candidates : ndarray of shape (n,), int
        The near-best candidates, the best one first.
    ambiguity : float
        Share of rows that get another answer than the best candidate's from at least
        one of them.
    discrepancy : float
        Share of rows that get another answer from the one that differs most.
    pairwise : DataFrame of shape (n, n)
        Share of rows on which two candidates agree.
    ambiguous : ndarray of shape (n_samples,), bool
        The rows that count for the ambiguity; False for rows that no split tested.
    n_samples : int
        Rows that were tested.
    """

    candidates: Array
    ambiguity: float
    discrepancy: float
    pairwise: pd.DataFrame = field(repr=False)
    ambiguous: Array = field(repr=False)
    n_samples: int

    def __str__(self) -> str:
        return (
            f"{len(self.candidates)} near-best candidates: {self.ambiguity:.1%} of "
            f"{self.n_samples} rows get another answer from at least one of them, "
            f"{self.discrepancy:.1%} from the one that differs most"
        )


def agreement_of(
    answers: Array,
    rows: Array,
    n_samples: int,
    candidates: Array,
    *,
    tolerance: float = 0.0,
) -> Agreement:
    """Compare the answers of candidates with those of the first one.

    Parameters
    ----------
    answers : ndarray of shape (n_candidates, n_observations, ...)
        A row that several splits tested is there as often.
    rows : ndarray of shape (n_observations,), int
        The row of each observation.
    n_samples : int
        Number of rows of the data.
    candidates : ndarray of shape (n_candidates,), int
        Their numbers, the best one first.
    tolerance : float, default=0.0
        The largest difference of numbers that is no other answer.

    Returns
    -------
    Agreement

    References
    ----------
    C. Marx, F. Calmon, B. Ustun, Predictive multiplicity in classification, ICML 2020.
    """
    seen = answers.reshape(*answers.shape[:2], -1)
    count = len(candidates)
    pairwise = np.eye(count)
    different = np.zeros(seen.shape[1], dtype=bool)
    most = 0.0
    for one in range(count):
        for other in range(one + 1, count):
            differs = _differ(seen[one], seen[other], tolerance)
            pairwise[one, other] = pairwise[other, one] = 1 - differs.mean()
            if one == 0:
                different |= differs
                most = max(most, float(differs.mean()))
    ambiguous = np.zeros(n_samples, dtype=bool)
    ambiguous[rows[different]] = True
    n_tested = len(np.unique(rows))
    return Agreement(
        candidates=candidates,
        ambiguity=float(ambiguous.sum() / n_tested),
        discrepancy=most,
        pairwise=pd.DataFrame(
            pairwise,
            index=pd.Index(candidates, name="candidate"),
            columns=pd.Index(candidates, name="candidate"),
        ),
        ambiguous=ambiguous,
        n_samples=n_tested,
    )


def _differ(first: Array, second: Array, tolerance: float) -> Array:
    """Rows of which any output differs."""
    if tolerance:
        differs = ~(np.abs(first - second) <= tolerance)
    else:
        differs = first != second
    result: Array = differs.any(axis=1)
    return result
