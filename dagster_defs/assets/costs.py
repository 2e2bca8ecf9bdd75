"""What a run cost: every step that Python does is metered, dbt is told which run it works for, the budget is watched.

What belongs here: how Dagster's steps come into the ledger. What does not: the ledger itself (`ml_assets.lake.ledger`),
and what is held back when the budget is used up (`ml_assets.deciding.retraining`).
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg

from dagster_defs.dbt import INDIRECT_SELECTION, Dbt, setting
from dagster_defs.resources import Home

COSTS = "mon_run__costs"
BUDGET = "within_budget"
INCIDENT = "budget"
# As a dbt in a shell calls it.
DBT_START = "dbt start"
# dbt's hooks read these (macros/publishing/costs.sql).
_RUN, _JOB = "PERENNIAL_RUN", "PERENNIAL_JOB"


def metered(rows: str = "dagster/row_count", size: str = "written_bytes") -> Callable[[Any], Any]:
    """An asset's function whose cost is written to the ledger; `rows` and `size` name its result's metadata."""

    def decorate(work: Callable[..., dg.MaterializeResult[Any]]) -> Callable[..., dg.MaterializeResult[Any]]:
        @functools.wraps(work)
        def with_meter(*args: Any, home: Home, **resources: Any) -> dg.MaterializeResult[Any]:
            context = dg.AssetExecutionContext.get()
            asset = context.asset_key.to_user_string()
            with home.ledger.metered(context.run_id, job_name(context), asset) as tally:
                result = work(*args, home=home, **resources)
                found: dict[str, Any] = dict(result.metadata or {})
                tally.rows, tally.bytes = found.get(rows), found.get(size)
            return result

        return with_meter

    return decorate


@contextmanager
def dbt_works_for(context: dg.AssetExecutionContext | dg.OpExecutionContext, dbt: Dbt, home: Home) -> Iterator[None]:
    """dbt, if run within, writes its costs under this run; its start is metered apart.

    It runs the tests of what it builds, and of these only those whose other tables stand already: a domain's test that
    looks at the door's table too is the domain's to run.
    """
    if not dbt.is_started:
        with home.ledger.metered(context.run_id, job_name(context), DBT_START):
            dbt.start()
    with setting({_RUN: context.run_id, _JOB: job_name(context), INDIRECT_SELECTION: "buildable"}):
        yield


def job_name(context: dg.AssetExecutionContext | dg.OpExecutionContext) -> str:
    """The job's name; what a person or a condition has picked is `assets`."""
    name = context.run.job_name
    return "assets" if name.startswith("__") else name


def build_budget_check() -> dg.AssetChecksDefinition:
    """Warns when the budget of all runs is nearly used up; then, what can wait is held back."""

    @dg.asset_check(
        asset=dg.AssetKey([COSTS]),
        name=BUDGET,
        description="Fails when four fifths of the CPU seconds that all runs may spend are spent.",
    )
    def within_budget(home: Home) -> dg.AssetCheckResult:
        spending = home.spending()
        if spending is None:
            return dg.AssetCheckResult(passed=True, metadata={"budget": "none is set"})
        if spending.state == "within":
            home.alerts.close(INCIDENT, f"{spending.text} Nothing is held back.", now=home.now())
        else:
            consequence = (
                "Training and backfills wait; scoring goes on."
                if spending.state == "used_up"
                else "When it is used up, training and backfills wait."
            )
            home.alerts.open(
                f"{INCIDENT}", "The compute budget is nearly used up", f"{spending.text} {consequence}", now=home.now()
            )
        return dg.AssetCheckResult(
            passed=spending.state == "within",
            severity=dg.AssetCheckSeverity.WARN,
            description=spending.text,
            metadata={"spent_cpu_seconds": spending.spent, "limit_cpu_seconds": spending.limit},
        )

    return within_budget
