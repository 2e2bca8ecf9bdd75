"""How much of what a model relies on is missing from a row, beyond what the model knows.

What belongs here: that share, row by row, and the words for it. What does not: who answers such a row (`scoring.py`).

A feature counts as missing if it is null in the row and was null in at most `RARELY` of the rows that the version
learned from. One that was null more often counts for nothing: the model has learned what its absence means. Each
feature counts by the version's reliance on it (permutation importance, `reliance.py`) as a fraction of its reliance on
all; where none is known, all features count the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

from ml_assets.declaration.model import ModelDeclaration
from ml_assets.errors import ResultCorrupt
from ml_assets.lake.decision_rows import moments
from ml_assets.lake.snapshot import Snapshot
from ml_assets.measuring.metrics import Floats
from ml_assets.moments import as_datetime64
from ml_assets.registry.versions import Version

pc: Any = pyarrow.compute  # its functions are made when it is imported, where type checkers cannot see them

RARELY = 0.05
# From here on an answer is marked, whoever gives it.
MARKED_SHARE = 0.1
_NAMED = 3


@dataclass(frozen=True, eq=False)
class Gaps:
    """Of some rows: the share of the model's reliance that each is missing, and which features those are.

    `share` has one value a row; `absent` one column a feature that is missing anywhere, in the order of `names`, and
    `weights` are their parts of the reliance.
    """

    share: Floats
    absent: npt.NDArray[np.bool_]
    names: tuple[str, ...]
    weights: Floats

    def in_words(self, version: int) -> list[str]:
        """One text a row: the share, and the features that weigh most in it."""
        if not self.names:
            return [""] * len(self.share)
        patterns, places = np.unique(self.absent, axis=0, return_inverse=True)
        texts = [self._text(pattern, version) for pattern in patterns]
        return [texts[place] for place in places.ravel()]

    def where(self, chosen: npt.NDArray[np.bool_]) -> Gaps:
        """Those of the rows where the mask holds."""
        return Gaps(self.share[chosen], self.absent[chosen], self.names, self.weights)

    def _text(self, pattern: npt.NDArray[np.bool_], version: int) -> str:
        found = sorted(
            ((weight, name) for weight, name, absent in zip(self.weights, self.names, pattern, strict=True) if absent),
            key=lambda pair: (-pair[0], pair[1]),
        )
        named = ", ".join(f"{name} {weight:.0%}" for weight, name in found[:_NAMED])
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        return (
            f"{sum(weight for weight, _ in found):.0%} of what version {version} relies on is missing ({named}{more})"
        )


def gaps_in(inputs: pa.Table, weights: Mapping[str, float]) -> Gaps:
    """What is missing from each row, for `counted_weights`; NaN is missing like null."""
    columns = {name: pc.is_null(inputs[name], nan_is_null=True) for name in weights}
    names = tuple(name for name, column in columns.items() if pc.any(column).as_py())
    absent = np.zeros((inputs.num_rows, len(names)), dtype=bool)
    for place, name in enumerate(names):
        absent[:, place] = columns[name].to_numpy()
    parts = np.array([weights[name] for name in names], dtype=np.float64)
    return Gaps(absent @ parts, absent, names, parts)


def counted_weights(
    reliance: Mapping[str, float], null_shares: Mapping[str, float], features: Sequence[str]
) -> dict[str, float]:
    """By feature that counts when it is missing: its part of the whole reliance.

    >>> counted_weights({"a": 3.0, "b": 1.0}, {"a": 0.0, "b": 0.2}, ["a", "b"])
    {'a': 0.75}
    """
    total = sum(reliance.get(name, 0.0) for name in features)
    parts = {name: reliance.get(name, 0.0) / total if total > 0 else 1 / len(features) for name in features}
    return {name: part for name, part in parts.items() if part > 0 and null_shares.get(name, 1.0) <= RARELY}


def weights_of(lake: Snapshot, declaration: ModelDeclaration, version: Version) -> dict[str, float]:
    """`counted_weights` of a version, from what the lake knows of it."""
    try:
        reliance = lake.read_reliance(declaration.name, version.version)
    except ResultCorrupt:  # an unreadable figure is one that is not known
        reliance = {}
    features = version.inputs
    return counted_weights(reliance, training_null_shares(lake, declaration, version), features)


def training_null_shares(lake: Snapshot, declaration: ModelDeclaration, version: Version) -> dict[str, float]:
    """By feature: the share of nulls among the published rows that the version learned from.

    Counted once a version and kept in the lake; empty if there are no such rows.
    """
    try:
        known = lake.read_null_shares(version.model, version.version)
    except ResultCorrupt:  # they are counted again
        known = {}
    if known:
        return known
    rows, nulls = 0, dict.fromkeys((name for name, _ in version.schema), 0)
    through = as_datetime64(version.trained_through)
    for part in lake.parts(declaration.training_set):
        known_at = moments(lake.read(part.table, [declaration.label_known_at], [part.part]).column(0))
        learned = ~np.isnat(known_at) & (known_at <= through)
        if learned.any():
            rows += int(learned.sum())
            table = lake.read(part.table, list(nulls), [part.part]).filter(pa.array(learned))
            for name in nulls:
                nulls[name] += int(pc.sum(pc.is_null(table[name], nan_is_null=True)).as_py() or 0)
    shares = {name: count / rows for name, count in nulls.items()} if rows else {}
    if shares:
        lake.write_null_shares(version.model, version.version, shares)
    return shares
