"""Service levels: how a promise about time looks in Dagster, and what is late or overdue, told once.

What belongs here: policies for declared levels, and asking for what the promises need. What does not: what is promised
(the declarations), what is one incident (`ml_assets.service_levels`), how long a landing waits
(`ml_assets.predictions_due`).
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from dagster_defs.automation import landing_times
from dagster_defs.resources import Home
from ml_assets.model_declaration import ModelDeclaration
from ml_assets.moments import words_of
from ml_assets.service_levels import Lateness, State, find_lateness, settle_incidents

SENSOR_SECONDS = 60
LATE, DUE = "late/", "due/"
NAMED = 3
_SHORTEST_WARNING = timedelta(minutes=1)  # Dagster takes no shorter window


def freshness(age: timedelta | None) -> dg.FreshnessPolicy | None:
    """Late after `age`, with a warning when three quarters of it have passed."""
    if age is None:
        return None
    warning = age * 0.75
    return dg.FreshnessPolicy.time_window(
        fail_window=age, warn_window=warning if warning >= _SHORTEST_WARNING else None
    )


# --- what is late


@dataclass(frozen=True)
class Levels:
    """The assets with a level, after how long each is late, and the assets that each asset stands on."""

    late_after: Mapping[str, timedelta]
    parents: Mapping[str, Sequence[str]]


def levels_of(specs: Iterable[dg.AssetSpec]) -> Levels:
    late_after: dict[str, timedelta] = {}
    parents: dict[str, Sequence[str]] = {}
    for spec in specs:
        name = spec.key.to_user_string()
        parents[name] = [dep.asset_key.to_user_string() for dep in spec.deps]
        window: Any = getattr(spec.freshness_policy, "fail_window", None)
        if window is not None:
            late_after[name] = window.to_timedelta()
    return Levels(late_after, parents)


def last_made(instance: dg.DagsterInstance, assets: Iterable[str]) -> dict[str, datetime]:
    """When each of the assets was last materialised; those that never were are left out."""
    keys = [dg.AssetKey.from_user_string(asset) for asset in assets]
    return {
        key.to_user_string(): datetime.fromtimestamp(event.timestamp, UTC)
        for key, event in instance.get_latest_materialization_events(keys).items()
        if event is not None
    }


def states_now(levels: Levels, made: Mapping[str, datetime], now: datetime) -> dict[str, State]:
    """What Dagster's freshness daemon finds by the same rule, but all at one moment, and whether or not it is running.

    Its own records change one asset at a time, and between two of them one cause looks like several.
    """
    return {
        asset: "late" if now - moment >= levels.late_after[asset] else "on_time"
        for asset, moment in made.items()
        if asset in levels.late_after
    }


# --- what is overdue


def answer_landing(home: Home, declaration: ModelDeclaration, table: str) -> timedelta | None:
    """Notes that predictions were made from the table, and tells if they had been due before.

    Returns how long the first file had waited that is answered by them; None if nothing new had landed.
    """
    model, due, now = declaration.name, declaration.service.predictions_due, home.now()
    waited = home.due.note_answer(model, table, landing_times(home.landing), now)
    is_told = any(key.startswith(DUE) for key in home.alerts.open_incidents())
    if waited is not None and due is not None and waited > due and not is_told:
        title, text = tell_overdue([declaration], now - waited, now)
        home.alerts.open(f"{DUE}{model}", title, text, now=now)
        home.alerts.close(f"{DUE}{model}", f"They stood {words_of(waited)} after the landing.", now=now)
    return waited


def find_overdue(
    home: Home, declarations: Iterable[ModelDeclaration], now: datetime
) -> dict[datetime, list[ModelDeclaration]]:
    """The models whose promise is broken now, by the landing that waits: those of one landing are one incident."""
    landed = landing_times(home.landing)
    overdue: dict[datetime, list[ModelDeclaration]] = {}
    for declaration in declarations:
        due = declaration.service.predictions_due
        since = home.due.waiting_since(declaration.name, landed)
        if due is not None and since is not None and now - since > due:
            overdue.setdefault(since, []).append(declaration)
    return overdue


def tell_overdue(models: Sequence[ModelDeclaration], since: datetime, now: datetime) -> tuple[str, str]:
    """Title and text of the alert."""
    promised = "; ".join(
        f"{words_of(one.service.predictions_due)} are promised (service.predictions_due in {one.file})"
        for one in models
        if one.service.predictions_due
    )
    return (
        f"predictions overdue: {', '.join(one.name for one in models)}",
        f"What landed at {since:%Y-%m-%d %H:%M} UTC had no predictions {words_of(now - since)} later; {promised}.",
    )


# --- the sensor


def build_service_sensor(
    specs: Iterable[dg.AssetSpec], declarations: Mapping[str, ModelDeclaration]
) -> dg.SensorDefinition:
    """One incident for each cause of lateness, and for each landing whose predictions are overdue."""
    levels = levels_of(specs)

    @dg.sensor(
        name="service_levels",
        minimum_interval_seconds=SENSOR_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells once of what is late or overdue, and once more when it no longer is.",
    )
    def service_levels(context: dg.SensorEvaluationContext, home: Home) -> dg.SensorResult:
        now = home.now()
        cursor = json.loads(context.cursor or "{}")
        made = last_made(context.instance, levels.late_after)
        states = states_now(levels, made, now)
        lateness = find_lateness(states, levels.parents)
        overdue = find_overdue(home, declarations.values(), now)
        waiting = {Lateness(tuple(one.name for one in models), ()): since for since, models in overdue.items()}
        after = {
            LATE: _settle(home, LATE, cursor, lateness, lambda one: tell_lateness(one, levels, made), now),
            DUE: _settle(
                home,
                DUE,
                cursor,
                list(waiting),
                lambda one: tell_overdue(overdue[waiting[one]], waiting[one], now),
                now,
            ),
        }
        late = sorted(asset for one in lateness for asset in one.assets)
        names = sorted(asset for one in waiting for asset in one.assets)
        words = [f"late: {', '.join(late)}"] * bool(late) + [f"overdue: {', '.join(names)}"] * bool(names)
        return dg.SensorResult(
            skip_reason=dg.SkipReason("; ".join(words) or f"all of {len(states)} assets with a level are on time"),
            cursor=json.dumps(after),
        )

    return service_levels


def _settle(
    home: Home,
    kind: str,
    cursor: Mapping[str, Mapping[str, Sequence[str]]],
    found: Sequence[Lateness],
    tell: Callable[[Lateness], tuple[str, str]],
    now: datetime,
) -> dict[str, list[str]]:
    """Opens and closes the incidents of one kind; returns what each that is open waits for, as the cursor keeps it."""
    names = [key.removeprefix(kind) for key in home.alerts.open_incidents() if key.startswith(kind)]
    incidents = settle_incidents({name: cursor.get(kind, {}).get(name, [name]) for name in names}, found)
    for name, one in incidents.opened.items():
        title, text = tell(one)
        home.alerts.open(f"{kind}{name}", title, text, now=now)
    for name in incidents.closed:
        home.alerts.close(f"{kind}{name}", "Nothing of it is late any more.", now=now)
    return {name: sorted(assets) for name, assets in incidents.standing.items()}


def name_lateness(first: Sequence[str], behind: Sequence[str]) -> str:
    """What is late, in a line."""
    more = f" and {len(first) - NAMED} more" if len(first) > NAMED else ""
    return ", ".join(first[:NAMED]) + more + (f", with {len(behind)} behind" if behind else "")


def tell_lateness(lateness: Lateness, levels: Levels, made: Mapping[str, datetime]) -> tuple[str, str]:
    """Title and text of the alert."""
    first = lateness.first[0]
    last = f"was last made at {made[first]:%Y-%m-%d %H:%M} UTC" if first in made else "was not made"
    text = (
        f"{first} {last}; {words_of(levels.late_after[first])} may pass between two times. What was published before "
        "stands. perennial status lists all that is late; the runs in the UI tell why nothing was made."
    )
    return f"late: {name_lateness(lateness.first, lateness.behind)}", text
