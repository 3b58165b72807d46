"""Plain records that the writing half of the package passes to the reading half."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

from weightsearch._display import size_text, view, weights_table, weights_text

REFIT = -1
"""The split number of a refit on all the data."""

OK = "ok"
FAILED = "failed"

Array = np.ndarray[Any, Any]


class Weights(dict[str, Array]):
    """Weights of one fitted estimator, name -> ndarray, in the model's own order.

    A dict whose repr shows names and shapes; that of ``dict(weights)`` shows the values
    as well.

    Attributes
    ----------
    ties : dict of str -> str
        Names of weights that share memory with another one, each with the name of the
        array that is kept.
    encodings : dict of str -> str
        Names that represent several arrays, each with the way to combine them:
        ``{"coef_": "csr"}`` means that ``coef_/data``, ``coef_/indices``,
        ``coef_/indptr`` and ``coef_/shape`` are one sparse matrix.
    """

    def __init__(
        self,
        arrays: Mapping[str, Array] | Iterable[tuple[str, Array]] = (),
        *,
        ties: Mapping[str, str] | None = None,
        encodings: Mapping[str, str] | None = None,
    ):
        super().__init__(arrays)
        self.ties: dict[str, str] = dict(ties or {})
        self.encodings: dict[str, str] = dict(encodings or {})

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_weights, (dict(self), self.ties, self.encodings)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays together."""
        return sum(array.nbytes for array in self.values())

    def __repr__(self) -> str:
        # Without the values, which of one large model fill a screen.
        return weights_text(
            type(self).__name__,
            [(name, np.shape(array)) for name, array in self.items()],
        )

    def _repr_html_(self) -> str:
        rows = [
            (name, np.shape(array), getattr(array, "dtype", type(array).__name__))
            for name, array in self.items()
        ]
        size = size_text(self.nbytes)
        return view(f"{len(self)} weights, {size}", weights_table(rows))


def _rebuild_weights(
    arrays: dict[str, Array], ties: dict[str, str], encodings: dict[str, str]
) -> Weights:
    return Weights(arrays, ties=ties, encodings=encodings)


@dataclass(frozen=True, slots=True)
class WeightSpec:
    """Name, shape and type of a stored array."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    """``numpy.dtype.str``, or the name of a type that numpy lacks (``bfloat16``)."""
    order: str = "C"
    """Memory order of the model's array: ``"C"`` or ``"F"``."""


@dataclass(frozen=True, slots=True)
class WeightSpecs:
    """Names, shapes and types of one fit's weights, in order."""

    arrays: tuple[WeightSpec, ...]
    ties: Mapping[str, str] = field(default_factory=dict)
    encodings: Mapping[str, str] = field(default_factory=dict)

    def find(self, name: str) -> WeightSpec | None:
        """Return the array of a name, also of a tied one; None where there is none."""
        name = self.ties.get(name, name)
        return next((spec for spec in self.arrays if spec.name == name), None)

    def measured(self) -> tuple[WeightSpec, ...]:
        """Return the arrays that distances count by default.

        Real and complex numbers: counts, labels and texts are not weights, and the
        parts of sparse matrices have their elements in different places.
        """
        parts = tuple(f"{name}/" for name in self.encodings)
        return tuple(
            spec
            for spec in self.arrays
            if (
                spec.dtype[1:2] in ("f", "c")
                or spec.dtype.startswith(("bfloat", "float"))
            )
            and not spec.name.startswith(parts)
        )


@dataclass(frozen=True, slots=True)
class ModelState:
    """What besides the weights is needed to rebuild a fitted estimator.

    Attributes
    ----------
    text : str
        Small JSON; refers to :attr:`blobs` and to weights by name.
    blobs : dict of str -> bytes
        Contents by their digests, so that equal ones are stored once.
    """

    text: str
    blobs: Mapping[str, bytes] = field(default_factory=dict)


OPTIMIZER = "(optimizer)/"
"""Begins the names of arrays of a snapshot that are not weights."""
OPTIMIZER_KEPT = OPTIMIZER + "kept"
"""Whether the state of the optimizer could be kept, where that was wanted."""


@dataclass(frozen=True)
class SpooledBlocks:
    """Blocks of snapshots that are in a file beside the store.

    Attributes
    ----------
    path : str
    n_blocks : int
    nbytes : int
        Bytes of their arrays.
    """

    path: str
    n_blocks: int
    nbytes: int


