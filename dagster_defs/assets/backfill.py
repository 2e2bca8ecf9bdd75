"""A stretch of the past worked out anew: tables from its first day on, and the decisions in it that nobody answered.

What belongs here: the span as a run's configuration, and the job. What does not: what is worked out anew (dbt's
`changed_from`), who answers (`ml_assets.answering.scoring.score_past`).
"""

from datetime import datetime
from typing import Any

import dagster as dg
from pydantic import Field

from dagster_defs.assets.priorities import BACKFILL_PRIORITY, priority_tags
from dagster_defs.resources import Home
from ml_assets.errors import PerennialError
from ml_assets.moments import moment_of, text_of

BACKFILL_JOB = "backfill"
_SHAPE = {"resources": {"span": {"config": {"start": "2013-05-01", "through": "2013-05-07T23:59:59"}}}}


class Span(dg.ConfigurableResource):
    """From when until when a run works the past out anew; without a start it does not."""

    start: str = Field(default="", description="First moment (ISO 8601, UTC): tables are worked out anew from it on.")
    through: str = Field(default="", description="Last moment: decisions until then that nobody answered are answered.")

    def moments(self) -> tuple[datetime, datetime] | None:
        """Both, in UTC; None for a run that is no backfill.

        Raises:
            PerennialError: if one is missing, no moment, or the start is not the earlier one.
        """
        if not self.start and not self.through:
            return None
        try:
            start, through = moment_of(self.start), moment_of(self.through)
        except ValueError:
            raise PerennialError(
                f"a backfill from {self.start or 'nowhere'} through {self.through or 'nowhere'} is none; give both as "
                "ISO 8601 moments, such as 2013-05-01"
            ) from None
        if through <= start:
            raise PerennialError(f"a backfill ends after it starts; {self.through} is not after {self.start}")
        return start, through


def backfill_arguments(context: dg.AssetExecutionContext, home: Home, span: Span) -> list[str]:
    """What dbt is told besides `build`: nothing in a run that is no backfill.

    Raises:
        PerennialError: if the job's span is not configured, or the budget of all runs is used up.
    """
    moments = span.moments()
    if moments is None:
        if context.run.job_name == BACKFILL_JOB:
            raise PerennialError(f"the job {BACKFILL_JOB} wants to know its span; configure it like this: {_SHAPE}")
        return []
    spending = home.spending()
    if spending is not None and spending.state == "used_up":
        raise PerennialError(f"{spending.text} A backfill can wait: start it again later, or raise the budget.")
    return ["--vars", f"{{backfill_from: '{text_of(moments[0])[:19].replace('T', ' ')}'}}"]


def build_backfill_job(selection: dg.AssetSelection) -> Any:
    """The job; its run configuration names the span."""
    return dg.define_asset_job(
        BACKFILL_JOB,
        selection=selection,
        description="Works out anew what is known from `start` on, and answers the decisions until `through` that"
        " nobody answered, each by the champion of its time. Waits for everything else.",
        executor_def=dg.in_process_executor,
        tags=priority_tags(BACKFILL_PRIORITY),
    )


def run_config(start: datetime, through: datetime) -> dict[str, Any]:
    """The run configuration of one backfill."""
    return {"resources": {"span": {"config": {"start": text_of(start), "through": text_of(through)}}}}
