"""Running a job of the definitions from Python, with progress that a person can follow.

The run is an ordinary one: it stands in the instance's history, and the UI shows it.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import dagster as dg
from filelock import FileLock

from dagster_defs.settings import Settings
from ml_assets.errors import PerennialError

Report = Callable[[str], None]
ANY_ASSETS = "__ASSET_JOB"
# As in workspace.yaml, and what Dagster calls the definitions in it.
CODE_LOCATION = "perennial"
REPOSITORY = "__repository__"
_POLL_SECONDS = 0.4
_LOCK_SECONDS = 120


@contextmanager
def instance_of(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """The Dagster instance of one home; its configuration is put there once."""
    prepare_dagster_home(settings)
    with dg.DagsterInstance.get() as instance:
        yield instance


def prepare_dagster_home(settings: Settings) -> None:
    """Makes Dagster's configuration and its databases once, and whole.

    Dagster makes a database where it finds none; two processes that do so at once, or one that is killed meanwhile,
    spoil it for good. So they are made aside, and the configuration, put in place last, says that they are there.
    """
    home = settings.dagster_home
    if not (home / "dagster.yaml").exists():
        with FileLock(home.with_name(".dagster.lock"), timeout=_LOCK_SECONDS):
            if not (home / "dagster.yaml").exists():
                _make_dagster_home(home)
    os.environ["DAGSTER_HOME"] = str(home)


def _make_dagster_home(home: Path) -> None:
    aside = home.with_name(".dagster.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    shutil.copyfile(Path(__file__).with_name("dagster.yaml"), aside / "dagster.yaml")
    with dg.DagsterInstance.from_config(str(aside)):
        pass
    for made in sorted(aside.iterdir(), key=lambda path: path.name == "dagster.yaml"):
        if not (home / made.name).exists():
            os.replace(made, home / made.name)
    shutil.rmtree(aside)


def run_job(
    definitions: dg.Definitions,
    job: str,
    instance: dg.DagsterInstance,
    report: Report,
    output: Path,
    selection: Sequence[dg.AssetKey] | None = None,
    tags: Mapping[str, str] | None = None,
    config: Mapping[str, Any] | None = None,
    with_checks: bool = False,
) -> str:
    """Runs one job in this process; returns the id of its run. What its parts print is appended to the file `output`.

    Args:
        job: its name; `ANY_ASSETS` with a selection runs just these.
        selection: only these of its assets.
        config: its run configuration, as in the UI's launchpad.
        with_checks: a selection is run with its assets' checks, as the whole job is.

    Raises:
        PerennialError: naming the first step or check that failed, and where to read on.
    """
    found = (
        definitions.resolve_implicit_global_asset_job_def() if job == ANY_ASSETS else definitions.resolve_job_def(job)
    )
    if selection is not None:  # without their checks, as the daemon runs what a condition has requested
        checks = None if with_checks else set()
        found = found.get_subset(asset_selection=set(selection), asset_check_selection=checks)
    watcher = _Watcher(instance, report)
    watcher.start()
    try:
        with output.open("a") as file, redirect_stdout(file), redirect_stderr(file):
            quiet = {**(config or {}), "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
            if selection is None:
                result = _execute_whole(found, instance, quiet, tags)
            else:
                result = found.execute_in_process(instance=instance, tags=tags, raise_on_error=False, run_config=quiet)
    finally:
        watcher.stop()
    if not result.success:
        failures = [event for event in result.all_events if event.is_step_failure]
        detail = _cause_of(failures[0]) if failures else "the run ended without saying why"
        name = failures[0].step_key if failures else job
        raise PerennialError(
            f"{job}: step {name} failed. What was published before stands.\n{detail[-2000:]}\n"
            f"See it in the UI (perennial up): run {result.run_id}"
        )
    return result.run_id


def _execute_whole(
    job: dg.JobDefinition, instance: dg.DagsterInstance, config: Mapping[str, Any], tags: Mapping[str, str] | None
) -> Any:
    """Runs a job in this process under the origin that the server gives it: the timeline shows only runs that have one.

    `execute_in_process` gives none, and a launched run would need the server's daemon; so the run is made first, as a
    launcher does, and then executed here.
    """
    # The pinned Dagster has no public name for these; a test holds them.
    from dagster._core.definitions.job_base import InMemoryJob
    from dagster._core.execution.api import execute_run
    from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(CODE_LOCATION), REPOSITORY)
    run = instance.create_run_for_job(
        job_def=job, run_config=config, tags=tags, remote_job_origin=RemoteJobOrigin(repository, job.name)
    )
    return execute_run(InMemoryJob(job), run, instance)


def _cause_of(failure: dg.DagsterEvent) -> str:
    """What went wrong at the root, without the path that led there; that stands in the run's own log."""
    error = failure.step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    text = error.message if error is not None else failure.step_failure_data.error_display_string
    return text.split(": ", 1)[-1].strip()[-2000:]


class _Watcher(threading.Thread):
    """Reads the run's events as they are written, and reports assets as they are made."""

    def __init__(self, instance: dg.DagsterInstance, report: Report) -> None:
        super().__init__(daemon=True)
        self._instance = instance
        self._report = report
        self._done = threading.Event()
        self._known = {run.run_id for run in instance.get_runs(limit=1000)}
        self._cursor: str | None = None
        self._run_id: str | None = None

    def stop(self) -> None:
        self._done.set()
        self.join(timeout=5)
        self._read()

    def run(self) -> None:
        while not self._done.wait(_POLL_SECONDS):
            self._read()

    def _read(self) -> None:
        if self._run_id is None:
            new = [run.run_id for run in self._instance.get_runs(limit=5) if run.run_id not in self._known]
            if not new:
                return
            self._run_id = new[0]
        connection = self._instance.get_records_for_run(self._run_id, cursor=self._cursor)
        self._cursor = connection.cursor
        for record in connection.records:
            event = record.event_log_entry.dagster_event
            if event is None:
                continue
            if event.is_step_materialization and event.asset_key is not None:
                self._report(event.asset_key.to_user_string())
            elif event.is_step_failure:
                self._report(f"FAILED {event.step_key}")
