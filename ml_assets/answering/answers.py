"""The answers to due rows: who gives each, and how they are marked and written.

What belongs here: one row's answer. What does not: which rows are due (`due.py`), who can be asked at all
(`scorers.py`).

Where `service.max_missing` is declared, a row that misses more than that of what the model relies on (`missing.py`) is
answered by the fallback baseline; one that misses a good part, but not that much, is answered as ever and marked.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from ml_assets.answering.due import PartRows, Positions
from ml_assets.answering.missing import MARKED_SHARE, gaps_in, weights_of
from ml_assets.answering.scorers import Scorer, choose_baseline, choose_scorer
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.errors import ColumnsMissing, LakeError, ScoringError
from ml_assets.fitting.estimators import predict
from ml_assets.lake.decision_rows import moments
from ml_assets.lake.inputs_hash import inputs_hash
from ml_assets.lake.results import PREDICTION_SCHEMA
from ml_assets.lake.snapshot import Lake, Snapshot
from ml_assets.lake.watermark import known_through
from ml_assets.moments import in_utc
from ml_assets.registry.asking import in_words
from ml_assets.registry.registry import Registry
from ml_assets.registry.versions import Standing, Version

pc: Any = pyarrow.compute  # its functions are made when it is imported, where type checkers cannot see them


class Line:
    """Who can be asked, each found out once and only if it is needed."""

    def __init__(self, lake: Snapshot, registry: Registry, declaration: ModelDeclaration, standing: Standing) -> None:
        self.lake, self.registry, self.declaration, self.standing = lake, registry, declaration, standing
        self._failed: dict[int, str] = {}
        self._scorers: dict[tuple[str, ...] | None, Scorer] = {}
        self._baselines: dict[tuple[str, ...], Scorer | str] = {}
        self._weights: dict[int, dict[str, float]] = {}

    def scorer(self, published: tuple[str, ...] | None = None) -> Scorer:
        """The first that can answer; `published` are the columns, where some are known to be missing."""
        if published not in self._scorers:
            self._scorers[published] = choose_scorer(
                self.registry,
                self.declaration,
                self.standing,
                published,
                through=self.through,
                failed=self._failed,
            )
        return self._scorers[published]

    def give_up(self, scorer: Scorer, words: str) -> None:
        """Another answers in its place from now on."""
        self._failed[scorer.version.version] = words
        self._scorers.clear()

    @cached_property
    def through(self) -> datetime | None:
        """How far the training set goes."""
        return known_through(self.lake, self.declaration)

    def baseline(self, published: tuple[str, ...]) -> Scorer | str:
        """The baseline that answers what is missing too much for any other, or why there is none."""
        if published not in self._baselines:
            table = self.declaration.training_set
            try:
                self._baselines[published] = choose_baseline(
                    self.registry, self.declaration, self.standing, published, table, "", through=self.through
                )
            except ScoringError as error:
                self._baselines[published] = str(error)
        return self._baselines[published]

    def weights(self, version: Version) -> dict[str, float]:
        """What a missing feature counts for this version."""
        if version.version not in self._weights:
            self._weights[version.version] = weights_of(self.lake, self.declaration, version)
        return self._weights[version.version]


def answer_rows(line: Line, rows: PartRows, due: Positions, until: datetime) -> pa.Table:
    """The predictions of one part's due rows, in the order of the rows of each who answers.

    A model that has something against these rows is given up, and the next in line answers.

    Raises:
        ScoringError: if nobody answers.
    """
    while True:
        scorer, inputs = _asked(line, rows, due)
        try:
            return _answer(line, scorer, inputs, rows, due, until)
        except LakeError:
            raise
        except Exception as error:  # whatever a model from elsewhere raises
            if scorer.is_baseline:
                raise ScoringError(f"{line.declaration.name}: no model can answer; {in_words(error)}") from error
            line.give_up(scorer, in_words(error))


def _asked(line: Line, rows: PartRows, due: Positions) -> tuple[Scorer, pa.Table]:
    scorer = line.scorer()
    try:
        return scorer, inputs_of(line.lake, rows, due, scorer.columns)
    except ColumnsMissing:
        scorer = line.scorer(line.lake.columns(rows.part.table, rows.part))
        return scorer, inputs_of(line.lake, rows, due, scorer.columns)


def _answer(line: Line, scorer: Scorer, inputs: pa.Table, rows: PartRows, due: Positions, until: datetime) -> pa.Table:
    lake, declaration = line.lake, line.declaration
    limit = declaration.service.max_missing
    if limit is None or scorer.is_baseline:
        return predictions_table(declaration, rows, due, scorer, inputs, [scorer.reason] * len(due), until)
    gaps = gaps_in(inputs, line.weights(scorer.version))
    over, marked = gaps.share > limit, gaps.share > min(limit, MARKED_SHARE)
    texts = np.full(len(due), scorer.reason, dtype=object)
    if marked.any():
        before = f"{scorer.reason}; " if scorer.reason else ""
        texts[marked] = [before + words for words in gaps.where(marked).in_words(scorer.version.version)]
        texts[over] += f"; {limit:.0%} is allowed"
    baseline = line.baseline(lake.columns(rows.part.table, rows.part)) if over.any() else scorer
    if isinstance(baseline, str):
        texts[over] += f", but {baseline}"
        baseline = scorer
    pieces = []
    if not over.all():
        pieces.append(
            predictions_table(
                declaration, rows, due[~over], scorer, inputs.filter(pa.array(~over)), list(texts[~over]), until
            )
        )
    if over.any():
        inputs = inputs_of(lake, rows, due[over], baseline.columns)
        pieces.append(predictions_table(declaration, rows, due[over], baseline, inputs, list(texts[over]), until))
    return pa.concat_tables(pieces)


def inputs_of(lake: Snapshot, rows: PartRows, due: Positions, columns: tuple[str, ...]) -> pa.Table:
    inputs = lake.read(rows.part.table, columns, [rows.part.part])
    return inputs if len(due) == inputs.num_rows else inputs.take(pa.array(due))


def predictions_table(
    declaration: ModelDeclaration,
    rows: PartRows,
    due: Positions,
    scorer: Scorer,
    inputs: pa.Table,
    reasons: Sequence[str | None],
    until: datetime,
) -> pa.Table:
    count = len(due)
    return pa.table(
        {
            "model": pa.repeat(declaration.name, count),
            "decision_key": rows.keys.take(pa.array(due)),
            "decision_at": rows.decision_at[due],
            "model_version": pa.repeat(pa.scalar(scorer.version.version, pa.int32()), count),
            "model_sha256": pa.repeat(scorer.sha256, count),
            "prediction": predict(scorer.pipeline, inputs, declaration.task),
            "prediction_status": pa.repeat(scorer.status, count),
            "status_reason": pa.array(reasons, pa.string()),
            "scored_as_of": pa.repeat(pa.scalar(in_utc(until).replace(tzinfo=None), pa.timestamp("us")), count),
            "inputs_hash": inputs_hash(inputs, scorer.inputs),
        },
        schema=PREDICTION_SCHEMA,
    )


def write_answers(lake: Lake, model: str, answers: pa.Table) -> dict[date, Path]:
    days = moments(answers["decision_at"]).astype("datetime64[D]")
    files = {}
    for day in np.unique(days):
        chosen = answers.filter(pa.array(days == day))
        present = lake.read_predictions(model, [day.item()])
        files[day.item()] = lake.write_predictions(model, day.item(), pa.concat_tables([present, chosen]))
    return files
