"""The feed of files from another folder: whatever it holds of CSV, Parquet and JSON lines, as landing files.

What belongs here: which files are new, how their columns become those of the landing table, and what is refused. What
does not: reading formats (`file_readers.py`), the text of values (`landing_lines.py`).

    feed:
      plugin: files
      folder: $SHOP_EXPORTS               # absolute, or beginning with a variable of the environment
      tables:
        orders:
          pattern: orders-*.csv.gz        # default: orders.* and orders/*
          columns: {order_id: Order ID}   # landing column: column in the file, where they are called differently
          delimiter: ";"                  # default: a comma; a tab in .tsv
          timezone: Europe/Berlin         # of moments without a zone; default: UTC
          may_lack: [discount]            # columns that a file may lack, empty then

A landing file is named `<name>.<hash>.csv` by the bytes that it was made from: the names alone remember what landed.
The same bytes land once, under whatever name; a file that was changed lands as a whole once more, and what the door has
seen before is a repeat there. In the column `known_at` a date without a time means that the row was known when that day
was over. A moment given with `land --through` cuts each file at its rows' `known_at`.
"""

from __future__ import annotations

import hashlib
import re
import string
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import Field

from ml_assets.declaration.schema import Block, Duration, did_you_mean, parse_options
from ml_assets.errors import DeclarationError, FeedError
from ml_assets.feeds.feed import FeedColumn, FeedSource, FeedTable, LandedTable, LandingReport, Progress
from ml_assets.feeds.file_readers import UNREADABLE, FileContent, Format, bare_name, format_of, open_file
from ml_assets.feeds.landing_files import STAMP, landing_in, stamp
from ml_assets.feeds.landing_lines import (
    Row,
    Unreadable,
    end_of_day,
    header_of,
    line_of,
    moment_in_text,
    text_in_zone,
    text_of_value,
    write_lines,
)
from ml_assets.feeds.options import zone_mistakes
from ml_assets.moments import in_utc

AS_REPORTED = ".as_reported"
_HASH_LENGTH = 16
_LANDED = re.compile(r"\.(?P<hash>[0-9a-f]{16})(\.through-(?P<through>\d{4}-\d\d-\d\dT\d{4}Z))?(\.as_reported)?\.csv$")


class TableOptions(Block):
    """Where the files of one landing table are, and how they differ from it."""

    pattern: str | None = None
    columns: dict[str, str] = Field(default={})
    may_lack: tuple[str, ...] = Field(default=(), strict=False)
    format: Format | None = None
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    encoding: str = "utf-8-sig"
    timezone: str = "UTC"


class Options(Block):
    """All of the feed's options. `quiet`: a file that was written to within so long may still grow, and is left."""

    folder: str
    quiet: Duration = timedelta(seconds=5)
    tables: dict[str, TableOptions] = Field(default={})


@dataclass(frozen=True)
class _Taken:
    """A file of the folder as it was looked at."""

    path: Path
    name: str
    size: int
    modified_ns: int


