"""A value is what its type says, written whole, or its row is set aside by name: what a cast would read leniently is refused.

Each line lies in a file of its own, with a good line behind it.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from dbt_homes import FEED, Home, Project
from test_door import AIRLINES, SCHEDULES, file_of, schedule

DOOR = ("stg_landing__files", "base_nycflights__*", "int_flights__intake", "stg_flights__quarantine")
ARRIVALS = "flight_date,carrier,flight,origin,arr_time,arr_delay,air_time,reported_at"
WEATHER = "origin,year,month,day,hour,temp,dewp,humid,wind_dir,wind_speed,wind_gust,precip,pressure,visib,time_hour,reported_at"


def arrival(number: int, **changes: object) -> str:
    values = {
        "flight_date": "2013-01-01",
        "carrier": "UA",
        "flight": number,
        "origin": "EWR",
        "arr_time": 830,
        "arr_delay": 11,
        "air_time": 227,
        "reported_at": "2013-01-01T13:30:00Z",
    }
    return ",".join(str(value) for value in (values | changes).values())


def weather(hour: int, **changes: object) -> str:
    values = {
        "origin": "EWR",
        "year": 2013,
        "month": 1,
        "day": 1,
        "hour": hour,
        "temp": 39.02,
        "dewp": 26.06,
        "humid": 59.37,
        "wind_dir": 270,
        "wind_speed": 10.35702,
        "wind_gust": "NA",
        "precip": 0,
        "pressure": 1012,
        "visib": 10,
        "time_hour": f"2013-01-01T{hour:02}:00:00Z",
        "reported_at": f"2013-01-01T{hour + 1:02}:00:00Z",
    }
    return ",".join(str(value) for value in (values | changes).values())


@dataclass(frozen=True)
class Line:
    """A landed line, and why it is set aside; None: it is good."""

    name: str
    line: str
    reason: str | None
    table: str = "schedules"
    header: str = SCHEDULES


def of_arrivals(name: str, line: str, reason: str | None) -> Line:
    return Line(name, line, reason, "arrivals", ARRIVALS)


def of_weather(name: str, line: str, reason: str | None) -> Line:
    return Line(name, line, reason, "weather", WEATHER)


LINES = [
    Line("exponent", schedule(10, distance="15e-1"), "distance 15e-1 is not integer"),
    Line("small exponent", schedule(11, distance="1e-1"), "distance 1e-1 is not integer"),
    Line("hexadecimal", schedule(12, distance="0x10"), "distance 0x10 is not integer"),
    Line("underscore", schedule(13, distance="1_0"), "distance 1_0 is not integer"),
    Line("too great", schedule(14, distance="99999999999"), "distance 99999999999 is not integer"),
    Line("signed", schedule(15, distance="+1400"), None),
    Line("infinite date", schedule(16, flight_date="infinity"), "flight_date infinity is not date"),
    Line("named date", schedule(17, flight_date="epoch"), "flight_date epoch is not date"),
    Line("before christ", schedule(18, flight_date="2013-01-01 (BC)"), "flight_date 2013-01-01 (BC) is not date"),
    Line("short date", schedule(19, flight_date="2013-1-1"), "flight_date 2013-1-1 is not date"),
    Line("year 13", schedule(20, flight_date="0013-01-01"), "flight_date 0013-01-01 lies outside the years 1900 to 2200"),
    Line("year 1899", schedule(21, flight_date="1899-12-31"), "flight_date 1899-12-31 lies outside the years 1900 to 2200"),
    Line("far date", schedule(22, flight_date="2031-01-01"), "flight_date 2031-01-01 is more than 400 days away from reported_at 2012-12-31T05:00:00Z"),
    Line("far hour", schedule(23, time_hour="2131-01-01T10:00:00Z"), "time_hour 2131-01-01T10:00:00Z is more than 400 days away from reported_at 2012-12-31T05:00:00Z"),
    Line("infinite report", schedule(24, reported_at="infinity"), "reported_at infinity is not timestamp"),
    Line("report before 1900", schedule(25, reported_at="1850-01-01T00:00:00Z"), "flight_date 2013-01-01 is more than 400 days away from reported_at 1850-01-01T00:00:00Z; time_hour 2013-01-01T10:00:00Z is more than 400 days away from reported_at 1850-01-01T00:00:00Z; reported_at 1850-01-01T00:00:00Z lies outside the years 1900 to 2200"),
    Line("report cut off", schedule(26, reported_at="2013-01-01T00:4"), "reported_at 2013-01-01T00:4 is not timestamp"),
    Line("report cut off at the hour", schedule(27, reported_at="2013-01-01T0"), "reported_at 2013-01-01T0 is not timestamp"),
    Line("report of a day", schedule(28, reported_at="2012-12-31"), "reported_at 2012-12-31 is not timestamp"),
    Line("report without seconds", schedule(29, reported_at="2012-12-31T05:00"), None),
    Line("report with a fraction", schedule(30, reported_at="2012-12-31 05:00:00.25+01:00"), None),
    Line("clock", schedule(31, sched_dep_time="1275"), "sched_dep_time 1275 is no clock time (hhmm)"),
    Line("clock after the day", schedule(32, sched_dep_time="2401"), "sched_dep_time 2401 is no clock time (hhmm)"),
    Line("end of the day", schedule(33, sched_dep_time="2400"), None),
    Line("carriage return inside", schedule(34, distance="12\r00"), "holds a control character"),
    Line("nul", schedule(35, dest="I\x00AH"), "holds a control character"),
    Line("zero width", schedule(36, carrier="U\u200bA"), "carrier holds a character that cannot be seen"),
    Line("soft hyphen", schedule(37, carrier="U\u00adA"), "carrier holds a character that cannot be seen"),
    Line("byte order mark", schedule(38, carrier="\ufeffUA"), "carrier holds a character that cannot be seen"),
    Line("hard space", schedule(39, carrier="U\u00a0A"), "carrier holds a character that cannot be seen"),
    Line("behind a quote", '"b"lost,Name', "something stands behind a closing quote", "airlines", AIRLINES),
    Line("behind a last quote", 'B2,"Name"lost', "something stands behind a closing quote", "airlines", AIRLINES),
    Line("a quote within", 'B3,Five" and seven"', None, "airlines", AIRLINES),
    of_arrivals("arrival clock", arrival(10, arr_time="1275"), "arr_time 1275 is no clock time (hhmm)"),
    of_arrivals("before its day", arrival(11, reported_at="2012-12-31T23:59:00Z"), "reported_at 2012-12-31T23:59:00Z is before flight_date 2013-01-01"),
    of_arrivals("in the future", arrival(12, flight_date="2031-01-01", reported_at="2099-01-01T10:00:00Z"), "flight_date 2031-01-01 is more than 400 days away from reported_at 2099-01-01T10:00:00Z; reported_at 2099-01-01T10:00:00Z lies in the future: it arrived at "),
    of_weather("not a number", weather(1, temp="nan"), "temp nan is not double"),
    of_weather("infinite", weather(2, temp="inf"), "temp inf is not double"),
    of_weather("beyond a double", weather(3, temp="1e999"), "temp 1e999 is not finite"),
    of_weather("scientific", weather(4, temp="3.9e1"), None),
    of_weather("without a leading nought", weather(5, precip=".5"), None),
    of_weather("observed after it was reported", weather(6, time_hour="2013-01-01T09:00:00Z"), "time_hour 2013-01-01T09:00:00Z is after reported_at 2013-01-01T07:00:00Z"),
]  # fmt: skip


def path_of(line: Line) -> str:
    return f"{FEED}/{line.table}/{line.name}.csv"


@pytest.fixture(scope="module")
def landed(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("values"), project)
    behind = {"schedules": schedule, "arrivals": arrival, "weather": lambda number: weather(10, day=number)}
    for number, line in enumerate(LINES):
        good = behind[line.table](9000 + number) if line.table in ("schedules", "arrivals") else None
        home.land(path_of(line), file_of(line.header, line.line, *([good] if good else [])))
    build = home.build(*DOOR)
    assert build, build.failures()
    return home


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)
def test_a_value_that_only_a_lenient_cast_would_take_is_refused_by_name(landed: Home, line: Line) -> None:
    found = landed.rows(
        "select quarantine_reason from stg_flights__quarantine join stg_landing__files using (file_id) "
        f"where path = '{path_of(line)}' and line_number = 2"
    )

    if line.reason is None:
        assert found == []
    else:
        assert len(found) == 1
        assert found[0][0].startswith(line.reason)
        assert line.reason.endswith("at ") or found[0][0] == line.reason


def test_the_line_behind_is_taken(landed: Home) -> None:
    good = sum(1 for line in LINES if line.table in ("schedules", "arrivals"))

    assert landed.rows(
        "select (select count(*) from base_nycflights__schedules where flight >= 9000 and quarantine_reason is null) + "
        "(select count(*) from base_nycflights__arrivals where flight >= 9000 and quarantine_reason is null)"
    ) == [(good,)]


def test_a_far_off_year_moves_no_watermark(landed: Home) -> None:
    assert landed.rows("select year(max(last_reported_at)) from int_flights__intake") == [(2013,)]


def test_one_wrong_year_in_a_feed_is_set_aside_and_names_its_file(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """2019 is in the past of the clock on the wall: only the feed's other rows tell that it is wrong."""
    home = Home(tmp_path_factory.mktemp("year"), project)
    home.land(f"{FEED}/arrivals/1.csv", file_of(ARRIVALS, *(arrival(number) for number in range(1, 151))))
    assert home.build(*DOOR)
    home.land(
        f"{FEED}/arrivals/2.csv",
        file_of(ARRIVALS, arrival(200, flight_date="2019-06-01", reported_at="2019-06-01T10:00:00Z")),
    )

    build = home.build(*DOOR)

    assert home.rows("select max(last_reported_at)::varchar from int_flights__intake") == [("2013-01-01 13:30:00",)]
    said = "\n".join(build.said)
    assert (
        f"{FEED}/arrivals/2.csv, line 2: reported_at 2019-06-01T10:00:00Z is more than 400 days later than nearly all other rows"
        in said
    )
    assert home.build(*DOOR, full_refresh=True)
    assert home.rows("select max(last_reported_at)::varchar from int_flights__intake") == [("2013-01-01 13:30:00",)]
