"""A thousand made-up lives under the declared defaults: who is taken back wrongly, and who is caught in time.

Assumed is the day-to-day noise that the flights of 2013 showed: between champions trained a week apart the daily
difference in log loss has a standard deviation of 0.008 (0.005 between equal ones of another seed, 0.010 two weeks
apart), a kurtosis of 5 and next to no autocorrelation; 0.2 is allowed for here.
"""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from ml_assets.deciding.rollback import WatchEvidence, decide_rollback
from ml_assets.declaration.schema import Watch
from ml_assets.measuring.metrics import Floats
from ml_assets.measuring.sequences import half_width

LIVES, LOSS = 1000, 0.464
DEFAULTS = Watch()


def daily_differences(days: int, noise: float, worse_by: float, follows: float, seed: int) -> Floats:
    """(lives, days): a first-order autoregression of t-distributed shocks around the true difference."""
    chance = np.random.default_rng(seed)
    shocks = chance.standard_t(7, (LIVES, days)) * np.sqrt(5 / 7)
    made = np.empty_like(shocks)
    made[:, 0] = shocks[:, 0]
    for day in range(1, days):
        made[:, day] = follows * made[:, day - 1] + np.sqrt(1 - follows**2) * shocks[:, day]
    return worse_by + noise * made


def taken_back(differences: Floats, watch: Watch) -> int:
    """How many of the lives end in a rollback, looked at every day."""
    gone = np.zeros(len(differences), dtype=bool)
    for days in range(1, differences.shape[1] + 1):
        seen = differences[:, :days]
        means, halves = seen.mean(axis=1), half_width(seen, watch.confidence)
        # Only where it could be: the others' verdict is a sentence each.
        for life in np.flatnonzero(~gone & (means - halves > 0)):
            evidence = WatchEvidence(
                "returns", "log_loss", 2, 1, since=datetime(2030, 1, 1, tzinfo=UTC), rows=1000 * days, days=days,
                previous_figure=LOSS, worse_by=means[life], low=means[life] - halves[life],
                high=means[life] + halves[life],
            )  # fmt: skip
            gone[life] = decide_rollback(evidence, watch).verdict == "roll_back"
    return int(gone.sum())


@pytest.mark.parametrize(("follows", "watch"), [(0.0, Watch(worse_by=0)), (0.2, Watch(worse_by=0)), (0.4, DEFAULTS)])
def test_of_a_thousand_equally_good_champions_at_most_ten_are_taken_back_in_180_days(
    follows: float, watch: Watch
) -> None:
    assert taken_back(daily_differences(180, 0.008, 0.0, follows, seed=3), watch) <= 10


@pytest.mark.parametrize("noise", [0.008, 0.010])
def test_of_a_hundred_champions_worse_by_5_percent_ninety_are_taken_back_within_two_weeks(noise: float) -> None:
    """Of the two weeks 13 days are complete: outcomes of the last are not known yet."""
    caught = taken_back(daily_differences(13, noise, 0.05 * LOSS, 0.2, seed=4), DEFAULTS)
    assert caught >= 0.9 * LIVES


def test_the_interval_of_a_single_look_took_back_many_that_were_as_good() -> None:
    """What it was like: a central interval of 99 % after each day from the third on."""
    equal = daily_differences(14, 0.008, 0.0, 0.0, seed=5)
    gone = np.zeros(LIVES, dtype=bool)
    for days in range(3, 15):
        drawn = np.random.default_rng(days).multinomial(days, np.full(days, 1 / days), size=400) / days
        gone |= np.quantile(equal[:, :days] @ drawn.T, 0.005, axis=1) > 0
    assert gone.sum() > 100
