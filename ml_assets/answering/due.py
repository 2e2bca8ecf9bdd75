"""Which decisions are due, and how far each part of a table was answered.

What belongs here: the definition of due, and the progress that is kept of it. What does not: who answers
(`scorers.py`), the answers (`scoring.py`).

A decision is due for a model if all of this holds:

1. It has been made: its moment is not after the watermark, the latest moment that the training set speaks of.
2. It has no prediction. What was answered keeps its answer; nothing makes it due again, neither a label that becomes
   known or is corrected, nor another champion, nor a row that has changed.
3. The model that is asked cannot have learned from its outcome: its label is unknown, or became known only after that
   model's last training. So what was decided before the first champion is not answered after the fact by one that knows
   how it ended; `perennial backfill` answers it by the champion of its time, and says so.

The model that is asked is the champion; where its record says that it was trained beyond the watermark, the one before
it. A part that was scored to its end is not read again until its bytes change or an
older champion returns: `scored.json` beside the predictions remembers that. It is derived; if it is lost, all parts are
read once more and nothing is predicted twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

from ml_assets.declaration.model import ModelDeclaration
from ml_assets.errors import ScoringError
from ml_assets.lake.decision_keys import decision_keys
from ml_assets.lake.decision_rows import moments
from ml_assets.lake.files import write_whole
from ml_assets.lake.snapshot import Lake, Part, Snapshot
from ml_assets.moments import Moments, as_datetime64, from_datetime64, moment_of, text_of
from ml_assets.registry.versions import Standing, Version

pc: Any = pyarrow.compute  # its functions are made when it is imported, where type checkers cannot see them


Positions = npt.NDArray[np.int64]
EPOCH = np.datetime64(0, "us")


@dataclass(frozen=True)
class Progress:
    """Which bytes of which parts were scored to their end, for a champion trained through when, as of when."""

    parts: Mapping[str, str]
    trained_through: datetime
    as_of: datetime | None


@dataclass(frozen=True, eq=False)
class PartRows:
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


def spine_rows(lake: Snapshot, declaration: ModelDeclaration, part: Part) -> PartRows:
    columns = list(dict.fromkeys([*declaration.entity, declaration.decision_at]))
    table = lake.read(part.table, columns, [part.part])
    decision_at = moments(table[declaration.decision_at])
    unknown = np.full(len(decision_at), np.datetime64("NaT"), dtype="datetime64[us]")
    return PartRows(part, decision_keys(table, declaration.entity), decision_at, unknown)


def part_rows(lake: Snapshot, declaration: ModelDeclaration, part: Part) -> PartRows:
    columns = [*declaration.entity, declaration.decision_at, declaration.label_known_at]
    table = lake.read(declaration.training_set, list(dict.fromkeys(columns)), [part.part])
    return PartRows(
        part,
        decision_keys(table, declaration.entity),
        moments(table[declaration.decision_at]),
        moments(table[declaration.label_known_at]),
    )


def watermark_of(pending: Sequence[PartRows], progress: Progress) -> datetime:
    latest = [from_datetime64(rows.watermark) for rows in pending] + ([progress.as_of] if progress.as_of else [])
    return max(latest)


def asked_first(standing: Standing, through: datetime | None) -> Version:
    """The version by whose training it is decided what is due: the champion, unless it claims to be from beyond the
    watermark `through`.
    """
    assert standing.champion is not None
    versions = [version for version in (standing.champion, standing.previous) if version is not None]
    return next((one for one in versions if through is None or one.trained_through <= through), standing.champion)


def due_rows(lake: Snapshot, model: str, rows: PartRows, champion: Version, until: datetime) -> Positions:
    """The positions of the rows that are due and have no prediction."""
    unlearned = np.isnat(rows.label_known_at) | (rows.label_known_at > as_datetime64(champion.trained_through))
    return unanswered(lake, model, rows, np.flatnonzero(unlearned & (rows.decision_at <= as_datetime64(until))))


def unanswered(lake: Snapshot, model: str, rows: PartRows, due: Positions) -> Positions:
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


def read_progress(lake: Lake, model: str, champion: Version) -> Progress:
    """What was scored before, as far as it still counts: not if a predictions file is gone, nor for an older champion,
    which may be asked about more.
    """
    nothing = Progress({}, champion.trained_through, None)
    try:
        found = json.loads(_progress_path(lake, model).read_text())
        progress = Progress(found["parts"], moment_of(found["trained_through"]), moment_of(found["as_of"]))
        dates = {date.fromisoformat(day) for day in found["dates"]}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return nothing
    if champion.trained_through < progress.trained_through or not dates <= set(lake.prediction_dates(model)):
        return nothing
    return progress


def write_progress(lake: Lake, model: str, progress: Progress) -> None:
    found = {
        "parts": progress.parts,
        "trained_through": text_of(progress.trained_through),
        "as_of": text_of(progress.as_of) if progress.as_of else None,
        "dates": [str(day) for day in lake.prediction_dates(model)],
    }
    write_whole(_progress_path(lake, model), json.dumps(found, indent=1, sort_keys=True).encode())


def _progress_path(lake: Lake, model: str) -> Path:
    return lake.predictions_folder(model) / "scored.json"
