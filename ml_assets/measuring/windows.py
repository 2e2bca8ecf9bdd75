"""Windows of time that follow one another: days, weeks from Monday, months or years, all in UTC.

What belongs here: where a window begins and which comes before or after it. What does not: how long a domain's windows
are (`declaration/domains.py`), what is measured on one.

dbt cuts the same windows with `date_trunc`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

import numpy as np

from ml_assets.moments import Moments, as_datetime64, from_datetime64

Window = Literal["day", "week", "month", "year"]

LONGEST: dict[Window, timedelta] = {
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "month": timedelta(days=31),
    "year": timedelta(days=366),
}
_MONTHS: dict[Window, int] = {"month": 1, "year": 12}
_MONDAY = np.datetime64("1970-01-05", "D")


def window_starts(moments: Moments, window: Window) -> Moments:
    """The first day (datetime64[D]) of the window that each moment lies in.

    >>> window_starts(np.array(["2013-10-31T12:00", "2013-11-04T00:00"], "datetime64[us]"), "week").astype(str).tolist()
    ['2013-10-28', '2013-11-04']
    """
    days = moments.astype("datetime64[D]")
    if window == "week":
        since_monday = (days - _MONDAY).astype(np.int64) % 7
        return (days.astype(np.int64) - since_monday).astype("datetime64[D]")
    if window == "month":
        return days.astype("datetime64[M]").astype("datetime64[D]")
    if window == "year":
        return days.astype("datetime64[Y]").astype("datetime64[D]")
    return days


def window_start(moment: datetime, window: Window) -> datetime:
    """The start of the window that a moment lies in."""
    return from_datetime64(window_starts(np.array([as_datetime64(moment)]), window)[0])


def moved(start: datetime, window: Window, count: int) -> datetime:
    """The start of the window `count` windows later, or earlier if negative.

    >>> moved(datetime(2013, 12, 1), "month", 2).isoformat()
    '2014-02-01T00:00:00'
    """
    if window in _MONTHS:
        year, month = divmod(start.year * 12 + start.month - 1 + count * _MONTHS[window], 12)
        return start.replace(year=year, month=month + 1)
    return start + count * LONGEST[window]
