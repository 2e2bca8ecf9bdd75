"""A challenger in shadow answers beside the champion for its time, tells nobody, and is judged by what it answered."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from ml_assets import lifecycle
from ml_assets.decision_log import DecisionLog
from ml_assets.lake import Lake
from ml_assets.model_declaration import ModelDeclaration
from ml_assets.registry import Registry
from ml_assets.story import tell_version
from tests.ml_assets.shop import FIRST_DAY, RETURNS, declared, orders, publish

Clock = Callable[[], datetime]
WITH_SHADOW = declared(RETURNS, gates__shadow="7 days", gates__max_calibration_error=None)
FIRST, TRAINED, MIDDLE, SERVED = 90, 97, 101, 106


@dataclass
class World:
    """A shop whose days pass; `live` is what the assets do with each."""

    root: Path
    registry: Registry
    log: DecisionLog
    now: Clock
    declaration: ModelDeclaration

    @property
    def lake(self) -> Lake:
        return Lake(self.root)

    def pass_to(self, day: int) -> None:
        moment = FIRST_DAY + timedelta(days=day)
        frame = orders(known_through=moment)
        publish(self.root, frame[frame["decided_at"] <= moment.replace(tzinfo=None)])

    def train(self) -> None:
        lifecycle.make_candidate(self.lake, self.registry, self.declaration, lock_hash="lock")

    def decide(self) -> str:
        version = self.registry.versions("returns")[-1]
        evidence = lifecycle.evaluate_candidate(self.lake, self.registry, self.declaration, version, now=self.now)
        evidence = lifecycle.with_shadow(self.lake, self.registry, self.log, self.declaration, evidence)
        result = lifecycle.decide_and_promote(self.registry, self.log, self.declaration, evidence, now=self.now)
        return result.decision.verdict

    def score(self) -> lifecycle.ShadowReport | None:
        lifecycle.score_due(self.lake, self.registry, self.declaration)
        return lifecycle.score_in_shadow(self.lake, self.registry, self.log, self.declaration)

    def asks(self) -> str | None:
        decision = lifecycle.decide_on_shadow(self.lake, self.registry, self.log, self.declaration, now=self.now)
        return decision.verdict if decision else None

    def champion(self) -> int | None:
        champion = self.registry.champion("returns")
        return champion.version if champion else None

    def shadow_answers(self) -> dict[str, float]:
        table = self.lake.read_predictions("returns", shadow=2)
        return dict(zip(table["decision_key"].to_pylist(), table["prediction"].to_pylist(), strict=True))


@pytest.fixture
def world(tmp_path: Path, registry: Registry, log: DecisionLog, now: Clock) -> World:
    """A champion, and a challenger that has just passed every other gate."""
    world = World(tmp_path / "lake", registry, log, now, WITH_SHADOW)
    world.pass_to(FIRST)
    world.train()
    assert world.decide() == "promoted"  # the first champion has nobody to answer beside
    world.score()
    world.pass_to(TRAINED)
    world.train()
    assert world.decide() == "in_shadow"
    return world


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
    path = world.registry.artifacts.path(world.registry.get("returns", 2).sha256)
    path.write_bytes(path.read_bytes()[:100])
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


def test_a_newer_candidate_takes_its_place(world: World) -> None:
    world.pass_to(MIDDLE)
    world.score()
    world.train()
    assert world.asks() is None
    assert world.decide() == "in_shadow"
    report = world.score()
    assert report is not None
    assert report.version == 3


def test_without_the_declared_time_there_is_no_shadow(world: World) -> None:
    world.declaration = declared(RETURNS, gates__max_calibration_error=None)
    world.pass_to(MIDDLE)
    assert world.score() is None
    assert world.asks() is None
    assert world.decide() == "promoted"
    assert not (world.root / "shadow_predictions").exists()


def test_the_log_says_how_much_of_its_time_has_passed(world: World) -> None:
    line = json.loads(world.log.path.read_text().splitlines()[-1])
    assert (line["verdict"], line["version"], line["previous_version"]) == ("in_shadow", 2, 1)
    assert line["reasons"][-1]["gate"] == "shadow"
    assert "0.0 of 7 days have passed" in line["reasons"][-1]["text"]
