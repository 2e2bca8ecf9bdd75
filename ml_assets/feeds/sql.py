"""The feed of a SQL database: rows in the order of a cursor column, through SQLAlchemy.

What belongs here: which rows are asked for, and which of them are new. What does not: the text of values
(`landing_lines.py`), the names of files (`landing_files.py`).

    feed:
      plugin: sql
      url: $SHOP_DATABASE_URL            # only ever the name of a variable: an address holds a password
      tables:
        orders: {table: sales.orders, cursor: updated_at, overlap: 1 hour}
        customers: {query: "select * from customers where is_active", cursor: changed_at, timezone: Europe/Berlin}

One file a call and table holds what the cursor says became known since the last one: `(start, end]` in its name, and
the names alone remember it. A transaction that is committed late leaves a row with a cursor already passed: `overlap`
looks back so far, and what lies in the landing files already is not landed again. `query` may use
`:after` and `:through`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
import sqlalchemy.exc
from pydantic import Field

from ml_assets.declaration.schema import Block, Duration, did_you_mean, parse_options
from ml_assets.errors import DeclarationError, FeedError
from ml_assets.feeds.feed import FeedSource, FeedTable, LandedTable, LandingReport, Progress
from ml_assets.feeds.landing_files import Interval, landed_through, landing_in
from ml_assets.feeds.landing_lines import Row, Unreadable, header_of, line_of, text_in_zone, text_of_value, write_lines
from ml_assets.feeds.options import zone_mistakes
from ml_assets.moments import in_utc

_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?")
_NUMBERED = re.compile(r"\.\d+\.csv$")
_BATCH_ROWS = 5000
BEGINNING = datetime(1, 1, 3, tzinfo=UTC)  # a day from the edge: time zones move it


class TableOptions(Block):
    """Where the rows of one landing table come from."""

    table: str | None = None
    query: str | None = None
    cursor: str
    overlap: Duration | None = None
    columns: dict[str, str] = Field(default={})
    timezone: str = "UTC"


class Options(Block):
    """All of the feed's options."""

    url: str
    tables: dict[str, TableOptions] = Field(min_length=1)


class SqlFeed:
    """Lands what a database says."""

    replayable = True

    def __init__(self, source: FeedSource) -> None:
        self._source = source
        options, mistakes = parse_options(Options, source.options)
        # Not even in a message: somebody may have written the address itself.
        problems = [
            f"{f'config.meta.feed.{place}'.rstrip('.')}: {words}" for place, words in mistakes if place != "url"
        ]
        if any(place == "url" for place, _ in mistakes) or (options and not _VARIABLE.fullmatch(options.url)):
            problems.append(
                "config.meta.feed.url: is not the name of a variable; the address holds a password: put it into the "
                "environment, and write url: $ITS_NAME"
            )
        if options is not None:
            problems += _mistakes(options, source)
        if options is None or problems:
            raise DeclarationError(problems)
        self._options = options

    def land(self, landing: Path, through: datetime | None, progress: Progress | None = None) -> LandingReport:
        """Lands what the cursor says was known by `through`; without one, by now."""
        end = in_utc(through or datetime.now(UTC)).replace(second=0, microsecond=0)
        findings: list[str] = []
        landed: list[LandedTable] = []
        engine = self._engine()
        names = [table.name for table in self._source.tables]
        try:
            with landing_in(landing / self._source.name, names) as folders:
                for table in self._source.tables:
                    options = self._options.tables[table.name]
                    with engine.connect() as connection:
                        asked = _Asked(connection, table, options, folders[table.name], end)
                        done = asked.land()
                    findings += [f"{self._source.name}.{table.name}: {finding}" for finding in asked.findings]
                    landed.append(done)
                    if progress is not None and done.files:
                        progress(f"{table.name}", len(landed), len(names))
        except sqlalchemy.exc.SQLAlchemyError as error:
            raise FeedError(f"{self._source.name}: the database says: {self._without_secrets(error)}") from None
        finally:
            engine.dispose()
        return LandingReport(tuple(landed), end, findings=tuple(findings))

    def _url(self) -> str:
        found = _VARIABLE.fullmatch(self._options.url)
        name = found[1] if found else ""
        url = self._source.environment.get(name)
        if not url:
            raise FeedError(
                f"{self._source.name}: config.meta.feed.url names {name}, which is not set; set it to the database's "
                "address, such as postgresql+psycopg://user:password@host/database"
            )
        return url

    def _engine(self) -> sa.Engine:
        url = self._url()
        try:
            return sa.create_engine(url)
        except (sqlalchemy.exc.ArgumentError, ModuleNotFoundError, ValueError) as error:
            missing = error.name if isinstance(error, ModuleNotFoundError) else None
            remedy = f"install {missing}" if missing else "its form is dialect+driver://user:password@host/database"
            raise FeedError(f"{self._source.name}: {self._options.url} holds no usable address; {remedy}") from None

    def _without_secrets(self, error: sqlalchemy.exc.SQLAlchemyError) -> str:
        said = str(getattr(error, "orig", None) or error).strip()
        url = self._url()
        password = sa.engine.make_url(url).password
        for secret in filter(None, (url, str(password) if password is not None else None)):
            said = said.replace(secret, "***")
        return said


