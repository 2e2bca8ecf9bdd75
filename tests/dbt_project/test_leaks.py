"""No decision is told what nobody knew yet.

Facts that become known later are landed, some of them wild, and what was decided before must not move; and a sample of decisions is worked out again from the
flights themselves, one fact at a time, by rules written out here.
"""

from __future__ import annotations

import math
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
    assert columns.isdisjoint(
        {"departure_delay_minutes", "departed_at", "air_time_minutes", "outcome", "dep_time", "arr_time"}
    )


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
    open_flights = [
        row for row in flights if row["outcome"] is None and row["scheduled_departure_at"] < noon + 2 * HOUR
    ]
    gone = [row for row in open_flights if row["departed_at"] is not None]
    waited_for = [row for row in open_flights if row["departed_at"] is None]
    assert min(len(gone), len(waited_for)) > 20
    known = at(noon + MINUTE)

    arrivals = [landed_line([*(row[name] for name in key), 1200, 900, 60, known]) for row in gone]
    cancellations = [landed_line([*(row[name] for name in key), "cancelled", known]) for row in waited_for]
    departures = [landed_line([*(row[name] for name in key), "N1", 1200, 900, known]) for row in waited_for]
    weather = [
        landed_line([origin, 2013, 1, 1, 1, 139, 99, 1, 1, 199, 199, 19, 851, 99, at(hour), known])
        for origin in ("EWR", "JFK", "LGA")
        for hour in [noon.replace(minute=0, second=0) - back * HOUR for back in range(6)]
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
    assert home.rows(
        "select max(quarantined_rows) from int_flights__intake join stg_landing__files using (file_id) where path like '%z_poison%'"
    ) != [(None,)]
    assert home.rows(f"select count(*) > 0 from ftr_origin__weather where known_at > '{noon}'") == [(True,)]


def features(row: Row) -> Row:
    return {name: value for name, value in row.items() if name not in LABELS}


# --- a sample worked out by hand


def of_keys(flights: Sequence[Row], decision: Row, keys: Sequence[str]) -> list[Row]:
    return [flight for flight in flights if all(flight[key] == decision[key] for key in keys)]


def known_by(flights: Sequence[Row], column: str, decision: Row, window: timedelta | None) -> list[Row]:
    """Flights of which `column` had passed by the decision, within the window before it."""
    until = decision["decision_at"]
    since = datetime.min if window is None else until - window  # noqa: DTZ901  (DuckDB TIMESTAMP, UTC by convention)
    return [flight for flight in flights if flight[column] is not None and since < flight[column] <= until]


def waited_for(flights: Sequence[Row], decision: Row) -> list[Row]:
    """Flights whose scheduled departure had passed and of which nothing was heard by then."""
    until = decision["decision_at"]
    heard = (
        (flight, flight["departed_at"] if flight["departed_at"] is not None else flight["outcome_known_at"])
        for flight in known_by(flights, "scheduled_departure_at", decision, None)
    )
    return [flight for flight, moment in heard if moment is None or moment > until]


def share(part: int, whole: int) -> float | None:
    """Four places, halves away from zero as in SQL."""
    return math.copysign(math.floor(abs(part / whole) * 10_000 + 0.5) / 10_000, part) if whole else None


def mean_of(rows: Sequence[Row], column: str) -> float | None:
    values = [row[column] for row in rows if row[column] is not None]
    return share(sum(values), len(values))


KEYS: dict[str, tuple[str, ...]] = {
    "origin": ("origin",),
    "origin_carrier": ("origin", "carrier"),
    "carrier": ("carrier",),
    "destination": ("destination",),
    "carrier_destination": ("carrier", "destination"),
    "slot": ("carrier", "origin", "destination", "departure_hour"),
    "flight_number": ("carrier", "flight_number", "origin"),
    "network": (),
}
WINDOWS = {"1h": HOUR, "3h": 3 * HOUR, "6h": 6 * HOUR, "24h": 24 * HOUR, "7d": 7 * 24 * HOUR, "28d": 28 * 24 * HOUR}


def features_of(place: str, candidates: Sequence[Row], decision: Row) -> Row:
    """All that a training set could hold of the place's flights, by column."""
    waiting = waited_for(candidates, decision)
    waits = [(decision["decision_at"] - flight["scheduled_departure_at"]) // MINUTE for flight in waiting]
    worked_out: Row = {
        f"{place}_waiting_flights": len(waits),
        f"{place}_waited_minutes": sum(waits),
        f"{place}_long_waiting_flights": sum(wait >= 15 for wait in waits),
    }
    for slug, window in WINDOWS.items():
        left = known_by(candidates, "departed_at", decision, window)
        ended = known_by(candidates, "outcome_known_at", decision, window)
        on_the_way = [
            {"minutes": flight["arrival_delay_minutes"] - flight["departure_delay_minutes"]}
            for flight in ended
            if flight["outcome"] == "arrived"
        ]
        worked_out |= {
            f"{place}_departure_delay_{slug}_minutes": mean_of(left, "departure_delay_minutes"),
            f"{place}_delayed_share_{slug}": share(
                sum(row["departure_delay_minutes"] >= 15 for row in left), len(left)
            ),
            f"{place}_late_share_{slug}": share(sum(row["is_late"] for row in ended), len(ended)),
            f"{place}_cancelled_share_{slug}": share(sum(row["outcome"] == "cancelled" for row in ended), len(ended)),
            f"{place}_arrival_delay_{slug}_minutes": mean_of(ended, "arrival_delay_minutes"),
            f"{place}_en_route_delay_{slug}_minutes": mean_of(on_the_way, "minutes"),
        }
    return worked_out


@pytest.mark.parametrize("place", KEYS)
def test_what_was_known_of_other_flights_is_what_can_be_counted(
    sample: list[Row], flights: list[Row], place: str
) -> None:
    for decision in sample:
        worked_out = features_of(place, of_keys(flights, decision, KEYS[place]), decision)
        there = [name for name in worked_out if name in decision]
        assert there, f"the training set has no column of {place}: leave it out here"
        assert {name: decision[name] for name in there} == {name: worked_out[name] for name in there}, decision[
            "flight_id"
        ]


def test_the_weather_is_the_report_that_was_out_at_the_decision(sample: list[Row], template: Home) -> None:
    reports = template.rows(
        "select origin, known_at, observed_hour_at, temperature_fahrenheit, wind_gust_mph, visibility_miles from stg_nycflights__weather"
    )
    newer = 0
    for decision in sample:
        until = decision["decision_at"]
        out = [
            report for report in reports if report[0] == decision["origin"] and until - 6 * HOUR <= report[1] <= until
        ]
        expected = max(out, key=lambda report: report[1])[3:] if out else (None, None, None)
        assert (
            decision["temperature_fahrenheit"],
            decision["wind_gust_mph"],
            decision["visibility_miles"],
        ) == expected, decision["flight_id"]
        newer += any(
            report[0] == decision["origin"] and report[2] > until and report[3:] != expected for report in reports
        )
    assert newer > 90  # the weather of the departure was there to be taken, and differed


def test_the_schedule_features_count_flights_published_by_then(sample: list[Row], flights: list[Row]) -> None:
    for decision in sample:
        leaves = decision["scheduled_departure_at"]
        near = [
            flight
            for flight in flights
            if flight["origin"] == decision["origin"] and abs(flight["scheduled_departure_at"] - leaves) <= 30 * MINUTE
        ]
        assert decision["origin_flights_within_30m"] == len(near)
        assert decision["origin_carrier_flights_within_30m"] == sum(
            flight["carrier"] == decision["carrier"] for flight in near
        )
        assert all(flight["schedule_known_at"] <= decision["decision_at"] for flight in near)
