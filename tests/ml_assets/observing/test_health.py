"""How a champion is doing, week by week: what a loss should be, which decisions count, and which features matter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml_assets import lifecycle
from ml_assets.deciding.log import DecisionLog
from ml_assets.deciding.retraining import HealthWindow
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.fitting.splitting import holdout
from ml_assets.fitting.training import fit
from ml_assets.judging.reliance import reliance
from ml_assets.lake.decision_rows import DecisionRows
from ml_assets.lake.snapshot import Lake
from ml_assets.measuring.metrics import measure
from ml_assets.measuring.windows import Window, moved, window_start
from ml_assets.observing.health import (
    expected_loss,
    gather_health,
    health_windows,
    worse_than_promised,
)
from ml_assets.registry.registry import Registry
from ml_assets.registry.versions import Version
from tests.ml_assets.shop import (
    AS_OF,
    FEATURE_DRIFT,
    FIRST_DAY,
    PREDICTIONS,
    RETURNS,
    declared,
    publish,
    publish_predictions,
)

WEEK = timedelta(days=7)
END = FIRST_DAY + timedelta(days=120)
FIRST_MONDAY = datetime(2030, 4, 8, tzinfo=UTC)
"""The Monday before AS_OF, a Thursday: the champion's first week is not its own from the start."""


# --- what a loss should be


@pytest.mark.parametrize("metric", ["brier", "log_loss"])
def test_the_expected_loss_is_what_drawn_outcomes_give_on_average(metric: str) -> None:
    chance = np.random.default_rng(1)
    prediction = chance.beta(1, 3, 2000)
    drawn = [measure(metric, (chance.random(2000) < prediction).astype(float), prediction) for _ in range(400)]
    expected = expected_loss(metric, prediction)
    assert expected == pytest.approx(np.mean(drawn), abs=4 * np.std(drawn) / np.sqrt(400))


def test_a_certain_prediction_costs_nothing_if_it_is_right() -> None:
    for metric in ("brier", "log_loss"):
        assert expected_loss(metric, np.array([0.0, 1.0])) == pytest.approx(0.0, abs=1e-9)


def test_other_metrics_and_no_predictions_have_no_expected_loss() -> None:
    assert expected_loss("mae", np.array([0.5])) is None
    assert expected_loss("roc_auc", np.array([0.5])) is None
    assert expected_loss("brier", np.zeros(0)) is None


def test_neither_a_hard_week_nor_the_promise_counts_as_worse() -> None:
    assert worse_than_promised("log_loss", 0.62, 0.60, 0.42, 0.02) == pytest.approx(0.0)
    assert worse_than_promised("log_loss", 0.65, 0.60, 0.42, 0.02) == pytest.approx(0.03)
    assert worse_than_promised("log_loss", 0.41, 0.42, 0.42, 0.02) == pytest.approx(-0.03)


def test_without_an_expectation_the_promise_itself_is_the_measure() -> None:
    assert worse_than_promised("mae", 1.3, None, 1.0, None) == pytest.approx(0.3)
    assert worse_than_promised("roc_auc", 0.7, None, 0.8, None) == pytest.approx(0.1)
    assert worse_than_promised("log_loss", 0.5, 0.4, 0.45, None) == pytest.approx(0.05)


# --- week by week


def promote(lake: Lake, registry: Registry, declaration: ModelDeclaration, now: Any) -> Version:
    """A champion that was judged, and so has a promise and a reliance, and has predicted all since."""
    version = lifecycle.make_candidate(lake, registry, declaration, lock_hash="lock", as_of=AS_OF).version
    lifecycle.evaluate_candidate(lake, registry, declaration, version, now=now)
    version = registry.promote(declaration.name, version.version)
    lifecycle.score_due(lake, registry, declaration)
    return version


def publish_drift(lake: Lake, weeks: Mapping[datetime, Mapping[str, float]], version: int = 1) -> None:
    rows = [
        {"model": "returns", "model_version": version, "window_start": start.date(), "feature": feature, "population_stability": value}
        for start, features in weeks.items()
        for feature, value in features.items()
    ]  # fmt: skip
    publish(lake.root, pd.DataFrame(rows), FEATURE_DRIFT, by=None)


@pytest.fixture
def champion(lake: Lake, registry: Registry, declaration: ModelDeclaration, frame: pd.DataFrame, now: Any) -> Version:
    champion = promote(lake, registry, declaration, now)
    publish_predictions(lake, frame)
    return champion


def starts(windows: tuple[HealthWindow, ...]) -> list[datetime]:
    return [window.start for window in windows]


