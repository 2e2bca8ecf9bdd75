"""The baselines: numbers that a person could work out with a pivot table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ml_assets.fitting.estimators import build_baseline, predict
from ml_assets.lake.decision_rows import decision_rows, input_columns
from ml_assets.measuring.metrics import measure
from tests.ml_assets.shop import KEPT, RETURNS, declared


def baseline(block: dict[str, Any], metric: str, **one: Any) -> Any:
    declaration = declared(block, evaluation__metric=metric, evaluation__baselines=[one])
    return declaration, build_baseline(declaration.baselines[0], declaration)


@pytest.mark.parametrize(
    ("block", "metric"),
    [(KEPT, "mae"), (KEPT, "rmse"), (KEPT, "pinball"), (RETURNS, "log_loss"), (RETURNS, "brier")],
)
def test_no_other_constant_is_better_than_the_constant_baseline(block: dict[str, Any], metric: str) -> None:
    rng = np.random.default_rng(7)
    label = rng.gamma(1, 10, 301) if block is KEPT else (rng.random(301) < 0.3).astype(float)
    declaration, model = baseline(block, metric, estimator="baseline_constant")
    inputs = pa.table({"shop": ["a"] * len(label)})
    answers = predict(model.fit(inputs, label), inputs, declaration.task)
    best = measure(metric, label, answers)
    low, high = (label.min(), label.max()) if block is KEPT else (0.01, 0.99)
    for other in np.linspace(low, high, 400):
        assert measure(metric, label, np.full(len(label), other)) >= best - 1e-12


def test_a_column_baseline_answers_the_column_times_the_factor_and_a_constant_where_there_is_none() -> None:
    params = {"column": "price", "factor": 0.5}
    declaration, model = baseline(KEPT, "mae", estimator="baseline_column", params=params)
    inputs = pa.table({"price": [10.0, None, float("nan"), -4.0]})
    answers = predict(model.fit(inputs, np.array([1.0, 2.0, 9.0, 2.0])), inputs, declaration.task)
    assert answers.tolist() == [5.0, 2.0, 2.0, -2.0]
    assert declaration.baselines[0].name == "baseline_column_price_times_0.5"


def test_the_last_value_is_the_column_itself() -> None:
    declaration, model = baseline(KEPT, "mae", estimator="last_value", params={"column": "pieces"})
    inputs = pa.table({"pieces": pa.array([3, 1], pa.int32())})
    assert predict(model.fit(inputs, np.array([1.0, 2.0])), inputs, declaration.task).tolist() == [3.0, 1.0]
    assert declaration.baselines[0].name == "last_value_pieces"


def test_a_column_of_rates_stays_a_probability() -> None:
    params = {"column": "weight", "factor": 2}
    declaration, model = baseline(RETURNS, "log_loss", estimator="baseline_column", params=params)
    inputs = pa.table({"weight": [0.2, 0.9, -1.0, None]})
    answers = predict(model.fit(inputs, np.array([1.0, 0.0, 0.0, 0.0])), inputs, declaration.task)
    assert answers.tolist() == [0.4, 1.0, 0.0, 0.25]


def test_a_baseline_reads_its_column_even_where_it_is_no_feature(frame: Any) -> None:
    declaration, model = baseline(
        {**KEPT, "features": {"include": ["shop"]}}, "mae", estimator="baseline_column", params={"column": "pieces"}
    )
    assert "pieces" in input_columns(declaration)
    rows = decision_rows(pa.Table.from_pandas(frame.head(10), preserve_index=False), declaration)
    answers = predict(model.fit(rows.inputs, np.ones(10)), rows.inputs, declaration.task)
    assert answers.tolist() == frame["pieces"].head(10).tolist()
