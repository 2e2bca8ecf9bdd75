"""Which days may be judged: those that are over and of whose decisions the outcomes are known.

What belongs here: that one rule, for everything that looks at live decisions again and again. What does not: what is
measured on those days.

Outcomes that become known first are not like the rest: in a real case, 20 in 100 of those of one day that were known by
midnight had gone wrong, and 26 in 100 of all. So a day is judged when the outcomes of (nearly) all its decisions are
known, whether or not each has a label, and days are judged in their order. A day whose outcomes stay away while
`PATIENCE` later days are complete is given up: it is left out and counted, and holds up nothing any longer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml_assets.measuring.metrics import Codes

PATIENCE = 7


@dataclass(frozen=True, eq=False)
class CompleteDays:
    """By day code: whether it may be judged. `given_up` days are left out; `awaited` is the code of the first day that
    must still become complete, None if none must.
    """

    judged: npt.NDArray[np.bool_]
    given_up: int
    awaited: int | None


def complete_days(day: Codes, known: npt.NDArray[np.bool_], over: npt.NDArray[np.bool_], share: float) -> CompleteDays:
    """Which days may be judged.

    Args:
        day: of each decision, codes 0..D-1 in the order of time.
        known: of each decision, whether its outcome is known.
        over: by day, whether it has passed.
        share: of a day's decisions, how many outcomes must be known.
    """
    decisions = np.bincount(day, minlength=len(over))
    outcomes = np.bincount(day[known], minlength=len(over))
    complete = over & (outcomes >= share * decisions)
    later = np.cumsum(complete[::-1])[::-1] - complete
    given_up = ~complete & (later >= PATIENCE)
    awaited = np.flatnonzero(~complete & ~given_up)
    first = int(awaited[0]) if len(awaited) else len(over)
    in_order = np.arange(len(over)) < first
    return CompleteDays(complete & in_order, int((given_up & in_order).sum()), first if first < len(over) else None)
