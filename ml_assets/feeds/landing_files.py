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
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from filelock import FileLock, Timeout

from ml_assets.errors import FeedError

DAY = timedelta(days=1)
PARTIAL_FILES = ".*.part"
WRITERS = 4
LOCK_SECONDS = 60

STAMP = "%Y-%m-%dT%H%MZ"
_NAME = re.compile(r"(\d{4}-\d\d-\d\dT\d{4}Z)--(\d{4}-\d\d-\d\dT\d{4}Z)\.csv")


def stamp(moment: datetime) -> str:
    """A whole minute in UTC as the names of landing files say it.

    >>> stamp(datetime(203, 1, 2, 3, 4, tzinfo=UTC))
    '0203-01-02T0304Z'
    """
    return f"{moment.year:04}-{moment:%m-%dT%H%MZ}"


@dataclass(frozen=True, order=True)
class Interval:
    """What became known after `start` and no later than `end`; both in UTC and on a whole minute."""

    end: datetime
    start: datetime

    @property
    def file_name(self) -> str:
        return f"{stamp(self.start)}--{stamp(self.end)}.csv"

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
            start, end = (datetime.strptime(stamp, STAMP).replace(tzinfo=UTC) for stamp in stamps.groups())
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


@contextmanager
def landing_in(folder: Path, tables: Iterable[str]) -> Iterator[dict[str, Path]]:
    """The folder of each landing table, made and held by this process alone; what a killed call left is removed.

    Raises:
        FeedError: if another process holds the source's folder for too long.
    """
    folders = {name: folder / name for name in tables}
    for table in folders.values():
        table.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=LOCK_SECONDS)
    except Timeout as error:
        raise FeedError(
            f"{folder} is being landed by another process, which has not finished in {LOCK_SECONDS} s; try again later"
        ) from error
    try:
        for table in folders.values():
            for stray in table.glob(PARTIAL_FILES):
                stray.unlink()
        yield folders
    finally:
        lock.release()


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
        settle(folder)


def _write_partial(target: tuple[Path, Callable[[], bytes]]) -> tuple[Path, Path]:
    path, content = target
    partial = path.with_name(f".{path.name}.part")
    with partial.open("wb") as file:
        file.write(content())
        file.flush()
        os.fsync(file.fileno())
    return partial, path


def settle(folder: Path) -> None:
    """Makes the names in a folder survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
