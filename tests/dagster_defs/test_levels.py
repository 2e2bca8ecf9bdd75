"""What `perennial status` is told without Dagster is what Dagster knows: the same names, parents and levels."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from dagster_defs.assets.freshness import levels_of
from dagster_defs.levels import last_made, levels_declared
from ml_assets.declaration.reader import read_declarations
from ml_assets.lake.ledger import Cost, Ledger
from ml_assets.moments import text_of

NOW = datetime(2030, 1, 10, 12, tzinfo=UTC)


def made(ledger: Ledger, asset: str, ago: timedelta, outcome: Any = "success") -> None:
    ledger.record(Cost("run", "score", asset, outcome, text_of(NOW - ago), 0.0, 0.0), now=NOW - ago)


def test_the_levels_are_those_of_dagsters_graph(definitions: dg.Definitions, manifest: dict[str, Any]) -> None:
    in_dagster = levels_of(definitions.resolve_all_asset_specs())
    declared = levels_declared(manifest, read_declarations(manifest))

    assert declared.late_after == in_dagster.late_after


def test_what_stands_on_what_is_as_in_dagsters_graph(definitions: dg.Definitions, manifest: dict[str, Any]) -> None:
    in_dagster = levels_of(definitions.resolve_all_asset_specs()).parents
    declared = levels_declared(manifest, read_declarations(manifest)).parents

    assert {name: set(parents) for name, parents in declared.items()} == {
        name: set(parents) for name, parents in in_dagster.items() if not name.endswith("/backtest")
    }


def test_an_asset_was_last_made_when_it_last_succeeded(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    made(ledger, "orders", timedelta(days=3))
    made(ledger, "orders", timedelta(hours=5))
    made(ledger, "orders", timedelta(hours=1), "failure")
    made(ledger, "parcels", timedelta(days=9))

    assert last_made(ledger, ["orders", "parcels", "never"]) == {
        "orders": NOW - timedelta(hours=5),
        "parcels": NOW - timedelta(days=9),
    }


def test_no_more_days_of_the_ledger_are_read_than_are_needed(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    made(ledger, "orders", timedelta(hours=1))
    (tmp_path / "2030-01-01-run.jsonl").mkdir()  # whoever opens it fails

    assert last_made(ledger, ["orders"]) == {"orders": NOW - timedelta(hours=1)}
