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

from ml_assets.fitting.encoders import Frame, as_table
from ml_assets.measuring.metrics import Floats

pc: Any = pyarrow.compute  # its functions are made when it is imported, where type checkers cannot see them


class ConstantBaseline(BaseEstimator):
    """One number for all: the base rate of a binary label, the median of any other."""

    def __init__(self, task: str = "binary_classification") -> None:
        self.task = task

    def fit(self, X: Frame, y: Floats) -> Self:  # noqa: ARG002 (scikit-learn's signature)
        """Learns the number."""
        self.value_ = float(np.mean(y) if self.task == "binary_classification" else np.median(y))
        return self

    def predict_value(self, X: Frame) -> Floats:
        """The number, once a row: float64, shape (rows,)."""
        return np.full(as_table(X).num_rows, self.value_)


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
