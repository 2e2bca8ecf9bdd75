"""What is measured: each metric's formula, in a form that a bootstrap by day can weigh.

What belongs here: formulas. What does not: intervals (`bootstrap.py`), what is measured on which rows
(`evaluation.py`).

A metric is boiled down, once, to small sums per day. Its value under any weighting of the days (a bootstrap replicate
draws some days twice and others not at all) follows from those sums by a matrix product, so a thousand replicates cost
little more than one.

Labels and predictions are 1-D float64 of one length; labels of a binary task are 0 or 1 and predictions are
probabilities of 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Replicates = Callable[[Floats], Floats]

CALIBRATION_BINS = 10
PINBALL_QUANTILE = 0.9
_CURVE_BINS = 1024
_SMALLEST_PROBABILITY = 1e-15


@dataclass(frozen=True)
class Metric:
    """A metric's name, its task, and which way is better."""

    name: str
    task: str
    higher_is_better: bool
    by_day: Callable[[Floats, Floats, Codes, int], tuple[float, Replicates]]

    def worse_by(self, value: Floats | float, reference: Floats | float) -> Floats | float:
        """How much worse `value` is than `reference`: positive is worse, whichever way the metric points."""
        return reference - value if self.higher_is_better else value - reference


def measure(metric: str, label: Floats, prediction: Floats) -> float:
    """The metric over all rows; NaN where it is not defined (no rows, or one class only for a ranking)."""
    return METRICS[metric].by_day(label, prediction, np.zeros(len(label), dtype=np.int64), 1)[0]


def metrics_of(task: str) -> tuple[str, ...]:
    """The names of a task's metrics, in the order in which they are shown."""
    return tuple(metric.name for metric in METRICS.values() if metric.task == task)


def _mean_of(loss: Callable[[Floats, Floats], Floats], last: Callable[[Floats], Floats] = lambda mean: mean):
    def by_day(label: Floats, prediction: Floats, day: Codes, days: int) -> tuple[float, Replicates]:
        losses = loss(label, prediction)
        sums = np.bincount(day, losses, days)
        counts = np.bincount(day, minlength=days).astype(float)

        def replicates(weights: Floats) -> Floats:
            return last(_ratio(weights @ sums, weights @ counts))

        return float(last(_ratio(losses.sum(keepdims=True), np.array([float(len(label))])))[0]), replicates

    return by_day


def _log_loss(label: Floats, prediction: Floats) -> Floats:
    probability = np.clip(prediction, _SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)
    return -np.where(label == 1, np.log(probability), np.log1p(-probability))


def _pinball(label: Floats, prediction: Floats) -> Floats:
    short = label - prediction
    return np.maximum(PINBALL_QUANTILE * short, (PINBALL_QUANTILE - 1) * short)


def _roc_auc(label: Floats, prediction: Floats, day: Codes, days: int) -> tuple[float, Replicates]:
    """The share of (positive, negative) pairs that are ranked right, ties counting half (Mann-Whitney).

    Pairs are counted per pair of days, so a replicate is a quadratic form in the weights of the days: exact, ties
    included.
    """
    positive = label == 1
    positives = np.bincount(day[positive], minlength=days).astype(float)
    negatives = np.bincount(day[~positive], minlength=days).astype(float)
    order = np.argsort(prediction[positive], kind="stable")
    positive_scores, positive_days = prediction[positive][order], day[positive][order]
    ranked_right = np.zeros((days, days))
    for other, scores in enumerate(_split(prediction[~positive], day[~positive], days)):
        ordered = np.sort(scores)
        below = np.searchsorted(ordered, positive_scores, "left") + np.searchsorted(ordered, positive_scores, "right")
        ranked_right[:, other] = np.bincount(positive_days, below, days) / 2

    def replicates(weights: Floats) -> Floats:
        return _ratio(
            np.einsum("bd,bd->b", weights @ ranked_right, weights), (weights @ positives) * (weights @ negatives)
        )

    return float(replicates(np.ones((1, days)))[0]), replicates


