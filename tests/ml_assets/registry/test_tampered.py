"""Records that are not what was written: each is a sentence, and whoever is left answers."""

from __future__ import annotations

import hashlib
import pickle
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest
from sklearn.pipeline import Pipeline

from ml_assets import lifecycle
from ml_assets.answering.scoring import score_due
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.errors import ChampionUnknown, VersionUnreadable
from ml_assets.lake.snapshot import Lake
from ml_assets.registry.artifacts import canonical_bytes
from ml_assets.registry.registry import Registry
from ml_assets.registry.tracking import SEAL
from tests.ml_assets.shop import AS_OF, KEPT, RETURNS, declared, orders, publish


@pytest.fixture
def champions(lake: Lake, registry: Registry, declaration: ModelDeclaration) -> Registry:
    """A registry with two champions in turn, the second one serving; both were seen."""
    for days in (0, 5):
        as_of = AS_OF + timedelta(days=days)
        version = lifecycle.make_candidate(lake, registry, declaration, lock_hash="lock", as_of=as_of).version
        registry.promote("returns", version.version)
    registry.standing("returns")
    return registry


def sql(registry: Registry, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(registry.root / "mlflow.db")) as base, base:
        assert base.execute(statement, values).rowcount == 1


def set_tag(registry: Registry, name: str, value: str | None, version: int = 2) -> None:
    if value is None:
        sql(registry, "delete from model_version_tags where version = ? and key = ?", version, name)
    else:
        sql(registry, "update model_version_tags set value = ? where version = ? and key = ?", value, version, name)


def without_seal(registry: Registry, version: int = 2) -> None:
    """As a version of a release that wrote none."""
    set_tag(registry, SEAL, None, version)


@pytest.mark.parametrize("value", ["2099-01-01T00:00:00Z", "infinity", "garbage", "", None])
@pytest.mark.parametrize("sealed", [True, False])
def test_a_wrong_time_of_training_is_a_sentence_and_decisions_are_answered(
    champions: Registry, lake: Lake, declaration: ModelDeclaration, value: str | None, sealed: bool
) -> None:
    if not sealed:
        without_seal(champions)
    set_tag(champions, "trained_through", value)
    registry = Registry(champions.root)
    report = score_due(lake, registry, declaration)
    assert report.rows > 0
    assert report.reason is not None
    if value and value.startswith("2099") and not sealed:
        assert report.status == "fallback"
        assert "it says that it was trained through 2099-01-01" in report.reason
        assert registry.champion("returns") is not None
    else:
        assert report.version == 2  # as it was last seen
        with pytest.raises(
            VersionUnreadable, match=r"version 2 in mlflow\.db: .*; it is not used\. Restore mlflow\.db"
        ):
            registry.champion("returns")
        assert [version.version for version in registry.versions("returns")] == [1]
        assert len(registry.unreadable("returns")) == 1


def test_the_twins_file_in_place_of_the_finals_is_found(champions: Registry) -> None:
    champion = champions.champion("returns")
    assert champion is not None
    set_tag(champions, "sha256", champion.twin_sha256)
    with pytest.raises(VersionUnreadable, match="its tags are not those that were written"):
        Registry(champions.root).champion("returns")


def test_a_version_from_beyond_the_data_is_not_asked_and_every_due_decision_is_answered(
    champions: Registry, lake: Lake, declaration: ModelDeclaration
) -> None:
    """A wrong year had moved the clock; then it was taken out again."""
    publish(lake.root, orders(days=103))
    report = score_due(lake, champions, declaration)
    assert report.status == "fallback"
    assert report.version == 1
    assert report.reason is not None
    assert "version 2 (final): it says that it was trained through 2030-04-16" in report.reason
    frame = orders(days=103)
    first = champions.get("returns", 1).trained_through.replace(tzinfo=None)
    due = frame[~(frame["outcome_known_at"] <= first)]
    assert report.rows == len(due)


