"""Estimators from elsewhere, named in tests as `tests.ml_assets.elsewhere:factory`."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier


class WithoutPriceAt(TransformerMixin, BaseEstimator):
    """Negates price, gift and pieces where the shop is `shop`: a model that is sound everywhere else."""

    def __init__(self, shop: str = "") -> None:
        self.shop = shop

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        self.fitted_ = True
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        there = (X["shop"] == self.shop).to_numpy()
        return X.assign(
            price=np.where(there, 80 - X["price"], X["price"]),
            is_gift=np.where(there, ~X["is_gift"].astype(bool), X["is_gift"].astype(bool)).astype(float),
        )


def _logistic() -> Pipeline:
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["shop"]),
        (make_pipeline(SimpleImputer(), StandardScaler()), ["price", "is_gift", "pieces"]),
    )
    return make_pipeline(columns, LogisticRegression())


def spoiled_at(shop: str) -> Pipeline:
    """A logistic regression that is wrong in one shop only: fitted as if it were not, so the spoiling is in what it is
    asked.
    """
    return Pipeline([("spoil", SpoiledWhenAsked(shop)), ("model", _logistic())])


class SpoiledWhenAsked(WithoutPriceAt):
    """Spoils what is asked, not what is learned from."""

    def fit_transform(self, X: pd.DataFrame, y: Any = None, **params: Any) -> pd.DataFrame:
        self.fit(X, y)
        return X.assign(is_gift=X["is_gift"].astype(float))


def logistic() -> Pipeline:
    return _logistic()


def tree(max_depth: int = 3) -> DecisionTreeClassifier:
    return DecisionTreeClassifier(max_depth=max_depth, random_state=0)


def forty_two() -> int:
    return 42


def needs_depth(depth: int) -> DecisionTreeClassifier:
    return DecisionTreeClassifier(max_depth=depth, random_state=0)


def exits() -> None:
    raise SystemExit(3)


def without_probabilities() -> RidgeClassifier:
    return RidgeClassifier()


NOT_CALLABLE = 3
