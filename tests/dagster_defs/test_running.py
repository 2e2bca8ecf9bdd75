"""Dagster's own home is made once and whole, whoever comes first; what a command runs, its pages show."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

from dagster_defs.running import ANY_ASSETS, REPOSITORY, prepare_dagster_home, run_job
from dagster_defs.settings import PROJECT_ROOT, Settings
from ml_assets.errors import PerennialError

OPEN = """
import sys
from pathlib import Path
from dagster_defs.running import instance_of
from dagster_defs.settings import Settings

with instance_of(Settings(home=Path(sys.argv[1])).prepared()) as instance:
    instance.get_runs()
"""


def test_processes_that_come_first_together_do_not_spoil_it(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", OPEN, str(tmp_path)], cwd=PROJECT_ROOT, stderr=subprocess.PIPE
        )
        for _ in range(4)
    ]
    said = [process.communicate(timeout=300)[1] for process in processes]

    assert [process.returncode for process in processes] == [0] * 4, said[0].decode()[-2000:]
    assert not list(tmp_path.glob(".dagster.part"))


def test_what_a_killed_process_had_begun_is_made_anew(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path).prepared()
    (tmp_path / ".dagster.part" / "history").mkdir(parents=True)
    (tmp_path / ".dagster.part" / "history" / "runs.db").write_text("half")

    prepare_dagster_home(settings)

    with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        assert instance.get_runs() == []


def test_a_configuration_that_is_there_stays_and_so_does_the_history(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path).prepared()
    prepare_dagster_home(settings)
    with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        instance.add_run(dg.DagsterRun("some_job"))
    configuration = settings.dagster_home / "dagster.yaml"
    configuration.write_text("telemetry: {enabled: false}\n")

    prepare_dagster_home(settings)
    assert configuration.read_text() == "telemetry: {enabled: false}\n"

    configuration.unlink()
    prepare_dagster_home(settings)
    with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        assert [run.job_name for run in instance.get_runs()] == ["some_job"]


# --- jobs that a command runs


def _definitions(is_sound: bool = True) -> dg.Definitions:
    @dg.asset
    def orders() -> None:
        if not is_sound:
            raise ValueError("no orders today")

    return dg.Definitions(
        assets=[orders],
        jobs=[dg.define_asset_job("refresh", dg.AssetSelection.all())],
        executor=dg.in_process_executor,
    )


def test_a_run_of_a_job_has_the_origin_that_the_timeline_asks_for(tmp_path: Path) -> None:
    made: list[str] = []
    with dg.DagsterInstance.ephemeral() as instance:
        tags = {"perennial/landing": "abc"}
        run_id = run_job(_definitions(), "refresh", instance, made.append, tmp_path / "runs.log", tags=tags)
        run = instance.get_run_by_id(run_id)

    assert run is not None
    assert (run.status, run.asset_selection, run.tags["perennial/landing"]) == (
        dg.DagsterRunStatus.SUCCESS,
        None,
        "abc",
    )
    assert run.remote_job_origin is not None
    assert run.remote_job_origin.job_name == "refresh"
    assert run.remote_job_origin.repository_origin.code_location_origin.location_name == _location_of_the_workspace()
    assert made == ["orders"]


def test_the_origin_names_the_repository_that_the_definitions_are_loaded_as(tmp_path: Path) -> None:
    assert _definitions().get_repository_def().name == REPOSITORY


def test_a_step_that_fails_is_named_with_its_cause(tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance, pytest.raises(PerennialError) as failed:
        run_job(_definitions(is_sound=False), "refresh", instance, lambda _: None, tmp_path / "runs.log")

    assert "refresh: step orders failed" in str(failed.value)
    assert "no orders today" in str(failed.value)


def test_single_assets_run_as_what_they_are(tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        key = dg.AssetKey("orders")
        run_id = run_job(_definitions(), ANY_ASSETS, instance, lambda _: None, tmp_path / "runs.log", [key])
        run = instance.get_run_by_id(run_id)

    assert run is not None
    assert run.asset_selection is not None  # the landing sensor takes it for no whole job


def _location_of_the_workspace() -> str:
    (loaded,) = yaml.safe_load((PROJECT_ROOT / "workspace.yaml").read_text())["load_from"]
    return loaded["python_module"]["location_name"]
