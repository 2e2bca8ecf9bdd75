"""Bad days: a registry that cannot be asked, features that are missing, a column that is gone, a feed that stops."""

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
import pyarrow as pa
import pytest

from ml_assets import lifecycle
from ml_assets.answering.missing import RARELY, counted_weights, gaps_in, training_null_shares, weights_of
from ml_assets.answering.scoring import ScoringReport, score_due, score_from_spine
from ml_assets.deciding.log import DecisionLog
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.errors import ArtifactMissing, DeclarationError, RegistryUnreachable, ScoringError
from ml_assets.fitting.estimators import predict
from ml_assets.lake.snapshot import Lake
from ml_assets.observing.alerts import Alerts
from ml_assets.observing.incidents import (
    allowed_silence,
    late_tables,
    tell_of_answers,
    tell_of_late,
    tell_of_no_answers,
    why_degraded,
)
from ml_assets.registry import reachability
from ml_assets.registry.registry import Registry
from ml_assets.registry.versions import Standing, Version, last_seen, remember
from tests.ml_assets.shop import AS_OF, RETURNS, declared, publish

Clock = Callable[[], datetime]
LATER = AS_OF + timedelta(days=7)
NOW = datetime(2031, 1, 1, tzinfo=UTC)
# What the made-up shop's model relies on, so that shares can be worked out by hand.
RELIANCE = {"shop": 0.2, "product": 0.2, "weight": 0.3, "is_gift": 0.2, "pieces": 0.1}


def promoted(lake: Lake, registry: Registry, declaration: ModelDeclaration, as_of: datetime = AS_OF) -> Version:
    version = lifecycle.make_candidate(lake, registry, declaration, lock_hash="lock", as_of=as_of).version
    return registry.promote(declaration.name, version.version)


@pytest.fixture
def champion(lake: Lake, registry: Registry, declaration: ModelDeclaration) -> Version:
    return promoted(lake, registry, declaration)


def predictions(lake: Lake) -> pd.DataFrame:
    return lake.read_predictions("returns").to_pandas().set_index("decision_key")


# --- the registry


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


# --- missing features


LIMITED = declared(RETURNS, service__max_missing=0.45)


@pytest.fixture
def relied_on(lake: Lake, champion: Version) -> Version:
    lake.write_reliance("returns", champion.version, RELIANCE)
    return champion


def without(frame: pd.DataFrame, version: Version, columns: list[str], every: int = 2) -> pd.DataFrame:
    """The columns are null in every so many rows that the version has not learned from."""
    through = pd.Timestamp(version.trained_through).tz_convert(None)
    new = ~(frame["outcome_known_at"] <= through)
    chosen = new & (frame["order_id"] % every == 0)
    return frame.assign(**{name: frame[name].astype(object).mask(chosen) for name in columns}).astype(
        {name: "float64" for name in columns if name in ("price", "weight", "pieces", "is_gift")}
    )


def test_rows_that_miss_too_much_are_answered_by_the_baseline_and_say_what(
    lake: Lake, registry: Registry, relied_on: Version, frame: pd.DataFrame
) -> None:
    publish(lake.root, without(frame, relied_on, ["weight", "is_gift"]))

    report = score_due(lake, registry, LIMITED)

    made = predictions(lake)
    is_even = np.array([int(key.split("|")[0]) % 2 == 0 for key in made.index])
    assert set(made.loc[is_even, "prediction_status"]) == {"fallback"}
    assert set(made.loc[is_even, "model_sha256"]) == {relied_on.fallback_sha256}
    assert set(made.loc[is_even, "status_reason"]) == {
        "50% of what version 1 relies on is missing (weight 30%, is_gift 20%); 45% is allowed"
    }
    assert set(made.loc[~is_even, "prediction_status"]) == {"champion"}
    assert made.loc[~is_even, "status_reason"].isna().all()
    assert (report.status, report.rows, report.marked_rows) == ("mixed", len(made), int(is_even.sum()))
    assert (why_degraded(report) or "").startswith(f"{is_even.sum():,} of {len(made):,} decisions: 50% of what")