class FilesFeed:
    """Lands what lies in a folder."""

    def __init__(self, source: FeedSource) -> None:
        self._source = source
        options, mistakes = parse_options(Options, source.options)
        problems = [f"{f'config.meta.feed.{place}'.rstrip('.')}: {words}" for place, words in mistakes]
        if options is not None:
            problems += _mistakes(options, source)
        if options is None or problems:
            raise DeclarationError(problems)
        self._options = options

    @property
    def replayable(self) -> bool:
        """If some table says when its rows became known; the others, without time, land whole at once."""
        return any(table.known_at for table in self._source.tables)

    def land(self, landing: Path, through: datetime | None, progress: Progress | None = None) -> LandingReport:
        """Lands every new file; with `through`, what of each was known by then."""
        root = self._folder()
        findings: list[str] = []
        landed: list[LandedTable] = []
        if through is not None:
            through = in_utc(through).replace(second=0, microsecond=0)
        with landing_in(landing / self._source.name, [table.name for table in self._source.tables]) as folders:
            for table in self._source.tables:
                rows = files = 0
                for taken in self._files(root, table, findings):
                    count, written = self._land(taken, table, folders[table.name], through, findings)
                    rows, files = rows + count, files + written
                    if written and progress is not None:
                        progress(f"{table.name}/{taken.name}", files, 0)
                landed.append(LandedTable(table.name, rows, files))
        return LandingReport(tuple(landed), through, findings=tuple(dict.fromkeys(findings)))

    def _folder(self) -> Path:
        name = f"{self._source.name}: config.meta.feed.folder"
        try:
            folder = Path(string.Template(self._options.folder).substitute(self._source.environment)).expanduser()
        except KeyError as missing:
            raise FeedError(
                f"{name}: {self._options.folder} names a variable that is not set; set {missing.args[0]}"
            ) from None
        if not folder.is_dir():
            raise FeedError(f"{name}: {folder} is no folder; make it, or correct {self._options.folder}")
        return folder

    def _files(self, root: Path, table: FeedTable, findings: list[str]) -> Iterator[_Taken]:
        """The files of a table in the order of their names; those that may still grow are left."""
        options = self._options.tables.get(table.name, TableOptions())
        patterns = [options.pattern] if options.pattern else [f"{table.name}.*", f"{table.name}/*"]
        found = {path for pattern in patterns for path in root.glob(pattern)}
        quiet = self._options.quiet.total_seconds()
        for path in sorted(found):
            name = str(path.relative_to(root))
            if any(part.startswith(".") for part in Path(name).parts) or not path.is_file():
                continue
            status = path.stat()
            age = time.time() - status.st_mtime
            if age < quiet:
                findings.append(
                    f"{name} was written to {max(age, 0):.0f} s ago and may still grow: left for the next time"
                )
                continue
            yield _Taken(path, name, status.st_size, status.st_mtime_ns)

    def _land(
        self, taken: _Taken, table: FeedTable, folder: Path, through: datetime | None, findings: list[str]
    ) -> tuple[int, int]:
        """The rows and files that a file came to; a file that cannot be read comes to none, and is named."""
        options = self._options.tables.get(table.name, TableOptions())
        file_format = options.format or format_of(taken.path)
        if file_format is None:
            findings.append(f"{taken.name} is not taken: its name tells no format; say format, or narrow pattern")
            return 0, 0
        try:
            digest = _digest(taken.path)
            whole, reached = _reached(folder, digest)
            cut = through if table.known_at else None
            if whole or (cut is not None and reached is not None and reached >= cut):
                return 0, 0
            first = folder / _landing_name(taken, digest, cut)
            with open_file(taken.path, file_format, options.delimiter, options.encoding) as content:
                rows = self._rows(content, table, options, taken, findings)
                rows = _known_between(rows, table, reached, cut)
                lines = (line_of(row, table) for row in rows)
                if cut is not None or reached is not None:
                    start = next(lines, None)
                    if start is None:
                        return 0, 0
                    lines = _and_then(start, lines)
                written = write_lines(first, header_of(table), _unchanged(lines, taken))
        except _StillGrowing:
            findings.append(f"{taken.name} changed while it was read: left for the next time")
            return 0, 0
        except UNREADABLE as error:
            findings.append(f"{taken.name} is not taken: {error or type(error).__name__}; mend it, or narrow pattern")
            return 0, 0
        return written.rows, len(written.files)

    def _rows(
        self, content: FileContent, table: FeedTable, options: TableOptions, taken: _Taken, findings: list[str]
    ) -> Iterator[Row]:
        """The rows with the landing table's columns, each as text."""
        wanted = {column.name: options.columns.get(column.name, column.name) for column in table.columns}
        places = {name: content.columns.index(source) for name, source in wanted.items() if source in content.columns}
        lacking = [wanted[name] for name in wanted if name not in places and name not in options.may_lack]
        if lacking:
            raise ValueError(
                f"it has no column {', '.join(map(repr, lacking))} (it has {', '.join(content.columns)}); name the "
                f"right ones in columns, or list them in may_lack"
            )
        extra = [name for name in content.columns if name not in wanted.values()]
        if extra:
            findings.append(
                f"{taken.name} has columns that {table.name} does not declare: {', '.join(extra)}; not landed"
            )
        zone = ZoneInfo(options.timezone)
        chosen = [(column, places.get(column.name)) for column in table.columns]

        def text(value: Any, column: FeedColumn) -> str | None:
            data_type = column.data_type
            if column.name == table.known_at and (end := end_of_day(value, zone)) is not None:
                return end
            if isinstance(value, str):
                return text_in_zone(value, data_type, zone)
            return text_of_value(value, data_type, zone)

        def rows() -> Iterator[Row]:
            for row in content.rows:
                if isinstance(row, Unreadable):
                    yield row
                    continue
                try:
                    yield [None if place is None else text(row[place], column) for column, place in chosen]
                except ValueError as error:
                    yield Unreadable(", ".join(map(str, row)), str(error))

        return rows()


