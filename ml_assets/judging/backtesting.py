"""A model's life replayed: trained anew at each origin, judged on what came next, with the baselines beside it.

What belongs here: the replay. What does not: how one fit is made (`training.py`) or judged (`evaluation.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa

from ml_assets.declaration.model import ModelDeclaration
from ml_assets.errors import TrainingError
from ml_assets.fitting.estimators import predict
from ml_assets.fitting.splitting import known_by, rolling_origins
from ml_assets.fitting.training import Progress, fit, fit_baselines
from ml_assets.judging.evaluation import Score, score_subjects
from ml_assets.lake.decision_rows import DecisionRows
from ml_assets.measuring.metrics import METRICS, Floats, measure
from ml_assets.moments import as_datetime64, in_utc, text_of


@dataclass(frozen=True)
class Origin:
    """One replayed training: from labels known by `trained_through`, judged on decisions up to `through`; the declared
    metric by subject.
    """

    trained_through: datetime
    through: datetime
    training_rows: int
    rows: int
    values: dict[str, float]


@dataclass(frozen=True, eq=False)
class Backtest:
    """Each origin, the figures over all of them together, and every prediction beside its label."""

    model: str
    metric: str
    origins: tuple[Origin, ...]
    scores: tuple[Score, ...]
    rows: DecisionRows
    predictions: dict[str, Floats]


def backtest(
    rows: DecisionRows,
    declaration: ModelDeclaration,
    *,
    through: datetime,
    every: timedelta,
    first: datetime | None = None,
    threads: int = 1,
    progress: Progress | None = None,
    after_origin: Callable[[Origin], None] | None = None,
) -> Backtest:
    """Replays the model from `first` (default: the declared `evaluation.backtest_from`).

    A decision is predicted by the model of the newest origin before it, which knew only the labels known at that
    origin. Decisions whose label is not known by `through` are not judged.

    Raises:
        TrainingError: if no start is given or declared, or nothing is left to judge.
    """
    start = first or declaration.evaluation.backtest_from
    if start is None:
        raise TrainingError(
            f"{declaration.name}: no start for a backtest; declare evaluation.backtest_from in {declaration.file}, or "
            "pass one"
        )
    through = in_utc(through)
    origins = rolling_origins(start, through, every)
    judged = known_by(rows, through)
    pieces: list[DecisionRows] = []
    predicted: list[dict[str, Floats]] = []
    report: list[Origin] = []
    for position, origin in enumerate(origins):
        if progress:
            progress(f"trained through {text_of(origin)}", position, len(origins))
        end = min(origin + every, through)
        piece = judged.where((judged.decision_at > as_datetime64(origin)) & (judged.decision_at <= as_datetime64(end)))
        if len(piece) == 0:
            continue
        known = known_by(rows, origin)
        models = {
            "candidate": fit(known, declaration, origin, threads=threads),
            **fit_baselines(known, declaration, origin),
        }
        answers = {name: predict(fitted.model, piece.inputs, declaration.task) for name, fitted in models.items()}
        values = {name: measure(declaration.evaluation.metric, piece.label, answer) for name, answer in answers.items()}
        report.append(Origin(origin, end, len(known), len(piece), values))
        if after_origin:
            after_origin(report[-1])
        pieces.append(piece)
        predicted.append(answers)
    if not pieces:
        raise TrainingError(
            f"{declaration.name}: nothing to judge between {text_of(start)} and {text_of(through)}; land later data, "
            "or start earlier"
        )
    if progress:
        progress("replayed", len(origins), len(origins))
    together = _joined(pieces)
    predictions = {name: np.concatenate([answers[name] for answers in predicted]) for name in predicted[0]}
    scores = score_subjects(together, predictions, declaration)
    return Backtest(
        declaration.name, METRICS[declaration.evaluation.metric].name, tuple(report), scores, together, predictions
    )


def _joined(pieces: list[DecisionRows]) -> DecisionRows:
    inputs = pa.concat_tables([piece.inputs for piece in pieces]).unify_dictionaries().combine_chunks()
    return DecisionRows(
        inputs,
        np.concatenate([piece.label for piece in pieces]),
        np.concatenate([piece.decision_at for piece in pieces]),
        np.concatenate([piece.label_known_at for piece in pieces]),
        pa.concat_arrays(
            [piece.keys if isinstance(piece.keys, pa.Array) else piece.keys.combine_chunks() for piece in pieces]
        ),
    )
