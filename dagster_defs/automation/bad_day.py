"""What happens when a run fails or a feed is late: decisions are answered all the same, and one alert goes out for one
incident.

What belongs here: the job and the sensors for the bad day. What does not: which fallback answers
(`ml_assets.answering.scorers`), what is late (`ml_assets.observing.incidents`), how an alert
travels (`ml_assets.observing.alerts`).
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import dagster as dg

from dagster_defs.assets.answers import answer_landing
from dagster_defs.assets.costs import dbt_works_for
from dagster_defs.assets.priorities import ASKED_BY_TAG, SCORING_PRIORITY, priority_tags
from dagster_defs.assets.warehouse import WAREHOUSE_POOL
from dagster_defs.dbt import Dbt
from dagster_defs.resources import Home
from ml_assets import lifecycle
from ml_assets.declaration.domains import DomainTables
from ml_assets.declaration.reader import ModelDeclaration
from ml_assets.errors import PerennialError
from ml_assets.observing.incidents import all_late_tables, tell_of_late, tell_of_no_answers

FALLBACK_JOB = "fallback"
REASON_TAG = "perennial/reason"
LATE_SECONDS = 30


def build_fallback_job(declarations: Mapping[str, ModelDeclaration]) -> dg.JobDefinition:
    """Publishes the due decisions alone, and lets each model's fallback answer those that have no prediction."""
    spines: dict[str, set[str]] = {}
    for one in declarations.values():
        if one.spine:
            spines.setdefault(one.domain.name, set()).add(one.spine)

    @dg.op(pool=WAREHOUSE_POOL, description="dbt builds only what the due decisions need, domain by domain.")
    def due_decisions(context: dg.OpExecutionContext, dbt: Dbt, home: Home) -> list[str]:
        built = []
        for domain, tables in sorted(spines.items()):
            began = home.now()
            selected = [f"+{table}" for table in sorted(tables)]
            with dbt_works_for(context, dbt, home):
                build = dbt.build(["--exclude-resource-type", "unit_test", "--select", *selected], context)
            if not build.is_successful:
                context.log.warning(
                    f"{domain}: the due decisions themselves did not pass: answering those that were published before"
                )
                continue
            built.append(domain)
            for table in tables:
                home.due.note_reading(table, began)
        return built

    @dg.op(description="The fallback answers, and says why it did.")
    def fallback_predictions(context: dg.OpExecutionContext, home: Home, built: list[str]) -> None:
        reason = context.run.tags.get(REASON_TAG) or ", ".join(home.failed_checks()) or "asked for by hand"
        for name, declaration in declarations.items():
            try:
                report = lifecycle.score_from_spine(home.lake, home.registry, declaration, reason=reason)
            except PerennialError as error:
                context.log.error(str(error))
                tell_of_no_answers(home.alerts, name, str(error), now=home.now())
                continue
            context.log.info(f"{name}: {report.rows} decisions answered by the fallback")
            home.alerts.close(f"unanswered/{name}", "They were answered.", now=home.now())
            if declaration.spine and report.status != "no_champion":
                answer_landing(home, declaration, declaration.spine)
            if declaration.domain.name not in built:
                context.log.info(f"{name}: as of what was published before")

    @dg.job(
        name=FALLBACK_JOB,
        executor_def=dg.in_process_executor,
        tags=priority_tags(SCORING_PRIORITY),
        description="For the time in which the features cannot be trusted: decisions are answered all the same.",
    )
    def fallback() -> None:
        fallback_predictions(due_decisions())

    return fallback


def build_failure_sensors(fallback: dg.JobDefinition, watched: Sequence[Any]) -> list[dg.SensorDefinition]:
    """On a failure: an alert, and the fallback job. On the next success: the incident is over."""

    @dg.run_failure_sensor(
        name="failures",
        monitored_jobs=[*watched],
        request_job=fallback,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Opens an incident, and lets the fallback answer what is due.",
    )
    def failures(context: dg.RunFailureSensorContext, home: Home) -> Any:
        steps = [event.step_key for event in context.get_step_failure_events() if event.step_key]
        failed = home.failed_checks()
        what = f"checks failed: {', '.join(failed[:5])}" if failed else f"failed at {', '.join(steps) or 'the start'}"
        job = context.dagster_run.job_name
        home.alerts.open(
            f"job/{job}",
            f"{job} failed",
            f"Run {context.dagster_run.run_id} {what}. What was published before stands; a fallback answers.",
            now=home.now(),
        )
        return dg.RunRequest(
            run_key=context.dagster_run.run_id,
            tags={REASON_TAG: f"{job} {what}"[:200], ASKED_BY_TAG: f"the failure of {job}"},
        )

    @dg.run_status_sensor(
        name="recoveries",
        run_status=dg.DagsterRunStatus.SUCCESS,
        monitored_jobs=[*watched],
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Closes a job's incident when it succeeds again.",
    )
    def recoveries(context: dg.RunStatusSensorContext, home: Home) -> None:
        job = context.dagster_run.job_name
        home.alerts.close(f"job/{job}", f"Run {context.dagster_run.run_id} succeeded.", now=home.now())

    return [failures, recoveries]


def build_late_sensor(domains: Sequence[str], allowed: Mapping[str, timedelta]) -> dg.SensorDefinition:
    """Whoever has published: once the tables' health says something new, the incidents of late tables follow it."""
    health = {DomainTables(domain).data_health for domain in domains}

    @dg.sensor(
        name="late_feeds",
        minimum_interval_seconds=LATE_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Opens an incident for a landing table that is late by its source's declared freshness.",
    )
    def late_feeds(context: dg.SensorEvaluationContext, home: Home) -> dg.SkipReason:
        lake = home.lake.open()
        parts = [part for part in lake.catalog if part.table in health]
        state = ",".join(part.fingerprint for part in parts)
        if not parts or state == context.cursor:
            return dg.SkipReason("nothing new was published" if parts else "no table's health is published yet")
        late = all_late_tables(lake, domains, allowed)
        tell_of_late(home.alerts, late, now=home.now())
        context.update_cursor(state)
        return dg.SkipReason(f"late: {', '.join(table.source for table in late)}" if late else "no table is late")

    return late_feeds
