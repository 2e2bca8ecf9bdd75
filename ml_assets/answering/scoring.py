"""Predictions for the decisions that are due, each made once.

What belongs here: the three ways of answering: what is due, from the spine alone, and after the fact. What does not:
which rows are due (`due.py`), what answers each (`answers.py`), which models there are to ask (`scorers.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute
from filelock import FileLock
from sklearn.pipeline import Pipeline

from ml_assets.answering.answers import Line, answer_rows, inputs_of, predictions_table, write_answers
from ml_assets.answering.due import (
    Progress,
    asked_first,
    due_rows,
    part_rows,
    read_progress,
    spine_rows,
    unanswered,
    watermark_of,
    write_progress,
)
from ml_assets.answering.scorers import Scorer, choose_baseline, trouble_of
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.errors import LakeError, RegistryError, ScoringError, VersionUnusable
from ml_assets.lake.parts import may_hold
from ml_assets.lake.results import PREDICTION_SCHEMA
from ml_assets.lake.snapshot import Lake, Snapshot
from ml_assets.lake.watermark import known_through
from ml_assets.moments import as_datetime64, from_datetime64, in_utc
from ml_assets.registry.asking import ask
from ml_assets.registry.registry import Registry
from ml_assets.registry.versions import Standing, Version

pc: Any = pyarrow.compute  # its functions are made when it is imported, where type checkers cannot see them

Status = Literal["champion", "fallback", "mixed", "no_champion", "nothing_due"]
LOCK_SECONDS = 600


@dataclass(frozen=True)
class ScoringReport:
    """What one call did.

    `status` is that of the answers, `mixed` if a fallback gave some of them; `version` is the model that was asked
    first. `reason` is why not every answer is the champion's plain one, `marked_rows` how many say so.
    """

    model: str
    status: Status
    rows: int
    dates: tuple[date, ...]
    version: int | None
    reason: str | None
    as_of: datetime | None
    files: tuple[Path, ...]
    parts_read: int
    marked_rows: int = 0


def score_due(
    lake: Lake, registry: Registry, declaration: ModelDeclaration, *, as_of: datetime | None = None
) -> ScoringReport:
    """Predicts what is due and writes it to the lake; a second call with nothing new reads no rows and writes nothing.

    Args:
        as_of: decisions after this moment are not due yet (default: the latest moment that the training set speaks of).

    Raises:
        ScoringError: if neither the champion nor a fallback can answer, or a decision's key is not unique.
        LakeError: if what is published cannot be read.
    """
    lake, model = lake.open(), declaration.name
    standing = _standing(lake, registry, model, declaration.training_set)
    champion = standing.champion
    if champion is None:
        return _nobody(model, standing, as_of)
    folder = lake.predictions_folder(model)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock", timeout=LOCK_SECONDS):
        line = Line(lake, registry, declaration, standing)
        asked = asked_first(standing, line.through)
        progress = read_progress(lake, model, asked)
        parts = lake.parts(declaration.training_set)
        pending = [part_rows(lake, declaration, part) for part in parts if progress.parts.get(part.part) != part.sha256]
        until = in_utc(as_of) if as_of else watermark_of(pending, progress)
        files: dict[date, Path] = {}
        answers: list[pa.Table] = []
        finished = {part.part: part.sha256 for part in parts if progress.parts.get(part.part) == part.sha256}
        for rows in pending:
            due = due_rows(lake, model, rows, asked, until)
            if len(due):
                answers.append(answer_rows(line, rows, due, until))
                files.update(write_answers(lake, model, answers[-1]))
            if (rows.decision_at <= as_datetime64(until)).all():
                finished[rows.part.part] = rows.part.sha256
        if pending:
            write_progress(lake, model, Progress(finished, asked.trained_through, until))
    return _report(standing, champion, answers, files, until, len(pending))


def score_from_spine(lake: Lake, registry: Registry, declaration: ModelDeclaration, *, reason: str) -> ScoringReport:
    """Lets the fallback answer the due decisions that have no prediction, from the published spine alone.

    For the time in which the training set cannot be trusted: decisions must be answered, and the fallback needs no
    feature that the spine does not hold. Each answer is marked as a fallback's, with the reason.

    Raises:
        ScoringError: if no spine is declared or no fallback can answer from it.
        LakeError: if the spine is not published.
    """
    lake, model = lake.open(), declaration.name
    standing = _standing(lake, registry, model, declaration.spine or declaration.training_set)
    champion = standing.champion
    if champion is None:
        return _nobody(model, standing, None)
    if declaration.spine is None:
        raise ScoringError(
            f"{model}: {declaration.training_set} names no spine, so nothing can be predicted while it is not to be "
            "trusted; publish the due decisions and name that table in config.meta.spine"
        )
    reason = f"{reason}; {trouble_of(standing)}" if standing.trouble else reason
    columns = lake.columns(declaration.spine)
    through = _trained_at_most(lake, declaration)
    scorer = choose_baseline(registry, declaration, standing, columns, declaration.spine, reason, through=through)
    asked = asked_first(standing, through)
    files: dict[date, Path] = {}
    answers: list[pa.Table] = []
    with FileLock(lake.predictions_folder(model) / ".lock", timeout=LOCK_SECONDS):
        parts = [part for part in lake.parts(declaration.spine) if may_hold(part.part, asked.trained_through)]
        spine = [spine_rows(lake, declaration, part) for part in parts]
        until = max((from_datetime64(rows.decision_at.max()) for rows in spine), default=asked.trained_through)
        for rows in spine:
            due = due_rows(lake, model, rows, asked, until)
            due = due[rows.decision_at[due] > as_datetime64(asked.trained_through)]
            if len(due):
                inputs = inputs_of(lake, rows, due, scorer.columns)
                answers.append(predictions_table(declaration, rows, due, scorer, inputs, [reason] * len(due), until))
                files.update(write_answers(lake, model, answers[-1]))
    return _report(standing, champion, answers, files, until, len(spine))


def score_past(
    lake: Lake, registry: Registry, declaration: ModelDeclaration, *, start: datetime, end: datetime
) -> ScoringReport:
    """Answers the decisions from `start` to `end` that never had a prediction, each by the champion of its time.

    That is the newest champion whose labels were all known by the decision, so none answers what it has learned from.
    Each answer says that it came after the fact. What was predicted keeps its prediction; a decision older than every
    champion stays without one.

    Raises:
        ScoringError: if a decision's key is not unique.
        VersionUnusable: if a champion of that time cannot be asked.
        LakeError: if what is published cannot be read.
    """
    lake, model = lake.open(), declaration.name
    champions = registry.champions(model) if _has_rows(lake, declaration.training_set) else ()
    if not champions:
        return _nobody(model, Standing(None, None), None)
    known_from = np.array([as_datetime64(version.trained_through) for version in champions])
    first, last = as_datetime64(start), as_datetime64(end)
    files: dict[date, Path] = {}
    scorers: dict[int, Scorer] = {}
    count = older = parts_read = 0
    with FileLock(lake.predictions_folder(model) / ".lock", timeout=LOCK_SECONDS):
        for part in lake.parts(declaration.training_set):
            if not may_hold(part.part, start, end):
                continue
            rows = part_rows(lake, declaration, part)
            parts_read += 1
            asked = unanswered(
                lake, model, rows, np.flatnonzero((rows.decision_at >= first) & (rows.decision_at <= last))
            )
            of_its_time = np.searchsorted(known_from, rows.decision_at[asked], side="right") - 1
            older += int((of_its_time < 0).sum())
            for position in np.unique(of_its_time[of_its_time >= 0]):
                version = champions[position]
                if version.version not in scorers:
                    reason = f"Answered after the fact by version {version.version}, the champion of that time."
                    columns = version.inputs or (declaration.decision_at,)
                    scorers[version.version] = Scorer(
                        _ask_past(registry, declaration, version), version, version.sha256, columns, "champion", False,
                        reason,
                    )  # fmt: skip
                chosen = asked[of_its_time == position]
                scorer = scorers[version.version]
                inputs = inputs_of(lake, rows, chosen, scorer.columns)
                texts = [scorer.reason] * len(chosen)
                known = from_datetime64(rows.watermark)
                files.update(
                    write_answers(
                        lake, model, predictions_table(declaration, rows, chosen, scorer, inputs, texts, known)
                    )
                )
                count += len(chosen)
    dates = tuple(sorted(files))
    return ScoringReport(
        model=model,
        status="champion" if count else "nothing_due",
        rows=count,
        dates=dates,
        version=max(scorers, default=None),
        reason=f"{older:,} decisions are older than every champion and stay without a prediction" if older else None,
        as_of=end,
        files=tuple(files[day] for day in dates),
        parts_read=parts_read,
    )


def _standing(lake: Snapshot, registry: Registry, model: str, decisions: str) -> Standing:
    """Who answers. Where the registry cannot say and the table of decisions is empty, nobody, with the trouble: nothing
    waits for an answer, so nothing fails.

    Raises:
        RegistryError: if it cannot say, no champion was ever seen, and there are decisions.
    """
    try:
        return registry.standing(model)
    except RegistryError as error:
        if _has_rows(lake, decisions):
            raise
        return Standing(None, None, f"{decisions} has no decisions yet, and {getattr(error, 'trouble', error)}")


def _has_rows(lake: Snapshot, table: str) -> bool:
    return table in lake.tables() and lake.rows(table) > 0


def _nobody(model: str, standing: Standing, as_of: datetime | None) -> ScoringReport:
    reason = f"{model} has no champion yet"
    reason = f"{reason}: {standing.trouble}" if standing.trouble else reason
    return ScoringReport(model, "no_champion", 0, (), None, reason, as_of, (), 0)


def _ask_past(registry: Registry, declaration: ModelDeclaration, version: Version) -> Pipeline:
    try:
        return ask(registry, declaration, version)
    except VersionUnusable as error:
        raise VersionUnusable(
            f"{version.model}: version {version.version}, the champion of that time: {error}"
        ) from None


def _trained_at_most(lake: Snapshot, declaration: ModelDeclaration) -> datetime | None:
    """How far the training set goes; unknown while it cannot be trusted or read."""
    try:
        return known_through(lake, declaration)
    except LakeError:
        return None


def _report(
    standing: Standing,
    champion: Version,
    answers: Sequence[pa.Table],
    files: Mapping[date, Path],
    until: datetime,
    parts_read: int,
) -> ScoringReport:
    dates = tuple(sorted(files))
    told = pa.concat_tables(answers) if answers else PREDICTION_SCHEMA.empty_table()
    rows, statuses = told.num_rows, pc.unique(told["prediction_status"]).to_pylist()
    reasons = Counter(told["status_reason"].to_pylist())
    marked = rows - reasons.pop(None, 0)
    reason = trouble_of(standing) if standing.trouble else None
    if reasons:
        reason, count = reasons.most_common(1)[0]
        reason = reason if count == rows else f"{count:,} of {rows:,} decisions: {reason}"
    return ScoringReport(
        model=champion.model,
        status="nothing_due" if not rows else "mixed" if len(statuses) > 1 else statuses[0],
        rows=rows,
        dates=dates,
        version=told["model_version"][0].as_py() if rows else champion.version,
        reason=reason,
        as_of=until,
        files=tuple(files[day] for day in dates),
        parts_read=parts_read,
        marked_rows=marked,
    )
