"""How often something comes, and what follows from that.

What belongs here: the steps of the calendar. What does not: which files say so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Step = Literal["hour", "day", "week", "month"]


@dataclass(frozen=True)
class Cadence:
    """What follows from how often something comes: what monitoring compares, and when it is late."""

    days: float
    window: str
    late_after: str


CADENCES: dict[Step, Cadence] = {
    "hour": Cadence(1 / 24, "day", "3 hours"),
    "day": Cadence(1, "week", "26 hours"),
    "week": Cadence(7, "week", "9 days"),
    "month": Cadence(31, "month", "33 days"),
}
