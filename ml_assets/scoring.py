"""Predictions for the decisions that are due, each made once.

What belongs here: which rows are due, which model answers, and the files. What does not: training, verdicts.

Due is a decision that has no prediction and whose label the champion cannot have learned from: unknown, or known only after the champion's last
training. A month that was scored to its end is not read again until its bytes change or an older champion returns: `scored.json` beside the
predictions remembers that. It is derived; if it is lost, all months are read once more and nothing is predicted twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from filelock import FileLock
from sklearn.pipeline import Pipeline

from ml_assets.declaration import ModelDeclaration
from ml_assets.decision_rows import decision_keys, moments
from ml_assets.errors import ArtifactError, ScoringError, VersionMissing
from ml_assets.estimators import predict
from ml_assets.lake import PREDICTION_SCHEMA, Lake, Part, write_whole
from ml_assets.moments import Moments, as_datetime64, from_datetime64, in_utc, moment_of, text_of
from ml_assets.registry import Registry, Version

Status = Literal["champion", "fallback", "no_champion", "nothing_due"]
LOCK_SECONDS = 600


@dataclass(frozen=True)
class ScoringReport:
    """What one call did. `version` is the model that answered; `reason` is why it was not the champion."""

    model: str
    status: Status
    rows: int
    dates: tuple[date, ...]
    version: int | None
    reason: str | None
    as_of: datetime | None
    files: tuple[Path, ...]
    parts_read: int


@dataclass(frozen=True, eq=False)
class Scorer:
    """The model that answers, and why it is that one."""

    pipeline: Pipeline
    version: int
    sha256: str
    columns: tuple[str, ...]
    status: Literal["champion", "fallback"]
    reason: str | None


@dataclass(frozen=True)
class _Progress:
    """Which bytes of which parts are scored to the end, by champions trained through when; how many dates had files then."""

    parts: Mapping[str, str]
    trained_through: datetime | None
    as_of: datetime | None
    dates: tuple[date, ...]


def score_due(lake: Lake, registry: Registry, declaration: ModelDeclaration, *, as_of: datetime | None = None) -> ScoringReport:
    """Predicts what is due and writes it to the lake; a second call with nothing new reads no rows and writes nothing.

    Args:
        as_of: decisions after this moment are not due yet (default: the latest moment that the training set speaks of).

    Raises:
        ScoringError: if neither the champion nor a fallback can answer, or a decision's key is not unique.
        LakeError: if what is published cannot be read.
    """
    model = declaration.name
    champion = registry.champion(model)
    if champion is None:
        return ScoringReport(model, "no_champion", 0, (), None, f"{model} has no champion yet", as_of, (), 0)
    folder = lake.predictions_folder(model)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock", timeout=LOCK_SECONDS):
        progress = _read_progress(folder, lake, champion)
        pending = [part for part in lake.parts(declaration.training_set) if progress.parts.get(part.part) != part.sha256]
        if not pending:
            return ScoringReport(model, "nothing_due", 0, (), champion.version, None, as_of or progress.as_of, (), 0)
        times = {part.part: _times(lake, declaration, part) for part in pending}
        watermark = max([*(known for _, _, known in times.values()), *([as_datetime64(progress.as_of)] if progress.as_of else [])])
        until = as_datetime64(as_of) if as_of else watermark
        scorer: Scorer | None = None
        files: dict[date, Path] = {}
        count = 0
        finished = dict(progress.parts)
        for part in pending:
            decision_at, due, _ = times[part.part]
            chosen = (decision_at <= until) & (due | (due.size == 0))
            chosen = _due(lake, declaration, part, champion, until)
            if len(chosen):
                scorer = scorer or choose_scorer(registry, declaration, champion)
                written = _score_part(lake, declaration, part, chosen, scorer, until)
                files.update(written)
                count += len(chosen)
            if (decision_at <= until).all():
                finished[part.part] = part.sha256
            else:
                finished.pop(part.part, None)
        _write_progress(folder, lake, model, _Progress(finished, champion.trained_through, from_datetime64(until), ()))
    if scorer is None:
        return ScoringReport(model, "nothing_due", 0, (), champion.version, None, from_datetime64(until), (), len(pending))
    dates = tuple(sorted(files))
    return ScoringReport(
        model, scorer.status, count, dates, scorer.version, scorer.reason, from_datetime64(until), tuple(files[day] for day in dates), len(pending)
    )
