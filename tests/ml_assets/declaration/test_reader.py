"""Reading declarations: what is accepted, and every mistake with its place and its remedy."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ml_assets.declaration.reader import read_declarations
from ml_assets.declaration.schema import Windows
from ml_assets.errors import DeclarationError
from ml_assets.fitting.estimators import why_not_built
from tests.ml_assets.shop import KEPT, RETURNS, TABLE, changed, declared, manifest_of


def problems_of(manifest: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(DeclarationError) as caught:
        read_declarations(manifest, try_out=why_not_built)
    return caught.value.problems


def test_two_models_may_share_a_training_set_with_a_label_each() -> None:
    models = read_declarations(manifest_of(returns=RETURNS, kept=KEPT))
    assert {name: (model.label, model.training_set) for name, model in models.items()} == {
        "kept": ("days_kept", TABLE),
        "returns": ("is_returned", TABLE),
    }


def test_everything_declared_arrives_in_its_type() -> None:
    model = declared(RETURNS)
    assert model.entity == ("order_id", "line")
    assert model.categorical_features == ("shop", "product")
    assert model.numeric_features == ("price", "weight", "is_gift", "pieces")
    assert model.evaluation.window == timedelta(days=28)
    assert model.evaluation.backtest_from == datetime(2030, 2, 20, tzinfo=UTC)
    assert model.retraining.performance is not None
    assert model.retraining.performance.windows == Windows(2, 5)
    assert model.service.predictions_due == timedelta(minutes=15)
    assert [baseline.name for baseline in model.baselines] == ["baseline_constant", "baseline_rates_by_shop"]


def test_a_manifest_is_read_from_a_file_too(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(manifest_of(returns=RETURNS)))
    assert read_declarations(path)["returns"] == declared(RETURNS)


def test_exposures_of_other_types_are_none_of_ours() -> None:
    assert read_declarations(manifest_of()) == {}


def test_without_baselines_a_constant_and_the_rates_by_slice_stand_beside_the_model() -> None:
    assert [baseline.name for baseline in declared(KEPT).baselines] == ["baseline_constant", "baseline_rates_by_shop"]


def test_features_are_included_and_excluded_by_name() -> None:
    model = declared(RETURNS, features={"include": ["shop", "price", "pieces"], "exclude": ["price"]})
    assert [feature.name for feature in model.features] == ["shop", "pieces"]


MISTAKES = {
    "an unknown key, with the one that was meant": (
        {"estimater": "logistic"},
        "config.meta.ml.estimater: is no key of this block; did you mean 'estimator'?",
    ),
    "an unknown nested key": (
        {"retraining__drift__weighted": "none"},
        "config.meta.ml.retraining.drift.weighted: is no key of this block; did you mean 'weighted_by'?",
    ),
    "a missing key": ({"task": None}, "config.meta.ml.task: is missing"),
    "a wrong type": ({"gates__min_rows": "many"}, "config.meta.ml.gates.min_rows: found 'many' (str);"),
    "a number out of range": ({"gates__confidence": 90}, "config.meta.ml.gates.confidence: found 90 (int);"),
    "a task that there is not": ({"task": "ranking"}, "config.meta.ml.task: found 'ranking'; use one of"),
    "a label that is no column": (
        {"label": "is_late"},
        f"config.meta.ml.label: found 'is_late', which is not a column of {TABLE} (columns: order_id,",
    ),
    "a label column without the role": ({"label": "price"}, "found 'price', a column of trn_returns without config"),
    "a label of text": ({"label": "note"}, "found 'note' of data_type varchar; binary_classification needs"),
    "the label as a feature": (
        {"features": {"include": ["is_returned", "shop"]}},
        "config.meta.ml.features.include: found 'is_returned', the label or its time",
    ),
    "a feature that is none": ({"features": {"exclude": ["prize"]}}, "found 'prize', which is not a feature column"),
    "a slice that is no column": ({"evaluation__slices": ["shopp"]}, "of trn_returns; did you mean 'shop'?"),
    "a metric of another task": (
        {"evaluation__metric": "mae"},
        "evaluation.metric: found 'mae', a metric of another task than binary_classification; use one of",
    ),
    "a metric that there is not": ({"evaluation__metric": "logloss"}, "did you mean 'log_loss'?"),
    "a duration without a unit": ({"evaluation__window": "28"}, "config.meta.ml.evaluation.window: found '28', not a"),
    "a duration that is a number": ({"retraining__cooldown": 3}, "config.meta.ml.retraining.cooldown: found 3, not a"),
    "a level that nobody could look at in time": (
        {"service__late_after": "0.5 minutes"},
        "config.meta.ml.service.late_after: found '0.5 minutes', less than a minute",
    ),
    "a time in shadow without a unit": (
        {"gates__shadow": 7},
        "config.meta.ml.gates.shadow: found 7, not a span of time",
    ),
    "a count of windows upside down": (
        {"retraining__drift__windows": "5 of 2"},
        "found '5 of 2', not a count of windows",
    ),
    "a date that is none": ({"evaluation__backtest_from": "spring"}, "found 'spring', not a date such as 2013-04-01"),
    "an estimator that there is not": ({"estimator": "gradient_bosting"}, "did you mean 'gradient_boosting'?"),
    "an estimator of another task": ({"estimator": "linear"}, "found 'linear', which is not for binary_classification"),
    "a module that is not there": ({"estimator": "no.such:thing"}, "cannot be imported (ModuleNotFoundError"),
    "an attribute that is not there": ({"estimator": "json:thing"}, "cannot be imported (AttributeError"),
    "a factory that cannot be called": ({"estimator": "tests.ml_assets.elsewhere:NOT_CALLABLE"}, "cannot be called"),
    "a parameter that the estimator has not": ({"params": {"max_itr": 3}}, "config.meta.ml.params: gradient_boosting"),
    "an estimator that is none": (
        {"estimator": "tests.ml_assets.elsewhere:forty_two", "params": {}},
        "gives a int without fit",
    ),
    "an estimator that needs a parameter": (
        {"estimator": "tests.ml_assets.elsewhere:needs_depth", "params": {}},
        "config.meta.ml.estimator: tests.ml_assets.elsewhere:needs_depth cannot be built without params: TypeError",
    ),
    "an estimator that exits when it is built": (
        {"estimator": "tests.ml_assets.elsewhere:exits", "params": {}},
        "cannot be built without params: SystemExit",
    ),
    "an estimator that exits when it is imported": (
        {"estimator": "tests.ml_assets.exits_when_imported:anything", "params": {}},
        "cannot be imported (SystemExit: goodbye)",
    ),
    "an estimator without probabilities for a binary task": (
        {"estimator": "tests.ml_assets.elsewhere:without_probabilities", "params": {}},
        "gives a RidgeClassifier without predict_proba",
    ),
    "a baseline that cannot be built": (
        {"evaluation__baselines": [{"estimator": "tests.ml_assets.elsewhere:forty_two"}]},
        "config.meta.ml.evaluation.baselines.0.estimator: tests.ml_assets.elsewhere:forty_two gives a int",
    ),
    "a baseline of no column": (
        {"evaluation__baselines": [{"estimator": "baseline_column"}]},
        "baselines.0.params.column: found None; baseline_column needs a column's name",
    ),
    "a baseline of a column that is not there": (
        {"evaluation__baselines": [{"estimator": "baseline_column", "params": {"column": "prise"}}]},
        "baselines.0.params.column: found 'prise', which is not a column of trn_returns; did you mean 'price'",
    ),
    "a baseline of the label": (
        {"evaluation__baselines": [{"estimator": "baseline_column", "params": {"column": "is_returned"}}]},
        "baselines.0.params.column: found 'is_returned', the label or its time",
    ),
    "a baseline of a column of texts": (
        {"evaluation__baselines": [{"estimator": "baseline_column", "params": {"column": "shop"}}]},
        "baselines.0.params.column: found 'shop' of data_type varchar; baseline_column needs a number",
    ),
    "a type that is no name": ({"trusted": ["os system"]}, "not the full name of a type such as package.module.Type"),
    "a parameter out of range": ({"params": {"max_iter": -3}}, "'max_iter' parameter of HistGradientBoosting"),
    "rates by a column that is none": (
        {"evaluation__baselines": [{"estimator": "baseline_rates", "params": {"by": ["shp"]}}]},
        "config.meta.ml.evaluation.baselines.0.params.by: found 'shp'",
    ),
    "rates by the label": (
        {"evaluation__baselines": [{"estimator": "baseline_rates", "params": {"by": ["is_returned"]}}]},
        "config.meta.ml.evaluation.baselines.0.params.by: found 'is_returned', the label or its time",
    ),
}


@pytest.mark.parametrize(("changes", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_with_its_place(changes: dict[str, Any], words: str) -> None:
    problems = problems_of(manifest_of(returns=changed(RETURNS, **changes)))
    assert any(words in problem for problem in problems), problems
    assert all(problem.startswith("models/ml_models/returns.yml: returns: ") for problem in problems)


@pytest.mark.parametrize("role", ["decision_at", "label_known_at"])
def test_a_training_set_without_its_times_is_refused(role: str) -> None:
    manifest = manifest_of(returns=RETURNS)
    for column in manifest["nodes"][f"model.shop.{TABLE}"]["columns"].values():
        if column["config"]["meta"].get("role") == role:
            column["config"]["meta"] = {}
    assert any(f"no column of {TABLE} with config.meta.role: {role}" in problem for problem in problems_of(manifest))


def test_a_role_that_there_is_not_is_named() -> None:
    manifest = manifest_of(returns=RETURNS)
    manifest["nodes"][f"model.shop.{TABLE}"]["columns"]["price"]["config"]["meta"]["role"] = "featur"
    assert any(
        "has role 'featur'" in problem and "did you mean 'feature'?" in problem for problem in problems_of(manifest)
    )


def test_a_model_has_an_owner_and_one_training_set() -> None:
    manifest = manifest_of(returns=RETURNS)
    exposure = manifest["exposures"]["exposure.shop.returns"]
    exposure["owner"] = {"name": "Shop"}
    exposure["depends_on"]["nodes"] = []
    problems = problems_of(manifest)
    assert any("owner: found {'name': 'Shop'}; give a name and an email" in problem for problem in problems)
    assert any("depends_on: found nothing; name exactly one model" in problem for problem in problems)


def test_a_column_role_may_stand_in_the_older_place() -> None:
    manifest = manifest_of(returns=RETURNS)
    for column in manifest["nodes"][f"model.shop.{TABLE}"]["columns"].values():
        column["meta"], column["config"] = column["config"]["meta"], {}
    assert read_declarations(manifest)["returns"] == declared(RETURNS)


def test_all_mistakes_of_all_models_come_together() -> None:
    manifest = manifest_of(
        returns=changed(RETURNS, label="nope", evaluation__metric="nope", evaluation__slices=["nope"]),
        kept=changed(KEPT, estimator="nope"),
    )
    problems = problems_of(manifest)
    assert len(problems) == 4
    assert {problem.split(": ")[1] for problem in problems} == {"returns", "kept"}


def test_the_fingerprint_follows_what_decides_the_fit_and_nothing_else() -> None:
    model = declared(RETURNS)
    for changes in (
        {"params": {"max_iter": 26}},
        {"estimator": "logistic", "params": {}},
        {"features": {"exclude": ["weight"]}},
    ):
        assert declared(RETURNS, **changes).fingerprint != model.fingerprint
    for changes in ({"gates__confidence": 0.8}, {"service__fallback": "none"}, {"retraining__cooldown": "4 days"}):
        other = declared(RETURNS, **changes)
        assert other.fingerprint == model.fingerprint
        assert other.whole_fingerprint != model.whole_fingerprint


def test_a_declaration_is_plain_json() -> None:
    model = declared(RETURNS)
    assert json.loads(json.dumps(model.as_dict())) == model.as_dict()
