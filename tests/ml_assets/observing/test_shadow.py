"""A challenger in shadow answers beside the champion for its time, tells nobody, and is judged by what it answered."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from ml_assets import lifecycle
from ml_assets.deciding.log import DecisionLog
from ml_assets.deciding.story import tell_version
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.lake.snapshot import Lake
from ml_assets.registry.registry import Registry
from tests.ml_assets.shop import FIRST_DAY, RETURNS, declared, orders, publish

Clock = Callable[[], datetime]
WITH_SHADOW = declared(RETURNS, gates__shadow="7 days", gates__max_calibration_error=None)
FIRST, TRAINED, MIDDLE, SERVED = 90, 97, 101, 106
BEGAN = datetime(2031, 1, 1, tzinfo=UTC)


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
        result = lifecycle.decide_on_champion(self.lake, self.registry, self.log, self.declaration, now=self.now)
        return result.decision.verdict

    def retrains(self, declaration: ModelDeclaration | None = None) -> str:
        result = lifecycle.decide_on_retraining(
            self.lake, self.registry, self.log, declaration or self.declaration, lock_hash="lock", now=self.now
        )
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

    def spoil(self, version: int) -> None:
        path = self.registry.artifacts.path(self.registry.get("returns", version).sha256)
        path.write_bytes(path.read_bytes()[:100])

    def story(self, version: int) -> str:
        chosen = self.registry.get("returns", version)
        return tell_version(self.lake, self.declaration, chosen, self.log.read(), self.champion())

    def shadow_answers(self) -> dict[str, float]:
        table = self.lake.read_predictions("returns", shadow=2)
        return dict(zip(table["decision_key"].to_pylist(), table["prediction"].to_pylist(), strict=True))


@pytest.fixture(scope="session")
def once_in_shadow(tmp_path_factory: pytest.TempPathFactory, empty_registry: Path) -> Path:
    """A champion, and a challenger that has just passed every other gate. Never to be written to: see `world`."""
    root = tmp_path_factory.mktemp("in_shadow")
    shutil.copytree(empty_registry, root / "registry")
    world = World(root / "lake", Registry(root / "registry"), _log_in(root), lambda: BEGAN, WITH_SHADOW)
    world.pass_to(FIRST)
    world.train()
    assert world.decide() == "promoted"  # the first champion has nobody to answer beside
    world.score()
    world.pass_to(TRAINED)
    world.train()
    assert world.decide() == "in_shadow"
    return root


@pytest.fixture
def world(tmp_path: Path, once_in_shadow: Path, now: Clock) -> World:
    shutil.copytree(once_in_shadow, tmp_path / "home")
    home = tmp_path / "home"
    return World(home / "lake", Registry(home / "registry"), _log_in(home), now, WITH_SHADOW)


def _log_in(home: Path) -> DecisionLog:
    return DecisionLog(home / "lake" / "decisions.jsonl")


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
