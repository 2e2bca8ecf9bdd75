"""The house with its server and daemon really running: nobody asks for anything, files land, and the rest follows."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import dagster as dg
import pytest

from ml_assets.feeds.nycflights13 import land
from tests.end_to_end.conftest import ONLY_AGE
from tests.end_to_end.real_homes import BIN, PROJECT_ROOT, RealHome, copy_project
from tests.faults import killing

pytestmark = pytest.mark.slow

MODEL = "late_arrival"
QUIET_SECONDS = 40  # the slowest sensor has looked twice by then
A_DAY_IS_OLD = {
    **ONLY_AGE,
    r"max_label_age: \d+ days": "max_label_age: 1 day",
    r"cooldown: \d+ days": "cooldown: 1 day",
}
FINISHED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def server(home: RealHome) -> Iterator[None]:
    """`perennial up` on a free port of this machine, ended with all that it started."""
    with (home.path / "server.log").open("ab") as said:
        process = subprocess.Popen(
            [str(BIN / "perennial"), "up", "--port", str(free_port())],
            cwd=home.path,
            env={**home.environment, "PYTHONPATH": str(PROJECT_ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=60)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until(home: RealHome, what: str, is_so: Callable[[], bool], longest: float = 240) -> float:
    """Returns the seconds that it took."""
    began = time.monotonic()
    while not is_so():
        if time.monotonic() - began > longest:
            said = (home.path / "server.log").read_text()[-3000:]
            pytest.fail(f"{what}: not within {longest:.0f} s; runs: {[*history(home)]}\n{said}")
        time.sleep(1)
    return time.monotonic() - began


def history(home: RealHome) -> list[tuple[str, str]]:
    """Every run's job and status, oldest first."""
    return [(run.job_name, run.status.value) for run in reversed(killing.runs(home))]


def is_quiet(home: RealHome) -> bool:
    return all(run.status in FINISHED for run in killing.runs(home))


def land_until(home: RealHome, moment: str) -> None:
    land(home.settings.landing, datetime.fromisoformat(moment))


def test_files_land_and_predictions_and_retraining_follow_and_then_it_is_quiet(tmp_path: Path) -> None:
    home = RealHome(tmp_path / "home", copy_project(tmp_path / "dbt_project", A_DAY_IS_OLD))
    home.land("2013-01-06")
    run = killing.command("run", "--through", "2013-01-06", "--live-days", "0")
    run.finish(home)
    versions = len(home.registry.versions(MODEL))
    # A run that was killed holds the pool that all others need.
    killed = killing.Moment(2.0, killing.begins("dbt"))
    assert killing.kill(run, home, killed, random.Random(1))
    assert history(home)[-1][1] == "STARTED"
    took: dict[str, float] = {}

    with server(home):
        land_until(home, "2013-01-07T06:00:00+00:00")
        before = home.predictions(MODEL).num_rows
        took["first run"] = wait_until(
            home, "a run of what has landed", lambda: history(home)[-1] == ("score", "STARTED")
        )
        assert history(home)[1] == ("refresh", "FAILURE")
        os.kill(killing.process_of_newest_run(home), signal.SIGKILL)

        took["another one"] = wait_until(home, "the run once more", lambda: ("score", "SUCCESS") in history(home))
        assert home.predictions(MODEL).num_rows > before

        wait_until(home, "the end of what runs", lambda: is_quiet(home))
        land_until(home, "2013-01-09T00:00:00+00:00")
        took["retraining"] = wait_until(
            home,
            "a new version and a decision about it",
            lambda: any(
                (line.model, line.kind, line.version) == (MODEL, "promotion", versions + 1) for line in home.decisions()
            ),
            longest=400,
        )
        wait_until(home, "the end of what runs", lambda: is_quiet(home))

        done, state = history(home), home.state()
        time.sleep(QUIET_SECONDS)
        assert history(home) == done, "a run for nothing"

        landed = max((home.path / "landing" / "nycflights13" / "weather").glob("*.csv"))
        shutil.copyfile(landed, landed.with_name("once_more.csv"))
        time.sleep(QUIET_SECONDS)
        assert history(home) == done, "a run for a copy of what had landed"
        assert home.state() == state
    print(f"\nseconds: {took}; runs: {history(home)}")
