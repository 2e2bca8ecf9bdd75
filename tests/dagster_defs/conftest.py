"""One copy of the dbt project, parsed once, and the definitions that are built from it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_defs.definitions import build_definitions
from dagster_defs.manifest import manifest_path
from dagster_defs.settings import PROJECT_ROOT, Settings

Manifest = dict[str, Any]
OTHER_PEOPLES_WARNINGS = ("ignore:The ``noload`` loader strategy is deprecated", "ignore::DeprecationWarning:dagster.*")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Nothing here can act on what libraries say to each other."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            for warning in OTHER_PEOPLES_WARNINGS:
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture(scope="session", autouse=True)
def _own_environment() -> Iterator[None]:
    """What building definitions writes into the environment ends with these tests."""
    before = dict(os.environ)
    for name in [name for name in before if name.startswith(("PERENNIAL_", "DAGSTER_", "DBT_"))]:
        del os.environ[name]
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """An empty home, and a copy of the project that these tests alone parse."""
    folder = tmp_path_factory.mktemp("dagster")
    project = folder / "dbt_project"
    shutil.copytree(PROJECT_ROOT / "dbt_project", project, ignore=shutil.ignore_patterns("target", "logs", ".*"))
    return Settings(home=folder / "home", dbt_project=project).prepared()


@pytest.fixture(scope="session")
def manifest(settings: Settings) -> Manifest:
    """Not to be changed: see `built_from`."""
    return json.loads(manifest_path(settings).read_text())


@pytest.fixture(scope="session")
def definitions(settings: Settings, manifest: Manifest) -> dg.Definitions:
    return build_definitions(settings)


@pytest.fixture
def built_from(manifest: Manifest, tmp_path: Path) -> Callable[[Callable[[Manifest], None]], dg.Definitions]:
    """The definitions of a project whose manifest is another one: `built_from(change)`, where `change` edits a copy."""

    def build(change: Callable[[Manifest], None]) -> dg.Definitions:
        changed = deepcopy(manifest)
        change(changed)
        project = tmp_path / "dbt_project"
        shutil.copytree(PROJECT_ROOT / "dbt_project", project, ignore=shutil.ignore_patterns("target", "logs", ".*"))
        (project / "target").mkdir()
        (project / "target" / "manifest.json").write_text(json.dumps(changed))
        return build_definitions(Settings(home=tmp_path / "home", dbt_project=project).prepared())

    return build
