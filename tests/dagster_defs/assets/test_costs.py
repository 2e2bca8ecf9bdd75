"""What Dagster's steps cost comes into the ledger, and a budget that is used up is told of once."""

import os
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from dagster_defs.assets.costs import BUDGET, COSTS, build_budget_check, dbt_works_for, metered
from dagster_defs.dbt import Dbt
from dagster_defs.resources import Home
from ml_assets.lake.ledger import Cost


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return home_with_budget(tmp_path, 100.0)


def home_with_budget(path: Path, seconds: float) -> Home:
    return Home(path=str(path), lock_file=str(path / "none"), budget_cpu_seconds=seconds)


def spend(home: Home, seconds: float) -> None:
    now = datetime.now(UTC)
    home.ledger.record(Cost("run", "refresh", "prices", "success", now.isoformat(), 1.0, seconds), now=now)


def test_a_step_is_metered_under_its_run_and_job_whether_it_succeeds_or_not(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Dbt, "start", lambda _: None)

    @dg.asset(key=["shop", "good"])
    @metered()
    def good(home: Home) -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata={"dagster/row_count": 12, "written_bytes": 345})

    @dg.asset(key=["shop", "bad"])
    @metered(rows="training_rows")
    def bad(context: dg.AssetExecutionContext, home: Home) -> dg.MaterializeResult:
        with dbt_works_for(context, Dbt(project_dir=str(tmp_path), target="here"), home):
            assert os.environ["PERENNIAL_RUN"] == context.run_id
        raise ValueError("out of stock")

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([good, bad], resources={"home": home}, instance=instance, raise_on_error=False)

    assert not result.success
    found = {cost.asset: cost for cost in home.ledger.read()}
    assert (found["shop/good"].outcome, found["shop/good"].rows, found["shop/good"].bytes) == ("success", 12, 345)
    assert (found["shop/bad"].outcome, found["shop/bad"].rows) == ("failure", None)
    assert found["dbt start"].outcome == "success"
    assert {(cost.run, cost.job) for cost in found.values()} == {(result.run_id, "assets")}
    assert "PERENNIAL_RUN" not in os.environ


def test_a_budget_that_is_nearly_used_up_is_told_of_once_and_closed_when_there_is_more(home: Home) -> None:
    def ask(asked: Home) -> tuple[bool, dg.AssetCheckSeverity]:
        answer = build_budget_check()(home=asked)
        assert isinstance(answer, dg.AssetCheckResult)
        return answer.passed, answer.severity

    assert ask(home)[0]
    spend(home, 85.0)
    assert ask(home) == (False, dg.AssetCheckSeverity.WARN)
    spend(home, 30.0)
    assert not ask(home)[0]
    assert [(one.key, one.state) for one in home.alerts.read()] == [("budget", "opened")]
    assert ask(home_with_budget(Path(home.path), 1000.0))[0]
    assert home.alerts.open_incidents() == {}
    assert ask(home_with_budget(Path(home.path), 0.0))[0]


def test_the_budget_is_asked_about_wherever_the_ledger_is_read(definitions: dg.Definitions) -> None:
    key = dg.AssetCheckKey(dg.AssetKey([COSTS]), BUDGET)
    for job in ("refresh", "score"):
        assert key in definitions.resolve_job_def(job).asset_layer.asset_graph.asset_check_keys
