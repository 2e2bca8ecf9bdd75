"""Windows by the calendar, and which days of them may be judged."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml_assets.measuring.completeness import complete_days
from ml_assets.measuring.windows import LONGEST, moved, window_start, window_starts

PERIODS = {"day": "D", "week": "W-SUN", "month": "M", "year": "Y"}


@pytest.mark.parametrize("window", PERIODS)
def test_a_window_begins_where_the_calendar_says(window: Any) -> None:
    moments = np.datetime64("1960-01-01", "us") + np.random.default_rng(1).integers(0, 3 * 10**15, 500)
    expected = pd.Series(moments).dt.to_period(PERIODS[window]).dt.start_time.to_numpy()
    assert (window_starts(moments, window) == expected.astype("datetime64[D]")).all()


@pytest.mark.parametrize("window", PERIODS)
def test_windows_follow_one_another_without_a_gap(window: Any) -> None:
    start = window_start(datetime(2031, 11, 17, 5, tzinfo=UTC), window)
    for _ in range(40):
        after = moved(start, window, 1)
        assert window_start(after, window) == after
        assert moved(after, window, -1) == start
        assert start < after <= start + LONGEST[window]
        start = after


def days_of(*shares: float) -> tuple[Any, Any]:
    """Ten decisions a day, of which so many outcomes are known."""
    day = np.repeat(np.arange(len(shares)), 10)
    known = np.concatenate([np.arange(10) < share * 10 for share in shares])
    return day, known


def test_days_are_judged_in_their_order_and_none_before_it_is_complete() -> None:
    day, known = days_of(1, 1, 0.8, 1, 1)
    state = complete_days(day, known, np.ones(5, dtype=bool), 0.99)
    assert state.judged.tolist() == [True, True, False, False, False]
    assert (state.awaited, state.given_up) == (2, 0)
    assert complete_days(day, known, np.ones(5, dtype=bool), 0.8).judged.all()


def test_a_day_that_is_not_over_is_awaited_though_all_its_outcomes_are_known() -> None:
    day, known = days_of(1, 1)
    state = complete_days(day, known, np.array([True, False]), 0.99)
    assert (state.judged.tolist(), state.awaited) == ([True, False], 1)


def test_a_day_whose_outcomes_stay_away_is_given_up_and_holds_up_nothing() -> None:
    day, known = days_of(1, 0.5, *[1] * 7, 0.2)
    state = complete_days(day, known, np.ones(10, dtype=bool), 0.99)
    assert (int(state.judged.sum()), state.given_up, state.awaited) == (8, 1, 9)
    day, known = days_of(1, 0.5, *[1] * 6)
    assert complete_days(day, known, np.ones(8, dtype=bool), 0.99).awaited == 1
