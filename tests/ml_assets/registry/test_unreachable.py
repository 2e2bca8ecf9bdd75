"""A registry that cannot be asked: the champion last seen answers, and nothing is trained, judged or promoted."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml_assets import lifecycle
from ml_assets.answering.scoring import score_due, score_from_spine, score_past
from ml_assets.deciding.log import DecisionLog
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.errors import ArtifactMissing, RegistryUnreachable
from ml_assets.lake.snapshot import Lake
from ml_assets.observing.incidents import (
    why_degraded,
)
from ml_assets.registry import reachability
from ml_assets.registry.registry import Registry
from ml_assets.registry.versions import Standing, Version, last_seen, remember
from tests.ml_assets.shop import AS_OF, RETURNS, declared, publish

Clock = Callable[[], datetime]
LATER = AS_OF + timedelta(days=7)
NOW = datetime(2031, 1, 1, tzinfo=UTC)


def promoted(lake: Lake, registry: Registry, declaration: ModelDeclaration, as_of: datetime = AS_OF) -> Version:
    version = lifecycle.make_candidate(lake, registry, declaration, lock_hash="lock", as_of=as_of).version
    return registry.promote(declaration.name, version.version)


@pytest.fixture
def champion(lake: Lake, registry: Registry, declaration: ModelDeclaration) -> Version:
    return promoted(lake, registry, declaration)


def predictions(lake: Lake) -> pd.DataFrame:
    return lake.read_predictions("returns").to_pandas().set_index("decision_key")


def remove(path: Path) -> None:
    path.unlink()


def garble(path: Path) -> None:
    path.write_bytes(np.random.default_rng(1).bytes(50_000))


def garble_the_middle(path: Path) -> None:
    """The header is sound, and so is the list of tables: pages further on are not."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : -4096] = b"\xff" * (len(content) - 4096 - len(content) // 2)
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def make_a_folder_of(path: Path) -> None:
    path.unlink()
    path.mkdir()


BREAKAGES = {
    remove: "is gone",
    garble: "is no sound database",
    garble_the_middle: "is",
    empty: "is empty",
    make_a_folder_of: "cannot be opened",
}


@pytest.fixture(params=BREAKAGES, ids=lambda breakage: breakage.__name__)
def broken(request: pytest.FixtureRequest, registry: Registry, champion: Version) -> str:
    """A registry that has had a champion and now cannot be asked; the words by which it is named."""
    request.param(registry.root / "mlflow.db")
    return BREAKAGES[request.param]


def test_the_champion_last_seen_answers_when_the_registry_cannot_be_asked(
    broken: str, lake: Lake, registry: Registry, declaration: ModelDeclaration, champion: Version
) -> None:
    report = score_due(lake, Registry(registry.root), declaration)

    assert (report.status, report.version, report.marked_rows) == ("champion", champion.version, report.rows)
    assert report.rows > 0
    made = predictions(lake)
    assert set(made["model_sha256"]) == {champion.sha256}
    assert set(made["prediction_status"]) == {"champion"}
    (reason,) = set(made["status_reason"])
    assert reason.startswith(f"the registry could not be read (mlflow.db {broken}")
    assert reason.endswith("the champion last seen, version 1, stands")
    assert why_degraded(report) == reason


def test_its_predictions_are_those_that_it_would_have_made(
    lake: Lake, registry: Registry, declaration: ModelDeclaration, champion: Version
) -> None:
    score_due(lake, registry, declaration)
    sound = predictions(lake)["prediction"]
    for path in lake.predictions_folder("returns").glob("*.parquet"):
        path.unlink()
    garble(registry.root / "mlflow.db")

    score_due(lake, Registry(registry.root), declaration)

    pd.testing.assert_series_equal(predictions(lake)["prediction"], sound)


