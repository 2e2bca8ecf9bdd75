"""Predictions for the decisions that are due, each made once.

What belongs here: which rows are due, which model answers, and the files. What does not: training, verdicts.

Due is a decision that has no prediction and whose label the champion cannot have learned from: unknown, or known only
after the champion's last training. A month that was scored to its end is not read again until its bytes change or an
older champion returns: `scored.json` beside the predictions remembers that. It is derived; if it is lost, all months
are read once more and nothing is predicted twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute
from filelock import FileLock
from sklearn.pipeline import Pipeline

from ml_assets.decision_rows import decision_keys, moments
from ml_assets.errors import ArtifactError, ScoringError, VersionMissing
from ml_assets.estimators import predict
from ml_assets.lake import PREDICTION_SCHEMA, Lake, Part, write_whole
from ml_assets.model_declaration import ModelDeclaration
from ml_assets.moments import Moments, as_datetime64, from_datetime64, in_utc, moment_of, text_of
from ml_assets.registry import Registry, Version

pc: Any = pyarrow.compute  # its functions are made when it is imported, where type checkers cannot see them

Status = Literal["champion", "fallback", "no_champion", "nothing_due"]
Positions = npt.NDArray[np.int64]
EPOCH = np.datetime64(0, "us")
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
    """Which bytes of which parts were scored to their end, for a champion trained through when, as of when."""

    parts: Mapping[str, str]
    trained_through: datetime
    as_of: datetime | None


@dataclass(frozen=True, eq=False)
class _PartRows:
    """The keys and times of one part's rows."""

    part: Part
    keys: pa.Array
    decision_at: Moments
    label_known_at: Moments

    @property
    def watermark(self) -> np.datetime64:
        latest = [
            np.append(values[~np.isnat(values)], EPOCH).max() for values in (self.decision_at, self.label_known_at)
        ]
        return max(latest)


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
    model = declaration.name
    champion = registry.champion(model)
    if champion is None:
        return ScoringReport(model, "no_champion", 0, (), None, f"{model} has no champion yet", as_of, (), 0)
    folder = lake.predictions_folder(model)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock", timeout=LOCK_SECONDS):
        progress = _read_progress(lake, model, champion)
        parts = lake.parts(declaration.training_set)
        pending = [
            _part_rows(lake, declaration, part) for part in parts if progress.parts.get(part.part) != part.sha256
        ]
        until = in_utc(as_of) if as_of else _watermark(pending, progress)
        scorer: Scorer | None = None
        files: dict[date, Path] = {}
        count = 0
        finished = {part.part: part.sha256 for part in parts if progress.parts.get(part.part) == part.sha256}
        for rows in pending:
            due = _due(lake, model, rows, champion, until)
            if len(due):
                scorer = scorer or choose_scorer(registry, declaration, champion)
                files.update(_score(lake, declaration, rows, due, scorer, until))
                count += len(due)
            if (rows.decision_at <= as_datetime64(until)).all():
                finished[rows.part.part] = rows.part.sha256
        if pending:
            _write_progress(lake, model, _Progress(finished, champion.trained_through, until))
    dates = tuple(sorted(files))
    return ScoringReport(
        model=model,
        status=scorer.status if scorer else "nothing_due",
        rows=count,
        dates=dates,
        version=scorer.version if scorer else champion.version,
        reason=scorer.reason if scorer else None,
        as_of=until,
        files=tuple(files[day] for day in dates),
        parts_read=len(pending),
    )


def score_from_spine(lake: Lake, registry: Registry, declaration: ModelDeclaration, *, reason: str) -> ScoringReport:
    """Lets the fallback answer the due decisions that have no prediction, from the published spine alone.

    For the time in which the training set cannot be trusted: decisions must be answered, and the fallback needs no
    feature that the spine does not hold. Each answer is marked as a fallback's, with the reason.

    Raises:
        ScoringError: if no spine is declared or no fallback can answer from it.
        LakeError: if the spine is not published.
    """
    model = declaration.name
    champion = registry.champion(model)
    if champion is None:
        return ScoringReport(model, "no_champion", 0, (), None, f"{model} has no champion yet", None, (), 0)
    if declaration.spine is None:
        raise ScoringError(
            f"{model}: {declaration.training_set} names no spine, so nothing can be predicted while it is not to be "
            "trusted; publish the due decisions and name that table in config.meta.spine"
        )
    columns = lake.columns(declaration.spine)
    scorer = _fallback_for(registry, declaration, champion, columns, reason)
    files: dict[date, Path] = {}
    count = 0
    with FileLock(lake.predictions_folder(model) / ".lock", timeout=LOCK_SECONDS):
        parts = [part for part in lake.parts(declaration.spine) if part.part >= f"{champion.trained_through:%Y-%m}"]
        spine = [_spine_rows(lake, declaration, part) for part in parts]
        until = max((from_datetime64(rows.decision_at.max()) for rows in spine), default=champion.trained_through)
        for rows in spine:
            due = _due(lake, model, rows, champion, until)
            due = due[rows.decision_at[due] > as_datetime64(champion.trained_through)]
            if len(due):
                files.update(_score(lake, declaration, rows, due, scorer, until))
                count += len(due)
    dates = tuple(sorted(files))
    return ScoringReport(
        model=model,
        status="fallback" if count else "nothing_due",
        rows=count,
        dates=dates,
        version=scorer.version,
        reason=reason,
        as_of=until,
        files=tuple(files[day] for day in dates),
        parts_read=len(spine),
    )


