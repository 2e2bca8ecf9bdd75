"""Runs whose process died without a word: killed, out of memory, a machine that went down.

What belongs here: finding and ending them. What does not: what follows from a run that failed (`bad_day.py`).

Dagster's own monitor sees only runs that have not begun; one that has begun would stay "started" for ever and hold its
pools, and nothing that waits for the warehouse would begin any more.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path

import dagster as dg

LOOK_EVERY_SECONDS = 15
# What a process's age and an event's time may differ by without telling of two processes.
CLOCK_SECONDS = 10.0


def abandoned_runs(instance: dg.DagsterInstance) -> list[tuple[dg.DagsterRun, int]]:
    """The runs that have begun and not ended, and whose process is gone, oldest first, each with the process's id."""
    found: list[tuple[dg.DagsterRun, int]] = []
    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        for entry in instance.event_log_storage.get_logs_for_run(run.run_id, of_type=dg.DagsterEventType.RUN_START):
            event = entry.dagster_event
            if event and event.pid and not process_is_there(event.pid, entry.timestamp):
                found.append((run, event.pid))
    return found[::-1]


def end_abandoned_runs(instance: dg.DagsterInstance) -> list[str]:
    """Marks them: the newest of a job as failed, so that what follows on a failure does; earlier ones as canceled.

    Returns:
        Their ids.
    """
    abandoned = abandoned_runs(instance)
    for run, process in abandoned:
        text = f"Its process, {process}, ended without a word: it was killed, or the machine went down."
        newest = instance.get_runs(dg.RunsFilter(job_name=run.job_name), limit=1)
        if newest and newest[0].run_id == run.run_id:
            instance.report_run_failed(run, text)
        else:
            instance.report_run_canceled(run, f"{text} Another run of {run.job_name} has begun since.")
    return [run.run_id for run, _ in abandoned]


def process_is_there(process: int, at: float) -> bool:
    """Whether the process that had this id at a moment (seconds since 1970) is still running on this machine.

    A process of the same id that began later is another one; where `/proc` cannot tell, the id alone counts.
    """
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        if Path("/proc/self/stat").exists():
            return False
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True
    state, began_ticks = fields[0], int(fields[19])
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - began_ticks / os.sysconf("SC_CLK_TCK")
    return state != "Z" and time.time() - age <= at + CLOCK_SECONDS


def build_abandoned_sensor() -> dg.SensorDefinition:
    """Ends abandoned runs; on from the start."""

    @dg.sensor(
        name="abandoned",
        minimum_interval_seconds=LOOK_EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Ends runs whose process died without a word, so that nothing waits for them.",
    )
    def abandoned(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        ended: Sequence[str] = end_abandoned_runs(context.instance)
        if ended:
            return dg.SkipReason(f"ended, because their process is gone: {', '.join(ended)}")
        return dg.SkipReason("every run that has begun has its process")

    return abandoned
