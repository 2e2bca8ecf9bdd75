"""Scoring: what is due, once, by the champion or in its stead, at a cost that follows what is new."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ml_assets import lifecycle
from ml_assets.answering.scoring import score_due, score_past
from ml_assets.deciding.log import DecisionLog
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.errors import ScoringError
from ml_assets.fitting.estimators import predict
from ml_assets.lake.snapshot import Lake
from ml_assets.registry.registry import Registry
from ml_assets.registry.versions import Version
from tests.ml_assets.shop import AS_OF, FIRST_DAY, RETURNS, TABLE, declared, orders, publish


def promoted(lake: Lake, registry: Registry, declaration: ModelDeclaration, as_of: datetime = AS_OF) -> Version:
    version = lifecycle.make_candidate(lake, registry, declaration, lock_hash="lock", as_of=as_of).version
    return registry.promote(declaration.name, version.version)


def expected_due(frame: pd.DataFrame, champion: Version) -> pd.DataFrame:
    through = pd.Timestamp(champion.trained_through).tz_convert(None)
    return frame[frame["outcome_known_at"].isna() | (frame["outcome_known_at"] > through)]


def all_bytes(lake: Lake) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in lake.predictions_folder("returns").glob("*.parquet")}


def test_exactly_the_decisions_that_the_champion_cannot_have_learned_from_are_predicted(
    lake: Lake, registry: Registry, declaration: ModelDeclaration, frame: pd.DataFrame
) -> None:
    champion = promoted(lake, registry, declaration)
    report = score_due(lake, registry, declaration)
    due = expected_due(frame, champion)
    table = lake.read_predictions("returns")
    assert (report.status, report.rows, report.version) == ("champion", len(due), champion.version)
    assert sorted(table["decision_key"].to_pylist()) == sorted(f"{row.order_id}|{row.line}" for row in due.itertuples())
    assert report.dates == tuple(sorted(set(due["decided_at"].dt.date)))
    assert set(table["prediction_status"].to_pylist()) == {"champion"}
    assert set(table["status_reason"].to_pylist()) == {None}
    assert set(table["model_sha256"].to_pylist()) == {champion.sha256}
    assert set(table["scored_as_of"].to_pylist()) == {report.as_of.replace(tzinfo=None) if report.as_of else None}


def test_the_predictions_are_those_of_the_model(
    lake: Lake, registry: Registry, declaration: ModelDeclaration, frame: pd.DataFrame
) -> None:
    champion = promoted(lake, registry, declaration)
    score_due(lake, registry, declaration)
    answers = predict(
        registry.load(champion), pa.Table.from_pandas(frame, preserve_index=False), "binary_classification"
    )
    by_key = dict(zip([f"{row.order_id}|{row.line}" for row in frame.itertuples()], answers, strict=True))
    table = lake.read_predictions("returns")
    np.testing.assert_array_equal(
        table["prediction"].to_numpy(), [by_key[key] for key in table["decision_key"].to_pylist()]
    )


def test_a_second_run_reads_no_part_and_writes_nothing(
    lake: Lake, registry: Registry, declaration: ModelDeclaration
) -> None:
    promoted(lake, registry, declaration)
    first = score_due(lake, registry, declaration)
    before = {path: path.stat().st_mtime_ns for path in first.files}
    again = score_due(lake, registry, declaration)
    assert (again.status, again.rows, again.files, again.parts_read) == ("nothing_due", 0, (), 0)
    assert {path: path.stat().st_mtime_ns for path in first.files} == before


def test_a_new_day_costs_its_own_part_and_touches_its_own_dates(
    tmp_path: Path, registry: Registry, declaration: ModelDeclaration
) -> None:
    frame = orders()
    cut = pd.Timestamp(FIRST_DAY).tz_convert(None) + timedelta(days=118)
    lake = publish(tmp_path / "lake", frame[frame["decided_at"] < cut])
    promoted(lake, registry, declaration)
    score_due(lake, registry, declaration)
    before = all_bytes(lake)
    publish(tmp_path / "lake", frame[frame["decided_at"] < cut + timedelta(days=1)])
    report = score_due(lake, registry, declaration)
    new = cut.date()
    assert report.dates == (new,)
    assert report.parts_read == 1
    assert {name: content for name, content in all_bytes(lake).items() if name != f"{new}.parquet"} == before


def test_a_decision_keeps_its_prediction_whoever_is_champion_later(
    lake: Lake, registry: Registry, declaration: ModelDeclaration, tmp_path: Path, frame: pd.DataFrame
) -> None:
    promoted(lake, registry, declaration)
    score_due(lake, registry, declaration)
    before = all_bytes(lake)
    promoted(lake, registry, declared(RETURNS, params={"max_iter": 12}), AS_OF + timedelta(days=5))
    publish(tmp_path / "lake", frame.assign(weight=frame["weight"] + 1))
    assert score_due(lake, registry, declaration).rows == 0
    assert all_bytes(lake) == before


def test_losing_the_notes_costs_time_but_predicts_nothing_twice(
    lake: Lake, registry: Registry, declaration: ModelDeclaration
) -> None:
    promoted(lake, registry, declaration)
    score_due(lake, registry, declaration)
    before = all_bytes(lake)
    (lake.predictions_folder("returns") / "scored.json").write_text("{ torn")
    report = score_due(lake, registry, declaration)
    assert (report.rows, report.parts_read) == (0, len(lake.open().parts(TABLE)))
    assert all_bytes(lake) == before


def test_a_predictions_file_that_was_removed_is_made_again(
    lake: Lake, registry: Registry, declaration: ModelDeclaration
) -> None:
    promoted(lake, registry, declaration)
    report = score_due(lake, registry, declaration)
    before = all_bytes(lake)
    report.files[3].unlink()
    assert score_due(lake, registry, declaration).dates == (report.dates[3],)
    assert all_bytes(lake) == before


def test_decisions_after_as_of_wait(
    lake: Lake, registry: Registry, declaration: ModelDeclaration, frame: pd.DataFrame
) -> None:
    champion = promoted(lake, registry, declaration)
    moment = AS_OF + timedelta(days=3)
    early = score_due(lake, registry, declaration, as_of=moment)
    table = lake.read_predictions("returns")
    assert max(table["decision_at"].to_pylist()) <= moment.replace(tzinfo=None)
    late = score_due(lake, registry, declaration)
    assert early.rows + late.rows == len(expected_due(frame, champion))


def test_an_older_champion_is_asked_about_what_the_newer_one_had_learned(
    lake: Lake, registry: Registry, declaration: ModelDeclaration, frame: pd.DataFrame
) -> None:
    first = promoted(lake, registry, declaration)
    second = promoted(lake, registry, declaration, AS_OF + timedelta(days=7))
    score_due(lake, registry, declaration)
    registry.roll_back("returns", second.version)
    report = score_due(lake, registry, declaration)
    assert report.version == first.version
    assert lake.read_predictions("returns").num_rows == len(expected_due(frame, first))


def test_what_was_never_answered_is_answered_after_the_fact_by_the_champion_of_its_time(
    lake: Lake, registry: Registry, declaration: ModelDeclaration, frame: pd.DataFrame
) -> None:
    first = promoted(lake, registry, declaration, AS_OF - timedelta(days=14))
    second = promoted(lake, registry, declaration)
    score_due(lake, registry, declaration)
    answered = set(lake.read_predictions("returns")["decision_key"].to_pylist())
    start, end = AS_OF - timedelta(days=28), AS_OF + timedelta(days=28)

    report = score_past(lake, registry, declaration, start=start, end=end)

    keys = frame["order_id"].astype(str) + "|" + frame["line"].astype(str)
    decided = frame["decided_at"].dt.tz_localize("UTC")
    gap = frame[(decided >= first.trained_through) & (decided <= end) & ~keys.isin(answered)]
    early = frame[(decided >= start) & (decided < first.trained_through) & ~keys.isin(answered)]
    assert report.rows == len(gap) > 100
    assert report.reason is not None
    assert report.reason.startswith(f"{len(early):,} decisions are older than every champion")
    table = lake.read_predictions("returns").to_pandas()
    assert table["decision_key"].is_unique
    late = table[~table["decision_key"].isin(answered)].set_index("decision_key")
    of_second = late["decision_at"] >= second.trained_through.replace(tzinfo=None)
    assert (late["model_version"] == np.where(of_second, second.version, first.version)).all()
    assert late["status_reason"].str.startswith("Answered after the fact by version").all()
    inputs = pa.Table.from_pandas(gap, preserve_index=False)
    answers = pd.Series(predict(registry.load(first), inputs, "binary_classification"), index=keys[gap.index])
    by_first = late[~of_second]
    np.testing.assert_array_equal(by_first["prediction"], answers[by_first.index])

    assert score_past(lake, registry, declaration, start=start, end=end).rows == 0
    assert score_due(lake, registry, declaration).rows == 0


def test_without_a_champion_nothing_is_predicted_and_that_is_said(
    lake: Lake, registry: Registry, declaration: ModelDeclaration
) -> None:
    report = score_due(lake, registry, declaration)
    assert (report.status, report.rows, report.reason) == ("no_champion", 0, "returns has no champion yet")


def spoil(registry: Registry, *hashes: str | None) -> None:
    for sha256 in hashes:
        assert sha256 is not None
        path = registry.artifacts.path(sha256)
        path.write_bytes(path.read_bytes()[:-9])


def test_a_broken_champion_is_stood_in_for_by_the_one_before(
    lake: Lake, registry: Registry, declaration: ModelDeclaration
) -> None:
    first = promoted(lake, registry, declaration)
    second = promoted(lake, registry, declaration, AS_OF + timedelta(days=7))
    spoil(registry, second.sha256)
    report = score_due(lake, registry, declaration)
    assert (report.status, report.version) == ("fallback", first.version)
    table = lake.read_predictions("returns")
    assert set(table["prediction_status"].to_pylist()) == {"fallback"}
    (reason,) = set(table["status_reason"].to_pylist())
    assert reason.startswith(f"version {second.version} (final): ")
    assert "was changed" in reason


def test_where_no_model_is_left_the_baseline_answers(
    lake: Lake, registry: Registry, declaration: ModelDeclaration
) -> None:
    champion = promoted(lake, registry, declaration)
    registry.artifacts.path(champion.sha256).unlink()
    report = score_due(lake, registry, declaration)
    table = lake.read_predictions("returns")
    assert (report.status, set(table["model_sha256"].to_pylist())) == ("fallback", {champion.fallback_sha256})
    assert len(set(table["prediction"].to_pylist())) == 4


def test_where_nothing_is_left_it_fails_and_says_why(
    lake: Lake, registry: Registry, declaration: ModelDeclaration
) -> None:
    champion = promoted(lake, registry, declaration)
    spoil(registry, champion.sha256, champion.fallback_sha256)
    with pytest.raises(ScoringError, match=r"no model can answer; .*version 1 \(final\).*version 1 \(fallback\)"):
        score_due(lake, registry, declaration)
    with pytest.raises(ScoringError, match="no model can answer"):
        score_due(lake, registry, declared(RETURNS, service__fallback="none"))
    assert all_bytes(lake) == {}


def test_keys_that_repeat_are_refused(
    tmp_path: Path, registry: Registry, declaration: ModelDeclaration, frame: pd.DataFrame
) -> None:
    lake = publish(tmp_path / "lake", pd.concat([frame, frame.tail(1)]))
    promoted(lake, registry, declaration)
    with pytest.raises(ScoringError, match=r"trn_returns, part 2030-04: the entity columns do not identify a decision"):
        score_due(lake, registry, declaration)


def test_the_champions_own_features_are_read_when_the_declaration_has_moved_on(
    lake: Lake, registry: Registry, declaration: ModelDeclaration
) -> None:
    champion = promoted(lake, registry, declaration)
    fewer = declared(RETURNS, features={"include": ["shop", "pieces"]})
    report = score_due(lake, registry, fewer)
    assert (report.status, report.version) == ("champion", champion.version)


def test_a_score_is_kept_apart_from_any_clock(
    lake: Lake, registry: Registry, declaration: ModelDeclaration, log: DecisionLog, now: Callable[[], datetime]
) -> None:
    promoted(lake, registry, declaration)
    report = score_due(lake, registry, declaration)
    assert report.as_of is not None
    assert report.as_of < datetime(2030, 5, 1, 12, tzinfo=UTC)