def _pr_auc(label: Floats, prediction: Floats, day: Codes, days: int) -> tuple[float, Replicates]:
    """Average precision: the sum over thresholds of (recall gained) x precision, as scikit-learn defines it.

    The value is exact. Replicates read the curve at up to 1,024 thresholds and are shifted by what that misses at equal
    weights.
    """
    order = np.argsort(-prediction, kind="stable")
    hits, scores = label[order] == 1, prediction[order]
    last_of_tie = (
        np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1) if len(scores) else np.zeros(0, dtype=np.int64)
    )
    found = np.cumsum(hits)[last_of_tie].astype(float)
    exact = (
        float(_ratio(np.array([np.sum(np.diff(found, prepend=0.0) * found / (last_of_tie + 1))]), found[-1:])[0])
        if len(scores)
        else np.nan
    )
    step = max(1, -(-len(last_of_tie) // _CURVE_BINS))
    edges = np.append(last_of_tie[step - 1 :: step], last_of_tie[-1:])
    rank = np.searchsorted(edges, np.arange(len(scores)), "left")
    cell = day[order] * (len(edges) + 1) + rank
    width = days * (len(edges) + 1)
    hit_counts = np.bincount(cell, hits, width).reshape(days, -1)
    row_counts = np.bincount(cell, minlength=width).astype(float).reshape(days, -1)

    def curve(weights: Floats) -> Floats:
        gained, rows = weights @ hit_counts, np.cumsum(weights @ row_counts, axis=1)
        hits_so_far = np.cumsum(gained, axis=1)
        precision = np.divide(hits_so_far, rows, out=np.zeros_like(rows), where=rows > 0)
        return _ratio((gained * precision).sum(axis=1), hits_so_far[:, -1])

    missed = exact - float(curve(np.ones((1, days)))[0])
    return exact, lambda weights: curve(weights) + missed


def _calibration_error(label: Floats, prediction: Floats, day: Codes, days: int) -> tuple[float, Replicates]:
    """Expected calibration error: |mean prediction - observed rate| over ten bins of equal counts, weighted by their
    rows.

    Bins of equal counts (Nguyen and O'Connor 2015), because equal widths leave nearly empty bins that are all noise.
    Equal predictions share a bin.
    """
    edges = (
        np.unique(np.quantile(prediction, np.linspace(0, 1, CALIBRATION_BINS + 1)[1:-1]))
        if len(prediction)
        else np.zeros(0)
    )
    bins = len(edges) + 1
    cell = day * bins + np.searchsorted(edges, prediction, "left")
    gaps = np.bincount(cell, prediction - label, days * bins).reshape(days, bins)
    counts = np.bincount(day, minlength=days).astype(float)

    def replicates(weights: Floats) -> Floats:
        return _ratio(np.abs(weights @ gaps).sum(axis=1), weights @ counts)

    return float(replicates(np.ones((1, days)))[0]), replicates


def _split(values: Floats, day: Codes, days: int) -> list[Floats]:
    order = np.argsort(day, kind="stable")
    return np.split(values[order], np.cumsum(np.bincount(day, minlength=days))[:-1])


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=np.asarray(below) > 0)


_BINARY, _REGRESSION = "binary_classification", "regression"

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("roc_auc", _BINARY, True, _roc_auc),
        Metric("pr_auc", _BINARY, True, _pr_auc),
        Metric("brier", _BINARY, False, _mean_of(lambda label, prediction: (prediction - label) ** 2)),
        Metric("log_loss", _BINARY, False, _mean_of(_log_loss)),
        Metric("calibration_error", _BINARY, False, _calibration_error),
        Metric("mae", _REGRESSION, False, _mean_of(lambda label, prediction: np.abs(prediction - label))),
        Metric("rmse", _REGRESSION, False, _mean_of(lambda label, prediction: (prediction - label) ** 2, np.sqrt)),
        Metric("pinball", _REGRESSION, False, _mean_of(_pinball)),
    )
}