def test_each_row_has_the_answer_of_who_is_named(
    lake: Lake, registry: Registry, relied_on: Version, frame: pd.DataFrame
) -> None:
    changed = without(frame, relied_on, ["weight", "is_gift"], every=3)
    publish(lake.root, changed)
    score_due(lake, registry, LIMITED)

    table = pa.Table.from_pandas(changed, preserve_index=False)
    keys = [f"{row.order_id}|{row.line}" for row in changed.itertuples()]
    made = predictions(lake)
    models = {"champion": registry.load(relied_on), "fallback": registry.load(relied_on, "fallback")}
    answers = {
        status: dict(zip(keys, predict(model, table, "binary_classification"), strict=True))
        for status, model in models.items()
    }
    assert set(made["prediction_status"]) == set(models)
    assert [answers[row.prediction_status][row.Index] for row in made.itertuples()] == made["prediction"].tolist()  # type: ignore[index]


def test_rows_that_miss_less_are_the_champions_and_marked(
    lake: Lake, registry: Registry, relied_on: Version, frame: pd.DataFrame
) -> None:
    publish(lake.root, without(frame, relied_on, ["weight"]))

    report = score_due(lake, registry, LIMITED)

    marked = predictions(lake)["status_reason"].dropna()
    assert report.status == "champion"
    assert set(marked) == {"30% of what version 1 relies on is missing (weight 30%)"}
    assert report.marked_rows == len(marked) > 0


def test_without_a_declared_limit_no_byte_changes(
    lake: Lake, registry: Registry, relied_on: Version, frame: pd.DataFrame, declaration: ModelDeclaration
) -> None:
    def bytes_of(model: ModelDeclaration) -> dict[str, bytes]:
        for path in lake.predictions_folder("returns").glob("*"):
            path.unlink()
        score_due(lake, registry, model)
        return {path.name: path.read_bytes() for path in lake.predictions_folder("returns").glob("*.parquet")}

    assert bytes_of(declaration) == bytes_of(LIMITED), "nothing is missing"
    publish(lake.root, without(frame, relied_on, ["weight", "is_gift"]))
    assert bytes_of(declaration) != bytes_of(LIMITED)
    bytes_of(declaration)
    assert set(predictions(lake)["prediction_status"]) == {"champion"}
    assert predictions(lake)["status_reason"].isna().all()


def test_what_was_often_null_in_training_is_no_news(
    lake: Lake, registry: Registry, relied_on: Version, frame: pd.DataFrame
) -> None:
    """A quarter of the products are unknown, always were, and the model knows what to make of it."""
    shares = training_null_shares(lake.open(), LIMITED, relied_on)

    learned = frame[frame["outcome_known_at"] <= pd.Timestamp(relied_on.trained_through).tz_convert(None)]
    assert shares == pytest.approx({name: np.mean(pd.isna(learned[name])) for name, _ in relied_on.schema})
    assert shares["product"] > RARELY > shares["weight"]
    assert "product" not in weights_of(lake.open(), LIMITED, relied_on)
    publish(lake.root, without(frame, relied_on, ["product"]))
    assert score_due(lake, registry, LIMITED).marked_rows == 0


def test_where_no_reliance_is_known_all_features_count_the_same(lake: Lake, champion: Version) -> None:
    weights = weights_of(lake.open(), LIMITED, champion)

    assert set(weights.values()) == {1 / len(champion.schema)}


@pytest.mark.parametrize("folder", ["reliance", "null_shares"])
def test_figures_that_cannot_be_read_do_not_stop_scoring(
    lake: Lake, registry: Registry, relied_on: Version, folder: str
) -> None:
    weights_of(lake.open(), LIMITED, relied_on)
    (lake.root / folder / "returns" / "1.parquet").write_bytes(b"rubbish")

    assert score_due(lake, registry, LIMITED).status == "champion"


def test_gaps_are_those_of_a_loop_over_the_rows() -> None:
    rng = np.random.default_rng(0)
    values = {name: np.where(rng.random(500) < 0.3, np.nan, 1.0) for name in "abcdef"}
    table = pa.table({name: pa.array(column, from_pandas=name < "d") for name, column in values.items()})
    weights = dict(zip("abcde", rng.dirichlet(np.ones(5)), strict=True))

    gaps = gaps_in(table, weights)

    expected = [sum(weights[name] for name in weights if np.isnan(values[name][row])) for row in range(500)]
    np.testing.assert_allclose(gaps.share, expected, atol=1e-12)
    assert gaps.in_words(3)[0].startswith(f"{expected[0]:.0%} of what version 3 relies on is missing")


