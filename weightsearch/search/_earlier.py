"""What the store has of the same search already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from weightsearch._identity import differences
from weightsearch._records import Array, RunHeader
from weightsearch.store import WriteSession

__all__ = ["is_same_run", "superseded", "unfinished_splits", "what_differs"]

_OF_SPLITS = ("cv", "split_params")
"""Parts of a run's identity that decide its splits, besides its fingerprint."""


def what_differs(headers: Sequence[RunHeader], header: RunHeader) -> str | None:
    """Say what differs from the newest run of the same estimator.

    Parameters
    ----------
    headers : sequence of RunHeader
        The store's runs, oldest first.
    header : RunHeader
        The new run.

    Returns
    -------
    str or None
        None where there is none, or where nothing is known to differ.
    """
    for earlier in reversed(headers):
        if earlier.estimator.get("class") == header.estimator["class"]:
            reasons = differences(
                earlier.identity,
                header.identity,
                earlier.environment,
                header.environment,
            )
            return (
                f"  since run {earlier.name}: {'; '.join(reasons)}" if reasons else None
            )
    return None


def unfinished_splits(
    session: WriteSession, header: RunHeader
) -> list[tuple[Array, Array]] | None:
    """Return the splits of the newest unfinished run of the same search.

    Parameters
    ----------
    session : WriteSession
    header : RunHeader
        The new run, whose splits were drawn without a seed.

    Returns
    -------
    list of (train, test) or None
        None where there is none, or where that cannot be told.
    """
    if header.fingerprint is None or not all(
        header.identity[name] for name in _OF_SPLITS
    ):
        return None
    for earlier in reversed(session.headers):
        if (
            earlier.status != "complete"
            and earlier.fingerprint == header.fingerprint
            and earlier.settings.get("n_splits") == header.settings["n_splits"]
            and all(
                earlier.identity.get(name) == header.identity[name]
                for name in _OF_SPLITS
            )
        ):
            return session.splits(earlier.uid)
    return None


def is_same_run(
    session: WriteSession,
    uid: str,
    header: RunHeader,
    params: Sequence[str],
    best_index: int | None,
) -> bool:
    """Whether a run of the store is complete and has these candidates and this best."""
    stored = next(one for one in session.headers if one.uid == uid)
    return (
        stored.status == "complete"
        and stored.fingerprint == header.fingerprint
        # Fewer of the same splits would make other results of the same fits.
        and stored.identity.get("cv") == header.identity.get("cv")
        and stored.settings.get("refit") == header.settings["refit"]
        and session.best_index(uid) == best_index
        and list(session.params(uid)) == list(params)
    )


def superseded(
    session: WriteSession, header: RunHeader, kept: Mapping[str, bool]
) -> list[str]:
    """Unfinished runs of the same identity, all of which the new run has too.

    Parameters
    ----------
    session : WriteSession
    header : RunHeader
        The new run.
    kept : mapping of str -> bool
        Identities of its fits, and whether they have weights.

    Returns
    -------
    list of str
        Uids.
    """
    if header.fingerprint is None:
        return []
    return [
        earlier.uid
        for earlier in session.headers
        if earlier.status != "complete"
        and earlier.fingerprint == header.fingerprint
        and all(
            kept.get(key, -1) >= has_weights
            for key, has_weights in session.keys(earlier.uid)
        )
    ]
