"""Intervals: drawn by day, paired, repeatable, and as wide as they should be."""

from __future__ import annotations

import numpy as np
import pytest

from ml_assets.measuring.bootstrap import day_weights, measure_by_day, worse_by_day
from ml_assets.measuring.metrics import METRICS


def test_a_draw_has_as_many_days_as_there_are_and_is_the_same_again() -> None:
    weights = day_weights(28, 50)
    assert weights.shape == (50, 28)
    assert (weights.sum(axis=1) == 28).all()
    assert np.array_equal(weights, day_weights(28, 50))
    assert not np.array_equal(weights, day_weights(28, 50, seed=2))


def test_an_interval_is_the_one_of_a_plain_loop_over_drawn_days() -> None:
    rng = np.random.default_rng(0)
    day = np.sort(rng.integers(0, 30, 900))
    label = (rng.random(900) < 0.3).astype(float)
    prediction = np.clip(rng.normal(0.3, 0.1, 900), 0.01, 0.99)
    weights = day_weights(30, 200)
    by_hand = [np.mean(((prediction - label) ** 2)[np.repeat(np.arange(900), w[day].astype(int))]) for w in weights]
    interval = measure_by_day(METRICS["brier"], label, prediction, day, weights, 0.9)
    assert (interval.low, interval.high) == pytest.approx(tuple(np.quantile(by_hand, [0.05, 0.95])), abs=1e-12)


def test_days_that_go_together_make_the_interval_wide() -> None:
    """Rows of a day that share their fate are worth one row: the interval must not believe in 3,000 of them."""
    rng = np.random.default_rng(1)
    day = np.repeat(np.arange(30), 100)
    prediction = np.full(3000, 0.5)
    shared = np.repeat((rng.random(30) < 0.5).astype(float), 100) * 0.8
    label = (rng.random(3000) < 0.1 + shared).astype(float)
    alone = rng.permutation(label)
    widths = []
    for outcome in (label, alone):
        interval = measure_by_day(METRICS["mae"], outcome, np.full(3000, 0.2), day, day_weights(30), 0.9)
        assert interval.low is not None
        assert interval.high is not None
        widths.append(interval.high - interval.low)
    assert widths[0] > 4 * widths[1]
    assert prediction.mean() == 0.5


def test_a_paired_difference_is_narrower_than_the_figures_themselves() -> None:
    rng = np.random.default_rng(2)
    day = np.repeat(np.arange(28), 50)
    truth = np.clip(np.repeat(rng.random(28), 50) + rng.normal(0, 0.1, 1400), 0.02, 0.98)
    label = (rng.random(1400) < truth).astype(float)
    other = np.clip(truth + 0.02, 0.01, 0.99)
    weights = day_weights(28)
    difference = worse_by_day(METRICS["log_loss"], label, truth, other, day, weights, 0.9)
    single = measure_by_day(METRICS["log_loss"], label, truth, day, weights, 0.9)
    assert None not in (difference.low, difference.high, single.low, single.high)
    assert difference.high - difference.low < (single.high - single.low) / 5  # type: ignore[operator]


def test_a_model_does_not_differ_from_itself() -> None:
    label, prediction, day = np.array([0.0, 1, 0, 1]), np.array([0.2, 0.7, 0.3, 0.6]), np.array([0, 1, 2, 3])
    interval = worse_by_day(METRICS["roc_auc"], label, prediction, prediction, day, day_weights(4), 0.9)
    assert (interval.value, interval.low, interval.high) == (0, 0, 0)


def test_too_few_days_give_no_interval() -> None:
    interval = measure_by_day(METRICS["mae"], np.ones(4), np.zeros(4), np.array([0, 0, 1, 1]), day_weights(2), 0.9)
    assert (interval.value, interval.low, interval.high) == (1.0, None, None)


def calibration_low(seed: int, rows: int, off_by: float) -> tuple[float, float]:
    rng = np.random.default_rng(seed)
    prediction = rng.uniform(0.05, 0.6, rows)
    label = (rng.random(rows) < prediction + off_by).astype(float)
    day = rng.integers(0, 28, rows)
    interval = measure_by_day(METRICS["calibration_error"], label, prediction, day, day_weights(28), 0.9)
    assert interval.low is not None
    return interval.value, interval.low


def test_a_calibrated_model_is_not_called_miscalibrated_by_noise() -> None:
    """On some thousand rows the error of a perfect model is above one in a hundred; its interval's lower end is not."""
    figures = [calibration_low(seed, 5_000, 0.0) for seed in range(20)]
    assert sum(value > 0.01 for value, _ in figures) > 15
    assert sum(low > 0.01 for _, low in figures) <= 1


def test_a_miscalibrated_model_is_found_out() -> None:
    figures = [calibration_low(seed, 20_000, 0.035) for seed in range(10)]
    assert sum(low > 0.02 for _, low in figures) >= 9
