"""What a notebook shows of a search: scikit-learn's diagram, and what is stored."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

from sklearn.base import BaseEstimator

from weightsearch._display import escape, size_text
from weightsearch.exceptions import WeightSearchError
from weightsearch.search._reference import StoreReference

__all__ = ["DiagramWithStore"]


class DiagramWithStore(BaseEstimator):  # type: ignore[misc]
    """A mixin that puts a line on the store below scikit-learn's diagram."""

    @property
    def _repr_html_(self) -> Callable[[], str]:
        # Raises AttributeError where scikit-learn is set to show no diagram.
        diagram = super()._repr_html_
        return lambda: self._with_store(diagram)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        bundle: dict[str, str] = {"text/plain": repr(self)}
        if hasattr(self, "_repr_html_"):
            bundle["text/html"] = self._repr_html_()
        return bundle

    def _with_store(self, diagram: Callable[[], str]) -> str:
        try:
            shown = diagram()
        except WeightSearchError:
            # From 1.9 on the diagram lists fitted attributes; ours need the store.
            # The line below says what is wrong with it.
            shown = f"<pre>{html.escape(repr(self))}</pre>"
        reference: StoreReference | None = self.__dict__.get("_reference")
        return shown if reference is None else f"{shown}<p>{_line(reference)}</p>"


def _line(reference: StoreReference) -> str:
    """Say in HTML where the weights are, of how many candidates, and how large."""
    try:
        run = reference.run
        size = size_text(reference.path.stat().st_size)
        counts = f"Weights of {run.n_with_weights} of {len(run)} candidates"
        return f"{counts}: run {escape(run.name)} in {_place(reference)}, {size}"
    except (WeightSearchError, OSError) as error:
        return escape(error, 500)


def _place(reference: StoreReference) -> str:
    if reference.private:
        return "a private store that goes with this object (save_store keeps it)"
    return f"store {escape(reference.path, 300)}"
