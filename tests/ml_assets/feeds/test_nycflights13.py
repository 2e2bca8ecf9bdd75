"""The feed lands every fact once, when it became known, whatever the steps and whatever goes wrong between them."""

from __future__ import annotations

import csv
import random
import tempfile
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.errors import FeedError
from ml_assets.feeds import landing_files, nycflights13
from ml_assets.feeds.landing_files import Interval, daily_intervals
from ml_assets.feeds.nycflights13 import EVENT_TABLES, REFERENCE_TABLES, LandedTable, LandingReport, land
from ml_assets.moments import last_moment

FIRST_DAYS = ("2013,1,1,", "2013,1,2,")
START = datetime(2012, 12, 31, tzinfo=UTC)
HEADERS = {
    "schedules": "flight_date,carrier,flight,origin,dest,sched_dep_time,sched_arr_time,distance,time_hour,reported_at",
    "departures": "flight_date,carrier,flight,origin,tailnum,dep_time,dep_delay,reported_at",
    "arrivals": "flight_date,carrier,flight,origin,arr_time,arr_delay,air_time,reported_at",
    "cancellations": "flight_date,carrier,flight,origin,status,reported_at",
    "weather": "origin,year,month,day,hour,temp,dewp,humid,wind_dir,wind_speed,wind_gust,precip,pressure,visib,"
    "time_hour,reported_at",
    "airlines": "carrier,name",
    "airports": "faa,name,lat,lon,alt,tz,dst,tzone",
    "planes": "tailnum,year,type,manufacturer,model,engines,seats,speed,engine",
}

Rows = dict[str, list[str]]

_installed = nycflights13._packaged


@pytest.fixture(scope="module")
def few_days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The source cut down to its first days, so that landing it takes milliseconds."""
    folder = tmp_path_factory.mktemp("data")
    with zipfile.ZipFile(_installed("flights.csv.zip")) as archive:
        header, *flights = archive.read("flights.csv").decode().splitlines(keepends=True)
    with zipfile.ZipFile(folder / "flights.csv.zip", "w") as archive:
        archive.writestr("flights.csv", "".join([header, *(line for line in flights if line.startswith(FIRST_DAYS))]))
    header, *hours = _installed("weather.csv").read_text().splitlines(keepends=True)
    early = (line for line in hours if line.split(",", 1)[1].startswith(FIRST_DAYS))
    (folder / "weather.csv").write_text("".join([header, *early]))
    for name in REFERENCE_TABLES:
        (folder / f"{name}.csv").write_bytes(_installed(f"{name}.csv").read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nycflights13, "_packaged", folder.joinpath)
        yield


@pytest.fixture(scope="module")
def all_at_once(few_days: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    landing = tmp_path_factory.mktemp("all_at_once")
    land(landing, last_moment("2013-01-31"))
    return landing


def landed_rows(landing: Path) -> Rows:
    """Every landed line by table, in the order of the files' names."""
    return {
        name: [line for file in sorted(_files(landing, name)) for line in file.read_text().splitlines()[1:]]
        for name in (*EVENT_TABLES, *REFERENCE_TABLES)
    }


def _files(landing: Path, table: str = "*") -> list[Path]:
    return [path for path in landing.glob(f"nycflights13/{table}/*") if not path.name.startswith(".")]


def _fingerprints(landing: Path) -> dict[str, tuple[int, bytes]]:
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in _files(landing)}


# Moments


# Intervals


minutes = st.integers(0, 4 * 1440).map(lambda minute: START + timedelta(minutes=minute))


