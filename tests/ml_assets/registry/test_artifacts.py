"""Model files: the same bytes for the same model, across processes; nothing parsed that was changed or not allowed."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from ml_assets.declaration.model import ModelDeclaration
from ml_assets.errors import ArtifactCorrupt, ArtifactError, ArtifactMissing, ArtifactNotTrusted
from ml_assets.fitting.estimators import predict
from ml_assets.fitting.splitting import known_by
from ml_assets.fitting.training import fit
from ml_assets.lake.decision_rows import DecisionRows
from ml_assets.registry.artifacts import ArtifactStore, canonical_bytes
from tests.ml_assets.elsewhere import WithoutPriceAt
from tests.ml_assets.shop import AS_OF, KEPT, RETURNS, declared

ROOT = Path(__file__).parents[3]
IN_ANOTHER_PROCESS = """
import hashlib
import pyarrow as pa
from ml_assets.registry.artifacts import canonical_bytes
from ml_assets.lake.decision_rows import decision_rows
from ml_assets.fitting.training import train
from tests.ml_assets.shop import AS_OF, KEPT, RETURNS, declared, orders
for name, block in (("returns", RETURNS), ("kept", KEPT)):
    model = declared(block, name)
    rows = decision_rows(pa.Table.from_pandas(orders(), preserve_index=False), model)
    made = train(rows, model, AS_OF, lock_hash="lock")
    print(*(hashlib.sha256(canonical_bytes(one.model)).hexdigest() for one in (made.final, made.twin, made.fallback)))
