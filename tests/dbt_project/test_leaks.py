"""No decision is told what nobody knew yet.

Facts that become known later are landed, some of them wild, and what was decided before must not move; and a sample of decisions is worked out again from the
flights themselves, one fact at a time, by rules written out here.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from dbt_homes import FEED, Home

Row = dict[str, Any]
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
LABELS = {"is_late", "arrival_delay_minutes", "outcome_known_at"}
STAMP = "%Y-%m-%dT%H:%M:%SZ"


@pytest.fixture(scope="module")
def decided(template: Home) -> dict[str, Row]:
    return template.training_rows()


@pytest.fixture(scope="module")
def flights(template: Home) -> list[Row]:
    columns = [name for (name,) in template.rows("select column_name from (describe int_flights__timeline)")]
    return [dict(zip(columns, row, strict=True)) for row in template.rows("from int_flights__timeline")]


@pytest.fixture(scope="module")
def sample(decided: dict[str, Row], flights: list[Row]) -> list[Row]:
    """A hundred decisions, with the columns of their flights that are no features."""
    by_id = {flight["flight_id"]: flight for flight in flights}
    chosen = random.Random(20130105).sample(sorted(decided), 100)
    return [by_id[flight_id] | decided[flight_id] for flight_id in chosen]


# --- what is no column cannot leak


def test_the_tail_number_is_no_column_of_the_training_set(decided: dict[str, Row]) -> None:
    columns = set(next(iter(decided.values())))

    assert not [name for name in columns if "tail" in name or "aircraft" in name or "plane" in name]
    assert columns.isdisjoint({"departure_delay_minutes", "departed_at", "air_time_minutes", "outcome", "dep_time", "arr_time"})


# --- what becomes known later


def landed_line(values: Sequence[object]) -> str:
    return ",".join("" if value is None else str(value) for value in values)


def at(moment: datetime) -> str:
    return moment.strftime(STAMP)


@pytest.fixture(scope="module")
def poisoned(template: Home, flights: list[Row], copy_home: Callable[[Home], Home]) -> tuple[Home, datetime]:
    """The template's home, in which everything became known after `noon` that is not true of the world before: wild weather, late arrivals of
    flights still in the air, cancellations of flights that were waited for, flights that nobody had scheduled. All of it speaks of earlier hours."""
    home = copy_home(template)
    noon = max(row["decision_at"] for row in template.training_rows().values())
    key = ("flight_date", "carrier", "flight_number", "origin")
    open_flights = [row for row in flights if row["outcome"] is None and row["scheduled_departure_at"] < noon + 2 * HOUR]
    gone = [row for row in open_flights if row["departed_at"] is not None]
    waited_for = [row for row in open_flights if row["departed_at"] is None]
    assert len(gone) > 20 and len(waited_for) > 20
    known = at(noon + MINUTE)

    arrivals = [landed_line([*(row[name] for name in key), 1200, 900, 60, known]) for row in gone]
    cancellations = [landed_line([*(row[name] for name in key), "cancelled", known]) for row in waited_for]
    departures = [landed_line([*(row[name] for name in key), "N1", 1200, 900, known]) for row in waited_for]
    weather = [
        landed_line([origin, 2013, 1, 1, 1, 139, 99, 1, 1, 199, 199, 19, 851, 99, at(hour), known])
        for origin in ("EWR", "JFK", "LGA", "EWR")
        for hour in [noon.replace(minute=0, second=0) - back * HOUR + 30 * MINUTE for back in range(6)]
    ]
    schedules = [
        landed_line(["2013-01-04", "UA", 20_000 + number, "EWR", "IAH", row["scheduled_departure_at"].minute, 2359, 1400,
                     at(row["scheduled_departure_at"].replace(minute=0)), known])
        for number, row in enumerate(waited_for)
    ]  # fmt: skip
    for table, lines in {
        "arrivals": arrivals,
        "cancellations": cancellations,
        "departures": departures,
        "weather": weather,
        "schedules": schedules,
    }.items():
        header = next(iter(sorted((home.path / "landing" / FEED / table).glob("*.csv")))).read_text().split("\n")[0]
        home.land(f"{FEED}/{table}/z_poison.csv", "\n".join([header, *lines]) + "\n")
    build = home.build()
    assert build, build.failures()
    return home, noon


def test_what_becomes_known_later_changes_no_decision(poisoned: tuple[Home, datetime], decided: dict[str, Row]) -> None:
    home, noon = poisoned
    rows = home.training_rows()

    before = {flight: features(row) for flight, row in decided.items()}
    after = {flight: features(row) for flight, row in rows.items() if row["decision_at"] <= noon}

    assert after == before


def test_what_became_known_later_is_there_for_later_decisions(poisoned: tuple[Home, datetime]) -> None:
    home, noon = poisoned
    rows = [row for row in home.training_rows().values() if row["decision_at"] > noon]

    assert rows == [] or all(row["network_waiting_flights"] >= 0 for row in rows)
    assert home.rows("select max(quarantined_rows) from int_landing__intake join stg_landing__files using (file_id) where path like '%z_poison%'") != [(None,)]
    assert home.rows(f"select count(*) > 0 from ftr_origin__weather where known_at > '{noon}'") == [(True,)]


def features(row: Row) -> Row:
    return {name: value for name, value in row.items() if name not in LABELS}
