"""A challenger in shadow: it answers what the champion answers, nobody is told, and then it is judged by that.

What belongs here: who is in shadow, its answers, and what they show. What does not: the gate (`promotion.py`).

Who is in shadow is told from the decision log: the newest version, if the last word about it is `in_shadow` and the
champion is still the one that it was judged against. Its answers lie in
`lake/shadow_predictions/<model>/<version>/<decision_date>.parquet`, in the form of predictions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from ml_assets.bootstrap import day_weights, worse_by_day
from ml_assets.decision_log import DecisionLog
from ml_assets.decision_rows import DecisionRows, read_rows
from ml_assets.errors import PerennialError, RegistryUnreachable
from ml_assets.estimators import predict
from ml_assets.lake import PREDICTION_SCHEMA, Lake
from ml_assets.metrics import METRICS
from ml_assets.model_declaration import ModelDeclaration
from ml_assets.moments import as_datetime64, from_datetime64
from ml_assets.promotion import ShadowEvidence
from ml_assets.registry import Registry
from ml_assets.threads import limited_to
from ml_assets.versions import Version

pc: Any = pyarrow.compute  # its functions are made when it is imported, where type checkers cannot see them

STATUS = "shadow"


@dataclass(frozen=True)
class ShadowReport:
    """What one call did: `rows` answered now, or why the challenger could not answer."""

    version: int
    rows: int
    problem: str | None


def challenger_in_shadow(registry: Registry, log: DecisionLog, declaration: ModelDeclaration) -> Version | None:
    """The version that answers beside the champion now; None if there is none."""
    if declaration.gates.shadow is None:
        return None
    versions, champion = registry.versions(declaration.name), registry.champion(declaration.name)
    if not versions or champion is None or versions[-1].version == champion.version or versions[-1].rolled_back:
        return None
    words = [
        one
        for one in log.read()
        if (one.model, one.kind, one.version) == (declaration.name, "promotion", versions[-1].version)
    ]
    is_in = bool(words) and (words[-1].verdict, words[-1].previous_version) == ("in_shadow", champion.version)
    return versions[-1] if is_in else None


def score_in_shadow(
    lake: Lake, registry: Registry, log: DecisionLog, declaration: ModelDeclaration
) -> ShadowReport | None:
    """Lets the challenger answer whatever the champion has answered since the challenger was trained; None without one.

    A challenger that cannot answer is reported and hurts nobody.

    Raises:
        LakeError: if what is published cannot be read.
    """
    try:
        challenger = challenger_in_shadow(registry, log, declaration)
    except RegistryUnreachable:  # it answers later what it could not answer now
        return None
    if challenger is None:
        return None
    made = _since(lake, declaration.name, challenger, None)
    own = _since(lake, declaration.name, challenger, challenger.version)
    open_ = made.filter(pc.invert(pc.is_in(made["decision_key"], own["decision_key"].combine_chunks())))
    if not open_.num_rows:
        return ShadowReport(challenger.version, 0, None)
    rows = _rows_of(lake, declaration, challenger.columns, open_)
    try:
        answers = predict(registry.load(challenger), rows.inputs, declaration.task)
    except (PerennialError, ValueError, TypeError) as error:
        return ShadowReport(challenger.version, 0, str(error))
    scored = open_.take(pc.index_in(rows.keys, open_["decision_key"].combine_chunks()))
    table = pa.table(
        {
            **{name: scored[name] for name in ("model", "decision_key", "decision_at", "scored_as_of")},
            "model_version": pa.repeat(pa.scalar(challenger.version, pa.int32()), len(rows)),
            "model_sha256": pa.repeat(challenger.sha256, len(rows)),
            "prediction": answers,
            "prediction_status": pa.repeat(STATUS, len(rows)),
            "status_reason": pa.nulls(len(rows), pa.string()),
        }
    ).select(PREDICTION_SCHEMA.names)
    days = table["decision_at"].to_numpy().astype("datetime64[D]")
    for day in np.unique(days):
        present = lake.read_predictions(declaration.name, [day.item()], shadow=challenger.version)
        chosen = table.filter(pa.array(days == day)).cast(PREDICTION_SCHEMA)
        lake.write_predictions(
            declaration.name, day.item(), pa.concat_tables([present, chosen]), shadow=challenger.version
        )
    return ShadowReport(challenger.version, len(rows), None)


def gather_shadow(lake: Lake, registry: Registry, declaration: ModelDeclaration, challenger: Version) -> ShadowEvidence:
    """What the challenger's answers within the declared time show beside the champion's own, paired by day.

    Raises:
        LakeError: if what is published cannot be read.
    """
    span = declaration.gates.shadow or timedelta(0)
    champion = registry.champion(declaration.name)
    made = _since(lake, declaration.name, challenger, None)
    nothing = ShadowEvidence(since=challenger.as_of, served=timedelta(0))
    if champion is None or not made.num_rows:
        return nothing
    decided = made["decision_at"].to_numpy()
    served = from_datetime64(decided.max()) - challenger.as_of
    made = made.filter(pa.array(decided <= as_datetime64(challenger.as_of + span)))
    own = made.filter(
        pc.and_(pc.equal(made["model_version"], champion.version), pc.equal(made["prediction_status"], "champion"))
    )
    rows = _rows_of(lake, declaration, (), own)
    rows = rows.where(~np.isnan(rows.label))
    shadow = _since(lake, declaration.name, challenger, challenger.version)
    answered = pc.index_in(rows.keys, shadow["decision_key"].combine_chunks())
    both = np.asarray(answered.is_valid())
    missed = int((~both).sum())
    rows = rows.where(both)
    nothing = ShadowEvidence(since=challenger.as_of, served=served, rows=len(rows), missed=missed)
    if not len(rows):
        return nothing
    metric = METRICS[declaration.evaluation.metric]
    codes, days = rows.day
    with limited_to(1):
        figure = worse_by_day(
            metric,
            rows.label,
            _answers(shadow, rows),
            _answers(own, rows),
            codes,
            day_weights(len(days)),
            declaration.gates.confidence,
        )
    return ShadowEvidence(challenger.as_of, served, len(rows), missed, figure.value, figure.low, figure.high)


def _answers(predictions: pa.Table, rows: DecisionRows) -> Any:
    places = pc.index_in(rows.keys, predictions["decision_key"].combine_chunks())
    return predictions["prediction"].to_numpy()[places.to_numpy()]


def _since(lake: Lake, model: str, challenger: Version, shadow: int | None) -> pa.Table:
    """Predictions of decisions that came after the challenger was trained: the champion's, or its own in shadow."""
    dates = [day for day in lake.prediction_dates(model, shadow=shadow) if day >= challenger.as_of.date()]
    table = lake.read_predictions(model, dates, shadow=shadow)
    return table.filter(pa.array(table["decision_at"].to_numpy() > as_datetime64(challenger.as_of)))


def _rows_of(lake: Lake, declaration: ModelDeclaration, columns: Sequence[str], predictions: pa.Table) -> DecisionRows:
    """The training set's rows of these predictions' decisions."""
    months = {f"{moment:%Y-%m}" for moment in predictions["decision_at"].to_pylist()}
    parts = [part.part for part in lake.parts(declaration.training_set)]
    near = [part for part in parts if part in months or not part[:1].isdigit()]
    rows = read_rows(lake, declaration, tuple(columns), near)
    return rows.where(pc.is_in(rows.keys, predictions["decision_key"].combine_chunks()).to_numpy(zero_copy_only=False))