@dataclass(frozen=True)
class Snapshots:
    """Weights that a fit had while it trained.

    Attributes
    ----------
    n_epochs : int
        Epochs that the fit trained.
    blocks : tuple of dict of str -> ndarray
        One after another. ``"epoch"`` and ``"step"`` (int64; -1: unknown), ``"time"``
        (seconds since the fit began) and ``"metrics/NAME"`` (float64) have a value per
        snapshot. ``"weights/NAME"`` has the values of one weight, stacked: of the
        snapshots where ``"changed/NAME"`` is True, of all without that. Elsewhere it
        is as in the snapshot before. Names that begin with :data:`OPTIMIZER` are
        those of the optimizer's state.
    spooled : SpooledBlocks or None
        Blocks that come before these.
    """

    n_epochs: int
    blocks: tuple[Mapping[str, Array], ...] = ()
    spooled: SpooledBlocks | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of all blocks."""
        return self.nbytes_in_memory + (self.spooled.nbytes if self.spooled else 0)

    @property
    def nbytes_in_memory(self) -> int:
        """Bytes of the blocks that are not in a file."""
        return sum(array.nbytes for block in self.blocks for array in block.values())


class FitSnapshots(Protocol):
    """The stored snapshots of one fit, in order of epochs."""

    n_epochs: int
    """Epochs that the fit trained."""

    @property
    def columns(self) -> Mapping[str, Array]:
        """``epoch``, ``step``, ``time`` and ``metrics/NAME``: one value each."""

    def __len__(self) -> int: ...

    def changed(self, name: str) -> Array:
        """Snapshots in which a weight is not as in the one before, bool."""

    def specs(self, index: int) -> WeightSpecs | None:
        """Weights that changed in a snapshot; None where none did."""

    def stored(self, index: int) -> Iterable[tuple[WeightSpec, Array, int]]:
        """Each of them: spec, bytes as a store keeps them, their CRC-32."""

    def stack(self, name: str, indexes: Array) -> Array:
        """A weight in snapshots in which it changed, stacked."""


class Outcome(NamedTuple):
    """What came of a fit: never the model, only what is to be kept of it.

    Attributes
    ----------
    result : dict
        Scores, times and the error.
    weights : Weights or None
        None where they could not be taken, or are not wanted.
    notes : tuple of Warning
        What the user is to hear of the weights.
    state : ModelState or None
        What makes the estimator of the weights again.
    exact : bool
        Whether a rebuilt estimator answers as the fitted one, bit for bit.
    rescored : bool
        Whether a stored model was scored, and nothing fitted.
    snapshots : Snapshots or None
        None where none are wanted.
    repeats : bool
        Whether a fit of an equal candidate is certain to come to the same, unnoticed.
    """

    result: dict[str, Any]
    weights: Weights | None = None
    notes: tuple[Warning, ...] = ()
    state: ModelState | None = None
    exact: bool = False
    rescored: bool = False
    snapshots: Snapshots | None = None
    repeats: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays in memory."""
        nbytes = 0 if self.weights is None else self.weights.nbytes
        return nbytes + (self.snapshots.nbytes_in_memory if self.snapshots else 0)


@dataclass(frozen=True, slots=True)
class FitRecord:
    """One finished fit: a candidate on one split, or its refit.

    Attributes
    ----------
    candidate : int
        Row of the candidate in ``cv_results_``.
    split : int
        0-based split, or :data:`REFIT`.
    status : {"ok", "failed"}
    key : str or None
        Identity of the fit, 32 hexadecimal digits; None without one.
    model_key : str or None
        Identity of its model alone, whatever scores it; None where it has none, and
        for a refit, whose key is that of its model.
    result : dict
        What scikit-learn needs to rebuild ``cv_results_``: ``test_scores``,
        ``train_scores``, ``n_test_samples``, ``fit_time`` and ``score_time`` in
        seconds, ``fit_error``. JSON-able; floats may be nan or infinite.
    weights : Weights or None
        None where no weights were captured.
    state : ModelState or None
        None where no weights were captured.
    snapshots : Snapshots or None
        None where none were wanted.
    """

    candidate: int
    split: int
    status: str
    key: str | None
    result: Mapping[str, Any]
    weights: Weights | None = None
    state: ModelState | None = None
    model_key: str | None = None
    snapshots: Snapshots | None = None


