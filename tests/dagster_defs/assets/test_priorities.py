"""Scoring before training before backfill, in the order in which Dagster's own queue takes runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._daemon.run_coordinator import QueuedRunCoordinatorDaemon

from dagster_defs.assets.priorities import BACKFILL_PRIORITY, SCORING_PRIORITY, TRAINING_PRIORITY, priority_tags
from dagster_defs.automation.bad_day import FALLBACK_JOB
from dagster_defs.automation.landing import build_landing_sensor
from dagster_defs.definitions import REFRESH_JOB, SCORE_JOB
from dagster_defs.running import prepare_dagster_home
from dagster_defs.settings import Settings

# Where a queued run says that its job is; nothing is loaded from there.
REPOSITORY = RemoteRepositoryOrigin(
    InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="dagster_defs.code_location"), location_name="here"),
    "__repository__",
)


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """An instance as `perennial` configures it, with its queue."""
    settings = Settings(home=tmp_path / "home").prepared()
    monkeypatch.setenv("DAGSTER_HOME", "")
    prepare_dagster_home(settings)
    with dg.DagsterInstance.get() as instance:
        yield instance


def taken(instance: dg.DagsterInstance, waiting: list[tuple[str, dict[str, str]]]) -> list[str]:
    """The names of the waiting runs, asked for in this order, in the order in which Dagster starts them."""
    for name, tags in waiting:
        status, origin = dg.DagsterRunStatus.QUEUED, RemoteJobOrigin(REPOSITORY, name)
        instance.add_run(dg.DagsterRun(job_name=name, tags=tags, status=status, remote_job_origin=origin))
    daemon = QueuedRunCoordinatorDaemon(interval_seconds=5)
    runs = daemon._get_runs_to_dequeue(instance, instance.get_concurrency_config(), fixed_iteration_time=None)
    return [run.job_name for run in runs]


def requested_by_landing(folder: Path, instance: dg.DagsterInstance) -> dict[str, str]:
    (folder / "shop").mkdir(parents=True)
    file = folder / "shop" / "orders.csv"
    file.write_text("a\n1\n")
    os.utime(file, (0, 0))
    answer: Any = build_landing_sensor(folder, SCORE_JOB, (SCORE_JOB,))(dg.build_sensor_context(instance))
    (request,) = answer.run_requests
    return dict(request.tags)


def test_scoring_goes_before_training_and_training_before_what_is_asked_for_in_bulk(
    definitions: dg.Definitions, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    tags = {job: definitions.resolve_job_def(job).tags for job in (SCORE_JOB, REFRESH_JOB, FALLBACK_JOB)}
    sensors = {sensor.name: sensor for sensor in definitions.sensors or ()}
    retraining: Any = sensors["lifecycle"]

    order = taken(
        instance,
        [
            ("by hand", {}),
            ("backfill", priority_tags(BACKFILL_PRIORITY)),
            ("retraining", retraining.run_tags),
            ("refresh", tags[REFRESH_JOB]),
            ("score", tags[SCORE_JOB]),
            ("landing", requested_by_landing(tmp_path / "landing", instance)),
            ("fallback", tags[FALLBACK_JOB]),
        ],
    )

    assert order == ["score", "landing", "fallback", "retraining", "refresh", "backfill", "by hand"]


def test_runs_of_the_same_priority_go_as_they_came(instance: dg.DagsterInstance) -> None:
    waiting = [(f"run {number}", priority_tags(TRAINING_PRIORITY)) for number in range(4)]

    assert taken(instance, waiting) == [f"run {number}" for number in range(4)]


def test_priorities_are_numbers_in_order() -> None:
    assert int(SCORING_PRIORITY) > int(TRAINING_PRIORITY) > int(BACKFILL_PRIORITY) > 0


def test_no_priority_is_given_anywhere_else() -> None:
    from dagster_defs.settings import PROJECT_ROOT

    named = [
        file.name for file in (PROJECT_ROOT / "dagster_defs").rglob("*.py") if '"dagster/priority"' in file.read_text()
    ]

    assert named == ["priorities.py"]
