"""Several writers at once: they wait for each other, and nobody who uses them hears of it but in a plain sentence."""

from __future__ import annotations

import re
import subprocess
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from dagster_defs.definitions import REFRESH_JOB, SCORE_JOB
from ml_assets.feeds.nycflights13 import land
from tests.end_to_end.conftest import EASY_GATES
from tests.end_to_end.real_homes import RealHome, copy_project
from tests.faults import killing

pytestmark = pytest.mark.slow

ROUNDS = 10
# What an error at a file that somebody else has would say, in dbt's, Dagster's or SQLite's words.
TROUBLE = re.compile(r"\block|IO Error|OperationalError|Traceback|JSONDecodeError", re.IGNORECASE)
HOLD = "import duckdb, sys, time; held = duckdb.connect(sys.argv[1]); print('held', flush=True); time.sleep(600)"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("together") / "dbt_project", EASY_GATES)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, project: Path) -> RealHome:
    """Some days with a champion. Never to be written to."""
    home = RealHome(tmp_path_factory.mktemp("small"), project)
    home.land("2013-01-05")
    home.run(REFRESH_JOB)
    return home


def test_two_builds_and_a_run_of_the_sensor_started_together_end_as_one_alone(
    small: RealHome, tmp_path: Path, project: Path
) -> None:
    """Ten rounds; in four of them a copy of the home does alone what the three do together."""
    home = small.copied_to(tmp_path / "home")
    other_project = copy_project(tmp_path / "other_project", source=project)
    shells = [killing.shell_build(DBT_TARGET_PATH=str(tmp_path / name)) for name in ("first", "second")]
    landed = datetime.fromisoformat("2013-01-06T00:00:00+00:00")
    seconds: list[float] = []
    waits = 0

    for number in range(ROUNDS):
        landed += timedelta(hours=6)
        alone = home.copied_to(tmp_path / f"alone_{number}", other_project) if number % 3 == 0 else None
        for one in filter(None, (home, alone)):
            land(one.settings.landing, landed)
        said = [home.path / f"{name}.{number}.log" for name in ("first", "second", "sensor")]
        began = time.monotonic()
        processes = [
            program.start(home, file) for program, file in zip([*shells, killing.job(SCORE_JOB)], said, strict=True)
        ]
        codes = [process.wait(timeout=900) for process in processes]
        seconds.append(time.monotonic() - began)

        texts = [file.read_text() for file in (*said, home.path / "runs.log")]
        assert codes == [0, 0, 0], "\n".join(texts)
        assert [line for text in texts for line in text.splitlines() if TROUBLE.search(line)] == []
        waits += sum("waiting until it is free" in text for text in texts[:2])
        if alone:
            alone.score()
            assert home.prediction_files() == alone.prediction_files()
            assert home.catalog_bytes() == alone.catalog_bytes()
    print(f"\n{ROUNDS} rounds, {waits} waits told in the shells; seconds: {[round(one) for one in seconds]}")


def test_a_build_that_waits_too_long_says_so_and_leaves_what_was_published(small: RealHome, tmp_path: Path) -> None:
    home = small.copied_to(tmp_path / "home")
    before = home.state()
    with subprocess.Popen(
        [killing.PYTHON, "-c", HOLD, str(home.path / "warehouse.duckdb")], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()

        build = killing.shell_build(PERENNIAL_LONGEST_WAIT_SECONDS="2").start(home, home.path / "said.log")
        code = build.wait(timeout=300)
        holder.kill()

    said = (home.path / "said.log").read_text()
    assert code != 0
    assert f"in use by process {holder.pid} for" in said
    assert "Traceback" not in said
    assert home.state() == before
    assert killing.shell_build().start(home, home.path / "said.log").wait(timeout=300) == 0
