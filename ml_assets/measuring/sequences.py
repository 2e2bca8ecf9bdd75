"""How sure a difference is that is looked at again every day: intervals that hold at all looks together.

What belongs here: such intervals. What does not: those of a window that is judged once (`bootstrap.py`).

An ordinary interval at 99 % errs once in a hundred looks, and a champion is looked at every day. A confidence sequence
holds for all days together: with probability `confidence` no interval of the whole sequence misses. This one is the
mixture of sequential t-tests over normally distributed effects, inverted (Wang and Ramdas 2023, "Anytime-valid t-tests
and confidence sequences for Gaussian means with unknown variance", arXiv:2310.03722, after Lai 1976, Annals of
Statistics 4, pp. 265-280): of n daily values with sum S and sum of squares V,

    sqrt(c / (n + c)) (V / (V - S^2 / (n + c)))^(n / 2),    1 / c the variance of the effects,

is a martingale if their mean is 0, whatever their variance, and rarely exceeds 1 / (1 - confidence) ever (Ville). It is
exact from the first days on where daily values are normal and independent; fat tails make it more careful, not less.

Days are not independent: troubles last. As in the effective sample size of a first-order autoregression (Zwiers and von
Storch 1995, Journal of Climate 8, pp. 336-351) the variance is therefore taken times (1 + r) / (1 - r), with r the
lag-one autocorrelation of the daily values where that is positive.

A metric's daily values are its jackknife pseudo-values by day (Efron and Tibshirani 1993, chapter 11), so that any
metric has some; of a mean over days of equal size they are the days' means.
"""

from __future__ import annotations

import numpy as np

from ml_assets.measuring.bootstrap import Interval
from ml_assets.measuring.metrics import Codes, Floats, Metric

# 1 / variance of the effects (in daily standard deviations) that the mixture is over: narrowest for effects near 1.5.
_PRIOR = 0.5
_STRONGEST = 0.9


def worse_by_sequence(
    metric: Metric, label: Floats, prediction: Floats, reference: Floats, day: Codes, confidence: float
) -> Interval:
    """How much worse `prediction` is than `reference` on the same rows, paired, with an interval that holds at every
    day's look; positive is worse whichever way the metric points. `day` holds codes 0..D-1 in the order of time.
    """
    days = int(day.max()) + 1
    _, own = metric.by_day(label, prediction, day, days)
    _, others = metric.by_day(label, reference, day, days)
    weights = np.vstack([np.ones((1, days)), 1.0 - np.eye(days)])
    every, *without = np.asarray(metric.worse_by(own(weights), others(weights)))
    daily = days * every - (days - 1) * np.asarray(without)
    half = float(half_width(daily, confidence)) if days > 1 and np.isfinite(daily).all() else np.inf
    bounds = (float(every - half), float(every + half)) if np.isfinite(half) else (None, None)
    return Interval(float(every), *bounds)


def half_width(daily: Floats, confidence: float) -> Floats:
    """How far the mean of the daily values (last axis, in the order of time) may be from the truth; infinite while
    there are too few to say.
    """
    count = daily.shape[-1]
    centred = daily - daily.mean(axis=-1, keepdims=True)
    squares = (centred**2).sum(axis=-1)
    lagged = (centred[..., 1:] * centred[..., :-1]).sum(axis=-1)
    r = np.clip(np.divide(lagged, squares, out=np.zeros_like(squares), where=squares > 0), 0.0, _STRONGEST)
    bound = np.exp((np.log((count + _PRIOR) / _PRIOR) / 2 - np.log(1 - confidence)) * 2 / count)
    room = count + _PRIOR - bound * _PRIOR
    if room <= 0:
        return np.full(squares.shape, np.inf)
    return np.sqrt(squares / count * (1 + r) / (1 - r) * (bound - 1) * (count + _PRIOR) / room)
