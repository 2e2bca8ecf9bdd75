"""Every file below the landing folder is seen and named, whatever it is called and wherever it lies; and none wedges the home."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from dbt_homes import FEED, Home, Project
from test_door import GOOD, SCHEDULES, file_of, schedule

DOOR = ("stg_landing__files", "base_nycflights__*", "int_flights__intake", "stg_flights__quarantine")
ODD_NAMES = [
    "a[1].csv",
    "a1.csv",
    "b*.csv",
    "bx.csv",
    "c?.csv",
    "cx.csv",
    "d{1,2}.csv",
    "d1.csv",
    "[!e].csv",
    "f'g.csv",
]


@pytest.fixture
def home(project: Project, tmp_path: Path) -> Home:
    return Home(tmp_path / "home", project)


def verdicts(home: Home) -> dict[str, tuple[str, str | None]]:
    """Status and reason of the latest finding of every path."""
    rows = home.rows("select path, status, reason from stg_landing__files order by file_id")
    return {path: (status, reason) for path, status, reason in rows}


def staged(home: Home) -> list[tuple[str, int]]:
    return home.rows(
        "select path, flight from base_nycflights__schedules join stg_landing__files using (file_id) where quarantine_reason is null order by flight"
    )


def test_a_name_that_reads_like_a_pattern_is_that_one_file(home: Home) -> None:
    for number, name in enumerate(ODD_NAMES, start=1):
        home.land(f"{FEED}/schedules/{name}", file_of(SCHEDULES, schedule(number)))
    home.land(f"{FEED}/schedules/.b hidden.csv", file_of(SCHEDULES, schedule(99)))

    build = home.build(*DOOR)

    assert build, build.failures()
    assert staged(home) == [(f"{FEED}/schedules/{name}", number) for number, name in enumerate(ODD_NAMES, start=1)]
    (home.path / "landing" / FEED / "schedules" / "a[1].csv").unlink()
    assert home.build(*DOOR)


def test_a_home_whose_own_path_reads_like_a_pattern_is_read(project: Project, tmp_path: Path) -> None:
    home = Home(tmp_path / "home [1]*", project)
    home.land(GOOD, file_of(SCHEDULES, schedule(1)))

    build = home.build(*DOOR)

    assert build, build.failures()
    assert staged(home) == [(GOOD, 1)]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (f"{FEED}/schedules/deeper/x.csv", "does not lie in landing/<source>/<table>/"),
        (f"{FEED}/x.csv", "does not lie in landing/<source>/<table>/"),
        ("x.csv", "does not lie in landing/<source>/<table>/"),
        (f"{FEED}/schedules/x.csv.part", "is no .csv file by its name"),
        (f"{FEED}/schedules/x.csv.tmp", "is no .csv file by its name"),
        (f"{FEED}/schedules/x.csv~", "is no .csv file by its name"),
        (f"{FEED}/schedules/README", "is no .csv file by its name"),
        (f"{FEED}/schedules/x\\y.csv", "its name holds a backslash"),
        (f"{FEED}/schedules/x\ny.csv", "its name holds a backslash, or characters that are not printable"),
        ("elsewhere/x/y.csv", "no source declares the landing table elsewhere/x"),
    ],
)
def test_what_is_no_landing_file_is_rejected_by_name(home: Home, path: str, reason: str) -> None:
    home.land(path, file_of(SCHEDULES, schedule(1)))
    home.land(GOOD, file_of(SCHEDULES, schedule(2)))

    build = home.build(*DOOR)

    assert build, build.failures()
    status, why = verdicts(home)[path]
    assert status == "rejected"
    assert why is not None
    assert why.startswith(reason)
    assert staged(home) == [(GOOD, 2)]


def test_a_name_that_is_no_utf8_is_rejected_by_name(home: Home) -> None:
    home.land(GOOD, file_of(SCHEDULES, schedule(2)))
    folder = os.fsencode(home.path / "landing" / FEED / "schedules")
    Path(os.fsdecode(folder + b"/m\xfcnchen.csv")).write_text(file_of(SCHEDULES, schedule(1)))

    assert home.build(*DOOR)

    assert verdicts(home)[f"{FEED}/schedules/m\\xfcnchen.csv"][0] == "rejected"
    assert staged(home) == [(GOOD, 2)]


def test_a_table_that_is_declared_later_has_its_rejected_files_looked_at_again(home: Home) -> None:
    home.land(GOOD, file_of(SCHEDULES, schedule(1), schedule(2)))
    assert home.build(*DOOR, landing_max_file_bytes=10)
    assert verdicts(home)[GOOD][0] == "rejected"

    assert home.build(*DOOR)

    assert verdicts(home)[GOOD] == ("accepted", None)
    assert len(staged(home)) == 2


def test_a_file_that_grows_between_the_door_and_the_reading_wedges_nothing(home: Home) -> None:
    home.land(GOOD, file_of(SCHEDULES, schedule(1)))
    assert home.build(*DOOR)
    growing = f"{FEED}/schedules/growing.csv"
    home.land(growing, file_of(SCHEDULES, schedule(2)))
    assert home.run("run", "--select", "stg_landing__files")
    home.land(growing, file_of(SCHEDULES, schedule(2), schedule(3)))

    assert home.run(
        "run", "--select", "base_nycflights__*", "int_flights__intake"
    )  # the bytes are not those that the door accepted
    assert staged(home) == [(GOOD, 1)]
    build = home.build(*DOOR)

    assert build, build.failures()
    assert [(path, flight) for path, flight in staged(home)] == [(GOOD, 1), (growing, 2), (growing, 3)]
    assert home.rows(f"select status from stg_landing__files where path = '{growing}' order by file_id") == [
        ("withdrawn",),
        ("accepted",),
    ]
    assert home.build(*DOOR, full_refresh=True)
    assert len(staged(home)) == 3


def test_a_file_that_is_taken_away_before_it_was_read_wedges_nothing(home: Home) -> None:
    home.land(GOOD, file_of(SCHEDULES, schedule(1)))
    assert home.build(*DOOR)
    gone = home.land(f"{FEED}/schedules/gone.csv", file_of(SCHEDULES, schedule(2)))
    assert home.run("run", "--select", "stg_landing__files")
    gone.unlink()

    build = home.build(*DOOR)

    assert build, build.failures()
    assert staged(home) == [(GOOD, 1)]


def test_a_file_that_was_read_and_then_changed_is_refused_until_it_is_put_back(home: Home) -> None:
    original = file_of(SCHEDULES, schedule(1))
    home.land(GOOD, original)
    assert home.build(*DOOR)
    home.land(GOOD, original + schedule(2) + "\n")

    assert home.build(*DOOR)
    status, reason = verdicts(home)[GOOD]
    assert status == "rejected"
    assert "put what stood there back, and what is to be corrected into a new file" in str(reason)
    assert staged(home) == [(GOOD, 1)]

    refreshed = home.build(*DOOR, full_refresh=True)
    assert not refreshed
    assert f"{GOOD} was accepted, and landing now holds other bytes under its name" in refreshed.failures()
    home.land(GOOD, original)
    assert home.build(*DOOR, full_refresh=True)
    assert verdicts(home)[GOOD][0] == "duplicate"
    assert staged(home) == [(GOOD, 1)]


def test_a_home_restored_without_file_times_holds_the_same_files(home: Home, tmp_path: Path) -> None:
    for number in range(5):
        home.land(f"{FEED}/schedules/{number}.csv", file_of(SCHEDULES, schedule(number + 1)))
    assert home.build(*DOOR)
    before = home.rows("from stg_landing__files order by file_id")
    restored = Home(tmp_path / "restored", home.project)
    shutil.copytree(home.path, restored.path, copy_function=shutil.copyfile)
    for file in (restored.path / "landing").rglob("*.csv"):
        os.utime(file, (1, 1))

    assert restored.build(*DOOR)

    assert restored.rows("from stg_landing__files order by file_id") == before
    written = sorted(file.name for file in (restored.path / "landing_log").iterdir())
    assert restored.build(*DOOR)
    assert sorted(file.name for file in (restored.path / "landing_log").iterdir()) == written
