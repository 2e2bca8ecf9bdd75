"""Programs of a home, killed at a moment: where they were, what readers saw meanwhile, what lies around afterwards.

Here: how a program is started and killed, and what can be seen. Not here: what is expected; the tests say that.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import dagster as dg

from dagster_defs.running import ANY_ASSETS
from tests.end_to_end.real_homes import BIN, PROJECT_ROOT, RUN_JOB, RealHome

PYTHON = sys.executable
POLL_SECONDS = 0.01
TABLES = "lake/tables"
PHASES = {
    "candidate": "train",
    "evaluation": "judge",
    "champion": "promote",
    "predictions": "score",
    "dbt": "look",
    "dbt_2": "retell",
    "dbt_flights": "build",
    "dbt_flights_2": "watch",
}


@dataclass(frozen=True)
class Program:
    """Something that a user starts, and what is set for it alone."""

    arguments: tuple[str, ...]
    is_dbt: bool = False
    environment: tuple[tuple[str, str], ...] = ()

    def start(self, home: RealHome, said: Path | None = None) -> subprocess.Popen[bytes]:
        """In a process of its own, the leader of its group: the processes that it starts are in it too."""
        with (said or home.path / "said.log").open("ab") as output:
            return subprocess.Popen(
                self.arguments,
                cwd=home.project if self.is_dbt else PROJECT_ROOT,
                env={**home.environment, "PYTHONPATH": str(PROJECT_ROOT), **dict(self.environment)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def finish(self, home: RealHome) -> float:
        """Runs to its end; returns the seconds that it took."""
        began = time.monotonic()
        process = self.start(home)
        assert process.wait(timeout=900) == 0, (home.path / "said.log").read_text()[-3000:]
        return time.monotonic() - began


def command(*arguments: str) -> Program:
    return Program((str(BIN / "perennial"), *arguments))


def shell_build(**environment: str) -> Program:
    return Program((str(BIN / "dbt"), "build", "--no-use-colors"), is_dbt=True, environment=tuple(environment.items()))


def job(name: str) -> Program:
    return Program((PYTHON, "-W", "ignore", "-c", RUN_JOB, name))


def assets(*keys: str) -> Program:
    """A run of just these, as the daemon starts it when a condition requests them."""
    return Program((PYTHON, "-W", "ignore", "-c", RUN_JOB, ANY_ASSETS, *keys))


# --- moments

Marker = Callable[[], bool]


@dataclass(frozen=True)
class Moment:
    """When to kill: so long after the start, or after a marker was seen."""

    longest: float
    marker: Callable[[RealHome], Marker] | None = None


def after_start(seconds: float, times: int) -> list[Moment]:
    return [Moment(seconds)] * times


def touched(path: str) -> Callable[[RealHome], Marker]:
    """Something was written to a file, or put into a folder."""

    def begin(home: RealHome) -> Marker:
        before = written_at(home, path)
        return lambda: written_at(home, path) != before

    return begin


def written_at(home: RealHome, path: str) -> float:
    try:
        return (home.path / path).stat().st_mtime
    except FileNotFoundError:
        return 0.0


def begins(step: str) -> Callable[[RealHome], Marker]:
    """A step of the run that is started now has begun."""

    def begin(home: RealHome) -> Marker:
        before = len(runs(home))
        return lambda: len(newest := runs(home)) > before and step in steps(home, newest[0].run_id)[0]

    return begin


def kill(program: Program, home: RealHome, moment: Moment, chance: random.Random) -> bool:
    """Starts the program and kills it; False if it had ended before."""
    seen = moment.marker(home) if moment.marker else None
    process = program.start(home)
    while seen and not seen() and process.poll() is None:
        time.sleep(POLL_SECONDS)
    try:
        process.wait(timeout=chance.uniform(0.0, moment.longest))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


@dataclass
class Tally:
    """Which phase each kill has hit."""

    hits: Counter[str] = field(default_factory=Counter)
    began: float = field(default_factory=time.monotonic)

    @property
    def kills(self) -> int:
        return self.hits.total()

    def __str__(self) -> str:
        phases = ", ".join(f"{phase} {count}" for phase, count in sorted(self.hits.items()))
        return f"{self.kills} kills in {time.monotonic() - self.began:.0f} s: {phases}"


# --- where a run was


@cache
def instance_at(dagster_home: Path) -> dg.DagsterInstance:
    return dg.DagsterInstance.from_config(str(dagster_home))


def runs(home: RealHome) -> Sequence[dg.DagsterRun]:
    """Newest first."""
    folder = home.path / "dagster"
    return instance_at(folder).get_runs() if (folder / "dagster.yaml").exists() else []


def process_of_newest_run(home: RealHome) -> int:
    kind = dg.DagsterEventType.RUN_START
    (entry,) = instance_at(home.path / "dagster").event_log_storage.get_logs_for_run(runs(home)[0].run_id, of_type=kind)
    assert entry.dagster_event is not None
    assert entry.dagster_event.pid is not None
    return entry.dagster_event.pid


def steps(home: RealHome, run_id: str) -> tuple[dict[str, float], dict[str, float]]:
    """When the run's steps began, and when they ended."""
    kinds = {dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_SUCCESS, dg.DagsterEventType.STEP_FAILURE}
    begun: dict[str, float] = {}
    ended: dict[str, float] = {}
    for entry in instance_at(home.path / "dagster").event_log_storage.get_logs_for_run(run_id, of_type=kinds):
        event = entry.dagster_event
        if event and event.step_key:
            (begun if event.is_step_start else ended)[event.step_key] = entry.timestamp
    return begun, ended


