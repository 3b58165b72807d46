"""What the store has of the same search already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from weightsearch._identity import differences
from weightsearch._records import RunHeader
from weightsearch.store import WriteSession

__all__ = ["is_same_run", "superseded", "what_differs"]


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


def is_same_run(
    session: WriteSession, uid: str, header: RunHeader, params: Sequence[str]
) -> bool:
    """Whether a run of the store is complete and has just these candidates."""
    stored = next(one for one in session.headers if one.uid == uid)
    return (
        stored.status == "complete"
        and stored.fingerprint == header.fingerprint
        # Fewer of the same splits would make other results of the same fits.
        and stored.identity.get("cv") == header.identity.get("cv")
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
