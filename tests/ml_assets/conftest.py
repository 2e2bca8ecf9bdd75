"""Fixtures of the made-up shop (`shop.py`): its rows, its published lake, an empty registry, a log and a clock."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from ml_assets.deciding.log import DecisionLog
from ml_assets.declaration.reader import ModelDeclaration
from ml_assets.lake.decision_rows import DecisionRows, decision_rows
from ml_assets.lake.snapshot import Lake
from ml_assets.registry.registry import Registry
from tests.ml_assets.shop import RETURNS, declared, orders, publish

# It ends the process that imports it, on purpose.
collect_ignore = ["exits_when_imported.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """MLflow uses an option that SQLAlchemy 2.1 deprecates; nothing here can act on it."""
    for item in items:
        item.add_marker(pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"))


@pytest.fixture(scope="session")
def frame() -> pd.DataFrame:
    return orders()


@pytest.fixture(scope="session")
def declaration() -> ModelDeclaration:
    return declared(RETURNS)


@pytest.fixture(scope="session")
def rows(frame: pd.DataFrame, declaration: ModelDeclaration) -> DecisionRows:
    return decision_rows(pa.Table.from_pandas(frame, preserve_index=False), declaration)


@pytest.fixture
def lake(tmp_path: Path, frame: pd.DataFrame) -> Lake:
    return publish(tmp_path / "lake", frame)


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry whose database is made: MLflow takes seconds for that, so tests copy it."""
    root = tmp_path_factory.mktemp("registry")
    Registry(root).versions("nothing")
    return root


@pytest.fixture
def registry(tmp_path: Path, empty_registry: Path) -> Registry:
    shutil.copytree(empty_registry, tmp_path / "registry")
    return Registry(tmp_path / "registry")


@pytest.fixture
def log(tmp_path: Path) -> DecisionLog:
    return DecisionLog(tmp_path / "lake" / "decisions.jsonl")


@pytest.fixture
def now() -> Callable[[], datetime]:
    moments = (datetime(2031, 1, 1, tzinfo=UTC) + timedelta(milliseconds=count) for count in range(1_000_000))
    return lambda: next(moments)