@dataclass
class _Cursor:
    """How the column that rows come in the order of is compared, told from one of its values."""

    example: Any
    zone: ZoneInfo

    def bound(self, moment: datetime) -> Any:
        """A moment as the database compares it. A text is compared by its minutes, and looked at again here."""
        if isinstance(self.example, str):
            form = "%m-%dT%H:%M" if "T" in self.example else "%m-%d %H:%M"
            has_zone = datetime.fromisoformat(self.example.strip()).tzinfo is not None
            moment = moment if has_zone else moment.astimezone(self.zone)
            return f"{moment.year:04}-{moment.strftime(form)}"
        if isinstance(self.example, datetime):
            return moment if self.example.tzinfo else moment.astimezone(self.zone).replace(tzinfo=None)
        return moment.astimezone(self.zone).date()

    def moment(self, value: Any) -> datetime:
        """The moment that a value says, in UTC."""
        if isinstance(value, str):
            value = datetime.fromisoformat(value.strip())
            if value.utcoffset():
                raise ValueError("a text with an offset cannot be compared as text")
        elif isinstance(value, date) and not isinstance(value, datetime):
            value = datetime(value.year, value.month, value.day)  # noqa: DTZ001 its zone is the next line's
        return (value if value.tzinfo else value.replace(tzinfo=self.zone)).astimezone(UTC)


