"""`point_in_time_join` against an oracle that looks at every feature row of every decision, one at a time.

Here: which value reaches which row, and which arguments are refused. Speed is in `tests/benchmarks`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from macro_rendering import CompilerError, Relation, load_macros

Row = Mapping[str, Any]
ENGINES = ("duckdb", "any_other")
NOON = datetime(2013, 1, 1, 12)  # noqa: DTZ001  (DuckDB TIMESTAMP, UTC by convention)
MINUTE = timedelta(minutes=1)
DURATIONS = {"1 minute": MINUTE, "3 minutes": 3 * MINUTE, "1 hour": 60 * MINUTE, "2 days": timedelta(days=2)}
SLUGS = {"1 minute": "1m", "3 minutes": "3m", "1 hour": "1h", "2 days": "2d"}
SPINE_TYPES = {"decision_id": "integer", "origin": "varchar", "carrier": "integer", "decision_at": "timestamp"}
FEATURE_TYPES = {
    "origin": "varchar",
    "carrier": "integer",
    "known_at": "timestamp",
    "happened_at": "timestamp",
    "count_so_far": "bigint",
    "reading": "double",
}
MACROS = {engine: load_macros("point_in_time/point_in_time_join.sql", target=engine) for engine in ENGINES}


@dataclass(frozen=True)
class FeatureTable:
    """A feature table's rows and how the macro is told to read them."""

    rows: Sequence[Row]
    options: Mapping[str, Any]


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect(config={"threads": 1}) as connection:
        yield connection


# --- the oracle


def latest_known(rows: Sequence[Row], at: datetime | None, decision: Row, options: Mapping[str, Any]) -> Row | None:
    """The row that a careful reader with the table in front of them at that moment would have used."""
    keys = options["on"]
    if at is None or any(decision[key] is None for key in keys):
        return None
    known = [
        row
        for row in rows
        if row["known_at"] is not None and row["known_at"] <= at and all(row[key] == decision[key] for key in keys)
    ]
    if not known:
        return None
    newest = max(row["known_at"] for row in known)
    if "time_to_live" in options and at - newest > DURATIONS[options["time_to_live"]]:
        return None
    preference = [*options.get("order_by", []), *options["columns"]]
    tied = [row for row in known if row["known_at"] == newest]
    return max(tied, key=lambda row: [(row[name] is not None, row[name]) for name in preference])


def expected_values(decision: Row, table: FeatureTable) -> dict[str, Any]:
    options, at, prefix = table.options, decision["decision_at"], table.options.get("prefix", "")

    def value(column: str, moment: datetime | None) -> Any:
        row = latest_known(table.rows, moment, decision, options)
        return None if row is None else row[column]

    if "windows" not in options and not options.get("now"):
        return {prefix + column: value(column, at) for column in options["columns"]}
    values = {}
    for column in options["columns"]:
        if options.get("now"):
            values[prefix + column] = value(column, at) or 0
        for window in options.get("windows", []):
            earlier = None if at is None else at - DURATIONS[window]
            values[f"{prefix}{column}_{SLUGS[window]}"] = (value(column, at) or 0) - (value(column, earlier) or 0)
    return values


# --- the macro in DuckDB


def create_table(
    connection: duckdb.DuckDBPyConnection, name: str, types: Mapping[str, str], rows: Sequence[Row]
) -> None:
    connection.execute(
        f"create or replace table {name} ({', '.join(f'{column} {type_}' for column, type_ in types.items())})"
    )
    if rows:
        connection.executemany(
            f"insert into {name} values ({', '.join('?' * len(types))})",
            [[row.get(column) for column in types] for row in rows],
        )


def join(
    connection: duckdb.DuckDBPyConnection, spine: Sequence[Row], tables: Sequence[FeatureTable], engine: str = "duckdb"
) -> list[Row]:
    create_table(connection, "spine_table", SPINE_TYPES, spine)
    for number, table in enumerate(tables):
        create_table(connection, f"features_{number}", FEATURE_TYPES, table.rows)
    features = [{"table": f"features_{number}", **table.options} for number, table in enumerate(tables)]
    query = MACROS[engine]["point_in_time_join"](spine="decisions", decision_at="decision_at", features=features)
    result = connection.execute(
        f"with decisions as (select * from spine_table), training_set as ({query}) select * from training_set"
    )
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def as_multiset(rows: Sequence[Row]) -> Counter:
    return Counter(frozenset(row.items()) for row in rows)


