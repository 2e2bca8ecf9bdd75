"""How a champion is doing: evidence for retraining, gathered from what was published.

What belongs here: reading predictions, outcomes and drift window by window. What does not: what follows from them
(`retraining.py`).

A window may be harder than another whoever predicts it: where more hangs in the balance, a perfect model has a higher
log loss too. So a classification's loss is held against what it would be if every probability were right (entropy of
the predictions for log loss, p (1 - p) for the Brier score); only what exceeds that, beyond what exceeded it when the
model was judged, counts as worse. Metrics without such an expectation are held against their value when the model was
judged. A window has a loss once all its days are complete (`measuring/completeness.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.compute

from ml_assets.deciding.retraining import HealthEvidence, HealthWindow
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.errors import LakeError, TableMissing
from ml_assets.fitting.training import code_version
from ml_assets.lake.decision_rows import moments
from ml_assets.lake.ledger import Spending
from ml_assets.lake.parts import parts_between
from ml_assets.lake.snapshot import Snapshot
from ml_assets.lake.watermark import known_through
from ml_assets.measuring.completeness import complete_days
from ml_assets.measuring.metrics import METRICS, Floats, measure
from ml_assets.measuring.windows import LONGEST, moved, window_start, window_starts
from ml_assets.moments import as_datetime64, earlier, from_datetime64, in_utc
from ml_assets.registry.registry import Registry
from ml_assets.registry.versions import Version

pc: Any = pyarrow.compute  # its functions are made when it is imported, where type checkers cannot see them

Mask = npt.NDArray[np.bool_]

# Outcomes are said to take as long as this share of them takes at most.
_USUAL = 0.99


def expected_loss(metric: str, prediction: Floats) -> float | None:
    """The metric if every probability were right: its mean over outcomes drawn with these probabilities (the idea of
    confidence-based performance estimation). None where the metric is no such mean.

    >>> expected_loss("brier", np.array([0.5, 1.0]))
    0.125
    """
    if not len(prediction):
        return None
    if metric == "brier":
        return float(np.mean(prediction * (1 - prediction)))
    if metric == "log_loss":
        sure = np.clip(prediction, 1e-15, 1 - 1e-15)
        return float(-np.mean(sure * np.log(sure) + (1 - sure) * np.log1p(-sure)))
    return None


def worse_than_promised(
    metric: str, loss: float, expected: float | None, promised: float, promised_gap: float | None
) -> float:
    """What of a loss neither a hard window nor the promise explains; positive is worse.

    Args:
        loss: the declared metric over the window.
        expected: `expected_loss` of the window's predictions, if there is one.
        promised: the metric when the model was judged.
        promised_gap: by how much it exceeded its own expectation then.
    """
    if expected is None or promised_gap is None:
        return float(METRICS[metric].worse_by(loss, promised))
    return loss - expected - promised_gap


def gather_health(
    lake: Snapshot,
    registry: Registry,
    declaration: ModelDeclaration,
    *,
    lock_hash: str,
    failed_checks: Sequence[str] = (),
    spent_cpu_seconds: Callable[[datetime], float] | None = None,
    spending: Spending | None = None,
) -> HealthEvidence:
    """All that a decision about retraining may rest on, as of what is published now.

    Args:
        failed_checks: names of blocking checks whose latest answer is no.
        spent_cpu_seconds: what the model's trainings since a moment (data time) have cost.
        spending: what all runs have spent of a common budget, if there is one.

    Raises:
        LakeError: if the training set is not published.
    """
    as_of = known_through(lake, declaration)
    if as_of is None:
        raise LakeError(f"{declaration.training_set} has no rows yet; land data and run dbt build")
    champion = registry.champion(declaration.name)
    if champion and champion.trained_through > as_of:  # from the future: it is not asked either (`registry/asking.py`)
        champion = None
    versions = [one for one in registry.versions(declaration.name) if one.trained_through <= as_of]
    newest = versions[-1] if versions else None
    learned = champion if newest is None or newest.rolled_back else newest
    labels = _labels(lake, declaration, learned)
    budget = declaration.retraining.budget
    return HealthEvidence(
        model=declaration.name,
        metric=declaration.evaluation.metric,
        as_of=as_of,
        newest_label=labels.newest,
        champion_version=champion.version if champion else None,
        champion_trained_through=champion.trained_through if champion else None,
        newest_version=newest.version if newest else None,
        trained_through=newest.trained_through if newest else None,
        changed=_changed(declaration, newest, lock_hash) if newest else (),
        windows=health_windows(lake, declaration, champion, as_of, labels.delay) if champion else (),
        spent_cpu_seconds=spent_cpu_seconds(earlier(as_of, budget.within)) if budget and spent_cpu_seconds else 0.0,
        failed_checks=tuple(failed_checks),
        spending=spending,
        learned_version=learned.version if learned else None,
        learned_through=labels.learned,
        window=declaration.domain.window,
        outcome_delay=labels.delay,
    )


def health_windows(
    lake: Snapshot,
    declaration: ModelDeclaration,
    champion: Version,
    as_of: datetime,
    outcome_delay: timedelta = timedelta(0),
) -> tuple[HealthWindow, ...]:
    """The whole windows of the domain that the champion has predicted, oldest first: as many as a policy needs, and
    those before them whose outcomes have only now become known.
    """
    policy, tables, window = declaration.retraining, declaration.domain.tables, declaration.domain.window
    wanted = max([1, *(one.windows.of for one in (policy.drift, policy.performance) if one)])
    first = moved(window_start(in_utc(as_of) - outcome_delay, window), window, -(wanted + 1))
    predictions = _predictions(lake, declaration, champion, first)
    complete = _complete(predictions, as_of, declaration)
    promised, gap = _promise(lake, declaration, champion)
    drift = _weighted_drift(lake, declaration, champion)
    prediction_drift = {
        row["window_start"]: row["population_stability"]
        for row in _rows_of(lake, tables.prediction_drift, champion, ["window_start", "population_stability"])
    }
    groups: Any = predictions.assign(complete=complete).groupby("window")
    found = tuple(
        _window(declaration, in_utc(start.to_pydatetime()), rows, promised, gap, drift, prediction_drift)
        for start, rows in groups
        if moved(in_utc(start.to_pydatetime()), window, 1) <= in_utc(as_of)
    )
    return found[-(wanted + outcome_delay // LONGEST[window]) :]


def _window(
    declaration: ModelDeclaration,
    start: datetime,
    rows: pd.DataFrame,
    promised: float | None,
    promised_gap: float | None,
    drift: Mapping[date, float],
    prediction_drift: Mapping[date, float],
) -> HealthWindow:
    metric = declaration.evaluation.metric
    domain = declaration.domain
    known = rows[rows["label_known_at"].notna() & rows["actual"].notna()]
    loss = expected = worse_by = calibration = None
    if len(known) >= domain.least_outcomes and bool(np.all(rows["complete"].to_numpy())):
        label = np.asarray(known["actual"], dtype=np.float64)
        answer = np.asarray(known["prediction"], dtype=np.float64)
        figure = measure(metric, label, answer)
        if np.isfinite(figure):  # outcomes that are all alike leave nothing to rank
            loss, expected = float(METRICS[metric].worse_by(figure, 0.0)), expected_loss(metric, answer)
            if promised is not None:
                worse_by = worse_than_promised(metric, figure, expected, promised, promised_gap)
        if declaration.task == "binary_classification":
            calibration = measure("calibration_error", label, answer)
    return HealthWindow(
        start=start,
        decisions=len(rows),
        outcomes=len(known),
        loss=loss,
        expected_loss=expected,
        worse_by=worse_by,
        calibration_error=calibration,
        # Of fewer decisions the population stability index is mostly noise, and always too high.
        drift=drift.get(start.date()) if len(rows) >= domain.least_decisions else None,
        prediction_drift=prediction_drift.get(start.date()) if len(rows) >= domain.least_decisions else None,
    )


def _complete(predictions: pd.DataFrame, as_of: datetime, declaration: ModelDeclaration) -> Mask:
    """Of each prediction, whether the outcomes of its day are (nearly) all known, or the day is given up as lost."""
    days, codes = np.unique(predictions["decision_at"].to_numpy("datetime64[D]"), return_inverse=True)
    over = np.asarray(days + np.timedelta64(1, "D") <= as_datetime64(as_of), dtype=bool)
    known = predictions["label_known_at"].notna().to_numpy(dtype=bool)
    state = complete_days(codes.astype(np.int64), known, over, declaration.domain.complete_share)
    first_awaited = len(days) if state.awaited is None else state.awaited
    return codes < first_awaited


def _predictions(lake: Snapshot, declaration: ModelDeclaration, champion: Version, first: datetime) -> pd.DataFrame:
    columns = ["model", "model_version", "decision_at", "prediction", "prediction_status", "actual", "label_known_at"]
    predictions = declaration.domain.tables.predictions
    try:
        parts = parts_between((part.part for part in lake.parts(predictions)), first)
    except TableMissing:
        parts = []
    if not parts:  # nothing is published yet, or nothing was predicted for long
        return pd.DataFrame(columns=[*columns, "window"]).astype({"decision_at": "datetime64[us]"})
    table = lake.read(predictions, columns, parts)
    mine = (
        (pc.field("model") == declaration.name)
        & (pc.field("model_version") == champion.version)
        & (pc.field("prediction_status") == "champion")
    )
    frame = table.filter(mine).to_pandas()
    frame = frame[frame["decision_at"] >= pd.Timestamp(first).tz_convert(None)]
    starts = window_starts(frame["decision_at"].to_numpy(), declaration.domain.window)
    return frame.assign(window=starts.astype("datetime64[s]"))


def _promise(lake: Snapshot, declaration: ModelDeclaration, champion: Version) -> tuple[float | None, float | None]:
    """The declared metric when the version was judged, and by how much it exceeded its own expectation."""
    metric = declaration.evaluation.metric
    promised = champion.metrics.get(metric)
    if promised is None:
        return None, None
    values, counts = lake.read_reference_predictions(declaration.name, champion.version)
    expected = expected_loss(metric, np.repeat(values, counts))
    return promised, None if expected is None else promised - expected


def _weighted_drift(lake: Snapshot, declaration: ModelDeclaration, champion: Version) -> dict[date, float]:
    """By window: the population stability index over the features, each weighted by the champion's reliance on it."""
    policy = declaration.retraining.drift
    if policy is None:
        return {}
    by_importance = policy.weighted_by == "importance"
    weights = lake.read_reliance(declaration.name, champion.version) if by_importance else {}
    sums: dict[date, list[float]] = {}
    table = declaration.domain.tables.feature_drift
    for row in _rows_of(lake, table, champion, ["window_start", "feature", "population_stability"]):
        weight = weights.get(row["feature"], 0.0) if by_importance else 1.0
        total = sums.setdefault(row["window_start"], [0.0, 0.0])
        total[0] += weight * row["population_stability"]
        total[1] += weight
    return {start: weighted / weight for start, (weighted, weight) in sums.items() if weight > 0}


