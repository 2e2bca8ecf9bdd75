"""A challenger in shadow answers beside the champion for its time, tells nobody, and is judged by what it answered."""

from __future__ import annotations

from datetime import timedelta

import pyarrow as pa
import pytest

from ml_assets import lifecycle
from ml_assets.deciding.story import tell_version
from tests.ml_assets.observing.shadow_world import MIDDLE, SERVED, World
from tests.ml_assets.shop import FIRST_DAY, RETURNS, declared, orders, publish


def test_it_answers_what_the_champion_answers_and_nobody_is_told(world: World) -> None:
    assert world.score() == lifecycle.ShadowReport(2, 0, None)
    before = world.lake.read_predictions("returns").num_rows
    world.pass_to(MIDDLE)
    report = world.score()
    made = world.lake.read_predictions("returns").to_pandas()
    assert report is not None
    assert report.rows == len(made) - before > 200
    assert set(made["model_version"]) == {1}
    newest = made.sort_values("decision_at")["decision_key"].tail(report.rows)
    assert set(world.shadow_answers()) == set(newest)
    assert world.champion() == 1
    assert world.score() == lifecycle.ShadowReport(2, 0, None)


def test_while_its_time_lasts_nothing_is_decided_logged_or_trained(world: World) -> None:
    lines = world.log.path.read_bytes()
    world.pass_to(MIDDLE)
    world.score()
    assert world.asks() == "in_shadow"
    assert world.decide() == "in_shadow"
    assert world.log.path.read_bytes() == lines
    world.pass_to(SERVED - 1)
    result = lifecycle.decide_on_retraining(
        world.lake, world.registry, world.log, world.declaration, lock_hash="lock", now=world.now
    )
    assert result.decision.verdict == "held_back"
    assert "answers in shadow" in result.decision.reasons[-1].text


def test_it_wins_after_its_time_if_it_did_no_worse(world: World) -> None:
    for day in (MIDDLE, SERVED):
        world.pass_to(day)
        world.score()
    assert world.asks() == "promoted"
    assert world.champion() == 1  # asking does nothing
    assert world.decide() == "promoted"
    assert world.champion() == 2
    assert world.score() is None
    assert [line.verdict for line in world.log.read()] == ["promoted", "in_shadow", "promoted"]
    gates = {reason["gate"]: reason for reason in world.log.read()[-1].reasons}
    assert gates["shadow_answers"]["figure"] == 0
    assert gates["shadow"]["passed"]
    assert "both answered in its time" in gates["shadow"]["text"]
    story = tell_version(
        world.lake, world.declaration, world.registry.get("returns", 2), world.log.read(), world.champion()
    )
    assert "it went into shadow" in story
    assert "It became champion" in story


def test_it_is_rejected_if_it_did_worse_live_and_stays_rejected(world: World) -> None:
    world.pass_to(SERVED)
    world.score()
    for day in world.lake.prediction_dates("returns", shadow=2):  # as if it had answered the contrary
        table = world.lake.read_predictions("returns", [day], shadow=2)
        contrary = pa.array(1 - table["prediction"].to_numpy())
        table = table.set_column(table.column_names.index("prediction"), "prediction", contrary)
        world.lake.write_predictions("returns", day, table, shadow=2)
    assert world.decide() == "rejected"
    reasons = world.log.read()[-1].reasons
    assert [reason["gate"] for reason in reasons if not reason["passed"]] == ["shadow"]
    assert "ignificantly worse than champion 1" in reasons[-1]["text"]
    lines = world.log.path.read_bytes()
    world.pass_to(SERVED + 5)
    assert world.score() is None
    assert world.decide() == "rejected"
    assert world.log.path.read_bytes() == lines
    assert world.champion() == 1


def test_a_challenger_whose_file_is_broken_hurts_nobody_and_cannot_win(world: World) -> None:
    world.spoil(2)
    before = world.lake.read_predictions("returns").num_rows
    world.pass_to(SERVED)
    report = world.score()
    assert report is not None
    assert report.rows == 0
    assert report.problem
    made = world.lake.read_predictions("returns").to_pandas()
    assert len(made) > before + 500
    assert set(made["prediction_status"]) == {"champion"}
    assert world.asks() == "rejected"
    assert world.decide() == "rejected"
    text = world.log.read()[-1].reasons[-1]["text"]
    assert "It cannot answer" in text
    assert world.registry.get("returns", 2).sha256[:12] in text


