"""Skew: decisions whose row in the training set is not the one that they were answered from.

What belongs here: counting them. What does not: the hash that tells (`lake/inputs_hash.py`), the counts as they are
kept (`skew_counts.py`), what follows.

Every answer carries the hash of what its model was given. If lateness and snapshots are honest, the training set holds
the same for ever, so 0 is expected, on bad days too. What older releases have answered carries no hash and is counted
apart; so is a decision that the training set no longer holds.

A month of the training set and its days of predictions are compared again only when a byte of either has changed:
`skew.json` beside the predictions remembers the counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from ml_assets.answering.scorers import inputs_of_baseline
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.errors import ColumnsMissing, RegistryError, VersionUnusable
from ml_assets.lake.decision_keys import decision_keys
from ml_assets.lake.decision_rows import moments
from ml_assets.lake.inputs_hash import inputs_hash
from ml_assets.lake.snapshot import Lake, Part, Snapshot
from ml_assets.observing.skew_counts import Counted, Skew, remember_counts, remembered_counts
from ml_assets.registry.asking import ask
from ml_assets.registry.registry import Registry

pc: Any = pyarrow.compute  # its functions are made when it is imported, where type checkers cannot see them


def count_skew(lake: Lake, registry: Registry, declaration: ModelDeclaration) -> Skew:
    """The skew of everything that was answered.

    Raises:
        LakeError: if what is published, or a file of predictions, cannot be read.
    """
    lake, model = lake.open(), declaration.name
    columns = _Columns(registry, declaration)
    known, found = remembered_counts(lake, model), {}
    for part, days in _days_by_part(lake, declaration):
        seal = _seal(lake, model, part, days)
        before = known.get(part.part)
        found[part.part] = (
            before
            if before and before.seal == seal
            else Counted(seal, _skew_of(lake, declaration, part, days, columns))
        )
    remember_counts(lake, model, found)
    skew = sum((one.skew for one in found.values()), Skew())
    answered = sum(lake.prediction_rows_by_date(model).values())
    return replace(skew, absent=answered - skew.compared - skew.unknown)


class _Columns:
    """What each model that ever answered was given, by the hash of its file."""

    def __init__(self, registry: Registry, declaration: ModelDeclaration) -> None:
        self.registry, self.declaration = registry, declaration
        self._known: dict[tuple[int, str], tuple[str, ...] | None] = {}

    def of(self, version: int, sha256: str) -> tuple[str, ...] | None:
        """None if that cannot be told any more."""
        if (version, sha256) not in self._known:
            self._known[version, sha256] = self._find(version, sha256)
        return self._known[version, sha256]

    def _find(self, number: int, sha256: str) -> tuple[str, ...] | None:
        try:
            version = self.registry.get(self.declaration.name, number)
            if sha256 == version.sha256:
                return version.inputs
            if sha256 == version.fallback_sha256:
                return inputs_of_baseline(ask(self.registry, self.declaration, version, "fallback"))
        except (RegistryError, VersionUnusable):
            pass
        return None


def _days_by_part(lake: Snapshot, declaration: ModelDeclaration) -> Iterator[tuple[Part, list[date]]]:
    """Each part of the training set with the days of predictions that its decisions fall on."""
    answered = set(lake.prediction_dates(declaration.name))
    for part in lake.parts(declaration.training_set):
        at = moments(lake.read(part.table, [declaration.decision_at], [part.part]).column(0))
        days = sorted(answered & {day.item() for day in np.unique(at[~np.isnat(at)].astype("datetime64[D]"))})
        if days:
            yield part, days


def _skew_of(lake: Snapshot, declaration: ModelDeclaration, part: Part, days: list[date], columns: _Columns) -> Skew:
    wanted = ["decision_key", "decision_at", "model_version", "model_sha256", "inputs_hash"]
    answers = lake.read_predictions(declaration.name, days, wanted)
    keys = decision_keys(lake.read(part.table, list(declaration.entity), [part.part]), declaration.entity)
    places = pc.index_in(answers["decision_key"].combine_chunks(), keys)
    here = np.asarray(places.is_valid())
    hashed = np.asarray(answers["inputs_hash"].is_valid())
    skew = Skew(unknown=int((here & ~hashed).sum()))
    models = answers.group_by(["model_version", "model_sha256"]).aggregate([]).to_pylist()
    for model in models:
        mine = (
            here
            & hashed
            & np.asarray(
                pc.and_(
                    pc.equal(answers["model_version"], model["model_version"]),
                    pc.equal(answers["model_sha256"], model["model_sha256"]),
                )
            )
        )
        given = columns.of(model["model_version"], model["model_sha256"])
        if given is None:
            skew += Skew(unknown=int(mine.sum()))
            continue
        rows = places.filter(pa.array(mine))
        try:
            table = lake.read(part.table, given or (declaration.decision_at,), [part.part]).take(rows)
        except ColumnsMissing:
            skew += Skew(unknown=int(mine.sum()))
            continue
        mine_now = answers.filter(pa.array(mine))
        differ = np.asarray(pc.not_equal(mine_now["inputs_hash"].combine_chunks(), inputs_hash(table, given)))
        days_of = mine_now["decision_at"].to_numpy()[differ].astype("datetime64[D]")
        skew += Skew(len(rows), int(differ.sum()), first=days_of.min().item() if len(days_of) else None)
    return skew


def _seal(lake: Snapshot, model: str, part: Part, days: list[date]) -> str:
    folder = lake.predictions_folder(model)
    files = [hashlib.sha256((folder / f"{day}.parquet").read_bytes()).hexdigest() for day in days]
    return hashlib.sha256("\n".join([part.sha256, *map(str, days), *files]).encode()).hexdigest()
