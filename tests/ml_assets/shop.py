"""A small shop's returns: a training set, a manifest and a published lake, made up, for tests that know nothing of any
real case.

What belongs here: the synthetic case, and ways to spoil it. What does not: assertions.
"""

from __future__ import annotations

import copy
import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ml_assets.declaration.domains import DomainTables
from ml_assets.declaration.reader import ModelDeclaration, read_declarations
from ml_assets.lake.files import parquet_bytes
from ml_assets.lake.snapshot import Lake

FIRST_DAY = datetime(2030, 1, 1, tzinfo=UTC)
DAYS = 120
ROWS_A_DAY = 80
AS_OF = FIRST_DAY + timedelta(days=100)
TABLE = "trn_returns"
DOMAIN = "shop"
PREDICTIONS = DomainTables(DOMAIN).predictions
FEATURE_DRIFT = DomainTables(DOMAIN).feature_drift
PREDICTION_DRIFT = DomainTables(DOMAIN).prediction_drift
COLUMNS = {
    "order_id": ("bigint", "entity"),
    "line": ("integer", "entity"),
    "decided_at": ("timestamp", "decision_at"),
    "shop": ("varchar", "feature"),
    "product": ("varchar", "feature"),
    "price": ("double", "feature"),
    "weight": ("double", "feature"),
    "is_gift": ("boolean", "feature"),
    "pieces": ("integer", "feature"),
    "note": ("varchar", None),
    "is_returned": ("boolean", "label"),
    "days_kept": ("double", "label"),
    "outcome_known_at": ("timestamp", "label_known_at"),
}
RETURNS = {
    "task": "binary_classification",
    "label": "is_returned",
    "estimator": "gradient_boosting",
    "params": {"max_iter": 25, "min_samples_leaf": 20},
    "evaluation": {
        "metric": "log_loss",
        "window": "28 days",
        "backtest_from": "2030-02-20",
        "slices": ["shop"],
        "baselines": [{"estimator": "baseline_constant"}, {"estimator": "baseline_rates", "params": {"by": ["shop"]}}],
    },
    "gates": {"max_calibration_error": 0.05, "max_slice_regression": 0.02, "min_rows": 300, "min_slice_rows": 60},
    "retraining": {
        "max_label_age": "7 days",
        "drift": {"weighted_by": "importance", "population_stability": 0.25, "windows": "2 of 5"},
        "performance": {"worse_by": 0.01, "windows": "2 of 5"},
        "cooldown": "3 days",
    },
    "service": {"predictions_due": "15 minutes", "fallback": "baseline"},
}
KEPT = {
    "task": "regression",
    "label": "days_kept",
    "estimator": "linear",
    "features": {"exclude": ["product"]},
    "evaluation": {"metric": "mae", "window": "28 days", "slices": ["shop"]},
}


def orders(days: int = DAYS, seed: int = 1, known_through: datetime | None = None) -> pd.DataFrame:
    """Orders as a training set: some returned, by shop, price and gift; outcomes known two days later, or not yet."""
    rng = np.random.default_rng(seed)
    count = days * ROWS_A_DAY
    minutes = np.sort(rng.integers(0, days * 1440, count))
    shop = rng.choice(["north", "south", "west", "kiosk"], count, p=[0.3, 0.3, 0.3, 0.1])
    price = rng.gamma(2, 20, count)
    gift = rng.random(count) < 0.2
    pieces = rng.integers(1, 6, count)
    signal = -1.2 + 0.9 * (shop == "south") + 0.02 * (price - 40) + 1.2 * gift - 0.2 * pieces
    returned = rng.random(count) < 1 / (1 + np.exp(-signal))
    decided = pd.Timestamp(FIRST_DAY).tz_localize(None) + pd.to_timedelta(minutes, unit="m")
    known = (decided + pd.to_timedelta(rng.integers(600, 2880, count), unit="m")).as_unit("us")
    frame = pd.DataFrame(
        {
            "order_id": np.arange(count),
            "line": rng.integers(1, 4, count).astype("int32"),
            "decided_at": decided.as_unit("us"),
            "shop": shop,
            "product": rng.choice(["lamp", "chair", "desk", None], count),
            "price": np.where(rng.random(count) < 0.05, np.nan, price),
            "weight": rng.normal(size=count),
            "is_gift": gift,
            "pieces": pieces.astype("int32"),
            "note": "n",
            "is_returned": pd.array(returned, dtype="boolean"),
            "days_kept": 5 + 3 * pieces + rng.normal(size=count),
            "outcome_known_at": known,
        }
    )
    through = pd.Timestamp(known_through or FIRST_DAY + timedelta(days=days)).tz_convert(None)
    unknown = frame["outcome_known_at"] > through
    return frame.assign(
        is_returned=frame["is_returned"].mask(unknown),
        days_kept=frame["days_kept"].mask(unknown),
        outcome_known_at=frame["outcome_known_at"].mask(unknown),
    )