# --- randomised

moments = (
    st.none()
    | st.integers(-4, 8).map(lambda step: NOON + step * MINUTE)
    | st.sampled_from([NOON - timedelta(days=2), NOON - timedelta(hours=1)])
)
origins = st.sampled_from(["EWR", "JFK", None])
carriers = st.sampled_from([1, 2, None])
decisions = st.lists(
    st.fixed_dictionaries(
        {"decision_id": st.integers(1, 3), "origin": origins, "carrier": carriers, "decision_at": moments}
    ),
    max_size=8,
)
feature_rows = st.lists(
    st.fixed_dictionaries(
        {
            "origin": origins,
            "carrier": carriers,
            "known_at": moments,
            "happened_at": moments,
            "count_so_far": st.none() | st.integers(0, 5),
            "reading": st.none() | st.sampled_from([-1.5, 0.0, 2.5]),
        }
    ),
    max_size=10,
)
keys = st.sampled_from([["origin"], ["carrier"], ["origin", "carrier"]])
tie_breakers = st.sampled_from([{}, {"order_by": ["happened_at"]}, {"order_by": ["reading", "happened_at"]}])


@st.composite
def feature_tables(draw: st.DrawFn) -> list[FeatureTable]:
    tables = []
    for number in range(draw(st.integers(1, 3))):
        options = {
            "on": draw(keys),
            "columns": ["count_so_far", "reading"],
            "prefix": f"table_{number}_",
            **draw(tie_breakers),
        }
        match draw(st.sampled_from(["plain", "time_to_live", "windows", "now", "windows and now"])):
            case "time_to_live":
                options["time_to_live"] = draw(st.sampled_from(list(DURATIONS)))
            case "now":
                options |= {"now": True, "columns": ["count_so_far"]}
            case "windows" | "windows and now" as kind:
                options |= {
                    "windows": draw(st.lists(st.sampled_from(list(DURATIONS)), min_size=1, max_size=3, unique=True)),
                    "now": kind == "windows and now",
                    "columns": ["count_so_far"],
                }
            case _:
                pass
        tables.append(FeatureTable(draw(feature_rows), options))
    return tables


@pytest.mark.parametrize("engine", ENGINES)
@settings(
    max_examples=120, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(spine=decisions, tables=feature_tables())
def test_every_row_gets_exactly_what_was_known_at_its_decision(connection, engine, spine, tables):
    expected = [
        {**decision, **{name: value for table in tables for name, value in expected_values(decision, table).items()}}
        for decision in spine
    ]
    assert as_multiset(join(connection, spine, tables, engine)) == as_multiset(expected)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spine=decisions, tables=feature_tables(), poison=feature_rows)
def test_a_value_poisoned_with_a_future_known_at_never_reaches_a_row(connection, spine, tables, poison):
    last_decision = max((row["decision_at"] for row in spine if row["decision_at"]), default=NOON)
    future = [{**row, "known_at": last_decision + MINUTE, "count_so_far": 666, "reading": 666.0} for row in poison]
    poisoned = [FeatureTable([*table.rows, *future], table.options) for table in tables]
    assert as_multiset(join(connection, spine, poisoned)) == as_multiset(join(connection, spine, tables))


# --- by example


def decision(at: datetime | None = NOON, origin: str | None = "EWR", carrier: int | None = 1) -> dict[str, Any]:
    return {"decision_id": 1, "origin": origin, "carrier": carrier, "decision_at": at}


def reading(value: float | None, known_at: datetime | None, **others: Any) -> dict[str, Any]:
    return {
        "origin": "EWR",
        "carrier": 1,
        "known_at": known_at,
        "happened_at": None,
        "count_so_far": 0,
        "reading": value,
        **others,
    }


def readings(rows: Sequence[Row], **options: Any) -> FeatureTable:
    return FeatureTable(rows, {"on": ["origin"], "columns": ["reading"], **options})


