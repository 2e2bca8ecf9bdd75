"""Columns of Arrow tables as numpy arrays, for what must answer at once.

What belongs here: the values as they lie in memory. What does not: rows of decisions (`decision_rows.py`).

pyarrow's own way to numpy imports pandas, which takes longer than all that `perennial status` does; so does comparing
with a Python value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ml_assets.moments import Moments

if TYPE_CHECKING:
    import pyarrow as pa

Mask = npt.NDArray[np.bool_]


def values_of(column: pa.ChunkedArray | pa.Array) -> npt.NDArray[Any]:
    """The values of a column of numbers; those of nulls are anything."""
    array = column.combine_chunks() if hasattr(column, "combine_chunks") else column
    values = np.frombuffer(array.buffers()[1] or b"", dtype=str(array.type).replace("double", "float64"))
    return values[array.offset : array.offset + len(array)]


def is_known(column: pa.ChunkedArray | pa.Array) -> Mask:
    """Where a column is not null."""
    return values_of(column.is_valid().cast("uint8")) == 1


def moments_of(column: pa.ChunkedArray | pa.Array) -> Moments:
    """A column of moments as datetime64[us], UTC, NaT where null."""
    values = values_of(column.cast("timestamp[us]").cast("int64")).astype("datetime64[us]")
    return np.where(is_known(column), values, np.datetime64("NaT", "us"))


def equals(rows: pa.Table, name: str, value: object) -> Mask:
    """Where a column has a value that is not null."""
    encoded = rows[name].combine_chunks().dictionary_encode()
    present = encoded.dictionary.to_pylist()
    is_it = values_of(encoded.indices.cast("int64")) == (present.index(value) if value in present else -1)
    return is_it & is_known(rows[name])
