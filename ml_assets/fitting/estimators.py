"""Estimators by name, and one way to build and to ask them.

What belongs here: the shipped estimators' recipes and defaults, and the contract for those from elsewhere. What does
not: their fitting (`training.py`) and which names exist (`declaration.SHIPPED_ESTIMATORS`).

An estimator from elsewhere is named `package.module:factory`; `factory(**params)` returns either a scikit-learn
`Pipeline`, which then gets a DataFrame of the declared features, or any other estimator, which gets float64 (categories
as codes, NaN where missing) from a `FeatureEncoder` in front of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from ml_assets.declaration.model import BASELINES, ModelDeclaration
from ml_assets.declaration.outside import factory_of
from ml_assets.declaration.schema import Baseline
from ml_assets.errors import TrainingError
from ml_assets.fitting.baselines import ColumnBaseline, ConstantBaseline, RatesBaseline
from ml_assets.fitting.encoders import FeatureEncoder, FrameSelector
from ml_assets.fitting.threads import limited_to
from ml_assets.measuring.metrics import PINBALL_QUANTILE, Floats

# Trees read a whole batch once a tree: a batch that stays in the processor's cache is scored more than twice as fast as
# all rows at once.
BATCH_ROWS = 16_384

_BOOSTING_DEFAULTS: Mapping[str, Any] = {
    "learning_rate": 0.06,
    "max_iter": 250,
    "max_leaf_nodes": 31,
    "min_samples_leaf": 100,
    "l2_regularization": 1.0,
}
_BOOSTING_LOSS = {"mae": "absolute_error", "rmse": "squared_error", "pinball": "quantile"}


# What makes an estimator from elsewhere give the same model again, on every machine; `params` may say otherwise.
_OUTSIDE_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "lightgbm": {
        "random_state": 0,
        "n_jobs": 1,
        "deterministic": True,
        "force_col_wise": True,  # otherwise it takes the time of both ways, and the faster one decides the sums
        "verbosity": -1,
    },
    "xgboost": {"random_state": 0, "n_jobs": 1, "verbosity": 0},
}


def build_estimator(declaration: ModelDeclaration) -> Pipeline:
    """The declared estimator, unfitted.

    Raises:
        TypeError, ValueError: whatever the estimator makes of parameters that it does not know.
    """
    return _build(declaration.estimator, declaration.params, declaration)


def build_baseline(baseline: Baseline, declaration: ModelDeclaration) -> Pipeline:
    """One of the declaration's baselines, unfitted."""
    return _build(baseline.estimator, baseline.params, declaration)


def predict(model: Pipeline, inputs: pa.Table, task: str) -> Floats:
    """The probability of label 1, or the value: float64, shape (rows,), all finite.

    Raises:
        TrainingError: if the model answers with something else.
    """
    starts = range(0, inputs.num_rows, BATCH_ROWS)
    with limited_to(1):
        batches = [_predict_batch(model, inputs.slice(start, BATCH_ROWS), task) for start in starts]
    predictions = np.concatenate(batches) if batches else np.zeros(0)
    if not np.isfinite(predictions).all():
        raise TrainingError(
            f"{type(model[-1]).__name__}: {np.sum(~np.isfinite(predictions))} predictions are not finite; does it "
            "accept missing values (NaN)?"
        )
    return predictions


def why_no_answer(model: Pipeline, task: str) -> str | None:
    """What a fitted model lacks to answer a task; None if it lacks nothing that can be told without asking it."""
    last: Any = model[-1]
    if hasattr(last, "predict_value"):
        return None
    if task == "regression":
        if hasattr(last, "predict") and not hasattr(last, "classes_"):
            return None
        return f"{type(last).__name__} predicts no value, and a regression is declared"
    if not hasattr(last, "predict_proba"):
        return (
            f"{type(last).__name__} has no predict_proba; a binary_classification needs probabilities (wrap it in "
            "CalibratedClassifierCV)"
        )
    if 1 not in list(getattr(last, "classes_", ())):
        return f"{type(last).__name__} does not know the label 1"
    return None


def _predict_batch(model: Pipeline, inputs: pa.Table, task: str) -> Floats:
    last: Any = model[-1]
    if hasattr(last, "predict_value"):
        return last.predict_value(inputs)
    if task == "regression":
        return np.asarray(model.predict(inputs), dtype=np.float64).ravel()
    lacking = why_no_answer(model, task)
    if lacking:
        raise TrainingError(lacking)
    return np.asarray(model.predict_proba(inputs), dtype=np.float64)[:, list(last.classes_).index(1)]


