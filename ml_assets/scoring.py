"""Predictions for the decisions that are due, each made once.

What belongs here: which rows are due, what answers each, and the files. What does not: which models there are to ask
(`scorers.py`), training, verdicts.

Due is a decision that has no prediction and whose label the champion cannot have learned from: unknown, or known only
after the champion's last training. A month that was scored to its end is not read again until its bytes change or an
older champion returns: `scored.json` beside the predictions remembers that. It is derived; if it is lost, all months
are read once more and nothing is predicted twice.

Where `service.max_missing` is declared, a row that misses more than that of what the model relies on (`missing.py`) is
answered by the fallback baseline; one that misses a good part, but not that much, is answered as ever and marked.
"""

from __future__ import annotations

import json
from collections import Counter
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

from ml_assets.decision_rows import decision_keys, moments
from ml_assets.errors import ColumnsMissing, ScoringError
from ml_assets.estimators import predict
from ml_assets.lake import PREDICTION_SCHEMA, Lake, Part, write_whole
from ml_assets.missing import MARKED_SHARE, gaps_in, weights_of
from ml_assets.model_declaration import ModelDeclaration
from ml_assets.moments import Moments, as_datetime64, from_datetime64, in_utc, moment_of, text_of
from ml_assets.registry import Registry
from ml_assets.scorers import Scorer, choose_baseline, choose_scorer, trouble_of
from ml_assets.versions import Standing, Version

pc: Any = pyarrow.compute  # its functions are made when it is imported, where type checkers cannot see them

Status = Literal["champion", "fallback", "mixed", "no_champion", "nothing_due"]
Positions = npt.NDArray[np.int64]
EPOCH = np.datetime64(0, "us")
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
    standing = registry.standing(model)
    champion = standing.champion
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
        line = _Line(lake, registry, declaration, standing)
        files: dict[date, Path] = {}
        answers: list[pa.Table] = []
        finished = {part.part: part.sha256 for part in parts if progress.parts.get(part.part) == part.sha256}
        for rows in pending:
            due = _due(lake, model, rows, champion, until)
            if len(due):
                answers.append(_answers(line, rows, due, until))
                files.update(_write(lake, model, answers[-1]))
            if (rows.decision_at <= as_datetime64(until)).all():
                finished[rows.part.part] = rows.part.sha256
        if pending:
            _write_progress(lake, model, _Progress(finished, champion.trained_through, until))
    return _report(standing, champion, answers, files, until, len(pending))


def score_from_spine(lake: Lake, registry: Registry, declaration: ModelDeclaration, *, reason: str) -> ScoringReport:
    """Lets the fallback answer the due decisions that have no prediction, from the published spine alone.

    For the time in which the training set cannot be trusted: decisions must be answered, and the fallback needs no
    feature that the spine does not hold. Each answer is marked as a fallback's, with the reason.

    Raises:
        ScoringError: if no spine is declared or no fallback can answer from it.
        LakeError: if the spine is not published.
    """
    model = declaration.name
    standing = registry.standing(model)
    champion = standing.champion
    if champion is None:
        return ScoringReport(model, "no_champion", 0, (), None, f"{model} has no champion yet", None, (), 0)
    if declaration.spine is None:
        raise ScoringError(
            f"{model}: {declaration.training_set} names no spine, so nothing can be predicted while it is not to be "
            "trusted; publish the due decisions and name that table in config.meta.spine"
        )
    reason = f"{reason}; {trouble_of(standing)}" if standing.trouble else reason
    columns = lake.columns(declaration.spine)
    scorer = choose_baseline(registry, declaration, standing, columns, declaration.spine, reason)
    files: dict[date, Path] = {}
    answers: list[pa.Table] = []
    with FileLock(lake.predictions_folder(model) / ".lock", timeout=LOCK_SECONDS):
        parts = [part for part in lake.parts(declaration.spine) if part.part >= f"{champion.trained_through:%Y-%m}"]
        spine = [_spine_rows(lake, declaration, part) for part in parts]
        until = max((from_datetime64(rows.decision_at.max()) for rows in spine), default=champion.trained_through)
        for rows in spine:
            due = _due(lake, model, rows, champion, until)
            due = due[rows.decision_at[due] > as_datetime64(champion.trained_through)]
            if len(due):
                inputs = _inputs(lake, rows, due, scorer.columns)
                answers.append(_table(declaration, rows, due, scorer, inputs, [reason] * len(due), until))
                files.update(_write(lake, model, answers[-1]))
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
                        pipeline, version, version.sha256, version.columns, "champion", False, reason
                    )
                chosen = asked[of_its_time == position]
                scorer = scorers[version.version]
                inputs = _inputs(lake, rows, chosen, scorer.columns)
                texts = [scorer.reason] * len(chosen)
                known = from_datetime64(rows.watermark)
                files.update(_write(lake, model, _table(declaration, rows, chosen, scorer, inputs, texts, known)))
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


