"""What readers see: nothing but what was tested, the same bytes for the same rows, and always one whole state."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow.parquet
import pytest
from dbt_homes import PROJECT, Home, Project, copy_landing, landing_files

LATE = {f"nycflights13/{table}/2013-01-05T0000Z--2013-01-06T0000Z.csv" for table in ("arrivals", "weather")}
AFTER_ALL = "nycflights13/cancellations/after_all.csv"


def test_the_catalog_states_the_hash_size_and_rows_of_every_file(template: Home) -> None:
    lake = template.path / "lake"

    assert template.catalog()
    for part in template.catalog():
        content = (lake / part["file"]).read_bytes()
        assert (part["sha256"], part["bytes"]) == (hashlib.sha256(content).hexdigest(), len(content))
        assert part["rows"] == pyarrow.parquet.read_metadata(lake / part["file"]).num_rows
        assert part["fingerprint"] in part["file"]


def test_every_public_model_is_published(template: Home) -> None:
    models = [node for node in template.project.manifest().nodes.values() if node.resource_type == "model"]
    public = {node.name for node in models if node.config.access == "public"}
    empty = {name for name in public if template.rows(f"select count(*) from {name}") == [(0,)]}

    assert public - empty <= {part["table"] for part in template.catalog()} <= public


def test_a_second_build_writes_no_byte(home: Home) -> None:
    bytes_before, times_before = home.lake(), home.written_at()

    assert home.build()

    assert home.lake() == bytes_before
    times = home.written_at()
    times.pop("checks.jsonl"), times_before.pop("checks.jsonl")  # replaced by the same bytes
    assert times == times_before


def test_what_a_build_took_is_a_table_that_grows_by_build(home: Home) -> None:
    assert home.build("+ftr_origin__weather", "mon_run__costs")
    with home.project.edited("models/features/flights/ftr_origin__weather.sql", {"with\n": "with oops\n"}):
        assert not home.build("ftr_origin__weather")

    costs = home.rows(
        "select asset, outcome, wall_seconds, cpu_seconds, rows_written, bytes_written from mon_run__costs order by began_at, outcome desc"
    )
    assert len({row[0] for row in costs}) > 10
    assert [row[1] for row in costs if row[0] == "ftr_origin__weather"] == ["success", "success", "failure"]
    assert all(row[2] > 0 for row in costs if row[0] == "ftr_origin__weather" and row[1] == "success")
    if Path("/proc/self/stat").exists():
        assert sum(row[3] or 0 for row in costs) > 0
    first = costs[[row[0] for row in costs].index("ftr_origin__weather")]
    assert (
        first[4:]
        == home.rows("select sum(row_count), sum(bytes) from perennial_published where model = 'ftr_origin__weather'")[
            0
        ]
    )


def test_a_backfill_works_out_anew_what_was_known_from_its_first_day_on(home: Home) -> None:
    before = home.published()
    with duckdb.connect(str(home.path / "warehouse.duckdb")) as warehouse:
        warehouse.execute("update ftr_origin__weather set temperature_fahrenheit = -999 where known_at >= '2013-01-04'")
    assert home.build()
    assert home.published() != before  # nothing new has come: what stands in the warehouse stays

    assert home.build(backfill_from="2013-01-04")

    assert home.published() == before


@pytest.fixture(scope="module")
def built_in_steps(template: Home, feed: Path, copy_home: Callable[[Home], Home]) -> Home:
    """A home that grew: a day without its arrivals and weather; half a day, of which someone built two tables by hand first; then all the rest, and
    a file that takes back what was built on."""
    home = copy_home(template)
    days = [path for path in landing_files(feed) if not path.endswith("all.csv")]
    steps = [
        [path for path in days if path.endswith("--2013-01-06T0000Z.csv") and path not in LATE],
        [path for path in days if path.endswith("--2013-01-06T1430Z.csv")],
        [path for path in days if path[-20:-4] > "2013-01-06T1430Z"] + sorted(LATE),
    ]
    for number, paths in enumerate(steps):
        assert paths
        copy_landing(feed, home, paths)
        if number == 1:
            assert not home.build(
                "stg_landing__files", "int_flights__intake"
            )  # rows nobody has read yet are not accounted for
            assert home.build("+ftr_origin__weather")
            assert home.build("ftr_origin__traffic")
        if number == 2:
            home.land(AFTER_ALL, taken_back(feed))
        build = home.build()
        assert build, build.failures()
    return home


def taken_back(feed: Path) -> str:
    """Cancellations, said to have been known an hour before their departure, of flights that then flew."""
    departures = (
        (feed / "nycflights13/departures/2013-01-05T0000Z--2013-01-06T0000Z.csv").read_text().splitlines()[1:60]
    )
    header = "flight_date,carrier,flight,origin,status,reported_at"
    keys = (line.split(",") for line in departures)
    return (
        "\n".join(
            [
                header,
                *(f"{','.join(key[:4])},cancelled,{key[-1].replace('2013-01-05T2', '2013-01-05T1')}" for key in keys),
            ]
        )
        + "\n"
    )


def test_a_table_built_in_steps_is_the_table_that_a_full_refresh_gives(built_in_steps: Home, tmp_path: Path) -> None:
    anew = built_in_steps.copied_to(tmp_path / "home")

    build = anew.build(full_refresh=True)

    assert build, build.failures()
    assert {part["part"] for part in anew.catalog()} >= {"2013-01", "all"}
    assert built_in_steps.published() == anew.published()


def test_the_log_alone_gives_the_warehouse_back(built_in_steps: Home, tmp_path: Path) -> None:
    anew = built_in_steps.copied_to(tmp_path / "home")
    (anew.path / "warehouse.duckdb").unlink()

    assert anew.build()

    assert anew.published() == built_in_steps.published()


def test_only_what_changed_is_published_again(built_in_steps: Home, template: Home) -> None:
    before = {part["file"] for part in template.catalog()}
    after = {part["file"] for part in built_in_steps.catalog()}

    kept = {file.split("/")[1].split(".")[0] for file in before & after}

    assert {"dim_aircraft", "dim_airports", "dim_carriers"} <= kept
    assert "trn_late_arrival" not in kept


@pytest.mark.parametrize("lost", ["catalog.jsonl", "tables/trn_late_arrival."])
def test_what_a_crash_left_out_is_written_by_the_next_build(home: Home, lost: str) -> None:
    before = home.published()
    (file,) = (name for name in before if name.startswith(lost))
    (home.path / "lake" / file).unlink()

    assert home.build("trn_late_arrival")

    assert home.published() == before


def test_a_part_that_was_cut_short_is_written_again(home: Home) -> None:
    before = home.published()
    (file,) = (home.path / "lake" / name for name in before if name.startswith("tables/trn_late_arrival."))
    file.write_bytes(file.read_bytes()[:1000])

    assert home.build("trn_late_arrival")

    assert home.published() == before


# --- contracts


@dataclass(frozen=True)
class Breach:
    """A change of a model's SQL that breaks its contract, and the words by which the build must name it."""

    model: str
    replacements: dict[str, str]
    named: tuple[str, ...]

    @property
    def path(self) -> str:
        return f"models/features/flights/{self.model}.sql"