@given(st.tuples(minutes, minutes).map(sorted), st.none() | minutes, minutes)
def test_each_moment_falls_into_exactly_one_interval(
    bounds: list[datetime], after: datetime | None, through: datetime
) -> None:
    first, last = bounds
    intervals = list(daily_intervals(first, last, after, through))
    for moment in (first, last, first + (last - first) // 2):
        holding = [interval for interval in intervals if interval.start < moment <= interval.end]
        assert len(holding) == ((after is None or after < moment) and moment <= through)
    for interval in intervals:
        assert timedelta() < interval.end - interval.start <= timedelta(days=1)
        assert Interval.of_file(interval.file_name) == interval


# Landing in steps


@settings(max_examples=12, deadline=None)
@given(steps=st.lists(minutes, max_size=5))
def test_any_sequence_of_steps_lands_the_rows_of_one_step(all_at_once: Path, steps: list[datetime]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        landing = Path(folder)
        for step in steps:
            before = _fingerprints(landing)
            land(landing, step)
            assert _fingerprints(landing).items() >= before.items()
        land(landing, last_moment("2013-01-31"))
        assert landed_rows(landing) == landed_rows(all_at_once)


@settings(max_examples=10, deadline=None)
@given(through=minutes)
def test_what_became_known_by_then_has_landed_and_nothing_else(all_at_once: Path, through: datetime) -> None:
    with tempfile.TemporaryDirectory() as folder:
        land(Path(folder), through)
        landed = landed_rows(Path(folder))
    for name in EVENT_TABLES:
        everything = landed_rows(all_at_once)[name]
        assert landed[name] == [line for line in everything if _reported_at(line) <= through]


def test_a_row_lies_in_the_file_whose_interval_holds_its_time(all_at_once: Path) -> None:
    for name in EVENT_TABLES:
        for file in _files(all_at_once, name):
            interval = Interval.of_file(file.name)
            assert interval is not None
            times = [_reported_at(line) for line in file.read_text().splitlines()[1:]]
            assert times == sorted(times)
            assert interval.start < times[0]
            assert times[-1] <= interval.end


def _reported_at(line: str) -> datetime:
    return datetime.fromisoformat(line.rsplit(",", 1)[1])


def test_seconds_within_a_minute_lose_nothing(all_at_once: Path, tmp_path: Path) -> None:
    land(tmp_path, datetime(2013, 1, 1, 12, 30, 59, 999, tzinfo=UTC))
    land(tmp_path, last_moment("2013-01-31"))
    assert landed_rows(tmp_path) == landed_rows(all_at_once)


@pytest.mark.parametrize(("table", "header"), HEADERS.items())
def test_headers_are_as_agreed(all_at_once: Path, table: str, header: str) -> None:
    assert {file.read_text().splitlines()[0] for file in _files(all_at_once, table)} == {header}


# Landing again, and after a mishap


def test_landing_again_changes_nothing(all_at_once: Path) -> None:
    before = _fingerprints(all_at_once)
    report = land(all_at_once, last_moment("2013-01-31"))
    assert (report.rows, report.files) == (0, 0)
    assert _fingerprints(all_at_once) == before


def test_an_earlier_moment_changes_nothing(all_at_once: Path) -> None:
    before = _fingerprints(all_at_once)
    assert land(all_at_once, START).files == 0
    assert _fingerprints(all_at_once) == before


@pytest.mark.parametrize("files_in_place", [1, 4, 9])
def test_a_call_that_breaks_off_is_taken_up_where_it_ended(
    all_at_once: Path, tmp_path: Path, files_in_place: int
) -> None:
    def break_off(_: str, done: int, __: int) -> None:
        if done == files_in_place:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        land(tmp_path, last_moment("2013-01-31"), break_off)
    assert len(_files(tmp_path)) == files_in_place
    land(tmp_path, last_moment("2013-01-31"))
    assert _contents(tmp_path) == _contents(all_at_once)


def _contents(landing: Path) -> dict[str, bytes]:
    return {str(path.relative_to(landing)): path.read_bytes() for path in _files(landing)}


def test_what_a_killed_call_left_half_written_is_removed(few_days: None, tmp_path: Path) -> None:
    stray = tmp_path / "nycflights13/arrivals/.2013-01-01T0000Z--2013-01-02T0000Z.csv.part"
    stray.parent.mkdir(parents=True)
    stray.write_text("flight_date,car")
    land(tmp_path, last_moment("2013-01-02"))
    assert not list(tmp_path.glob("nycflights13/*/.*"))


def test_files_that_others_dropped_do_not_count_as_progress(few_days: None, tmp_path: Path) -> None:
    correction = tmp_path / "nycflights13/arrivals/2019-corrections.csv"
    correction.parent.mkdir(parents=True)
    correction.write_text(HEADERS["arrivals"] + "\n")
    report = land(tmp_path, last_moment("2013-01-02"))
    assert _landed(report, "arrivals").rows > 0


def test_a_second_process_waits_and_then_says_who_holds_the_folder(
    few_days: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing_files, "LOCK_SECONDS", 0.05)
    (tmp_path / "nycflights13").mkdir()
    with (
        FileLock(tmp_path / "nycflights13/.lock"),
        pytest.raises(FeedError, match="being landed by another process"),
    ):
        land(tmp_path, last_moment("2013-01-02"))


def test_a_missing_data_package_is_named_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nycflights13, "FEED", "no_such_package")
    with pytest.raises(FeedError, match=r"no_such_package is not installed.*requirements\.lock"):
        _installed("flights.csv.zip")


# The report


def _landed(report: LandingReport, table: str) -> LandedTable:
    return next(landed for landed in report.tables if landed.name == table)


def test_before_the_first_event_only_reference_tables_land(few_days: None, tmp_path: Path) -> None:
    report = land(tmp_path, datetime(2012, 6, 1, tzinfo=UTC))
    assert {table.name for table in report.tables if table.files} == set(REFERENCE_TABLES)
    assert report.note == "Nothing was known yet: the first row becomes known at 2012-12-31 05:00 UTC."


def test_after_the_last_event_the_report_says_that_the_source_ends(few_days: None, tmp_path: Path) -> None:
    report = land(tmp_path, datetime(2020, 1, 1, tzinfo=UTC))
    assert "the source ends here" in report.note
    assert report.last_known_at < datetime(2013, 1, 5, tzinfo=UTC)


def test_the_report_counts_what_landed(few_days: None, tmp_path: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    report = land(tmp_path, last_moment("2013-01-01"), lambda *step: steps.append(step))
    rows = landed_rows(tmp_path)
    assert {table.name: table.rows for table in report.tables} == {name: len(lines) for name, lines in rows.items()}
    assert [done for _, done, _ in steps] == list(range(1, report.files + 1))
    assert {total for _, _, total in steps} == {report.files} == {len(_files(tmp_path))}
    assert _landed(report, "arrivals").through == datetime(2013, 1, 2, tzinfo=UTC)
    assert _landed(report, "planes").through is None


# The whole year


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """Views on everything landed, and `flights`: the source, with a key."""
    landing = tmp_path_factory.mktemp("year")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nycflights13, "_packaged", _installed)
        land(landing, last_moment("2014-01-31"))
    with zipfile.ZipFile(_installed("flights.csv.zip")) as archive:
        archive.extract("flights.csv", landing)
    key = "flight_date || carrier || flight || origin as flight_key"
    with duckdb.connect() as connection:
        for name in EVENT_TABLES:
            columns = "*" if name == "weather" else f"*, {key}"
            rows = f"read_csv('{landing}/nycflights13/{name}/*.csv', all_varchar = true)"
            connection.execute(f"create table {name} as select {columns} from {rows}")
        connection.execute(
            "create table flights as "
            f"select *, make_date(year::int, month::int, day::int)::varchar as flight_date, {key} "
            f"from read_csv('{landing}/flights.csv', all_varchar = true)"
        )
        yield connection


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    return connection.execute(f"select count(*) from ({query})").fetchall()[0][0]


def test_every_flight_has_one_schedule_and_one_outcome(year: duckdb.DuckDBPyConnection) -> None:
    flights = "select flight_key from flights"
    outcomes = "select flight_key from arrivals union all select flight_key from cancellations"
    for landed in ("select flight_key from schedules", outcomes):
        assert _count(year, f"({flights}) except all ({landed})") == 0
        assert _count(year, f"({landed}) except all ({flights})") == 0
    assert _count(year, "from schedules") == 336_776
    assert _count(year, "from arrivals") == 327_346
    assert _count(year, "from cancellations where status = 'cancelled'") == 8_255
    assert _count(year, "from cancellations where status = 'diverted'") == 1_175


def test_every_flight_that_left_has_one_departure(year: duckdb.DuckDBPyConnection) -> None:
    left = "select flight_key from flights where dep_time <> 'NA'"
    assert _count(year, f"({left}) except all (select flight_key from departures)") == 0
    assert _count(year, "from departures") == _count(year, left) == 328_521


def test_values_stay_raw(year: duckdb.DuckDBPyConnection) -> None:
    for table, header in HEADERS.items():
        if table in ("schedules", "departures", "arrivals"):
            columns = header.removesuffix(",reported_at")
            assert _count(year, f"select {columns} from {table} except all select {columns} from flights") == 0
    weather = f"read_csv('{_installed('weather.csv')}', all_varchar = true)"
    assert _count(year, f"from {weather} except all select * exclude (reported_at) from weather") == 0
    assert _count(year, "from weather") == 26_115


def test_nothing_is_known_out_of_order(year: duckdb.DuckDBPyConnection) -> None:
    for later, earlier in [
        ("departures", "schedules"),
        ("arrivals", "departures"),
        ("cancellations", "departures"),
        ("cancellations", "schedules"),
    ]:
        both = f"from {later} as later join {earlier} as earlier using (flight_key)"
        assert _count(year, both) > 1_000
        assert _count(year, f"{both} where later.reported_at <= earlier.reported_at") == 0
    assert _count(year, "from weather where reported_at::timestamp <> time_hour::timestamp + interval 1 hour") == 0


def test_times_agree_with_the_calendar_worked_out_flight_by_flight(year: duckdb.DuckDBPyConnection) -> None:
    with _installed("airports.csv").open(newline="") as file:
        zones = {airport["faa"]: airport["tzone"] for airport in csv.DictReader(file)}
    known = {
        table: dict(year.execute(f"select flight_key, reported_at from {table}").fetchall())
        for table in ("schedules", "departures", "arrivals", "cancellations")
    }
    flights = year.execute(
        "select flight_key, flight_date, dest, time_hour, minute, sched_arr_time, dep_time, dep_delay, arr_delay "
        "from flights order by flight_key"
    ).fetchall()
    for key, date, dest, hour, minute, arrival, dep_time, dep_delay, arr_delay in random.Random(13).sample(
        flights, 3000
    ):
        midnight = datetime.fromisoformat(date).replace(tzinfo=ZoneInfo("America/New_York")).astimezone(UTC)
        departure = datetime.fromisoformat(hour) + timedelta(minutes=int(minute))
        there = departure.astimezone(ZoneInfo(zones.get(dest, "America/Puerto_Rico")))
        expected = departure
        while True:  # the first minute after departure at which clocks at the destination show the scheduled arrival
            expected += timedelta(minutes=1)
            clock = expected.astimezone(there.tzinfo)
            if clock.hour * 100 + clock.minute == int(arrival) % 2400:
                break
        assert known["schedules"][key] == _iso(midnight - timedelta(hours=24))
        if dep_time == "NA":
            assert known["cancellations"][key] == _iso(departure + timedelta(hours=4))
            continue
        assert known["departures"][key] == _iso(departure + timedelta(minutes=int(dep_delay)))
        if arr_delay == "NA":
            assert known["cancellations"][key] == _iso(expected + timedelta(hours=12))
        else:
            assert known["arrivals"][key] == _iso(expected + timedelta(minutes=int(arr_delay)))


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
