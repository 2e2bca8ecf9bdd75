"""The command: every verb is documented, says what it does, and answers a mistake with a sentence."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from dagster_defs.commands.cli import ORDER, app
from dagster_defs.settings import PROJECT_ROOT, Settings

COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def perennial(settings: Settings, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The program as a user starts it, with a home of its own."""
    environment = {
        **os.environ,
        "PERENNIAL_HOME": str(home),
        "PERENNIAL_DBT_PROJECT": str(settings.dbt_project),
        "OMP_NUM_THREADS": "1",
        "NO_COLOR": "1",
        "COLUMNS": "200",
    }
    program = str(Path(sys.executable).parent / "perennial")
    return subprocess.run(
        [program, *arguments],
        env=environment,
        cwd=home.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where a home may be made."""
    return tmp_path / "home"


@pytest.fixture(scope="module")
def status_of_nothing(
    settings: Settings, manifest: object, tmp_path_factory: pytest.TempPathFactory
) -> subprocess.CompletedProcess[str]:
    """What `perennial status --json` says where there was nothing."""
    return perennial(settings, tmp_path_factory.mktemp("empty") / "home", "status", "--json")


@pytest.fixture(scope="module")
def empty_home(status_of_nothing: subprocess.CompletedProcess[str]) -> Path:
    """A home without data, whose registry is made: MLflow takes seconds for that."""
    return Path(json.loads(status_of_nothing.stdout)["home"])


def test_the_readmes_table_has_every_command_in_the_order_of_the_help() -> None:
    section = (PROJECT_ROOT / "README.md").read_text().partition("## The command\n")[2].partition("\n## ")[0]
    table = re.findall(r"^\| `perennial ([a-z-]+)", section, re.MULTILINE)

    assert table == list(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def test_the_help_begins_with_the_overview() -> None:
    assert next(iter(typer.main.get_command(app).commands)) == "status"  # type: ignore[attr-defined]


def test_every_command_has_its_place_in_the_help() -> None:
    assert sorted(ORDER) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_what_it_does(command: str) -> None:
    said = CliRunner().invoke(app, [command, "--help"])

    assert said.exit_code == 0
    assert "Usage" in said.output
    assert (typer.main.get_command(app).commands[command].help or "").split()[0] in said.output  # type: ignore[attr-defined]


def test_the_command_alone_lists_its_commands() -> None:
    said = CliRunner().invoke(app, [])

    assert [command for command in COMMANDS if command not in said.output] == []


def test_status_of_an_empty_home_is_json_that_says_what_to_do(
    status_of_nothing: subprocess.CompletedProcess[str],
) -> None:
    assert status_of_nothing.returncode == 0, status_of_nothing.stderr
    answer = json.loads(status_of_nothing.stdout)
    assert answer["watermark"] is None
    assert answer["tables"] == 0
    assert {name: model["champion"] for name, model in answer["models"].items()} == {
        "arrival_delay": None,
        "household_spend": None,
        "late_arrival": None,
    }
    assert "make run" in answer["next"]


def test_status_of_an_empty_home_says_what_to_do(settings: Settings, empty_home: Path) -> None:
    said = perennial(settings, empty_home, "status")

    assert said.returncode == 0, said.stderr
    assert "perennial land" in said.stdout
    assert "late_arrival has no champion yet" in said.stdout


@pytest.mark.parametrize("command", ["rollback", "decisions", "backtest"])
def test_an_unknown_model_is_answered_with_those_that_there_are(
    settings: Settings, empty_home: Path, command: str
) -> None:
    said = perennial(settings, empty_home, command, "late_arival")

    assert said.returncode == 1
    assert "late_arival" in said.stderr
    assert "arrival_delay, household_spend, late_arrival" in said.stderr
    assert "Traceback" not in said.stdout + said.stderr


def test_a_rollback_without_a_champion_says_so(settings: Settings, empty_home: Path) -> None:
    said = perennial(settings, empty_home, "rollback", "late_arrival")

    assert said.returncode == 1
    assert "late_arrival" in said.stderr
    assert "no champion" in said.stderr
    assert "Traceback" not in said.stdout + said.stderr


def test_a_moment_that_is_none_is_refused(settings: Settings, home: Path) -> None:
    said = perennial(settings, home, "land", "--through", "yesterday")

    assert said.returncode == 1
    assert "yesterday" in said.stderr
    assert "Traceback" not in said.stdout + said.stderr


def test_landing_twice_adds_nothing(settings: Settings, home: Path) -> None:
    first = perennial(settings, home, "land", "--through", "2013-01-03")
    landed = {path: path.stat().st_mtime_ns for path in (home / "landing").rglob("*.csv")}
    second = perennial(settings, home, "land", "--through", "2013-01-03")

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert landed
    assert {path: path.stat().st_mtime_ns for path in (home / "landing").rglob("*.csv")} == landed
    assert first.stdout != second.stdout