def score_past(
    lake: Lake, registry: Registry, declaration: ModelDeclaration, *, start: datetime, end: datetime
) -> ScoringReport:
    """Answers the decisions from `start` to `end` that never had a prediction, each by the champion of its time.

    That is the newest champion whose labels were all known by the decision, so none answers what it has learned from.
    Each answer says that it came after the fact. What was predicted keeps its prediction; a decision older than every
    champion stays without one.

    Raises:
        ScoringError: if a decision's key is not unique.
        ArtifactError: if a champion's file is broken.
        LakeError: if what is published cannot be read.
    """
    model = declaration.name
    champions = registry.champions(model)
    if not champions:
        return ScoringReport(model, "no_champion", 0, (), None, f"{model} has no champion yet", None, (), 0)
    known_from = np.array([as_datetime64(version.trained_through) for version in champions])
    first, last = as_datetime64(start), as_datetime64(end)
    files: dict[date, Path] = {}
    scorers: dict[int, Scorer] = {}
    count = older = parts_read = 0
    with FileLock(lake.predictions_folder(model) / ".lock", timeout=LOCK_SECONDS):
        for part in lake.parts(declaration.training_set):
            if part.part[:1].isdigit() and not f"{start:%Y-%m}" <= part.part <= f"{end:%Y-%m}":
                continue
            rows = _part_rows(lake, declaration, part)
            parts_read += 1
            asked = _unanswered(
                lake, model, rows, np.flatnonzero((rows.decision_at >= first) & (rows.decision_at <= last))
            )
            of_its_time = np.searchsorted(known_from, rows.decision_at[asked], side="right") - 1
            older += int((of_its_time < 0).sum())
            for position in np.unique(of_its_time[of_its_time >= 0]):
                version = champions[position]
                if version.version not in scorers:
                    reason = f"Answered after the fact by version {version.version}, the champion of that time."
                    pipeline = registry.load(version)
                    scorers[version.version] = Scorer(
                        pipeline, version.version, version.sha256, version.columns, "champion", reason
                    )
                chosen = asked[of_its_time == position]
                known = from_datetime64(rows.watermark)
                files.update(_score(lake, declaration, rows, chosen, scorers[version.version], known))
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


def _fallback_for(
    registry: Registry, declaration: ModelDeclaration, champion: Version, columns: Sequence[str], reason: str
) -> Scorer:
    problems: list[str] = []
    for version in (champion, registry.previous_champion(declaration.name)):
        if version is None or not version.fallback_sha256 or declaration.service.fallback == "none":
            continue
        try:
            pipeline = registry.load(version, "fallback")
        except (ArtifactError, VersionMissing) as error:
            problems.append(f"version {version.version}: {error}")
            continue
        wanted = [str(name) for name in getattr(pipeline[-1], "by", ())]
        missing = [name for name in wanted if name not in columns]
        if missing:
            problems.append(f"version {version.version}: {declaration.spine} has no column {', '.join(missing)}")
            continue
        asked = tuple(wanted) or (declaration.decision_at,)
        return Scorer(pipeline, version.version, version.fallback_sha256, asked, "fallback", reason)
    raise ScoringError(
        f"{declaration.name}: no fallback can answer from {declaration.spine}; "
        + ("; ".join(problems) or "none is declared")
    )


def _spine_rows(lake: Lake, declaration: ModelDeclaration, part: Part) -> _PartRows:
    columns = list(dict.fromkeys([*declaration.entity, declaration.decision_at]))
    table = lake.read(part.table, columns, [part.part])
    decision_at = moments(table[declaration.decision_at])
    unknown = np.full(len(decision_at), np.datetime64("NaT"), dtype="datetime64[us]")
    return _PartRows(part, decision_keys(table, declaration.entity), decision_at, unknown)


def choose_scorer(registry: Registry, declaration: ModelDeclaration, champion: Version) -> Scorer:
    """The champion if its file is sound; else the champion before it, else the fallback baseline fitted beside either,
    if `service.fallback` allows one.

    Raises:
        ScoringError: listing why each of them cannot answer.
    """
    reasons: list[str] = []
    previous = registry.previous_champion(declaration.name)
    choices: list[tuple[Version, Literal["final", "fallback"]]] = [(champion, "final")]
    if declaration.service.fallback != "none":
        if previous:
            choices.append((previous, "final"))
        choices.extend((version, "fallback") for version in (champion, previous) if version and version.fallback_sha256)
    for version, which in choices:
        try:
            pipeline = registry.load(version, which)
        except (ArtifactError, VersionMissing) as error:
            reasons.append(f"version {version.version} ({which}): {error}")
            continue
        sha256 = version.sha256 if which == "final" else version.fallback_sha256 or ""
        status: Literal["champion", "fallback"] = "champion" if version is champion and which == "final" else "fallback"
        return Scorer(pipeline, version.version, sha256, version.columns, status, "; ".join(reasons) or None)
    raise ScoringError(
        f"{declaration.name}: no model can answer; restore one of these files, or train and promote again. "
        + "; ".join(reasons)
    )


