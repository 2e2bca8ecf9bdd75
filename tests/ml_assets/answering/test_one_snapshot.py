"""One verb, one published state: a publish while a verb is at work changes nothing of what that verb reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ml_assets import lifecycle
from ml_assets.answering.scoring import score_due, score_from_spine
from ml_assets.deciding.log import DecisionLog
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.fitting.estimators import predict
from ml_assets.lake.inputs_hash import inputs_hash
from ml_assets.lake.snapshot import Lake, Part, Snapshot
from ml_assets.observing.shadow import score_in_shadow
from ml_assets.registry.registry import Registry
from tests.ml_assets.shop import AS_OF, PREDICTIONS, RETURNS, TABLE, changed, declared, publish, publish_predictions

SPINE = "int_orders"


def later_state(frame: pd.DataFrame) -> pd.DataFrame:
    """The same orders in another order, some of them gone: positions of the old state point to other orders here."""
    return frame.drop(frame.index[::7]).iloc[::-1].reset_index(drop=True)


@pytest.fixture
def publishes_in_between(monkeypatch: pytest.MonkeyPatch, frame: pd.DataFrame) -> Callable[..., list[Part]]:
    """Once a part of one of the tables was read, all of them are published anew; `others` are what is then in those
    that are no training set.
    """

    def arm(root: Path, *tables: str, others: Mapping[str, pd.DataFrame] | None = None) -> list[Part]:
        seen: list[Part] = []
        news = {**dict.fromkeys(tables, later_state(frame)), **(others or {})}
        read = Snapshot.verified_bytes

        def then_publish(self: Snapshot, part: Part) -> bytes:
            content = read(self, part)
            if part.table in news and not seen:
                seen.append(part)
                for table, rows in news.items():
                    publish(root, rows, table, by="decided_at" if table in tables else "decision_at")
            return content

        monkeypatch.setattr(Snapshot, "verified_bytes", then_publish)
        return seen

    return arm


def champion_of(lake: Lake, registry: Registry, declaration: ModelDeclaration) -> Any:
    version = lifecycle.make_candidate(lake, registry, declaration, lock_hash="lock", as_of=AS_OF).version
    return registry.promote(declaration.name, version.version)


def by_key(frame: pd.DataFrame, values: Any) -> dict[str, Any]:
    keys = [f"{order}|{line}" for order, line in zip(frame["order_id"], frame["line"], strict=True)]
    return dict(zip(keys, values, strict=True))


def test_no_decision_gets_the_answer_to_another(
    lake: Lake,
    registry: Registry,
    declaration: ModelDeclaration,
    frame: pd.DataFrame,
    publishes_in_between: Callable[..., list[Part]],
) -> None:
    champion = champion_of(lake, registry, declaration)
    armed = publishes_in_between(lake.root, "trn_returns")
    report = score_due(lake, registry, declaration)
    assert armed
    table = pa.Table.from_pandas(frame, preserve_index=False)
    true = by_key(frame, predict(registry.load(champion), table, declaration.task))
    made = lake.read_predictions("returns")
    assert made.num_rows == report.rows > 1000
    expected = [true[key] for key in made["decision_key"].to_pylist()]
    np.testing.assert_array_equal(made["prediction"].to_numpy(), expected)
    hashes = by_key(frame, inputs_hash(table, champion.inputs).to_pylist())
    assert made["inputs_hash"].to_pylist() == [hashes[key] for key in made["decision_key"].to_pylist()]


def test_answers_from_the_spine_are_of_one_state(
    lake: Lake, registry: Registry, frame: pd.DataFrame, publishes_in_between: Callable[..., list[Part]]
) -> None:
    declaration = replace(declared(RETURNS), spine=SPINE)
    champion = champion_of(lake, registry, declaration)
    publish(lake.root, frame, SPINE)
    armed = publishes_in_between(lake.root, SPINE)
    score_from_spine(lake, registry, declaration, reason="a check failed")
    assert armed
    table = pa.Table.from_pandas(frame, preserve_index=False)
    true = by_key(frame, predict(registry.load(champion, "fallback"), table, declaration.task))
    made = lake.read_predictions("returns")
    assert made.num_rows > 1000
    expected = [true[key] for key in made["decision_key"].to_pylist()]
    np.testing.assert_array_equal(made["prediction"].to_numpy(), expected)


def test_a_challenger_in_shadow_answers_from_one_state(
    lake: Lake,
    registry: Registry,
    log: DecisionLog,
    now: Callable[[], datetime],
    frame: pd.DataFrame,
    publishes_in_between: Callable[..., list[Part]],
) -> None:
    declaration = declared(RETURNS, gates__shadow="3 days", gates__against_champion="none")
    champion_of(lake, registry, declaration)
    challenger = lifecycle.make_candidate(
        lake, registry, declaration, lock_hash="lock", as_of=AS_OF + timedelta(days=5)
    ).version
    evidence = lifecycle.evaluate_candidate(lake, registry, declaration, challenger, now=now)
    assert lifecycle.decide_and_promote(registry, log, declaration, evidence, now=now).decision.verdict == "in_shadow"
    score_due(lake, registry, declaration)
    armed = publishes_in_between(lake.root, "trn_returns")
    report = score_in_shadow(lake, registry, log, declaration)
    assert armed
    assert report is not None
    assert report.problem is None
    assert report.rows > 500
    true = by_key(
        frame,
        predict(registry.load(challenger), pa.Table.from_pandas(frame, preserve_index=False), declaration.task),
    )
    made = lake.read_predictions("returns", shadow=challenger.version)
    expected = [true[key] for key in made["decision_key"].to_pylist()]
    np.testing.assert_array_equal(made["prediction"].to_numpy(), expected)


def test_the_watch_compares_within_one_state(
    lake: Lake,
    registry: Registry,
    frame: pd.DataFrame,
    declaration: ModelDeclaration,
    publishes_in_between: Callable[..., list[Part]],
) -> None:
    """The champion has learned from one feature of no use; in the state that is published meanwhile it has been right in
    everything, and other decisions stand in the places of its own.
    """
    useless = declared(changed(RETURNS, features={"include": ["weight"]}, retraining__watch={"min_rows": 500}))
    champion_of(lake, registry, declaration)
    version = lifecycle.make_candidate(
        lake, registry, useless, lock_hash="lock", as_of=AS_OF + timedelta(days=3)
    ).version
    registry.promote(useless.name, version.version)
    score_due(lake, registry, useless)
    publish_predictions(lake, frame)
    before = lifecycle.watch_champion(lake, registry, useless)
    assert before is not None
    assert before.verdict == "roll_back"
    made = lake.open().read(PREDICTIONS).to_pandas()
    right = later_state(made.assign(prediction=made["actual"].fillna(0.5)))

    armed = publishes_in_between(lake.root, TABLE, others={PREDICTIONS: right})
    between = lifecycle.watch_champion(lake, registry, useless)

    assert [part.table for part in armed] == [PREDICTIONS]
    assert between == before
    after = lifecycle.watch_champion(lake, registry, useless)
    assert after != before
