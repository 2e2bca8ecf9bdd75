"""What a feed is: whatever brings the rows of one source to landing files.

What belongs here: what every feed is told, what it answers, and the promise that it keeps. What does not: any feed;
which feeds there are (`declared.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

Progress = Callable[[str, int, int], None]
"""Called with the file just landed (`table/name`), the number of files landed so far, and of all (0: unknown)."""


@dataclass(frozen=True)
class FeedColumn:
    """A column of a landing table as the source's YAML declares it."""

    name: str
    data_type: str


@dataclass(frozen=True)
class FeedTable:
    """A landing table; `known_at` is the column that says when a row became known, None where rows carry no time."""

    name: str
    columns: tuple[FeedColumn, ...]
    known_at: str | None = None


@dataclass(frozen=True)
class FeedSource:
    """All that a feed is told of its source: what is declared, the options beside `plugin`, and the environment, where
    what is secret or differs from place to place is kept.
    """

    name: str
    domain: str
    tables: tuple[FeedTable, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    def table(self, name: str) -> FeedTable | None:
        return next((table for table in self.tables if table.name == name), None)


@dataclass(frozen=True)
class LandedTable:
    """What one call added to one landing table, and how far the table reaches now (None: not known, or not at all)."""

    name: str
    rows: int
    files: int
    through: datetime | None = None


@dataclass(frozen=True)
class LandingReport:
    """What one call landed.

    Args:
        through: the moment up to which it was asked to; None: whatever there is.
        first_known_at: with `last_known_at`, the bounds of all that the source will ever tell, where it knows them.
        findings: what could not be landed as it is and why, one sentence each; the rest has landed.
    """

    tables: tuple[LandedTable, ...]
    through: datetime | None = None
    first_known_at: datetime | None = None
    last_known_at: datetime | None = None
    findings: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)

    @property
    def files(self) -> int:
        return sum(table.files for table in self.tables)

    @property
    def note(self) -> str:
        """One sentence for a person."""
        if self.through and self.first_known_at and self.through < self.first_known_at:
            return f"Nothing was known yet: the first row becomes known at {self.first_known_at:%Y-%m-%d %H:%M} UTC."
        landed = f"{self.rows:,} rows in {self.files:,} files" if self.files else "Nothing new"
        if self.last_known_at and (self.through is None or self.through >= self.last_known_at):
            return (
                f"{landed}; the source ends here: its last row became known at {self.last_known_at:%Y-%m-%d %H:%M} UTC."
            )
        return f"{landed}, up to {self.through:%Y-%m-%d %H:%M} UTC." if self.through else f"{landed}."


class Feed(Protocol):
    """A plug-in: `Feed(source)` reads its options, and raises DeclarationError with all that is wrong with them.

    Its promise: landing files are whole or not there; one that is there is never touched; a call that is repeated, also
    after one that was killed, lands nothing twice, and what it lands has the same bytes.
    """

    replayable: bool
    """Whether `land` with an earlier moment lands what was known by then: only such a feed can be lived through."""

    def __init__(self, source: FeedSource) -> None: ...

    def land(self, landing: Path, through: datetime | None, progress: Progress | None = None) -> LandingReport:
        """Lands in `<landing>/<source>/<table>/` what was known by `through` (None: all that there is) and is new.

        Raises:
            FeedError: with the thing, the place and the remedy, if nothing can be landed.
        """
        ...
