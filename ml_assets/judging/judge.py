"""Evidence about one version: its judged twin, the baselines and the champion, on a window that none of them has seen.

What belongs here: who is asked about which rows. What does not: figures (`evaluation.py`), weighing them
(`deciding/promotion.py`), when it is done (`lifecycle/`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np

from ml_assets.declaration.model import ModelDeclaration
from ml_assets.errors import TrainingError, VersionUnusable
from ml_assets.fitting.estimators import predict
from ml_assets.fitting.splitting import judged_between, known_by
from ml_assets.fitting.training import fit_baselines, honest_side
from ml_assets.judging.evaluation import compare, score_subjects
from ml_assets.judging.evidence import CANDIDATE, CHAMPION, Evidence
from ml_assets.judging.reliance import reliance
from ml_assets.lake.decision_rows import DecisionRows, read_rows
from ml_assets.lake.snapshot import Snapshot
from ml_assets.lake.watermark import known_through
from ml_assets.measuring.metrics import METRICS, Floats, measure
from ml_assets.moments import as_datetime64
from ml_assets.registry.asking import ask, why_not_suited
from ml_assets.registry.registry import Registry
from ml_assets.registry.versions import Version

Clock = Callable[[], datetime]
LATENCY_CALLS = 30


def judge(
    lake: Snapshot,
    registry: Registry,
    declaration: ModelDeclaration,
    version: Version,
    champion: Version | None,
    now: Clock,
) -> Evidence:
    published = set(lake.columns(declaration.training_set))
    through = known_through(lake, declaration)
    unusable = why_not_suited(champion, declaration, published, through) if champion else None
    extra = champion.inputs if champion and not unusable else ()
    every_row = read_rows(lake, declaration, (*version.inputs, *extra))
    rows = judged_between(every_row, version.window_start, version.as_of)
    if not len(rows):
        raise TrainingError(
            f"{declaration.name}, version {version.version}: no decision after {version.window_start:%Y-%m-%d %H:%M} "
            f"has a known {declaration.label} by "
            f"{version.as_of:%Y-%m-%d %H:%M}; widen evaluation.window or land later data"
        )
    task = declaration.task
    twin_model = registry.load(version, "twin", declaration.trusted)
    twin = predict(twin_model, rows.inputs, task)
    final = registry.load(version, trusted=declaration.trusted)
    refit = predict(final, rows.inputs, task)
    lake.write_reference_predictions(declaration.name, version.version, twin)
    lake.write_reliance(declaration.name, version.version, reliance(twin_model, rows, declaration))
    baselines = fit_baselines(known_by(every_row, version.window_start), declaration, version.window_start)
    predictions = {
        CANDIDATE: twin,
        **{name: predict(fitted.model, rows.inputs, task) for name, fitted in baselines.items()},
    }
    scores = list(score_subjects(rows, predictions, declaration))
    comparisons = [
        one
        for name in baselines
        for one in compare(rows, twin, predictions[name], declaration, against=name, by_slice=False)
    ]
    side, compared_from = None, None
    if champion and not unusable:
        side, trained_through = honest_side(champion, version.window_start)
        compared_from = max(version.window_start, trained_through)
        try:
            opponent = ask(registry, declaration, champion, side, published=published, through=through)
        except VersionUnusable as error:
            unusable, side, compared_from = str(error), None, None
        else:
            unseen = rows.decision_at > as_datetime64(compared_from)
            both = rows.where(unseen)
            if len(both):
                answers = predict(opponent, both.inputs, task)
                scores += score_subjects(both, {CHAMPION: answers}, declaration)
                comparisons += compare(both, twin[unseen], answers, declaration, against=CHAMPION, by_slice=True)
    return Evidence(
        model=declaration.name,
        version=version.version,
        metric=declaration.evaluation.metric,
        as_of=version.as_of,
        window_start=version.window_start,
        rows=len(rows),
        champion_version=champion.version if champion else None,
        champion_side=side,
        champion_unusable=unusable,
        compared_from=compared_from,
        scores=tuple(scores),
        comparisons=tuple(comparisons),
        refit_loss=_loss(declaration, rows, refit),
        twin_loss=_loss(declaration, rows, twin),
        declared_schema=declaration.schema,
        fitted_schema=version.schema,
        latency_milliseconds=_latency(final, rows, task, now) if declaration.gates.max_latency_milliseconds else None,
        rolled_back=version.rolled_back,
    )


def _loss(declaration: ModelDeclaration, rows: DecisionRows, prediction: Floats) -> float:
    metric = METRICS[declaration.evaluation.metric]
    return float(metric.worse_by(measure(metric.name, rows.label, prediction), 0.0))


def _latency(model: Any, rows: DecisionRows, task: str, now: Clock) -> float:
    """The median time of one prediction, in milliseconds."""
    times = []
    for position in range(min(LATENCY_CALLS, len(rows))):
        row = rows.inputs.slice(position, 1)
        start = now()
        predict(model, row, task)
        times.append((now() - start).total_seconds() * 1000)
    return float(np.median(times))