def _rows_of(lake: Snapshot, table: str, champion: Version, columns: Sequence[str]) -> list[dict[str, Any]]:
    """The champion's rows of a monitoring table; none where it is not published yet."""
    try:
        rows = lake.read(table, ["model", "model_version", *columns])
    except TableMissing:
        return []
    mine = (pc.field("model") == champion.model) & (pc.field("model_version") == champion.version)
    return rows.filter(mine).to_pylist()


@dataclass(frozen=True)
class _Labels:
    """The newest label known, the newest that a version has learned, and how long outcomes usually take."""

    newest: datetime | None
    learned: datetime | None
    delay: timedelta


def _labels(lake: Snapshot, declaration: ModelDeclaration, learned: Version | None) -> _Labels:
    """Reads only the parts that can hold news since the version's training, and the window before it."""
    window = declaration.domain.window
    since = moved(window_start(learned.trained_through, window), window, -1) if learned else None
    every = [part.part for part in lake.parts(declaration.training_set)]
    parts = parts_between(every, since) or every
    table = lake.read(declaration.training_set, [declaration.decision_at, declaration.label_known_at], parts)
    decided, known = (moments(column) for column in table.columns)
    usable = ~np.isnat(known) & ~np.isnat(decided)
    if not usable.any():
        return _Labels(None, learned.trained_through if learned else None, timedelta(0))
    took = (known - decided)[usable].astype("timedelta64[us]").astype(np.int64)
    delay = timedelta(microseconds=max(0, int(np.quantile(took, _USUAL))))
    newest = from_datetime64(known[usable].max())
    if learned is None:
        return _Labels(newest, None, delay)
    seen = known[usable][known[usable] <= as_datetime64(learned.trained_through)]
    return _Labels(newest, from_datetime64(seen.max()) if len(seen) else learned.trained_through, delay)


def _changed(declaration: ModelDeclaration, newest: Version, lock_hash: str) -> tuple[str, ...]:
    compared = {
        "the declaration": (declaration.fingerprint, newest.declaration_fingerprint),
        "the code that fits it": (code_version(declaration), newest.code_version),
        "the environment": (lock_hash, newest.lock_hash),
    }
    return tuple(name for name, (now, then) in compared.items() if now != then)
