"""The door: what is wrong with a landing file or a row in it is named, and everything else goes on.

All faults land together, beside good files, in one home; so each test also shows that the others did not get in its way.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from dbt_homes import FEED, Build, Home, Project

LARGEST = 4_000  # bytes, so that a file can be too large without being large
DOOR = ("stg_landing__files", "base_nycflights__*", "int_flights__intake", "stg_flights__quarantine")

SCHEDULES = "flight_date,carrier,flight,origin,dest,sched_dep_time,sched_arr_time,distance,time_hour,reported_at"
DEPARTURES = "flight_date,carrier,flight,origin,tailnum,dep_time,dep_delay,reported_at"
AIRLINES = "carrier,name"
AIRPORTS = "faa,name,lat,lon,alt,tz,dst,tzone"


def schedule(number: object, **changes: object) -> str:
    """A good line of schedules, but for the changes."""
    values = {
        "flight_date": "2013-01-01",
        "carrier": "UA",
        "flight": number,
        "origin": "EWR",
        "dest": "IAH",
        "sched_dep_time": 515,
        "sched_arr_time": 819,
        "distance": 1400,
        "time_hour": "2013-01-01T10:00:00Z",
        "reported_at": "2012-12-31T05:00:00Z",
    }
    return ",".join(str(value) for value in (values | changes).values())


def departure(number: object) -> str:
    return f"2013-01-01,UA,{number},EWR,N14228,517,2,2013-01-01T10:17:00Z"


def file_of(header: str, *lines: str) -> str:
    return "\n".join((header, *lines)) + "\n"


GOOD = f"{FEED}/schedules/0_good.csv"
FILES: dict[str, str | bytes] = {
    GOOD: file_of(SCHEDULES, schedule(1), schedule(2)),
    f"{FEED}/departures/0_good.csv": file_of(DEPARTURES, departure(1)),
    f"{FEED}/airlines/all.csv": file_of(AIRLINES, "UA,United Air Lines Inc."),
}


@dataclass(frozen=True)
class FileFault:
    """A file that must not be read, and what the door must say of it."""

    path: str
    content: str | bytes
    reason: str
    status: str = "rejected"


FILE_FAULTS = [
    FileFault(
        f"{FEED}/schedules/wrong_header.csv",
        file_of("date,airline", schedule(10)),
        "header is date,airline but should be flight_date",
    ),
    FileFault(
        f"{FEED}/schedules/reordered_columns.csv",
        file_of(SCHEDULES.replace("flight_date,carrier", "carrier,flight_date"), schedule(11)),
        "header is carrier,flight_date,flight,origin",
    ),
    FileFault(
        f"{FEED}/schedules/dropped_column.csv",
        file_of(SCHEDULES.removesuffix(",reported_at"), schedule(12)),
        "header is ",
    ),
    FileFault(
        f"{FEED}/departures/error_page.csv",
        "<!DOCTYPE html>\n<html><body>502 Bad Gateway</body></html>\n",
        "header is <!DOCTYPE html>",
    ),
    FileFault(f"{FEED}/departures/empty.csv", b"", "is empty: not even a header"),
    FileFault(
        f"{FEED}/schedules/latin.csv",
        file_of(SCHEDULES, schedule(13, dest="MÜC")).encode("latin-1"),
        "is not UTF-8 text",
    ),
    FileFault(f"{FEED}/schedules/compressed.csv", b"\x1f\x8b\x08\x00\xff\xfe\x00\x00", "is not UTF-8 text"),
    FileFault(
        f"{FEED}/schedules/oversized.csv",
        file_of(SCHEDULES, *(schedule(n) for n in range(100, 200))),
        f"more than landing_max_file_bytes ({LARGEST})",
    ),
    FileFault(f"{FEED}/schedules/same_bytes.csv", FILES[GOOD], f"has the same bytes as {GOOD}", status="duplicate"),
    FileFault(
        "elsewhere/schedules/undeclared_feed.csv",
        file_of(SCHEDULES, schedule(14)),
        "no source declares the landing table elsewhere/schedules",
    ),
    FileFault(
        f"{FEED}/baggage/undeclared_table.csv", "a,b\n1,2\n", f"no source declares the landing table {FEED}/baggage"
    ),
]


@dataclass(frozen=True)
class RowFault:
    """A line that must be set aside, alone, and what must be said of it; None: a line that looks odd and is good."""

    name: str
    line: str
    reason: str | None
    table: str = "schedules"
    header: str = SCHEDULES


ROW_FAULTS = [
    RowFault("too few fields", "2013-01-01,UA,20", "expected 10 fields, found 3"),
    RowFault("too many fields", schedule(21) + ",extra", "expected 10 fields, found 11"),
    RowFault("empty line", "", "expected 10 fields, found 1"),
    RowFault("not a number", schedule(22, distance="far"), "distance far is not integer"),
    RowFault(
        "a fraction where a whole number belongs", schedule(23, distance="1400.5"), "distance 1400.5 is not integer"
    ),
    RowFault("a whole number written as a fraction", schedule(24, distance="1400.0"), None),
    RowFault("no date", schedule(25, flight_date="2013-02-30"), "flight_date 2013-02-30 is not date"),
    RowFault("no moment", schedule(26, time_hour="yesterday"), "time_hour yesterday is not timestamp"),
    RowFault("below the minimum", schedule(27, distance=0), "distance 0 is below 1"),
    RowFault("above the maximum", schedule(28, distance=20000), "distance 20000 is above 12500"),
    RowFault("a code that is not accepted", schedule(29, origin="SFO"), "origin SFO is not one of EWR, JFK, LGA"),
    RowFault("required and missing", schedule(30, dest=""), "dest is missing"),
    RowFault("required and NA", schedule(31, carrier="NA"), "carrier is missing"),
    RowFault("two faults", schedule(32, dest="", distance="far"), "dest is missing; distance far is not integer"),
    RowFault(
        "the key of an earlier row, and the same facts",
        schedule(1, reported_at="2012-12-31T06:00:00Z"),
        "repeats the key (flight_date, carrier, flight, origin) of an earlier row",
    ),
    RowFault(
        "the key of an earlier row, and other facts, where none are accepted",
        schedule(2, dest="ORD"),
        "says something else of a key (flight_date, carrier, flight, origin) that an earlier row had; the source accepts no corrections",
    ),
    RowFault("a quoted comma", 'QQ,"Quick, Quiet & Co."', None, "airlines", AIRLINES),
    RowFault("quoted quotes", 'QR,"The ""R"" Line"', None, "airlines", AIRLINES),
    RowFault("nothing before a quoted comma", ',"Nobody, Inc."', "carrier is missing", "airlines", AIRLINES),
    RowFault("nothing but commas and a quote", ',,"3,4"', "expected 2 fields, found 3", "airlines", AIRLINES),
    RowFault("a quote that is never closed", 'QT,"Torn', "a quote is not closed", "airlines", AIRLINES),
    RowFault("windows line ends", schedule(33) + "\r", None),
]


@pytest.fixture(scope="module")
def doors(project: Project, tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Build]:
    """A home into which everything above has landed, and its first build. Every row fault has a file of its own, with a good row behind it."""
    home = Home(tmp_path_factory.mktemp("door"), project)
    for path, content in FILES.items():
        home.land(path, content)
    for fault in FILE_FAULTS:
        home.land(fault.path, fault.content)
    for number, fault in enumerate(ROW_FAULTS):
        behind = schedule(9000 + number) if fault.table == "schedules" else f"Z{number},Behind"
        home.land(_path(fault), file_of(fault.header, fault.line, behind))
    build = home.build(*DOOR, landing_max_file_bytes=LARGEST)
    return home, build


@pytest.fixture
def door(doors: tuple[Home, Build], tmp_path: Path) -> Home:
    """A copy of it for one test."""
    return doors[0].copied_to(tmp_path / "home")


def _path(fault: RowFault) -> str:
    return f"{FEED}/{fault.table}/row {fault.name}.csv"


def _accounts(home: Home) -> list[tuple[str, int, int, int]]:
    return home.rows(
        "select path, landed_rows, staged_rows, quarantined_rows from int_flights__intake join stg_landing__files using (file_id)"
    )


def test_faults_do_not_stop_the_build(doors: tuple[Home, Build]) -> None:
    _, build = doors

    assert build, build.failures()
    assert build.statuses["rows_are_accounted_for_int_flights__intake_ref_stg_landing__files_"] == "pass"


@pytest.mark.parametrize("fault", FILE_FAULTS, ids=lambda fault: Path(fault.path).stem)
def test_a_file_that_is_not_what_it_should_be_is_named_and_not_read(
    doors: tuple[Home, Build], fault: FileFault
) -> None:
    home, _ = doors

    ((status, reason, file_id),) = home.rows(
        f"select status, reason, file_id from stg_landing__files where path = '{fault.path}'"
    )

    assert status == fault.status
    assert fault.reason in reason
    assert home.rows(f"select * from int_flights__intake where file_id = {file_id}") == []


@pytest.mark.parametrize("fault", ROW_FAULTS, ids=lambda fault: fault.name)
def test_a_row_that_is_not_what_it_should_be_is_named_and_the_next_one_goes_on(
    doors: tuple[Home, Build], fault: RowFault
) -> None:
    home, _ = doors

    found = home.rows(
        "select line_number, quarantine_reason, quarantined_line from stg_flights__quarantine join stg_landing__files using (file_id) "
        f"where path = '{_path(fault)}'"
    )
    ((_, landed, staged, quarantined),) = (account for account in _accounts(home) if account[0] == _path(fault))

    if fault.reason is None:
        assert found == []
        assert (landed, staged, quarantined) == (2, 2, 0)
    else:
        assert found == [(2, fault.reason, fault.line)]
        assert (landed, staged, quarantined) == (2, 1, 1)


def test_a_quoted_value_is_read_as_it_was_meant(doors: tuple[Home, Build]) -> None:
    home, _ = doors

    names = dict(home.rows("select carrier, name from base_nycflights__airlines where quarantine_reason is null"))

    assert (names["QQ"], names["QR"]) == ("Quick, Quiet & Co.", 'The "R" Line')


def test_landed_is_staged_plus_quarantined_in_every_file(doors: tuple[Home, Build]) -> None:
    home, _ = doors

    accounts = _accounts(home)
    lines = {path: len((home.path / "landing" / path).read_text().split("\n")) - 2 for path, *_ in accounts}

    assert len(accounts) == len(FILES) + len(ROW_FAULTS)
    for path, landed, staged, quarantined in accounts:
        assert landed == staged + quarantined == lines[path], path


def test_the_build_says_which_files_and_rows_it_did_not_take(doors: tuple[Home, Build]) -> None:
    _, build = doors
    said = "\n".join(build.said)

    assert build.statuses["files_are_accepted_stg_landing__files_"] == "warn"
    assert build.statuses["rows_pass_the_door_stg_flights__quarantine_ref_stg_landing__files_"] == "warn"
    assert f"{FEED}/schedules/wrong_header.csv: header is date,airline" in said
    assert ", line 2: " in said


def test_a_header_alone_is_a_file_without_rows(door: Home) -> None:
    door.land(f"{FEED}/schedules/z_header_alone.csv", SCHEDULES + "\n")
    door.land(f"{FEED}/departures/z_header_alone_without_line_end.csv", DEPARTURES)

    assert door.build(*DOOR, landing_max_file_bytes=LARGEST)

    assert [account[1:] for account in _accounts(door) if "header_alone" in account[0]] == [(0, 0, 0)] * 2


def test_the_key_of_a_row_of_an_earlier_file_is_not_taken_twice(door: Home) -> None:
    path = f"{FEED}/schedules/z_repeats.csv"
    door.land(path, file_of(SCHEDULES, schedule(1), schedule(40)))

    assert door.build(*DOOR, landing_max_file_bytes=LARGEST)

    found = door.rows(
        f"select flight, quarantine_reason from base_nycflights__schedules join stg_landing__files using (file_id) where path = '{path}' order by 1"
    )
    assert found == [(1, "repeats the key (flight_date, carrier, flight, origin) of an earlier row"), (40, None)]


def test_a_file_that_changed_after_it_was_read_is_refused_and_its_rows_stay(door: Home) -> None:
    before = _accounts(door)
    door.land(GOOD, file_of(SCHEDULES, schedule(1), schedule(2), schedule(3)))

    assert door.build(*DOOR, landing_max_file_bytes=LARGEST)

    states = door.rows(f"select status, reason from stg_landing__files where path = '{GOOD}' order by file_id")
    assert [status for status, _ in states] == ["accepted", "rejected"]
    assert "was changed after it had been read" in states[1][1]
    assert sorted(_accounts(door)) == sorted(before)


def test_the_bytes_of_an_earlier_file_under_another_name_are_not_read_again(door: Home) -> None:
    before = _accounts(door)
    shutil.copy(door.path / "landing" / GOOD, door.path / "landing" / FEED / "schedules" / "z_again.csv")

    assert door.build(*DOOR, landing_max_file_bytes=LARGEST)

    assert door.rows("select status, reason from stg_landing__files where path like '%z_again.csv'") == [
        ("duplicate", f"has the same bytes as {GOOD}")
    ]
    assert sorted(_accounts(door)) == sorted(before)


def test_a_file_larger_than_memory_is_refused_without_being_read(door: Home) -> None:
    file = door.land(f"{FEED}/schedules/z_vast.csv", SCHEDULES + "\n")
    with file.open("rb+") as vast:
        vast.truncate(6 * 2**30)  # a hole: it takes no space

    build = door.build(*DOOR)

    assert build, build.failures()
    assert door.rows("select status from stg_landing__files where path like '%z_vast.csv'") == [("rejected",)]


def test_a_file_that_was_put_right_is_read_and_forgiven(door: Home) -> None:
    path = f"{FEED}/schedules/wrong_header.csv"
    door.land(path, file_of(SCHEDULES, schedule(50)))

    build = door.build(*DOOR, landing_max_file_bytes=LARGEST)

    assert (path, 1, 1, 0) in _accounts(door)
    assert not any(f"{path}: header is" in words for words in build.said)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2013-01-01T10:00:00Z", "2013-01-01 10:00:00"),
        ("2013-01-01T10:00:00", "2013-01-01 10:00:00"),
        ("2013-01-01T05:00:00-05:00", "2013-01-01 10:00:00"),
    ],
)
def test_a_moment_with_an_offset_is_taken_at_its_word(door: Home, written: str, meant: str) -> None:
    door.land(f"{FEED}/schedules/z_offset.csv", file_of(SCHEDULES, schedule(60, time_hour=written)))

    assert door.build(*DOOR, landing_max_file_bytes=LARGEST)

    assert door.rows("select time_hour::varchar from base_nycflights__schedules where flight = 60") == [(meant,)]


def test_nothing_landed_is_nothing_built_and_no_error(project: Project, tmp_path: Path) -> None:
    home = Home(tmp_path, project)

    build = home.build()

    assert build, build.failures()
    assert home.training_rows() == {}
