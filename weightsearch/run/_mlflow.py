"""A run as MLflow has it: a parent run for the search, a nested one a candidate."""

from __future__ import annotations

import json
import math
import re
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from weightsearch.exceptions import WeightSearchError, WeightsNotFoundError
from weightsearch.run._stored import StoredRun

__all__ = ["log_run"]

_TAG = "weightsearch."
_PARENT = "mlflow.parentRunId"
_ARTIFACT = "weights.npz"

_STATUS = {"complete": "FINISHED", "interrupted": "KILLED"}
"""Status of a run -> what MLflow calls it."""


def log_run(
    run: StoredRun,
    experiment: str | None = None,
    *,
    candidates: Iterable[int] | None = None,
    artifacts: bool = False,
    tracking_uri: str | None = None,
) -> str:
    """Log a run and its candidates to MLflow; see ``Run.log_to_mlflow``.

    Parameters
    ----------
    run : StoredRun
    experiment : str, default=None
        Name of the experiment, made if it is not there. None: the one that
        ``mlflow.set_experiment`` or the environment has chosen.
    candidates : iterable of int, default=None
        Numbers of the candidates to log; None: all.
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
    try:
        from mlflow import MlflowClient
    except ImportError as error:
        raise ImportError(
            'Logging needs MLflow: pip install "weightsearch[mlflow]".'
        ) from error
    if run.status not in _STATUS:
        raise WeightSearchError(
            f"Run {run.name} is {run.status}: log it when its fit has ended."
        )
    wanted = range(len(run)) if candidates is None else [int(c) for c in candidates]
    unknown = [number for number in wanted if not 0 <= number < len(run)]
    if unknown:
        raise WeightsNotFoundError(
            f"Run {run.name} has no candidate {unknown[0]}: they are numbered from 0 "
            f"to {len(run) - 1}."
        )
    client = MlflowClient(tracking_uri)
    return _Logger(client, _experiment_id(client, experiment), run).log(
        wanted, artifacts
    )


class _Logger:
    """Writes one run into one experiment; what is there already stays as it is."""

    def __init__(self, client: Any, experiment_id: str, run: StoredRun):
        self._client = client
        self._experiment_id = experiment_id
        self._run = run
        self._frame = run.candidates
        names = {name for number in range(len(run)) for name in run.params(number)}
        params = {f"param_{n}" if f"param_{n}" in self._frame else n for n in names}
        numeric = self._frame.select_dtypes("number")
        self._metrics = [column for column in numeric if column not in params]
        self._started = _milliseconds(run.started)
        header = run._source.header
        self._finished = _milliseconds(header.finished or header.started)
        self._tags = {
            f"{_TAG}run_uid": run.uid,
            f"{_TAG}run": run.name,
            f"{_TAG}store": str(getattr(run._source, "path", "")),
        }

    def log(self, wanted: Iterable[int], artifacts: bool) -> str:
        parent = self._parent()
        logged = self._logged(parent)
        for number in wanted:
            if number not in logged:
                logged[number] = self._candidate(parent, number), False
            run_id, has_weights = logged[number]
            if artifacts and not has_weights:
                self._artifact(run_id, number)
        return parent

    def _find(self, tag: str, value: str) -> Iterator[Any]:
        """All runs of the experiment that have a tag."""
        condition = f"tags.`{tag}` = '{value}'"
        token = None
        while True:
            page = self._client.search_runs(
                [self._experiment_id], condition, max_results=1000, page_token=token
            )
            for found in page:
                if found.info.status == "RUNNING":
                    # A crash has left it half done: it is written once more.
                    self._client.delete_run(found.info.run_id)
                else:
                    yield found
            token = page.token
            if not token:
                return

    def _logged(self, parent: str) -> dict[int, tuple[str, bool]]:
        """Id of every candidate's run, and whether it has its weights."""
        return {
            int(found.data.tags[f"{_TAG}candidate"]): (
                found.info.run_id,
                f"{_TAG}weights" in found.data.tags,
            )
            for found in self._find(_PARENT, parent)
        }

    def _parent(self) -> str:
        for found in self._find(f"{_TAG}run_uid", self._run.uid):
            if _PARENT not in found.data.tags:
                return str(found.info.run_id)
        run = self._run
        name = str(run.estimator.get("class", "")).rpartition(".")[2]
        tags = {**self._tags, f"{_TAG}versions": json.dumps(dict(run.environment))}
        params = {"estimator": name, **run.settings}
        metrics: dict[str, Any] = {"n_candidates": len(run)}
        if run.best_index is not None:
            params["best_index"] = run.best_index
            best = self._frame.iloc[run.best_index]
            metrics |= {
                f"best_{column.removeprefix('mean_test_')}": best[column]
                for column in self._metrics
                if column.startswith("mean_test_")
            }
        return self._create(f"{name} {run.name}", tags, params, metrics)

    def _candidate(self, parent: str, number: int) -> str:
        row = self._frame.iloc[number]
        tags = {
            **self._tags,
            _PARENT: parent,
            f"{_TAG}candidate": str(number),
            f"{_TAG}status": row["status"],
        }
        metrics = {column: row[column] for column in self._metrics}
        params = self._run.params(number)
        return self._create(f"candidate {number}", tags, params, metrics)

    def _create(
        self,
        name: str,
        tags: Mapping[str, str],
        params: Mapping[str, Any],
        metrics: Mapping[str, Any],
    ) -> str:
        from mlflow.entities import Metric, Param
        from mlflow.utils.validation import (
            MAX_ENTITIES_PER_BATCH,
            MAX_PARAM_VAL_LENGTH,
            MAX_PARAMS_TAGS_PER_BATCH,
            MAX_TAG_VAL_LENGTH,
        )

        created = self._client.create_run(
            self._experiment_id,
            start_time=self._started,
            tags={key: value[:MAX_TAG_VAL_LENGTH] for key, value in tags.items()},
            run_name=name,
        )
        run_id = str(created.info.run_id)
        entries = [
            Param(_key(key), str(value)[:MAX_PARAM_VAL_LENGTH])
            for key, value in params.items()
        ]
        values = [
            Metric(_key(key), float(value), self._finished, 0)
            for key, value in metrics.items()
            # MLflow keeps nan as 0, which would answer to searches.
            if not math.isnan(value)
        ]
        # Nearly always one batch: each is a transaction, and a thousand candidates
        # are thousands of them.
        n_params = MAX_PARAMS_TAGS_PER_BATCH
        n_metrics = MAX_ENTITIES_PER_BATCH - n_params
        while entries or values:
            self._client.log_batch(
                run_id, params=entries[:n_params], metrics=values[:n_metrics]
            )
            entries, values = entries[n_params:], values[n_metrics:]
        self._client.set_terminated(run_id, _STATUS[self._run.status], self._finished)
        return run_id

    def _artifact(self, run_id: str, number: int) -> None:
        try:
            weights = self._run.weights(number).to_dict()
        except WeightsNotFoundError:
            return  # keep=, capture= or a failed fit: there is nothing to log
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / _ARTIFACT
            # Not savez(**weights): a weight may be called "file".
            with zipfile.ZipFile(path, "w") as archive:
                for name, array in weights.items():
                    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                        np.lib.format.write_array(member, array, allow_pickle=False)
            self._client.log_artifact(run_id, str(path))
        self._client.set_tag(run_id, f"{_TAG}weights", _ARTIFACT)


def _experiment_id(client: Any, name: str | None) -> str:
    if name is None:
        from mlflow.tracking.fluent import _get_experiment_id

        return str(_get_experiment_id())
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    return str(client.create_experiment(name))


def _key(name: str) -> str:
    """Return a name with only those characters that MLflow's keys may have."""
    return re.sub(r"[^\w.\-/ ]", "_", name)[:250]


def _milliseconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp() * 1000)
