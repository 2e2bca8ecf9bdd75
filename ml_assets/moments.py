"""Moments and spans of time, in one convention: UTC, microseconds.

What belongs here: conversions between `datetime`, numpy and text. What does not: any clock; what time it is, is always
an argument.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import count

import numpy as np
import numpy.typing as npt

Moments = npt.NDArray[np.datetime64]

_UNITS = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
_MONTHS = {"month": 1, "year": 12}
_SHORT = {"min": "minute", "h": "hour", "d": "day", "w": "week", "y": "year"}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(minute|hour|day|week|month|year|min|h|d|w|y)s?\s*")
_LONGEST = timedelta(days=36_525)
NO_SPAN = "not a span of time such as '28 days', '6 hours', '15 minutes', '2 weeks', '3 months' or '1 year'"
_MEAN_MONTH = timedelta(days=365.2425 / 12)


class CalendarSpan(timedelta):
    """So many months of the calendar. As a length (an age, a limit, a quotient) it is that many mean months of 30.44
    days; where it leads to, `later` and `earlier` read off the calendar.

    >>> CalendarSpan(3) > timedelta(days=91), str(CalendarSpan(3)), str(CalendarSpan(24))
    (True, '3 months', '2 years')
    """

    months: int

    def __new__(cls, months: int) -> CalendarSpan:
        length = months * _MEAN_MONTH
        span = super().__new__(cls, days=length.days, seconds=length.seconds, microseconds=length.microseconds)
        span.months = months
        return span

    def __str__(self) -> str:
        number, unit = (self.months // 12, "year") if self.months % 12 == 0 else (self.months, "month")
        return f"{number} {unit}{'s' if number != 1 else ''}"

    def __repr__(self) -> str:
        return f"CalendarSpan({self.months})"

    def __mul__(self, times: float) -> timedelta:
        return CalendarSpan(self.months * times) if isinstance(times, int) else super().__mul__(times)

    __rmul__ = __mul__

    def __reduce__(self) -> tuple[type[CalendarSpan], tuple[int]]:
        return CalendarSpan, (self.months,)


def later(moment: datetime, span: timedelta) -> datetime:
    """The moment a span later. Months and years keep the day of the month, or take the month's last day.

    >>> later(datetime(2013, 1, 31), CalendarSpan(1)).isoformat()
    '2013-02-28T00:00:00'
    """
    return _by_months(moment, span.months) if isinstance(span, CalendarSpan) else moment + span


def earlier(moment: datetime, span: timedelta) -> datetime:
    """The moment a span earlier (see `later`).

    >>> earlier(datetime(2012, 2, 29), CalendarSpan(12)).isoformat()
    '2011-02-28T00:00:00'
    """
    return _by_months(moment, -span.months) if isinstance(span, CalendarSpan) else moment - span


def every(first: datetime, span: timedelta) -> Iterator[datetime]:
    """`first`, one span later, two spans later, ..., without end.

    >>> moments = every(datetime(2013, 1, 31), CalendarSpan(1))
    >>> [f"{next(moments):%m-%d}" for _ in range(3)]
    ['01-31', '02-28', '03-31']
    """
    return (later(first, times * span) for times in count())


def _by_months(moment: datetime, months: int) -> datetime:
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    return moment.replace(year=year, month=month + 1, day=min(moment.day, monthrange(year, month + 1)[1]))


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
    """A span of time from words; months and years are a `CalendarSpan`.

    >>> parse_duration("28 days") == parse_duration("28d") == parse_duration("4 weeks")
    True
    >>> parse_duration("90 minutes"), parse_duration("2 years")
    (datetime.timedelta(seconds=5400), CalendarSpan(24))

    Raises:
        ValueError: if the text is no positive number of minutes, hours, days or weeks, no whole number of months or
            years, or more than a century.
    """
    found = _DURATION.fullmatch(text)
    if not found or float(found[1]) <= 0:
        raise ValueError(NO_SPAN)
    number, unit = found[1], _SHORT.get(found[2], found[2])
    try:
        span = CalendarSpan(int(number) * _MONTHS[unit]) if unit in _MONTHS else float(number) * _UNITS[unit]
    except ValueError:
        raise ValueError(f"no whole number of {unit}s; {NO_SPAN}") from None
    except OverflowError:
        span = timedelta.max
    if span > _LONGEST:
        raise ValueError("more than a century; give a shorter span of time")
    if span <= timedelta(0):
        raise ValueError(NO_SPAN)
    return span


def words_of(span: timedelta) -> str:
    """A span of time in words, in the unit that a person would choose.

    >>> words_of(timedelta(hours=26)), words_of(timedelta(minutes=15)), words_of(timedelta(seconds=72.4))
    ('26 hours', '15 minutes', '72 seconds')
    """
    if isinstance(span, CalendarSpan):
        return str(span)
    for unit in ("day", "hour", "minute"):
        if span >= 2 * _UNITS[unit]:
            return f"{round(span / _UNITS[unit])} {unit}s"
    return f"{round(span.total_seconds())} seconds"


def first_moment(text: str) -> datetime:
    """Where a stretch begins that starts with what the text names, in UTC: a date is its first moment, a timestamp
    itself (UTC unless it says otherwise).

    >>> first_moment("2013-10-31").isoformat(), first_moment("2013-10-31T18:30-04:00").isoformat()
    ('2013-10-31T00:00:00+00:00', '2013-10-31T22:30:00+00:00')

    Raises:
        ValueError: if it is neither.
    """
    return _read_moment(text, timedelta(0))


def last_moment(text: str) -> datetime:
    """Where a stretch ends that goes through what the text names, in UTC: a date is the end of its day, a timestamp
    itself (UTC unless it says otherwise).

    >>> last_moment("2013-10-31").isoformat(), last_moment("2013-10-31T18:30Z").isoformat()
    ('2013-11-01T00:00:00+00:00', '2013-10-31T18:30:00+00:00')

    Raises:
        ValueError: if it is neither.
    """
    return _read_moment(text, timedelta(days=1))


def _read_moment(text: str, of_a_date: timedelta) -> datetime:
    stripped = text.strip()
    try:
        found = in_utc(datetime.fromisoformat(stripped))
        return found + of_a_date if _is_date(stripped) else found
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is no moment; give a date such as 2013-10-31, or a timestamp such as 2013-10-31T18:30Z (both in "
            "UTC, unless the timestamp has a zone)"
        ) from None


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def text_of(moment: datetime) -> str:
    """ISO 8601 with a Z, to the microsecond only where there are some."""
    return in_utc(moment).isoformat().replace("+00:00", "Z")


def moment_of(text: str) -> datetime:
    """The inverse of `text_of`; a date is its first moment.

    >>> moment_of("2013-04-01").isoformat()
    '2013-04-01T00:00:00+00:00'
    """
    return in_utc(datetime.fromisoformat(text))
