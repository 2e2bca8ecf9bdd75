"""The backtest is a job by hand: what it finds is shown by an asset that nothing else makes."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from dagster_defs.assets.backtests import BACKTEST_JOB, build_backtest_job, build_backtest_specs
from dagster_defs.resources import Home
from ml_assets.lake.ledger import Ledger
from tests.ml_assets.shop import KEPT, declared, orders, publish


@pytest.fixture
def home(tmp_path: Path) -> Home:
    frame: pd.DataFrame = orders()
    publish(tmp_path / "lake", frame)
    return Home(path=str(tmp_path), lock_file="")


def test_the_job_shows_its_figures_on_the_models_asset_and_is_paid_for(home: Home, tmp_path: Path) -> None:
    evaluation = {**KEPT["evaluation"], "backtest_from": "2030-04-10"}
    declarations = {"kept": declared({**KEPT, "evaluation": evaluation}, "kept")}
    definitions = dg.Definitions(
        assets=build_backtest_specs(declarations), jobs=[build_backtest_job(declarations)], resources={"home": home}
    )
    with dg.DagsterInstance.ephemeral() as instance:
        assert definitions.resolve_job_def(BACKTEST_JOB).execute_in_process(instance=instance).success
        event = instance.get_latest_materialization_event(dg.AssetKey(["kept", "backtest"]))

    assert event is not None
    assert event.asset_materialization is not None
    found = {name: one.value for name, one in event.asset_materialization.metadata.items()}
    assert found["trainings"] > 1
    assert found["candidate_mae"] > 0
    assert "baseline" in found["scores"]
    assert [(cost.job, cost.asset, cost.outcome) for cost in Ledger(tmp_path / "lake" / "costs").read()] == [
        (BACKTEST_JOB, "kept/backtest", "success")
    ]
