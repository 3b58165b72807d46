"""Find earlier runs of the same search in the store."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from weightsearch._identity import differences
from weightsearch._records import Array, RunHeader, RunSource
from weightsearch.search._snapshots import WantedSnapshots
from weightsearch.store import WriteSession

__all__ = ["same_run", "superseded", "unfinished_splits", "what_differs"]

_OF_SPLITS = ("cv", "split_params")
"""Parts of a run's identity that decide its splits, besides its fingerprint."""

# Settings in a header that describe a part of the identity.
_SETTINGS = {
    "the scoring": ("scoring",),
    "the splitter": ("cv",),
    "return_train_score or error_score": ("return_train_score", "error_score"),
}
_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")
_SHORT = 60


def what_differs(headers: Iterable[RunHeader], header: RunHeader) -> str | None:
    """Describe what differs from the most similar run of the same estimator.

    Parameters
    ----------
    headers : iterable of RunHeader
        The store's runs, newest first.
    header : RunHeader
        The new run.

    Returns
    -------
    str or None
        None where there is none, or where nothing is known to differ.
    """
    known = [
        (_reasons(earlier, header), earlier.name)
        for earlier in headers
        if earlier.estimator.get("class") == header.estimator["class"]
    ]
    reasons, name = min(known, key=lambda one: len(one[0]), default=([], ""))
    return f"  since run {name}: {'; '.join(reasons)}" if reasons else None


def _reasons(earlier: RunHeader, header: RunHeader) -> list[str]:
    reasons = []
    for words in differences(earlier.identity, header.identity):
        changes: list[str] = []
        if words.startswith("the estimator's"):
            old, new = earlier.estimator["params"], header.estimator["params"]
            neutral = header.identity.get("run_params", "").split()
            changes = _changes(old, new, [name for name in old if name not in neutral])
            words = "the estimator's params" if changes else "the estimator's code"
        elif words in _SETTINGS:
            changes = _changes(earlier.settings, header.settings, _SETTINGS[words])
        reasons.append(f"{words} ({', '.join(changes)})" if changes else words)
    kept = ("splits", "both")
    if header.settings["capture"] in kept and earlier.settings["capture"] not in kept:
        reasons.append("it kept no split models")
    return reasons


def _changes(
    old: Mapping[str, Any], new: Mapping[str, Any], names: Iterable[str]
) -> list[str]:
    changes = []
    for name in names:
        texts = [_ADDRESS.sub("", str(side.get(name))) for side in (old, new)]
        if texts[0] != texts[1]:
            short = max(map(len, texts)) <= _SHORT
            changes.append(f"{name} {' -> '.join(texts)}" if short else name)
    return changes


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
        None if there is none, or if that is unknown.
    """
    if header.fingerprint is None or not all(
        header.identity[name] for name in _OF_SPLITS
    ):
        return None
    for run in reversed(session.lookup.unfinished()):
        earlier = run.header
        if (
            earlier.fingerprint == header.fingerprint
            and earlier.settings.get("n_splits") == header.settings["n_splits"]
            and all(
                earlier.identity.get(name) == header.identity[name]
                for name in _OF_SPLITS
            )
        ):
            splits = run.splits()
            return list(splits[0].pairs) if splits else None
    return None


def same_run(
    session: WriteSession,
    header: RunHeader,
    params: Sequence[str],
    kept: Mapping[str, bool],
    best_index: int | None,
    snapshots: WantedSnapshots | None = None,
) -> str | None:
    """Return a complete run of the store that contains all of a new one.

    Parameters
    ----------
    session : WriteSession
    header : RunHeader
        The new run.
    params : sequence of str
        Params of its candidates, encoded.
    kept : mapping of str -> bool
        Identities of its fits, and whether they have weights.
    best_index : int or None
        Its best candidate.
    snapshots : WantedSnapshots or None
        Snapshots that its fits have.

    Returns
    -------
    str or None
        The run's uid.
    """
    if header.fingerprint is None:
        return None
    for run in session.lookup.complete(header.fingerprint):
        stored = run.header
        if (
            # Fewer of the same splits would make other results of the same fits.
            stored.identity.get("cv") == header.identity.get("cv")
            and stored.settings.get("refit") == header.settings["refit"]
            and run.best_index() == best_index
            and list(run.params()) == list(params)
            and _has_all(_keys(run), kept)
            and (
                snapshots is None
                or (
                    not callable(snapshots.wanted)
                    and stored.settings.get("snapshots") == header.settings["snapshots"]
                )
            )
        ):
            return stored.uid
    return None


def superseded(
    session: WriteSession, header: RunHeader, kept: Mapping[str, bool]
) -> list[str]:
    """Return the unfinished runs of the same identity that the new run contains.

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
        run.header.uid
        for run in session.lookup.unfinished()
        if run.header.fingerprint == header.fingerprint
        and _has_all(kept, _keys(run))
        # Snapshots of other epochs would be lost.
        and _covers(header.settings.get("snapshots"), run.header)
    ]


def _covers(snapshots: Any, earlier: RunHeader) -> bool:
    # A search without snapshots reuses the fits that have some.
    return snapshots is None or earlier.settings.get("snapshots") in (None, snapshots)


def _keys(run: RunSource) -> dict[str, bool]:
    """Return the keys of a run's finished fits, and whether each has weights."""
    fits = run.fits()
    good = ~fits.failed & (fits.key != b"")
    keys = [key.decode() for key in fits.key[good].tolist()]
    return dict(zip(keys, fits.has_weights[good].tolist(), strict=True))


def _has_all(having: Mapping[str, bool], wanted: Mapping[str, bool]) -> bool:
    return all(having.get(key, -1) >= weights for key, weights in wanted.items())
