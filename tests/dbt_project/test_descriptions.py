"""Every table and every column says what it means: nobody has to read SQL to learn it."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from dagster_defs.manifest import manifest_path
from dagster_defs.settings import PROJECT_ROOT, Settings

Manifest = dict[str, Any]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    folder = tmp_path_factory.mktemp("descriptions")
    project = folder / "dbt_project"
    shutil.copytree(PROJECT_ROOT / "dbt_project", project, ignore=shutil.ignore_patterns("target", "logs", ".*"))
    return json.loads(manifest_path(Settings(home=folder / "home", dbt_project=project).prepared()).read_text())


def tables(manifest: Manifest) -> list[dict[str, Any]]:
    """Models, seeds and sources."""
    nodes = [*manifest["nodes"].values(), *manifest["sources"].values()]
    return [node for node in nodes if node["resource_type"] in ("model", "seed", "snapshot", "source")]


def test_every_table_and_every_column_that_is_declared_is_described(manifest: Manifest) -> None:
    bare = [node["name"] for node in tables(manifest) if not node["description"].strip()]
    bare += [
        f"{node['name']}.{column['name']}"
        for node in tables(manifest)
        for column in node["columns"].values()
        if not (column["description"] or "").strip()
    ]

    assert tables(manifest)
    assert bare == []


def test_every_table_declares_columns(manifest: Manifest) -> None:
    """But for the lake's sources: they are files of Python's, whose columns are described where dbt reads them."""
    declared = [node for node in tables(manifest) if not str(node.get("source_name")).startswith("lake")]

    assert [node["name"] for node in declared if not node["columns"]] == []


def test_a_base_table_describes_the_columns_of_its_source_too(manifest: Manifest) -> None:
    """It has them all, though its SQL names none of them."""
    missing: list[str] = []
    for node in manifest["nodes"].values():
        if node["name"].startswith("base_") and node["resource_type"] == "model":
            source, _, table = node["name"].removeprefix("base_").partition("__")
            found = [
                one
                for one in manifest["sources"].values()
                if one["name"] == table and one["source_name"].startswith(source)
            ]
            assert found, node["name"]
            missing += [f"{node['name']}.{name}" for name in found[0]["columns"] if name not in node["columns"]]

    assert missing == []


def test_a_seed_describes_every_column_of_its_file(manifest: Manifest) -> None:
    seeds = [node for node in manifest["nodes"].values() if node["resource_type"] == "seed"]
    for seed in seeds:
        with (PROJECT_ROOT / "dbt_project" / seed["original_file_path"]).open() as file:
            header = next(csv.reader(file))
        assert set(header) == seed["columns"].keys(), seed["name"]


@pytest.mark.slow
def test_the_page_needs_no_network(tmp_path: Path) -> None:
    """The generated page has its data inside and asks nobody for a program, a style or a letter."""
    import os
    import re
    import subprocess

    from dagster_defs.manifest import dbt_executable

    project = tmp_path / "dbt_project"
    shutil.copytree(PROJECT_ROOT / "dbt_project", project, ignore=shutil.ignore_patterns("target", "logs", ".*"))
    settings = Settings(home=tmp_path / "home", dbt_project=project).prepared()
    manifest_path(settings)
    done = subprocess.run(
        [dbt_executable(), "docs", "generate", "--static", "--no-compile", "--quiet"],
        cwd=project,
        env={**os.environ, "PERENNIAL_HOME": str(settings.home), "DBT_PROFILES_DIR": str(project)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    page = (project / "target" / "static_index.html").read_text()
    assert "stg_landing__files" in page
    assert re.findall(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=[\"']?(?:https?:)?//[^\s>\"']+", page) == []
