"""dbt's manifest is made when it has to be, and only then."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dagster_defs import manifest as manifest_module
from dagster_defs.manifest import manifest_path
from dagster_defs.settings import Settings
from ml_assets.errors import PerennialError

BEFORE, PARSED = 1_000_000_000, 1_000_000_100


@pytest.fixture
def parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Settings, list[Path]]:
    """A project that was parsed after it was last written, and a list that grows with every further parse."""
    project = tmp_path / "dbt_project"
    files = ["dbt_project.yml", "models/ml_models/one.yml", "models/ml_models/other.yml", "models/one.sql"]
    for name in [*files, "target/manifest.json"]:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("{}")
    for path in [project, *project.rglob("*")]:
        os.utime(path, (BEFORE, BEFORE))
    os.utime(project / "target" / "manifest.json", (PARSED, PARSED))
    parses: list[Path] = []
    monkeypatch.setattr(manifest_module, "_parse", lambda settings: parses.append(settings.dbt_project))
    return Settings(home=tmp_path / "home", dbt_project=project), parses


def test_an_unchanged_project_is_not_parsed_again(parsed: tuple[Settings, list[Path]]) -> None:
    settings, parses = parsed

    assert manifest_path(settings) == settings.dbt_project / "target" / "manifest.json"
    assert parses == []


@pytest.mark.parametrize("name", ["dbt_project.yml", "models/one.sql", "models/ml_models/one.yml"])
def test_a_changed_file_is_noticed(parsed: tuple[Settings, list[Path]], name: str) -> None:
    settings, parses = parsed
    (settings.dbt_project / name).write_text("changed")

    manifest_path(settings)

    assert len(parses) == 1


def test_a_manifest_that_a_killed_dbt_has_left_half_written_is_made_anew(parsed: tuple[Settings, list[Path]]) -> None:
    settings, parses = parsed
    manifest = settings.dbt_project / "target" / "manifest.json"
    manifest.write_text('{"nodes": {"mod')

    manifest_path(settings)

    assert len(parses) == 1


def test_a_file_that_was_taken_away_is_noticed(parsed: tuple[Settings, list[Path]]) -> None:
    settings, parses = parsed
    (settings.dbt_project / "models" / "ml_models" / "one.yml").unlink()

    manifest_path(settings)

    assert len(parses) == 1


def test_what_dbt_writes_is_no_change(parsed: tuple[Settings, list[Path]]) -> None:
    settings, parses = parsed
    for name in ("target/run_results.sql", "logs/some.yml"):
        (settings.dbt_project / name).parent.mkdir(exist_ok=True)
        (settings.dbt_project / name).write_text("")

    manifest_path(settings)

    assert parses == []


def test_a_project_that_cannot_be_parsed_is_named_with_the_words_of_dbt(tmp_path: Path) -> None:
    project = tmp_path / "dbt_project"
    project.mkdir()
    (project / "dbt_project.yml").write_text("name: [")

    with pytest.raises(PerennialError, match=rf"(?s)dbt cannot parse {project}.*Syntax error"):
        manifest_path(Settings(home=tmp_path / "home", dbt_project=project))


def test_the_manifest_is_where_it_is_looked_for_whatever_the_environment_says(parsed_target: Path) -> None:
    assert parsed_target.exists()


@pytest.fixture
def parsed_target(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path / "elsewhere"))
    (settings.dbt_project / "target" / "manifest.json").unlink(missing_ok=True)
    return manifest_path(settings)