def test_weeks_are_whole_and_begin_on_monday(lake: Lake, declaration: ModelDeclaration, champion: Version) -> None:
    assert FIRST_MONDAY.weekday() == 0
    assert FIRST_MONDAY < champion.as_of < FIRST_MONDAY + WEEK
    windows = health_windows(lake.open(), declaration, champion, END)
    assert starts(windows) == [FIRST_MONDAY, FIRST_MONDAY + WEEK, FIRST_MONDAY + 2 * WEEK]
    assert END.weekday() != 0  # what has begun is not over
    assert starts(health_windows(lake.open(), declaration, champion, FIRST_MONDAY + 2 * WEEK)) == starts(windows)[:2]
    before = FIRST_MONDAY + 2 * WEEK - timedelta(seconds=1)
    assert starts(health_windows(lake.open(), declaration, champion, before)) == starts(windows)[:1]


def test_a_week_tells_what_was_predicted_and_what_came_of_it(
    lake: Lake, declaration: ModelDeclaration, champion: Version
) -> None:
    window = health_windows(lake.open(), declaration, champion, END)[1]
    made = lake.open().read(PREDICTIONS).to_pandas()
    start = pd.Timestamp(window.start).tz_convert(None)
    week = made[(made["decision_at"] >= start) & (made["decision_at"] < start + WEEK)]
    label, prediction = week["actual"].to_numpy(), week["prediction"].to_numpy()
    assert (window.decisions, window.outcomes) == (len(week), week["actual"].notna().sum())
    assert window.loss == measure("log_loss", label, prediction)
    assert window.expected_loss == expected_loss("log_loss", prediction)
    assert window.calibration_error == measure("calibration_error", label, prediction)
    assert window.worse_by is not None
    assert abs(window.worse_by) < 0.1  # nothing has changed in the shop


def test_only_the_newest_weeks_that_the_policy_asks_for_are_read(
    lake: Lake, declaration: ModelDeclaration, champion: Version
) -> None:
    one = declared(RETURNS, retraining__drift=None, retraining__performance__windows="1 of 2")
    assert starts(health_windows(lake.open(), one, champion, END)) == [FIRST_MONDAY + WEEK, FIRST_MONDAY + 2 * WEEK]
    none = declared(RETURNS, retraining=None)
    assert starts(health_windows(lake.open(), none, champion, END)) == [FIRST_MONDAY + 2 * WEEK]


def test_a_week_of_which_few_outcomes_are_known_has_no_loss_yet(
    lake: Lake, declaration: ModelDeclaration, champion: Version
) -> None:
    end = FIRST_MONDAY + 3 * WEEK
    made = lake.open().read(PREDICTIONS).to_pandas().sort_values("decision_at")
    made = made[made["decision_at"] < pd.Timestamp(end).tz_convert(None)]
    in_last = made["decision_at"] >= pd.Timestamp(end - WEEK).tz_convert(None)

    def last_week(share: float) -> HealthWindow:
        """Where the outcomes of only the first decisions are known."""
        unknown = in_last & (in_last.cumsum() > share * in_last.sum())
        changed = {name: made[name].mask(unknown) for name in ("actual", "label_known_at")}
        publish(lake.root, made.assign(**changed), PREDICTIONS, by="decision_at")
        return health_windows(lake.open(), declaration, champion, end)[-1]

    few = last_week(0.97)
    assert 0.9 * few.decisions < few.outcomes < few.decisions  # most of it is known, but not its last day
    assert (few.loss, few.worse_by, few.calibration_error) == (None, None, None)
    assert last_week(1.0).loss is not None


def test_an_outcome_without_a_label_is_known_all_the_same(
    lake: Lake, declaration: ModelDeclaration, champion: Version
) -> None:
    made = lake.open().read(PREDICTIONS).to_pandas()
    before = health_windows(lake.open(), declaration, champion, END)
    fifth = np.arange(len(made)) % 5 == 0
    publish(lake.root, made.assign(actual=made["actual"].mask(fifth)), PREDICTIONS, by="decision_at")
    after = health_windows(lake.open(), declaration, champion, END)
    assert [window.loss is None for window in after] == [window.loss is None for window in before]
    assert all(one.outcomes < other.outcomes for one, other in zip(after, before, strict=True))


@pytest.mark.parametrize("window", ["day", "month"])
def test_windows_are_those_of_the_domain(
    lake: Lake, declaration: ModelDeclaration, champion: Version, window: Window
) -> None:
    domain = replace(declaration.domain, window=window, least_outcomes=40)
    windows = health_windows(lake.open(), replace(declaration, domain=domain), champion, END)
    assert windows
    assert all(one.start == window_start(one.start, window) for one in windows)
    assert all(moved(one.start, window, 1) <= END for one in windows)
    judged = [one.loss is not None for one in windows]
    assert judged == sorted(judged, reverse=True)  # in order: none after one that is awaited
    assert any(judged) is (window == "day")  # the month's last outcomes are not known yet


