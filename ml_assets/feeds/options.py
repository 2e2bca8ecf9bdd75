"""What the options of more than one feed have in common.

What belongs here: checks that several feeds make of what is declared. What does not: any feed's own options.
"""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo


def zone_mistakes(place: str, name: str) -> Sequence[str]:
    """What is wrong with the name of a time zone, if anything."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return [f"{place}: {name!r} is no time zone, such as Europe/Berlin or UTC"]
    return []
