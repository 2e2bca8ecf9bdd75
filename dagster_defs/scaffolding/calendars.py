"""`perennial new model --every week`: a model that decides again and again about the same, by the calendar.

What belongs here: the steps of the calendar, what is foreseen over how long, and what follows from both. What does not:
one decision per row (`models.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from dagster_defs.scaffolding.cadence import CADENCES, Step
from dagster_defs.scaffolding.joined import JoinedColumn, Window
from dagster_defs.scaffolding.models import Baseline, Column, Decided, Judged, Wanted, write_model
from dagster_defs.scaffolding.staged import Staged, staged
from dagster_defs.scaffolding.writing import Plan
from ml_assets.declaration.schema import Watch
from ml_assets.errors import PerennialError

_OUTCOMES = "any (whether it happens), count (how often), or sum:COLUMN"


@dataclass(frozen=True)
class Calendar:
    """When a model decides, and what it foresees.

    `starting` is the first decision, None for the first whole step at which something was known; `outcome` is `any`,
    `count` or `sum:<column>` of the rows whose `happened_at` lies after the decision, up to `within` later.
    """

    step: Step
    starting: datetime | None
    outcome: str
    within: Window
    happened_at: str | None


@dataclass(frozen=True)
class _Label:
    """The label's SQL over the rows `happened`, what it is where there are none, its type and its words."""

    sql: str
    if_none: str
    data_type: str
    words: str
    counted: str | None


def plan_calendar_model(root: Path, manifest: Mapping[str, Any], wanted: Wanted, calendar: Calendar) -> Plan:
    """The files of a model that decides about every entity seen so far, at each step of the calendar."""
    decided = wanted.decided.timed("--from")
    told = staged(manifest, wanted.label_from, "--label-from").timed("--label-from") if wanted.label_from else decided
    for one in wanted.entity:
        decided.column(one)
    for one in (*wanted.entity, *told.key):
        told.column(one)
    happened_at = calendar.happened_at or told.time_column
    if told.column(str(happened_at)).data_type != "timestamp":
        raise PerennialError(f"--happened-at {happened_at}: is no moment of {told.name}; name a timestamp")
    label = _label(told, calendar)
    hourly = calendar.step == "hour"
    moment = [Column("decision_date", "date", "Day of the decision (UTC).", "entity")]
    if hourly:
        moment.append(Column("decision_hour", "bigint", "Hour of the decision (UTC), 0 to 23.", "entity"))
    entity = [
        Column(one, str(decided.column(one).data_type), f"The {one.replace('_', ' ')}.", "entity")
        for one in wanted.entity
    ]
    seen = Column("days_known", "bigint", "Days since it was first seen.", "feature")
    decisions = Decided(
        template="calendar",
        key=tuple(one.name for one in (*entity, *moment)),
        grain=f"{', '.join(wanted.entity)} and {calendar.step}",
        columns=(*entity, *moment, seen),
        label_type=label.data_type,
        label_words=f"{label.words} in the {calendar.within.text} after the decision; null until they are over.",
        late_after=CADENCES[calendar.step].late_after,
    )
    own = {
        "calendar": calendar,
        "told": told,
        "happened_at": happened_at,
        "outcome": label,
        "is_hourly": hourly,
        "starting": calendar.starting and f"timestamp '{calendar.starting:%Y-%m-%d %H:%M:%S}'",
    }
    plan = write_model(root, manifest, wanted, decisions, lambda joined: _judged(calendar, told, label, joined), own)
    others = [one.name for one in told.columns if one.data_type == "timestamp" and one.name != happened_at]
    if calendar.happened_at is None and others:
        plan.notes.append(
            f"{told.name}: {happened_at} is taken for when something happened; if {' or '.join(others)} says that, "
            "say --happened-at"
        )
    return plan


def _label(told: Staged, calendar: Calendar) -> _Label:
    """What is foreseen; fractions are summed in hundredths, whose sum depends on no order."""
    kind, _, column = calendar.outcome.partition(":")
    if kind == "any" and not column:
        return _Label("bool_or(happened.is_newest)", "false", "boolean", "Whether it happened", None)
    if kind == "count" and not column:
        sql = "count(*) filter (where happened.is_newest)"
        return _Label(sql, "0", "bigint", "How often it happened", "events")
    if kind != "sum" or not column:
        raise PerennialError(f"--outcome {calendar.outcome}: say {_OUTCOMES}")
    found = told.column(column)
    words = f"Sum of {column}"
    if found.is_whole:
        sql = f"sum(happened.{column}) filter (where happened.is_newest)::bigint"
        return _Label(sql, "0", "bigint", words, column)
    if found.is_fraction:
        sql = f"sum(round(happened.{column} * 100)::bigint) filter (where happened.is_newest) / 100"
        return _Label(sql, "0", "double", words, column)
    raise PerennialError(f"--outcome {calendar.outcome}: {told.name}.{column} is {found.data_type}, which has no sum")


def _judged(calendar: Calendar, told: Staged, label: _Label, joined: Sequence[JoinedColumn]) -> Judged:
    """Four weeks of decisions whose outcome is known, beside what happened in as long before the decision."""
    horizon = math.ceil(calendar.within.hours / 24)
    of_same = [
        one
        for one in joined
        if told.name in one.read_from and one.measure == label.counted
        if one.window and one.window.hours >= calendar.within.hours
    ]
    baselines = [Baseline("constant", "baseline_constant", {})] if of_same else []
    for one in of_same:
        assert one.window is not None
        factor = calendar.within.hours / one.window.hours
        params = {"column": one.name} if factor == 1 else {"column": one.name, "factor": round(factor, 6)}
        kind = "last_value" if factor == 1 else "baseline_column"
        baselines.append(Baseline(f"as_in_the_last_{one.window.text.replace(' ', '_')}", kind, params))
    step = max(7, math.ceil(CADENCES[calendar.step].days))
    why = f"An outcome is known after {calendar.within.text}: the newest decisions of the window have none yet."
    watched = horizon + math.ceil(8 * CADENCES[calendar.step].days)  # seven complete days of decisions, and one more
    return Judged(
        horizon + 28,
        horizon + step,
        max(7, horizon),
        baselines,
        why,
        watched if timedelta(days=watched) > Watch().span else None,
    )
