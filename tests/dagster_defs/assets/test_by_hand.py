"""What a person's command does is what Dagster shows: the champion it names is the one that there is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_defs.assets import by_hand
from dagster_defs.assets.by_hand import tell_of_rollback
from dagster_defs.assets.checks import BETTER_THAN_PREDECESSOR, NO_CHALLENGER_WAITS, figures
from dagster_defs.resources import Home
from ml_assets.deciding.log import DecisionLog
from ml_assets.deciding.reasons import Reason
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.lifecycle import RollbackResult
from ml_assets.registry.versions import Version
from tests.dagster_defs.automation.test_automation import STEPS, Shop
from tests.ml_assets.shop import AS_OF, RETURNS, declared

CHAMPION = dg.AssetKey(["returns", "champion"])


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def declaration() -> ModelDeclaration:
    return declared(RETURNS)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(path=str(tmp_path), lock_file="")


@pytest.fixture
def back(tmp_path: Path) -> RollbackResult:
    first = Version(
        model="returns", version=1, candidate_fingerprint="", sha256="a" * 64, twin_sha256="", fallback_sha256=None,
        as_of=AS_OF, window_start=AS_OF, trained_through=AS_OF, twin_trained_through=AS_OF, training_rows=1, twin_rows=1,
        training_hash="", table_hash="", declaration_fingerprint="", whole_fingerprint="", code_version="", lock_hash="",
        schema=(), declaration={}, rolled_back=False, run_id="", metrics={},
    )  # fmt: skip
    logged = DecisionLog(tmp_path / "decisions.jsonl").append(
        decided_at=datetime(2031, 1, 1, tzinfo=UTC), as_of=AS_OF, model="returns", kind="rollback",
        verdict="rolled_back", version=1, previous_version=2, evidence={},
        reasons=[{"gate": "rollback", "passed": True, "figure": None, "threshold": None, "text": "It was worse."}],
    )  # fmt: skip
    return RollbackResult(first, replace(first, version=2, sha256="b" * 64), logged)


def shown(instance: dg.DagsterInstance) -> tuple[dict[str, Any], dict[str, str]]:
    event = instance.get_latest_materialization_event(CHAMPION)
    assert event is not None
    materialization = event.asset_materialization
    assert materialization is not None
    return {name: one.value for name, one in materialization.metadata.items()}, dict(materialization.tags or {})


def test_the_champions_asset_names_the_version_that_is_champion_again(
    instance: dg.DagsterInstance, home: Home, declaration: ModelDeclaration, back: RollbackResult
) -> None:
    tell_of_rollback(instance, home, declaration, back)

    metadata, tags = shown(instance)
    assert (metadata["champion_version"], metadata["verdict"]) == (1, "rolled_back")
    assert "It was worse." in metadata["reasons"]
    assert tags["dagster/data_version"] == "a" * 64


def test_a_check_that_had_failed_for_the_version_taken_back_asks_for_nothing_any_more(
    instance: dg.DagsterInstance, home: Home, declaration: ModelDeclaration, back: RollbackResult
) -> None:
    shop = Shop(instance)
    shop.make(*STEPS)
    shop.score()
    shop.requested()
    shop.score(is_better=False)

    tell_of_rollback(instance, home, declaration, back)

    assert shop.requested() == set()
    assert shop.requested() == set()


@pytest.mark.parametrize("name", [BETTER_THAN_PREDECESSOR, NO_CHALLENGER_WAITS])
def test_the_champions_checks_speak_of_the_champion_that_there_is_now(
    instance: dg.DagsterInstance,
    home: Home,
    declaration: ModelDeclaration,
    back: RollbackResult,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for told in ("compare_with_predecessor", "look_at_challenger"):
        monkeypatch.setattr(
            by_hand, told, lambda *_: dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN)
        )

    tell_of_rollback(instance, home, declaration, back)

    summaries = instance.event_log_storage.get_asset_check_summary_records([dg.AssetCheckKey(CHAMPION, name)])
    (summary,) = summaries.values()
    record = summary.last_check_execution_record
    assert record is not None
    assert record.status.value == "FAILED"


def test_a_reasons_figure_is_a_number_beside_what_it_is_held_against() -> None:
    reasons = [Reason("drift", True, 0.1, 0.25, ""), Reason("unchanged", False, None, None, ""),
               Reason("calibration", True, 0.01, None, "")]  # fmt: skip

    assert figures(reasons) == {"drift": 0.1, "drift_limit": 0.25, "calibration": 0.01}