"""


@pytest.fixture(scope="module")
def fitted(rows: DecisionRows, declaration: ModelDeclaration) -> Pipeline:
    return fit(known_by(rows, AS_OF), declaration, AS_OF).model


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "models")


def test_retraining_in_other_processes_with_other_threads_gives_the_same_files() -> None:
    outputs = []
    for threads, seed in (("1", "1"), ("2", "2")):
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", IN_ANOTHER_PROCESS]
        done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
        outputs.append(done.stdout)
    assert outputs[0] == outputs[1]
    assert len(set(outputs[0].split())) == 6


def test_a_loaded_model_answers_as_the_saved_one(
    store: ArtifactStore, fitted: Pipeline, rows: DecisionRows, declaration: ModelDeclaration
) -> None:
    sha256 = store.save(fitted)
    assert store.path(sha256).name == f"{sha256}.skops"
    loaded = store.load(sha256)
    expected = predict(fitted, rows.inputs, declaration.task)
    np.testing.assert_array_equal(predict(loaded, rows.inputs, declaration.task), expected)
    assert canonical_bytes(loaded) == canonical_bytes(fitted)


@pytest.mark.parametrize("name", ["gradient_boosting", "logistic", "baseline_rates", "baseline_constant"])
def test_every_shipped_estimator_can_be_saved_and_loaded(store: ArtifactStore, rows: DecisionRows, name: str) -> None:
    model = declared(RETURNS, estimator=name, params={"by": ["shop"]} if name == "baseline_rates" else {})
    sha256 = store.save(fit(known_by(rows, AS_OF), model, AS_OF).model)
    assert len(predict(store.load(sha256), rows.inputs, model.task)) == len(rows)


def test_one_flipped_bit_anywhere_is_refused(store: ArtifactStore, fitted: Pipeline) -> None:
    sha256 = store.save(fitted)
    path = store.path(sha256)
    sound = path.read_bytes()
    for position in range(0, len(sound), len(sound) // 30):
        path.write_bytes(sound[:position] + bytes([sound[position] ^ 4]) + sound[position + 1 :])
        with pytest.raises(ArtifactCorrupt, match=r"was changed; nothing was read of it"):
            store.load(sha256)
    assert store.save(fitted) == sha256
    store.load(sha256)


def test_a_missing_file_is_named(store: ArtifactStore) -> None:
    with pytest.raises(ArtifactMissing, match=r"0000.*\.skops: there is no such model file"):
        store.load("0" * 64)


def test_types_that_nobody_allowed_are_refused_on_saving_and_on_loading(tmp_path: Path) -> None:
    model = Pipeline([("spoil", WithoutPriceAt("x")), ("model", FunctionTransformer())])
    with pytest.raises(ArtifactNotTrusted, match=r"tests\.ml_assets\.elsewhere\.WithoutPriceAt"):
        ArtifactStore(tmp_path).save(model)
    name = "tests.ml_assets.elsewhere.WithoutPriceAt"
    sha256 = ArtifactStore(tmp_path).save(model, [name])
    ArtifactStore(tmp_path).load(sha256, [name])
    with pytest.raises(ArtifactNotTrusted, match=r"not on the list.*name them in config\.meta\.ml\.trusted"):
        ArtifactStore(tmp_path).load(sha256)


def under_its_own_hash(folder: Path, content: bytes) -> str:
    sha256 = hashlib.sha256(content).hexdigest()
    folder.mkdir(exist_ok=True)
    (folder / f"{sha256}.skops").write_bytes(content)
    return sha256


def test_a_pickle_under_its_own_right_hash_is_no_model_file_and_is_not_opened(tmp_path: Path) -> None:
    class Opened:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "opened",)

    sha256 = under_its_own_hash(tmp_path, pickle.dumps(Opened()))
    with pytest.raises(ArtifactCorrupt, match=rf"{sha256}\.skops: is no model file \(BadZipFile"):
        ArtifactStore(tmp_path).load(sha256)
    assert not (tmp_path / "opened").exists()


@pytest.mark.parametrize("held", [partial(int, "3"), [1, 2], StandardScaler()])
def test_what_is_no_pipeline_is_no_model(tmp_path: Path, held: Any) -> None:
    sha256 = under_its_own_hash(tmp_path, skops.io.dumps(held))
    with pytest.raises(ArtifactError, match=sha256):
        ArtifactStore(tmp_path).load(sha256)


def test_a_function_hidden_in_a_file_is_not_called(tmp_path: Path) -> None:
    model = Pipeline([("model", FunctionTransformer(os.system))])
    with pytest.raises(ArtifactNotTrusted, match="system"):
        ArtifactStore(tmp_path).save(model)


def test_a_file_holds_no_clock_and_no_address(fitted: Pipeline) -> None:
    archive = zipfile.ZipFile(io.BytesIO(canonical_bytes(fitted)))
    assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert [entry.filename for entry in archive.infolist()][:2] == ["1.npy", "2.npy"]


def test_a_linear_model_can_be_saved_too(store: ArtifactStore, frame: object) -> None:
    import pyarrow as pa

    from ml_assets.lake.decision_rows import decision_rows

    model = declared(KEPT, "kept")
    rows = decision_rows(pa.Table.from_pandas(frame, preserve_index=False), model)
    store.load(store.save(fit(known_by(rows, AS_OF), model, AS_OF).model))


def test_a_file_from_before_the_classes_moved_loads_as_if_it_were_written_now(
    store: ArtifactStore, fitted: Pipeline, rows: DecisionRows, declaration: ModelDeclaration
) -> None:
    source = zipfile.ZipFile(io.BytesIO(canonical_bytes(fitted)))
    older = io.BytesIO()
    with zipfile.ZipFile(older, "w", zipfile.ZIP_STORED) as archive:
        for name in source.namelist():
            archive.writestr(name, source.read(name).replace(b"ml_assets.fitting.encoders", b"ml_assets.encoders"))
    assert b"ml_assets.encoders" in older.getvalue()
    sha256 = hashlib.sha256(older.getvalue()).hexdigest()
    store.root.mkdir(parents=True)
    store.path(sha256).write_bytes(older.getvalue())

    loaded = store.load(sha256)

    expected = predict(fitted, rows.inputs, declaration.task)
    np.testing.assert_array_equal(predict(loaded, rows.inputs, declaration.task), expected)
