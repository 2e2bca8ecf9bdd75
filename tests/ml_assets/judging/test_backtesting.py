"""The replay: each origin knows what was known then, and is judged on what came next."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from ml_assets.declaration.model import ModelDeclaration
from ml_assets.errors import TrainingError
from ml_assets.fitting.estimators import predict
from ml_assets.fitting.splitting import known_by
from ml_assets.fitting.training import fit
from ml_assets.judging.backtesting import backtest
from ml_assets.lake.decision_rows import DecisionRows
from ml_assets.measuring.metrics import measure
from ml_assets.moments import as_datetime64
from tests.ml_assets.shop import AS_OF, KEPT, declared

EVERY = timedelta(days=14)


def test_every_decision_is_predicted_by_the_newest_model_before_it(
    rows: DecisionRows, declaration: ModelDeclaration
) -> None:
    seen: list[tuple[str, int, int]] = []
    replay = backtest(rows, declaration, through=AS_OF, every=EVERY, progress=lambda *step: seen.append(step))
    assert [origin.trained_through for origin in replay.origins] == [
        declaration.evaluation.backtest_from + EVERY * n for n in range(len(replay.origins))
    ]  # type: ignore[operator]
    assert sum(origin.rows for origin in replay.origins) == len(replay.rows)
    assert (replay.rows.label_known_at <= as_datetime64(AS_OF)).all()
    second = replay.origins[1]
    by_hand = fit(known_by(rows, second.trained_through), declaration, second.trained_through)
    inside = (replay.rows.decision_at > as_datetime64(second.trained_through)) & (
        replay.rows.decision_at <= as_datetime64(second.through)
    )
    np.testing.assert_array_equal(
        replay.predictions["candidate"][inside],
        predict(by_hand.model, replay.rows.where(inside).inputs, declaration.task),
    )
    assert second.training_rows == by_hand.rows
    assert seen[0] == ("trained through 2030-02-20T00:00:00Z", 0, len(seen) - 1)
    assert seen[-1][0] == "replayed"


def test_baselines_stand_beside_it_overall_and_by_slice(rows: DecisionRows, declaration: ModelDeclaration) -> None:
    replay = backtest(rows, declaration, through=AS_OF, every=EVERY)
    overall = {
        score.subject: score for score in replay.scores if (score.slice_name, score.metric) == ("overall", "log_loss")
    }
    assert set(overall) == {"candidate", "baseline_constant", "baseline_rates_by_shop"}
    assert overall["candidate"].value < overall["baseline_rates_by_shop"].value < overall["baseline_constant"].value
    assert overall["candidate"].value == measure("log_loss", replay.rows.label, replay.predictions["candidate"])
    assert {score.slice_value for score in replay.scores if score.slice_name == "shop"} == {
        "north",
        "south",
        "west",
        "kiosk",
    }


def test_a_start_is_needed_and_something_after_it(rows: DecisionRows, declaration: ModelDeclaration) -> None:
    with pytest.raises(TrainingError, match=r"declare evaluation.backtest_from in models/ml_models/kept.yml"):
        backtest(rows, declared(KEPT, "kept"), through=AS_OF, every=EVERY)
    with pytest.raises(TrainingError, match="nothing to judge between"):
        backtest(rows, declaration, through=AS_OF, every=EVERY, first=AS_OF)
