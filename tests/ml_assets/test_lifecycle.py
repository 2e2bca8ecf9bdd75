"""The whole life: candidate, evidence, decision; each verb twice, and no way round the gates."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ml_assets import lifecycle
from ml_assets.deciding.log import DecisionLog
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.errors import RegistryError, TrainingError
from ml_assets.lake.snapshot import Lake
from ml_assets.registry.registry import Registry
from tests.ml_assets.life import LATER, Clock, Life
from tests.ml_assets.shop import AS_OF, FIRST_DAY, KEPT, RETURNS, declared, publish

ELSEWHERE = "tests.ml_assets.elsewhere"
SPOILED = [f"{ELSEWHERE}.SpoiledWhenAsked", f"{ELSEWHERE}.WithoutPriceAt"]


@pytest.fixture
def life(lake: Lake, registry: Registry, log: DecisionLog, now: Clock) -> Life:
    return Life(lake, registry, log, now)


def test_the_first_candidate_that_beats_the_baselines_is_champion(life: Life, declaration: ModelDeclaration) -> None:
    result = life.step(declaration)
    assert (result.decision.verdict, result.is_new, life.champion()) == ("promoted", True, 1)
    assert {reason.gate for reason in result.decision.reasons} >= {
        "beats_baseline_constant",
        "beats_baseline_rates_by_shop",
    }


def test_a_second_run_with_nothing_new_fits_nothing_and_decides_nothing(
    life: Life, declaration: ModelDeclaration, monkeypatch: pytest.MonkeyPatch
) -> None:
    life.step(declaration)
    monkeypatch.setattr("ml_assets.lifecycle.candidates.train", pytest.fail)
    monkeypatch.setattr("ml_assets.lifecycle.candidates.read_rows", pytest.fail)
    monkeypatch.setattr("ml_assets.lifecycle.candidates.judge", pytest.fail)
    files = {path: path.stat().st_mtime_ns for path in life.lake.root.rglob("*") if path.is_file()}
    assert (
        lifecycle.make_candidate(life.lake, life.registry, declaration, lock_hash="lock", as_of=AS_OF).is_new is False
    )
    result = life.step(declaration)
    assert (result.decision.verdict, result.is_new, result.logged) == ("kept", False, None)
    assert life.log.verify() == 1
    assert {path: path.stat().st_mtime_ns for path in life.lake.root.rglob("*") if path.is_file()} == files


def test_new_rows_without_a_new_label_make_no_new_version(
    life: Life, declaration: ModelDeclaration, frame: pd.DataFrame
) -> None:
    first = lifecycle.make_candidate(life.lake, life.registry, declaration, lock_hash="lock")
    more = frame.tail(3).assign(
        order_id=[90001, 90002, 90003], decided_at=frame["decided_at"].max(), outcome_known_at=pd.NaT, is_returned=pd.NA
    )
    publish(life.lake.root, pd.concat([frame, more.astype(frame.dtypes)]))
    again = lifecycle.make_candidate(
        life.lake, life.registry, declaration, lock_hash="lock", as_of=FIRST_DAY + timedelta(days=121)
    )
    assert (again.is_new, again.version) == (False, first.version)


def test_a_fresher_candidate_that_is_not_worse_takes_over(life: Life, declaration: ModelDeclaration) -> None:
    life.step(declaration)
    assert life.step(declaration, LATER).decision.verdict == "promoted"
    assert life.champion() == 2


def test_a_candidate_that_is_worse_overall_never_touches_the_champion(
    life: Life, declaration: ModelDeclaration
) -> None:
    life.step(declaration)
    before = life.registry._registered("returns")
    worse = declared(RETURNS, features={"include": ["shop", "pieces"]}, gates__max_slice_regression=None)
    result = life.step(worse, LATER)
    assert result.decision.verdict == "rejected"
    assert [reason.gate for reason in result.decision.failed] == ["against_champion"]
    assert life.registry._registered("returns") == before
    assert life.champion() == 1
    line = life.log.last("returns")
    assert line is not None
    assert (line.verdict, line.version, line.previous_version) == ("rejected", 2, 1)


def test_a_candidate_that_is_worse_on_one_slice_only_is_rejected_for_that_slice(life: Life) -> None:
    """It is better everywhere else, and overall: the champion does not know the price."""
    life.step(declared(RETURNS, features={"include": ["shop", "pieces"]}))
    spoiled = declared(
        RETURNS,
        estimator=f"{ELSEWHERE}:spoiled_at",
        params={"shop": "kiosk"},
        trusted=SPOILED,
        gates__max_calibration_error=None,
    )
    result = life.step(spoiled, LATER)
    gates = {reason.gate: reason for reason in result.decision.reasons}
    assert gates["against_champion"].passed
    assert gates["against_champion"].figure is not None
    assert gates["against_champion"].figure < 0
    assert [reason.text[:22] for reason in result.decision.failed] == ["Where shop is kiosk (2"]
    assert life.champion() == 1
    sound = declared(
        RETURNS,
        estimator=f"{ELSEWHERE}:spoiled_at",
        params={"shop": "nowhere"},
        trusted=SPOILED,
        gates__max_calibration_error=None,
    )
    assert life.step(sound, LATER).decision.verdict == "promoted"


def test_a_candidate_no_better_than_a_baseline_does_not_become_the_first_champion(life: Life) -> None:
    result = life.step(declared(RETURNS, features={"include": ["weight"]}))
    assert result.decision.verdict == "rejected"
    assert life.champion() is None
    assert lifecycle.score_due(life.lake, life.registry, declared(RETURNS)).status == "no_champion"


def test_both_sides_are_judged_on_decisions_that_neither_has_seen(life: Life, declaration: ModelDeclaration) -> None:
    life.step(declaration)
    version = lifecycle.make_candidate(life.lake, life.registry, declaration, lock_hash="lock", as_of=LATER).version
    evidence = lifecycle.evaluate_candidate(life.lake, life.registry, declaration, version, now=life.now)
    assert evidence.champion_side == "twin"
    assert evidence.compared_from == LATER - timedelta(days=28)
    much_later = lifecycle.make_candidate(
        life.lake, life.registry, declared(RETURNS, evaluation__window="10 days"), lock_hash="lock", as_of=LATER
    )
    evidence = lifecycle.evaluate_candidate(
        life.lake, life.registry, declared(RETURNS, evaluation__window="10 days"), much_later.version, now=life.now
    )
    assert evidence.champion_side == "final"


def test_a_window_that_grew_is_compared_only_where_the_champions_twin_is_blind(
    life: Life, declaration: ModelDeclaration
) -> None:
    life.step(declaration)
    wide = declared(RETURNS, evaluation__window="60 days")
    version = lifecycle.make_candidate(
        life.lake, life.registry, wide, lock_hash="lock", as_of=AS_OF + timedelta(days=7)
    ).version
    evidence = lifecycle.evaluate_candidate(life.lake, life.registry, wide, version, now=life.now)
    assert evidence.window_start == AS_OF - timedelta(days=53)
    assert evidence.compared_from == AS_OF - timedelta(days=28)
    rows = {one.against: one.rows for one in evidence.comparisons if one.slice_name == "overall"}
    assert rows["champion"] < rows["baseline_constant"] == evidence.rows


def test_evidence_against_a_champion_of_yesterday_is_refused(life: Life, declaration: ModelDeclaration) -> None:
    version = lifecycle.make_candidate(life.lake, life.registry, declaration, lock_hash="lock", as_of=LATER).version
    evidence = lifecycle.evaluate_candidate(life.lake, life.registry, declaration, version, now=life.now)
    life.step(declaration)
    with pytest.raises(RegistryError, match="was judged against champion None, but 2 is champion now; judge it again"):
        lifecycle.decide_and_promote(life.registry, life.log, declaration, evidence, now=life.now)


def test_a_champion_that_cannot_be_read_does_not_block_its_successor(life: Life, declaration: ModelDeclaration) -> None:
    life.step(declaration)
    champion = life.registry.champion("returns")
    assert champion is not None
    life.registry.artifacts.path(champion.twin_sha256).write_bytes(b"rubbish")
    result = life.step(declaration, LATER)
    assert result.decision.verdict == "promoted"
    text = next(reason.text for reason in result.decision.reasons if reason.gate == "against_champion")
    assert text.startswith("Champion 1 cannot be asked any more: ")


def test_a_champion_whose_column_is_gone_does_not_block_its_successor(
    life: Life, declaration: ModelDeclaration, frame: pd.DataFrame
) -> None:
    life.step(declaration)
    publish(life.lake.root, frame.drop(columns="weight"))
    result = life.step(declared(RETURNS, features={"exclude": ["weight"]}), LATER)
    assert result.decision.verdict == "promoted"


def test_other_gates_are_another_question(life: Life, declaration: ModelDeclaration) -> None:
    strict = declared(RETURNS, gates__max_calibration_error=0.0001)
    assert life.step(strict).decision.verdict == "rejected"
    assert life.step(declaration).decision.verdict == "promoted"
    assert [line.version for line in life.log.read()] == [1, 1]


def test_the_figures_are_written_for_dbt_and_are_the_same_when_written_again(
    life: Life, declaration: ModelDeclaration
) -> None:
    life.step(declaration)
    life.step(declaration, LATER)
    table = life.lake.read_evaluations("returns").to_pandas()
    assert set(table["subject"]) == {"candidate", "champion", "baseline_constant", "baseline_rates_by_shop"}
    assert set(table["slice_name"]) == {"overall", "shop"}
    assert set(table["version"]) == {1, 2}
    second = table[(table["version"] == 2) & (table["slice_name"] == "overall") & (table["metric"] == "log_loss")]
    assert (second["low"] < second["value"]).all()
    assert (second["value"] < second["high"]).all()
    path = life.lake.root / "evaluations" / "returns" / "2.parquet"
    before = path.read_bytes()
    for file in (life.registry.root / "evidence" / "returns").iterdir():
        file.unlink()
    path.unlink()
    life.registry.roll_back("returns", 2)
    life.step(declaration, LATER)
    assert path.read_bytes() == before


def test_a_limit_on_latency_is_measured_with_the_given_clock(life: Life) -> None:
    slow = life.step(declared(RETURNS, gates__max_latency_milliseconds=0.5))
    assert [reason.text for reason in slow.decision.failed] == ["One prediction takes 1.00 ms; 0.5 ms are allowed."]
    assert life.step(declared(RETURNS, gates__max_latency_milliseconds=2.0)).decision.verdict == "promoted"


def test_a_regression_lives_the_same_life(life: Life) -> None:
    model = declared(KEPT, "kept")
    assert life.step(model).decision.verdict == "promoted"
    assert life.step(model, LATER).decision.verdict == "promoted"
    lifecycle.rollback(life.lake, life.registry, life.log, model, now=life.now, reason="test")
    assert life.champion("kept") == 1
    assert lifecycle.score_due(life.lake, life.registry, model).rows > 0


def test_a_window_without_outcomes_is_said(life: Life, declaration: ModelDeclaration) -> None:
    version = lifecycle.make_candidate(
        life.lake, life.registry, declaration, lock_hash="lock", as_of=FIRST_DAY + timedelta(days=200)
    ).version
    with pytest.raises(TrainingError, match="no decision after 2030-06-22 00:00 has a known is_returned"):
        lifecycle.evaluate_candidate(life.lake, life.registry, declaration, version, now=life.now)


def test_the_watermark_is_the_latest_moment_in_the_data(
    life: Life, declaration: ModelDeclaration, frame: pd.DataFrame
) -> None:
    latest = max(frame["decided_at"].max(), frame["outcome_known_at"].max())
    assert lifecycle.watermark(life.lake, declaration).replace(tzinfo=None) == latest.to_pydatetime()


def test_the_log_is_plain_json_that_a_person_can_read(
    life: Life, declaration: ModelDeclaration, tmp_path: Path
) -> None:
    life.step(declaration)
    line: dict[str, Any] = json.loads(life.log.path.read_text())
    assert line["decided_at"].startswith("2031-01-01T00:00:00")
    assert (
        line["evidence"]["scores"]["candidate"]["log_loss"]
        < line["evidence"]["scores"]["baseline_constant"]["log_loss"]
    )
    assert {"gate", "passed", "figure", "threshold", "text"} == set(line["reasons"][0])


def test_nothing_reads_the_clock_but_the_log(life: Life, declaration: ModelDeclaration) -> None:
    version = lifecycle.make_candidate(life.lake, life.registry, declaration, lock_hash="lock", as_of=AS_OF).version

    def no_clock() -> datetime:
        raise AssertionError

    evidence = lifecycle.evaluate_candidate(life.lake, life.registry, declaration, version, now=no_clock)
    kept = replace(evidence, champion_version=version.version)
    assert (
        lifecycle.decide_and_promote(life.registry, life.log, declaration, kept, now=no_clock).decision.verdict
        == "kept"
    )


def test_a_model_that_nothing_can_be_learned_for_yet_waits_and_says_what_for(
    tmp_path: Path, frame: pd.DataFrame, registry: Registry, declaration: ModelDeclaration
) -> None:
    nothing = Lake(tmp_path / "nowhere")
    unpublished = lifecycle.why_not_yet(nothing, registry, declaration)
    assert unpublished is not None
    assert "has no published rows yet" in unpublished

    young = publish(tmp_path / "young", frame.sort_values("decided_at").head(30))
    few = lifecycle.why_not_yet(young, registry, declaration)
    assert few is not None
    assert "at least 50 are needed" in few

    assert lifecycle.why_not_yet(publish(tmp_path / "grown", frame), registry, declaration) is None


def test_a_model_that_had_a_version_does_not_wait_in_silence(life: Life, declaration: ModelDeclaration) -> None:
    life.step(declaration)

    assert lifecycle.why_not_yet(Lake(life.lake.root.parent / "nowhere"), life.registry, declaration) is None
