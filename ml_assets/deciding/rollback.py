"""Is the new champion worse than the one it replaced would have been? A pure function, and its evidence.

What belongs here: the comparison of a champion with its predecessor on decisions that it has made since, once their
outcomes are known. What does not: the rollback itself (`lifecycle/champions.py`).

The predecessor is asked after the fact. That is no second guess: rows of a training set hold what was known at the
decision and do not change, so it answers now what it would have answered then.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute

from ml_assets.deciding.reasons import Reason
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.declaration.schema import Watch
from ml_assets.errors import ArtifactError, ColumnsMissing, TableMissing
from ml_assets.fitting.estimators import predict
from ml_assets.fitting.threads import limited_to
from ml_assets.lake.decision_rows import read_rows
from ml_assets.lake.parts import parts_between
from ml_assets.lake.snapshot import Snapshot
from ml_assets.measuring.bootstrap import day_weights, worse_by_day
from ml_assets.measuring.metrics import METRICS
from ml_assets.moments import from_datetime64
from ml_assets.registry.registry import Registry

pc: Any = pyarrow.compute  # its functions are made when it is imported, where type checkers cannot see them

Verdict = Literal["roll_back", "stays", "too_early"]


@dataclass(frozen=True)
class WatchEvidence:
    """The champion against its predecessor on the same decisions, paired by day: positive is worse for the champion.

    `since` is its first decision; `low` is the lower end of the central interval at the declared confidence.
    """

    model: str
    metric: str
    champion_version: int
    previous_version: int | None
    since: datetime | None = None
    until: datetime | None = None
    rows: int = 0
    worse_by: float | None = None
    low: float | None = None
    high: float | None = None
    unusable: str | None = None


@dataclass(frozen=True)
class WatchDecision:
    """The verdict and its reason."""

    verdict: Verdict
    reason: Reason


def decide_rollback(evidence: WatchEvidence, watch: Watch) -> WatchDecision:
    """`roll_back` if the champion is surely worse than its predecessor on enough decisions within the watched span."""
    champion, previous = f"Version {evidence.champion_version}", f"version {evidence.previous_version}"
    if evidence.previous_version is None:
        return _stays("There is no champion before it to compare with.")
    if evidence.unusable:
        return _stays(f"{previous.capitalize()} cannot be asked any more: {evidence.unusable}")
    if evidence.rows < watch.min_rows or evidence.low is None or evidence.worse_by is None:
        text = f"{evidence.rows:,} of its decisions have a known outcome; {watch.min_rows:,} are needed to compare."
        return WatchDecision("too_early", Reason("better_than_predecessor", True, evidence.rows, watch.min_rows, text))
    worse = evidence.low > watch.worse_by
    text = (
        f"{champion} is {'surely worse' if worse else 'not surely worse'} than {previous} would have been on its "
        f"{evidence.rows:,} decisions since {evidence.since:%Y-%m-%d}: {evidence.metric} worse by "
        f"{evidence.worse_by:+.4f} (between {evidence.low:+.4f} and {evidence.high:+.4f})."
    )
    return WatchDecision(
        "roll_back" if worse else "stays",
        Reason("better_than_predecessor", not worse, evidence.low, watch.worse_by, text),
    )


def gather_watch(
    lake: Snapshot, registry: Registry, declaration: ModelDeclaration, watch: Watch
) -> WatchEvidence | None:
    """The evidence as of what is published now; None if there is no champion."""
    champion, previous = registry.champion(declaration.name), registry.previous_champion(declaration.name)
    if champion is None:
        return None
    metric = METRICS[declaration.evaluation.metric]
    nothing = WatchEvidence(declaration.name, metric.name, champion.version, previous.version if previous else None)
    made = _made(lake, declaration, champion.version, watch.span) if previous else None
    if previous is None or made is None or not made.num_rows:
        return nothing
    learned = (previous.declaration["task"], previous.declaration["label"])
    if learned != (declaration.task, declaration.label):
        text = f"it was trained for {learned[1]} ({learned[0]}), and {declaration.label} is declared now."
        return replace(nothing, unusable=text)
    decided = made["decision_at"].to_numpy()
    since, until = from_datetime64(decided.min()), from_datetime64(decided.max())
    try:
        opponent = registry.load(previous)
        near = parts_between((part.part for part in lake.parts(declaration.training_set)), since, until)
        rows = read_rows(lake, declaration, previous.columns, near)
    except (ArtifactError, ColumnsMissing) as error:
        return replace(nothing, unusable=str(error))
    places = pc.index_in(rows.keys, made["decision_key"].combine_chunks())
    judged = np.asarray(places.is_valid()) & ~np.isnan(rows.label)
    own = made["prediction"].to_numpy()[places.filter(pa.array(judged)).to_numpy()]
    rows = rows.where(judged)
    if not len(rows):
        return nothing
    codes, days = rows.day
    answers = predict(opponent, rows.inputs, declaration.task)
    with limited_to(1):
        figure = worse_by_day(metric, rows.label, own, answers, codes, day_weights(len(days)), watch.confidence)
    return replace(
        nothing, since=since, until=until, rows=len(rows), worse_by=figure.value, low=figure.low, high=figure.high
    )


def _made(lake: Snapshot, declaration: ModelDeclaration, version: int, span: timedelta) -> pa.Table:
    """The champion's own predictions within the watched span, outcome known."""
    columns = ["model", "model_version", "prediction_status", "decision_key", "decision_at", "prediction", "actual"]
    try:
        table = lake.read(declaration.domain.tables.predictions, columns)
    except TableMissing:
        return pa.table({name: pa.array([]) for name in columns})
    table = table.filter(
        (pc.field("model") == declaration.name)
        & (pc.field("model_version") == version)
        & (pc.field("prediction_status") == "champion")
    )
    if not table.num_rows:
        return table
    end = table["decision_at"].to_numpy().min() + np.timedelta64(int(span.total_seconds()), "s")
    return table.filter((pc.field("decision_at") < pa.scalar(end)) & pc.field("actual").is_valid())


def _stays(text: str) -> WatchDecision:
    return WatchDecision("stays", Reason("better_than_predecessor", True, None, None, text))
