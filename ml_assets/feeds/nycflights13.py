"""The flights that left New York in 2013, landed as they would have become known.

What belongs here: what the installed data package holds and when each of its rows became known. Values stay raw: clock
times as hhmm including 2400, missing values as `NA`, faults as they are; dbt cleans them.

The package is read, never imported: its module needs a part of setuptools that no longer exists.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv

from ml_assets.errors import DeclarationError, FeedError
from ml_assets.feeds.feed import FeedSource, LandedTable, LandingReport, Progress
from ml_assets.feeds.landing_files import (
    Interval,
    daily_intervals,
    landed_through,
    landing_in,
    write_in_order,
)
from ml_assets.moments import in_utc

__all__ = ["EVENT_TABLES", "FEED", "REFERENCE_TABLES", "Feed", "LandedTable", "LandingReport", "land"]

FEED = "nycflights13"
END = datetime(2014, 1, 3, tzinfo=UTC)  # by then all is known
REFERENCE_TABLES = ("airlines", "airports", "planes")
REFERENCE_FILE = "all.csv"

# The times that the source leaves to be worked out. The scheduled arrival is given as a local time there: it
# is the first one after the scheduled departure (31 minutes to 11.5 hours later, so never more than a day). Four
# destinations, all in one zone, are missing from the source's airports.
_FLIGHT_TIMES = """
create temp table flight_times as

with

localised as (

    select
        flights.*,
        make_date(year::int, month::int, day::int) as flight_date,
        time_hour::timestamptz + to_minutes(minute::int) as scheduled_departure_at,
        coalesce(airports.tzone, 'America/Puerto_Rico') as destination_zone
    from flights
    left join airports on flights.dest = airports.faa

),

scheduled as (

    select
        *,
        timezone(destination_zone, scheduled_departure_at) as departure_there,
        sched_arr_time::int // 100 * 60 + sched_arr_time::int % 100 as arrival_minute_of_day,
        date_trunc('day', departure_there) + to_minutes(arrival_minute_of_day) as arrival_there
    from localised

),

placed as (

    select
        *,
        timezone(
            destination_zone,
            case when arrival_there > departure_there then arrival_there else arrival_there + interval 1 day end
        ) as scheduled_arrival_at
    from scheduled

)

select
    *,
    timezone('America/New_York', flight_date::timestamp) - interval 24 hours as schedule_known_at,
    scheduled_departure_at + to_minutes(nullif(dep_delay, 'NA')::int) as departed_at,
    scheduled_arrival_at + to_minutes(nullif(arr_delay, 'NA')::int) as arrived_at,
    case
        when dep_time = 'NA' then scheduled_departure_at + interval 4 hours
        when arr_delay = 'NA' then scheduled_arrival_at + interval 12 hours
    end as given_up_at
