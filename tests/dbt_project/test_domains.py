"""Two domains in one home: each is what it would be alone, and nothing that befalls one holds up the other."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from dbt_homes import PROJECT, Home, Project, copy_landing, landing_files
from shop_domain import add_shop, answer, land_orders, remove_other_domains

from dagster_defs.settings import PROJECT_ROOT

CORE_TABLES = ("fct_model__decisions", "fct_model__evaluations")
FLIGHTS = ("trn_late_arrival", "flight_id", "decision_at")
ORDERS = ("trn_returned", "order_id", "decided_at")
SIXTH = "--2013-01-06T0000Z.csv"


def copied_project(folder: Path) -> Path:
    shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns("target", "logs", ".*"))
    return folder


@pytest.fixture(scope="module")
def both_projects(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = copied_project(tmp_path_factory.mktemp("both") / "dbt_project")
    return Project(add_shop(folder), tmp_path_factory.mktemp("both_target"))


@pytest.fixture(scope="module")
def shop_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = add_shop(copied_project(tmp_path_factory.mktemp("shop") / "dbt_project"))
    return Project(remove_other_domains(folder), tmp_path_factory.mktemp("shop_target"))


@pytest.fixture(scope="module")
def both(template: Home, both_projects: Project, copy_home: Callable[[Home], Home]) -> Home:
    """A home of both, built, answered by a model of each, and built again. Not to be written to."""
    home = Home(copy_home(template).path, both_projects)
    land_orders(home, range(6))
    build = home.build()
    assert build, build.failures()
    answer(home, "late_arrival", *FLIGHTS)
    answer(home, "returned", *ORDERS)
    build = home.build()
    assert build, build.failures()
    return home


@pytest.fixture
def home(both: Home, tmp_path: Path) -> Home:
    return both.copied_to(tmp_path / "home")


def parts_of(home: Home, project: Project | None = None) -> dict[tuple[str, str], str]:
    """The published parts by table and name, with their hashes; those of one domain alone, if its project is given."""
    names = {node.name for node in project.manifest().nodes.values()} if project else None
    parts = {(part["table"], part["part"]): part["sha256"] for part in home.catalog()}
    return {
        key: sha256 for key, sha256 in parts.items() if key[0] not in CORE_TABLES and (names is None or key[0] in names)
    }


def test_each_domain_is_published_as_it_would_be_alone(
    both: Home,
    template: Home,
    project: Project,
    shop_project: Project,
    copy_home: Callable[[Home], Home],
    tmp_path: Path,
) -> None:
    flights = copy_home(template)
    answer(flights, "late_arrival", *FLIGHTS)
    assert flights.build()
    shop = Home(tmp_path / "shop", shop_project)
    land_orders(shop, range(6))
    for _ in range(2):  # a home of the shop alone, in a project without the folders of any other domain
        build = shop.build()
        assert build, build.failures()
        answer(shop, "returned", *ORDERS)
    assert shop.build()

    together = parts_of(both)

    assert {table for table, _ in parts_of(shop)} >= {
        "mon_shop__feature_drift",
        "mon_shop__performance",
        "trn_returned",
    }
    assert together == {**parts_of(flights), **parts_of(shop)}


def test_parts_and_windows_follow_what_each_domain_declares(both: Home) -> None:
    parts = set(parts_of(both))

    assert {("trn_returned", "2021"), ("ftr_customer__orders", "2021-01"), ("trn_late_arrival", "2013-01")} <= parts
    for domain, first_days in (("shop", {"2021-01-01", "2021-02-01"}), ("flights", {"2012-12-31"})):
        for table in ("feature_drift", "prediction_drift"):
            found = both.rows(f"select distinct window_start::varchar from mon_{domain}__{table}")
            assert {day for (day,) in found} == first_days


def test_another_cadence_leaves_no_window_of_the_old_one(home: Home) -> None:
    with home.project.edited("models/staging/shop/_shop__domain.yml", {"window: month": "window: year"}):
        assert home.build()
        assert home.rows("select distinct window_start::varchar from mon_shop__feature_drift") == [("2021-01-01",)]
        ((decisions,),) = home.rows("select max(decisions) from mon_shop__feature_drift")
    assert decisions == 72


def test_the_order_in_which_rows_stand_changes_no_byte_of_what_is_made_of_them(home: Home) -> None:
    """So large that every sum of them loses digits, and other ones in another order."""
    published = []
    for order in ("decision_key", "hash(decision_key)"):
        scale = "prediction * 1e12 / 3" if not published else "prediction"
        with duckdb.connect(str(home.path / "warehouse.duckdb")) as warehouse:
            warehouse.execute(
                f"create table turned as select * replace ({scale} as prediction) from fct_flights__predictions order by {order}"
            )
            warehouse.execute("create or replace table fct_flights__predictions as from turned; drop table turned")
            warehouse.execute("delete from mon_flights__prediction_drift; delete from mon_flights__feature_drift")
        build = home.build("mon_flights__performance", "mon_flights__prediction_drift", "mon_flights__feature_drift")
        assert build, build.failures()
        published.append(parts_of(home))

    assert published[0] == published[1]


@pytest.mark.parametrize(
    ("broken", "change"),
    [
        pytest.param(
            "models/features/shop/ftr_customer__orders.sql",
            {"as orders, cents": "as orders, cents::varchar as cents"},
            id="a contract of the shop",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "models/features/shop/ftr_customer__orders.yml",
            {"columns: [customer, known_at]": "columns: [customer]"},
            id="a test of the shop",
        ),
        pytest.param(
            "models/features/flights/ftr_origin__weather.sql",
            {"latest.visibility_miles,": "latest.visibility_miles::varchar as visibility_miles,"},
            id="a contract of flights",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_fails_in_one_domain_leaves_the_other_going_on(
    home: Home, feed: Path, project: Project, shop_project: Project, broken: str, change: dict[str, str]
) -> None:
    before = {"flights": parts_of(home, project), "shop": parts_of(home, shop_project)}
    copy_landing(feed, home, [path for path in landing_files(feed) if path.endswith(SIXTH)])
    land_orders(home, [6])

    with home.project.edited(broken, change):
        build = home.build()

    assert not build
    after = {"flights": parts_of(home, project), "shop": parts_of(home, shop_project)}
    failed, other = ("shop", "flights") if "/shop/" in broken else ("flights", "shop")
    assert after[failed] == before[failed]
    assert {key for key, sha256 in after[other].items() if before[other].get(key) != sha256}
    assert any(line.startswith(f"Nothing published of {failed}") for line in build.said)


def test_a_domain_in_which_nothing_has_landed_fails_nothing(
    template: Home, both_projects: Project, project: Project, copy_home: Callable[[Home], Home]
) -> None:
    home = Home(copy_home(template).path, both_projects)

    build = home.build()

    assert build, build.failures()
    assert parts_of(home, project) == parts_of(template, project)
    assert home.rows(
        "select source_name, table_name, accepted_files, last_known_at from mon_shop__data_health order by all"
    ) == [
        ("till", "orders", 0, None),
        ("till", "returns", 0, None),
    ]


# --- what is declared and not kept


@pytest.fixture
def spoilt(both: Home, tmp_path: Path) -> Home:
    folder = tmp_path / "dbt_project"
    shutil.copytree(both.project.folder, folder, ignore=shutil.ignore_patterns("target", "logs", ".*"))
    return Home(both.copied_to(tmp_path / "home").path, Project(folder, tmp_path / "target"))


def said_by(home: Home, *select: str) -> str:
    """What dbt says where it cannot even begin, or of the nodes that failed."""
    try:
        build = home.build(*select)
    except Exception as error:  # dbt raises what a hook raised as it is
        return str(error)
    return "\n".join([build.failures(), *build.said])


def test_a_landing_table_that_nobody_reads_is_named_with_the_remedy(spoilt: Home) -> None:
    models = spoilt.project.folder / "models"
    (models / "staging/shop/base_till__returns.sql").unlink()
    for file in ("staging/shop/stg_shop__quarantine.sql", "intermediate/shop/int_shop__intake.sql"):
        text = (models / file).read_text()
        (models / file).write_text(text.replace(", ref('base_till__returns')", ""))
    (models / "training/shop/trn_returned.sql").write_text("select 1 as order_id\n")

    said = said_by(spoilt)

    assert "source till.returns is declared as a landing table, but no base_ model reads it" in said
    assert "models/staging/shop/base_till__returns.sql: {{ landed_rows('till', 'returns') }}" in said


def test_a_base_model_that_the_intake_does_not_list_is_named_with_the_remedy(spoilt: Home) -> None:
    file = spoilt.project.folder / "models/intermediate/shop/int_shop__intake.sql"
    file.write_text(file.read_text().replace(", ref('base_till__returns')", ""))

    said = said_by(spoilt)

    assert "base_till__returns reads the landing table till.returns, but int_shop__intake does not list it" in said
    assert "models/intermediate/shop/int_shop__intake.sql" in said


def test_a_training_set_that_is_not_listed_fails_its_own_domain_by_name(spoilt: Home, project: Project) -> None:
    file = spoilt.project.folder / "models/marts/shop/fct_shop__predictions.sql"
    file.write_text("{{ domain_predictions([]) }}\n")
    before = parts_of(spoilt, project)

    said = said_by(spoilt)

    assert "model returned of shop trains on trn_returned, which fct_shop__predictions does not list" in said
    assert parts_of(spoilt, project) == before


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ("by: decided_at, part: quarter", "quarter"),
        pytest.param("by_month: decided_at", "by_month", marks=pytest.mark.slow),
        pytest.param("part: year", "year", marks=pytest.mark.slow),
    ],
)
def test_wrong_words_about_publishing_are_named(spoilt: Home, settings: str, found: str) -> None:
    file = spoilt.project.folder / "models/training/shop/trn_returned.yml"
    file.write_text(file.read_text().replace("by: decided_at, part: year", settings))

    said = said_by(spoilt)

    assert "models/training/shop/trn_returned.sql: trn_returned: config.meta.publish: found" in said
    assert found in said
    assert "part: month, year or none" in said


# --- the core knows no case


CASE_WORDS = re.compile(
    r"late_arrival|arrival_delay|flight|airport|carrier|nycflights|household|complete_?journey", re.IGNORECASE
)


def test_no_case_is_named_in_the_core_of_the_dbt_project() -> None:
    domains = {file.parent.name for file in PROJECT.glob("models/staging/*/_*__domain.yml")}
    files = [file for file in PROJECT.glob("models/*/core/**/*") if file.is_file()]
    files += [file for file in PROJECT.rglob("macros/**/*.sql") if not domains & set(file.relative_to(PROJECT).parts)]
    files += [PROJECT / "dbt_project.yml", PROJECT / "models" / "groups.yml", *PROJECT.glob("tests/**/*.sql")]

    named = {
        f"{file.relative_to(PROJECT_ROOT)}:{number}: {line.strip()}"
        for file in files
        for number, line in enumerate(file.read_text().splitlines(), start=1)
        if CASE_WORDS.search(line)
    }

    assert domains
    assert len(files) > 20
    assert not named
