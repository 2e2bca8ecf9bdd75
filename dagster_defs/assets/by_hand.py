"""What a person does by command, told to Dagster as events, so that its page shows what is, not what was.

What belongs here: events of assets and checks for what no run has made. What does not: doing it
(`ml_assets.lifecycle`), the words of the assets themselves (`models.py`, `checks.py`).
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from dagster_defs.assets.backtests import backtest_key, backtest_metadata
from dagster_defs.assets.checks import (
    BETTER_THAN_PREDECESSOR,
    NO_CHALLENGER_WAITS,
    compare_with_predecessor,
    look_at_challenger,
)
from dagster_defs.assets.models import rollback_metadata
from dagster_defs.resources import Home
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.judging.backtesting import Backtest
from ml_assets.lifecycle import RollbackResult

DATA_VERSION_TAG = "dagster/data_version"


def tell_of_rollback(
    instance: dg.DagsterInstance, home: Home, declaration: ModelDeclaration, back: RollbackResult
) -> None:
    """The champion's asset names the version that is champion again, and its checks speak of that version.

    Without the checks, a failed one would still speak of the version that was taken back, and request another way back.
    """
    champion = dg.AssetKey([declaration.name, "champion"])
    _report(instance, champion, rollback_metadata(back), back.champion.sha256)
    for name, answer in (
        (BETTER_THAN_PREDECESSOR, compare_with_predecessor(home, declaration)),
        (NO_CHALLENGER_WAITS, look_at_challenger(home, declaration)),
    ):
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=champion,
                check_name=name,
                passed=answer.passed,
                severity=answer.severity,
                description=answer.description,
                metadata={**(answer.metadata or {})},
            )
        )


def tell_of_backtest(instance: dg.DagsterInstance, declaration: ModelDeclaration, result: Backtest) -> None:
    """The backtest's asset shows the newest figures."""
    _report(instance, backtest_key(declaration.name), backtest_metadata(result))


def _report(
    instance: dg.DagsterInstance, asset: dg.AssetKey, metadata: dict[str, Any], data_version: str | None = None
) -> None:
    instance.report_runless_asset_event(
        dg.AssetMaterialization(
            asset_key=asset,
            metadata={"asked_for": "by command", **metadata},
            tags={DATA_VERSION_TAG: data_version} if data_version else None,
        )
    )
