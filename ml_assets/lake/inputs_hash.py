"""One hash a row over what a model is given, so that it can be told later whether the row has changed.

What belongs here: that hash. What does not: counting the changes (`observing/skew.py`).

The hash of a row is 64 bits as 16 hexadecimal digits:

    value  =  a number (a boolean is 0 or 1) as the bits of its float64, -0.0 as 0.0;
              a text as the first 8 bytes, little-endian, of BLAKE2b-64 over its UTF-8;
              null or NaN, which a model cannot tell apart, as 0x9E3779B97F4A7C15
    column =  mix(value xor mix(BLAKE2b-64 of the column's name))
    row    =  mix(sum of its columns modulo 2^64)

`mix` is the finaliser of SplitMix64 (Steele, Lea and Flood 2014). So it depends on names and values alone: not on the
order of columns or rows, on how texts are stored, on the width of a number, on the process or the version of a library.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

pc: Any = pyarrow.compute  # its functions are made when it is imported, where type checkers cannot see them

Bits = npt.NDArray[np.uint64]
MISSING = np.uint64(0x9E3779B97F4A7C15)


def inputs_hash(inputs: pa.Table, columns: Sequence[str]) -> pa.Array:
    """The hash of each row over the named columns, as text.

    >>> one = pa.table({"a": [1, None], "b": ["x", "y"]})
    >>> other = pa.table({"b": pa.array(["x", "y"]).dictionary_encode(), "a": [1.0, float("nan")], "c": [7, 8]})
    >>> inputs_hash(one, ["a", "b"]).equals(inputs_hash(other, ["b", "a"]))
    True
    """
    total = np.zeros(inputs.num_rows, dtype=np.uint64)
    for name in columns:
        total += _mix(_values(inputs[name]) ^ _mix(np.array([_of_text(name)])))
    return pa.array([f"{value:016x}" for value in _mix(total).tolist()], pa.string())


def _values(column: pa.ChunkedArray) -> Bits:
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind):
        encoded = column.dictionary_encode() if not pa.types.is_dictionary(kind) else column
        return np.concatenate([_of_texts(chunk) for chunk in encoded.chunks] or [np.zeros(0, np.uint64)])
    if pa.types.is_boolean(kind):
        column = column.cast(pa.uint8())
    missing = np.asarray(pc.is_null(column, nan_is_null=True))
    plain = column.cast(pa.float64(), safe=False).fill_null(0.0)
    bits = (np.asarray(plain.to_numpy()) + 0.0).view(np.uint64)
    return np.where(missing, MISSING, bits)


def _of_texts(chunk: pa.DictionaryArray) -> Bits:
    of_each = [MISSING if text is None else _of_text(text) for text in chunk.dictionary.cast(pa.string()).to_pylist()]
    places = chunk.indices.fill_null(len(of_each)).to_numpy(zero_copy_only=False)
    return np.array([*of_each, MISSING], dtype=np.uint64)[places]


def _of_text(text: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little"))


def _mix(values: Bits) -> Bits:
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
