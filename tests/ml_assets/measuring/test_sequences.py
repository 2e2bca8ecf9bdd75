"""Intervals that hold at every look: against the inverted test itself, in made-up lives, and for any metric."""

from __future__ import annotations

import numpy as np
import pytest

from ml_assets.measuring.metrics import METRICS
from ml_assets.measuring.sequences import half_width, worse_by_sequence


def evidence_against(mean: float, values: np.ndarray, prior: float = 0.5) -> float:
    """The martingale of the module's docstring, as it is written there."""
    n, total, squares = len(values), (values - mean).sum(), ((values - mean) ** 2).sum()
    return float(np.sqrt(prior / (n + prior)) * (squares / (squares - total**2 / (n + prior))) ** (n / 2))


@pytest.mark.parametrize("seed", range(5))
def test_the_interval_is_where_the_evidence_against_a_mean_stays_below_its_bound(seed: int) -> None:
    chance = np.random.default_rng(seed)
    values = chance.normal(0.3, 1.0, int(chance.integers(8, 60)))
    alternating = values.mean() + np.abs(values - values.mean()) * np.where(np.arange(len(values)) % 2, 1, -1)
    half, mean = float(half_width(alternating, 0.95)), alternating.mean()  # no day follows another: nothing is added
    assert evidence_against(mean + 0.999 * half, alternating) < 20 < evidence_against(mean + 1.001 * half, alternating)
    assert evidence_against(mean - 0.999 * half, alternating) < 20 < evidence_against(mean - 1.001 * half, alternating)


def test_too_few_days_say_nothing() -> None:
    values = np.random.default_rng(1).normal(size=(4, 10))
    assert np.isinf(half_width(values[:, :2], 0.99)).all()
    widths = [half_width(values[:, :days], 0.99) for days in (7, 10)]
    assert np.isfinite(widths).all()


@pytest.mark.parametrize("confidence", [0.8, 0.9, 0.99])
def test_at_all_looks_together_it_misses_no_more_often_than_it_says(confidence: float) -> None:
    values = np.random.default_rng(2).normal(0.0, 3.0, (2000, 100))
    missed = np.zeros(2000, dtype=bool)
    for days in range(2, 101):
        seen = values[:, :days]
        missed |= np.abs(seen.mean(axis=1)) > half_width(seen, confidence)
    assert missed.mean() <= 1 - confidence


def test_days_that_follow_one_another_widen_it() -> None:
    chance = np.random.default_rng(3)
    values = np.cumsum(chance.normal(size=40)) / 5
    assert half_width(values, 0.9) > 2 * half_width(chance.permutation(values), 0.9)


@pytest.mark.parametrize("metric", ["log_loss", "brier", "roc_auc", "rmse", "mae"])
def test_every_metric_has_daily_values(metric: str) -> None:
    chance = np.random.default_rng(4)
    day = np.repeat(np.arange(20), 200)
    truth = chance.random(4000)
    label = (chance.random(4000) < truth).astype(float)
    worse = np.clip(truth + chance.normal(0, 0.25, 4000), 0.01, 0.99)
    figure = worse_by_sequence(METRICS[metric], label, worse, truth, day, 0.9)
    assert figure.low is not None
    assert 0 < figure.low < figure.value < (figure.high or 0)
    better = worse_by_sequence(METRICS[metric], label, truth, worse, day, 0.9)
    assert better.value == pytest.approx(-figure.value)


def test_one_day_gives_a_figure_and_no_interval() -> None:
    day = np.zeros(3, dtype=np.int64)
    one, other = np.array([0.2, 0.4, 0.9]), np.array([0.3, 0.3, 0.8])
    figure = worse_by_sequence(METRICS["mae"], np.array([0.0, 0.0, 1.0]), one, other, day, 0.9)
    assert (figure.low, figure.high) == (None, None)