def test_an_alias_that_is_no_version_is_put_back_from_two_other_records(
    champions: Registry, lake: Lake, declaration: ModelDeclaration
) -> None:
    sql(champions, "update registered_model_aliases set version = 'abc'")
    report = score_due(lake, Registry(champions.root), declaration)
    assert (report.status, report.version) == ("champion", 2)
    assert report.reason is not None
    assert "the alias 'champion' names 'abc', no version; it was put back" in report.reason
    assert Registry(champions.root).standing("returns").trouble is None


def test_a_lost_alias_is_put_back_from_two_other_records(
    champions: Registry, lake: Lake, declaration: ModelDeclaration
) -> None:
    sql(champions, "delete from registered_model_aliases")
    report = score_due(lake, Registry(champions.root), declaration)
    assert (report.status, report.version) == ("champion", 2)
    assert report.reason is not None
    assert "the alias 'champion' is gone; it was put back" in report.reason


def test_where_the_records_disagree_the_champion_last_seen_answers_and_nothing_else_is_done(
    champions: Registry, lake: Lake, declaration: ModelDeclaration
) -> None:
    sql(champions, "delete from registered_model_aliases")
    sql(champions, "delete from registered_model_tags where key = 'perennial.champions'")
    registry = Registry(champions.root)
    with pytest.raises(ChampionUnknown, match=r"alias 'champion' is gone; restore mlflow\.db from a backup; if it is"):
        registry.champion("returns")
    report = score_due(lake, registry, declaration)
    assert (report.status, report.version) == ("champion", 2)
    assert report.reason is not None
    assert "is gone" in report.reason


def swap_final(registry: Registry, content: bytes) -> None:
    """Another file in place of the champion's, under its own right hash, by somebody who can write the database."""
    sha256 = hashlib.sha256(content).hexdigest()
    registry.artifacts.path(sha256).write_bytes(content)
    without_seal(registry)
    set_tag(registry, "sha256", sha256)


def test_a_pickle_under_its_right_hash_leaves_the_answers_to_the_champion_before(
    champions: Registry, lake: Lake, declaration: ModelDeclaration
) -> None:
    swap_final(champions, pickle.dumps([1, 2, 3]))
    report = score_due(lake, Registry(champions.root), declaration)
    assert (report.status, report.version) == ("fallback", 1)
    assert report.reason is not None
    assert "is no model file (BadZipFile" in report.reason


def test_a_regressor_under_the_classifiers_name_leaves_the_answers_to_the_champion_before(
    champions: Registry, lake: Lake, declaration: ModelDeclaration
) -> None:
    kept = declared(KEPT, "kept")
    version = lifecycle.make_candidate(lake, champions, kept, lock_hash="lock", as_of=AS_OF).version
    swap_final(champions, champions.artifacts.path(version.sha256).read_bytes())
    report = score_due(lake, Registry(champions.root), declaration)
    assert (report.status, report.version) == ("fallback", 1)
    assert report.reason is not None
    assert "Ridge has no predict_proba" in report.reason


def test_a_model_that_fails_on_the_rows_leaves_them_to_the_champion_before(
    champions: Registry, lake: Lake, declaration: ModelDeclaration
) -> None:
    other = declared(RETURNS, features={"include": ["price", "shop"]})
    version = lifecycle.make_candidate(lake, champions, other, lock_hash="lock", as_of=AS_OF).version
    model = champions.load(version)
    broken = Pipeline([("encode", model[0]), ("model", champions.load(champions.get("returns", 1))[-1])])
    swap_final(champions, canonical_bytes(broken))
    report = score_due(lake, Registry(champions.root), declaration)
    assert (report.status, report.version) == ("fallback", 1)
    assert report.reason is not None
    assert "features" in report.reason


def test_the_newest_figure_wins(champions: Registry) -> None:
    version = champions.get("returns", 1)
    for value in (0.5, 0.4, 0.45, 0.45, 0.1):
        champions.log_metrics(version, {"log_loss": value, "rows": 3.0})
        assert champions.get("returns", 1).metrics["log_loss"] == value
