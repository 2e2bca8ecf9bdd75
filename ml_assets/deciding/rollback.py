"""Is the new champion worse than the one it replaced would have been? A pure function, and its evidence.

What belongs here: the comparison of a champion with its predecessor on decisions that it has made since, on days whose
outcomes are all known. What does not: the rollback itself (`lifecycle/champions.py`), which days are complete
(`measuring/completeness.py`).

The predecessor is asked after the fact. That is no second guess as long as a row holds what it held when the champion
answered it: then the predecessor answers now what it would have answered then. Rows that have changed since (a late
file, a correction) would compare a champion that saw the old features with a predecessor that sees the repaired ones;
they are left out and counted.

The question is asked again every day of the watch, so the interval is one that holds for all looks together
(`measuring/sequences.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

from ml_assets.deciding.reasons import Reason
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.declaration.schema import Watch
from ml_assets.errors import ColumnsMissing, TableMissing, VersionUnusable
from ml_assets.fitting.estimators import predict
from ml_assets.fitting.threads import limited_to
from ml_assets.lake.decision_rows import DecisionRows, read_rows
from ml_assets.lake.inputs_hash import inputs_hash
from ml_assets.lake.parts import parts_between
from ml_assets.lake.snapshot import Snapshot
from ml_assets.lake.watermark import known_through
from ml_assets.measuring.completeness import complete_days
from ml_assets.measuring.metrics import METRICS, measure
from ml_assets.measuring.sequences import worse_by_sequence
from ml_assets.moments import as_datetime64, from_datetime64, later
from ml_assets.registry.asking import ask
from ml_assets.registry.registry import Registry
from ml_assets.registry.versions import Version

pc: Any = pyarrow.compute  # its functions are made when it is imported, where type checkers cannot see them

Verdict = Literal["roll_back", "stays", "too_early"]
_COLUMNS = ("model", "model_version", "prediction_status", "decision_key", "decision_at", "prediction")
_HASH = "inputs_hash"
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class WatchEvidence:
    """The champion against its predecessor on the same decisions, paired by day: positive is worse for the champion.

    `since` is its first decision. `rows` decisions of `days` complete days are compared; `changed_rows` are left out
    because their features changed since they were answered, `days_given_up` because their outcomes stayed away.
    `awaited` is the first day whose outcomes are not all known yet. `previous_figure` is the predecessor's own metric
    on those rows. `low` and `high` hold for all looks together, at the declared confidence.
    """

    model: str
    metric: str
    champion_version: int
    previous_version: int | None
    since: datetime | None = None
    until: datetime | None = None
    awaited: datetime | None = None
    rows: int = 0
    days: int = 0
    changed_rows: int = 0
    days_given_up: int = 0
    previous_figure: float | None = None
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
    """`roll_back` if the champion is surely worse than its predecessor, by more than is borne."""
    champion, previous = f"Version {evidence.champion_version}", f"version {evidence.previous_version}"
    if evidence.previous_version is None:
        return _stays("There is no champion before it to compare with.")
    if evidence.unusable:
        return _stays(f"{previous.capitalize()} cannot be asked any more: {evidence.unusable}")
    if (
        evidence.days < watch.least_days
        or evidence.rows < watch.min_rows
        or evidence.worse_by is None
        or evidence.previous_figure is None
    ):
        text = (
            f"{evidence.rows:,} decisions of {evidence.days:,} complete day{'' if evidence.days == 1 else 's'} can be "
            f"compared; {watch.min_rows:,} decisions of {watch.least_days} days are needed.{_left_out(evidence)}"
        )
        return WatchDecision(
            "too_early", Reason("better_than_predecessor", True, evidence.days, watch.least_days, text)
        )
    borne = watch.worse_by.beside(evidence.previous_figure)
    worse = evidence.low is not None and evidence.low > borne
    direction = "worse" if evidence.worse_by > 0 else "better"
    interval = (
        "too few days to say how surely"
        if evidence.low is None or evidence.high is None
        else f"between {-evidence.high:+.4f} and {-evidence.low:+.4f}, {watch.confidence:.3g} sure at all looks"
    )
    text = (
        f"{champion} is {'surely worse' if worse else 'not surely worse'} than {previous} would have been on its "
        f"{evidence.rows:,} decisions of {evidence.days} complete days since {evidence.since:%Y-%m-%d}: "
        f"{evidence.metric} {abs(evidence.worse_by):.4f} {direction} ({interval}); "
        f"{borne:.4f} is borne.{_left_out(evidence)}"
    )
    return WatchDecision(
        "roll_back" if worse else "stays", Reason("better_than_predecessor", not worse, evidence.low, borne, text)
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
    made = _made(lake, declaration, champion, watch.span) if previous else None
    if previous is None or made is None or not made.num_rows:
        return nothing
    decided = made["decision_at"].to_numpy()
    nothing = replace(nothing, since=from_datetime64(decided.min()))
    published = lake.columns(declaration.training_set)
    through = known_through(lake, declaration)
    try:
        opponent = ask(registry, declaration, previous, published=published, through=through)
        own_inputs = [name for name in champion.inputs if name in published]
        parts = (part.part for part in lake.parts(declaration.training_set))
        near = parts_between(parts, nothing.since, from_datetime64(decided.max()))
        rows = read_rows(lake, declaration, (*own_inputs, *previous.inputs), near)
    except (VersionUnusable, ColumnsMissing) as error:
        return replace(nothing, unusable=str(error))
    places = pc.index_in(rows.keys, made["decision_key"].combine_chunks())
    found = places.is_valid()
    rows, answered = rows.where(np.asarray(found)), made.take(places.filter(found))
    if not len(rows) or through is None:
        return nothing
    codes, days = rows.day
    over = days + np.timedelta64(1, "D") <= as_datetime64(through)
    known = ~np.isnat(rows.label_known_at)
    state = complete_days(codes, known, over, declaration.domain.complete_share)
    judged = state.judged[codes] & ~np.isnan(rows.label)
    changed = _changed(lake, declaration, rows, own_inputs, judged)
    evidence = replace(
        nothing,
        awaited=None if state.awaited is None else from_datetime64(days[state.awaited]),
        days_given_up=state.given_up,
        changed_rows=int(changed.sum()),
    )
    compared = judged & ~changed
    rows, own = rows.where(compared), answered["prediction"].to_numpy()[compared]
    if not len(rows):
        return evidence
    codes, days = rows.day
    answers = predict(opponent, rows.inputs, declaration.task)
    with limited_to(1):
        figure = worse_by_sequence(metric, rows.label, own, answers, codes, watch.confidence)
    return replace(
        evidence,
        until=from_datetime64(rows.decision_at[-1]),
        rows=len(rows),
        days=len(days),
        previous_figure=measure(metric.name, rows.label, answers),
        worse_by=figure.value,
        low=figure.low,
        high=figure.high,
    )


def _changed(
    lake: Snapshot, declaration: ModelDeclaration, rows: DecisionRows, columns: Sequence[str], judged: Mask
) -> Mask:
    """Which of the judged rows no longer hold what the champion was given, by the hash that it wrote beside its answer;
    an answer without one tells nothing.
    """
    if not judged.any():
        return judged
    dates = [day.item() for day in np.unique(rows.decision_at[judged].astype("datetime64[D]"))]
    answers = lake.read_predictions(declaration.name, dates, ["decision_key", _HASH])
    if not answers.num_rows:
        return np.zeros(len(rows), dtype=bool)
    then = answers[_HASH].combine_chunks().take(pc.index_in(rows.keys, answers["decision_key"].combine_chunks()))
    other = pc.fill_null(pc.not_equal(inputs_hash(rows.inputs, columns), then), False)
    return judged & np.asarray(other.to_numpy(zero_copy_only=False), dtype=bool)


def _made(lake: Snapshot, declaration: ModelDeclaration, champion: Version, span: timedelta) -> pa.Table:
    """The champion's own predictions within the watched span, oldest part first."""
    table = declaration.domain.tables.predictions
    try:
        parts = parts_between((part.part for part in lake.parts(table)), champion.as_of)
        made = lake.read(table, _COLUMNS, parts)
    except TableMissing:
        return pa.table({name: pa.array([]) for name in _COLUMNS})
    made = made.filter(
        (pc.field("model") == declaration.name)
        & (pc.field("model_version") == champion.version)
        & (pc.field("prediction_status") == "champion")
    )
    if not made.num_rows:
        return made
    end = later(from_datetime64(made["decision_at"].to_numpy().min()), span)
    return made.filter(pc.field("decision_at") < pa.scalar(as_datetime64(end)))


def _left_out(evidence: WatchEvidence) -> str:
    found = []
    if evidence.awaited:
        found.append(f"The outcomes of {evidence.awaited:%Y-%m-%d} and after are not all known yet.")
    if evidence.changed_rows:
        found.append(
            f"{evidence.changed_rows:,} decisions are left out: their features changed since they were answered."
        )
    if evidence.days_given_up:
        found.append(f"{evidence.days_given_up} days are left out: their outcomes stayed away.")
    return "".join(f" {sentence}" for sentence in found)


def _stays(text: str) -> WatchDecision:
    return WatchDecision("stays", Reason("better_than_predecessor", True, None, None, text))
