"""From a table of features to the matrix that an estimator takes; what is learned on the way is part of the model.

What belongs here: scikit-learn transformers of our own. What does not: which estimator gets which (`estimators.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute
from sklearn.base import BaseEstimator, TransformerMixin

from ml_assets.measuring.metrics import Floats

pc: Any = pyarrow.compute  # its functions are made when it is imported, where type checkers cannot see them

Frame = pa.Table | pd.DataFrame


def as_table(frame: Frame) -> pa.Table:
    """The same rows as an Arrow table."""
    return frame if isinstance(frame, pa.Table) else pa.Table.from_pandas(frame, preserve_index=False)


class FeatureEncoder(TransformerMixin, BaseEstimator):
    """Categorical columns as codes, then numeric ones as they are: float64, shape (rows, features), NaN where missing.

    A category that was not seen in fitting is missing. Of a column with more than `max_categories` the most frequent
    are kept, ties by name.

    >>> frame = pd.DataFrame({"colour": ["red", "blue", "red"], "size": [1.0, None, 3.0]})
    >>> FeatureEncoder(["colour"], ["size"]).fit(frame).transform(frame.assign(colour=["red", "green", None]))
    array([[ 1.,  1.],
           [nan, nan],
           [nan,  3.]])
    """

    def __init__(self, categorical: Sequence[str] = (), numeric: Sequence[str] = (), max_categories: int = 254) -> None:
        self.categorical = categorical
        self.numeric = numeric
        self.max_categories = max_categories

    def fit(self, X: Frame, y: object = None) -> Self:  # noqa: ARG002 (scikit-learn's signature)
        """Learns the categories, sorted by name."""
        table = as_table(X)
        self.categories_ = [self._frequent(table[name]) for name in self.categorical]
        return self

    def transform(self, X: Frame) -> Floats:
        """The matrix; columns in the order categorical, numeric."""
        table = as_table(X)
        matrix = np.empty((table.num_rows, len(self.categorical) + len(self.numeric)), dtype=np.float64)
        for position, (name, categories) in enumerate(zip(self.categorical, self.categories_, strict=True)):
            matrix[:, position] = _codes(table[name], categories)
        for position, name in enumerate(self.numeric, start=len(self.categorical)):
            matrix[:, position] = numbers_of(table[name])
        return matrix

    def _frequent(self, column: pa.ChunkedArray) -> list[str]:
        counts = [
            (pair["values"], pair["counts"])
            for pair in pc.value_counts(_as_text(column)).to_pylist()
            if pair["values"] is not None
        ]
        kept = sorted(counts, key=lambda pair: (-pair[1], pair[0]))[: self.max_categories]
        return sorted(name for name, _ in kept)


class FrameSelector(TransformerMixin, BaseEstimator):
    """The named columns as a DataFrame, in that order: what a pipeline from elsewhere expects."""

    def __init__(self, columns: Sequence[str] = ()) -> None:
        self.columns = columns

    def fit(self, X: Frame, y: object = None) -> Self:  # noqa: ARG002 (scikit-learn's signature)
        """Learns nothing."""
        self.n_columns_ = len(self.columns)
        return self

    def transform(self, X: Frame) -> pd.DataFrame:
        """The columns."""
        table = as_table(X).select(list(self.columns))
        plain = [
            column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
            for column in table.columns
        ]
        return pa.table(plain, names=list(self.columns)).to_pandas()


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column if pa.types.is_string(column.type) else column.cast(pa.string())


def _codes(column: pa.ChunkedArray, categories: Sequence[str]) -> Floats:
    known = pa.array(categories, pa.string())
    codes = []
    for chunk in column.chunks:
        encoded = chunk if pa.types.is_dictionary(chunk.type) else _as_text(chunk).dictionary_encode()
        code_of = (
            pc.index_in(encoded.dictionary.cast(pa.string()), known).cast(pa.float64()).to_numpy(zero_copy_only=False)
        )
        places = encoded.indices.fill_null(len(code_of)).to_numpy(zero_copy_only=False)
        codes.append(np.append(code_of, np.nan)[places])
    return np.concatenate(codes) if codes else np.zeros(0)


def numbers_of(column: pa.ChunkedArray) -> Floats:
    """A column of numbers or booleans as float64, NaN where missing."""
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    return column.cast(pa.float64(), safe=False).to_numpy()