def test_a_feature_that_is_not_relied_on_weighs_nothing() -> None:
    assert counted_weights({"a": 2.0, "b": 0.0}, {"a": 0.0, "b": 0.0}, ["a", "b"]) == {"a": 1.0}
    assert counted_weights({}, {"a": 0.0}, ["a", "b"]) == {"a": 0.5}


def test_a_baseline_that_is_broken_leaves_the_answer_to_the_champion(
    lake: Lake, registry: Registry, relied_on: Version, frame: pd.DataFrame
) -> None:
    registry.artifacts.path(relied_on.fallback_sha256 or "").unlink()
    publish(lake.root, without(frame, relied_on, ["weight", "is_gift"]))

    assert score_due(lake, registry, LIMITED).status == "champion"

    (reason,) = set(predictions(lake)["status_reason"].dropna())
    assert "45% is allowed, but returns: no fallback can answer from trn_returns; version 1 (fallback): " in reason


def test_a_limit_without_a_fallback_is_a_mistake_in_the_declaration() -> None:
    with pytest.raises(DeclarationError, match=r"service\.max_missing: found 0\.4, and no fallback"):
        declared(RETURNS, service__max_missing=0.4, service__fallback="none")


# --- a column that is gone


@pytest.mark.parametrize("model", [declared(RETURNS), LIMITED], ids=["no limit", "limited"])
def test_a_column_that_is_gone_leaves_the_answers_to_the_baseline(
    lake: Lake, registry: Registry, champion: Version, frame: pd.DataFrame, model: ModelDeclaration
) -> None:
    publish(lake.root, frame.drop(columns=["price", "weight"]))

    report = score_due(lake, registry, model)

    made = predictions(lake)
    assert (report.status, report.marked_rows) == ("fallback", len(made))
    assert set(made["model_sha256"]) == {champion.fallback_sha256}
    assert set(made["status_reason"]) == {"version 1 (final): trn_returns has no column price, weight"}


def test_a_champion_before_it_that_needs_no_such_column_is_asked_first(
    lake: Lake, registry: Registry, frame: pd.DataFrame, declaration: ModelDeclaration
) -> None:
    first = promoted(lake, registry, declared(RETURNS, features={"exclude": ["weight"]}))
    promoted(lake, registry, declaration, LATER)
    publish(lake.root, frame.drop(columns="weight"))

    report = score_due(lake, registry, declaration)

    assert (report.status, report.version) == ("fallback", first.version)
    assert set(predictions(lake)["model_sha256"]) == {first.sha256}


def test_where_no_baseline_can_answer_either_that_is_said(
    lake: Lake, registry: Registry, champion: Version, frame: pd.DataFrame, declaration: ModelDeclaration
) -> None:
    publish(lake.root, frame.drop(columns=["shop"]))

    with pytest.raises(ScoringError, match=r"version 1 \(final\).*no column shop.*version 1 \(fallback\).*column shop"):
        score_due(lake, registry, declaration)


# --- alerts of answers


@pytest.fixture
def alerts(tmp_path: Path) -> Alerts:
    return Alerts(tmp_path / "alerts.jsonl")


def report_of(rows: int, marked: int, reason: str | None, status: Any = "champion") -> ScoringReport:
    return ScoringReport("returns", status, rows, (), 1, reason, NOW, (), 1, marked)


def test_degraded_answers_are_one_incident_until_sound_ones_are_given(alerts: Alerts) -> None:
    for _ in range(3):
        tell_of_answers(alerts, report_of(10, 10, "broken", "fallback"), now=NOW)
    tell_of_answers(alerts, report_of(0, 0, None, "nothing_due"), now=NOW)
    assert [(line.key, line.state) for line in alerts.read()] == [("degraded/returns", "opened")]
    assert "10 decisions answered as of 2031-01-01 00:00 UTC (fallback): broken." in alerts.read()[0].text
    for _ in range(2):
        tell_of_answers(alerts, report_of(10, 0, None), now=NOW)
    assert [line.state for line in alerts.read()] == ["opened", "closed"]