def test_nothing_is_trained_judged_or_promoted_meanwhile(
    broken: str,
    lake: Lake,
    registry: Registry,
    declaration: ModelDeclaration,
    champion: Version,
    log: DecisionLog,
    now: Clock,
) -> None:
    asked = Registry(registry.root)
    verbs: list[Callable[[], Any]] = [
        lambda: lifecycle.make_candidate(lake, asked, declaration, lock_hash="lock", as_of=LATER),
        lambda: lifecycle.evaluate_candidate(lake, asked, declaration, champion, now=now),
        lambda: lifecycle.rollback(lake, asked, log, declaration, now=now, reason="test"),
        lambda: lifecycle.decide_on_retraining(lake, asked, log, declaration, lock_hash="lock", now=now),
        lambda: lifecycle.watch_champion(lake, asked, declaration),
        lambda: asked.promote("returns", 1),
        lambda: asked.versions("returns"),
        lambda: asked.champion("returns"),
    ]
    files = sorted((registry.root / "models").iterdir())
    for verb in verbs:
        with pytest.raises(RegistryUnreachable, match=rf"mlflow\.db {broken}.*; .*(restore|right to)"):
            verb()
    assert asked.trouble()
    assert sorted((registry.root / "models").iterdir()) == files
    assert not log.path.exists()


def test_a_lost_database_is_not_replaced_by_an_empty_one(
    lake: Lake, registry: Registry, declaration: ModelDeclaration, champion: Version
) -> None:
    (registry.root / "mlflow.db").unlink()

    with pytest.raises(RegistryUnreachable, match=r"is gone; .*models tells that it has been in use"):
        promoted(lake, Registry(registry.root), declaration, LATER)

    assert not (registry.root / "mlflow.db").exists()


def test_a_lost_folder_is_known_by_the_decision_log(tmp_path: Path, log: DecisionLog) -> None:
    log.append(
        decided_at=NOW,
        as_of=None,
        model="returns",
        kind="promotion",
        verdict="promoted",
        version=1,
        previous_version=None,
        reasons=[],
        evidence={},
    )
    with pytest.raises(RegistryUnreachable, match=r"is gone; .*decisions\.jsonl tells that it has been in use"):
        Registry(tmp_path / "another", log=log.path).champion("returns")


def test_a_fresh_home_is_no_lost_one(tmp_path: Path, log: DecisionLog) -> None:
    registry = Registry(tmp_path / "fresh", log=log.path)

    assert registry.trouble() is None
    assert registry.champion("returns") is None


def test_a_registry_that_another_process_keeps_locked_is_given_up_in_time(
    lake: Lake,
    registry: Registry,
    declaration: ModelDeclaration,
    champion: Version,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reachability, "PATIENCE_SECONDS", 0.2)
    with sqlite3.connect(registry.root / "mlflow.db") as holder:
        holder.execute("begin exclusive")
        began = time.monotonic()
        report = score_due(lake, Registry(registry.root), declaration)
        with pytest.raises(RegistryUnreachable, match=r"is locked by another process .*; find the process"):
            Registry(registry.root).champion("returns")
        assert time.monotonic() - began < 60, "it hangs"
        holder.rollback()

    assert "mlflow.db is locked by another process" in (report.reason or "")
    assert Registry(registry.root).champion("returns") == champion