def arrivals(minutes: Sequence[int], **options: Any) -> FeatureTable:
    rows = [
        reading(None, NOON + minute * MINUTE, count_so_far=place)
        for place, minute in enumerate(sorted(minutes), start=1)
    ]
    return FeatureTable(rows, {"on": ["origin"], "columns": ["count_so_far"], **options})


def test_rows_out_equal_rows_in(connection):
    spine = [
        decision(),
        decision(),
        decision(at=None),
        decision(origin=None),
        decision(origin="LGA"),
        decision(carrier=2),
    ]
    tables = [
        readings([reading(1.0, NOON), reading(2.0, NOON), reading(3.0, None)]),
        arrivals([0, 0, 0], windows=["1 hour"], now=True),
        readings([], prefix="never_filled_", on=["origin", "carrier"]),
    ]
    assert len(join(connection, spine, tables)) == len(spine)


@pytest.mark.parametrize("rows_in", [0, 1])
def test_empty_tables_yield_the_spine_with_nulls(connection, rows_in):
    rows = join(connection, [decision()] * rows_in, [readings([]), arrivals([], windows=["1 hour"])])
    assert [(row["reading"], row["count_so_far_1h"]) for row in rows] == [(None, 0)] * rows_in


def test_what_becomes_known_at_the_very_moment_of_the_decision_counts_as_known(connection):
    assert join(connection, [decision()], [readings([reading(7.0, NOON)])])[0]["reading"] == 7.0


def test_a_correction_that_came_late_is_unknown_before_it_came(connection):
    table = readings([reading(1.0, NOON, happened_at=NOON), reading(2.0, NOON + 2 * MINUTE, happened_at=NOON)])
    rows = join(connection, [decision(NOON + MINUTE), decision(NOON + 2 * MINUTE)], [table])
    assert {row["decision_at"]: row["reading"] for row in rows} == {NOON + MINUTE: 1.0, NOON + 2 * MINUTE: 2.0}


def test_the_latest_row_counts_even_where_its_value_is_null(connection):
    assert (
        join(connection, [decision()], [readings([reading(1.0, NOON - MINUTE), reading(None, NOON)])])[0]["reading"]
        is None
    )


def test_a_reading_lives_up_to_and_including_its_time_to_live(connection):
    table = readings([reading(7.0, NOON)], time_to_live="1 hour")
    rows = join(connection, [decision(NOON + 60 * MINUTE), decision(NOON + 61 * MINUTE)], [table])
    assert {row["decision_at"]: row["reading"] for row in rows} == {NOON + 60 * MINUTE: 7.0, NOON + 61 * MINUTE: None}


def test_a_window_counts_what_became_known_after_its_start_and_up_to_the_decision(connection):
    table = arrivals([-61, -60, -59, -3, 0, 1], windows=["3 minutes", "1 hour"], now=True)
    (row,) = join(connection, [decision()], [table])
    assert (row["count_so_far"], row["count_so_far_3m"], row["count_so_far_1h"]) == (5, 1, 3)


def test_a_tie_is_broken_by_the_order_given(connection):
    rows = [reading(1.0, NOON, happened_at=NOON), reading(9.0, NOON, happened_at=NOON - MINUTE), reading(5.0, NOON)]
    assert join(connection, [decision()], [readings(rows, order_by=["happened_at"])])[0]["reading"] == 1.0


def test_a_tie_without_an_order_goes_to_the_greatest_values_in_any_row_order(connection):
    rows = [reading(1.0, NOON), reading(9.0, NOON), reading(None, NOON)]
    answers = {
        join(connection, [decision()], [readings(order)])[0]["reading"]
        for order in (rows, rows[::-1], rows[1:] + rows[:1])
    }
    assert answers == {9.0}


def test_the_time_a_row_became_known_may_have_another_name(connection):
    rows = [reading(1.0, None, happened_at=NOON), reading(2.0, None, happened_at=NOON + MINUTE)]
    assert join(connection, [decision()], [readings(rows, known_at="happened_at")])[0]["reading"] == 1.0