from placed
"""

_FLIGHT_ORDER = "known_at, flight_date, carrier, flight::int, origin"


@dataclass(frozen=True)
class _EventTable:
    """A landing table whose rows become known over time: its columns, where from, when known, in which order."""

    columns: str
    source: str
    known_at: str
    order: str = _FLIGHT_ORDER


_EVENTS = {
    "schedules": _EventTable(
        "flight_date, carrier, flight, origin, dest, sched_dep_time, sched_arr_time, distance, time_hour",
        "flight_times",
        "schedule_known_at",
    ),
    "departures": _EventTable(
        "flight_date, carrier, flight, origin, tailnum, dep_time, dep_delay", "flight_times", "departed_at"
    ),
    "arrivals": _EventTable(
        "flight_date, carrier, flight, origin, arr_time, arr_delay, air_time", "flight_times", "arrived_at"
    ),
    "cancellations": _EventTable(
        "flight_date, carrier, flight, origin, if(dep_time = 'NA', 'cancelled', 'diverted') as status",
        "flight_times",
        "given_up_at",
    ),
    "weather": _EventTable("weather.*", "weather", "time_hour::timestamptz + interval 1 hour", "known_at, origin"),
}

EVENT_TABLES = tuple(_EVENTS)


class Feed:
    """The plug-in: the package has no options, and knows when each of its rows became known."""

    replayable = True

    def __init__(self, source: FeedSource) -> None:
        problems = [f"config.meta.feed.{option}: is no option of this feed; take it out" for option in source.options]
        if source.name != FEED:
            problems.append(f"name: this feed lands in {FEED}/; call the source {FEED}")
        if problems:
            raise DeclarationError(problems)

    def land(self, landing: Path, through: datetime | None, progress: Progress | None = None) -> LandingReport:
        """Lands what was known by `through`; without one, the whole year."""
        return land(landing, through or END, progress)


def land(landing: Path, through: datetime, progress: Progress | None = None) -> LandingReport:
    """Lands in `<landing>/nycflights13/` what became known by `through`, that moment included, and has not landed yet.

    Each table goes on from where its files end, so any sequence of calls lands the rows of one call, each once. Files
    that are there are never touched. Reference tables carry no time: they land whole with the first call. A moment
    within a minute counts as that minute's start, which loses nothing: everything here becomes known on a whole minute.

    Raises FeedError where the data package is missing or not as expected, or another call does not finish.
    """
    through = in_utc(through).replace(second=0, microsecond=0)
    with landing_in(landing / FEED, (*EVENT_TABLES, *REFERENCE_TABLES)) as tables:
        return _land(tables, through, progress)


@dataclass(frozen=True)
class _File:
    """One file to be landed; its content is made when it is written."""

    table: str
    name: str
    rows: int
    content: Callable[[], bytes]


def _land(tables: dict[str, Path], through: datetime, progress: Progress | None) -> LandingReport:
    with duckdb.connect() as source:
        _read_source(source)
        bounds = [_bounds(source, name) for name in EVENT_TABLES]
        files = [*_absent_references(tables), *_event_files(source, tables, through)]

    landed: list[_File] = []
    in_place = write_in_order((tables[file.table] / file.name, file.content) for file in files)
    for file, _ in zip(files, in_place, strict=True):
        landed.append(file)
        if progress is not None:
            progress(f"{file.table}/{file.name}", len(landed), len(files))

    return LandingReport(
        through=through,
        first_known_at=min(first for first, _ in bounds),
        last_known_at=max(last for _, last in bounds),
        tables=tuple(
            LandedTable(
                name=name,
                rows=sum(file.rows for file in landed if file.table == name),
                files=sum(file.table == name for file in landed),
                through=landed_through(folder),
            )
            for name, folder in tables.items()
        ),
    )


def _absent_references(tables: dict[str, Path]) -> Iterator[_File]:
    for name in REFERENCE_TABLES:
        if not (tables[name] / REFERENCE_FILE).exists():
            content = _packaged(f"{name}.csv").read_bytes()
            yield _File(name, REFERENCE_FILE, _text_columns(content).num_rows, partial(bytes, content))


def _event_files(source: duckdb.DuckDBPyConnection, tables: dict[str, Path], through: datetime) -> Iterator[_File]:
    """What is still to land, day by day over all tables: a call that is killed leaves them about equally far."""
    reached = {name: landed_through(tables[name]) for name in EVENT_TABLES}
    fresh = {
        name: _rows_between(source, name, after, through)
        for name, after in reached.items()
        if after is None or after < through
    }
    slices = sorted(
        (interval, name, start, end)
        for name, rows in fresh.items()
        for interval, start, end in _daily_slices(rows, reached[name], through)
    )
    for interval, name, start, end in slices:
        yield _File(name, interval.file_name, end - start, partial(_as_csv, fresh[name].slice(start, end - start)))


def _packaged(name: str) -> Path:
    try:
        path = Path(str(metadata.distribution(FEED).locate_file(f"{FEED}/data/{name}")))
    except metadata.PackageNotFoundError:
        path = None
    if path is None or not path.is_file():
        raise FeedError(
            f"the data package {FEED} is not installed, or lacks data/{name}; install the project's requirements.lock"
        )
    return path


def _read_source(source: duckdb.DuckDBPyConnection) -> None:
    """Makes the package's files the tables `flights`, `weather`, `airports`, `flight_times`; raw values stay text."""
    source.execute("set TimeZone = 'UTC'")
    with ZipFile(_packaged("flights.csv.zip")) as archive:
        source.register("flights", _text_columns(archive.read("flights.csv")))
    source.register("weather", _text_columns(_packaged("weather.csv").read_bytes()))
    source.register("airports", _text_columns(_packaged("airports.csv").read_bytes()))
    source.execute(_FLIGHT_TIMES)


def _text_columns(content: bytes) -> pa.Table:
    header = content[: content.index(b"\n")].decode().strip().split(",")
    as_text = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False)
    return pyarrow.csv.read_csv(io.BytesIO(content), convert_options=as_text)


def _bounds(source: duckdb.DuckDBPyConnection, name: str) -> tuple[datetime, datetime]:
    event = _EVENTS[name]
    ((first, last),) = source.execute(
        f"select epoch(min({event.known_at})), epoch(max({event.known_at})) from {event.source}"
    ).fetchall()
    return datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC)


def _rows_between(source: duckdb.DuckDBPyConnection, name: str, after: datetime | None, through: datetime) -> pa.Table:
    """The landing rows known after `after` and no later than `through`, in order; `known_at` (seconds) comes last."""
    event = _EVENTS[name]
    return source.sql(
        f"""
        with

        events as (

            select {event.columns}, {event.known_at} as known_moment, epoch(known_moment)::bigint as known_at
            from {event.source}

        )

        select * exclude (known_moment, known_at), strftime(known_moment, '%Y-%m-%dT%H:%M:%SZ') as reported_at, known_at
        from events
        where known_at > $after and known_at <= $through
        order by {event.order}
        """,
        params={"after": after.timestamp() if after else float("-inf"), "through": through.timestamp()},
    ).to_arrow_table()


def _daily_slices(rows: pa.Table, after: datetime | None, through: datetime) -> Iterator[tuple[Interval, int, int]]:
    """The intervals that hold rows, with the position of the first of them and the one behind the last."""
    known_at = rows["known_at"].to_numpy()
    if not len(known_at):
        return
    first, last = (datetime.fromtimestamp(int(known_at[row]), UTC) for row in (0, -1))
    for interval in daily_intervals(first, last, after, through):
        start, end = np.searchsorted(
            known_at, [interval.start.timestamp(), interval.end.timestamp()], side="right"
        ).tolist()
        if start < end:
            yield interval, start, end


def _as_csv(rows: pa.Table) -> bytes:
    """A header and one line per row; a value that would need quotes is an error, since the source has none."""
    rows = rows.drop_columns("known_at")
    text = io.BytesIO()
    text.write((",".join(rows.column_names) + "\n").encode())
    pyarrow.csv.write_csv(rows, text, pyarrow.csv.WriteOptions(include_header=False, quoting_style="none"))
    return text.getvalue()