class _StillGrowing(Exception):
    """The file is not what it was when it was looked at."""


def _unchanged(lines: Iterable[str], taken: _Taken) -> Iterator[str]:
    """The lines, and at their end the certainty that the file is still the one that was hashed."""
    yield from lines
    status = taken.path.stat()
    if (status.st_size, status.st_mtime_ns) != (taken.size, taken.modified_ns):
        raise _StillGrowing


def _known_between(
    rows: Iterator[Row], table: FeedTable, after: datetime | None, through: datetime | None
) -> Iterator[Row]:
    """The rows known after `after` and by `through`; what tells no moment comes with the first ones."""
    if table.known_at is None or (after is None and through is None):
        yield from rows
        return
    place = [column.name for column in table.columns].index(table.known_at)
    for row in rows:
        known = None if isinstance(row, Unreadable) else moment_in_text(row[place])
        if known is None:
            if after is None:
                yield row
        elif (after is None or known > after) and (through is None or known <= through):
            yield row


def _and_then(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:_HASH_LENGTH]


def _reached(folder: Path, digest: str) -> tuple[bool, datetime | None]:
    """Whether all of the file with these bytes has landed; if not, up to which moment."""
    reached: datetime | None = None
    for path in folder.glob(f"*.{digest}.*"):
        found = _LANDED.search(path.name)
        if found is None or found["hash"] != digest:
            continue
        if found["through"] is None:
            return True, None
        moment = datetime.strptime(found["through"], STAMP).replace(tzinfo=UTC)
        reached = max(moment, reached or moment)
    return False, reached


def _landing_name(taken: _Taken, digest: str, through: datetime | None) -> str:
    stem = bare_name(Path(taken.name))
    trusted = AS_REPORTED if stem.endswith(AS_REPORTED) else ""
    folder = str(Path(taken.name).parent)
    stem = stem.removesuffix(AS_REPORTED) if folder == "." else f"{folder}/{stem.removesuffix(AS_REPORTED)}"
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", stem)[-100:].strip("-") or "file"
    return f"{stem}.{digest}{f'.through-{stamp(through)}' if through else ''}{trusted}.csv"


def _mistakes(options: Options, source: FeedSource) -> Iterator[str]:
    """What cannot be, told from the declaration alone."""
    place = "config.meta.feed"
    if not options.folder.startswith(("/", "$", "~")):
        yield (
            f"{place}.folder: {options.folder!r} depends on where the command is started; give an absolute folder, "
            "or one that begins with a variable of the environment, such as $SHOP_EXPORTS"
        )
    for name, one in options.tables.items():
        table = source.table(name)
        if table is None:
            known = [table.name for table in source.tables]
            yield f"{place}.tables.{name}: is no landing table of this feed{did_you_mean(name, known)}"
            continue
        yield from _table_mistakes(f"{place}.tables.{name}", table, one)


def _table_mistakes(place: str, table: FeedTable, options: TableOptions) -> Iterator[str]:
    columns = [column.name for column in table.columns]
    for option, names in (("columns", options.columns), ("may_lack", options.may_lack)):
        for name in names:
            if name not in columns:
                yield f"{place}.{option}: {table.name} has no column {name!r}{did_you_mean(name, columns)}"
    pattern = options.pattern
    if pattern is not None and (Path(pattern).is_absolute() or ".." in Path(pattern).parts or not pattern):
        yield f"{place}.pattern: {pattern!r} leaves the folder; give one below it, such as {table.name}-*.csv"
    yield from zone_mistakes(f"{place}.timezone", options.timezone)
    try:
        "".encode(options.encoding)
    except LookupError:
        yield f"{place}.encoding: {options.encoding!r} is no encoding, such as utf-8 or latin-1"
