"""Candidates: two fits and an identity; the same data and code give the same model, whoever asks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ml_assets.declaration.model import ModelDeclaration
from ml_assets.errors import ColumnsMissing, TrainingError
from ml_assets.fitting.estimators import predict
from ml_assets.fitting.training import fit, honest_side, identify, train
from ml_assets.lake.decision_rows import DecisionRows, decision_rows
from ml_assets.registry.artifacts import canonical_bytes
from tests.ml_assets.shop import AS_OF, FIRST_DAY, RETURNS, declared

LOCK = "lock"


def spoiled(frame: pd.DataFrame, after: datetime) -> pd.DataFrame:
    """The frame with every label that became known after the moment turned around."""
    late = frame["outcome_known_at"] > pd.Timestamp(after).tz_convert(None)
    return frame.assign(is_returned=frame["is_returned"].where(~late, ~frame["is_returned"].astype("boolean")))


def rows_of(frame: pd.DataFrame, model: ModelDeclaration) -> DecisionRows:
    return decision_rows(pa.Table.from_pandas(frame, preserve_index=False), model)


def test_nothing_that_became_known_later_reaches_either_fit(frame: pd.DataFrame, declaration: ModelDeclaration) -> None:
    """Labels known after the cut are turned around: the twin must not notice; those after `as_of`: nor must the final
    model.
    """
    honest = train(rows_of(frame, declaration), declaration, AS_OF, lock_hash=LOCK)
    cut = AS_OF - declaration.evaluation.window
    late = train(rows_of(spoiled(frame, cut), declaration), declaration, AS_OF, lock_hash=LOCK)
    later = train(rows_of(spoiled(frame, AS_OF), declaration), declaration, AS_OF, lock_hash=LOCK)
    assert canonical_bytes(late.twin.model) == canonical_bytes(honest.twin.model)
    assert canonical_bytes(late.final.model) != canonical_bytes(honest.final.model)
    assert canonical_bytes(later.final.model) == canonical_bytes(honest.final.model)
    assert later.candidate_fingerprint == honest.candidate_fingerprint != late.candidate_fingerprint


def test_the_order_of_the_rows_and_of_the_parts_does_not_matter(
    frame: pd.DataFrame, declaration: ModelDeclaration
) -> None:
    shuffled = frame.sample(frac=1, random_state=3)
    one, other = rows_of(frame, declaration), rows_of(shuffled, declaration)
    assert one.content_hash() == other.content_hash()
    first, second = (train(rows, declaration, AS_OF, lock_hash=LOCK) for rows in (one, other))
    assert canonical_bytes(first.final.model) == canonical_bytes(second.final.model)


@pytest.mark.parametrize("column", ["price", "shop", "is_gift", "pieces", "is_returned", "outcome_known_at", "line"])
def test_one_changed_value_is_another_training_set(
    frame: pd.DataFrame, rows: DecisionRows, declaration: ModelDeclaration, column: str
) -> None:
    changed = frame.copy()
    position = int(np.flatnonzero(frame["price"].notna() & frame["outcome_known_at"].notna())[7])
    value = changed.loc[position, column]
    other = {"shop": "moon", "is_gift": not value, "is_returned": not value}
    step = timedelta(minutes=1) if column == "outcome_known_at" else 1
    changed.loc[position, column] = other[column] if column in other else value + step
    assert rows_of(changed, declaration).content_hash() != rows.content_hash()


def test_identity_follows_data_declaration_window_code_and_lock(
    rows: DecisionRows, declaration: ModelDeclaration
) -> None:
    identity = identify(rows, declaration, AS_OF, lock_hash=LOCK).fingerprint
    others = [
        identify(rows, declaration, AS_OF - timedelta(days=1), lock_hash=LOCK),
        identify(rows, declared(RETURNS, params={"max_iter": 24}), AS_OF, lock_hash=LOCK),
        identify(rows, declared(RETURNS, evaluation__window="27 days"), AS_OF, lock_hash=LOCK),
        identify(rows, declared(RETURNS, estimator="tests.ml_assets.elsewhere:tree", params={}), AS_OF, lock_hash=LOCK),
        identify(rows, declaration, AS_OF, lock_hash="another"),
    ]
    assert len({identity, *(other.fingerprint for other in others)}) == 6
    assert identify(rows, declared(RETURNS, gates__confidence=0.8), AS_OF, lock_hash=LOCK).fingerprint == identity


def test_a_later_moment_at_which_nothing_more_is_known_is_the_same_candidate(
    rows: DecisionRows, declaration: ModelDeclaration
) -> None:
    end = FIRST_DAY + timedelta(days=130)
    assert identify(rows, declaration, end, lock_hash=LOCK) == identify(
        rows, declaration, end + timedelta(days=9), lock_hash=LOCK
    )


def test_the_twin_stops_at_the_window_and_the_final_model_at_as_of(
    rows: DecisionRows, declaration: ModelDeclaration
) -> None:
    steps: list[tuple[str, int, int]] = []
    made = train(
        rows, declaration, AS_OF, lock_hash=LOCK, progress=lambda what, done, of: steps.append((what, done, of))
    )
    assert (made.final.trained_through, made.twin.trained_through) == (AS_OF, AS_OF - timedelta(days=28))
    assert made.twin.rows < made.final.rows
    assert made.fallback is not None
    assert made.fallback.rows == made.final.rows
    assert steps == [("twin", 0, 3), ("final", 1, 3), ("fallback", 2, 3), ("fitted", 3, 3)]


def test_a_fit_refuses_rows_whose_label_it_cannot_know(rows: DecisionRows, declaration: ModelDeclaration) -> None:
    with pytest.raises(TrainingError, match="rows whose label was not known by then were given to a fit"):
        fit(rows, declaration, AS_OF)


def test_too_little_to_learn_from_is_said(rows: DecisionRows, declaration: ModelDeclaration) -> None:
    with pytest.raises(
        TrainingError,
        match=r"returns, labels known through 2029-12-05T00:00:00Z: 0 rows of trn_returns .* land more history",
    ):
        train(rows, declaration, FIRST_DAY + timedelta(days=1), lock_hash=LOCK)
    ones = DecisionRows(rows.inputs, np.ones(len(rows)), rows.decision_at, rows.label_known_at, rows.keys)
    with pytest.raises(TrainingError, match="a binary label needs both 0 and 1"):
        train(ones, declaration, AS_OF, lock_hash=LOCK)


def test_a_missing_column_is_named(frame: pd.DataFrame, declaration: ModelDeclaration) -> None:
    with pytest.raises(ColumnsMissing, match="trn_returns: no column price"):
        rows_of(frame.drop(columns="price"), declaration)


@dataclass(frozen=True)
class TrainedVersion:
    trained_through: datetime
    twin_trained_through: datetime


def test_a_champion_is_judged_by_the_model_that_has_not_seen_the_window() -> None:
    window_start = AS_OF - timedelta(days=28)
    old = TrainedVersion(window_start, window_start - timedelta(days=28))
    fresh = TrainedVersion(window_start + timedelta(days=1), window_start - timedelta(days=27))
    assert honest_side(old, window_start) == ("final", old.trained_through)
    assert honest_side(fresh, window_start) == ("twin", fresh.twin_trained_through)


def test_missing_values_are_hashed_as_missing_not_as_nothing(
    frame: pd.DataFrame, declaration: ModelDeclaration
) -> None:
    zeros = frame.assign(price=frame["price"].fillna(0.0))
    assert rows_of(zeros, declaration).content_hash() != rows_of(frame, declaration).content_hash()
    nothing = rows_of(frame, declaration)
    assert len(
        predict(
            fit(
                nothing.where(nothing.label_known_at < np.datetime64(AS_OF.replace(tzinfo=None))), declaration, AS_OF
            ).model,
            nothing.inputs,
            declaration.task,
        )
    ) == len(frame)
