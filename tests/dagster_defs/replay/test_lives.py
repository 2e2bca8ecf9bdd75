"""A replay's figures: every life and every baseline on the very same decisions, and a report where there are none."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from dagster_defs.replay.lives import LIVING, ReplayReport, compare_lives
from dagster_defs.replay.replay import replay_steps
from ml_assets.declaration.reader import ModelDeclaration
from ml_assets.lake.results import PREDICTION_SCHEMA
from ml_assets.lake.snapshot import Lake
from tests.ml_assets.shop import AS_OF, RETURNS, declared, orders, publish

START = AS_OF - timedelta(days=21)
WEEK = timedelta(days=7)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return orders(days=100, known_through=AS_OF)


@pytest.fixture(scope="module")
def declaration() -> ModelDeclaration:
    return declared(RETURNS)


def answer(lake: Lake, frame: pd.DataFrame) -> pd.DataFrame:
    """Answers 0.4 to every second decision after the start; returns those whose outcome is known."""
    due = frame[frame["decided_at"] > START.replace(tzinfo=None)][::2]
    for day, rows in due.groupby(due["decided_at"].dt.date):
        known: dict[str, Any] = {
            "model": "returns",
            "decision_key": rows["order_id"].astype(str) + "|" + rows["line"].astype(str),
            "decision_at": rows["decided_at"],
            "model_version": 1,
            "model_sha256": "0",
            "prediction": 0.4,
            "prediction_status": "champion",
            "status_reason": None,
            "scored_as_of": rows["decided_at"],
            "inputs_hash": None,
        }
        table = pd.DataFrame({name: known[name] for name in PREDICTION_SCHEMA.names})
        lake.write_predictions("returns", day, pa.Table.from_pandas(table, preserve_index=False))
    return due[due["is_returned"].notna()]


def report_of(
    lake: Lake, declaration: ModelDeclaration, moments: list[datetime], log: Iterable[Any] = ()
) -> ReplayReport:
    home: Any = SimpleNamespace(
        lake=lake, registry=SimpleNamespace(versions=lambda _: []), decision_log=SimpleNamespace(read=lambda: log)
    )
    return compare_lives(home, declaration, moments, [])


def log_loss(label: Any, prediction: Any) -> float:
    return float(-np.mean(np.where(label, np.log(prediction), np.log(1 - prediction))))


def test_baselines_are_measured_on_the_decisions_that_the_living_model_answered(
    tmp_path: Path, frame: pd.DataFrame, declaration: ModelDeclaration
) -> None:
    lake = publish(tmp_path / "lake", frame)
    answered = answer(lake, frame)

    found = report_of(lake, declaration, replay_steps(START, AS_OF, WEEK))

    losses, labels = [], answered["is_returned"].astype(bool)
    for origin in (START, START + WEEK, START + 2 * WEEK):
        moment = pd.Timestamp(origin).tz_localize(None)
        rate = frame.loc[frame["outcome_known_at"] <= moment, "is_returned"].astype(float).mean()
        inside = (answered["decided_at"] > moment) & (answered["decided_at"] <= moment + WEEK)
        losses += [log_loss(label, rate) for label in labels[inside]]
    constant, rates = found.baselines
    assert found.rows == len(answered) == len(losses)
    assert constant.value == pytest.approx(np.mean(losses))
    assert constant.low < constant.value < constant.high  # type: ignore[operator]
    assert found.best_baseline == rates
    living = found.lives[0]
    assert living.name == LIVING
    assert living.value == pytest.approx(log_loss(labels, 0.4))
    assert found.against(constant.name).worse_by == pytest.approx(living.value - constant.value)


def test_a_replay_too_short_for_any_outcome_says_why_nothing_was_judged(
    tmp_path: Path, frame: pd.DataFrame, declaration: ModelDeclaration
) -> None:
    lake = publish(tmp_path / "lake", frame)
    for moments in ([AS_OF, AS_OF + WEEK], [AS_OF]):
        found = report_of(lake, declaration, moments)
        assert (found.rows, found.lives, found.baselines) == (0, (), ())
        assert found.why_not_judged


def test_a_model_that_answered_nothing_is_not_judged(
    tmp_path: Path, frame: pd.DataFrame, declaration: ModelDeclaration
) -> None:
    found = report_of(publish(tmp_path / "lake", frame), declaration, replay_steps(START, AS_OF, WEEK))
    assert found.why_not_judged == "no decision with a known outcome was answered; was there ever a champion?"