def _build(name: str, params: Mapping[str, Any], declaration: ModelDeclaration) -> Pipeline:
    if name in BASELINES:
        return Pipeline([("model", _baseline(name, params, declaration))])
    encoder = FeatureEncoder(list(declaration.categorical_features), list(declaration.numeric_features))
    if name == "gradient_boosting":
        return Pipeline([("encode", encoder), ("model", _gradient_boosting(params, declaration))])
    if name in ("logistic", "linear"):
        return Pipeline(
            [("encode", encoder), ("prepare", _for_linear_models(declaration)), ("model", _linear(name, params))]
        )
    built = factory_of(name)(**{**_OUTSIDE_DEFAULTS.get(name.partition(":")[0], {}), **params})
    first = (
        FrameSelector([feature.name for feature in declaration.features]) if isinstance(built, Pipeline) else encoder
    )
    return Pipeline([("encode", first), ("model", built)])


def _baseline(name: str, params: Mapping[str, Any], declaration: ModelDeclaration) -> Any:
    if name == "baseline_rates":
        return RatesBaseline(**params)
    quantile = _best_quantile(declaration)
    if name == "baseline_constant":
        return ConstantBaseline(**{"quantile": quantile, **params})
    if name == "last_value" and set(params) != {"column"}:
        raise TypeError("last_value takes a column and nothing else; baseline_column takes a factor besides")
    limits = {"lowest": 0.0, "highest": 1.0} if declaration.task == "binary_classification" else {}
    return ColumnBaseline(**{"quantile": quantile, **limits, **params})


def _best_quantile(declaration: ModelDeclaration) -> float | None:
    """The quantile that the declared metric is least at; None for the mean, as of every metric of squares or
    probabilities.
    """
    return {"mae": 0.5, "pinball": PINBALL_QUANTILE}.get(declaration.evaluation.metric)


def _gradient_boosting(
    params: Mapping[str, Any], declaration: ModelDeclaration
) -> HistGradientBoostingClassifier | HistGradientBoostingRegressor:
    categorical = list(range(len(declaration.categorical_features))) or None
    chosen = {**_BOOSTING_DEFAULTS, **params}
    fixed = {"random_state": 0, "early_stopping": False, "categorical_features": categorical}
    if declaration.task == "binary_classification":
        return _with_known_params(HistGradientBoostingClassifier, {**fixed, **chosen})
    loss = _BOOSTING_LOSS[declaration.evaluation.metric]
    quantile = {"quantile": PINBALL_QUANTILE} if loss == "quantile" else {}
    return _with_known_params(HistGradientBoostingRegressor, {**fixed, "loss": loss, **quantile, **chosen})


def _linear(name: str, params: Mapping[str, Any]) -> LogisticRegression | Ridge:
    if name == "logistic":
        return _with_known_params(LogisticRegression, {"max_iter": 300, "random_state": 0, **params})
    return _with_known_params(Ridge, {"solver": "cholesky", "random_state": 0, **params})


def _with_known_params(kind: Any, params: dict[str, Any]) -> Any:
    estimator = kind(**params)
    estimator._validate_params()  # scikit-learn's own check of ranges and types, which it makes only in fit
    return estimator


def _for_linear_models(declaration: ModelDeclaration) -> ColumnTransformer:
    categories = len(declaration.categorical_features)
    numeric = Pipeline(
        [
            ("impute", SimpleImputer(strategy="median", keep_empty_features=True, add_indicator=True)),
            ("scale", StandardScaler()),
        ]
    )
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    places = list(range(len(declaration.features)))
    steps = [("categorical", one_hot, places[:categories]), ("numeric", numeric, places[categories:])]
    return ColumnTransformer([step for step in steps if step[2]], sparse_threshold=0)


def why_not_built(declaration: ModelDeclaration) -> list[tuple[str, str]]:
    """What speaks against the declared estimator and its baselines once they are built: place below `config.meta.ml`
    and words, for each.
    """
    tried = [("", declaration.estimator, declaration.params)]
    tried += [
        (f"evaluation.baselines.{at}.", baseline.estimator, baseline.params)
        for at, baseline in enumerate(declaration.baselines)
    ]
    problems = []
    for place, name, params in tried:
        words = _trouble_with(name, params, declaration)
        if words:
            problems.append((f"{place}{'params' if params else 'estimator'}", words))
    return problems


def _trouble_with(name: str, params: Mapping[str, Any], declaration: ModelDeclaration) -> str | None:
    try:
        built: Any = _build(name, params, declaration)[-1]
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever the estimator makes of its parameters, also SystemExit
        given = f"with {dict(params)}" if params else "without params"
        return f"{name} cannot be built {given}: {type(error).__name__}: {error}"
    if hasattr(built, "predict_value"):
        return None
    wanted = ("fit", "predict_proba" if declaration.task == "binary_classification" else "predict", "get_params")
    lacking = [verb for verb in wanted if not callable(getattr(built, verb, None))]
    if lacking:
        return (
            f"{name} gives a {type(built).__name__} without {', '.join(lacking)}; a {declaration.task} needs a "
            f"scikit-learn estimator with {', '.join(wanted)}"
        )
    return None
