"""Dagster's own home is made once and whole, whoever comes first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dagster as dg

from dagster_defs.running import prepare_dagster_home
from dagster_defs.settings import PROJECT_ROOT, Settings

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
