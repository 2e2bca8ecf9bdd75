"""The simple models that every candidate stands beside, and that answer when a champion cannot.

What belongs here: estimators that a person could work out with a pivot table. What does not: anything that needs an
encoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute
from sklearn.base import BaseEstimator

from ml_assets.fitting.encoders import Frame, as_table, numbers_of
from ml_assets.measuring.metrics import Floats

pc: Any = pyarrow.compute  # its functions are made when it is imported, where type checkers cannot see them


class ConstantBaseline(BaseEstimator):
    """The one number that no other constant beats on what it learned from: a `quantile` of the labels (0.5 is the
    median), or their mean where none is given.
    """

    def __init__(self, quantile: float | None = None) -> None:
        self.quantile = quantile

    def fit(self, X: Frame, y: Floats) -> Self:  # noqa: ARG002 (scikit-learn's signature)
        """Learns the number."""
        self.value_ = float(np.mean(y) if self.quantile is None else np.quantile(y, self.quantile))
        return self

    def predict_value(self, X: Frame) -> Floats:
        """The number, once a row: float64, shape (rows,)."""
        return np.full(as_table(X).num_rows, self.value_)


class ColumnBaseline(BaseEstimator):
    """The value of a column times a factor, such as what was spent last month; `otherwise_`, the number that a
    `ConstantBaseline` of this `quantile` would give, where the column has no value.

    With `lowest` and `highest` (0 and 1 for a probability) it answers nothing beyond them.
    """

    def __init__(
        self,
        column: str = "",
        factor: float = 1.0,
        quantile: float | None = None,
        lowest: float | None = None,
        highest: float | None = None,
    ) -> None:
        self.column = column
        self.factor = factor
        self.quantile = quantile
        self.lowest = lowest
        self.highest = highest

    def fit(self, X: Frame, y: Floats) -> Self:
        """Learns the number for rows without a value."""
        self.otherwise_ = ConstantBaseline(self.quantile).fit(X, y).value_
        return self

    def predict_value(self, X: Frame) -> Floats:
        """The values: float64, shape (rows,)."""
        values = numbers_of(as_table(X)[self.column]) * self.factor
        found = np.where(np.isfinite(values), values, self.otherwise_)
        return found if self.lowest is None and self.highest is None else np.clip(found, self.lowest, self.highest)


class RatesBaseline(BaseEstimator):
    """The mean label of the rows alike in the columns `by`, drawn towards the overall mean as if `shrinkage` rows had
    it.

    rate = (sum of labels + shrinkage x overall mean) / (rows + shrinkage): the posterior mean of a normal (or beta)
    prior of that weight, for rates known as m-estimate smoothing (Micci-Barreca 2001). A combination that was not seen
    has the overall mean.
    """

    def __init__(self, by: Sequence[str] = (), shrinkage: float = 20.0) -> None:
        self.by = by
        self.shrinkage = shrinkage

    def fit(self, X: Frame, y: Floats) -> Self:
        """Learns a rate for each combination."""
        groups = self._groups(as_table(X)).dictionary_encode()
        codes = groups.indices.to_numpy(zero_copy_only=False)
        label = np.asarray(y, dtype=np.float64)
        self.overall_ = float(label.mean())
        counts = np.bincount(codes, minlength=len(groups.dictionary))
        rates = (np.bincount(codes, label, len(groups.dictionary)) + self.shrinkage * self.overall_) / (
            counts + self.shrinkage
        )
        names = groups.dictionary.to_pylist()
        order = sorted(range(len(names)), key=names.__getitem__)
        self.groups_ = [names[position] for position in order]
        self.rates_ = rates[order]
        return self

    def predict_value(self, X: Frame) -> Floats:
        """The rate of each row's combination: float64, shape (rows,)."""
        groups = self._groups(as_table(X)).dictionary_encode()
        places = (
            pc.index_in(groups.dictionary, pa.array(self.groups_, pa.string()))
            .fill_null(len(self.groups_))
            .to_numpy(zero_copy_only=False)
        )
        return np.append(self.rates_, self.overall_)[places][groups.indices.to_numpy(zero_copy_only=False)]

    def _groups(self, table: pa.Table) -> pa.Array:
        texts = [pc.fill_null(table[name].cast(pa.string()), "").combine_chunks() for name in self.by]
        joined = pc.binary_join_element_wise(*texts, "|")
        return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined
