"""A promise about time as Dagster's freshness policy, and when each asset was last made.

What belongs here: policies for declared levels, and what Dagster knows of them. What does not: what is late by them
(`dagster_defs.levels`), what is one incident (`ml_assets.observing.lateness`), telling anybody
(`automation/lateness.py`).
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from dagster_defs.levels import Levels

_SHORTEST_WARNING = timedelta(minutes=1)  # Dagster takes no shorter window


def freshness(age: timedelta | None) -> dg.FreshnessPolicy | None:
    """Late after `age`, with a warning when three quarters of it have passed."""
    if age is None:
        return None
    warning = age * 0.75
    return dg.FreshnessPolicy.time_window(
        fail_window=age, warn_window=warning if warning >= _SHORTEST_WARNING else None
    )


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