def test_a_file_that_breaks_after_its_last_answer_does_not_win_either(world: World) -> None:
    world.pass_to(SERVED)
    world.score()
    world.spoil(2)
    assert world.decide() == "rejected"
    assert [reason["gate"] for reason in world.log.read()[-1].reasons if not reason["passed"]] == ["shadow_answers"]


@pytest.mark.parametrize("error", [KeyError("shop"), RuntimeError("no"), MemoryError(), OSError("disk full")])
def test_a_challenger_that_raises_is_said_and_answers_later(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    world.pass_to(MIDDLE)

    def raises(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr("ml_assets.observing.shadow.predict", raises)
        report = world.score()
    assert report == lifecycle.ShadowReport(2, 0, f"{type(error).__name__}: {error}")
    assert world.shadow_answers() == {}
    again = world.score()
    assert again is not None
    assert (again.problem, again.rows) == (None, len(world.shadow_answers()))
    assert again.rows > 200


def test_a_log_that_cannot_be_read_does_not_stop_scoring(world: World) -> None:
    world.pass_to(MIDDLE)
    world.log.path.write_text("torn\n")
    before = world.lake.read_predictions("returns").num_rows
    assert world.score() is None
    assert world.lake.read_predictions("returns").num_rows > before


def test_a_challenger_whose_column_is_gone_hurts_nobody(world: World) -> None:
    world.pass_to(SERVED)
    moment = FIRST_DAY + timedelta(days=SERVED)
    frame = orders(known_through=moment)
    publish(world.root, frame[frame["decided_at"] <= moment.replace(tzinfo=None)].drop(columns="weight"))
    world.declaration = declared(
        RETURNS, gates__shadow="7 days", gates__max_calibration_error=None, features={"exclude": ["weight"]}
    )
    report = world.score()
    assert report is not None
    assert "no column weight" in (report.problem or "")
    assert world.asks() == "in_shadow"


def test_a_file_of_its_answers_that_is_torn_is_made_again(world: World) -> None:
    world.pass_to(SERVED)
    world.score()
    before = world.shadow_answers()
    path = next(world.lake.predictions_folder("returns", 2).glob("*.parquet"))
    whole = path.read_bytes()
    path.write_bytes(whole[:50])
    report = world.score()
    assert report is not None
    assert 0 < report.rows < len(before)
    assert path.read_bytes() == whole
    assert world.shadow_answers() == before


def test_a_newer_candidate_takes_its_place_and_the_log_says_so(world: World) -> None:
    world.pass_to(MIDDLE)
    world.score()
    world.train()
    assert world.decide() == "in_shadow"
    assert world.log.read()[-1].reasons[-1]["text"].endswith("It takes the place of version 2.")
    report = world.score()
    assert report is not None
    assert report.version == 3
    assert "It has only answered in shadow." in world.story(2)
    lines = world.log.path.read_bytes()
    assert world.decide() == "in_shadow"
    assert world.log.path.read_bytes() == lines


def test_a_newer_candidate_that_is_rejected_takes_nobodys_place(world: World) -> None:
    world.pass_to(MIDDLE)
    world.score()
    good, world.declaration = (
        world.declaration,
        declared(RETURNS, gates__shadow="7 days", gates__max_calibration_error=None, params={"max_iter": 1}),
    )
    world.train()
    assert world.decide() == "rejected"
    world.declaration = good
    world.pass_to(SERVED)
    report = world.score()
    assert report is not None
    assert report.version == 2
    world.decide()
    assert world.champion() == 2


def test_a_challenger_that_has_served_its_time_is_decided_on_before_a_newer_one(world: World) -> None:
    """As a refresh would do: it trains before it decides."""
    world.pass_to(SERVED)
    world.score()
    world.train()
    assert world.decide() == "in_shadow"
    said = [(line.version, line.previous_version, line.verdict) for line in world.log.read()]
    assert said == [(1, None, "promoted"), (2, 1, "in_shadow"), (2, 1, "promoted"), (3, 2, "in_shadow")]
    assert world.champion() == 2
