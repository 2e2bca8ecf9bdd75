"""Which parts a stretch of time can be in: never one too few, whatever the parts are of."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.lake.parts import may_hold, parts_between

MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2050, 1, 1))  # noqa: DTZ001 UTC, as the tables have them


@pytest.mark.parametrize("form", ["%Y-%m", "%Y"])
@given(moment=MOMENTS, first=MOMENTS | st.none(), last=MOMENTS | st.none())
def test_the_part_of_a_moment_between_two_is_always_among_them(
    form: str, moment: datetime, first: datetime | None, last: datetime | None
) -> None:
    is_between = (first is None or first <= moment) and (last is None or moment <= last)

    assert may_hold(moment.strftime(form), first, last) or not is_between


@given(month=st.dates(), first=MOMENTS, days=st.integers(0, 800))
def test_a_part_wholly_outside_is_left_out(month: datetime, first: datetime, days: int) -> None:
    last = first + timedelta(days=days)
    is_inside = (first.year, first.month) <= (month.year, month.month) <= (last.year, last.month)

    assert may_hold(f"{month:%Y-%m}".zfill(7), first, last) is is_inside


def test_a_moment_of_another_zone_counts_in_utc() -> None:
    first = datetime(2013, 4, 1, 0, 30, tzinfo=timezone(timedelta(hours=2)))

    assert parts_between(["2013-02", "2013-03", "2013-04"], first, first) == ["2013-03"]


def test_a_part_that_is_of_no_time_can_hold_any() -> None:
    parts = ["2012", "2013", "2014", "all", "none"]

    assert parts_between(parts, datetime(2013, 6, 1), datetime(2013, 6, 2)) == ["2013", "all", "none"]  # noqa: DTZ001
    assert parts_between(parts) == parts
