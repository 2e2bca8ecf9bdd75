"""The whole loop on a few days, small enough to run with every change: files in, champion's predictions and what watches them out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rich.console import Console

from dagster_defs.commands.status import gather_status
from dagster_defs.commands.status_words import show_status
from tests.end_to_end.real_homes import MODELS, RealHome

Copied = Callable[..., RealHome]


def test_one_run_goes_from_files_to_predictions_and_what_watches_them(week: RealHome) -> None:
    tables = set(week.lake.open().tables())

    assert {"trn_late_arrival", "fct_flights__predictions", "fct_model__evaluations", "fct_model__decisions"} <= tables
    assert {"mon_flights__data_health", "mon_flights__feature_drift"} <= tables
    for model in MODELS:
        assert week.champion(model) == 1
        assert week.predictions(model).num_rows > 0
        assert set(week.predictions(model)["prediction_status"].to_pylist()) == {"champion"}
    assert [(line.model, line.verdict) for line in week.decisions()] == [(model, "promoted") for model in MODELS]


def test_what_was_predicted_is_published(week: RealHome) -> None:
    assert week.rows()["fct_flights__predictions"] == sum(week.predictions(model).num_rows for model in MODELS)


def test_models_asked_again_without_news_do_nothing(week: RealHome, copied: Copied) -> None:
    home = copied(week)
    before = home.state()

    result = home.materialize(
        *(f"{model}/{step}" for model in MODELS for step in ("candidate", "evaluation", "champion", "predictions"))
    )

    assert result.success
    assert home.state() == before


def test_the_status_tells_of_it(week: RealHome) -> None:
    with week.entered():
        answer = gather_status(week.settings)
    console = Console(record=True, width=200)
    show_status(answer, console)

    assert answer["checks"]["failed"] == []
    assert answer["next"] is None
    assert answer["rows"]["landed_rows"] == answer["rows"]["staged_rows"] + answer["rows"]["quarantined_rows"]
    assert {model: answer["models"][model]["champion"] for model in MODELS} == dict.fromkeys(MODELS, 1)
    assert "late_arrival version 1" in console.export_text()


@pytest.mark.parametrize("model", MODELS)
def test_a_prediction_is_made_from_what_was_published(week: RealHome, model: str) -> None:
    """Every predicted decision is a row of the training set, and none whose outcome the champion has learned from."""
    training = week.lake.open().read("trn_late_arrival").to_pandas()
    predictions = week.predictions(model).to_pandas()
    champion = week.registry.champion(model)
    assert champion is not None
    decided = training.set_index(training["flight_id"].astype(str)).loc[predictions["decision_key"]]

    assert predictions["decision_key"].is_unique
    known = decided["outcome_known_at"].dropna()
    assert (known.dt.tz_localize("UTC") > champion.trained_through).all()
