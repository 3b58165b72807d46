"""Kinds of estimators: what capturing, rebuilding and searching cost for each.

python benchmarks/bench_kinds.py [--quick]

Prints each figure as soon as it is measured, and at the end two tables in Markdown: one
model of each kind, and whole searches, each beside what it cost when the state of a
model was skops' schema.
"""

from __future__ import annotations

import io
import os
import pickle
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import joblib
from _harness import Figure, Samples, Settings, Stopwatch, alternate, main
from _kinds import KINDS, VECTORIZER, Kind
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold

from weightsearch import WeightStore, WeightTrackingGridSearchCV
from weightsearch.frameworks._capture import capture

N_SPLITS = 5
SHORT = 0.03
"""Seconds; a fit that takes less is judged by what is added to it, not by a ratio."""
MANY = 200
SIZED = 20
TINY = 0.2
"""MB; a file has scores, params and splits too, so fewer pickles are no measure."""


def measure(settings: Settings) -> list[Figure]:
    """Measure all of it."""
    warnings.simplefilter("ignore")
    os.environ["PYTHONWARNINGS"] = "ignore"
    kinds = [kind for kind in KINDS if kind.is_quick or not settings.quick]
    figures = []
    models: dict[str, Samples] = {}
    searches: dict[str, Samples] = {}
    for kind in [*kinds, VECTORIZER]:
        samples = models[kind.key] = _model(settings, kind)
        figures += [_capture_figure(kind, samples), _rebuild_figure(kind, samples)]
        _tell(figures[-2:])
    for kind in kinds:
        if not kind.is_large:
            figures.append(_many(settings, kind))
            _tell(figures[-1:])
    sized = [kind for kind in kinds if not (settings.quick and kind.is_large)]
    for kind in sized:
        figures.append(_size(settings, kind))
        _tell(figures[-1:])
    # A first search imports and learns what the later ones share.
    with tempfile.TemporaryDirectory(dir=settings.scratch) as folder:
        _tracking(KINDS[-1], "splits", Path(folder))
    few = replace(settings, repeats=3)
    for kind in kinds:
        samples = searches[kind.key] = alternate(
            few,
            partial(_plain, kind),
            partial(_tracking, kind, "splits"),
            partial(_tracking, kind, "refit"),
            warm_up=False,
        )
        figures += [_search_figure(kind, samples, name) for name in ("splits", "refit")]
        _tell(figures[-2:])
    long = [s for s in searches.values() if not _is_short(s)]
    if long:
        figures.append(_median(long))
    figures.sort(key=lambda figure: _FAMILIES.index(_family(figure)))
    print(_model_table([*kinds, VECTORIZER], models), file=sys.stderr)
    print(_search_table(kinds, searches, figures), file=sys.stderr)
    return figures


_FAMILIES = (
    "capture",
    "capture_small",
    "rebuild",
    "rebuild_small",
    "many",
    "size",
    "size_small",
    "splits",
    "splits_median",
    "splits_short",
    "refit",
)


def _family(figure: Figure) -> str:
    return figure.key.removeprefix("kinds.").partition(":")[0]


def _tell(figures: Sequence[Figure]) -> None:
    """Say what has just been measured: the whole takes many minutes."""
    for one in figures:
        series = {n: f"{statistics.median(v):.4g}" for n, v in one.series.items()}
        made_of = ", ".join(f"{name} {value}" for name, value in series.items())
        middle = statistics.median(one.values)
        text = f"{one.what}: {middle:.3g} {one.unit} ({made_of} {one.series_unit})"
        print(text, file=sys.stderr, flush=True)


# -- one model -----------------------------------------------------------------------


def _model(settings: Settings, kind: Kind) -> Samples:
    """Times of one model in ms, and its size, beside pickle, joblib and skops."""
    X, y = kind.data()
    with tempfile.TemporaryDirectory(dir=settings.scratch) as folder:
        path = Path(folder, "search.h5")
        search = WeightTrackingGridSearchCV(
            kind.estimator,
            kind.first(1),
            scoring=_nothing,
            cv=_HALVES,
            refit=False,
            capture="splits",
            store=path,
        ).fit(X, y)
        with WeightStore(path) as store:
            run = store.run(search.run_.name)
            ways: dict[str, Callable[[Any], Callable[[], Any]]] = {
                "capture": lambda model: partial(capture, model),
                "rebuild": lambda _: partial(run.load_estimator, 0, split=0),
                **_others(),
            }
            run.load_estimator(0, split=0)
            return alternate(settings, partial(_times, kind, ways))


