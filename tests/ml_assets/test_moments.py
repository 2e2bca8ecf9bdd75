"""Moments and spans of time, as people write them."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from ml_assets.moments import (
    CalendarSpan,
    earlier,
    every,
    first_moment,
    last_moment,
    later,
    parse_duration,
    words_of,
)

# Durations


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("7d", timedelta(days=7)),
        ("7 days", timedelta(days=7)),
        (" 1 week ", timedelta(days=7)),
        ("2w", timedelta(days=14)),
        ("36h", timedelta(hours=36)),
        ("1.5 hours", timedelta(minutes=90)),
        ("15 min", timedelta(minutes=15)),
        ("90 minutes", timedelta(minutes=90)),
        ("2 months", CalendarSpan(2)),
        ("1 year", CalendarSpan(12)),
        ("2y", CalendarSpan(24)),
    ],
)
def test_a_duration_is_read_as_people_write_it(text: str, span: timedelta) -> None:
    found = parse_duration(text)
    assert found == span
    assert type(found) is type(span)


@pytest.mark.parametrize(
    "text", ["", "7", "days", "-7 days", "0 days", "7 dayz", "seven days", "7d 3h", "3m", "1e3 days"]
)
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="not a span of time such as '28 days'"):
        parse_duration(text)


def test_half_a_month_is_none() -> None:
    with pytest.raises(ValueError, match="no whole number of months"):
        parse_duration("1.5 months")


@pytest.mark.parametrize("text", ["101 years", "99999999999999 days", "1000000 weeks"])
def test_no_duration_is_longer_than_a_century(text: str) -> None:
    with pytest.raises(ValueError, match="more than a century"):
        parse_duration(text)


def test_a_duration_survives_its_own_words() -> None:
    for text in ("3 months", "1 year", "2 years", "26 hours", "15 minutes"):
        assert words_of(parse_duration(text)) == text


# Months of the calendar


def test_months_are_read_off_the_calendar() -> None:
    new_years_eve = datetime(2012, 12, 31, 8, tzinfo=UTC)
    assert later(new_years_eve, CalendarSpan(2)) == datetime(2013, 2, 28, 8, tzinfo=UTC)
    assert earlier(new_years_eve, CalendarSpan(10)) == datetime(2012, 2, 29, 8, tzinfo=UTC)
    assert later(new_years_eve, timedelta(days=1)) == datetime(2013, 1, 1, 8, tzinfo=UTC)


def test_later_and_earlier_agree_with_numpy_on_any_month() -> None:
    chance = np.random.default_rng(5)
    for _ in range(500):
        start = np.datetime64("1950-01-01") + chance.integers(0, 60_000)
        months = int(chance.integers(1, 1200))
        for move, sign in ((later, 1), (earlier, -1)):
            found = np.datetime64(move(start.item(), CalendarSpan(months)))  # type: ignore[arg-type]
            month = start.astype("datetime64[M]") + sign * months
            last_day = (month + 1).astype("datetime64[D]") - 1
            assert found == min(month.astype("datetime64[D]") + (start - start.astype("datetime64[M]")), last_day)


def test_repeated_months_return_to_their_day() -> None:
    moments = every(datetime(2013, 1, 31, tzinfo=UTC), CalendarSpan(1))
    assert [next(moments).day for _ in range(5)] == [31, 28, 31, 30, 31]


def test_as_a_length_a_month_is_a_mean_one() -> None:
    assert timedelta(days=30) < CalendarSpan(1) < timedelta(days=31)
    assert abs(CalendarSpan(12) - timedelta(days=365.2425)) < timedelta(seconds=1)
    assert 2 * CalendarSpan(3) == CalendarSpan(6)
    assert CalendarSpan(3) / timedelta(days=1) == pytest.approx(91.31, abs=0.01)


def test_a_calendar_span_is_copied_and_pickled_as_itself() -> None:
    span = CalendarSpan(5)
    for again in (copy.deepcopy(span), pickle.loads(pickle.dumps(span))):
        assert isinstance(again, CalendarSpan)
        assert again.months == 5


# Moments of commands


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2013-10-31", "2013-10-31T00:00+00:00", "2013-11-01T00:00+00:00"),
        (" 2013-12-31 ", "2013-12-31T00:00+00:00", "2014-01-01T00:00+00:00"),
        ("2013-10-31T18:30", "2013-10-31T18:30+00:00", "2013-10-31T18:30+00:00"),
        ("2013-10-31 18:30", "2013-10-31T18:30+00:00", "2013-10-31T18:30+00:00"),
        ("2013-10-31T18:30Z", "2013-10-31T18:30+00:00", "2013-10-31T18:30+00:00"),
        ("2013-10-31T18:30-04:00", "2013-10-31T22:30+00:00", "2013-10-31T22:30+00:00"),
    ],
)
def test_a_date_begins_and_ends_its_day_and_a_timestamp_is_itself(text: str, first: str, last: str) -> None:
    assert first_moment(text) == datetime.fromisoformat(first)
    assert last_moment(text) == datetime.fromisoformat(last)


@pytest.mark.parametrize("text", ["", "yesterday", "infinity", "31.10.2013", "2013-13-01", "2013-10-31T25:00"])
def test_what_is_no_moment_is_refused_with_the_remedy(text: str) -> None:
    for reader in (first_moment, last_moment):
        with pytest.raises(ValueError, match=r"is no moment; give a date such as 2013-10-31"):
            reader(text)


def test_the_last_day_that_there_is_has_no_end() -> None:
    with pytest.raises(ValueError, match="is no moment"):
        last_moment("9999-12-31")
