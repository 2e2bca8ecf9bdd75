"""Dagster's home is there whole or not at all, whoever was interrupted while making it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from dagster_defs.running import CONFIGURATION, instance_of, prepare_dagster_home
from dagster_defs.settings import PROJECT_ROOT, Settings

MAKE = """
import sys
from pathlib import Path
from dagster_defs.running import prepare_dagster_home
from dagster_defs.settings import Settings
prepare_dagster_home(Settings(home=Path(sys.argv[1])).prepared())
"""


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("DAGSTER_HOME", "unset by the test")
    return Settings(home=tmp_path / "home").prepared()


def test_one_that_was_cut_short_leaves_nothing_and_the_next_call_makes_it(
    empty: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_short(folder: str) -> None:
        (Path(folder) / "schedules").mkdir()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(dg.DagsterInstance, "from_config", cut_short)
        with pytest.raises(KeyboardInterrupt):
            prepare_dagster_home(empty)
    assert list(empty.dagster_home.iterdir()) == []

    with instance_of(empty) as instance:
        assert instance.get_runs() == []
    assert not list(empty.home.glob(".dagster-*"))


def test_several_who_make_it_at_once_make_one(empty: Settings) -> None:
    command = [sys.executable, "-W", "ignore", "-c", MAKE, str(empty.home)]
    both = [subprocess.Popen(command, cwd=PROJECT_ROOT) for _ in range(2)]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    with instance_of(empty) as instance:
        assert instance.get_runs() == []


def test_what_somebody_keeps_there_stays(empty: Settings) -> None:
    (empty.dagster_home / "mine").write_text("kept")
    prepare_dagster_home(empty)
    assert (empty.dagster_home / "mine").read_text() == "kept"
    assert (empty.dagster_home / CONFIGURATION).exists()
    (empty.dagster_home / CONFIGURATION).write_text("telemetry: {enabled: false}\n")
    prepare_dagster_home(empty)
    assert (empty.dagster_home / CONFIGURATION).read_text() == "telemetry: {enabled: false}\n"
