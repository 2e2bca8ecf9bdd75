"""Every estimator by name, and those from elsewhere: built, fitted, asked, all in one way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from ml_assets.errors import TrainingError
from ml_assets.fitting.encoders import FeatureEncoder
from ml_assets.fitting.estimators import BATCH_ROWS, build_baseline, build_estimator, predict
from ml_assets.fitting.splitting import holdout
from ml_assets.fitting.training import fit
from ml_assets.lake.decision_rows import DecisionRows, decision_rows
from ml_assets.measuring.metrics import measure
from tests.ml_assets.shop import AS_OF, KEPT, RETURNS, declared, orders

BINARY: dict[str, dict[str, Any]] = {
    "gradient_boosting": {},
    "logistic": {"params": {}},
    "baseline_rates": {"params": {"by": ["shop"]}},
    "baseline_constant": {"params": {}},
    "tests.ml_assets.elsewhere:logistic": {"params": {}},
    "tests.ml_assets.elsewhere:tree": {"params": {"max_depth": 4}},
}


@pytest.mark.parametrize("name", BINARY)
def test_a_binary_estimator_gives_probabilities_that_mean_something(rows: DecisionRows, name: str) -> None:
    model = declared(RETURNS, estimator=name, **BINARY[name])
    split = holdout(rows, AS_OF, model.evaluation.window)
    answers = predict(fit(split.train, model, split.cut).model, split.evaluation.inputs, model.task)
    assert answers.dtype == np.float64
    assert answers.shape == (len(split.evaluation),)
    assert ((answers >= 0) & (answers <= 1)).all()
    if name != "baseline_constant":
        assert measure("roc_auc", split.evaluation.label, answers) > 0.55


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("gradient_boosting", {"params": {"max_iter": 20}}),
        ("linear", {}),
        ("baseline_rates", {"params": {"by": ["shop"]}}),
        ("baseline_constant", {}),
    ],
)
@pytest.mark.parametrize("metric", ["mae", "rmse", "pinball"])
def test_a_regression_estimator_gives_values(frame: Any, name: str, changes: dict[str, Any], metric: str) -> None:
    model = declared(KEPT, "kept", estimator=name, evaluation__metric=metric, **changes)
    rows = decision_rows(pa.Table.from_pandas(frame, preserve_index=False), model)
    split = holdout(rows, AS_OF, model.evaluation.window)
    answers = predict(fit(split.train, model, split.cut).model, split.evaluation.inputs, model.task)
    limit = 7 if name.startswith("baseline") else 4
    assert measure("mae", split.evaluation.label, answers) < limit


def test_boosting_fits_the_loss_of_the_declared_metric() -> None:
    losses = {
        metric: build_estimator(declared(KEPT, "kept", estimator="gradient_boosting", evaluation__metric=metric))[
            -1
        ].loss
        for metric in ("mae", "rmse", "pinball")
    }
    assert losses == {"mae": "absolute_error", "rmse": "squared_error", "pinball": "quantile"}


def test_boosting_has_native_categories_and_nothing_random() -> None:
    model = build_estimator(declared(RETURNS))
    assert isinstance(model[0], FeatureEncoder)
    last = model[-1]
    assert isinstance(last, HistGradientBoostingClassifier)
    assert (last.categorical_features, last.random_state, last.early_stopping, last.max_iter) == ([0, 1], 0, False, 25)


def test_a_category_that_was_not_seen_is_answered_as_missing(rows: DecisionRows) -> None:
    model = declared(RETURNS)
    fitted = fit(holdout(rows, AS_OF, model.evaluation.window).train, model, AS_OF).model
    few = rows.inputs.slice(0, 5)
    place = few.schema.get_field_index("product")
    unseen = few.set_column(place, "product", pa.array(["spaceship"] * 5))
    missing = few.set_column(place, "product", pa.nulls(5, pa.string()))
    np.testing.assert_array_equal(predict(fitted, unseen, model.task), predict(fitted, missing, model.task))


def test_batches_do_not_change_the_answers(rows: DecisionRows, monkeypatch: pytest.MonkeyPatch) -> None:
    model = declared(RETURNS)
    fitted = fit(holdout(rows, AS_OF, model.evaluation.window).train, model, AS_OF).model
    assert len(rows) < BATCH_ROWS
    whole = predict(fitted, rows.inputs, model.task)
    monkeypatch.setattr("ml_assets.fitting.estimators.BATCH_ROWS", 777)
    np.testing.assert_array_equal(predict(fitted, rows.inputs, model.task), whole)
    np.testing.assert_array_equal(fitted.predict_proba(rows.inputs)[:, 1], whole)


def test_rates_are_drawn_towards_the_whole_by_their_shrinkage() -> None:
    model = declared(
        RETURNS,
        evaluation__baselines=[
            {"estimator": "baseline_rates", "params": {"by": ["shop", "pieces"], "shrinkage": 10.0}}
        ],
    )
    rows = decision_rows(pa.Table.from_pandas(orders(days=10), preserve_index=False), model)
    known = rows.where(~np.isnan(rows.label))
    frame = known.inputs.to_pandas().assign(label=known.label)
    groups = frame.groupby(["shop", "pieces"], observed=True)["label"].agg(["sum", "count"])
    overall = known.label.mean()
    expected = ((groups["sum"] + 10 * overall) / (groups["count"] + 10)).to_dict()
    fitted = build_baseline(model.baselines[0], model).fit(known.inputs, known.label)
    answers = predict(fitted, known.inputs, model.task)
    np.testing.assert_allclose(answers, [expected[key] for key in zip(frame["shop"], frame["pieces"], strict=True)])
    unseen = pa.table({"shop": ["moon"], "pieces": pa.array([1], pa.int32())})
    assert predict(fitted, unseen, model.task)[0] == overall


def test_an_estimator_without_probabilities_is_refused_for_a_binary_task(rows: DecisionRows) -> None:
    model = declared(
        RETURNS, estimator="sklearn.linear_model:RidgeClassifier", params={}, features={"include": ["pieces", "weight"]}
    )
    fitted = fit(holdout(rows, AS_OF, model.evaluation.window).train, model, AS_OF).model
    with pytest.raises(TrainingError, match="RidgeClassifier has no predict_proba"):
        predict(fitted, rows.inputs, model.task)
