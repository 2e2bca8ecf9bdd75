"""A stretch of the past lived again: it lands piece by piece, and the same assets and conditions do the rest.

What belongs here: the loop, and what is compared afterwards. What does not: any decision; they are made where they are
made in daily life, and Dagster's own evaluation of the automation conditions says what is requested. Only the waiting
is left out: the clock is the data's.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.compute

from dagster_defs.definitions import SCORE_JOB, build_definitions
from dagster_defs.resources import Home
from dagster_defs.running import ANY_ASSETS, instance_of, run_job
from dagster_defs.settings import Settings
from ml_assets import lifecycle
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.judging.backtesting import Backtest
from ml_assets.lake.files import write_whole
from ml_assets.measuring.metrics import Floats, measure
from ml_assets.measuring.windows import window_starts
from ml_assets.moments import every as moments_every
from ml_assets.moments import in_utc, text_of

pc: Any = pyarrow.compute  # its functions are made when it is imported, where type checkers cannot see them

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


# --- what came of it


@dataclass(frozen=True)
class Life:
    """One way of living through the year: its trainings, and the declared metric over all and by week."""

    name: str
    trainings: int
    value: float
    by_week: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class ReplayReport:
    """A model's replayed life beside two others: never trained again, and trained at every step."""

    model: str
    title: str
    metric: str
    rows: int
    start: str
    through: str
    lives: tuple[Life, ...]
    decisions: tuple[Mapping[str, Any], ...]
    training_cpu_seconds: float
    cpu_seconds: float
    wall_seconds: float


def compare_lives(
    home: Home,
    declaration: ModelDeclaration,
    moments: Sequence[datetime],
    steps: Sequence[Step],
    progress: Callable[[str, int, int], None] | None = None,
) -> ReplayReport:
    """The living model's predictions, and those of one frozen at the start and one trained anew at every step, on the
    very same decisions.
    """
    start, end, every = moments[0], moments[-1], moments[1] - moments[0]

    def relived(step: timedelta) -> Backtest:
        return lifecycle.run_backtest(home.lake, declaration, every=step, first=start, through=end, progress=progress)

    frozen, always = relived(end - start), relived(every)
    living = home.lake.read_predictions(declaration.name, columns=["decision_key", "decision_at", "prediction"])
    places = pc.index_in(always.rows.keys, living["decision_key"].combine_chunks())
    judged = np.asarray(places.is_valid())
    answers = np.full(len(always.rows), np.nan)
    answers[judged] = living["prediction"].to_numpy()[places.filter(pa.array(judged)).to_numpy()]
    order = pc.index_in(always.rows.keys, frozen.rows.keys).to_numpy()
    label, decided = always.rows.label[judged], always.rows.decision_at[judged]
    versions = [one for one in home.registry.versions(declaration.name) if in_utc(one.as_of) >= in_utc(start) - every]
    lives = (
        _life("living", len(versions), declaration, label, answers[judged], decided),
        _life("every step", len(always.origins), declaration, label, always.predictions["candidate"][judged], decided),
        _life("frozen", 1, declaration, label, frozen.predictions["candidate"][order][judged], decided),
    )
    log = [one for one in home.decision_log.read() if one.model == declaration.name]
    return ReplayReport(
        model=declaration.name,
        title=declaration.title,
        metric=declaration.evaluation.metric,
        rows=int(judged.sum()),
        start=text_of(in_utc(start)),
        through=text_of(in_utc(end)),
        lives=lives,
        decisions=tuple(asdict(one) for one in log),
        training_cpu_seconds=round(sum(one.metrics.get(lifecycle.TRAINING_COST, 0.0) for one in versions), 1),
        cpu_seconds=round(sum(step.cpu_seconds for step in steps), 1),
        wall_seconds=round(sum(step.wall_seconds for step in steps), 1),
    )


def _life(
    name: str, trainings: int, declaration: ModelDeclaration, label: Floats, prediction: Floats, decided: Any
) -> Life:
    metric = declaration.evaluation.metric
    starts = window_starts(decided, declaration.domain.window)
    by_week = []
    for start in np.unique(starts):
        chosen = starts == start
        if chosen.sum() >= declaration.domain.least_outcomes:
            by_week.append((str(start), measure(metric, label[chosen], prediction[chosen])))
    return Life(name, trainings, measure(metric, label, prediction), tuple(by_week))


def write_report(home: Path, reports: Sequence[ReplayReport]) -> Path:
    """The page, and the same figures as JSON beside it; both stand alone."""
    from dagster_defs.replay.page import replay_page

    write_whole(home / "replay.json", json.dumps([asdict(one) for one in reports], indent=1).encode())
    write_whole(home / "replay.html", replay_page(reports).encode())
    return home / "replay.html"
