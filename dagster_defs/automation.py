"""What happens by itself: what lands is processed, and a model is renewed or taken back when there is reason to.

What belongs here: what is asked when, and which answer requests what. What does not: the decisions themselves
(`ml_assets.retraining`, `ml_assets.watching`, `ml_assets.promotion`).

    files land -> sensor `landing` -> job `score`: dbt, predictions, monitoring, and the checks of each model
    check `needs_no_retraining` of <model>/candidate fails  -> candidate, evaluation and champion are requested
    check `better_than_predecessor` of <model>/champion fails -> champion is requested, and goes back to its predecessor
    check `no_challenger_waits` of <model>/champion fails -> champion is requested, and decides on the one in shadow

The checks hold the decisions and their reasons, and automation conditions on the assets carry them, so the UI shows why
a run was requested.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import dagster as dg

from dagster_defs.presentation import reasons_markdown
from dagster_defs.priorities import SCORING_PRIORITY, TRAINING_PRIORITY, priority_tags
from dagster_defs.resources import Home
from ml_assets import lifecycle
from ml_assets.declaration import ModelDeclaration
from ml_assets.errors import RegistryUnreachable

NEEDS_NO_RETRAINING = "needs_no_retraining"
BETTER_THAN_PREDECESSOR = "better_than_predecessor"
NO_CHALLENGER_WAITS = "no_challenger_waits"
_MONITORING = ("fct_model__predictions", "mon_feature__drift", "mon_prediction__drift")

# Files that arrive together make one run: it starts once nothing has landed for so long.
QUIET_SECONDS = 5.0
SENSOR_SECONDS = 5
CONDITIONS_SECONDS = 15
# What lay in the landing folder when a run was started.
LANDING_TAG = "perennial/landing"

# A run whose process dies is run once more; one that fails is not, since it would fail again (see dagster.yaml).
AGAIN_IF_KILLED = {"dagster/max_retries": "1", "dagster/retry_strategy": "ALL_STEPS"}


# --- the checks that ask


def build_lifecycle_checks(declaration: ModelDeclaration) -> list[dg.AssetChecksDefinition]:
    """The questions that are asked of one model whenever its monitoring is up to date."""
    model = declaration.name
    monitoring = [dg.AssetKey([table]) for table in _MONITORING]

    @dg.asset_check(
        asset=dg.AssetKey([model, "candidate"]),
        name=NEEDS_NO_RETRAINING,
        additional_deps=monitoring,
        description=f"Fails if a new candidate of {model} is worth its cost by the declared policy; one is then made.",
    )
    def needs_no_retraining(context: dg.AssetCheckExecutionContext, home: Home) -> dg.AssetCheckResult:
        try:
            result = lifecycle.decide_on_retraining(
                home.lake,
                home.registry,
                home.decision_log,
                declaration,
                lock_hash=home.lock_hash,
                now=home.now,
                failed_checks=home.failed_checks(),
                spending=home.spending(),
            )
        except RegistryUnreachable as error:
            return _cannot_be_asked(error)
        context.log.info(f"{model}: {result.decision.verdict}")
        return dg.AssetCheckResult(
            passed=result.decision.verdict != "retrain",
            severity=dg.AssetCheckSeverity.WARN,
            description="; ".join(reason.text for reason in result.decision.reasons if not reason.passed) or None,
            metadata={
                "verdict": result.decision.verdict,
                "signals": list(result.decision.signals),
                "reasons": dg.MetadataValue.md(reasons_markdown(result.decision.reasons)),
            },
        )

    @dg.asset_check(
        asset=dg.AssetKey([model, "champion"]),
        name=BETTER_THAN_PREDECESSOR,
        additional_deps=monitoring,
        description=f"Fails if the champion of {model} is surely worse than the one before it would have been.",
    )
    def better_than_predecessor(home: Home) -> dg.AssetCheckResult:
        try:
            decision = lifecycle.watch_champion(home.lake, home.registry, declaration)
        except RegistryUnreachable as error:
            return _cannot_be_asked(error)
        if decision is None:
            return dg.AssetCheckResult(passed=True, metadata={"verdict": "no champion, or not watched"})
        return dg.AssetCheckResult(
            passed=decision.verdict != "roll_back",
            severity=dg.AssetCheckSeverity.WARN,
            description=decision.reason.text,
            metadata={"verdict": decision.verdict, "reasons": dg.MetadataValue.md(reasons_markdown([decision.reason]))},
        )

    @dg.asset_check(
        asset=dg.AssetKey([model, "champion"]),
        name=NO_CHALLENGER_WAITS,
        additional_deps=monitoring,
        description=f"Fails once a challenger of {model} has served its time in shadow; it is then decided on.",
    )
    def no_challenger_waits(home: Home) -> dg.AssetCheckResult:
        try:
            decision = lifecycle.decide_on_shadow(
                home.lake, home.registry, home.decision_log, declaration, now=home.now
            )
        except RegistryUnreachable as error:
            return _cannot_be_asked(error)
        if decision is None:
            return dg.AssetCheckResult(passed=True, metadata={"verdict": "no challenger is in shadow"})
        return dg.AssetCheckResult(
            passed=decision.verdict == "in_shadow",
            severity=dg.AssetCheckSeverity.WARN,
            description=decision.reasons[-1].text,
            metadata={"verdict": decision.verdict, "reasons": dg.MetadataValue.md(reasons_markdown(decision.reasons))},
        )

    return [needs_no_retraining, better_than_predecessor, no_challenger_waits]


def _cannot_be_asked(error: RegistryUnreachable) -> dg.AssetCheckResult:
    """No reason to request anything: a training would fail for the same reason, and scoring has opened an incident."""
    return dg.AssetCheckResult(
        passed=True,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"Cannot be asked: {error}",
        metadata={"verdict": "cannot be asked"},
    )


def check_keys(models: Sequence[str]) -> list[dg.AssetCheckKey]:
    """The keys of the checks of each model."""
    return [
        dg.AssetCheckKey(dg.AssetKey([model, step]), name)
        for model in models
        for step, name in (
            ("candidate", NEEDS_NO_RETRAINING),
            ("champion", BETTER_THAN_PREDECESSOR),
            ("champion", NO_CHALLENGER_WAITS),
        )
    ]


# --- the conditions that answer

_Condition: Any = dg.AutomationCondition  # its overloads say less than it can do

_CHECK_SAYS_NO = _Condition.any_checks_match(_Condition.check_failed() & _Condition.newly_updated()).with_label(
    "a check has just failed"
)


def _asked_by_check() -> Any:
    """True from the moment a check of the asset fails until the asset has been asked for or a check passes again."""
    return (
        _CHECK_SAYS_NO.since_last_handled()
        & _Condition.any_checks_match(_Condition.check_failed())
        & ~_Condition.in_progress()
    )


def candidate_condition() -> dg.AutomationCondition[Any]:
    """When retraining is due, or the wall clock calls the candidate late."""
    late = _Condition.freshness_failed().newly_true().since_last_handled()
    return (_asked_by_check().with_label("retraining is due") | (late & ~_Condition.in_progress())).with_label(
        "retraining is due, or the candidate is late"
    )


def following_condition() -> dg.AutomationCondition[Any]:
    """Whenever what it stands on was made anew."""
    return dg.AutomationCondition.eager()


def champion_condition() -> dg.AutomationCondition[Any]:
    """Whenever there is a new evaluation, the champion is worse than its predecessor, or a challenger waits."""
    return (dg.AutomationCondition.eager() | _asked_by_check()).with_label(
        "a candidate was judged, the champion does worse than its predecessor, or a challenger has served its time"
    )


def build_automation_sensor(models: Sequence[str]) -> dg.AutomationConditionSensorDefinition:
    """Evaluates the conditions; on from the start."""
    steps = ("candidate", "evaluation", "champion")
    return dg.AutomationConditionSensorDefinition(
        name="lifecycle",
        target=dg.AssetSelection.assets(*[[model, step] for model in models for step in steps]),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=CONDITIONS_SECONDS,
        run_tags=priority_tags(TRAINING_PRIORITY),
        description="Retrains when a model's own checks ask for it, and takes a champion back that does worse.",
    )


# --- the sensor on the landing folder


@dataclass(frozen=True)
class LandingState:
    """What lies in the landing folder, told from names, sizes and times, and from bytes only where sizes are equal."""

    digest: str
    files: int
    newest: float


def landing_state(folder: Path) -> LandingState:
    """Of every file below the folder. A name with a dot in front is still being written.

    A file with the same bytes as an older one of its folder does not count in the digest: the door would pass over it,
    and nothing could follow from it.
    """
    found: dict[tuple[Path, int], list[tuple[int, str]]] = {}
    newest = 0.0
    for path, status in _files(folder):
        found.setdefault((Path(path).parent, status.st_size), []).append((status.st_mtime_ns, path))
        newest = max(newest, status.st_mtime)
    lines = []
    for (_, size), files in found.items():
        contents: set[str] = set()
        for modified, path in sorted(files):
            content = _sha256(path, size, modified) if len(files) > 1 else ""
            if content not in contents:
                lines.append(f"{path}\t{size}\t{modified}")
            contents.add(content)
    digest = hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]
    return LandingState(digest, sum(len(files) for files in found.values()), newest)


@lru_cache(maxsize=65_536)
def _sha256(path: str, size: int, modified: int) -> str:  # noqa: ARG001 they tell when to look again
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def landing_times(folder: Path) -> list[datetime]:
    """When each file below the folder landed: its time of modification."""
    return [datetime.fromtimestamp(status.st_mtime, UTC) for _, status in _files(folder)]


def _files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _files(Path(entry.path))
            elif entry.is_file():
                yield entry.path, entry.stat()


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
            return dg.SkipReason(f"nothing has landed in {landing} yet; perennial land, or drop files there")
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
                    tags={**priority_tags(SCORING_PRIORITY), LANDING_TAG: state.digest, **AGAIN_IF_KILLED},
                )
            ],
            cursor=json.dumps(done),
        )

    return landing_sensor
