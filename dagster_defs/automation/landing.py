"""The sensor on the landing folder: one run for whatever has landed together.

What belongs here: when a run is requested. What does not: what lies there (`landing_folder.py`).
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from dagster_defs.assets.priorities import ASKED_BY_TAG, SCORING_PRIORITY, priority_tags
from dagster_defs.landing_folder import landing_state

# Files that arrive together make one run: it starts once nothing has landed for so long.
QUIET_SECONDS = 3.0
SENSOR_SECONDS = 5
# What lay in the landing folder when a run was started.
LANDING_TAG = "perennial/landing"
# A run whose process dies is run once more; one that fails is not, since it would fail again (see dagster.yaml).
AGAIN_IF_KILLED = {"dagster/max_retries": "1", "dagster/retry_strategy": "ALL_STEPS"}


def build_landing_sensor(landing: Path, job: str, busy_jobs: Sequence[str]) -> dg.SensorDefinition:
    """Requests the job once for whatever has landed since the last request.

    A run that somebody else has started reads the files as well, if it started after the sensor had first seen them: it
    is waited for, and only if it fails is another one requested.
    """

    def others(context: dg.SensorEvaluationContext, since: float, statuses: list[dg.DagsterRunStatus]) -> str | None:
        """A run of a whole job that started after this moment and is in one of these states."""
        for busy in busy_jobs:
            for record in context.instance.get_run_records(dg.RunsFilter(job_name=busy, statuses=statuses), limit=5):
                run = record.dagster_run
                is_whole = run.asset_selection is None and run.parent_run_id is None
                if is_whole and (record.start_time or 0.0) > since:
                    return run.run_id
        return None

    @dg.sensor(
        name="landing",
        job_name=job,
        minimum_interval_seconds=SENSOR_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="One run for all files that landed together; none while one is waiting to start.",
    )
    def landing_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        cursor = json.loads(context.cursor or "{}")
        state = landing_state(landing)
        if not state.files:
            return dg.SkipReason(
                f"nothing has landed in {landing} yet. Begin with perennial run, which asks the feeds, or drop "
                f"files into {landing}/<source>/<table>/"
            )
        if state.digest == cursor.get("requested"):
            return dg.SkipReason(f"nothing has landed since the last request ({state.files} files)")
        is_new = state.digest != cursor.get("seen")
        since = time.time() if is_new else cursor["seen_at"]
        done = {"requested": state.digest}
        seen = {**cursor, "seen": state.digest, "seen_at": since}

        def skip(words: str, then: dict[str, Any]) -> dg.SensorResult:
            return dg.SensorResult(skip_reason=dg.SkipReason(words), cursor=json.dumps(then))

        if time.time() - state.newest < QUIET_SECONDS:
            return skip(f"files are still arriving; waiting until none has for {QUIET_SECONDS:.0f} seconds", seen)
        read = context.instance.get_runs(
            dg.RunsFilter(tags={LANDING_TAG: state.digest}, statuses=[dg.DagsterRunStatus.SUCCESS]), limit=1
        )
        if read and "requested" not in cursor:
            return skip(f"run {read[0].run_id} has read all {state.files} files", done)
        if run := others(context, since, [dg.DagsterRunStatus.SUCCESS]):
            return skip(f"run {run} has read all {state.files} files", done)
        if run := others(context, since, [dg.DagsterRunStatus.STARTED]):
            return skip(f"run {run} is reading these files", seen)
        waiting = context.instance.get_runs(
            dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED]), limit=20
        )
        if any(run.job_name in busy_jobs for run in waiting):
            return skip("a run that will read these files is waiting to start", seen)
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(
                    run_key=state.digest,
                    tags={
                        **priority_tags(SCORING_PRIORITY),
                        LANDING_TAG: state.digest,
                        ASKED_BY_TAG: f"{state.files:,} files lie in the landing folder, some of them new",
                        **AGAIN_IF_KILLED,
                    },
                )
            ],
            cursor=json.dumps(done),
        )

    return landing_sensor
