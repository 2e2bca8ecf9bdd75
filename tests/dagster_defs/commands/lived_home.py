"""A home in which a model has lived, made up without training one: two champions, their predictions and the log.

What belongs here: files as the verbs and dbt write them. What does not: what is expected of them.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from ml_assets.deciding.log import DecisionLog
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.declaration.reader import read_declarations
from ml_assets.lake.results import EVALUATION_SCHEMA
from ml_assets.lake.snapshot import Lake
from ml_assets.registry.versions import Standing, Version, remember
from tests.ml_assets.shop import publish

MODEL = "late_arrival"
FIRST = datetime(2030, 1, 1, tzinfo=UTC)
SECOND = FIRST + timedelta(days=40)


def declaration_of(project: Path) -> ModelDeclaration:
    return read_declarations(project / "target" / "manifest.json")[MODEL]


def version(number: int, as_of: datetime, declaration: ModelDeclaration) -> Version:
    return Version(
        model=MODEL, version=number, candidate_fingerprint="", sha256=str(number) * 64, twin_sha256="",
        fallback_sha256=None, as_of=as_of, window_start=as_of - timedelta(days=28), trained_through=as_of,
        twin_trained_through=as_of, training_rows=1000 * number, twin_rows=900, training_hash="", table_hash="",
        declaration_fingerprint="", whole_fingerprint="", code_version="", lock_hash="", schema=(),
        declaration=declaration.as_dict(), rolled_back=False, run_id="", metrics={},
    )  # fmt: skip


def predictions(of_first: float, of_second: float) -> pd.DataFrame:
    """A day's predictions by each version after its promotion, all late: the first always says one probability, the
    second another; some by a fallback, some without an outcome."""
    rows = []
    for number, as_of, said in ((1, FIRST, of_first), (2, SECOND, of_second)):
        for day in range(10):
            for at in range(20):
                by_fallback, is_known = at == 0, at != 1
                rows.append(
                    {
                        "model": MODEL,
                        "decision_key": f"{number}|{day}|{at}",
                        "decision_at": (as_of + timedelta(days=day, minutes=at)).replace(tzinfo=None),
                        "model_version": number,
                        "prediction": 0.001 if by_fallback else said,
                        "prediction_status": "fallback" if by_fallback else "champion",
                        "actual": 1.0 if is_known else np.nan,
                    }
                )
    return pd.DataFrame(rows)


def lived_in(path: Path, project: Path, champion: int = 2) -> Path:
    """Version 2 took the place of 1; with `champion=1`, it was taken back."""
    declaration = declaration_of(project)
    first, second = version(1, FIRST, declaration), version(2, SECOND, declaration)
    lake = Lake(path / "lake")
    tables = declaration.domain.tables
    publish(lake.root, predictions(0.5, 0.9), tables.predictions, by="decision_at")
    health = pd.DataFrame(
        {
            "source_name": ["made_up", "made_up"],
            "table_name": ["one", "other"],
            "landed_rows": [100, 50],
            "staged_rows": [98, 50],
            "quarantined_rows": [2, 0],
            "rejected_files": [1, 0],
            "last_known_at": [pd.Timestamp("2030-02-20 12:00"), pd.Timestamp("2030-02-19")],
            "minutes_behind_watermark": [0, 2160],
        }
    )
    publish(lake.root, health, tables.data_health, by=None)
    log = DecisionLog(path / "lake" / "decisions.jsonl")
    for one, before in ((first, None), (second, 1)):
        log.append(
            decided_at=one.as_of, as_of=one.as_of, model=MODEL, kind="promotion", verdict="promoted",
            version=one.version, previous_version=before, reasons=[], evidence={},
        )  # fmt: skip
        scores = [
            [MODEL], [one.version], [one.as_of.replace(tzinfo=None)], ["candidate"], ["overall"], ["all"],
            ["log_loss"], [0.4 + one.version / 100], [0.3], [0.5], [500],
        ]  # fmt: skip
        lake.write_evaluation(MODEL, one.version, pa.table(scores, schema=EVALUATION_SCHEMA))
    standing = Standing(second, first) if champion == 2 else Standing(first, None)
    remember(path / "registry", MODEL, standing)
    _database(path / "registry" / "mlflow.db")
    if champion == 1:
        log.append(
            decided_at=SECOND + timedelta(days=10), as_of=SECOND + timedelta(days=10), model=MODEL, kind="rollback",
            verdict="rolled_back", version=1, previous_version=2, evidence={},
            reasons=[{"gate": "rollback", "passed": True, "figure": None, "threshold": None, "text": "worse"}],
        )  # fmt: skip
        remember(path / "registry", MODEL, Standing(replace(first), None))
    checks = [{"name": "not_null_one", "model": "one", "status": "pass", "failures": 0}]
    (path / "lake" / "checks.jsonl").write_text("".join(json.dumps(line) + "\n" for line in checks))
    return path


def _database(path: Path) -> None:
    """What is looked at of the registry's database without MLflow."""
    import sqlite3

    base = sqlite3.connect(path)
    base.execute("create table registered_models (name text)")
    base.execute("create table model_versions (name text, version integer, run_id text, current_stage text)")
    base.execute("create table model_version_tags (name text, version integer, key text, value text)")
    base.commit()
    base.close()