class _Asked:
    """One table, asked once."""

    def __init__(
        self, connection: sa.Connection, table: FeedTable, options: TableOptions, folder: Path, end: datetime
    ) -> None:
        self.findings: list[str] = []
        self._connection, self._table, self._options = connection, table, options
        self._folder, self._end = folder, end
        self._zone = ZoneInfo(options.timezone)
        quote = connection.dialect.identifier_preparer.quote
        self._name = quote(options.cursor)
        parts = (options.table or "").split(".")
        self._rows = f"({options.query}) as asked" if options.query else ".".join(quote(part) for part in parts)

    def land(self) -> LandedTable:
        after = landed_through(self._folder)
        if after is not None and after >= self._end:
            return LandedTable(self._table.name, 0, 0, after)
        since = BEGINNING if after is None else after - (self._options.overlap or timedelta(0))
        if self._connection.dialect.name == "postgresql":
            self._connection.execute(sa.text("set time zone 'UTC'"))
        cursor = self._cursor()
        if cursor is None:
            return LandedTable(self._table.name, 0, 0, after)
        known = _landed_lines(self._folder, since, header_of(self._table))
        lines = (line for line in self._lines(cursor, since) if line not in known)
        first = next(lines, None)
        if first is None:
            return LandedTable(self._table.name, 0, 0, after)
        interval = Interval(start=after or BEGINNING, end=self._end)
        written = write_lines(self._folder / interval.file_name, header_of(self._table), _with_first(first, lines))
        return LandedTable(self._table.name, written.rows, len(written.files), self._end)

    def _cursor(self) -> _Cursor | None:
        """How the cursor compares; None while there is no row."""
        name, rows = sa.literal_column(self._name), sa.text(self._rows)
        used = self._used(BEGINNING, self._end)
        without = sa.select(sa.func.count()).select_from(rows).where(name.is_(None))
        if count := self._connection.execute(without, used).scalar():
            self.findings.append(f"{count:,} rows have no {self._options.cursor}: when they became known is not known")
        found = self._connection.execute(
            sa.select(name).select_from(rows).where(name.is_not(None)).limit(1), used
        ).first()
        if found is None:
            return None
        cursor = _Cursor(found[0], self._zone)
        try:
            cursor.moment(found[0])
        except (ValueError, AttributeError, TypeError) as error:
            raise FeedError(
                f"{self._table.name}: config.meta.feed.tables.{self._table.name}.cursor: {self._options.cursor} holds "
                f"{found[0]!r}, which is no moment ({error}); name a column of moments"
            ) from None
        return cursor

    def _used(self, after: Any, through: Any) -> dict[str, Any]:
        """What the query itself speaks of, if it does."""
        named = re.findall(r"(?<!:):(after|through)\b", self._options.query or "")
        return {name: value for name, value in (("after", after), ("through", through)) if name in named}

    def _lines(self, cursor: _Cursor, since: datetime) -> Iterator[str]:
        """The lines after `since` and by the end, in the order of the cursor, then of themselves."""
        beyond = self._end + timedelta(minutes=1) if isinstance(cursor.example, str) else self._end
        bounds = {"after": cursor.bound(since), "through": cursor.bound(beyond)}
        # A date or the minute of a text says less than the moment: what is taken too much is left out below.
        compare = ">" if isinstance(cursor.example, datetime) else ">="
        result = self._connection.execution_options(stream_results=True, yield_per=_BATCH_ROWS).execute(
            sa.text(
                f"select * from {self._rows} where {self._name} {compare} :after and {self._name} <= :through "
                f"order by {self._name}"
            ),
            bounds,
        )
        places, cursor_place = self._places(tuple(result.keys()))
        for _, tied in groupby(self._between(result, cursor, cursor_place, since), key=itemgetter(0)):
            yield from sorted(line_of(self._row(row, places), self._table) for _, row in tied)

    def _between(
        self, result: sa.CursorResult[Any], cursor: _Cursor, place: int, since: datetime
    ) -> Iterator[tuple[datetime, Sequence[Any]]]:
        for row in result:
            try:
                moment = cursor.moment(row[place])
            except (ValueError, AttributeError, TypeError):
                self.findings.append(
                    f"a row's {self._options.cursor} is {row[place]!r}, which is no moment: the row was not landed"
                )
                continue
            if since < moment <= self._end:
                yield moment, row

    def _places(self, columns: tuple[str, ...]) -> tuple[list[tuple[str, int]], int]:
        wanted = [
            (self._options.columns.get(column.name, column.name), column.data_type) for column in self._table.columns
        ]
        lacking = [name for name, _ in wanted if name not in columns]
        if lacking or self._options.cursor not in columns:
            name = ", ".join(lacking) or self._options.cursor
            raise FeedError(
                f"{self._table.name}: there is no column {name} (there are {', '.join(columns)}); name the right ones "
                f"in config.meta.feed.tables.{self._table.name}.columns"
            )
        used = {name for name, _ in wanted} | {self._options.cursor}
        if extra := [name for name in columns if name not in used]:
            self.findings.append(f"the query has columns that are not declared: {', '.join(extra)}; not landed")
        return [(kind, columns.index(name)) for name, kind in wanted], columns.index(self._options.cursor)

    def _row(self, row: Sequence[Any], places: list[tuple[str, int]]) -> Row:
        try:
            return [self._text(row[place], kind) for kind, place in places]
        except ValueError as error:
            return Unreadable(", ".join(map(str, row)), str(error))

    def _text(self, value: Any, kind: str) -> str | None:
        if isinstance(value, str):
            return text_in_zone(value, kind, self._zone)
        return text_of_value(value, kind, self._zone)


def _with_first(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _landed_lines(folder: Path, since: datetime, header: str) -> set[str]:
    """The lines of the landing files that reach beyond a moment: what is asked for once more lies in these."""
    found: set[str] = set()
    for path in folder.glob("*.csv"):
        interval = Interval.of_file(_NUMBERED.sub(".csv", path.name))
        if interval is not None and interval.end > since:
            found.update(path.read_text(encoding="utf-8").split("\n"))
    return found - {header}


def _mistakes(options: Options, source: FeedSource) -> Iterator[str]:
    place = "config.meta.feed.tables"
    known = [table.name for table in source.tables]
    for name in options.tables:
        if name not in known:
            yield f"{place}.{name}: is no landing table of this feed{did_you_mean(name, known)}"
    for table in source.tables:
        one = options.tables.get(table.name)
        if one is None:
            yield f"{place}: says nothing of {table.name}; add {table.name}: {{table: ..., cursor: ...}}"
            continue
        if (one.table is None) == (one.query is None):
            yield f"{place}.{table.name}: give either table or query"
        columns = [column.name for column in table.columns]
        for column in one.columns:
            if column not in columns:
                yield f"{place}.{table.name}.columns: {table.name} has no {column!r}{did_you_mean(column, columns)}"
        yield from zone_mistakes(f"{place}.{table.name}.timezone", one.timezone)