_HALVES = KFold(2, shuffle=True, random_state=0)
_FIFTHS = KFold(N_SPLITS, shuffle=True, random_state=0)


def _nothing(*_: Any) -> float:
    return 0.0


def _others() -> dict[str, Callable[[Any], Callable[[], Any]]]:
    """Other ways to write and read a model."""
    ways: dict[str, Callable[[Any], Callable[[], Any]]] = {
        "pickle.dumps": lambda model: partial(pickle.dumps, model),
        "pickle.loads": lambda model: partial(pickle.loads, pickle.dumps(model)),
        "joblib.dump": lambda model: lambda: joblib.dump(model, io.BytesIO()),
        "joblib.load": _joblib_load,
    }
    try:
        import skops.io as skops
    except ImportError:
        return ways

    def skops_load(model: Any) -> Callable[[], Any]:
        data = skops.dumps(model)
        trusted = skops.get_untrusted_types(data=data)
        return partial(skops.loads, data, trusted=trusted)

    ways["skops.dumps"] = lambda model: partial(skops.dumps, model)
    ways["skops.loads"] = skops_load
    return ways


def _joblib_load(model: Any) -> Callable[[], Any]:
    file = io.BytesIO()
    joblib.dump(model, file)
    return lambda: joblib.load(io.BytesIO(file.getvalue()))


def _times(
    kind: Kind, ways: Mapping[str, Callable[[Any], Callable[[], Any]]], _: Path
) -> dict[str, float]:
    X, y = kind.data()
    # As large as the model that is in the store.
    train, _test = next(_HALVES.split(X))
    X, y = _rows(X, train), _rows(y, train)
    model = clone(kind.estimator).set_params(**{kind.param: kind.values[0]})
    with Stopwatch() as watch:
        model.fit(X, y)
    found = {"fit": 1e3 * watch.seconds}
    for name, prepare in ways.items():
        found[name] = 1e3 * _median_time(prepare(model))
    kept = capture(model)
    assert kept.weights is not None
    assert kept.state is not None
    found["arrays"] = len(kept.weights)
    contents = sum(map(len, kept.state.blobs.values()))
    found["state, MB"] = (len(kept.state.text) + contents) / 1e6
    return found


def _rows(values: Any, rows: Any) -> Any:
    if hasattr(values, "iloc"):
        return values.iloc[rows]
    return [values[i] for i in rows] if isinstance(values, list) else values[rows]


def _median_time(call: Callable[[], Any]) -> float:
    """Seconds of a call: the median of as many as take a tenth of a second."""
    seconds: list[float] = []
    end = time.perf_counter() + 0.1
    while not seconds or (time.perf_counter() < end and len(seconds) < 100):
        with Stopwatch() as watch:
            result = call()
        seconds.append(watch.seconds)
        del result
    return statistics.median(seconds)


def _capture_figure(kind: Kind, samples: Samples) -> Figure:
    return _model_figure(kind, samples, "capture", "pickle.dumps", "capturing")


def _rebuild_figure(kind: Kind, samples: Samples) -> Figure:
    return _model_figure(kind, samples, "rebuild", "pickle.loads", "rebuilding")


def _model_figure(
    kind: Kind, samples: Samples, series: str, against: str, verb: str
) -> Figure:
    """A ratio for large models, milliseconds for small ones."""
    writes = series == "capture"
    rest = {"fit"} if writes else set()
    rest |= {n for n in samples if n.endswith(("dumps", "dump")) and writes}
    rest |= {n for n in samples if n.endswith(("loads", "load")) and not writes}
    made_of = {n: samples[n] for n in samples if n in {series, *rest}}
    if not kind.is_large:
        return Figure(
            f"kinds.{series}_small:{kind.key}",
            f"{verb}; {kind.what}",
            "ms",
            samples[series],
            made_of,
            "ms",
        )
    ratios = [a / b for a, b in zip(samples[series], samples[against], strict=True)]
    what = f"{verb} / {against}; {kind.what}"
    return Figure(f"kinds.{series}:{kind.key}", what, "x", ratios, made_of, "ms")


# -- many small ones -----------------------------------------------------------------