def test_a_version_from_the_future_is_ignored_and_after_a_rollback_the_labels_of_the_one_that_serves_count(
    lake: Lake, registry: Registry, declaration: ModelDeclaration, champion: Version, log: DecisionLog, now: Any
) -> None:
    def gather() -> Any:
        return gather_health(lake.open(), registry, declaration, lock_hash="lock")

    later = lifecycle.make_candidate(lake, registry, declaration, lock_hash="lock").version
    assert (gather().newest_version, gather().learned_version) == (2, 2)
    registry.promote("returns", later.version)
    lifecycle.rollback(lake, registry, log, declaration, now=now, reason="test")
    taken_back = gather()
    assert (taken_back.newest_version, taken_back.learned_version) == (2, 1)
    assert taken_back.learned_through <= champion.trained_through
    registry._client.set_model_version_tag("returns", "2", "trained_through", "2099-01-01T00:00:00Z")
    ignored = gather()
    assert (ignored.newest_version, ignored.champion_version) == (1, 1)


def test_a_week_with_very_few_decisions_has_no_loss(
    lake: Lake, declaration: ModelDeclaration, champion: Version
) -> None:
    made = lake.open().read(PREDICTIONS).to_pandas()
    publish(lake.root, made.iloc[::10], PREDICTIONS, by="decision_at")
    windows = health_windows(lake.open(), declaration, champion, END)
    assert all(window.decisions < 100 and window.loss is None for window in windows)


def test_a_week_whose_outcomes_are_all_alike_has_no_ranking_to_judge(
    lake: Lake, declaration: ModelDeclaration, champion: Version
) -> None:
    ranked = declared(RETURNS, evaluation__metric="roc_auc")
    made = lake.open().read(PREDICTIONS).to_pandas()
    publish(lake.root, made.assign(actual=0.0), PREDICTIONS, by="decision_at")
    for window in health_windows(lake.open(), ranked, champion, END):
        assert (window.loss, window.worse_by) == (None, None)


def test_only_what_the_champion_itself_has_predicted_counts(
    lake: Lake, declaration: ModelDeclaration, champion: Version
) -> None:
    before = health_windows(lake.open(), declaration, champion, END)
    made = lake.open().read(PREDICTIONS).to_pandas()
    others = pd.concat(
        [
            made,
            made.assign(model="another", prediction=0.99),
            made.assign(model_version=np.int32(9), prediction=0.99),
            made.assign(prediction_status="fallback", prediction=0.99),
        ]
    )
    publish(lake.root, others, PREDICTIONS, by="decision_at")
    assert health_windows(lake.open(), declaration, champion, END) == before


def test_a_champion_that_has_not_predicted_lately_has_no_weeks(
    lake: Lake, declaration: ModelDeclaration, champion: Version
) -> None:
    assert health_windows(lake.open(), declaration, replace(champion, version=2), END) == ()
    assert health_windows(lake.open(), declaration, champion, END + 52 * WEEK) == ()


def test_nothing_published_yet_is_no_week(
    lake: Lake, registry: Registry, declaration: ModelDeclaration, now: Any
) -> None:
    assert health_windows(lake.open(), declaration, promote(lake, registry, declaration, now), END) == ()


def test_a_version_that_was_never_judged_has_promised_nothing(
    lake: Lake, registry: Registry, declaration: ModelDeclaration, frame: pd.DataFrame
) -> None:
    version = lifecycle.make_candidate(lake, registry, declaration, lock_hash="lock", as_of=AS_OF).version
    registry.promote("returns", version.version)
    lifecycle.score_due(lake, registry, declaration)
    publish_predictions(lake, frame)
    publish_drift(lake, {FIRST_MONDAY: {"price": 0.3}})
    window = health_windows(lake.open(), declaration, version, END)[0]
    assert window.loss is not None
    assert (window.worse_by, window.drift) == (None, None)


def test_a_model_that_has_become_worse_is_seen_and_a_hard_week_is_not(
    lake: Lake, declaration: ModelDeclaration, champion: Version
) -> None:
    made = lake.open().read(PREDICTIONS).to_pandas()
    chance = np.random.default_rng(3)
    hard = 0.35 + 0.3 * chance.random(len(made))
    drawn = (chance.random(len(made)) < hard).astype(float)
    publish(lake.root, made.assign(prediction=hard, actual=drawn), PREDICTIONS, by="decision_at")
    for window in health_windows(lake.open(), declaration, champion, END)[1:]:
        assert (window.loss or 0) > champion.metrics["log_loss"] + 0.05
        assert abs(window.worse_by or 0) < 0.04
    publish(lake.root, made.assign(actual=1 - made["actual"]), PREDICTIONS, by="decision_at")
    assert all((window.worse_by or 0) > 0.2 for window in health_windows(lake.open(), declaration, champion, END)[1:])


