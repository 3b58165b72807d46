"""What a row of the table of searches is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

__all__ = ["Row", "Table"]

Data = tuple[Any, Any, dict[str, Any]]


@dataclass(frozen=True)
class Row:
    """One search that must give what scikit-learn's own gives.

    Parameters
    ----------
    name : str
    build : callable
        Returns the estimator and its grid (or distributions), made anew.
    data : callable
        Returns X, y and the params of the search's ``fit``, made anew.
    options : dict
        Arguments of the search that scikit-learn's has too.
    framework : {"sklearn", "torch", "keras", "boosting"}
        Rows of one framework run in one process.
    quick : bool
        Whether ``make test`` runs the row; otherwise it is marked ``slow``.
    needs : tuple of str
        Packages without which the row is skipped.
    search : {"grid", "random", "halving_grid", "halving_random"}
    capture, keep : object
        As in the search; None leaves the default.
    snapshots : bool
        Whether our searches take snapshots of all epochs, with the optimizer's state.
    config : dict
        Settings of scikit-learn under which the row runs.
    script : str
        A file of this folder that is executed in ``__main__`` first, as users run one.
    by_hand_without : tuple of str
        Params of the search's ``fit`` that are not for the estimator's ``fit``.
    refused_by_file : str
        Why a candidate may be refused with the searched estimator as the template: its
        params have objects that no store can hold. With its own params in the template
        it must be rebuilt all the same.
    refused : str
        Why it may be refused in any case.
    tolerance : float
        How far the answers of a model made of the store may be from the fitted one's,
        where a framework does not compute the same to the bit twice.
    unseeded : str
        Why two fits differ, so that fits by hand say nothing of the candidates.
    fits_again : int
        How many fits run again: those that end with an error or without a score, and
        the best one where a store does not hold all of it.
    rescored : dict
        Arguments of a second search that asks the stored models of splits. By default
        it has training scores where the first one has none.
    fits_rescored : int
        How many fits it makes.
    """

    name: str
    build: Callable[[], tuple[Any, Any]]
    data: Callable[[], Data]
    options: Mapping[str, Any] = field(default_factory=dict)
    framework: str = "sklearn"
    quick: bool = False
    needs: tuple[str, ...] = ()
    search: str = "grid"
    capture: str | None = None
    keep: Any = None
    snapshots: bool = False
    config: Mapping[str, Any] = field(default_factory=dict)
    script: str = ""
    by_hand_without: tuple[str, ...] = ("groups",)
    refused_by_file: str = ""
    refused: str = ""
    tolerance: float = 0.0
    unseeded: str = ""
    fits_again: int = 0
    rescored: Mapping[str, Any] = field(default_factory=dict)
    fits_rescored: int = 0

    @property
    def second(self) -> dict[str, Any]:
        """Arguments of a second search, with other scores; none without models."""
        if self.capture not in ("splits", "both"):
            return {}
        has_train_scores = self.options.get(
            "return_train_score", self.search.startswith("halving")
        )
        other = self.rescored or {"return_train_score": not has_train_scores}
        return {**self.options, **other}

    @property
    def tracking(self) -> dict[str, Any]:
        """Arguments of our searches alone."""
        plan = None
        if self.snapshots:
            from weightsearch import SnapshotPlan

            plan = SnapshotPlan("all", optimizer=True)
        own = {"capture": self.capture, "keep": self.keep, "snapshots": plan}
        return {name: value for name, value in own.items() if value is not None}

    @property
    def keeps_all_refits(self) -> bool:
        """Whether every candidate that can be fitted has a stored refit."""
        return (
            self.keep is None
            and self.capture != "splits"
            and self.options.get("refit", True) is not False
            and not self.search.startswith("halving")
        )


class Table(dict[str, Row]):
    """Rows by name; a decorator adds one."""

    def __init__(self, **common: Any):
        super().__init__()
        self._common = common

    def row(self, data: Callable[[], Data], **arguments: Any) -> Callable[..., Any]:
        """Add the decorated function, which builds estimator and grid, as a row.

        Arguments that are not fields of a row go to the search.
        """
        arguments = self._common | arguments
        known = {f.name for f in fields(Row)} - {"name", "build", "data", "options"}
        own = {k: v for k, v in arguments.items() if k in known}
        options = {k: v for k, v in arguments.items() if k not in known}

        def add(build: Callable[[], tuple[Any, Any]]) -> Callable[..., Any]:
            name = build.__name__
            if name in self:
                raise ValueError(f"the table has two rows named {name}")
            self[name] = Row(name, build, data, {"cv": 3} | options, **own)
            return build

        return add