def _many(settings: Settings, kind: Kind) -> Figure:
    """Models rebuilt in a second, of one kind."""
    with tempfile.TemporaryDirectory(dir=settings.scratch) as folder:
        path = Path(folder, "search.h5")
        _keep_all(kind, kind.values, path)
        pairs = [(n, s) for n in range(len(kind.values)) for s in range(N_SPLITS)]
        pairs = pairs[:MANY]
        with WeightStore(path) as store:
            run = store.run()
            samples = alternate(settings, partial(_rebuild_all, run, pairs))
    return samples.value(
        f"kinds.many:{kind.key}",
        f"models rebuilt in a second; {kind.what}, {len(pairs)} of them",
        "/s",
        "rebuilt",
    )


def _keep_all(kind: Kind, values: Sequence[Any], path: Path) -> None:
    """Search, and keep the models of all splits and nothing else."""
    WeightTrackingGridSearchCV(
        kind.estimator,
        {kind.param: list(values)},
        cv=_FIFTHS,
        refit=False,
        capture="splits",
        store=path,
    ).fit(*kind.data())


def _rebuild_all(run: Any, pairs: Sequence[tuple[int, int]], _: Path) -> dict[str, Any]:
    with Stopwatch() as watch:
        for _model in run._iter_models(pairs):
            pass
    return {"rebuilt": len(pairs) / watch.seconds}


# -- room ----------------------------------------------------------------------------


def _size(settings: Settings, kind: Kind) -> Figure:
    """A store of 20 fits beside the pickles of the same models."""
    once = replace(settings, repeats=1)
    samples = alternate(once, partial(_sizes, kind), warm_up=False)
    if samples["pickles"][0] < TINY:
        pairs = zip(samples["store"], samples["pickles"], strict=True)
        what = f"store over sum of pickles' sizes; {kind.what}, {SIZED} fits"
        key = f"kinds.size_small:{kind.key}"
        return Figure(key, what, "kB", [1e3 * (a - b) for a, b in pairs], samples, "MB")
    return samples.ratio(
        f"kinds.size:{kind.key}",
        f"store / sum of pickles' sizes; {kind.what}, {SIZED} fits",
        "MB",
        "store",
        "pickles",
    )


