"""How rows become landing files: named by the interval they cover, written once, whole or not at all.

What belongs here: intervals, progress, atomic writes, for any feed. What does not: where the rows come from.

A landing table is a folder of CSV files, each named by the interval `(start, end]` of the times at which its rows
became known: `2013-10-31T0000Z--2013-11-01T0000Z.csv` holds what became known after the first moment and no later than
the second, in UTC. The names are the only record of progress: a table has landed up to the highest end among them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

DAY = timedelta(days=1)
PARTIAL_FILES = ".*.part"
WRITERS = 4

_STAMP = "%Y-%m-%dT%H%MZ"
_NAME = re.compile(r"(\d{4}-\d\d-\d\dT\d{4}Z)--(\d{4}-\d\d-\d\dT\d{4}Z)\.csv")


@dataclass(frozen=True, order=True)
class Interval:
    """What became known after `start` and no later than `end`; both in UTC and on a whole minute."""

    end: datetime
    start: datetime

    @property
    def file_name(self) -> str:
        return f"{self.start.strftime(_STAMP)}--{self.end.strftime(_STAMP)}.csv"

    @classmethod
    def of_file(cls, name: str) -> Interval | None:
        """The interval that a file's name states; None for a file that is named otherwise.

        >>> Interval.of_file("2013-10-31T0000Z--2013-10-31T1830Z.csv").end.isoformat()
        '2013-10-31T18:30:00+00:00'
        >>> Interval.of_file("corrections.csv") is None
        True
        """
        stamps = _NAME.fullmatch(name)
        if stamps is None:
            return None
        try:
            start, end = (datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC) for stamp in stamps.groups())
        except ValueError:
            return None
        return cls(start=start, end=end)


def landed_through(folder: Path) -> datetime | None:
    """The highest end among the files of a landing table; None where there is none."""
    intervals = (Interval.of_file(path.name) for path in folder.glob("*.csv"))
    return max((interval.end for interval in intervals if interval is not None), default=None)


def daily_intervals(first: datetime, last: datetime, after: datetime | None, through: datetime) -> Iterator[Interval]:
    """The intervals, one per UTC day, for what became known from `first` to `last`, cut at `after` and at `through`.

    >>> from ml_assets.moments import moment_of
    >>> first, last, through = map(moment_of, ["2013-01-01T05:00Z", "2013-01-03T00:00Z", "2013-01-02T18:00Z"])
    >>> for interval in daily_intervals(first, last, None, through):
    ...     print(interval.file_name)
    2013-01-01T0000Z--2013-01-02T0000Z.csv
    2013-01-02T0000Z--2013-01-02T1800Z.csv
    """
    midnight = first.replace(hour=0, minute=0, second=0, microsecond=0)
    start = midnight - DAY if first == midnight else midnight  # midnight itself ends the day before: (start, end]
    while start < min(last, through):
        interval = Interval(start=start if after is None else max(start, after), end=min(start + DAY, through))
        if interval.start < interval.end:
            yield interval
        start += DAY


def write_in_order(files: Iterable[tuple[Path, Callable[[], bytes]]]) -> Iterator[Path]:
    """Puts files in place in the order given and yields each path once it is there, whole and on the disk.

    Contents are made and written ahead on a few threads, under names that start with a dot, because waiting for the
    disk is most of the work. A process that is killed leaves the first files of the order and perhaps some partial
    ones, never a gap.
    """
    folders: set[Path] = set()
    with ThreadPoolExecutor(WRITERS) as writers:
        for partial, path in writers.map(_write_partial, files):
            os.replace(partial, path)
            folders.add(path.parent)
            yield path
    for folder in folders:
        _settle(folder)


def _write_partial(target: tuple[Path, Callable[[], bytes]]) -> tuple[Path, Path]:
    path, content = target
    partial = path.with_name(f".{path.name}.part")
    with partial.open("wb") as file:
        file.write(content())
        file.flush()
        os.fsync(file.fileno())
    return partial, path


def _settle(folder: Path) -> None:
    """Makes the names in a folder survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
