"""A time in shadow neither lasts for good nor holds back for good, counts complete days only, and is told of."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import numpy as np

from ml_assets import lifecycle
from tests.ml_assets.observing.shadow_world import MIDDLE, SERVED, TRAINED, World
from tests.ml_assets.shop import FIRST_DAY, RETURNS, declared, orders, publish

# --- it neither waits for good nor holds back for good


def test_where_decisions_are_few_it_waits_for_enough_outcomes_beyond_its_time(world: World) -> None:
    world.declaration = declared(
        RETURNS, gates__shadow="7 days", gates__max_calibration_error=None, gates__min_rows=700
    )
    world.pass_to(SERVED - 1)
    world.score()
    assert world.asks() == "in_shadow"
    world.pass_to(SERVED + 2)
    world.score()
    assert world.asks() == "promoted"


def test_a_champion_that_cannot_answer_any_more_is_not_waited_for(world: World) -> None:
    world.spoil(1)
    world.pass_to(MIDDLE)
    world.score()
    assert set(world.lake.read_predictions("returns")["prediction_status"].to_pylist()) == {"champion", "fallback"}
    assert world.decide() == "promoted"
    assert world.log.read()[-1].reasons[-1]["text"].startswith("Champion 1 cannot answer any more: ")


def test_where_neither_can_answer_nobody_wins(world: World) -> None:
    world.spoil(1)
    world.spoil(2)
    world.pass_to(MIDDLE)
    world.score()
    assert world.decide() == "rejected"
    assert world.champion() == 1


def test_beside_another_champion_its_time_begins_anew(world: World) -> None:
    world.pass_to(SERVED)
    world.score()
    assert world.decide() == "promoted"
    world.score()
    world.pass_to(109)
    world.score()
    world.train()
    assert world.decide() == "in_shadow"
    world.pass_to(111)
    world.score()
    lifecycle.rollback(world.lake, world.registry, world.log, world.declaration, now=world.now, reason="test")
    for day in (113, 117):
        world.pass_to(day)
        world.score()
        assert world.asks() == "in_shadow"  # 8 days since it was trained, 6 beside the present champion
    world.pass_to(120)
    world.score()
    assert world.asks() == "promoted"
    assert world.decide() == "promoted"
    line = world.log.read()[-1]
    assert (line.version, line.previous_version) == (3, 1)
    assert line.evidence["shadow"]["since"].startswith("2030-04-21T2")


def test_a_changed_declaration_waits_for_no_challenger(world: World) -> None:
    world.pass_to(SERVED - 1)
    world.score()
    assert world.retrains() == "held_back"
    other = declared(RETURNS, gates__shadow="7 days", params={"max_iter": 12})
    assert world.retrains(other) == "retrain"


def test_a_challenger_that_is_never_decided_on_holds_nothing_back_for_good(world: World) -> None:
    world.pass_to(TRAINED + 13)
    assert world.retrains() == "held_back"
    world.pass_to(TRAINED + 15)
    assert world.retrains() == "retrain"


def test_while_labels_are_young_enough_nothing_is_asked_for_or_held_back(world: World) -> None:
    """A challenger is the newest version: the age of labels is counted from what it has learned."""
    world.pass_to(TRAINED + 6)
    assert world.retrains() == "not_needed"


def test_the_first_known_outcomes_do_not_decide(world: World) -> None:
    """Its time has passed and enough outcomes are known, but not yet all of its last days."""
    world.pass_to(SERVED)
    world.score()
    moment = FIRST_DAY + timedelta(days=SERVED)
    frame = orders(known_through=moment)
    fifth = (np.arange(len(frame)) % 5 == 0) & (frame["decided_at"] > (moment - timedelta(days=5)).replace(tzinfo=None))
    frame = frame.assign(outcome_known_at=frame["outcome_known_at"].mask(fifth))
    publish(world.root, frame[frame["decided_at"] <= moment.replace(tzinfo=None)])
    decision = lifecycle.decide_on_shadow(world.lake, world.registry, world.log, world.declaration, now=world.now)
    assert decision is not None
    assert decision.verdict == "in_shadow"
    assert "are not all known yet" in decision.reasons[-1].text


def test_only_complete_days_are_compared(world: World) -> None:
    world.pass_to(SERVED + 3)
    world.score()
    world.decide()
    shown = world.log.read()[-1].evidence["shadow"]
    known_through = FIRST_DAY + timedelta(days=SERVED + 3)
    assert shown["days"] <= SERVED + 3 - TRAINED
    assert shown["awaited"] <= known_through.isoformat()


# --- what is said


def test_the_story_tells_of_the_challenger_from_both_sides(world: World) -> None:
    assert "version 2 is in shadow: it answers beside the champion, and nobody acts on its answers." in world.story(2)
    assert "It has only answered in shadow." in world.story(2)
    assert "Version 2 is in shadow beside it, as of 2030-04-0" in world.story(1)
    assert "until 2030-04-1" in world.story(1)


def test_the_log_keeps_what_the_time_in_shadow_showed(world: World) -> None:
    world.pass_to(SERVED)
    world.score()
    world.decide()
    shown = json.loads(world.log.path.read_text().splitlines()[-1])["evidence"]["shadow"]
    assert shown["rows"] > 500
    assert shown["low"] < shown["worse_by"] < shown["high"]
    assert (world.log.read()[-1].as_of or "").startswith("2030-04-16T23")  # when it was decided, not trained


def test_a_second_run_of_everything_changes_no_byte(world: World) -> None:
    def everything() -> dict[Path, bytes]:
        world.score()
        world.asks()
        world.decide()
        folders = (world.root, world.registry.root / "evidence", world.registry.root / "models")
        return {path: path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}

    for day in (MIDDLE, SERVED):
        world.pass_to(day)
        everything()
        once = everything()
        assert everything() == once


# --- where none is declared


def test_a_declaration_without_it_is_the_same_as_ever() -> None:
    plain = declared(RETURNS)
    assert "shadow" not in plain.as_dict()["gates"]
    assert declared(RETURNS, gates__shadow="7 days").as_dict()["gates"]["shadow"] == 604800.0
    assert declared(RETURNS, gates__shadow="7 days").fingerprint == plain.fingerprint


def test_without_the_declared_time_there_is_no_shadow(world: World) -> None:
    world.declaration = declared(RETURNS, gates__max_calibration_error=None)
    world.pass_to(MIDDLE)
    assert world.score() is None
    assert world.asks() is None
    assert world.decide() == "promoted"
    assert not (world.root / "shadow_predictions").exists()
    evidence = (world.registry.root / "evidence" / "returns").glob("*.json")
    assert [path for path in evidence if "shadow" in json.loads(path.read_text())] == []
    assert [line for line in world.log.read() if "shadow" in line.evidence and line.version == 1] == []


def test_the_log_says_how_much_of_its_time_has_passed(world: World) -> None:
    line = json.loads(world.log.path.read_text().splitlines()[-1])
    assert (line["verdict"], line["version"], line["previous_version"]) == ("in_shadow", 2, 1)
    assert line["reasons"][-1]["gate"] == "shadow"
    assert "0.0 of 7 days have passed" in line["reasons"][-1]["text"]
