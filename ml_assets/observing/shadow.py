"""A challenger in shadow: it answers what the champion answers, nobody is told, and then it is judged by that.

What belongs here: who is in shadow, its answers, and what they show. What does not: the gate (`promotion.py`).

Who is in shadow is told from the decision log: the version that was last sent there, until it is decided on or another
takes its place. A newer candidate that is rejected takes nobody's place. Its answers lie in
`lake/shadow_predictions/<model>/<version>/<decision_date>.parquet`, in the form of predictions. Where the champion
changes meanwhile, only what the present one has answered since counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from ml_assets.deciding.log import DecisionLog
from ml_assets.deciding.shadow import challenger_in_shadow
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.errors import PerennialError, ResultCorrupt
from ml_assets.fitting.estimators import predict
from ml_assets.fitting.threads import limited_to
from ml_assets.judging.evidence import ShadowEvidence
from ml_assets.lake.decision_rows import DecisionRows, read_rows
from ml_assets.lake.inputs_hash import inputs_hash
from ml_assets.lake.parts import parts_between
from ml_assets.lake.results import PREDICTION_SCHEMA
from ml_assets.lake.snapshot import Lake, Snapshot
from ml_assets.lake.watermark import known_through
from ml_assets.measuring.completeness import complete_days
from ml_assets.measuring.metrics import METRICS, measure
from ml_assets.measuring.sequences import worse_by_sequence
from ml_assets.moments import as_datetime64, from_datetime64
from ml_assets.registry.asking import ask, in_words, why_silent
from ml_assets.registry.registry import Registry
from ml_assets.registry.versions import Version

pc: Any = pyarrow.compute  # its functions are made when it is imported, where type checkers cannot see them

STATUS = "shadow"


@dataclass(frozen=True)
class ShadowReport:
    """What one call did: `rows` answered now, or why the challenger could not answer."""

    version: int
    rows: int
    problem: str | None


def score_in_shadow(
    lake: Lake, registry: Registry, log: DecisionLog, declaration: ModelDeclaration
) -> ShadowReport | None:
    """Lets the challenger answer whatever the champion has answered since the challenger was trained; None without one.

    A challenger that cannot answer, for whatever reason, is reported and hurts nobody. What it could not answer now it
    answers with the next call.
    """
    try:
        challenger = challenger_in_shadow(registry, log, declaration)
    except PerennialError:  # the registry or the log cannot be read: it answers later
        return None
    if challenger is None:
        return None
    try:
        return ShadowReport(challenger.version, _answer_open(lake.open(), registry, declaration, challenger), None)
    except Exception as error:  # whatever a model from elsewhere raises: nobody was to be told of it
        return ShadowReport(challenger.version, 0, in_words(error))


def gather_shadow(
    lake: Snapshot, registry: Registry, declaration: ModelDeclaration, challenger: Version
) -> ShadowEvidence:
    """What the challenger's answers show beside the champion's own, paired by day.

    Raises:
        LakeError: if what is published cannot be read.
    """
    champion = registry.champion(declaration.name)
    made = _made_since(lake, declaration.name, challenger)
    nothing = ShadowEvidence(since=challenger.as_of, served=timedelta(0))
    if champion is None or not made.num_rows:
        return nothing
    decided = made["decision_at"].to_numpy()
    by_champion = made["prediction_status"].to_numpy(zero_copy_only=False) == "champion"
    of_others = decided[by_champion & (made["model_version"].to_numpy() != champion.version)]
    since = max([challenger.as_of, *(from_datetime64(moment) for moment in of_others[-1:])])
    evidence = replace(
        nothing,
        since=since,
        served=from_datetime64(decided[-1]) - since,
        problem=why_silent(lake, registry, declaration, challenger),
        champion_unusable=why_silent(lake, registry, declaration, champion),
    )
    own = made.filter(pa.array(by_champion & (decided > as_datetime64(since))))
    rows = _rows_of(lake, declaration, (), own)
    through = known_through(lake, declaration)
    if not len(rows) or through is None:
        return evidence
    codes, days = rows.day
    over = days + np.timedelta64(1, "D") <= as_datetime64(through)
    known = ~np.isnat(rows.label_known_at)
    state = complete_days(codes, known, over, declaration.domain.complete_share)
    awaited = None if state.awaited is None else from_datetime64(days[state.awaited])
    rows = rows.where(state.judged[codes] & ~np.isnan(rows.label))
    shadow = _read_own(lake, challenger)
    answered = np.asarray(pc.is_in(rows.keys, shadow["decision_key"].combine_chunks()))
    evidence = replace(evidence, missed=int((~answered).sum()), awaited=awaited)
    rows = rows.where(answered)
    if not len(rows):
        return evidence
    codes, days = rows.day
    metric, of_champion = METRICS[declaration.evaluation.metric], _answers(own, rows)
    with limited_to(1):
        figure = worse_by_sequence(
            metric, rows.label, _answers(shadow, rows), of_champion, codes, declaration.gates.confidence
        )
    return replace(
        evidence,
        rows=len(rows),
        days=len(days),
        champion_figure=measure(metric.name, rows.label, of_champion),
        worse_by=figure.value,
        low=figure.low,
        high=figure.high,
    )


def _answer_open(lake: Snapshot, registry: Registry, declaration: ModelDeclaration, challenger: Version) -> int:
    """Answers what has no answer in shadow yet, and says how many decisions that were."""
    made = _made_since(lake, declaration.name, challenger)
    own = _read_own(lake, challenger)
    unanswered = made.filter(pc.invert(pc.is_in(made["decision_key"], own["decision_key"].combine_chunks())))
    if not unanswered.num_rows:
        return 0
    rows = _rows_of(lake, declaration, challenger.inputs, unanswered)
    answers = predict(ask(registry, declaration, challenger), rows.inputs, declaration.task)
    scored = unanswered.take(pc.index_in(rows.keys, unanswered["decision_key"].combine_chunks()))
    table = pa.table(
        {
            **{name: scored[name] for name in ("model", "decision_key", "decision_at", "scored_as_of")},
            "model_version": pa.repeat(pa.scalar(challenger.version, pa.int32()), len(rows)),
            "model_sha256": pa.repeat(challenger.sha256, len(rows)),
            "prediction": answers,
            "prediction_status": pa.repeat(STATUS, len(rows)),
            "status_reason": pa.nulls(len(rows), pa.string()),
            "inputs_hash": inputs_hash(rows.inputs, challenger.inputs),
        }
    )
    table = table.select(PREDICTION_SCHEMA.names).cast(PREDICTION_SCHEMA)
    days = table["decision_at"].to_numpy().astype("datetime64[D]")
    for day in np.unique(days):
        present = _read_own(lake, challenger, [day.item()])
        chosen = table.filter(pa.array(days == day))
        lake.write_predictions(
            declaration.name, day.item(), pa.concat_tables([present, chosen]), shadow=challenger.version
        )
    return len(rows)


def _made_since(lake: Lake, model: str, challenger: Version) -> pa.Table:
    """What was answered for real of the decisions that came after the challenger was trained, oldest first."""
    dates = [day for day in lake.prediction_dates(model) if day >= challenger.as_of.date()]
    table = lake.read_predictions(model, dates)
    return table.filter(pa.array(table["decision_at"].to_numpy() > as_datetime64(challenger.as_of)))


def _read_own(lake: Lake, challenger: Version, dates: Sequence[date] | None = None) -> pa.Table:
    """The challenger's own answers; a file that cannot be read is as good as none, and is then made again."""
    model, version = challenger.model, challenger.version
    pieces = [PREDICTION_SCHEMA.empty_table()]
    for day in lake.prediction_dates(model, shadow=version) if dates is None else dates:
        try:
            pieces.append(lake.read_predictions(model, [day], shadow=version).cast(PREDICTION_SCHEMA))
        except ResultCorrupt:
            continue
    return pa.concat_tables(pieces)


def _answers(predictions: pa.Table, rows: DecisionRows) -> Any:
    places = pc.index_in(rows.keys, predictions["decision_key"].combine_chunks())
    return predictions["prediction"].to_numpy()[places.to_numpy()]


def _rows_of(
    lake: Snapshot, declaration: ModelDeclaration, columns: Sequence[str], predictions: pa.Table
) -> DecisionRows:
    """The training set's rows of these predictions' decisions."""
    decided = predictions["decision_at"].to_numpy()
    span = [from_datetime64(moment) for moment in (decided.min(), decided.max())] if len(decided) else []
    near = parts_between((part.part for part in lake.parts(declaration.training_set)), *span)
    rows = read_rows(lake, declaration, tuple(columns), near)
    return rows.where(pc.is_in(rows.keys, predictions["decision_key"].combine_chunks()).to_numpy(zero_copy_only=False))
