"""LightGBM and XGBoost by import path, through the whole life of a model."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml_assets import lifecycle
from ml_assets.answering.scoring import score_due
from ml_assets.deciding.log import DecisionLog
from ml_assets.errors import ArtifactNotTrusted
from ml_assets.fitting.estimators import predict
from ml_assets.lake.decision_rows import read_rows
from ml_assets.lake.snapshot import Lake
from ml_assets.registry.registry import Registry
from tests.ml_assets.shop import AS_OF, KEPT, RETURNS, declared

ROOT = Path(__file__).parents[3]
FROM_OUTSIDE = [
    (RETURNS, "lightgbm:LGBMClassifier", {"n_estimators": 20, "min_child_samples": 20}),
    (RETURNS, "xgboost:XGBClassifier", {"n_estimators": 20, "max_depth": 3}),
    (KEPT, "lightgbm:LGBMRegressor", {"n_estimators": 20}),
    (KEPT, "xgboost:XGBRegressor", {"n_estimators": 20, "objective": "reg:absoluteerror"}),
]
ELSEWHERE = "tests.ml_assets.elsewhere"


@pytest.mark.parametrize(("block", "estimator", "params"), FROM_OUTSIDE, ids=[one[1] for one in FROM_OUTSIDE])
def test_it_is_fitted_saved_loaded_judged_promoted_and_asked(
    lake: Lake,
    registry: Registry,
    log: DecisionLog,
    now: Callable[[], datetime],
    block: dict[str, Any],
    estimator: str,
    params: dict[str, Any],
) -> None:
    pytest.importorskip(estimator.partition(":")[0])
    model = declared(block, estimator=estimator, params=params, gates__max_calibration_error=None)
    version = lifecycle.make_candidate(lake, registry, model, lock_hash="lock", as_of=AS_OF).version
    evidence = lifecycle.evaluate_candidate(lake, registry, model, version, now=now)
    decision = lifecycle.decide_and_promote(registry, log, model, evidence, now=now)
    assert decision.decision.verdict == "promoted", [reason.text for reason in decision.decision.failed]
    report = score_due(lake, registry, model)
    assert (report.status, report.version, report.reason) == ("champion", 1, None)
    rows = read_rows(lake.open(), model)
    answers = dict(zip(rows.keys.to_pylist(), predict(registry.load(version), rows.inputs, model.task), strict=True))
    made = lake.read_predictions(model.name)
    expected = [answers[key] for key in made["decision_key"].to_pylist()]
    np.testing.assert_array_equal(made["prediction"].to_numpy(), expected)


@pytest.mark.parametrize(("block", "estimator", "params"), FROM_OUTSIDE, ids=[one[1] for one in FROM_OUTSIDE])
def test_another_process_with_more_threads_fits_the_same_bytes(
    lake: Lake, registry: Registry, block: dict[str, Any], estimator: str, params: dict[str, Any]
) -> None:
    pytest.importorskip(estimator.partition(":")[0])
    model = declared(block, estimator=estimator, params=params)
    here = lifecycle.make_candidate(lake, registry, model, lock_hash="lock", as_of=AS_OF).version
    code = (
        "import sys, json; from pathlib import Path\n"
        "from ml_assets.fitting.training import train\n"
        "from ml_assets.lake.decision_rows import read_rows\n"
        "from ml_assets.lake.snapshot import Lake\n"
        "from ml_assets.registry.artifacts import ArtifactStore\n"
        "from tests.ml_assets import shop\n"
        "block, estimator, params = json.loads(sys.argv[2])\n"
        "model = shop.declared(getattr(shop, block), estimator=estimator, params=params)\n"
        "made = train(read_rows(Lake(Path(sys.argv[1])).open(), model), model, shop.AS_OF, lock_hash='lock', threads=2)\n"
        "print(ArtifactStore(Path(sys.argv[1]) / 'again').save(made.final.model))"
    )
    given = json.dumps(["RETURNS" if block is RETURNS else "KEPT", estimator, params])
    told = subprocess.run(
        [sys.executable, "-c", code, str(lake.root), given],
        cwd=ROOT,
        env={"OMP_NUM_THREADS": "2", "PYTHONHASHSEED": "7", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert told.stdout.strip() == here.sha256


@pytest.mark.parametrize("estimator", ["lightgbm:LGBMClassifier", "xgboost:XGBClassifier"])
def test_nothing_in_its_file_is_a_pickle(lake: Lake, registry: Registry, estimator: str) -> None:
    pytest.importorskip(estimator.partition(":")[0])
    model = declared(RETURNS, estimator=estimator, params={"n_estimators": 3})
    version = lifecycle.make_candidate(lake, registry, model, lock_hash="lock", as_of=AS_OF).version
    with zipfile.ZipFile(registry.artifacts.path(version.sha256)) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            if name == "schema.json":
                json.loads(content)
            elif name.endswith(".npy"):
                assert content.startswith(b"\x93NUMPY")
                assert b"'descr': '|O'" not in content[:200]  # an array of objects would be one
            else:
                assert name.endswith(".bin")  # the booster's own bytes
                assert content[:1] == b"{"  # UBJSON, which XGBoost parses itself


def test_what_its_files_may_hold_is_declared(lake: Lake, registry: Registry) -> None:
    undeclared = declared(RETURNS, estimator=f"{ELSEWHERE}:spoiled_at", params={"shop": "kiosk"})
    with pytest.raises(ArtifactNotTrusted, match=r"SpoiledWhenAsked.*name them in config\.meta\.ml\.trusted"):
        lifecycle.make_candidate(lake, registry, undeclared, lock_hash="lock", as_of=AS_OF)
    trusted = [f"{ELSEWHERE}.SpoiledWhenAsked", f"{ELSEWHERE}.WithoutPriceAt"]
    model = declared(RETURNS, estimator=f"{ELSEWHERE}:spoiled_at", params={"shop": "kiosk"}, trusted=trusted)
    version = lifecycle.make_candidate(lake, registry, model, lock_hash="lock", as_of=AS_OF).version
    registry.promote("returns", version.version)
    assert score_due(lake, registry, model).status == "champion"


def test_what_is_trusted_is_told_by_the_declaration_and_not_by_the_registry(lake: Lake, registry: Registry) -> None:
    trusted = [f"{ELSEWHERE}.SpoiledWhenAsked", f"{ELSEWHERE}.WithoutPriceAt"]
    model = declared(RETURNS, estimator=f"{ELSEWHERE}:spoiled_at", params={"shop": "kiosk"}, trusted=trusted)
    version = lifecycle.make_candidate(lake, registry, model, lock_hash="lock", as_of=AS_OF).version
    registry.promote("returns", version.version)
    report = score_due(lake, registry, declared(RETURNS))
    assert report.status == "fallback"
    assert report.reason is not None
    assert "holds types that are not on the list" in report.reason
