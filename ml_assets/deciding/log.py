"""What was decided, when and why: one JSON object a line, appended, never changed.

What belongs here: the log's lines and their chain. What does not: deciding.

Every line holds the sha256 of the line before it, so a line that was changed, removed or put in between breaks the
chain from there on. (Lines cut off the end do not: compare `last().sequence` with what you know.) A line is written in
one piece and flushed; if the machine stops in the middle, the torn end is set aside in a file beside the log before the
next line is written, and readers pass over it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from ml_assets.errors import DecisionLogError
from ml_assets.moments import text_of

FIRST = "0" * 64
LOCK_SECONDS = 30


@dataclass(frozen=True)
class LoggedDecision:
    """One line of the log; times are ISO 8601 text, UTC."""

    sequence: int
    decided_at: str
    as_of: str | None
    model: str
    kind: str
    verdict: str
    version: int | None
    previous_version: int | None
    reasons: tuple[Mapping[str, Any], ...]
    evidence: Mapping[str, Any]
    previous_sha256: str


@dataclass(frozen=True)
class DecisionLog:
    """The log at `path`; a lock file beside it keeps writers apart."""

    path: Path

    def append(
        self,
        *,
        decided_at: datetime,
        as_of: datetime | None,
        model: str,
        kind: str,
        verdict: str,
        version: int | None,
        previous_version: int | None,
        reasons: Sequence[Mapping[str, Any]],
        evidence: Mapping[str, Any],
    ) -> LoggedDecision:
        """Adds one line and returns it; flushed to the disk before this returns.

        Raises:
            DecisionLogError: if the log's last line is not one of its own.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.path}.lock", timeout=LOCK_SECONDS):
            self._set_aside_torn_end()
            lines = self._whole_lines()
            last = self._parse(len(lines), lines[-1]) if lines else None
            decision = LoggedDecision(
                sequence=last.sequence + 1 if last else 1,
                decided_at=text_of(decided_at),
                as_of=text_of(as_of) if as_of else None,
                model=model,
                kind=kind,
                verdict=verdict,
                version=version,
                previous_version=previous_version,
                reasons=tuple(reasons),
                evidence=dict(evidence),
                previous_sha256=_sha256(lines[-1]) if lines else FIRST,
            )
            with self.path.open("ab") as file:
                file.write(json.dumps(asdict(decision), separators=(", ", ": "), allow_nan=False).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            return decision

    def read(self) -> tuple[LoggedDecision, ...]:
        """Every whole line, oldest first; empty if there is no log yet.

        Raises:
            DecisionLogError: if a line is not one of the log's.
        """
        return tuple(self._parse(number, line) for number, line in enumerate(self._whole_lines(), start=1))

    def last(self, model: str | None = None, kind: str | None = None) -> LoggedDecision | None:
        """The newest decision, about one model and of one kind if given; None if there is none."""
        return next(
            (one for one in reversed(self.read()) if model in (None, one.model) and kind in (None, one.kind)), None
        )

    def verify(self) -> int:
        """How many lines the log has, if its chain holds.

        Raises:
            DecisionLogError: naming the first line that does not follow from the one before it.
        """
        previous = FIRST
        lines = self._whole_lines()
        for number, line in enumerate(lines, start=1):
            decision = self._parse(number, line)
            if decision.previous_sha256 != previous or decision.sequence != number:
                raise DecisionLogError(
                    f"{self.path}, line {number}: does not follow from the line before it; a line was changed, "
                    "removed or added by hand. "
                    "Restore the file from a backup; nothing is repaired by itself"
                )
            previous = _sha256(line)
        return len(lines)

    def _whole_lines(self) -> list[bytes]:
        content = self.path.read_bytes() if self.path.exists() else b""
        return content.split(b"\n")[:-1]  # what follows the last newline is empty, or torn

    def _set_aside_torn_end(self) -> None:
        content = self.path.read_bytes() if self.path.exists() else b""
        whole, newline, torn = content.rpartition(b"\n")
        if not torn:
            return
        aside = self.path.with_name(f"{self.path.name}.torn-{_sha256(torn)[:12]}")
        aside.write_bytes(torn)
        with self.path.open("r+b") as file:
            file.truncate(len(whole) + len(newline))
            file.flush()
            os.fsync(file.fileno())

    def _parse(self, number: int, line: bytes) -> LoggedDecision:
        try:
            found = json.loads(line)
            return LoggedDecision(**{**found, "reasons": tuple(found["reasons"])})
        except (ValueError, TypeError, KeyError) as error:
            raise DecisionLogError(
                f"{self.path}, line {number}: no line of the decision log ({error}); restore the file from a backup"
            ) from None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
