"""Runs whose process is gone are ended, and no others."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import dagster as dg
import pytest

from dagster_defs.automation.abandoned import build_abandoned_sensor, end_abandoned_runs, process_is_there


@dg.job
def some_job() -> None:
    pass


@dg.job
def another_job() -> None:
    pass


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture(scope="module")
def dead() -> int:
    """The id of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def begun(instance: dg.DagsterInstance, process: int, job: dg.JobDefinition = some_job) -> str:
    """A run that a process has begun; returns its id."""
    run = instance.create_run_for_job(job)
    event = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, job.name, pid=process)
    instance.report_dagster_event(event, run.run_id)
    return run.run_id


def status(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def test_a_run_whose_process_is_gone_has_failed(instance: dg.DagsterInstance, dead: int) -> None:
    run_id = begun(instance, dead)

    assert end_abandoned_runs(instance) == [run_id]

    assert status(instance, run_id) == dg.DagsterRunStatus.FAILURE
    assert end_abandoned_runs(instance) == []


def test_a_run_whose_process_is_there_goes_on(instance: dg.DagsterInstance, dead: int) -> None:
    alive, gone = begun(instance, os.getpid()), begun(instance, dead, another_job)

    assert end_abandoned_runs(instance) == [gone]

    assert status(instance, alive) == dg.DagsterRunStatus.STARTED


def test_only_the_newest_run_of_a_job_is_a_failure(instance: dg.DagsterInstance, dead: int) -> None:
    """A failure is answered by the fallback and an alert; what has been run again since needs neither."""
    first, second = begun(instance, dead), begun(instance, dead)

    end_abandoned_runs(instance)

    assert status(instance, first) == dg.DagsterRunStatus.CANCELED
    assert status(instance, second) == dg.DagsterRunStatus.FAILURE


def test_a_process_that_began_later_is_another_one() -> None:
    assert process_is_there(os.getpid(), time.time())
    assert not process_is_there(os.getpid(), time.time() - 7 * 24 * 3600)


def test_the_sensor_tells_what_it_has_ended(instance: dg.DagsterInstance, dead: int) -> None:
    run_id = begun(instance, dead)

    answers = [build_abandoned_sensor()(dg.build_sensor_context(instance)) for _ in range(2)]

    assert run_id in answers[0].skip_message
    assert answers[1].skip_message == "every run that has begun has its process"