def _spine_rows(lake: Lake, declaration: ModelDeclaration, part: Part) -> _PartRows:
    columns = list(dict.fromkeys([*declaration.entity, declaration.decision_at]))
    table = lake.read(part.table, columns, [part.part])
    decision_at = moments(table[declaration.decision_at])
    unknown = np.full(len(decision_at), np.datetime64("NaT"), dtype="datetime64[us]")
    return _PartRows(part, decision_keys(table, declaration.entity), decision_at, unknown)


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


class _Line:
    """Who can be asked, each found out once and only if it is needed."""

    def __init__(self, lake: Lake, registry: Registry, declaration: ModelDeclaration, standing: Standing) -> None:
        self.lake, self.registry, self.declaration, self.standing = lake, registry, declaration, standing
        self._scorers: dict[tuple[str, ...] | None, Scorer] = {}
        self._baselines: dict[tuple[str, ...], Scorer | str] = {}
        self._weights: dict[int, dict[str, float]] = {}

    def scorer(self, published: tuple[str, ...] | None = None) -> Scorer:
        """The first that can answer; `published` are the columns, where some are known to be missing."""
        if published not in self._scorers:
            self._scorers[published] = choose_scorer(self.registry, self.declaration, self.standing, published)
        return self._scorers[published]

    def baseline(self, published: tuple[str, ...]) -> Scorer | str:
        """The baseline that answers what is missing too much for any other, or why there is none."""
        if published not in self._baselines:
            table = self.declaration.training_set
            try:
                self._baselines[published] = choose_baseline(
                    self.registry, self.declaration, self.standing, published, table, ""
                )
            except ScoringError as error:
                self._baselines[published] = str(error)
        return self._baselines[published]

    def weights(self, version: Version) -> dict[str, float]:
        """What a missing feature counts for this version."""
        if version.version not in self._weights:
            self._weights[version.version] = weights_of(self.lake, self.declaration, version)
        return self._weights[version.version]


def _answers(line: _Line, rows: _PartRows, due: Positions, until: datetime) -> pa.Table:
    """The predictions of one part's due rows, in the order of the rows of each who answers."""
    lake, declaration = line.lake, line.declaration
    scorer = line.scorer()
    try:
        inputs = _inputs(lake, rows, due, scorer.columns)
    except ColumnsMissing:
        scorer = line.scorer(lake.columns(rows.part.table, rows.part))
        inputs = _inputs(lake, rows, due, scorer.columns)
    limit = declaration.service.max_missing
    if limit is None or scorer.is_baseline:
        return _table(declaration, rows, due, scorer, inputs, [scorer.reason] * len(due), until)
    gaps = gaps_in(inputs, line.weights(scorer.version))
    over, marked = gaps.share > limit, gaps.share > min(limit, MARKED_SHARE)
    texts = np.full(len(due), scorer.reason, dtype=object)
    if marked.any():
        before = f"{scorer.reason}; " if scorer.reason else ""
        texts[marked] = [before + words for words in gaps.where(marked).in_words(scorer.version.version)]
        texts[over] += f"; {limit:.0%} is allowed"
    baseline = line.baseline(lake.columns(rows.part.table, rows.part)) if over.any() else scorer
    if isinstance(baseline, str):
        texts[over] += f", but {baseline}"
        baseline = scorer
    pieces = []
    if not over.all():
        pieces.append(
            _table(declaration, rows, due[~over], scorer, inputs.filter(pa.array(~over)), list(texts[~over]), until)
        )
    if over.any():
        inputs = _inputs(lake, rows, due[over], baseline.columns)
        pieces.append(_table(declaration, rows, due[over], baseline, inputs, list(texts[over]), until))
    return pa.concat_tables(pieces)


def _inputs(lake: Lake, rows: _PartRows, due: Positions, columns: tuple[str, ...]) -> pa.Table:
    inputs = lake.read(rows.part.table, columns, [rows.part.part])
    return inputs if len(due) == inputs.num_rows else inputs.take(pa.array(due))


def _table(
    declaration: ModelDeclaration,
    rows: _PartRows,
    due: Positions,
    scorer: Scorer,
    inputs: pa.Table,
    reasons: Sequence[str | None],
    until: datetime,
) -> pa.Table:
    count = len(due)
    return pa.table(
        {
            "model": pa.repeat(declaration.name, count),
            "decision_key": rows.keys.take(pa.array(due)),
            "decision_at": rows.decision_at[due],
            "model_version": pa.repeat(pa.scalar(scorer.version.version, pa.int32()), count),
            "model_sha256": pa.repeat(scorer.sha256, count),
            "prediction": predict(scorer.pipeline, inputs, declaration.task),
            "prediction_status": pa.repeat(scorer.status, count),
            "status_reason": pa.array(reasons, pa.string()),
            "scored_as_of": pa.repeat(pa.scalar(in_utc(until).replace(tzinfo=None), pa.timestamp("us")), count),
        },
        schema=PREDICTION_SCHEMA,
    )


def _write(lake: Lake, model: str, answers: pa.Table) -> dict[date, Path]:
    days = moments(answers["decision_at"]).astype("datetime64[D]")
    files = {}
    for day in np.unique(days):
        chosen = answers.filter(pa.array(days == day))
        present = lake.read_predictions(model, [day.item()])
        files[day.item()] = lake.write_predictions(model, day.item(), pa.concat_tables([present, chosen]))
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
