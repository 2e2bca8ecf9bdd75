"""Skew: an answered decision whose row has changed since is counted, and nothing else is."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ml_assets import lifecycle
from ml_assets.answering.scoring import score_due
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.lake.snapshot import Lake, Snapshot
from ml_assets.observing.skew import count_skew
from ml_assets.observing.skew_counts import Skew, last_skew
from ml_assets.registry.registry import Registry
from tests.ml_assets.shop import AS_OF, publish


@pytest.fixture
def answered(lake: Lake, registry: Registry, declaration: ModelDeclaration) -> int:
    version = lifecycle.make_candidate(lake, registry, declaration, lock_hash="lock", as_of=AS_OF).version
    registry.promote("returns", version.version)
    return score_due(lake, registry, declaration).rows


def answered_rows(lake: Lake, frame: pd.DataFrame) -> pd.Series:
    keys = frame["order_id"].astype(str) + "|" + frame["line"].astype(str)
    return keys.isin(lake.read_predictions("returns")["decision_key"].to_pylist())


def test_nothing_differs_while_the_rows_stay_as_they_were(
    lake: Lake, registry: Registry, declaration: ModelDeclaration, frame: pd.DataFrame, answered: int
) -> None:
    assert count_skew(lake, registry, declaration) == Skew(compared=answered)
    shuffled = frame.sample(frac=1, random_state=3).assign(note="another", days_kept=0.0)
    publish(lake.root, shuffled)
    assert count_skew(lake, registry, declaration) == Skew(compared=answered)


def test_every_changed_row_is_counted_and_the_first_day_named(
    lake: Lake, registry: Registry, declaration: ModelDeclaration, frame: pd.DataFrame, answered: int
) -> None:
    count_skew(lake, registry, declaration)
    chance = np.random.default_rng(8)
    changed = answered_rows(lake, frame) & (chance.random(len(frame)) < 0.1)
    publish(lake.root, frame.assign(pieces=frame["pieces"].mask(changed, frame["pieces"] + 1).astype("int32")))
    skew = count_skew(lake, registry, declaration)
    assert (skew.compared, skew.differing) == (answered, int(changed.sum()))
    assert skew.first == frame.loc[changed, "decided_at"].min().date()
    assert f"{int(changed.sum()):,} of {answered:,} answered decisions" in skew.text


def test_rows_that_were_never_answered_do_not_count(
    lake: Lake, registry: Registry, declaration: ModelDeclaration, frame: pd.DataFrame, answered: int
) -> None:
    mine = answered_rows(lake, frame)
    publish(lake.root, frame.assign(price=frame["price"].mask(~mine, 7.0)))
    assert count_skew(lake, registry, declaration) == Skew(compared=answered)


def test_decisions_that_are_gone_and_answers_of_older_releases_are_counted_apart(
    lake: Lake, registry: Registry, declaration: ModelDeclaration, frame: pd.DataFrame, answered: int
) -> None:
    day: date = lake.prediction_dates("returns")[0]
    old = lake.read_predictions("returns", [day])
    place = old.column_names.index("inputs_hash")
    lake.write_predictions("returns", day, old.set_column(place, "inputs_hash", pa.nulls(old.num_rows, pa.string())))
    gone = answered_rows(lake, frame) & (frame["decided_at"].dt.date != day) & (frame["order_id"] % 50 == 0)
    publish(lake.root, frame[~gone])
    expected = Skew(compared=answered - old.num_rows - int(gone.sum()), absent=int(gone.sum()), unknown=old.num_rows)
    assert count_skew(lake, registry, declaration) == expected


def test_a_second_count_reads_no_features(
    lake: Lake, registry: Registry, declaration: ModelDeclaration, answered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = count_skew(lake, registry, declaration)
    assert first.compared == answered
    read: set[tuple[str, ...]] = set()
    reading = Snapshot.read

    def noted(self: Snapshot, table: str, columns: Any = None, parts: Any = None) -> pa.Table:
        read.add(tuple(columns))
        return reading(self, table, columns, parts)

    monkeypatch.setattr(Snapshot, "read", noted)
    assert count_skew(lake, registry, declaration) == first
    assert read == {("decided_at",)}


def test_what_was_counted_last_can_be_said_without_counting(
    lake: Lake, registry: Registry, declaration: ModelDeclaration, frame: pd.DataFrame, answered: int
) -> None:
    assert last_skew(lake, "returns") is None
    publish(lake.root, frame.assign(pieces=(frame["pieces"] + 1).astype("int32")))
    counted = count_skew(lake, registry, declaration)
    assert counted.differing == answered
    assert last_skew(lake, "returns") == counted
    (lake.predictions_folder("returns") / "skew.json").write_text('{"2030-04": {"compared": 1}}')
    assert last_skew(lake, "returns") is None
    assert count_skew(lake, registry, declaration) == counted
