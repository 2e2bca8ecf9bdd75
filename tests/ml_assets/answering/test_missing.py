"""Rows that lack what a model relies on, and a table that has lost a column: who answers, and what is said."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ml_assets import lifecycle
from ml_assets.answering.missing import RARELY, counted_weights, gaps_in, training_null_shares, weights_of
from ml_assets.answering.scoring import score_due
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.errors import DeclarationError, ScoringError
from ml_assets.fitting.estimators import predict
from ml_assets.lake.snapshot import Lake
from ml_assets.observing.incidents import (
    why_degraded,
)
from ml_assets.registry.registry import Registry
from ml_assets.registry.versions import Version
from tests.ml_assets.shop import AS_OF, RETURNS, declared, publish

LATER = AS_OF + timedelta(days=7)
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