def _sizes(kind: Kind, folder: Path) -> dict[str, float]:
    X, y = kind.data()
    # A grid may have fewer; what is close to its values is as large.
    values = [*kind.values, *map(_beside, kind.values)][: SIZED // N_SPLITS]
    path = folder / "search.h5"
    _keep_all(kind, values, path)
    total = 0
    for value in values:
        for train, _test in _FIFTHS.split(X):
            model = clone(kind.estimator).set_params(**{kind.param: value})
            model.fit(_rows(X, train), _rows(y, train))
            total += len(pickle.dumps(model))
    return {"store": path.stat().st_size / 1e6, "pickles": total / 1e6}


def _beside(value: Any) -> Any:
    return value + 100 if isinstance(value, int) else value + 0.01


# -- whole searches --------------------------------------------------------------------


def _plain(kind: Kind, _: Path) -> dict[str, float]:
    with Stopwatch() as watch:
        search = GridSearchCV(kind.estimator, kind.first(99), cv=N_SPLITS)
        search.fit(*kind.data())
    fit = float(search.cv_results_["mean_fit_time"].mean())
    return {"GridSearchCV": watch.seconds, "fit": fit}


def _tracking(kind: Kind, name: str, folder: Path) -> dict[str, float]:
    with Stopwatch() as watch:
        WeightTrackingGridSearchCV(
            kind.estimator,
            kind.first(99),
            cv=N_SPLITS,
            capture=name,
            store=folder / "search.h5",
        ).fit(*kind.data())
    return {name: watch.seconds}


def _is_short(samples: Samples) -> bool:
    return statistics.median(samples["fit"]) < SHORT


def _search_figure(kind: Kind, samples: Samples, name: str) -> Figure:
    n_candidates = len(kind.values)
    what = f'capture="{name}" / GridSearchCV'
    size = f"{kind.what}, {n_candidates} candidates x {N_SPLITS} splits"
    pairs = list(zip(samples[name], samples["GridSearchCV"], strict=True))
    made_of = {n: samples[n] for n in (name, "GridSearchCV")}
    if name == "refit":
        # A split's fit sees (k-1)/k of the rows, a refit all of them.
        rows = n_candidates * N_SPLITS / (n_candidates * (N_SPLITS - 1) + 1)
        values = [ours / plain / rows for ours, plain in pairs]
        what += " x rows to fit"
        return Figure(
            f"kinds.refit:{kind.key}", f"{what}; {size}", "x", values, made_of, "s"
        )
    if not _is_short(samples):
        values = [ours / plain for ours, plain in pairs]
        return Figure(
            f"kinds.splits:{kind.key}", f"{what}; {size}", "x", values, made_of, "s"
        )
    n_fits = N_SPLITS * n_candidates
    added = [1e3 * (ours - plain) / n_fits for ours, plain in pairs]
    return Figure(
        f"kinds.splits_short:{kind.key}",
        f'capture="{name}", added to each fit; {size}',
        "ms",
        added,
        made_of,
        "s",
    )


def _median(searches: Sequence[Samples]) -> Figure:
    """The median kind of those whose fits take long enough."""
    ratios = [
        [a / b for a, b in zip(s["splits"], s["GridSearchCV"], strict=True)]
        for s in searches
    ]
    values = [statistics.median(of_round) for of_round in zip(*ratios, strict=True)]
    return Figure(
        "kinds.splits_median",
        f'capture="splits" / GridSearchCV; the median of {len(searches)} kinds',
        "x",
        values,
        {"median": values},
        "x",
    )


# -- shown ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Before:
    """What one kind of model cost with skops' schema as its state.

    Attributes
    ----------
    times : tuple of (str, float)
        Milliseconds of a model; empty where they were not measured.
    splits : float or None
        ``capture="splits"`` / GridSearchCV.
    """

    times: tuple[tuple[str, float], ...] = ()
    splits: float | None = None


def _before(capture: float, rebuild: float, splits: float | None) -> Before:
    return Before((("capture", capture), ("rebuild", rebuild)), splits)


_BEFORE = {
    "forest": _before(62.7, 347, 1.67),
    "extra_trees": Before(splits=2.13),
    "hist_boosting": _before(949.7, 327, 6.2),
    "boosting": _before(1364, 1301, 4.7),
    "ada": Before(splits=1.40),
    "tree": Before(splits=1.37),
    "svc": _before(1.5, 4.3, 1.19),
    "logistic": _before(0.5, 2.1, 1.12),
    "one_hot": Before(splits=1.23),
    "neighbors": Before(splits=1.78),
    "text": Before(splits=2.3),
    "mlp": _before(1.1, 4.6, 1.07),
    "vectorizer": _before(205, 1196, None),
}
_MODEL_COLUMNS = (
    "fit",
    "capture",
    "pickle.dumps",
    "joblib.dump",
    "skops.dumps",
    "rebuild",
    "pickle.loads",
    "joblib.load",
    "skops.loads",
    "arrays",
    "state, MB",
)


def _model_table(kinds: Sequence[Kind], models: Mapping[str, Samples]) -> str:
    """One model of each kind in ms; what it cost before in parentheses."""
    lines = ["", "| Fitted model (ms) | " + " | ".join(_MODEL_COLUMNS) + " |"]
    lines.append("|---" * (len(_MODEL_COLUMNS) + 1) + "|")
    for kind in kinds:
        before = dict(_BEFORE.get(kind.key, Before()).times)
        cells = []
        for name in _MODEL_COLUMNS:
            values = models[kind.key].get(name)
            cell = "" if values is None else f"{statistics.median(values):.3g}"
            cells.append(f"{cell} ({before[name]:g})" if before.get(name) else cell)
        lines.append(f"| {kind.what} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _search_table(
    kinds: Sequence[Kind], searches: Mapping[str, Samples], figures: Sequence[Figure]
) -> str:
    """Whole searches, and room, of each kind; what they cost before in parentheses."""
    by_key = {figure.key: statistics.median(figure.values) for figure in figures}
    lines = [
        "",
        '| Search | fit (ms) | `"splits"` / GridSearchCV | added per fit (ms) '
        '| `"refit"` / GridSearchCV x rows to fit | store / pickles |',
        "|---|---|---|---|---|---|",
    ]
    for kind in kinds:
        samples = searches[kind.key]
        pairs = list(zip(samples["splits"], samples["GridSearchCV"], strict=True))
        n_fits = N_SPLITS * len(kind.values)
        ratio = f"{statistics.median(a / b for a, b in pairs):.3f}"
        before = _BEFORE.get(kind.key, Before()).splits
        cells = [
            f"{1e3 * statistics.median(samples['fit']):.3g}",
            ratio if before is None else f"{ratio} ({before:g})",
            f"{1e3 * statistics.median(a - b for a, b in pairs) / n_fits:.2f}",
            f"{by_key[f'kinds.refit:{kind.key}']:.3f}",
            f"{by_key[size]:.2f}"
            if (size := f"kinds.size:{kind.key}") in by_key
            else "",
        ]
        lines.append(f"| {kind.what} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main("kinds", measure, __doc__)