@pytest.mark.parametrize(
    ("report", "is_degraded"),
    [
        (report_of(100, 4, "4 of 100 decisions: …"), False),
        (report_of(100, 5, "5 of 100 decisions: …"), True),
        (report_of(0, 0, "the registry could not be read", "nothing_due"), True),
        (report_of(0, 0, "returns has no champion yet", "no_champion"), False),
        (report_of(100, 0, None), False),
    ],
)
def test_a_few_odd_rows_are_no_incident(report: ScoringReport, is_degraded: bool) -> None:
    assert (why_degraded(report) is not None) == is_degraded


def test_no_answers_at_all_are_an_incident_too(alerts: Alerts) -> None:
    tell_of_no_answers(alerts, "returns", "no model can answer", now=NOW)
    tell_of_no_answers(alerts, "returns", "no model can answer", now=NOW)
    tell_of_answers(alerts, report_of(10, 0, None), now=NOW)
    assert [(line.key, line.state) for line in alerts.read()] == [
        ("unanswered/returns", "opened"),
        ("unanswered/returns", "closed"),
    ]


# --- late tables


MANIFEST = {
    "sources": {
        "source.shop.orders": {
            "source_name": "shop",
            "name": "orders",
            "freshness": {
                "warn_after": {"count": 12, "period": "hour"},
                "error_after": {"count": 2, "period": "day"},
            },
        },
        "source.shop.parcels": {
            "source_name": "shop",
            "name": "parcels",
            "freshness": {"warn_after": {}, "error_after": {"count": 90, "period": "minute"}},
        },
        "source.shop.countries": {"source_name": "shop", "name": "countries", "freshness": None},
    }
}
ALLOWED = {"shop.orders": timedelta(hours=12), "shop.parcels": timedelta(minutes=90)}


def health(**behind: int | None) -> list[dict[str, Any]]:
    return [
        {
            "source_name": "shop",
            "table_name": name,
            "last_known_at": None if minutes is None else datetime(2030, 5, 1, tzinfo=UTC) - timedelta(minutes=minutes),
            "minutes_behind_watermark": minutes,
        }
        for name, minutes in behind.items()
    ]


def test_the_first_declared_limit_counts() -> None:
    assert allowed_silence(MANIFEST) == ALLOWED
    assert allowed_silence({}) == {}


@pytest.mark.parametrize(
    ("rows", "late"),
    [
        (health(orders=0, parcels=0, countries=None), []),
        (health(orders=720, parcels=90, countries=None), []),
        (health(orders=721, parcels=0, countries=None), ["shop.orders"]),
        (health(orders=0, parcels=91, countries=99_999), ["shop.parcels"]),
        (health(orders=0), []),  # parcels are another domain's
        (health(orders=0, parcels=None), ["shop.parcels"]),
        (health(orders=None, parcels=None), []),  # nothing has landed yet
        ([], []),
    ],
)
def test_a_table_is_late_beyond_its_limit_or_if_it_never_came(rows: list[dict[str, Any]], late: list[str]) -> None:
    assert [table.source for table in late_tables(rows, ALLOWED)] == late


def test_a_late_table_is_one_incident_until_it_delivers(alerts: Alerts) -> None:
    for minutes in (800, 900, 100, 50, 2880):
        tell_of_late(alerts, late_tables(health(orders=minutes, parcels=0), ALLOWED), now=NOW)

    lines = alerts.read()
    assert [(line.key, line.state) for line in lines] == [
        ("late_feed/shop.orders", "opened"),
        ("late_feed/shop.orders", "closed"),
        ("late_feed/shop.orders", "opened"),
    ]
    assert lines[0].title == "shop.orders is late"
    assert lines[0].text.startswith(
        "Its newest fact is of 2030-04-30 10:40 UTC, 13 hours behind the newest of all tables of its domain; 12 hours are allowed."
    )
    assert "service.max_missing" in lines[0].text


def test_other_incidents_are_left_alone(alerts: Alerts) -> None:
    alerts.open("job/score", "score failed", "", now=NOW)
    tell_of_late(alerts, (), now=NOW)
    assert list(alerts.open_incidents()) == ["job/score"]


def test_what_was_remembered_is_forgotten_with_the_last_champion(tmp_path: Path, champion: Version) -> None:
    remember(tmp_path, "returns", Standing(champion, None))
    remember(tmp_path, "returns", Standing(None, None))
    assert last_seen(tmp_path, "returns") == Standing(None, None)
