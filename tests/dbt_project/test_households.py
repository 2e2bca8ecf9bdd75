"""Households beside flights on real data: each is what it would be alone, personal columns stay behind, nothing is foreseen too early."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from dbt_homes import PROJECT, Home, Project
from shop_domain import remove_domain

from ml_assets.feeds import completejourney, nycflights13
from ml_assets.moments import last_moment

pytestmark = pytest.mark.slow

CORE_TABLES = ("fct_model__decisions", "fct_model__evaluations")


def project_without(folder: Path, domain: str) -> Project:
    copy = folder / f"without_{domain}"
    shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns("target", "logs", ".*"))
    return Project(remove_domain(copy, domain), folder / f"target_without_{domain}")


def parts_of(home: Home) -> dict[tuple[str, str], str]:
    return {
        (part["table"], part["part"]): part["sha256"] for part in home.catalog() if part["table"] not in CORE_TABLES
    }


def built(home: Home, *steps: tuple[str | None, str | None]) -> Home:
    """A home that is built after each step, which lands flights, or receipts, or both."""
    for flights, receipts in steps:
        if flights:
            nycflights13.land(home.path / "landing", last_moment(flights))
        if receipts:
            completejourney.land(home.path / "landing", last_moment(receipts))
        build = home.build()
        assert build, build.failures()
    return home


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory, project: Project) -> Home:
    """A month of flights and six weeks of receipts in one home, landed by turns."""
    home = Home(tmp_path_factory.mktemp("together"), project)
    return built(home, (None, "2017-01-20"), ("2013-01-31", None), (None, "2017-02-12"))


def test_flights_and_households_publish_in_one_home_what_each_publishes_alone(together: Home, tmp_path: Path) -> None:
    flights = built(Home(tmp_path / "flights", project_without(tmp_path, "households")), ("2013-01-31", None))
    alone = Home(tmp_path / "households", project_without(tmp_path, "flights"))
    households = built(alone, (None, "2017-02-12"))  # at once, where the other home took two steps

    of_each = {**parts_of(flights), **parts_of(households)}
    assert ("trn_household_spend", "2017-01") in of_each
    assert ("trn_late_arrival", "2013-01") in of_each
    assert parts_of(together) == of_each


def test_no_personal_column_is_published(together: Home) -> None:
    personal = {
        column.name
        for source in together.project.manifest().sources.values()
        if source.name == "demographics"
        for column in source.columns.values()
        if column.config.meta["pii"]
    } - {"household_id"}
    staged = {"age_range", "income_range", "home_ownership", "marital_status", "household_size", "child_count"}
    files = [str(together.path / "lake" / part["file"]) for part in together.catalog()]

    columns = {name for file in files for (name,) in together.rows(f"select name from parquet_schema('{file}')")}

    assert personal
    assert not columns & (personal | staged)


def test_the_published_training_rows_are_what_the_receipts_say(together: Home) -> None:
    """Against a plain count over the staged lines: who is decided about, what was known, and what came of it."""
    ((wrong, rows),) = together.rows("""
        with lines as (select household_id, purchased_at, spend_cents from stg_completejourney__transactions),
        due as (
            select household_id, decision_at
            from (select household_id, min(purchased_at) as first_at from lines group by all) as households
            cross join (
                select unnest(generate_series(timestamp '2017-01-01', (select max(purchased_at) from lines), interval 7 day)) as decision_at
            ) as sundays
            where first_at <= decision_at
        ),
        expected as (
            select
                due.*,
                coalesce(sum(spend_cents) filter (where purchased_at <= decision_at and purchased_at > decision_at - interval 28 day), 0) / 100 as spent,
                case when decision_at + interval 28 day <= (select max(purchased_at) from lines) then coalesce(sum(spend_cents) filter (
                    where purchased_at > decision_at and purchased_at <= decision_at + interval 28 day
                ), 0) / 100 end as spend
            from due
            left join lines on due.household_id = lines.household_id
            group by due.household_id, due.decision_at
        )
        select
            count(*) filter (
                where expected.spent is distinct from found.spend_28d or expected.spend is distinct from found.spend_next_28d
            ),
            count(*)
        from expected
        full join trn_household_spend as found
            on expected.household_id = found.household_id and expected.decision_at = found.decision_at
    """)
    assert (wrong, rows > 10000) == (0, True)
