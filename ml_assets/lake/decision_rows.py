"""The rows of a training set as the lifecycle uses them: inputs, label, times and keys, in one fixed order.

What belongs here: turning a published table into such rows, choosing among them, hashing them. What does not: which
rows may train (`splitting.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

from ml_assets.declaration.model import ModelDeclaration, columns_named
from ml_assets.errors import ColumnsMissing
from ml_assets.lake.decision_keys import decision_keys
from ml_assets.lake.snapshot import Snapshot
from ml_assets.measuring.metrics import Codes, Floats
from ml_assets.moments import Moments

pc: Any = pyarrow.compute  # its functions are made when it is imported, where type checkers cannot see them


@dataclass(frozen=True, eq=False, repr=False)
class DecisionRows:
    """Rows ordered by (decision_at, key).

    `inputs` has the declared features, slices and baseline columns, text as dictionaries; `label` is float64 with NaN
    where unknown; `decision_at` and `label_known_at` are datetime64[us], UTC, NaT where unknown; `keys` are the
    decisions' keys (`decision_keys.py`).
    """

    inputs: pa.Table
    label: Floats
    decision_at: Moments
    label_known_at: Moments
    keys: pa.Array

    def __len__(self) -> int:
        return len(self.label)

    def __repr__(self) -> str:
        return f"<DecisionRows: {len(self):,} rows, {self.inputs.num_columns} inputs>"

    def where(self, chosen: npt.NDArray[np.bool_]) -> DecisionRows:
        """The rows where the mask holds."""
        if chosen.all():
            return self
        mask = pa.array(chosen)
        return DecisionRows(
            self.inputs.filter(mask).combine_chunks(),
            self.label[chosen],
            self.decision_at[chosen],
            self.label_known_at[chosen],
            self.keys.filter(mask),
        )

    @cached_property
    def day(self) -> tuple[Codes, Moments]:
        """The day (UTC) of each decision as a code, and the days that the codes stand for."""
        days, codes = np.unique(self.decision_at.astype("datetime64[D]"), return_inverse=True)
        return codes.astype(np.int64), days

    def content_hash(self) -> str:
        """sha256 over every value, column by column; the same rows give the same hash however they were stored."""
        digest = hashlib.sha256(str(len(self)).encode())
        for name in sorted(self.inputs.column_names):
            digest.update(f"|{name}|".encode())
            _hash_column(digest, self.inputs[name])
        for values in (self.label, self.decision_at.view("int64"), self.label_known_at.view("int64")):
            digest.update(np.ascontiguousarray(values).data)
        _hash_column(digest, pa.chunked_array([self.keys]))
        return digest.hexdigest()


def input_columns(declaration: ModelDeclaration, extra: Sequence[str] = ()) -> list[str]:
    """The features, then the slices, the baselines' columns and `extra` that are not among them."""
    names = [feature.name for feature in declaration.features] + list(declaration.evaluation.slices) + list(extra)
    for one in (declaration, *declaration.baselines):
        names += columns_named(one.estimator, one.params)
    return list(dict.fromkeys(names))


def needed_columns(declaration: ModelDeclaration, extra: Sequence[str] = ()) -> list[str]:
    """The columns of the training set that the model's lifecycle reads."""
    names = [
        *input_columns(declaration, extra),
        *declaration.entity,
        declaration.decision_at,
        declaration.label,
        declaration.label_known_at,
    ]
    return list(dict.fromkeys(names))


def decision_rows(table: pa.Table, declaration: ModelDeclaration, extra: Sequence[str] = ()) -> DecisionRows:
    """The table's rows in their fixed order, with the `extra` columns (of an older version, say) among the inputs.

    Raises:
        ColumnsMissing: if the table lacks a column that the declaration needs.
    """
    missing = [name for name in needed_columns(declaration, extra) if name not in table.column_names]
    if missing:
        raise ColumnsMissing(
            f"{declaration.training_set}: no column {', '.join(missing)} (columns: {', '.join(table.column_names)}); "
            f"build the table again, or mend {declaration.file}"
        )
    keys = decision_keys(table, declaration.entity)
    decision_at = moments(table[declaration.decision_at])
    order = _order(decision_at, keys)
    if order is not None:
        table, keys, decision_at = table.take(order), keys.take(order), decision_at[order]
    inputs = pa.table({name: _compact(table[name]) for name in input_columns(declaration, extra)})
    return DecisionRows(
        inputs, numbers(table[declaration.label]), decision_at, moments(table[declaration.label_known_at]), keys
    )


def read_rows(
    lake: Snapshot, declaration: ModelDeclaration, extra: tuple[str, ...] = (), parts: Sequence[str] | None = None
) -> DecisionRows:
    """The training set's rows, or those of some parts, with the columns that the lifecycle needs, and `extra` ones."""
    table = lake.read(declaration.training_set, needed_columns(declaration, extra), parts)
    return decision_rows(table, declaration, extra)


def numbers(column: pa.ChunkedArray) -> Floats:
    """The column as float64, NaN where null; booleans are 0 and 1."""
    kind = column.type
    if pa.types.is_boolean(kind):
        column = column.cast(pa.uint8())
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)


def moments(column: pa.ChunkedArray) -> Moments:
    """The column as datetime64[us] in UTC, NaT where null."""
    return (
        column.cast(pa.timestamp("us", column.type.tz) if pa.types.is_timestamp(column.type) else pa.timestamp("us"))
        .to_numpy()
        .astype("datetime64[us]")
    )


def _compact(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = column.cast(pa.string()).dictionary_encode()
    if pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    return pa.chunked_array([column.combine_chunks()]) if column.num_chunks != 1 else column


def _order(decision_at: Moments, keys: pa.Array) -> npt.NDArray[np.int64] | None:
    """The order by (decision_at, key), or None if the rows are in it already."""
    steps = np.diff(decision_at.view("int64"))
    if (steps >= 0).all():
        ties = np.flatnonzero(steps == 0)
        if not len(ties) or pc.all(pc.less_equal(keys.take(pa.array(ties)), keys.take(pa.array(ties + 1)))).as_py():
            return None
    order = pc.sort_indices(
        pa.table({"at": decision_at.view("int64"), "key": keys}), [("at", "ascending"), ("key", "ascending")]
    )
    return order.to_numpy().astype(np.int64)


def _hash_column(digest: hashlib._Hash, column: pa.ChunkedArray) -> None:
    values = column.combine_chunks()
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    digest.update(str(values.type).encode())
    digest.update(np.ascontiguousarray(values.is_null().to_numpy(zero_copy_only=False)).data)
    if pa.types.is_string(values.type):
        encoded = values.dictionary_encode()  # codes in the order of first appearance: decided by the rows alone
        digest.update("\x1f".join(encoded.dictionary.to_pylist()).encode())
        digest.update(np.ascontiguousarray(encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)).data)
    elif pa.types.is_timestamp(values.type):
        digest.update(np.ascontiguousarray(values.cast(pa.int64()).fill_null(0).to_numpy()).data)
    elif (
        (boolean := pa.types.is_boolean(values.type))
        or pa.types.is_integer(values.type)
        or pa.types.is_floating(values.type)
    ):
        digest.update(
            np.ascontiguousarray(values.fill_null(False if boolean else 0).to_numpy(zero_copy_only=False)).data
        )
    else:
        digest.update("\x1f".join(map(str, values.to_pylist())).encode())
