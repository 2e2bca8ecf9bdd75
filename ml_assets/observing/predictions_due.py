"""The promise to answer what lands: how long it took, and whether something waits too long now.

What belongs here: the promise's definition, and its record. What does not: when files landed (whoever lists the landing
folder says so), alerts, the promise to be made anew (`lateness.py`).

The promise `service.predictions_due` of a model is kept for a file if the time from its landing until a prediction
stands for what it made due is no longer than that, by the wall clock. A file has landed at its time of modification. A
prediction stands when the model's predictions were written, by the champion or by a fallback, after a run of dbt that
began after the landing has published the table which they are made from. A file that changes nothing is answered in the
same way. Small files record that, each replaced whole:

    door.json                 when dbt's look at the landing folder last began
    read/<table>.json         what had landed before this moment is in the published table
    answered/<model>.json     what had landed before `landed_before` is answered, since when, and how long the first
                              file of that landing had waited (null at the beginning)

The promise begins with a model's first answer: what lay there before that was not waited for.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from ml_assets.lake.files import write_whole
from ml_assets.moments import moment_of, text_of


@dataclass(frozen=True)
class Answer:
    """What had landed before `landed_before` was answered at `answered_at`; its first file had `waited` so long."""

    landed_before: datetime
    answered_at: datetime
    waited: timedelta | None


@dataclass(frozen=True)
class PredictionsDue:
    """The record below one folder."""

    root: Path

    def note_look(self, began: datetime) -> None:
        """dbt has looked at the landing folder, and began at this moment."""
        write_whole(self._door, json.dumps({"landed_before": text_of(began)}).encode())

    def last_look(self) -> datetime | None:
        """When dbt's last look at the landing folder began: what had landed before that can be in its tables."""
        return _moment_in(self._door, "landed_before")

    def note_reading(self, table: str, landed_before: datetime) -> None:
        """The table is published anew, with all that had landed before this moment."""
        write_whole(self._reading(table), json.dumps({"landed_before": text_of(landed_before)}).encode())

    def note_answer(self, model: str, table: str, landed: Collection[datetime], now: datetime) -> timedelta | None:
        """Predictions of the model have just been made from the table. Returns how long the first file had waited that
        is answered by that; None if none is, or if the promise begins only now.

        Args:
            landed: when each file of the landing folder landed.
        """
        read = _moment_in(self._reading(table), "landed_before")
        before = self.last_answer(model)
        if read is None or (before is not None and before.landed_before >= read):
            return None
        new = [moment for moment in landed if before is not None and before.landed_before <= moment < read]
        waited = now - min(new) if new else None
        if before is not None and waited is None:
            answer = Answer(read, before.answered_at, before.waited)
        else:
            answer = Answer(read, now, waited)
        record = {
            "landed_before": text_of(answer.landed_before),
            "answered_at": text_of(answer.answered_at),
            "waited_seconds": answer.waited.total_seconds() if answer.waited is not None else None,
        }
        write_whole(self._answered(model), json.dumps(record).encode())
        return waited

    def last_answer(self, model: str) -> Answer | None:
        """The latest landing that was answered; None if none ever was."""
        try:
            found = json.loads(self._answered(model).read_text())
            waited = found["waited_seconds"]
            return Answer(
                moment_of(found["landed_before"]),
                moment_of(found["answered_at"]),
                timedelta(seconds=waited) if waited is not None else None,
            )
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def waiting_since(self, model: str, landed: Collection[datetime]) -> datetime | None:
        """When the first file landed that is not answered; None if all are, or the promise has not begun."""
        last = self.last_answer(model)
        waiting = [moment for moment in landed if last is not None and moment >= last.landed_before]
        return min(waiting, default=None)

    @property
    def _door(self) -> Path:
        return self.root / "door.json"

    def _reading(self, table: str) -> Path:
        return self.root / "read" / f"{table}.json"

    def _answered(self, model: str) -> Path:
        return self.root / "answered" / f"{model}.json"


def _moment_in(path: Path, name: str) -> datetime | None:
    try:
        return moment_of(json.loads(path.read_text())[name])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
