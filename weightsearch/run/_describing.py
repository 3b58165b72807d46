"""Statistics of the candidates' weights, and what moves them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import pandas as pd

from weightsearch._display import distinct
from weightsearch.compare import (
    STATISTICS,
    score_correlation,
    statistics_of,
    variance_explained,
)
from weightsearch.exceptions import QueryError
from weightsearch.run._candidates import main_column, param_columns
from weightsearch.run._comparing import ComparedRun

__all__ = ["DescribedRun"]

_OWN = ("candidate", "name", "shape", "count", *STATISTICS, "stat", "value")


class DescribedRun(ComparedRun):
    """A run whose weights can be described by numbers."""

    def stats(self, split: int | None = None) -> pd.DataFrame:
        """Statistics of every weight of every candidate, in long form.

        Parameters
        ----------
        split : int, default=None
            The split whose models are meant; None: the refits.

        Returns
        -------
        stats : DataFrame
            One row a candidate and weight: ``candidate``, the params under their own
            names (``param_<name>`` where another column has that name), ``name`` of
            the weight, and the columns of :func:`weightsearch.compare.weight_stats`.
            Ready for ``groupby``; scores come in by ``stats.join(run.candidates[[
            "mean_test_score"]], on="candidate")``.

        Raises
        ------
        WeightsNotFoundError
            If no candidate has weights.
        """
        rows = self._rows_with_weights(split)
        numbers: list[int] = []
        found = []
        for number, row in rows.items():
            # One candidate's weights at a time.
            for name, weight in self._source.read_all(row).items():
                numbers.append(number)
                found.append({"name": name, **statistics_of(name, weight)})
        frame = pd.DataFrame(found, columns=["name", "shape", "count", *STATISTICS])
        for statistic in STATISTICS:
            frame[statistic] = frame[statistic].astype(float)
        columns = {
            str(column.name): column.take(numbers).reset_index(drop=True)
            for column in param_columns(self._keys, _OWN).values()
        }
        params = pd.DataFrame({"candidate": numbers, **columns}, index=frame.index)
        return pd.concat([params, frame], axis=1)

    def variance_explained(
        self,
        statistic: str | Iterable[str] | None = None,
        params: str | Iterable[str] | None = None,
        *,
        split: int | None = None,
    ) -> pd.DataFrame:
        """Share of the variance of each weight statistic that each param explains.

        Parameters
        ----------
        statistic : str or iterable of str, default=None
            Columns of :func:`weightsearch.compare.weight_stats`; None: all.
        params : str or iterable of str, default=None
            Params by their own names; None: all that vary among the candidates.
        split : int, default=None
            The split whose models are meant; None: the refits.

        Returns
        -------
        explained : DataFrame
            A row a weight (``name``), statistic (``stat``) and param; see
            :func:`weightsearch.compare.variance_explained`. Read ``note`` first: it
            says where the grid is too small to say anything.

        Raises
        ------
        QueryError
            If there is no such statistic or param, or no param varies.
        """
        columns = param_columns(self._keys, _OWN)
        if params is None:
            varying = [
                name
                for name, column in columns.items()
                if len(set(map(distinct, column))) > 1
            ]
        else:
            varying = _known(params, list(columns), "param")
        if not varying:
            raise QueryError(
                f"No param varies among the {len(self)} candidates, so none explains "
                "anything."
            )
        own = {str(columns[name].name): name for name in varying}
        melted = self._melted(statistic, list(own), split)
        explained = variance_explained(melted, list(own))
        # The pure function knows params by their columns.
        explained["param"] = explained["param"].map(own)
        for column, name in own.items():
            if column != name:
                explained["note"] = explained["note"].str.replace(
                    column, name, regex=False
                )
        return explained

    def score_correlation(
        self,
        statistic: str | Iterable[str] | None = None,
        score: str | None = None,
        *,
        split: int | None = None,
    ) -> pd.DataFrame:
        """Rank correlation of each weight statistic with a score.

        Parameters
        ----------
        statistic : str or iterable of str, default=None
            Columns of :func:`weightsearch.compare.weight_stats`; None: all.
        score : str, default=None
            A column of :attr:`candidates`; None: the mean test score, of the metric
            that the search refits by.
        split : int, default=None
            The split whose models are meant; None: the refits.

        Returns
        -------
        correlation : DataFrame
            A row a weight and statistic; see
            :func:`weightsearch.compare.score_correlation`. Read ``note`` first.

        Raises
        ------
        QueryError
            If there is no such statistic or score.
        """
        frame = self.candidates
        if score is None:
            score = main_column("mean_test_", frame.columns, self.settings)
        numeric = frame.select_dtypes("number")
        (score,) = _known(score or "mean_test_score", list(numeric.columns), "score")
        melted = self._melted(statistic, [], split)
        scores = numeric[score].astype(float)
        melted["score"] = scores.to_numpy()[melted["candidate"]]
        return score_correlation(melted, "score")

    def _melted(
        self,
        statistic: str | Iterable[str] | None,
        params: list[str],
        split: int | None,
    ) -> pd.DataFrame:
        """One row a candidate, weight and statistic."""
        chosen = list(STATISTICS)
        if statistic is not None:
            chosen = _known(statistic, chosen, "statistic")
        return self.stats(split).melt(
            ["candidate", "name", *params], chosen, "stat", "value"
        )


def _known(wanted: str | Iterable[str], known: list[str], what: str) -> list[str]:
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=3)
            hint = f"Did you mean {' or '.join(close)}?" if close else ""
            hint = hint or f"There are {', '.join(known) or 'none'}."
            raise QueryError(f"There is no {what} {name!r}. {hint}")
    return names