def test_days_are_elapsed_time_also_where_the_clock_is_put_forward(connection):
    connection.execute("set timezone = 'America/New_York'")
    connection.execute(
        "create or replace table night as select timestamptz '2013-03-10 12:00-04' as decision_at, 1 as origin"
    )
    connection.execute(
        "create or replace table counts as select 1 as origin, timestamptz '2013-03-09 11:30-05' as known_at, 1 as landed"
    )
    features = [{"table": "counts", "on": ["origin"], "columns": ["landed"], "windows": ["1 day", "24 hours"]}]
    query = MACROS["duckdb"]["point_in_time_join"](spine="night", decision_at="decision_at", features=features)
    assert connection.execute(f"select landed_1d, landed_24h from ({query})").fetchall() == [(1, 1)]
    connection.execute("reset timezone")


def test_columns_left_out_are_all_but_the_keys_and_known_at(connection):
    macros = load_macros("point_in_time/point_in_time_join.sql", columns={"ftr": ["origin", "Known_At", "a", "b"]})
    lookups = macros["point_in_time_lookups"](
        "decisions", "decision_at", [{"table": Relation("ftr"), "on": ["origin"]}]
    )
    assert lookups[0]["columns"] == ["a", "b"]


def test_while_dbt_only_parses_no_relation_is_looked_up():
    macros = load_macros("point_in_time/point_in_time_join.sql", execute=False)
    assert "from decisions" in macros["point_in_time_join"](
        "decisions", "decision_at", [{"table": Relation("ftr"), "on": ["origin"]}]
    )


REFUSED = {
    "no feature tables": ([], "is not a list of feature tables"),
    "a table left out": ([{"on": ["k"], "columns": ["a"]}], "has no 'table'"),
    "an unknown option": (
        [{"table": "ftr", "on": ["k"], "columns": ["a"], "ttl": "1 hour"}],
        "ftr has an unknown option 'ttl'; use table, on",
    ),
    "no keys": ([{"table": "ftr", "columns": ["a"]}], "ftr has no 'on'"),
    "a key that is not in a list": ([{"table": "ftr", "on": "k", "columns": ["a"]}], "ftr has 'on' that is not a list"),
    "a duration without a unit": (
        [{"table": "ftr", "on": ["k"], "columns": ["a"], "time_to_live": "6"}],
        "ftr has 'time_to_live' with the malformed",
    ),
    "a duration in months": (
        [{"table": "ftr", "on": ["k"], "columns": ["a"], "windows": ["1 month"]}],
        "malformed duration '1 month'; write one like",
    ),
    "a duration of nothing": (
        [{"table": "ftr", "on": ["k"], "columns": ["a"], "windows": ["0 hours"]}],
        "malformed duration '0 hours'",
    ),
    "accumulators that go stale": (
        [{"table": "ftr", "on": ["k"], "columns": ["a"], "windows": ["1 hour"], "time_to_live": "1 hour"}],
        "ftr has both 'time_to_live' and accumulators",
    ),
    "the same column twice": (
        [{"table": "ftr", "on": ["k"], "columns": ["a"]}, {"table": "ftr_2", "on": ["k"], "columns": ["A"]}],
        r"ftr_2 yields a second column 'a' \(the first is of ftr\); set 'prefix'",
    ),
    "a column that is a key": (
        [{"table": "ftr", "on": ["k"], "columns": ["k"]}],
        "second column 'k' .the first is of the spine",
    ),
    "the same window twice": (
        [{"table": "ftr", "on": ["k"], "columns": ["a"], "windows": ["1 hour", "1 hours"]}],
        "second column 'a_1h'",
    ),
    "no columns": ([{"table": "ftr", "on": ["k"], "columns": []}], "ftr has no feature columns"),
    "columns of a name that dbt cannot look up": (
        [{"table": "ftr", "on": ["k"]}],
        "ftr is not a relation whose columns can be looked up",
    ),
}


@pytest.mark.parametrize(("features", "message"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_argument_is_named_with_its_remedy(features, message):
    with pytest.raises(CompilerError, match=f"^point_in_time_join: .*{message}"):
        MACROS["duckdb"]["point_in_time_join"]("decisions", "decision_at", features)
