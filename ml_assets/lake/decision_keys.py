"""A decision's key as text: the one spelling, for Python and (`macros/point_in_time/decision_key.sql`) for dbt.

What belongs here: the spelling. What does not: which columns are the key (role `entity`).

The entity columns in their order, joined by `|`. Null is empty text; a text has `\\` before each of its `\\` and `|`; a
number is its decimal digits; a date `2013-10-31`; a moment `2013-10-31 18:30:00` in UTC, with `.000001` to the
microsecond where it has some; a boolean `true` or `false`. A fraction in binary (float, double) identifies nothing and
is refused when it is declared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute

from ml_assets.errors import LakeError

pc: Any = pyarrow.compute  # its functions are made when it is imported, where type checkers cannot see them


def decision_keys(table: pa.Table, entity: Sequence[str]) -> pa.Array:
    """The keys of a table's rows.

    >>> decision_keys(pa.table({"order": [7, None], "line": ["a|b", "c"]}), ["order", "line"]).to_pylist()
    ['7|a\\\\|b', '|c']

    Raises:
        LakeError: if a column is of a type that identifies nothing.
    """
    texts = [pc.fill_null(_text_of(name, table[name]), "").combine_chunks() for name in entity]
    joined = texts[0] if len(texts) == 1 else pc.binary_join_element_wise(*texts, "|")
    return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined


def _text_of(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_null(kind):  # of a table without a row
        return column.cast(pa.string())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _escaped(column.cast(pa.string()))
    if pa.types.is_timestamp(kind):
        return _moments(column)
    if pa.types.is_decimal(kind):
        return pa.chunked_array([[None if one is None else f"{one:f}" for one in column.to_pylist()]], pa.string())
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_date32(kind):
        return column.cast(pa.string())
    raise LakeError(
        f"entity column {name} is of type {kind}, which identifies no decision; cast it to an integer, a decimal, a "
        "text, a date or a timestamp"
    )


def _escaped(column: pa.ChunkedArray) -> pa.ChunkedArray:
    for sign in ("\\", "|"):
        column = pc.replace_substring(column, sign, f"\\{sign}")
    return column


def _moments(column: pa.ChunkedArray) -> pa.ChunkedArray:
    precise = column.cast(pa.timestamp("us", column.type.tz)).cast(pa.timestamp("us"))
    whole = pc.floor_temporal(precise, unit="second")
    fraction = pc.subtract(precise.cast(pa.int64()), whole.cast(pa.int64()))
    seconds = whole.cast(pa.timestamp("s")).cast(pa.string())
    digits = pc.utf8_lpad(fraction.cast(pa.string()), width=6, padding="0")
    return pc.if_else(pc.equal(fraction, 0), seconds, pc.binary_join_element_wise(seconds, digits, "."))
