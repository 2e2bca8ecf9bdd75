"""What may pass is tried again, and nothing else is: no failed test, no broken contract, no fault of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_defs.assets.retries import MOST_RETRIES, tried_again
from dagster_defs.dbt import DbtBuild
from ml_assets.errors import ChampionChanged, ScoringError

LOCKED = 'IO Error: Could not set lock on file "warehouse.duckdb": Conflicting lock is held in dbt (PID 7)'
TEST_FAILED = (
    "\x1b[31mFailure in test unique_orders (models/orders.yml)\x1b[0m\n\n  Got 3 results, configured to fail if != 0"
)
CONTRACT_BROKEN = "Compilation Error in model ftr_orders\n  This model has an enforced contract that failed."


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dagster_defs.assets.retries.SECONDS_BETWEEN", 0)
    monkeypatch.setattr("dagster_defs.assets.warehouse.SECONDS_BETWEEN_DBT", 0)


def attempts(errors: list[Exception]) -> tuple[int, bool]:
    """How often a step is run which raises these, one after the other, and whether it succeeds in the end."""
    left, tries = list(errors), 0

    @dg.asset
    @tried_again
    def step() -> None:
        nonlocal tries
        tries += 1
        if left:
            raise left.pop(0)

    result = dg.materialize([step], raise_on_error=False)
    return tries, result.success


def test_what_passes_is_forgotten() -> None:
    assert attempts([OSError(5, "Input/output error"), ChampionChanged("judge it again")]) == (3, True)


def test_what_does_not_pass_after_all_is_a_failure() -> None:
    assert attempts([TimeoutError("timed out")] * 10) == (MOST_RETRIES + 1, False)


@pytest.mark.parametrize("error", [ScoringError("no model can answer"), KeyError("price"), FileNotFoundError("gone")])
def test_what_would_fail_again_fails_at_once_and_as_it_was_raised(error: Exception) -> None:
    @dg.asset
    @tried_again
    def step() -> None:
        raise error

    result = dg.materialize([step], raise_on_error=False)

    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert type(error).__name__ in failure.step_failure_data.error_display_string
    assert not [event for event in result.all_events if event.event_type_value == "STEP_UP_FOR_RETRY"]


class Busy:
    """In dbt's place: every invocation ends with the next error, or with none when there are no more."""

    is_started = True

    def __init__(self, *errors: str) -> None:
        self.errors, self.invocations = list(errors), 0

    def build(self, *_: Any) -> DbtBuild:
        self.invocations += 1
        errors = [self.errors.pop(0)] if self.errors else []
        return DbtBuild("dbt build", not errors, (), errors, Path("nowhere"))


def build(definitions: dg.Definitions, dbt: Busy) -> dg.ExecuteInProcessResult:
    """Runs dbt's assets alone, with another dbt."""
    (assets,) = [
        one for one in definitions.assets or () if isinstance(one, dg.AssetsDefinition) and one.op.name == "dbt"
    ]
    return dg.materialize(
        [assets],
        selection=[dg.AssetKey(["stg_landing__files"])],
        resources={**(definitions.resources or {}), "dbt": dg.ResourceDefinition.hardcoded_resource(dbt)},
        raise_on_error=False,
    )


@pytest.mark.parametrize("error", [TEST_FAILED, CONTRACT_BROKEN])
def test_what_dbt_says_no_to_is_not_asked_again(definitions: dg.Definitions, error: str) -> None:
    dbt = Busy(error)

    assert not build(definitions, dbt).success
    assert dbt.invocations == 1


def test_a_warehouse_that_somebody_has_is_asked_for_again(definitions: dg.Definitions) -> None:
    dbt = Busy(LOCKED, TEST_FAILED)

    assert not build(definitions, dbt).success
    assert dbt.invocations == 2


def test_a_warehouse_that_is_never_free_is_given_up(definitions: dg.Definitions) -> None:
    dbt = Busy(*[LOCKED] * 10)

    assert not build(definitions, dbt).success
    assert dbt.invocations == MOST_RETRIES + 1
