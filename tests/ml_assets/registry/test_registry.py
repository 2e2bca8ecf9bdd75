"""Versions and champions: logged once, promoted, rolled back, also after a crash and from two processes at a time."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ml_assets.declaration.model import ModelDeclaration
from ml_assets.errors import ArtifactCorrupt, NoChampion, VersionMissing
from ml_assets.fitting.training import Candidate, train
from ml_assets.lake.decision_rows import DecisionRows
from ml_assets.registry.registry import ALIAS, Registry
from tests.ml_assets.shop import AS_OF

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def candidate(rows: DecisionRows, declaration: ModelDeclaration) -> Candidate:
    return train(rows, declaration, AS_OF, lock_hash="lock", table_hash="table")


def another(candidate: Candidate, number: int) -> Candidate:
    """The same models under another identity: the registry does not look inside."""
    return replace(candidate, candidate_fingerprint=f"{number:064}", as_of=AS_OF + timedelta(days=number))


def with_versions(registry: Registry, candidate: Candidate, count: int) -> Registry:
    for number in range(1, count + 1):
        registry.log_candidate(another(candidate, number))
    return registry


def test_everything_about_a_candidate_is_remembered(registry: Registry, candidate: Candidate) -> None:
    version = registry.log_candidate(candidate)
    assert version.version == 1
    assert version == registry.get("returns", 1) == registry.find("returns", candidate.candidate_fingerprint)
    assert version.as_of == version.trained_through == AS_OF
    assert version.twin_trained_through == version.window_start == AS_OF - timedelta(days=28)
    assert version.training_rows == candidate.final.rows
    assert version.schema == candidate.declaration.schema
    assert version.declaration == candidate.declaration.as_dict()
    assert (version.training_hash, version.table_hash, version.lock_hash) == (candidate.training_hash, "table", "lock")
    assert version.columns == ("shop", "product", "price", "weight", "is_gift", "pieces")


def test_the_same_candidate_is_one_version(registry: Registry, candidate: Candidate) -> None:
    assert registry.log_candidate(candidate) == registry.log_candidate(candidate)
    assert len(registry.versions("returns")) == 1


def test_logging_again_restores_a_file_that_was_lost(registry: Registry, candidate: Candidate) -> None:
    version = registry.log_candidate(candidate)
    registry.artifacts.path(version.twin_sha256).unlink()
    assert not registry.has_files(version)
    assert registry.log_candidate(candidate) == version
    assert registry.has_files(version)


def test_a_crash_while_logging_leaves_no_run_that_seems_to_go_on(
    registry: Registry, candidate: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = registry._client
    with monkeypatch.context() as patch:
        patch.setattr(client, "log_batch", lambda *args, **others: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            registry.log_candidate(candidate)

    registry.log_candidate(candidate)

    experiment = client.get_experiment_by_name("returns")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(run.info.status for run in runs) == ["FINISHED", "KILLED"]
    assert len(registry.versions("returns")) == 1


def test_figures_are_kept_with_the_run(registry: Registry, candidate: Candidate) -> None:
    version = registry.log_candidate(candidate)
    registry.log_metrics(version, {"log_loss": 0.5, "baseline_constant.log_loss": 0.6})
    assert registry.get("returns", 1).metrics == {"log_loss": 0.5, "baseline_constant.log_loss": 0.6}


def test_before_the_first_promotion_there_is_no_champion(registry: Registry, candidate: Candidate) -> None:
    assert registry.champion("returns") is None
    registry.log_candidate(candidate)
    assert registry.champion("returns") is None
    assert registry.previous_champion("returns") is None
    with pytest.raises(NoChampion, match="no champion yet"):
        registry.roll_back("returns", 1)


def test_champions_follow_each_other_and_go_back_in_order(registry: Registry, candidate: Candidate) -> None:
    with_versions(registry, candidate, 4)
    for number in (1, 2, 4):
        registry.promote("returns", number)
        registry.promote("returns", number)
    line = []
    for number in (4, 2):
        line.append(registry.roll_back("returns", number).version)
        assert registry.get("returns", number).rolled_back
    assert line == [2, 1]
    assert registry.roll_back("returns", 2).version == 1
    with pytest.raises(NoChampion, match="version 1 is the first champion"):
        registry.roll_back("returns", 1)


def test_a_crash_between_the_two_steps_of_a_promotion_leaves_the_old_champion(
    registry: Registry, candidate: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_versions(registry, candidate, 2).promote("returns", 1)

    def crash(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(registry._client), "set_registered_model_alias", crash)
        with pytest.raises(KeyboardInterrupt):
            registry.promote("returns", 2)
    champion = registry.champion("returns")
    assert champion is not None
    assert champion.version == 1
    assert registry.previous_champion("returns") is None
    registry.promote("returns", 2)
    previous = registry.previous_champion("returns")
    assert previous is not None
    assert previous.version == 1


def test_an_alias_that_someone_moved_by_hand_counts(registry: Registry, candidate: Candidate) -> None:
    with_versions(registry, candidate, 3).promote("returns", 1)
    registry._client.set_registered_model_alias("returns", ALIAS, "3")
    champion, previous = registry.champion("returns"), registry.previous_champion("returns")
    assert champion is not None
    assert previous is not None
    assert (champion.version, previous.version) == (3, 1)


def test_a_version_that_there_is_not_is_named(registry: Registry, candidate: Candidate) -> None:
    with pytest.raises(VersionMissing, match="returns: no version 9"):
        registry.get("returns", 9)
    version = registry.log_candidate(replace(candidate, fallback=None))
    with pytest.raises(VersionMissing, match="version 1 has no fallback model"):
        registry.load(version, "fallback")


def test_a_changed_file_is_not_loaded(registry: Registry, candidate: Candidate) -> None:
    version = registry.log_candidate(candidate)
    path = registry.artifacts.path(version.sha256)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtifactCorrupt):
        registry.load(version)
    registry.load(version, "twin")


def test_two_processes_that_log_the_same_at_once_make_one_version(registry: Registry, candidate: Candidate) -> None:
    script = """
import sys
from pathlib import Path
import pyarrow as pa
from ml_assets.lake.decision_rows import decision_rows
from ml_assets.registry.registry import Registry
from ml_assets.fitting.training import train
from tests.ml_assets.shop import AS_OF, RETURNS, declared, orders
model = declared(RETURNS)
rows = decision_rows(pa.Table.from_pandas(orders(), preserve_index=False), model)
print(Registry(Path(sys.argv[1])).log_candidate(train(rows, model, AS_OF, lock_hash="lock")).version)
"""
    command = [sys.executable, "-c", script, str(registry.root)]
    started = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [int(process.communicate()[0]) for process in started] == [1, 1]
    assert len(registry.versions("returns")) == 1
