"""Formulas against scikit-learn and against counting by hand, whole and under weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from ml_assets.measuring.metrics import METRICS, Codes, Floats, measure, metrics_of

ORACLES = {
    "roc_auc": sk.roc_auc_score,
    "pr_auc": sk.average_precision_score,
    "brier": sk.brier_score_loss,
    "log_loss": lambda label, p: sk.log_loss(label, p, labels=[0, 1]),
    "mae": sk.mean_absolute_error,
    "rmse": sk.root_mean_squared_error,
    "pinball": lambda label, p: sk.mean_pinball_loss(label, p, alpha=0.9),
}


def draw_rows(seed: int, count: int, ties: bool) -> tuple[Floats, Floats, Codes]:
    rng = np.random.default_rng(seed)
    prediction = rng.random(count)
    prediction = np.round(prediction, 1) * 0.98 + 0.01 if ties else prediction
    label = (rng.random(count) < prediction).astype(float)
    label[:2] = [0, 1]
    return label, prediction, rng.integers(0, 5, count)


cases = {"seed": st.integers(0, 2**32 - 1), "count": st.integers(4, 200), "ties": st.booleans()}


@pytest.mark.parametrize("metric", ORACLES)
@given(**cases)
@settings(max_examples=25, deadline=None)
def test_a_metric_is_what_scikit_learn_says(metric: str, seed: int, count: int, ties: bool) -> None:
    label, prediction, _ = draw_rows(seed, count, ties)
    assert measure(metric, label, prediction) == pytest.approx(ORACLES[metric](label, prediction), abs=1e-12)


@pytest.mark.parametrize("metric", METRICS)
@given(**cases)
@settings(max_examples=25, deadline=None)
def test_weights_of_days_mean_repeated_rows(metric: str, seed: int, count: int, ties: bool) -> None:
    """A replicate is exactly the metric of the rows written down as often as their day was drawn."""
    label, prediction, day = draw_rows(seed, count, ties)
    weights = np.random.default_rng(seed).integers(0, 3, (3, 5)).astype(float)
    _, replicates = METRICS[metric].by_day(label, prediction, day, 5)
    for drawn, repeated in zip(replicates(weights), weights, strict=True):
        often = repeated[day].astype(int)
        rows, answers = np.repeat(label, often), np.repeat(prediction, often)
        if metric == "calibration_error":
            expected = calibration_by_hand(rows, answers, edges_of(prediction)) if len(rows) else np.nan
        elif metric in ("roc_auc", "pr_auc") and len(np.unique(rows)) < 2:
            continue
        else:
            expected = ORACLES[metric](rows, answers) if len(rows) else np.nan
        exact = metric != "pr_auc" or len(np.unique(prediction)) <= 1024
        assert drawn == pytest.approx(expected, abs=1e-9 if exact else 0.01, nan_ok=True)


def edges_of(prediction: Floats) -> Floats:
    return np.unique(np.quantile(prediction, np.linspace(0.1, 0.9, 9)))


def calibration_by_hand(label: Floats, prediction: Floats, edges: Floats) -> float:
    total = 0.0
    for low, high in zip([-np.inf, *edges], [*edges, np.inf], strict=True):
        inside = (prediction > low) & (prediction <= high)
        if inside.any():
            total += inside.sum() * abs(prediction[inside].mean() - label[inside].mean())
    return total / len(label)


@given(**cases)
@settings(max_examples=25, deadline=None)
def test_calibration_error_is_the_mean_gap_over_ten_equal_bins(seed: int, count: int, ties: bool) -> None:
    label, prediction, _ = draw_rows(seed, count, ties)
    expected = calibration_by_hand(label, prediction, edges_of(prediction))
    assert measure("calibration_error", label, prediction) == pytest.approx(expected, abs=1e-12)


def test_a_long_precision_curve_is_exact_itself_and_nearly_so_in_replicates() -> None:
    label, prediction, day = draw_rows(1, 20_000, ties=False)
    value, replicates = METRICS["pr_auc"].by_day(label, prediction, day, 5)
    assert value == pytest.approx(sk.average_precision_score(label, prediction), abs=1e-12)
    weights = np.array([[2.0, 0, 1, 1, 1]])
    expected = sk.average_precision_score(label, prediction, sample_weight=weights[0][day])
    assert replicates(weights)[0] == pytest.approx(expected, abs=2e-4)


def test_a_ranking_of_one_class_is_not_defined() -> None:
    assert np.isnan(measure("roc_auc", np.ones(3), np.array([0.1, 0.2, 0.3])))


def test_certain_and_wrong_is_dear_but_finite() -> None:
    assert 30 < measure("log_loss", np.array([1.0]), np.array([0.0])) < 40


def test_each_task_has_its_metrics() -> None:
    assert metrics_of("binary_classification") == ("roc_auc", "pr_auc", "brier", "log_loss", "calibration_error")
    assert metrics_of("regression") == ("mae", "rmse", "pinball")


def test_worse_is_positive_whichever_way_a_metric_points() -> None:
    assert METRICS["roc_auc"].worse_by(0.6, 0.7) == pytest.approx(0.1)
    assert METRICS["log_loss"].worse_by(0.7, 0.6) == pytest.approx(0.1)
