"""What is late, and which lateness is one incident.

What belongs here: finding the cause among what is late. What does not: the promised levels (`declaration/levels.py`),
telling anybody (`alerts.py`), the promise of a model to answer what lands (`predictions_due.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["late", "on_time"]


@dataclass(frozen=True)
class Lateness:
    """Late assets that one cause may explain: the most upstream of them, the one with most behind it before the others,
    and those behind these.
    """

    first: tuple[str, ...]
    behind: tuple[str, ...]

    @property
    def assets(self) -> frozenset[str]:
        return frozenset((*self.first, *self.behind))


def find_lateness(states: Mapping[str, State], parents: Mapping[str, Collection[str]]) -> tuple[Lateness, ...]:
    """What is late, one entry for each cause that there may be, ordered by name.

    Two late assets may have one cause if one is upstream of the other, or if both stand on something of which nothing
    is known. An asset that is on time is no cause, and hides what is upstream of it.

    Args:
        states: of the assets that have a level and have been made; of others nothing is known.
        parents: the assets that each stands on directly.
    """
    suspects = {asset: _suspects(asset, states, parents) for asset in sorted(states) if states[asset] == "late"}
    groups: list[set[str]] = []
    for asset, those in suspects.items():
        joined = [group for group in groups if any(those & suspects[other] for other in group)]
        groups = [group for group in groups if group not in joined] + [{asset}.union(*joined)]
    found = []
    for group in groups:
        first = [asset for asset in group if not (suspects[asset] - {asset}) & group]
        most = {asset: sum(asset in suspects[other] for other in group) for asset in first}
        ordered = tuple(sorted(first, key=lambda asset: (-most[asset], asset)))
        found.append(Lateness(ordered, tuple(sorted(group - set(first)))))
    return tuple(sorted(found, key=lambda lateness: lateness.first))


def _suspects(asset: str, states: Mapping[str, State], parents: Mapping[str, Collection[str]]) -> frozenset[str]:
    """The asset, and all that is upstream of it up to what is on time."""
    found: set[str] = set()
    left = [asset]
    while left:
        one = left.pop()
        if one not in found and states.get(one) != "on_time":
            found.add(one)
            left.extend(parents.get(one, ()))
    return frozenset(found)


@dataclass(frozen=True)
class Incidents:
    """What is to be told now. `standing` is all that is open afterwards: its name, and the assets that it waits for."""

    opened: Mapping[str, Lateness]
    closed: tuple[str, ...]
    standing: Mapping[str, frozenset[str]]


def settle_incidents(standing: Mapping[str, Collection[str]], found: Sequence[Lateness]) -> Incidents:
    """Which incidents begin and end, so that one cause is told once.

    An incident is named for the first of its assets, and is over when none of them is late any more. What becomes late
    beside or behind them meanwhile belongs to it and is no news; so does what is still late while a run makes good one
    asset after the other.
    """
    late = frozenset().union(*(lateness.assets for lateness in found))
    kept = {name: frozenset(assets) & late for name, assets in standing.items()}
    closed = tuple(sorted(name for name, assets in kept.items() if not assets))
    after = {name: assets for name, assets in kept.items() if assets}
    opened: dict[str, Lateness] = {}
    for lateness in found:
        known = next((name for name in sorted(after) if kept.get(name, frozenset()) & lateness.assets), None)
        name = known or lateness.first[0]
        if known is None and name not in after:
            opened[name] = lateness
        after[name] = after.get(name, frozenset()) | lateness.assets
    return Incidents(opened, tuple(name for name in closed if name not in after), after)
