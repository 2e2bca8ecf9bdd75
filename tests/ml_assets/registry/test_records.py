"""Records that are not what was written are found in the file itself, as MLflow's own answers tell of them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ml_assets import lifecycle
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.errors import RegistryUnreachable, VersionUnreadable
from ml_assets.lake.snapshot import Lake
from ml_assets.registry.records import unreadable_versions
from ml_assets.registry.registry import Registry
from tests.ml_assets.shop import AS_OF


def test_they_are_those_that_mlflow_would_show_to_be_wrong(
    lake: Lake, registry: Registry, declaration: ModelDeclaration
) -> None:
    lifecycle.make_candidate(lake, registry, declaration, lock_hash="lock", as_of=AS_OF)
    database = registry.root / "mlflow.db"
    assert unreadable_versions(database) == {}
    with closing(sqlite3.connect(database)) as base, base:
        base.execute("update model_version_tags set value = '9' where key = 'training_rows'")

    found = unreadable_versions(database)

    assert list(found) == ["returns"]
    with pytest.raises(VersionUnreadable) as raised:
        registry.get("returns", 1)
    assert found["returns"] == (str(raised.value),) == registry.unreadable("returns")


def test_no_database_has_no_records_and_a_broken_one_is_named(tmp_path: Path) -> None:
    assert unreadable_versions(tmp_path / "mlflow.db") == {}
    (tmp_path / "mlflow.db").write_bytes(b"rubbish" * 1000)
    with pytest.raises(RegistryUnreachable, match=r"mlflow\.db is no sound database"):
        unreadable_versions(tmp_path / "mlflow.db")