BREACHES = {
    "type": Breach(
        "ftr_origin__weather",
        {"latest.visibility_miles,": "latest.visibility_miles::varchar as visibility_miles,"},
        ("visibility_miles", "data type mismatch"),
    ),
    "missing column": Breach(
        "ftr_origin__weather", {"        latest.wind_gust_mph,\n": ""}, ("wind_gust_mph", "missing in definition")
    ),
    "null": Breach(
        "ftr_origin__weather",
        {"        latest.origin,\n": "        nullif(latest.origin, 'JFK') as origin,\n"},
        ("NOT NULL constraint failed", "ftr_origin__weather", "origin"),
    ),
    "range": Breach(
        "ftr_origin__weather",
        {"        latest.wind_speed_mph,\n": "        latest.wind_speed_mph + 1000 as wind_speed_mph,\n"},
        ("CHECK constraint failed", "ftr_origin__weather", "wind_speed_mph"),
    ),
    "duplicate key": Breach(
        "ftr_origin__weather",
        {"select * from changes": "select * from changes\nunion all\nselect * from changes"},
        ("unique_combination_ftr_origin__weather_origin__known_at",),
    ),
}


@pytest.fixture(scope="module")
def breakable(
    template: Home, feed: Path, copy_home: Callable[[Home], Home], tmp_path_factory: pytest.TempPathFactory
) -> Home:
    """A copy of the project, and a home in which one more day has landed and has not been built."""
    folder = tmp_path_factory.mktemp("project") / "dbt_project"
    shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns("target", "logs", ".*"))
    home = Home(copy_home(template).path, Project(folder, tmp_path_factory.mktemp("broken_target")))
    copy_landing(feed, home, [path for path in landing_files(feed) if path.endswith("--2013-01-06T0000Z.csv")])
    return home


@pytest.fixture
def standing(breakable: Home) -> Iterator[Home]:
    """Whatever a test does to it, what was published stays as it was."""
    before = breakable.published()
    yield breakable
    assert breakable.published() == before


@pytest.mark.parametrize("breach", BREACHES.values(), ids=BREACHES)
def test_a_broken_contract_stops_the_build_and_leaves_what_was_published(standing: Home, breach: Breach) -> None:
    with standing.project.edited(breach.path, breach.replacements):
        build = standing.build("+" + breach.model, "ftr_origin__traffic")

    assert not build
    for words in breach.named:
        assert words in build.failures()


# --- in the next run


def test_what_failed_in_an_earlier_build_is_not_built_upon(home: Home, feed: Path, tmp_path: Path) -> None:
    """A test fails after its table was built, and stops what follows. Built by itself later on, that would pass its own tests."""
    folder = tmp_path / "dbt_project"
    shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns("target", "logs", ".*"))
    home = Home(home.path, Project(folder, tmp_path / "target"))
    before = home.published()
    copy_landing(feed, home, [path for path in landing_files(feed) if path.endswith("--2013-01-06T0000Z.csv")])
    check = folder / "tests" / "assert_no_weather_of_the_sixth.sql"
    check.parent.mkdir(exist_ok=True)
    check.write_text(
        "select * from {{ ref('ftr_origin__weather') }} where known_at > timestamp '2013-01-05 12:00:00'\n"
    )
    assert not home.build()

    build = home.build("trn_late_arrival")

    assert build, build.failures()
    assert home.published() == before
    assert any("Nothing published" in line and check.stem in line for line in build.said)
    check.unlink()
    home = Home(home.path, Project(folder, tmp_path / "target"))
    assert home.build("trn_late_arrival")
    assert home.published() != before


def test_what_was_built_without_its_tests_is_not_published_until_they_have_run(home: Home, feed: Path) -> None:
    before = home.published()
    copy_landing(feed, home, [path for path in landing_files(feed) if path.endswith("--2013-01-06T0000Z.csv")])

    assert home.run("build", "--exclude-resource-types", "test", "unit_test")
    assert home.published() == before

    assert home.run("test", "--exclude-resource-types", "unit_test")
    assert home.published() != before
