"""The sensor that tells once of what is late or overdue, and once more when it no longer is.

What belongs here: telling. What does not: what is promised (the declarations), what is late (`assets/freshness.py`) or
overdue (`assets/answers.py`), what is one incident (`ml_assets.observing.lateness`).
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

import dagster as dg

from dagster_defs.assets.answers import DUE, find_overdue, tell_overdue
from dagster_defs.assets.freshness import last_made, levels_of
from dagster_defs.levels import Levels, name_lateness, states_now
from dagster_defs.resources import Home
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.moments import words_of
from ml_assets.observing.lateness import Lateness, find_lateness, settle_incidents

SENSOR_SECONDS = 60
LATE = "late/"


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


def tell_lateness(lateness: Lateness, levels: Levels, made: Mapping[str, datetime]) -> tuple[str, str]:
    """Title and text of the alert."""
    first = lateness.first[0]
    last = f"was last made at {made[first]:%Y-%m-%d %H:%M} UTC" if first in made else "was not made"
    text = (
        f"{first} {last}; {words_of(levels.late_after[first])} may pass between two times. What was published before "
        "stands. perennial status lists all that is late; the runs in the UI tell why nothing was made."
    )
    return f"late: {name_lateness(lateness.first, lateness.behind)}", text