def step_seconds(home: RealHome) -> dict[str, float]:
    """How long each step of the newest run took."""
    begun, ended = steps(home, runs(home)[0].run_id)
    return {step: ended[step] - began for step, began in begun.items()}


def phase_of_run(home: RealHome, runs_before: int) -> str:
    """What the newest run was at: the step that has begun and not ended."""
    if len(runs(home)) == runs_before:
        return "start"
    begun, ended = steps(home, runs(home)[0].run_id)
    at = [step for step in begun if step not in ended]
    if not at:
        return "between steps" if begun else "start"
    phase = PHASES.get(at[-1], PHASES.get(at[-1].split("__")[-1], "ask"))
    return "publish" if phase in ("build", "watch") and written_at(home, TABLES) >= begun[at[-1]] else phase


def phase_of_build(home: RealHome, began: float) -> str:
    """What a build in a shell was at, by what it had written since it began."""
    if written_at(home, TABLES) >= began:
        return "publish"
    written = max(written_at(home, name) for name in ("warehouse.duckdb", "warehouse.duckdb.wal"))
    return "build" if written >= began else "start"


# --- readers


class Reader(threading.Thread):
    """Reads what is published and what has landed again and again, as a stranger would, and keeps what was wrong."""

    def __init__(self, home: RealHome, landing: Path) -> None:
        super().__init__(daemon=True)
        self._home = home
        self._landing = landing
        self._end = threading.Event()
        self._sound: set[bytes] = set()
        self._whole: set[Path] = set()
        self.problems: list[str] = []
        self.states = 0

    def run(self) -> None:
        while not self._end.wait(0.05):
            self._look()

    def stop(self) -> None:
        self._end.set()
        self.join()
        self._look()

    def _look(self) -> None:
        self._look_at_catalog(self._home.path / "lake")
        self._look_at_landing(self._home.path / "landing")

    def _look_at_landing(self, folder: Path) -> None:
        """What can be read of a file is what an undisturbed feed would have written under that name."""
        for file in folder.glob("*/*/[!.]*"):
            if file not in self._whole:
                if file.read_bytes() != (self._landing / file.relative_to(folder)).read_bytes():
                    self.problems.append(f"{file} is half a file")
                self._whole.add(file)

    def _look_at_catalog(self, lake: Path) -> None:
        try:
            catalog = (lake / "catalog.jsonl").read_bytes()
        except FileNotFoundError:
            return
        if catalog in self._sound:
            return
        self.states += 1
        for number, line in enumerate(catalog.splitlines()):
            try:
                part = json.loads(line)
                content = (lake / part["file"]).read_bytes()
            except (ValueError, OSError) as error:
                self.problems.append(f"line {number}: {error}")
                continue
            if hashlib.sha256(content).hexdigest() != part["sha256"]:
                self.problems.append(f"{part['file']} is not what the catalog says")
        self._sound.add(catalog)