def publish(root: Path, frame: pd.DataFrame, table: str = TABLE, by: str | None = "decided_at") -> Lake:
    """Writes the frame as one part a month (or all in one) and replaces the table in the catalog, as dbt does."""
    lines = [vars(part) for part in Lake(root).open().catalog if part.table != table]
    schema = pa.Table.from_pandas(frame, preserve_index=False).schema
    for month, rows in frame.groupby(frame[by].dt.strftime("%Y-%m"), sort=True) if by else [("all", frame)]:
        content = parquet_bytes(pa.Table.from_pandas(rows, schema=schema, preserve_index=False))
        sha256 = hashlib.sha256(content).hexdigest()
        file = f"tables/{table}.{month}.{sha256[:16]}.parquet"
        (root / "tables").mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(content)
        lines.append(
            {
                "table": table,
                "part": month,
                "file": file,
                "sha256": sha256,
                "bytes": len(content),
                "rows": len(rows),
                "fingerprint": sha256[:16],
            }
        )
    (root / "catalog.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return Lake(root)


def publish_predictions(lake: Lake, frame: pd.DataFrame, **changes: Any) -> Lake:
    """What dbt makes of the predictions in the lake: the outcome beside each, where it is known. `changes` replace
    columns.
    """
    made = lake.read_predictions("returns").to_pandas()
    keys = frame["order_id"].astype(str) + "|" + frame["line"].astype(str)
    outcomes = pd.Series(frame["is_returned"].to_numpy(dtype=float, na_value=np.nan), index=keys)
    known_at = pd.Series(frame["outcome_known_at"].to_numpy(), index=keys)
    made = made.assign(
        actual=made["decision_key"].map(outcomes), label_known_at=made["decision_key"].map(known_at)
    ).assign(**changes)
    return publish(lake.root, made, PREDICTIONS, by="decision_at")


def exposure(name: str, ml: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "fqn": ["perennial", "ml_models", DOMAIN, name],
        "type": "ml",
        "label": name.title(),
        "owner": {"name": "Shop", "email": "shop@example.com"},
        "description": "Made up.",
        "depends_on": {"nodes": [f"model.shop.{TABLE}"], "macros": []},
        "original_file_path": f"models/ml_models/{name}.yml",
        "config": {"enabled": True, "meta": {"ml": copy.deepcopy(ml)}},
        "meta": {},
    }


def manifest_of(**models: dict[str, Any]) -> dict[str, Any]:
    columns = {
        name: {"name": name, "data_type": data_type, "meta": {}, "config": {"meta": {"role": role} if role else {}}}
        for name, (data_type, role) in COLUMNS.items()
    }
    return {
        "nodes": {f"model.shop.{TABLE}": {"name": TABLE, "resource_type": "model", "columns": columns}},
        "exposures": {f"exposure.shop.{name}": exposure(name, ml) for name, ml in models.items()}
        | {"exposure.shop.board": {"name": "board", "type": "dashboard"}},
    }


def changed(block: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The block with keys replaced; `evaluation__window` reaches into a nested one; None removes."""
    made = copy.deepcopy(block)
    for place, value in changes.items():
        *outer, last = place.split("__")
        inner = made
        for key in outer:
            inner = inner.setdefault(key, {})
        if value is None:
            inner.pop(last, None)
        else:
            inner[last] = value
    return made


def declared(block: dict[str, Any], name: str = "returns", **changes: Any) -> ModelDeclaration:
    return read_declarations(manifest_of(**{name: changed(block, **changes)}))[name]
