"""How sure a figure is: intervals from resampled days.

What belongs here: drawing days and reading intervals. What does not: the metrics' formulas (`metrics.py`).

Rows of one day share their weather and their troubles, so days are drawn, not rows (the cluster bootstrap: Davison and
Hinkley 1997, section 3.8; Field and Welsh 2007). One draw serves every subject and every slice of an evaluation, which
is what makes differences paired. An interval at confidence c is the central one: a share of (1 - c) / 2 of the
replicates lies on either side of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml_assets.measuring.metrics import Codes, Floats, Metric

REPLICATES = 400
SEED = 20130101
FEWEST_DAYS = 3


@dataclass(frozen=True)
class Interval:
    """A figure and its central interval; None where too few days allow one."""

    value: float
    low: float | None
    high: float | None


def day_weights(days: int, replicates: int = REPLICATES, seed: int = SEED) -> Floats:
    """How often each day is drawn in each replicate: (replicates, days), every row summing to `days`. The same seed
    gives the same draw.
    """
    return np.random.default_rng(seed).multinomial(days, np.full(days, 1 / days), size=replicates).astype(float)


def measure_by_day(
    metric: Metric, label: Floats, prediction: Floats, day: Codes, weights: Floats, confidence: float
) -> Interval:
    """The metric and its interval. `day` holds codes 0..D-1, `weights` is (replicates, D).

    A calibration error cannot be negative, so noise only adds to it, and resampling adds as much once more. Its
    interval is therefore the basic one (2 x figure - replicate; Davison and Hinkley 1997, section 5.2), which takes
    that out again: it is about the error without noise, and the figure itself may lie above it.
    """
    value, replicates = metric.by_day(label, prediction, day, weights.shape[1])
    drawn = replicates(weights)
    if metric.name == "calibration_error":
        drawn = np.maximum(2 * value - drawn, 0.0)
    return _interval(value, drawn, day, confidence)


def worse_by_day(
    metric: Metric, label: Floats, prediction: Floats, reference: Floats, day: Codes, weights: Floats, confidence: float
) -> Interval:
    """How much worse `prediction` is than `reference` on the same rows, paired; positive is worse whichever way the
    metric points.
    """
    value, replicates = metric.by_day(label, prediction, day, weights.shape[1])
    reference_value, reference_replicates = metric.by_day(label, reference, day, weights.shape[1])
    drawn = np.asarray(metric.worse_by(replicates(weights), reference_replicates(weights)))
    return _interval(float(metric.worse_by(value, reference_value)), drawn, day, confidence)


def _interval(value: float, drawn: Floats, day: Codes, confidence: float) -> Interval:
    usable = drawn[np.isfinite(drawn)]
    if len(np.unique(day)) < FEWEST_DAYS or len(usable) < len(drawn) / 2:
        return Interval(value, None, None)
    low, high = np.quantile(usable, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, float(low), float(high))
