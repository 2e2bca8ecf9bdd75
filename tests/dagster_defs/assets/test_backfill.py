"""A backfill says which span it works out anew, and waits while there is no budget for it."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from dagster_defs.assets.backfill import BACKFILL_JOB, Span, backfill_arguments, run_config
from dagster_defs.assets.priorities import BACKFILL_PRIORITY, SCORING_PRIORITY, TRAINING_PRIORITY
from dagster_defs.resources import Home
from ml_assets.errors import PerennialError
from ml_assets.lake.ledger import Spending
from ml_assets.moments import moment_of

MAY = Span(start="2013-05-01", through="2013-05-07T12:00:00Z")


class Spent(Home):
    seconds: float = 0.0

    def spending(self) -> Spending | None:
        return Spending(self.seconds, 100.0, timedelta(days=1))


def arguments(span: Span, job: str = BACKFILL_JOB, spent: float = 0.0) -> list[str]:
    context: Any = SimpleNamespace(run=SimpleNamespace(job_name=job))
    return backfill_arguments(context, Spent(path="unused", lock_file="unused", seconds=spent), span)


def test_dbt_is_told_the_first_moment_and_other_runs_tell_it_nothing() -> None:
    assert arguments(MAY) == ["--vars", "{backfill_from: '2013-05-01 00:00:00'}"]
    assert arguments(Span(), job="score") == []


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (Span(), "wants to know its span"),
        (Span(start="2013-05-01"), "through nowhere"),
        (Span(start="yesterday", through="2013-05-01"), "from yesterday"),
        (Span(start="2013-05-02", through="2013-05-01"), "ends after it starts"),
    ],
)
def test_a_span_that_is_none_is_refused_with_what_would_be_one(span: Span, said: str) -> None:
    with pytest.raises(PerennialError, match=said):
        arguments(span)


def test_it_waits_while_the_budget_is_used_up() -> None:
    assert arguments(MAY, spent=99.0)
    with pytest.raises(PerennialError, match=r"120 of 100 CPU seconds.*can wait"):
        arguments(MAY, spent=120.0)


def test_the_job_takes_its_span_as_configuration_and_goes_last(definitions: dg.Definitions) -> None:
    job = definitions.resolve_job_def(BACKFILL_JOB)
    config = run_config(moment_of("2013-05-01"), moment_of("2013-05-08"))
    assert dg.validate_run_config(job, config)["resources"]["span"]["config"]["start"] == "2013-05-01T00:00:00Z"
    assert job.tags["dagster/priority"] == BACKFILL_PRIORITY
    assert int(BACKFILL_PRIORITY) < int(TRAINING_PRIORITY) < int(SCORING_PRIORITY)
    assert not [key for key in job.asset_layer.executable_asset_keys if key.path[-1] in ("candidate", "champion")]
