"""The power goes off: whatever was cut short, readers saw a whole state, and one plain run catches up."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.end_to_end.conftest import EASY_GATES
from tests.end_to_end.real_homes import PROJECT_ROOT, RealHome, copy_project

pytestmark = pytest.mark.slow

SEED = 20130101
KILLS = 8
THROUGH = "2013-01-06"
RUN = """
from dagster_defs.definitions import REFRESH_JOB, build_definitions
from dagster_defs.running import instance_of, run_job
from dagster_defs.settings import Settings

settings = Settings().prepared()
definitions = build_definitions(settings)
with instance_of(settings) as instance:
    run_job(definitions, REFRESH_JOB, instance, lambda line: None, settings.home / "runs.log")
"""


def start_run(home: RealHome) -> subprocess.Popen[bytes]:
    """The job in a process of its own, the leader of its group: dbt's processes are in it too."""
    with (home.path / "errors.log").open("ab") as errors:
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", RUN],
            cwd=PROJECT_ROOT,
            env={**home.environment, "PYTHONPATH": str(PROJECT_ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )


def finish_run(home: RealHome) -> float:
    """Runs to the end; returns the seconds that it took."""
    began = time.monotonic()
    process = start_run(home)
    assert process.wait(timeout=600) == 0, (home.path / "errors.log").read_text()[-3000:]
    return time.monotonic() - began


class Reader(threading.Thread):
    """Reads what is published again and again, as a stranger would, and keeps what was wrong with it."""

    def __init__(self, lake: Path) -> None:
        super().__init__(daemon=True)
        self._lake = lake
        self._end = threading.Event()
        self._sound: set[bytes] = set()
        self.problems: list[str] = []
        self.states = 0

    def run(self) -> None:
        while not self._end.wait(0.02):
            self._look()

    def stop(self) -> None:
        self._end.set()
        self.join()
        self._look()

    def _look(self) -> None:
        try:
            catalog = (self._lake / "catalog.jsonl").read_bytes()
        except FileNotFoundError:
            return
        if catalog in self._sound:
            return
        self.states += 1
        for number, line in enumerate(catalog.splitlines()):
            try:
                part = json.loads(line)
                content = (self._lake / part["file"]).read_bytes()
            except (ValueError, OSError) as error:
                self.problems.append(f"line {number}: {error}")
                continue
            if hashlib.sha256(content).hexdigest() != part["sha256"]:
                self.problems.append(f"{part['file']} is not what the catalog says")
        self._sound.add(catalog)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("killed") / "dbt_project", EASY_GATES)


def new_home(path: Path, project: Path) -> RealHome:
    home = RealHome(path, project)
    home.land(THROUGH)
    return home


@pytest.mark.parametrize("victims", ["all", "the job alone"])
def test_a_run_that_was_killed_is_caught_up_by_the_next(project: Path, tmp_path: Path, victims: str) -> None:
    """Killed at rising moments, so that each time other work is cut short; where the job alone dies, dbt goes on for a while."""
    undisturbed = new_home(tmp_path / "undisturbed", project)
    seconds = finish_run(undisturbed)
    home = new_home(tmp_path / "home", project)
    reader = Reader(home.path / "lake")
    reader.start()
    chance = random.Random(f"{SEED} {victims}")
    hits = 0

    for fraction in sorted(chance.uniform(0.1, 1.0) for _ in range(KILLS if victims == "all" else KILLS // 2)):
        process = start_run(home)
        try:
            process.wait(timeout=fraction * seconds)
        except subprocess.TimeoutExpired:
            hits += 1
            if victims == "all":
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
            process.wait()
    finish_run(home)
    reader.stop()

    assert hits >= 2
    assert reader.problems == []
    assert reader.states >= 1
    assert home.catalog_bytes() == undisturbed.catalog_bytes()
    assert home.prediction_files() == undisturbed.prediction_files()
    assert [(line.model, line.verdict, line.version) for line in home.decisions()] == [
        (line.model, line.verdict, line.version) for line in undisturbed.decisions()
    ]


def test_two_builds_at_once_wait_for_each_other(project: Path, tmp_path: Path) -> None:
    home = new_home(tmp_path / "home", project)

    both = [home.start_dbt("build"), home.start_dbt("build")]
    said = [process.communicate(timeout=600)[0] for process in both]

    assert [process.returncode for process in both] == [0, 0], "\n".join(said)
    assert not [
        line for text in said for line in text.splitlines() if re.search(r"\block\b|IO Error", line, re.IGNORECASE)
    ]
    alone = new_home(tmp_path / "alone", project)
    assert alone.dbt("build").returncode == 0
    assert home.catalog_bytes() == alone.catalog_bytes()
