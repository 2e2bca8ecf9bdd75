"""A stretch of the past lived again: it lands piece by piece, and the same assets and conditions do the rest.

What belongs here: the loop. What does not: what is compared afterwards (`lives.py`), and any decision; they are made
where they are made in daily life, and Dagster's own evaluation of the automation conditions says what is requested.
Only the waiting is left out: the clock is the data's.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any

import dagster as dg

from dagster_defs.definitions import SCORE_JOB, build_definitions
from dagster_defs.running import ANY_ASSETS, instance_of, run_job
from dagster_defs.settings import Settings
from ml_assets.moments import every as moments_every
from ml_assets.moments import in_utc, text_of

STEPS = "replay.jsonl"
# Conditions that follow on each other need one evaluation each; more than this many in one step is a loop.
MOST_ROUNDS = 6


@dataclass(frozen=True)
class Step:
    """What one step of the replay landed, what was requested by itself, and what it cost."""

    through: str
    requested: tuple[str, ...]
    cpu_seconds: float
    wall_seconds: float


def replay_steps(start: datetime, end: datetime, every: timedelta) -> list[datetime]:
    """The moments through which data land: `start`, then every so often, the last one being `end`."""
    return [*takewhile(lambda moment: moment < end, moments_every(start, every)), end]


def replay(
    settings: Settings,
    land: Callable[[datetime], Any],
    moments: Sequence[datetime],
    models: Sequence[str],
    report: Callable[[str], None],
) -> list[Step]:
    """Lives through the moments, and returns every step, those of an earlier call on the same home included.

    Raises:
        PerennialError: if a run failed; the next call goes on where this one ended.
    """
    definitions = build_definitions(settings, models)
    output, journal = settings.home / "runs.log", settings.home / STEPS
    done = read_steps(settings.home)
    with instance_of(settings) as instance:
        cursor = _evaluate(definitions, instance, None).cursor
        for moment in moments[len(done) :]:
            began, spent = time.monotonic(), _cpu_seconds()
            land(moment)
            run_job(definitions, SCORE_JOB, instance, _unheard, output)
            requested: list[dg.AssetKey] = []
            for _ in range(MOST_ROUNDS):
                answer = _evaluate(definitions, instance, cursor)
                cursor, wanted = answer.cursor, _requested(definitions, answer)
                if not wanted:
                    break
                run_job(definitions, ANY_ASSETS, instance, _unheard, output, wanted)
                requested += wanted
            step = Step(
                text_of(in_utc(moment)),
                tuple(key.to_user_string() for key in requested),
                round(_cpu_seconds() - spent, 1),
                round(time.monotonic() - began, 1),
            )
            done.append(step)
            with journal.open("a") as file:
                file.write(json.dumps(asdict(step)) + "\n")
            what = f", made {', '.join(step.requested)}" if requested else ""
            report(f"{moment:%Y-%m-%d %H:%M} in {step.wall_seconds:.0f} s{what}")
    return done


def read_steps(home: Path) -> list[Step]:
    """The steps that a replay in this home has lived through."""
    journal = home / STEPS
    lines = [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []
    return [Step(**{**line, "requested": tuple(line["requested"])}) for line in lines]


def _unheard(_: str) -> None:
    """Single assets are no news here: a step is reported as a whole."""


def _evaluate(definitions: dg.Definitions, instance: dg.DagsterInstance, cursor: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.evaluate_automation_conditions(definitions, instance, cursor=cursor)


def _requested(definitions: dg.Definitions, answer: Any) -> list[dg.AssetKey]:
    graph = definitions.resolve_asset_graph()
    return [key for key in graph.toposorted_asset_keys if answer.get_num_requested(key)]


def _cpu_seconds() -> float:
    import resource

    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )
