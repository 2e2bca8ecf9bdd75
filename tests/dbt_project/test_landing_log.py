"""The log outside the warehouse: each batch chained to the last, an error by name where it is not what was written, and the warehouse made anew from it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from dbt_common.exceptions import DbtBaseException
from dbt_homes import FEED, Home, Project
from test_door import SCHEDULES, file_of, schedule

DOOR = ("stg_landing__files", "base_nycflights__*", "int_flights__intake", "stg_flights__quarantine")


@pytest.fixture(scope="module")
def grown(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Three batches, landed against the order of their names."""
    home = Home(tmp_path_factory.mktemp("log"), project)
    for number in (3, 2, 1):
        home.land(f"{FEED}/schedules/{number}.csv", file_of(SCHEDULES, schedule(number), schedule(number + 10)))
        assert home.build(*DOOR)
    return home


@pytest.fixture
def home(grown: Home, tmp_path: Path) -> Home:
    return grown.copied_to(tmp_path / "home")


def log_files(home: Home) -> list[Path]:
    return sorted((home.path / "landing_log").glob("*.jsonl"))


def test_the_log_tells_what_came_when_in_the_order_in_which_it_came(grown: Home) -> None:
    told = [json.loads(line) for file in log_files(grown) for line in file.read_text().splitlines()]
    files = [(one["batch"], one["file_id"], one["path"]) for one in told if one["kind"] == "verdict"]

    assert files == [(batch, batch, f"{FEED}/schedules/{4 - batch}.csv") for batch in (1, 2, 3)]
    assert all(one["arrived_at"] for one in told)


def test_a_build_that_saw_nothing_new_writes_no_batch(home: Home) -> None:
    before = log_files(home)

    assert home.build(*DOOR)

    assert log_files(home) == before


def test_the_warehouse_made_anew_has_the_order_of_the_log(home: Home) -> None:
    before = home.rows("select file_id, batch_id, path, status, arrived_at from stg_landing__files order by 1")
    (home.path / "warehouse.duckdb").unlink()

    assert home.build(*DOOR)

    assert home.rows("select file_id, batch_id, path, status, arrived_at from stg_landing__files order by 1") == before
    assert len(log_files(home)) == 3


def test_a_build_that_was_cut_off_behind_the_log_is_caught_up(home: Home) -> None:
    """The log was written, the warehouse was not: as if the process had been killed in between."""
    earlier = (home.path / "warehouse.duckdb").read_bytes()
    home.land(f"{FEED}/schedules/4.csv", file_of(SCHEDULES, schedule(4)))
    assert home.build(*DOOR)
    (home.path / "warehouse.duckdb").write_bytes(earlier)

    assert home.build(*DOOR)

    assert home.rows("select count(*), max(batch_id) from int_flights__intake") == [(4, 4)]
    assert len(log_files(home)) == 4


def changed(file: Path) -> None:
    file.write_text(file.read_text().replace("accepted", "rejected"))


DAMAGE: dict[str, tuple[Callable[[list[Path]], object], str]] = {
    "a line changed": (lambda files: changed(files[1]), "was changed"),
    "a batch taken out": (lambda files: files[1].unlink(), "does not follow batch 1"),
    "the first taken out": (lambda files: files[0].unlink(), "does not follow batch 0"),
    "the last taken out": (lambda files: files[2].unlink(), "ends with batch 2, but the warehouse has read batch 3"),
    "all taken out": (lambda files: [file.unlink() for file in files], "ends with batch 0"),
    "a batch doubled": (lambda files: (files[0].parent / ("000004" + files[2].name[6:])).write_bytes(files[2].read_bytes()), "does not follow batch 3"),
    "something else": (lambda files: (files[0].parent / "notes.txt").write_text("?"), "is no file of the landing log"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_log_that_is_not_what_was_written_is_an_error_by_name(home: Home, damage: str) -> None:
    harm, words = DAMAGE[damage]
    harm(log_files(home))

    try:
        build = home.build(*DOOR)
    except DbtBaseException as error:
        said = str(error)
    else:
        assert not build
        said = build.failures()

    assert words in said
    assert "landing_log" in said
