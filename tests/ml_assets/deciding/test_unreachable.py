"""What a declaration asks for and cannot happen on its cadence is said; what can happen is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ml_assets.deciding.unreachable import Cadence, signals_that_cannot_fire
from ml_assets.declaration.domains import Domain, Window
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.declaration.schema import Owner
from tests.ml_assets.shop import RETURNS, declared


def cadence(window: Window, **changes: Any) -> ModelDeclaration:
    return replace(declared(RETURNS, **changes), domain=Domain("shop", Owner("", ""), window=window))


def test_a_declaration_whose_signals_can_all_fire_is_silent() -> None:
    assert signals_that_cannot_fire(cadence("week", retraining__max_label_age="14 days")) == []


@pytest.mark.parametrize(
    ("window", "changes", "words"),
    [
        ("year", {"retraining__max_label_age": "28 days"}, "2 windows of a year are needed"),
        ("week", {"retraining__max_label_age": "7 days"}, "2 windows of a week are needed"),
        ("day", {"retraining__watch": {"span": "5 days"}}, "a span of 5 days never holds the 7 complete days"),
        ("day", {"retraining__max_label_age": "2 days"}, "pass before the cooldown of 3 days"),
    ],
)
def test_what_can_never_fire_is_said_with_its_key(window: Any, changes: dict[str, Any], words: str) -> None:
    said = signals_that_cannot_fire(cadence(window, **changes))
    assert any(words in sentence and sentence.startswith("retraining.") for sentence in said)


def test_outcomes_that_take_longer_than_a_champion_lives_leave_performance_unjudged() -> None:
    model = cadence("week", retraining__max_label_age="21 days")
    assert signals_that_cannot_fire(model, Cadence(outcome_delay=timedelta(days=2))) == []
    (said,) = signals_that_cannot_fire(model, Cadence(outcome_delay=timedelta(days=28)))
    assert said.startswith("retraining.performance: ")


def test_windows_that_never_have_the_least_decisions_are_said() -> None:
    model = cadence("week", retraining__max_label_age="21 days")
    said = signals_that_cannot_fire(model, Cadence(in_a_window=90))
    assert [sentence.partition(":")[0] for sentence in said] == ["retraining.drift", "retraining.performance"]
    assert all("90 decisions" in sentence for sentence in said)


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (Cadence(in_the_watch=360, days_in_the_watch=28), "28 days have held no more than 360 decisions so far"),
        (Cadence(in_the_watch=9000, days_in_the_watch=4), "28 days have held decisions on no more than 4 days so far"),
    ],
)
def test_a_watch_that_never_sees_enough_is_said(seen: Cadence, words: str) -> None:
    model = cadence("week", retraining__max_label_age="21 days")
    (said,) = signals_that_cannot_fire(model, seen)
    assert said.startswith(f"retraining.watch: {words}")
    assert signals_that_cannot_fire(model, Cadence(in_the_watch=1000, days_in_the_watch=7)) == []
