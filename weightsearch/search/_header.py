"""What a run's header tells of a search."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Mapping
from typing import Any

from weightsearch._identity import SearchIdentity
from weightsearch._records import RunHeader
from weightsearch.search._fits import FitCall

__all__ = ["new_header"]


def new_header(
    call: FitCall,
    versions: Mapping[str, str],
    identity: SearchIdentity | None,
    splitting: Mapping[str, str],
    settings: Mapping[str, Any],
) -> RunHeader:
    """Describe a run that is about to start.

    Parameters
    ----------
    call : FitCall
    versions : dict of str -> str
        Of the libraries that fit.
    identity : SearchIdentity or None
    splitting : dict of str -> str
        Digests of what decides the splits, ``cv`` among them.
    settings : dict
        The search's own params, JSON-able.
    """
    now = datetime.datetime.now(datetime.UTC)
    parts = dict(identity.parts) if identity is not None else {}
    return RunHeader(
        uid=uuid.uuid4().hex,
        # Sorts in order of time, and holds nothing that a file's path would mind.
        name=now.strftime("%Y-%m-%dT%H-%M-%S.%fZ"),
        status="running",
        started=now.isoformat(),
        environment=versions,
        estimator=_describe(call.estimator),
        settings={**settings, "n_splits": call.n_splits},
        fingerprint=identity.fingerprint if identity is not None else None,
        identity={**parts, **splitting},
    )


def _describe(estimator: Any) -> dict[str, Any]:
    """Class and params of an estimator, as text for people."""
    cls = type(estimator)
    params = estimator.get_params(deep=False) if hasattr(cls, "get_params") else {}
    return {
        "class": f"{cls.__module__}.{cls.__qualname__}",
        "params": {name: _short(repr(value)) for name, value in params.items()},
    }


def _short(text: str, limit: int = 500) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
