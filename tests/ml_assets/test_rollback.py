"""The way back: the champion before it answers as it did, whatever was cut short, and who was taken back does not return by itself."""

from __future__ import annotations

import pytest

from ml_assets import lifecycle
from ml_assets.deciding.log import DecisionLog
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.errors import NoChampion
from ml_assets.lake.snapshot import Lake
from ml_assets.moments import text_of
from ml_assets.registry.registry import Registry
from tests.ml_assets.life import LATER, Clock, Life


@pytest.fixture
def life(lake: Lake, registry: Registry, log: DecisionLog, now: Clock) -> Life:
    return Life(lake, registry, log, now)


def test_a_rollback_restores_identical_predictions(life: Life, declaration: ModelDeclaration) -> None:
    life.step(declaration)
    first = lifecycle.score_due(life.lake, life.registry, declaration)
    before = {path.name: path.read_bytes() for path in first.files}
    life.step(declaration, LATER)
    for path in first.files:
        path.unlink()
    result = lifecycle.rollback(
        life.lake, life.registry, life.log, declaration, now=life.now, reason="The kiosk complained."
    )
    assert (result.champion.version, result.previous.version, life.champion()) == (1, 2, 1)
    again = lifecycle.score_due(life.lake, life.registry, declaration)
    assert {path.name: path.read_bytes() for path in again.files} == before
    line = life.log.last("returns")
    assert line is not None
    assert (line.kind, line.verdict, line.version, line.previous_version) == ("rollback", "rolled_back", 1, 2)
    assert line.reasons[0]["text"] == "The kiosk complained."
    assert life.log.verify() == 3


def test_a_rollback_is_dated_with_how_far_the_data_go_now(life: Life, declaration: ModelDeclaration) -> None:
    life.step(declaration)
    life.step(declaration, LATER)

    lifecycle.rollback(life.lake, life.registry, life.log, declaration, now=life.now, reason="test")

    line, present = life.log.last("returns"), lifecycle.watermark(life.lake, declaration)
    assert line is not None
    assert line.as_of == text_of(present)
    assert present > LATER


def test_a_rollback_goes_through_though_the_training_set_cannot_be_read(
    life: Life, declaration: ModelDeclaration
) -> None:
    life.step(declaration)
    life.step(declaration, LATER)
    (life.lake.root / "catalog.jsonl").write_text("")

    lifecycle.rollback(life.lake, life.registry, life.log, declaration, now=life.now, reason="test")

    line = life.log.last("returns")
    assert line is not None
    assert (line.kind, line.as_of, life.champion()) == ("rollback", None, 1)


def test_a_version_that_was_rolled_back_does_not_return_by_itself(life: Life, declaration: ModelDeclaration) -> None:
    life.step(declaration)
    life.step(declaration, LATER)
    lifecycle.rollback(life.lake, life.registry, life.log, declaration, now=life.now, reason="test")
    for is_new in (True, False):
        result = life.step(declaration, LATER)
        assert (result.decision.verdict, result.is_new) == ("rejected", is_new)
        assert [reason.gate for reason in result.decision.failed] == ["not_rolled_back"]
    assert life.champion() == 1


def test_there_is_nothing_to_roll_back_to_before_a_second_champion(life: Life, declaration: ModelDeclaration) -> None:
    with pytest.raises(NoChampion, match="no champion yet"):
        lifecycle.rollback(life.lake, life.registry, life.log, declaration, now=life.now, reason="test")
    life.step(declaration)
    with pytest.raises(NoChampion, match="only had one champion, version 1"):
        lifecycle.rollback(life.lake, life.registry, life.log, declaration, now=life.now, reason="test")


def test_a_crash_between_log_and_champion_is_made_good_by_the_next_call(
    life: Life, declaration: ModelDeclaration, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Registry, "promote", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            life.step(declaration)
    assert (life.log.verify(), life.champion()) == (1, None)
    result = life.step(declaration)
    assert (result.is_new, life.champion(), life.log.verify()) == (False, 1, 1)


def test_a_rollback_that_was_cut_short_is_finished_and_logged_once(
    life: Life, declaration: ModelDeclaration, monkeypatch: pytest.MonkeyPatch
) -> None:
    life.step(declaration)
    life.step(declaration, LATER)
    with monkeypatch.context() as patch:
        patch.setattr(Registry, "roll_back", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            lifecycle.rollback(life.lake, life.registry, life.log, declaration, now=life.now, reason="test")
    assert (life.log.verify(), life.champion()) == (3, 2)

    lifecycle.rollback(life.lake, life.registry, life.log, declaration, now=life.now, reason="test")

    assert (life.log.verify(), life.champion()) == (3, 1)
