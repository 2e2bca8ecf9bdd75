"""A champion beside its predecessor: taken back only if it is surely worse, on decisions that it has made itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml_assets import lifecycle
from ml_assets.answering.scoring import score_due
from ml_assets.deciding.rollback import WatchEvidence, decide_rollback, gather_watch
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.declaration.schema import Watch
from ml_assets.lake.snapshot import Lake
from ml_assets.registry.registry import Registry
from ml_assets.registry.versions import Version
from tests.ml_assets.shop import (
    FIRST_DAY,
    KEPT,
    PREDICTIONS,
    RETURNS,
    changed,
    declared,
    orders,
    publish,
    publish_predictions,
)

# The day of the last promotion: late in a month, so what follows is in two parts of each table.
CHANGE = FIRST_DAY + timedelta(days=85)
LAST_WEEK = CHANGE - timedelta(days=7)
WATCH = Watch(min_rows=500)
FORTNIGHT = Watch(min_rows=500, span=timedelta(days=14))
USELESS = changed(RETURNS, features={"include": ["weight"]})

WORSE = WatchEvidence(
    model="returns",
    metric="log_loss",
    champion_version=7,
    previous_version=6,
    since=CHANGE,
    until=CHANGE + timedelta(days=14),
    rows=1200,
    days=14,
    previous_figure=0.5,
    worse_by=0.04,
    low=0.01,
    high=0.07,
)


# --- the decision


def test_a_champion_that_is_surely_worse_is_taken_back() -> None:
    decision = decide_rollback(WORSE, WATCH)
    assert decision.verdict == "roll_back"
    assert (decision.reason.passed, decision.reason.figure, decision.reason.threshold) == (False, 0.01, 0.0025)
    assert decision.reason.text == (
        "Version 7 is surely worse than version 6 would have been on its 1,200 decisions of 14 complete days since "
        "2030-03-27: log_loss 0.0400 worse (between -0.0700 and -0.0100, 0.99 sure at all looks); 0.0025 is borne."
    )


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"low": -0.01}, "stays"),
        ({"low": 0.0}, "stays"),
        ({"worse_by": -0.04, "low": -0.07, "high": -0.01}, "stays"),
        ({"previous_version": None}, "stays"),
        ({"unusable": "its file is gone"}, "stays"),
        ({"rows": 500}, "roll_back"),
        ({"rows": 499}, "too_early"),
        ({"days": 7}, "roll_back"),
        ({"days": 6}, "too_early"),
        ({"low": None, "high": None}, "stays"),
        ({"low": 0.0025}, "stays"),
        ({"rows": 0, "worse_by": None, "low": None, "high": None, "since": None, "until": None}, "too_early"),
    ],
)
def test_in_all_other_cases_it_stays_or_it_is_too_early(changes: dict[str, Any], verdict: str) -> None:
    decision = decide_rollback(replace(WORSE, **changes), WATCH)
    assert (decision.verdict, decision.reason.passed) == (verdict, verdict != "roll_back")


def test_a_loss_within_the_declared_tolerance_is_borne() -> None:
    assert decide_rollback(WORSE, Watch(worse_by=0.01)).verdict == "stays"
    assert decide_rollback(WORSE, Watch(worse_by=0.009)).verdict == "roll_back"
    assert decide_rollback(WORSE, Watch(worse_by="2 %")).verdict == "stays"  # of 0.5


def test_what_is_waited_for_and_left_out_is_said() -> None:
    changes = {"awaited": CHANGE + timedelta(days=5), "changed_rows": 31, "days_given_up": 2}
    for evidence in (WORSE, replace(WORSE, days=5)):
        text = decide_rollback(replace(evidence, **changes), WATCH).reason.text
        assert "The outcomes of 2030-04-01 and after are not all known yet." in text
        assert "31 decisions are left out: their features changed since they were answered." in text
        assert "2 days are left out: their outcomes stayed away." in text


# --- the evidence


def promote(lake: Lake, registry: Registry, model: ModelDeclaration, as_of: datetime) -> Version:
    version = lifecycle.make_candidate(lake, registry, model, lock_hash="lock", as_of=as_of).version
    return registry.promote(model.name, version.version)


def succeed(
    lake: Lake, registry: Registry, frame: pd.DataFrame, first: ModelDeclaration, second: ModelDeclaration
) -> Version:
    """Two champions, a week apart; the second has predicted all since. Returns the first."""
    previous = promote(lake, registry, first, LAST_WEEK)
    promote(lake, registry, second, CHANGE)
    score_due(lake, registry, second)
    publish_predictions(lake, frame)
    return previous


def gathered(lake: Lake, registry: Registry, model: ModelDeclaration, watch: Watch = WATCH) -> WatchEvidence:
    evidence = gather_watch(lake.open(), registry, model, watch)
    assert evidence is not None
    return evidence


def test_a_useless_champion_goes_back_to_its_predecessor(
    lake: Lake, registry: Registry, frame: pd.DataFrame, declaration: ModelDeclaration
) -> None:
    useless = declared(USELESS)
    succeed(lake, registry, frame, declaration, useless)
    evidence = gathered(lake, registry, useless)
    assert (evidence.champion_version, evidence.previous_version) == (2, 1)
    assert evidence.worse_by is not None
    assert evidence.worse_by > 0.02
    assert decide_rollback(evidence, WATCH).verdict == "roll_back"
    decision = lifecycle.watch_champion(lake, registry, useless)
    assert decision is not None
    assert decision.verdict == "roll_back"


def test_a_champion_that_is_as_good_stays(
    lake: Lake, registry: Registry, frame: pd.DataFrame, declaration: ModelDeclaration
) -> None:
    succeed(lake, registry, frame, declaration, declaration)
    evidence = gathered(lake, registry, declaration)
    assert evidence.rows > 1000
    assert evidence.days >= 20
    assert abs(evidence.worse_by or 0.0) < 0.01
    assert decide_rollback(evidence, WATCH).verdict == "stays"


def test_a_champion_that_is_better_stays(
    lake: Lake, registry: Registry, frame: pd.DataFrame, declaration: ModelDeclaration
) -> None:
    succeed(lake, registry, frame, declared(USELESS), declaration)
    evidence = gathered(lake, registry, declaration)
    assert (evidence.worse_by or 0.0) < -0.02
    assert decide_rollback(evidence, WATCH).verdict == "stays"


@pytest.mark.parametrize(("passed", "days"), [(4, 4), (9, 9)])
def test_only_days_whose_outcomes_are_all_known_count(
    tmp_path: Path, registry: Registry, passed: int, days: int
) -> None:
    """Outcomes become known within two days; the first day is what was left of it."""
    soon = orders(known_through=CHANGE + timedelta(days=passed))
    lake = publish(tmp_path / "lake", soon)
    useless = declared(USELESS)
    succeed(lake, registry, soon, declared(RETURNS), useless)
    evidence = gathered(lake, registry, useless)
    assert evidence.awaited is not None
    first = (evidence.since or CHANGE).date()
    assert evidence.days == (evidence.awaited.date() - first).days == days
    decision = decide_rollback(evidence, WATCH)
    assert (decision.verdict == "too_early") is (days < 7)


def test_a_day_of_which_only_some_outcomes_are_known_is_not_judged_by_those(
    lake: Lake, registry: Registry, frame: pd.DataFrame, declaration: ModelDeclaration
) -> None:
    """The first known are not like the rest: here all that are known speak against the champion."""
    succeed(lake, registry, frame, declaration, declaration)
    whole = gathered(lake, registry, declaration)
    late = frame["decided_at"] >= (CHANGE + timedelta(days=10)).replace(tzinfo=None)
    tenth = np.arange(len(frame)) % 10 == 0
    hidden = late & tenth
    publish(lake.root, frame.assign(outcome_known_at=frame["outcome_known_at"].mask(hidden)))
    fewer = gathered(lake, registry, declaration)
    assert fewer.since is not None
    assert fewer.awaited == CHANGE + timedelta(days=10)
    assert fewer.days == (fewer.awaited.date() - fewer.since.date()).days < whole.days


def test_an_outcome_without_a_label_is_known_all_the_same(
    lake: Lake, registry: Registry, frame: pd.DataFrame, declaration: ModelDeclaration
) -> None:
    succeed(lake, registry, frame, declaration, declaration)
    before = gathered(lake, registry, declaration)
    fifth = np.arange(len(frame)) % 5 == 0
    publish(lake.root, frame.assign(is_returned=frame["is_returned"].mask(fifth)))
    after = gathered(lake, registry, declaration)
    assert (after.days, after.awaited) == (before.days, before.awaited)
    assert after.rows < before.rows


def test_rows_whose_features_changed_since_the_answer_are_left_out_and_counted(
    lake: Lake, registry: Registry, frame: pd.DataFrame, declaration: ModelDeclaration
) -> None:
    succeed(lake, registry, frame, declaration, declaration)
    before = gathered(lake, registry, declaration)
    assert before.changed_rows == 0
    repaired = (np.arange(len(frame)) % 4 == 0) & frame["price"].notna()
    publish(lake.root, frame.assign(price=frame["price"].mask(repaired, frame["price"] + 50)))
    after = gathered(lake, registry, declaration)
    assert after.rows + after.changed_rows == before.rows
    assert 0.2 < after.changed_rows / before.rows < 0.3


def test_it_is_too_early_before_predictions_are_published(
    lake: Lake, registry: Registry, declaration: ModelDeclaration
) -> None:
    promote(lake, registry, declaration, LAST_WEEK)
    promote(lake, registry, declaration, CHANGE)
    assert decide_rollback(gathered(lake, registry, declaration), WATCH).verdict == "too_early"


def test_there_is_nothing_to_watch_without_a_champion_and_nothing_to_compare_the_first_with(
    lake: Lake, registry: Registry, frame: pd.DataFrame, declaration: ModelDeclaration
) -> None:
    assert gather_watch(lake.open(), registry, declaration, WATCH) is None
    promote(lake, registry, declaration, CHANGE)
    score_due(lake, registry, declaration)
    publish_predictions(lake, frame)
    decision = decide_rollback(gathered(lake, registry, declaration), WATCH)
    assert (decision.verdict, decision.reason.text) == ("stays", "There is no champion before it to compare with.")


def test_a_predecessor_that_cannot_be_read_is_no_way_back(
    lake: Lake, registry: Registry, frame: pd.DataFrame, declaration: ModelDeclaration
) -> None:
    useless = declared(USELESS)
    previous = succeed(lake, registry, frame, declaration, useless)
    registry.artifacts.path(previous.sha256).write_bytes(b"rubbish")
    decision = decide_rollback(gathered(lake, registry, useless), WATCH)
    assert decision.verdict == "stays"
    assert decision.reason.text.startswith("Version 1 cannot be asked any more: ")
    assert previous.sha256[:12] in decision.reason.text


def test_a_predecessor_whose_column_is_gone_is_no_way_back(
    lake: Lake, registry: Registry, frame: pd.DataFrame, declaration: ModelDeclaration
) -> None:
    without = declared(RETURNS, features={"exclude": ["price"]})
    succeed(lake, registry, frame, declaration, without)
    publish(lake.root, frame.drop(columns="price"))
    decision = decide_rollback(gathered(lake, registry, without), WATCH)
    assert decision.verdict == "stays"
    assert "no column price" in decision.reason.text


def test_a_predecessor_of_another_task_is_no_way_back(
    lake: Lake, registry: Registry, frame: pd.DataFrame, declaration: ModelDeclaration
) -> None:
    before = declared(KEPT)
    succeed(lake, registry, frame, before, declaration)
    decision = decide_rollback(gathered(lake, registry, declaration), WATCH)
    assert decision.verdict == "stays"
    assert "days_kept" in decision.reason.text


def test_only_the_champions_own_decisions_within_the_span_are_compared(
    lake: Lake, registry: Registry, frame: pd.DataFrame, declaration: ModelDeclaration
) -> None:
    succeed(lake, registry, frame, declaration, declaration)
    made = lake.open().read(PREDICTIONS).to_pandas().sort_values("decision_at", ignore_index=True)

    def within_the_span(rows: pd.DataFrame) -> int:
        return int((rows["decision_at"] < rows["decision_at"].iloc[0] + FORTNIGHT.span).sum())

    assert gathered(lake, registry, declaration, FORTNIGHT).rows == within_the_span(made) < len(made)
    place = np.arange(len(made))
    by_others = made.assign(
        prediction_status=np.where(place < 200, "fallback", "champion"),
        model_version=np.where(place < 400, 1, 2).astype("int32"),
        model=np.where(place < 600, "another", "returns"),
    )
    publish(lake.root, by_others, PREDICTIONS, by="decision_at")
    assert gathered(lake, registry, declaration, FORTNIGHT).rows == within_the_span(made.iloc[600:])
