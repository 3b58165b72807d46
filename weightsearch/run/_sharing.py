"""Handing a run on to people who have no Python at hand."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weightsearch._records import REFIT, Array
from weightsearch.exceptions import WeightsNotFoundError
from weightsearch.run._architectures import architectures
from weightsearch.run._candidates import main_column, param_columns
from weightsearch.run._describing import DescribedRun
from weightsearch.run._mlflow import log_run

if TYPE_CHECKING:
    from weightsearch.report import ReportContents, WeightGroup

__all__ = ["SharedRun"]

_SHOWN = ("search", "scoring", "cv", "n_splits", "capture", "keep", "refit")
_DIGITS = 5


class SharedRun(DescribedRun):
    """A run that can be written down for others."""

    def log_to_mlflow(
        self,
        experiment: str | None = None,
        *,
        candidates: Iterable[int] | None = None,
        artifacts: bool = False,
        tracking_uri: str | None = None,
    ) -> str:
        """Log the run to MLflow: a run for the search, a nested one a candidate.

        Logging again adds what is missing and changes nothing that is there. Scores
        that are nan are left out, since MLflow's searches would take them for 0.

        Parameters
        ----------
        experiment : str, default=None
            Name of the experiment, made if it is not there. None: the one that
            ``mlflow.set_experiment`` or the environment has chosen.
        candidates : iterable of int, default=None
            Numbers of the candidates, ``run.query(...).index`` for one; None: all.
        artifacts : bool, default=False
            Whether each candidate's weights go with it, as ``weights.npz``.
        tracking_uri : str, default=None
            Where MLflow keeps its runs; None: what MLflow itself is set to.

        Returns
        -------
        run_id : str
            MLflow's id of the parent run.

        Raises
        ------
        ImportError
            If MLflow is not installed.
        WeightSearchError
            If the run is still being fitted.
        WeightsNotFoundError
            If there is no such candidate.
        """
        return log_run(
            self,
            experiment,
            candidates=candidates,
            artifacts=artifacts,
            tracking_uri=tracking_uri,
        )

    def report(self, path: str | os.PathLike[str], *, title: str | None = None) -> Path:
        """Write the run as one HTML file that needs nothing but a browser.

        It holds the table of candidates (sorted and filtered by a click), the
        search's settings, plots, and what it takes to compare any two candidates.
        Nothing is fetched when it is opened. It shows the refits' weights; where fewer
        than two were kept, those of a split.

        Parameters
        ----------
        path : path-like
            A file that is there already is replaced.
        title : str, default=None
            The page's title; None: the estimator's name.

        Returns
        -------
        path : Path
            Where the report is.

        Raises
        ------
        ImportError
            Without plotly and itables: ``pip install 'weightsearch[report]'``.
        StoreWriteError
            If the file cannot be written.

        Notes
        -----
        The file takes 6 MB for its libraries and 14 MB at most. Weights of up to 1,000
        candidates are in it, the best ones; what is left out is named in the page.
        Every array is read once or twice.
        """
        # Loaded when a report is asked for.
        from weightsearch.report import write_report

        return write_report(path, self._report_contents(title))

    def _report_contents(self, title: str | None) -> ReportContents:
        from weightsearch.report import ReportContents

        name = str(self.estimator.get("class", "")).rpartition(".")[2] or "Estimator"
        split, groups = self._report_weights()
        notes = []
        if self.status != "complete":
            notes.append(
                f"The run is {self.status}: this is what had finished when the report "
                "was made."
            )
        if split is None:
            notes.append("This run holds no weights.")
        elif split != REFIT:
            notes.append(
                f"The weights are those of split {split}, fitted on a part of the "
                "data, since fewer than two candidates have a refit here."
            )
        frame, score = self.candidates, self._main_column("mean_test_")
        order = self._main_column("rank_test_") or score
        if order is not None:
            frame = frame.sort_values(order, ascending=order != score, kind="stable")
        return ReportContents(
            title=title if title is not None else f"{name}: a search and its weights",
            subtitle=f"Run {self.name}, {len(self)} candidates, {self.status}",
            facts=self._report_facts(name),
            candidates=frame,
            params=self._report_params(),
            score=score,
            best=self.best_index,
            weights=groups,
            notes=notes,
        )

    def _report_facts(self, name: str) -> dict[str, dict[str, Any]]:
        facts: dict[str, Any] = {"estimator": name, "candidates": str(len(self))}
        settings = dict(self.settings)
        facts |= {key: settings.pop(key) for key in _SHOWN if key in settings}
        facts |= {"status": self.status, "started": self.started[:19].replace("T", " ")}
        best: dict[str, Any] = {}
        if self.best_index is not None:
            row = self.candidates.loc[self.best_index]
            best = {"candidate": str(self.best_index)}
            best |= {
                str(column): f"{value:.{_DIGITS}g}"
                if isinstance(value, float)
                else value
                for column, value in row.items()
                if column in self._report_params()
                or str(column).startswith(("mean_test_", "std_test_"))
            }
        now = datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
        return {
            "Search": facts,
            "The best candidate": best,
            "Params of the estimator before the search": dict(
                self.estimator.get("params", {})
            ),
            "More of the search": {**settings, "uid": self.uid, "report made": now},
            "Versions": dict(self.environment),
        }

    def _main_column(self, prefix: str) -> str | None:
        return main_column(prefix, self.candidates.columns, self.settings)

    def _report_params(self) -> list[str]:
        """Columns of the table of candidates that are params."""
        taken = {*self._source.cv_results(), "status"}
        return [str(c.name) for c in param_columns(self._keys, taken).values()]

    def _report_split(self) -> int | None:
        """The refits, or the fullest split where fewer than two were refit."""
        table = self._table
        counts: Counter[int] = Counter(table.split[table.has_weights].tolist())
        refits = counts.pop(REFIT, 0)
        if refits > 1 or not counts:
            return REFIT if refits else None
        return min(counts, key=lambda split: (-counts[split], split))

    def _report_weights(self) -> tuple[int | None, list[WeightGroup]]:
        """The split whose weights are shown, and these weights."""
        from weightsearch.report import WeightGroup

        split = self._report_split()
        if split is None:
            return None, []
        shown = None if split == REFIT else split
        try:
            found = architectures(self._source, self._rows_with_weights(shown), None)
        except WeightsNotFoundError:
            found = []  # There are weights, but none of numbers.
        measured = {name for architecture in found for name in architecture.names}
        members: dict[tuple[str, tuple[int, ...], str], dict[int, int]] = {}
        for candidate in range(len(self)):
            row = self._row(candidate, split)
            specs = None if row is None else self._source.specs(row)
            if row is None or specs is None:
                continue
            for spec in specs.arrays:
                key = (spec.name, spec.shape, spec.dtype)
                members.setdefault(key, {})[candidate] = row
        # In the model's order of names, whichever architecture has them first.
        order = {name: i for i, name in enumerate(dict.fromkeys(k[0] for k in members))}
        by_name = sorted(members.items(), key=lambda item: order[item[0][0]])
        return split, [
            WeightGroup(
                name, shape, tuple(rows), self._reader(name, rows), name in measured
            )
            for (name, shape, _), rows in by_name
        ]

    def _reader(
        self, name: str, rows: dict[int, int]
    ) -> Callable[[Sequence[int]], Array]:
        source = self._source
        return lambda candidates: source.stack(name, [rows[c] for c in candidates])