def _part_rows(lake: Lake, declaration: ModelDeclaration, part: Part) -> _PartRows:
    columns = [*declaration.entity, declaration.decision_at, declaration.label_known_at]
    table = lake.read(declaration.training_set, list(dict.fromkeys(columns)), [part.part])
    return _PartRows(
        part,
        decision_keys(table, declaration.entity),
        moments(table[declaration.decision_at]),
        moments(table[declaration.label_known_at]),
    )


def _watermark(pending: Sequence[_PartRows], progress: _Progress) -> datetime:
    latest = [from_datetime64(rows.watermark) for rows in pending] + ([progress.as_of] if progress.as_of else [])
    return max(latest)


def _due(lake: Lake, model: str, rows: _PartRows, champion: Version, until: datetime) -> Positions:
    """The positions of the rows that are due and have no prediction."""
    unlearned = np.isnat(rows.label_known_at) | (rows.label_known_at > as_datetime64(champion.trained_through))
    return _unanswered(lake, model, rows, np.flatnonzero(unlearned & (rows.decision_at <= as_datetime64(until))))


def _unanswered(lake: Lake, model: str, rows: _PartRows, due: Positions) -> Positions:
    """Those of the positions that have no prediction.

    Raises:
        ScoringError: if the key of one of them is not unique.
    """
    dates = [day.item() for day in np.unique(rows.decision_at[due].astype("datetime64[D]"))]
    predicted = lake.read_predictions(model, dates, ["decision_key"])["decision_key"]
    keys = rows.keys.take(pa.array(due))
    if pc.count_distinct(keys).as_py() != len(keys):
        raise ScoringError(
            f"{rows.part.table}, part {rows.part.part}: the entity columns do not identify a decision, keys repeat; "
            "give the training set one row per decision, or mark the missing column with config.meta.role: entity"
        )
    return due[~pc.is_in(keys, predicted.combine_chunks()).to_numpy(zero_copy_only=False)]


def _score(
    lake: Lake, declaration: ModelDeclaration, rows: _PartRows, due: Positions, scorer: Scorer, until: datetime
) -> dict[date, Path]:
    inputs = lake.read(rows.part.table, scorer.columns, [rows.part.part])
    predictions = predict(
        scorer.pipeline, inputs if len(due) == inputs.num_rows else inputs.take(pa.array(due)), declaration.task
    )
    decision_at = rows.decision_at[due]
    count = len(due)
    table = pa.table(
        {
            "model": pa.repeat(declaration.name, count),
            "decision_key": rows.keys.take(pa.array(due)),
            "decision_at": decision_at,
            "model_version": pa.repeat(pa.scalar(scorer.version, pa.int32()), count),
            "model_sha256": pa.repeat(scorer.sha256, count),
            "prediction": predictions,
            "prediction_status": pa.repeat(scorer.status, count),
            "status_reason": pa.repeat(pa.scalar(scorer.reason, pa.string()), count),
            "scored_as_of": pa.repeat(pa.scalar(in_utc(until).replace(tzinfo=None), pa.timestamp("us")), count),
        },
        schema=PREDICTION_SCHEMA,
    )
    days = decision_at.astype("datetime64[D]")
    files = {}
    for day in np.unique(days):
        chosen = table.filter(pa.array(days == day))
        present = lake.read_predictions(declaration.name, [day.item()])
        files[day.item()] = lake.write_predictions(declaration.name, day.item(), pa.concat_tables([present, chosen]))
    return files


def _read_progress(lake: Lake, model: str, champion: Version) -> _Progress:
    """What was scored before, as far as it still counts: not if a predictions file is gone, nor for an older champion,
    which may be asked about more.
    """
    nothing = _Progress({}, champion.trained_through, None)
    try:
        found = json.loads(_progress_path(lake, model).read_text())
        progress = _Progress(found["parts"], moment_of(found["trained_through"]), moment_of(found["as_of"]))
        dates = {date.fromisoformat(day) for day in found["dates"]}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return nothing
    if champion.trained_through < progress.trained_through or not dates <= set(lake.prediction_dates(model)):
        return nothing
    return progress


def _write_progress(lake: Lake, model: str, progress: _Progress) -> None:
    found = {
        "parts": progress.parts,
        "trained_through": text_of(progress.trained_through),
        "as_of": text_of(progress.as_of) if progress.as_of else None,
        "dates": [str(day) for day in lake.prediction_dates(model)],
    }
    write_whole(_progress_path(lake, model), json.dumps(found, indent=1, sort_keys=True).encode())


def _progress_path(lake: Lake, model: str) -> Path:
    return lake.predictions_folder(model) / "scored.json"