def test_drift_counts_by_what_the_model_relies_on(lake: Lake, declaration: ModelDeclaration, champion: Version) -> None:
    lake.write_reliance("returns", 1, {"price": 0.3, "is_gift": 0.1, "weight": 0.0})
    second, third = FIRST_MONDAY + WEEK, FIRST_MONDAY + 2 * WEEK
    publish_drift(
        lake,
        {
            FIRST_MONDAY: {"price": 9.0},  # a week of too few decisions: mostly noise
            second: {"price": 0.0, "is_gift": 0.0, "weight": 9.0},
            third: {"price": 0.4, "is_gift": 0.8, "weight": 0.0},
        },
    )
    windows = health_windows(lake.open(), declaration, champion, END)
    assert [window.drift for window in windows] == [None, 0.0, pytest.approx(0.5)]
    plain = declared(RETURNS, retraining__drift__weighted_by="none")
    windows = health_windows(lake.open(), plain, champion, END)
    assert [window.drift for window in windows] == [None, pytest.approx(3.0), pytest.approx(0.4)]
    publish_drift(lake, {second: {"price": 0.4}}, version=2)
    assert [window.drift for window in health_windows(lake.open(), declaration, champion, END)] == [None] * 3


def test_health_is_gathered_as_of_the_data_and_says_what_changed(
    lake: Lake, registry: Registry, declaration: ModelDeclaration, champion: Version, frame: pd.DataFrame
) -> None:
    def gather(model: ModelDeclaration = declaration, lock_hash: str = "lock") -> Any:
        return gather_health(lake.open(), registry, model, lock_hash=lock_hash, failed_checks=["unique_order"])

    evidence = gather()
    newest_label = frame["outcome_known_at"].max().tz_localize(UTC)
    assert evidence.as_of == max(frame["decided_at"].max().tz_localize(UTC), newest_label)
    assert evidence.newest_label == newest_label
    assert (evidence.champion_version, evidence.newest_version) == (1, 1)
    assert evidence.trained_through == champion.trained_through
    assert evidence.failed_checks == ("unique_order",)
    assert evidence.changed == ()
    assert gather(lock_hash="another").changed == ("the environment",)
    assert gather(declared(RETURNS, params__max_iter=26)).changed == ("the declaration",)
    assert gather(declared(RETURNS, gates__min_rows=301)).changed == ()


def test_a_verdict_is_logged_once_until_it_changes(
    lake: Lake, registry: Registry, champion: Version, log: DecisionLog, now: Any
) -> None:
    def decide(model: ModelDeclaration, failed: tuple[str, ...] = ()) -> str | None:
        result = lifecycle.decide_on_retraining(
            lake, registry, log, model, lock_hash="lock", now=now, failed_checks=failed
        )
        return result.logged.verdict if result.logged else None

    aged = declared(RETURNS, retraining__performance=None)
    content = declared(RETURNS, retraining__performance=None, retraining__max_label_age="60 days")
    assert decide(content) is None
    assert [decide(aged, ("unique_order",)), decide(aged, ("unique_order",))] == ["held_back", None]
    assert [decide(aged), decide(aged)] == ["retrain", None]
    assert [line.kind for line in log.read()] == ["retraining", "retraining"]


# --- what a model relies on


def relied_on(rows: DecisionRows, declaration: ModelDeclaration) -> dict[str, float]:
    """By a model that has not seen the last weeks, on those."""
    split = holdout(rows, AS_OF, declaration.evaluation.window)
    return reliance(fit(split.train, declaration, split.cut).model, split.evaluation, declaration)


def test_a_feature_that_decides_the_label_counts_for_more_than_noise(
    rows: DecisionRows, declaration: ModelDeclaration
) -> None:
    found = relied_on(rows, declaration)
    assert list(found) == [feature.name for feature in declaration.features]
    assert min(found["price"], found["is_gift"], found["shop"]) > 5 * max(found["weight"], found["product"])
    assert min(found.values()) >= 0
    assert relied_on(rows, declaration) == found


def test_a_feature_that_the_model_does_not_use_counts_for_nothing(rows: DecisionRows) -> None:
    by_shop = declared(RETURNS, estimator="baseline_rates", params={"by": ["shop"]})
    found = relied_on(rows, by_shop)
    assert found.pop("shop") > 0
    assert set(found.values()) == {0.0}