def test_a_lock_file_that_is_held_for_ever_is_given_up_in_time(
    registry: Registry, champion: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ml_assets.registry.registry.LOCK_SECONDS", 0.2)
    with registry._locked(), pytest.raises(RegistryUnreachable, match=r"registry\.lock has been held .*; find"):
        Registry(registry.root).champion("returns")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_registry_that_may_not_be_read_is_named(
    lake: Lake, registry: Registry, declaration: ModelDeclaration, champion: Version
) -> None:
    (registry.root / "mlflow.db").chmod(0)

    with pytest.raises(RegistryUnreachable, match=r"cannot be opened .*; give this user the right to"):
        Registry(registry.root).champion("returns")
    assert score_due(lake, Registry(registry.root), declaration).version == champion.version


def test_what_was_last_seen_follows_every_change_of_champion(
    lake: Lake, registry: Registry, declaration: ModelDeclaration
) -> None:
    assert last_seen(registry.root, "returns") == Standing(None, None)
    first = promoted(lake, registry, declaration)
    assert last_seen(registry.root, "returns") == Standing(first, None)
    second = promoted(lake, registry, declaration, LATER)
    assert last_seen(registry.root, "returns") == Standing(second, first)
    registry.roll_back("returns", 2)
    assert last_seen(registry.root, "returns") == Standing(first, None)


@pytest.mark.parametrize("content", [None, b"{ torn", b"[]", b'{"champion": {"version": 1}, "previous": null}'])
def test_what_was_last_seen_is_mended_by_the_next_scoring(
    lake: Lake, registry: Registry, declaration: ModelDeclaration, champion: Version, content: bytes | None
) -> None:
    path = registry.root / "champions" / "returns.json"
    before = path.read_bytes()
    path.unlink() if content is None else path.write_bytes(content)

    score_due(lake, registry, declaration)

    assert path.read_bytes() == before


def test_where_nobody_was_ever_seen_the_error_is_the_registrys(
    lake: Lake, registry: Registry, declaration: ModelDeclaration, champion: Version
) -> None:
    (registry.root / "champions" / "returns.json").write_bytes(b"{ torn")
    garble(registry.root / "mlflow.db")

    with pytest.raises(RegistryUnreachable, match="is no sound database"):
        score_due(lake, Registry(registry.root), declaration)


@pytest.mark.parametrize("published", ["no table", "no rows"])
def test_a_model_that_has_nothing_to_answer_waits_and_says_so(
    tmp_path: Path, registry: Registry, declaration: ModelDeclaration, frame: pd.DataFrame, published: str
) -> None:
    lake = publish(tmp_path / "lake", frame.head(0), by=None) if published == "no rows" else Lake(tmp_path / "lake")
    garble(registry.root / "mlflow.db")
    asked = Registry(registry.root)

    due = score_due(lake, asked, declaration)
    past = score_past(lake, asked, declaration, start=NOW, end=NOW)
    spine = score_from_spine(lake, asked, replace(declaration, spine="int_orders"), reason="a check failed")

    assert [report.status for report in (due, past, spine)] == ["no_champion"] * 3
    assert str(due.reason).startswith(
        "returns has no champion yet: trn_returns has no decisions yet, and mlflow.db is no sound database"
    )
    assert why_degraded(due) is None


def test_decisions_of_a_model_that_never_had_a_champion_are_not_passed_over(
    lake: Lake, registry: Registry, declaration: ModelDeclaration
) -> None:
    garble(registry.root / "mlflow.db")

    with pytest.raises(RegistryUnreachable, match="is no sound database"):
        score_due(lake, Registry(registry.root), declaration)


def test_registry_and_champion_broken_at_once_leave_the_one_before(
    lake: Lake, registry: Registry, declaration: ModelDeclaration
) -> None:
    first, second = promoted(lake, registry, declaration), promoted(lake, registry, declaration, LATER)
    path = registry.artifacts.path(second.sha256)
    path.write_bytes(path.read_bytes()[:-9])
    garble(registry.root / "mlflow.db")

    report = score_due(lake, Registry(registry.root), declaration)

    assert (report.status, report.version) == ("fallback", first.version)
    assert "the registry could not be read" in (report.reason or "")
    assert "version 2 (final): " in (report.reason or "")


def test_the_fallback_from_the_spine_needs_no_registry_either(
    lake: Lake, registry: Registry, champion: Version, frame: pd.DataFrame
) -> None:
    publish(lake.root, frame[["order_id", "line", "decided_at", "shop"]], "fct_orders__decisions")
    garble(registry.root / "mlflow.db")
    declaration = replace(declared(RETURNS), spine="fct_orders__decisions")

    report = score_from_spine(lake, Registry(registry.root), declaration, reason="checks failed")

    assert report.status == "fallback"
    assert report.rows > 0
    assert (report.reason or "").startswith("checks failed; the registry could not be read")


def test_a_model_file_that_cannot_be_opened_is_like_one_that_is_gone(
    lake: Lake, registry: Registry, declaration: ModelDeclaration, champion: Version
) -> None:
    make_a_folder_of(registry.artifacts.path(champion.sha256))

    with pytest.raises(ArtifactMissing, match="cannot be read"):
        registry.load(champion)
    assert score_due(lake, registry, declaration).status == "fallback"


def test_what_was_remembered_is_forgotten_with_the_last_champion(tmp_path: Path, champion: Version) -> None:
    remember(tmp_path, "returns", Standing(champion, None))
    remember(tmp_path, "returns", Standing(None, None))
    assert last_seen(tmp_path, "returns") == Standing(None, None)