@dataclass(frozen=True, slots=True)
class RunHeader:
    """Description of a run, known when it starts; JSON-able.

    Attributes
    ----------
    uid : str
        Permanently unique, 32 hexadecimal digits.
    name : str
        Name of the run's group, unique in its store; sorts by time.
    status : {"running", "complete", "interrupted"}
    started, finished : str
        UTC, ISO 8601; ``finished`` is empty until the run ends.
    environment : dict of str -> str
        Versions of Python, the platform and the libraries that fit.
    estimator : dict
        ``class`` (qualified name) and ``params`` (text), for people.
    settings : dict
        ``capture``, ``keep``, ``refit``, ``scoring``, ``cv``, ``n_splits``,
        ``search`` (class name) and so on.
    fingerprint : str or None
        Identity of estimator, data, scoring and versions; None without one.
    identity : dict of str -> str
        A digest of each part of the fingerprint, to find what differs.
    """

    uid: str
    name: str
    status: str
    started: str
    finished: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    estimator: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str | None = None
    identity: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FitTable:
    """All stored fits of a run as columns of equal length, in order of storing.

    Of two rows with the same candidate and split, the later one is valid.
    """

    candidate: Array
    """int64"""
    split: Array
    """int64; :data:`REFIT` for refits"""
    failed: Array
    """bool"""
    has_weights: Array
    """bool"""
    key: Array
    """``S32``; empty where the fit has no identity"""
    origin: Array = None  # type: ignore[assignment]
    """``S32``: uid of the run that holds the fit; empty where this run itself does"""
    origin_row: Array = None  # type: ignore[assignment]
    """int64; row of the fit in the run that holds it, -1 where this run itself does"""
    model_key: Array = None  # type: ignore[assignment]
    """``S32``; empty where the fit has none"""

    def __post_init__(self) -> None:
        count = len(self.candidate)
        if self.origin is None:
            object.__setattr__(self, "origin", np.zeros(count, "S32"))
            object.__setattr__(self, "origin_row", np.full(count, -1, np.int64))
        if self.model_key is None:
            object.__setattr__(self, "model_key", np.zeros(count, "S32"))

    def __len__(self) -> int:
        return len(self.candidate)


@dataclass(frozen=True)
class Splits:
    """The splits of cross-validation that some candidates were evaluated on."""

    first: int
    """The first of these candidates"""
    count: int
    """How many there are, in the order of their numbers"""
    n_rows: int
    """Rows of the data"""
    pairs: Sequence[tuple[Array, Array]]
    """(train, test) row numbers of each split, int64"""

    def hold_for(self, candidate: int) -> bool:
        """Whether a candidate was evaluated on them."""
        return 0 <= candidate - self.first < self.count


@dataclass(frozen=True)
class RunResults:
    """Results of a run, known when it has ended."""

    cv_results: Mapping[str, Array]
    """Columns of ``cv_results_`` but ``params`` and ``param_*``; numeric, 1-D."""
    best_index: int | None


class RunSource(Protocol):
    """The stored content of one run, in the file or in the log.

    Row numbers are rows of :meth:`fits`. Arrays are returned bit for bit as in the
    model, with their memory order, and are verified by their checksums. A row whose fit
    is stored in another run reads like any other.
    """

    @property
    def header(self) -> RunHeader: ...

    def params(self) -> Sequence[str]:
        """Params of every candidate, encoded as JSON."""

    def fits(self) -> FitTable: ...

    def result(self, row: int) -> dict[str, Any]:
        """``FitRecord.result`` of a row."""

    def result_text(self, row: int) -> str:
        """The same as JSON text."""

    def own_result_text(self, row: int) -> str:
        """The same for a row whose model another run holds, if it has its own result.

        Empty where its result is that of the row in the other run, and for a row that
        this run holds.
        """

    def specs(self, row: int) -> WeightSpecs | None:
        """Names, shapes and types of a row's weights; None where it has none."""

    def alike(self, rows: Array) -> list[tuple[WeightSpecs, Array]]:
        """What rows have, each with the places in ``rows`` of some that have it.

        Rows without weights are in none.
        """

    def read(self, row: int, name: str) -> Array:
        """One array of a row."""

    def read_all(self, row: int) -> Weights:
        """All arrays of a row."""

    def stack(self, name: str, rows: Sequence[int]) -> Array:
        """The arrays of one name in many rows, of equal shape and type, stacked."""

    def stored(self, row: int) -> Iterable[tuple[WeightSpec, Array, int]]:
        """Each array of a row: spec, bytes as a store keeps them, their CRC-32."""

    def snapshots(self, row: int) -> FitSnapshots | None:
        """Weights of a row while it trained; None where none were wanted."""

    def state(self, row: int) -> tuple[str, tuple[str, ...]] | None:
        """``ModelState.text`` of a row and the names of its blobs, where it has one."""

    def blob(self, name: str) -> bytes:
        """One content of ``ModelState.blobs``, of any row that names it."""

    def blob_size(self, name: str) -> int:
        """Bytes of a content."""

    def cv_results(self) -> dict[str, Array]:
        """The columns of ``RunResults.cv_results``; empty while the run goes on."""

    def best_index(self) -> int | None: ...

    def best_specs(self) -> WeightSpecs | None: ...

    def read_best(self, name: str) -> Array: ...

    def splits(self) -> list[Splits]:
        """The splits; several where candidates were evaluated on different ones.

        Candidates in none of them have splits that a store cannot hold.
        """
