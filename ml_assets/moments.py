"""Moments and spans of time, in one convention: UTC, microseconds.

What belongs here: conversions between `datetime`, numpy and text. What does not: any clock; what time it is, is always
an argument.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

Moments = npt.NDArray[np.datetime64]

_UNITS = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(minute|hour|day|week)s?\s*")


def in_utc(moment: datetime) -> datetime:
    """The same moment in UTC; one without a zone is UTC already."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def as_datetime64(moment: datetime) -> np.datetime64:
    """The moment as numpy's datetime64[us], UTC."""
    return np.datetime64(in_utc(moment).replace(tzinfo=None), "us")


def from_datetime64(moment: np.datetime64) -> datetime:
    """A `datetime` in UTC from numpy's datetime64.

    >>> from_datetime64(np.datetime64("2013-10-31T12:00")).isoformat()
    '2013-10-31T12:00:00+00:00'
    """
    return moment.astype("datetime64[us]").item().replace(tzinfo=UTC)


def parse_duration(text: str) -> timedelta:
    """A span of time from words.

    >>> parse_duration("28 days")
    datetime.timedelta(days=28)
    >>> parse_duration("90 minutes")
    datetime.timedelta(seconds=5400)

    Raises:
        ValueError: if the text is no positive number of minutes, hours, days or weeks.
    """
    found = _DURATION.fullmatch(text)
    span = float(found[1]) * _UNITS[found[2]] if found else timedelta(0)
    if span <= timedelta(0):
        raise ValueError("not a span of time such as '28 days', '6 hours', '15 minutes' or '2 weeks'")
    return span


def words_of(span: timedelta) -> str:
    """A span of time in words, in the unit that a person would choose.

    >>> words_of(timedelta(hours=26)), words_of(timedelta(minutes=15)), words_of(timedelta(seconds=72.4))
    ('26 hours', '15 minutes', '72 seconds')
    """
    for unit in ("day", "hour", "minute"):
        if span >= 2 * _UNITS[unit]:
            return f"{round(span / _UNITS[unit])} {unit}s"
    return f"{round(span.total_seconds())} seconds"


def text_of(moment: datetime) -> str:
    """ISO 8601 with a Z, to the microsecond only where there are some."""
    return in_utc(moment).isoformat().replace("+00:00", "Z")


def moment_of(text: str) -> datetime:
    """The inverse of `text_of`; a date is its first moment.

    >>> moment_of("2013-04-01").isoformat()
    '2013-04-01T00:00:00+00:00'
    """
    return in_utc(datetime.fromisoformat(text))
