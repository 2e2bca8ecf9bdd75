"""How a champion is doing: evidence for retraining, gathered from what was published.

What belongs here: reading predictions, outcomes and drift week by week. What does not: what follows from them
(`retraining.py`).

A week may be harder than another whoever predicts it: where more hangs in the balance, a perfect model has a higher log
loss too. So a classification's loss is held against what it would be if every probability were right (entropy of the
predictions for log loss, p (1 - p) for the Brier score); only what exceeds that, beyond what exceeded it when the model
was judged, counts as worse. Metrics without such an expectation are held against their value when the model was judged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
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
from ml_assets.measuring.metrics import METRICS, Floats, measure
from ml_assets.moments import from_datetime64, in_utc
from ml_assets.registry.registry import Registry
from ml_assets.registry.versions import Version

pc: Any = pyarrow.compute  # its functions are made when it is imported, where type checkers cannot see them

WEEK = timedelta(days=7)
# A week of which less than this share of outcomes is known is judged later: the first known are not like the rest.
KNOWN_SHARE = 0.9
FEWEST_OUTCOMES = 100
# Of fewer decisions than this the population stability index is mostly noise, and always too high.
FEWEST_DECISIONS = 500


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
    """What of a loss neither a hard week nor the promise explains; positive is worse.

    Args:
        loss: the declared metric over the week.
        expected: `expected_loss` of the week's predictions, if there is one.
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
    champion = registry.champion(declaration.name)
    versions = registry.versions(declaration.name)
    newest = versions[-1] if versions else None
    as_of, newest_label = _watermarks(lake, declaration, newest)
    budget = declaration.retraining.budget
    return HealthEvidence(
        model=declaration.name,
        metric=declaration.evaluation.metric,
        as_of=as_of,
        newest_label=newest_label,
        champion_version=champion.version if champion else None,
        champion_trained_through=champion.trained_through if champion else None,
        newest_version=newest.version if newest else None,
        trained_through=newest.trained_through if newest else None,
        changed=_changed(declaration, newest, lock_hash) if newest else (),
        windows=health_windows(lake, declaration, champion, as_of) if champion else (),
        spent_cpu_seconds=spent_cpu_seconds(as_of - budget.within) if budget and spent_cpu_seconds else 0.0,
        failed_checks=tuple(failed_checks),
        spending=spending,
    )


def health_windows(
    lake: Snapshot, declaration: ModelDeclaration, champion: Version, as_of: datetime
) -> tuple[HealthWindow, ...]:
    """The whole weeks (from Monday, UTC) that the champion has predicted, oldest first, as many as a policy needs."""
    policy, tables = declaration.retraining, declaration.domain.tables
    wanted = max([1, *(one.windows.of for one in (policy.drift, policy.performance) if one)])
    first = in_utc(as_of) - WEEK * (wanted + 2)
    predictions = _predictions(lake, declaration, champion, first)
    promised, gap = _promise(lake, declaration, champion)
    drift = _weighted_drift(lake, declaration, champion)
    prediction_drift = {
        row["window_start"]: row["population_stability"]
        for row in _rows_of(lake, tables.prediction_drift, champion, ["window_start", "population_stability"])
    }
    weeks: Any = predictions.groupby("week")
    return tuple(
        _window(declaration, in_utc(start.to_pydatetime()), week, promised, gap, drift, prediction_drift)
        for start, week in weeks
        if in_utc(start.to_pydatetime()) + WEEK <= in_utc(as_of)
    )[-wanted:]


def _window(
    declaration: ModelDeclaration,
    start: datetime,
    week: pd.DataFrame,
    promised: float | None,
    promised_gap: float | None,
    drift: Mapping[date, float],
    prediction_drift: Mapping[date, float],
) -> HealthWindow:
    metric = declaration.evaluation.metric
    known = week[week["actual"].notna()]
    loss = expected = worse_by = calibration = None
    if len(known) >= max(FEWEST_OUTCOMES, KNOWN_SHARE * len(week)):
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
        decisions=len(week),
        outcomes=len(known),
        loss=loss,
        expected_loss=expected,
        worse_by=worse_by,
        calibration_error=calibration,
        drift=drift.get(start.date()) if len(week) >= FEWEST_DECISIONS else None,
        prediction_drift=prediction_drift.get(start.date()) if len(week) >= FEWEST_DECISIONS else None,
    )


def _predictions(lake: Snapshot, declaration: ModelDeclaration, champion: Version, first: datetime) -> pd.DataFrame:
    columns = ["model", "model_version", "decision_at", "prediction", "prediction_status", "actual"]
    predictions = declaration.domain.tables.predictions
    try:
        parts = parts_between((part.part for part in lake.parts(predictions)), first)
    except TableMissing:
        parts = []
    if not parts:  # nothing is published yet, or nothing was predicted for long
        return pd.DataFrame(columns=[*columns, "week"])
    table = lake.read(predictions, columns, parts)
    mine = (
        (pc.field("model") == declaration.name)
        & (pc.field("model_version") == champion.version)
        & (pc.field("prediction_status") == "champion")
    )
    frame = table.filter(mine).to_pandas()
    return frame.assign(week=frame["decision_at"].dt.to_period("W-SUN").dt.start_time)


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
    """By week: the population stability index over the features, each weighted by the champion's reliance on it."""
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


def _watermarks(
    lake: Snapshot, declaration: ModelDeclaration, newest: Version | None
) -> tuple[datetime, datetime | None]:
    """The latest moment that the training set speaks of, and the latest label; reads only parts with news."""
    since = newest.trained_through - 2 * WEEK if newest else None
    every = [part.part for part in lake.parts(declaration.training_set)]
    parts = parts_between(every, since) or every
    table = lake.read(declaration.training_set, [declaration.decision_at, declaration.label_known_at], parts)
    decided, labelled = (moments(column) for column in table.columns)
    labelled = labelled[~np.isnat(labelled)]
    latest = np.concatenate([decided[~np.isnat(decided)], labelled])
    if not len(latest):
        raise LakeError(f"{declaration.training_set} has no rows yet; land data and run dbt build")
    return from_datetime64(latest.max()), from_datetime64(labelled.max()) if len(labelled) else None


def _changed(declaration: ModelDeclaration, newest: Version, lock_hash: str) -> tuple[str, ...]:
    compared = {
        "the declaration": (declaration.fingerprint, newest.declaration_fingerprint),
        "the code that fits it": (code_version(declaration), newest.code_version),
        "the environment": (lock_hash, newest.lock_hash),
    }
    return tuple(name for name, (now, then) in compared.items() if now != then)
