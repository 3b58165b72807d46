"""Log a run to MLflow: a parent run for the search, a nested one per candidate."""

from __future__ import annotations

import json
import math
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from weightsearch._records import RunSource, Weights
from weightsearch.exceptions import WeightSearchError, WeightsNotFoundError

__all__ = ["log_run"]

_TAG = "weightsearch."
_PARENT = "mlflow.parentRunId"
_ARTIFACT = "weights.npz"

_STATUS = {"complete": "FINISHED", "interrupted": "KILLED"}
"""Status of a run -> MLflow's name for it."""


def log_run(
    source: RunSource,
    candidates: pd.DataFrame,
    params: Sequence[Mapping[str, Any]],
    settings: Mapping[str, Any],
    read: Callable[[int], Weights],
    *,
    experiment: str | None,
    wanted: Sequence[int] | None,
    artifacts: bool,
    tracking_uri: str | None,
) -> str:
    """Log a run and its candidates; see :meth:`weightsearch.Run.log_to_mlflow`.

    Parameters
    ----------
    source : RunSource
    candidates : DataFrame
        The run's table of candidates.
    params : sequence of dict
        The params of each candidate.
    settings : dict
        The search's settings.
    read : callable
        Number of a candidate -> its weights.
    experiment, artifacts, tracking_uri
        As for :meth:`weightsearch.Run.log_to_mlflow`.
    wanted : sequence of int or None
        Numbers of the candidates to log; None: all.

    Returns
    -------
    run_id : str
    """
    try:
        from mlflow import MlflowClient
    except ImportError as error:
        raise ImportError(
            "Logging needs MLflow: pip install mlflow-skinny sqlalchemy alembic"
        ) from error
    header = source.header
    if header.status not in _STATUS:
        raise WeightSearchError(
            f"Run {header.name} is {header.status}: log it when its fit has ended."
        )
    client = MlflowClient(tracking_uri)
    number = _experiment_id(client, experiment)
    logger = _Logger(client, number, source, candidates, params)
    parent = logger.parent(settings)
    logged = logger.logged(parent)
    for candidate in range(len(params)) if wanted is None else wanted:
        if candidate not in logged:
            run_id = logger.candidate(parent, candidate, params[candidate])
            logged[candidate] = run_id, False
        run_id, has_weights = logged[candidate]
        if artifacts and not has_weights:
            try:
                weights = read(candidate)
            except WeightsNotFoundError:
                continue  # failed or not kept
            logger.artifact(run_id, weights)
    return parent


class _Logger:
    """Adds runs to one experiment; those that are already there are not changed."""

    def __init__(
        self,
        client: Any,
        experiment_id: str,
        source: RunSource,
        candidates: pd.DataFrame,
        params: Sequence[Mapping[str, Any]],
    ):
        self._client = client
        self._experiment_id = experiment_id
        self._source = source
        self._frame = candidates
        names = {name for one in params for name in one}
        own = {f"param_{n}" if f"param_{n}" in candidates else n for n in names}
        numeric = candidates.select_dtypes("number")
        self._metrics = [column for column in numeric if column not in own]
        header = source.header
        self._started = _milliseconds(header.started)
        self._finished = _milliseconds(header.finished or header.started)
        self._tags = {
            f"{_TAG}run_uid": header.uid,
            f"{_TAG}run": header.name,
            f"{_TAG}store": str(getattr(source, "path", "")),
        }

    def _find(self, tag: str, value: str) -> Iterator[Any]:
        """Yield the complete runs of the experiment that have a tag."""
        condition = f"tags.`{tag}` = '{value}'"
        token = None
        while True:
            page = self._client.search_runs(
                [self._experiment_id], condition, max_results=1000, page_token=token
            )
            for found in page:
                if found.info.status == "RUNNING":
                    # Left incomplete by a crash: it is logged again.
                    self._client.delete_run(found.info.run_id)
                else:
                    yield found
            token = page.token
            if not token:
                return

    def logged(self, parent: str) -> dict[int, tuple[str, bool]]:
        """Return the id of each candidate's run, and whether it has its weights."""
        return {
            int(found.data.tags[f"{_TAG}candidate"]): (
                found.info.run_id,
                f"{_TAG}weights" in found.data.tags,
            )
            for found in self._find(_PARENT, parent)
        }

    def parent(self, settings: Mapping[str, Any]) -> str:
        """Return the id of the parent run, which is created if needed."""
        header, best_index = self._source.header, self._source.best_index()
        for found in self._find(f"{_TAG}run_uid", header.uid):
            if _PARENT not in found.data.tags:
                return str(found.info.run_id)
        name = str(header.estimator.get("class", "")).rpartition(".")[2]
        tags = {**self._tags, f"{_TAG}versions": json.dumps(dict(header.environment))}
        params = {"estimator": name, **settings}
        metrics: dict[str, Any] = {"n_candidates": len(self._frame)}
        if best_index is not None:
            params["best_index"] = best_index
            best = self._frame.iloc[best_index]
            metrics |= {
                f"best_{column.removeprefix('mean_test_')}": best[column]
                for column in self._metrics
                if column.startswith("mean_test_")
            }
        return self._create(f"{name} {header.name}", tags, params, metrics)

    def candidate(self, parent: str, number: int, params: Mapping[str, Any]) -> str:
        """Create the run of a candidate."""
        row = self._frame.iloc[number]
        tags = {
            **self._tags,
            _PARENT: parent,
            f"{_TAG}candidate": str(number),
            f"{_TAG}status": row["status"],
        }
        metrics = {column: row[column] for column in self._metrics}
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
            # MLflow stores NaN as 0, which its searches would find.
            if not math.isnan(value)
        ]
        # Nearly always one batch: each batch is a transaction.
        n_params = MAX_PARAMS_TAGS_PER_BATCH
        n_metrics = MAX_ENTITIES_PER_BATCH - n_params
        while entries or values:
            self._client.log_batch(
                run_id, params=entries[:n_params], metrics=values[:n_metrics]
            )
            entries, values = entries[n_params:], values[n_metrics:]
        self._client.set_terminated(
            run_id, _STATUS[self._source.header.status], self._finished
        )
        return run_id

    def artifact(self, run_id: str, weights: Weights) -> None:
        """Log a candidate's weights."""
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
    """Replace the characters that MLflow does not allow in keys."""
    return re.sub(r"[^\w.\-/ ]", "_", name)[:250]


def _milliseconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp() * 1000)
