"""Live performance is worked out by dbt, to be shown, and by Python, to be decided on: both say the same of the same predictions, to the last published digit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from macro_rendering import load_macros

from ml_assets.declaration.domains import Domain
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.declaration.schema import Owner
from ml_assets.lake.snapshot import Lake
from ml_assets.measuring.metrics import METRICS, measure
from ml_assets.observing.health import health_windows
from tests.dagster_defs.commands.lived_home import version
from tests.ml_assets.shop import DOMAIN, FIRST_DAY, KEPT, PREDICTIONS, RETURNS, declared, publish

DAYS = 40
SHOWN = {"binary_classification": ("log_loss", "brier", "roc_auc"), "regression": ("mae", "rmse")}
CASES = [(task, metric) for task, metrics in SHOWN.items() for metric in metrics]
COLUMNS = "model, model_version, decision_at, prediction, prediction_status, actual, label_known_at"


def declared_for(task: str, metric: str) -> ModelDeclaration:
    """Its windows are days; the newest forty are looked at."""
    made = declared(
        RETURNS if task == "binary_classification" else KEPT,
        evaluation__metric=metric,
        retraining__drift=None,
        retraining__performance={"worse_by": 1.0, "windows": f"2 of {DAYS}"},
    )
    return replace(made, domain=Domain(DOMAIN, Owner("", ""), window="day", least_outcomes=1))


def predictions(task: str, rng: np.random.Generator) -> pd.DataFrame:
    """Of one version; some outcomes of the last days are not known, some never have a label, some answers repeat."""
    counts = rng.integers(1, 120, DAYS)
    day = np.repeat(np.arange(DAYS), counts)
    decided = np.datetime64(FIRST_DAY.replace(tzinfo=None), "us") + day * np.timedelta64(1, "D")
    decided = decided + rng.integers(0, 86_400, len(day)) * np.timedelta64(1, "s")
    if task == "binary_classification":
        said = np.where(rng.random(len(day)) < 0.3, rng.choice([0.0, 0.25, 1.0], len(day)), rng.random(len(day)))
        actual = (rng.random(len(day)) < 0.4).astype(float)
    else:
        said, actual = rng.normal(5, 30, len(day)).round(2), rng.normal(5, 30, len(day))
    unknown = (day >= DAYS - 5) & (rng.random(len(day)) < 0.2)
    known_at = pd.Series(decided + np.timedelta64(1, "h")).mask(unknown)
    return pd.DataFrame(
        {
            "model": "returns",
            "model_version": 1,
            "decision_at": decided,
            "prediction": said,
            "prediction_status": "champion",
            "actual": pd.Series(actual).mask(unknown | (rng.random(len(day)) < 0.02)),
            "label_known_at": known_at,
            "shop": rng.choice(["north", "south"], len(day)),
        }
    )


def shown(frame: pd.DataFrame, task: str) -> pd.DataFrame:
    """What `mon_<domain>__performance` makes of the predictions."""
    known: dict[str, Any] = {
        "model": SimpleNamespace(),
        "domain_of": lambda model: DOMAIN,
        "domain_settings": lambda name: {"complete_share": 0.99},
        "domain_table": lambda layer, name: f"{layer}_{name}",
        "declared_models": lambda: [SimpleNamespace(name="returns", task=task)],
    }
    query = load_macros("monitoring/performance.sql", known=known)["domain_performance"]()
    with duckdb.connect(":memory:") as engine:
        engine.register("frame", frame)
        engine.execute(f"create table fct_predictions as select {COLUMNS}, map {{'shop': shop}} as slices from frame")
        return engine.execute(query).df()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("task", "metric"), CASES)
def test_the_loss_that_is_decided_on_is_the_one_that_is_shown(
    task: str, metric: str, seed: int, tmp_path: Path
) -> None:
    frame, declaration = predictions(task, np.random.default_rng(seed)), declared_for(task, metric)
    lake: Lake = publish(tmp_path, frame.drop(columns="shop"), PREDICTIONS, by="decision_at")
    champion = replace(version(1, FIRST_DAY, declaration), model="returns")
    as_of = frame["decision_at"].max().to_pydatetime() + pd.Timedelta(days=1)

    windows = health_windows(lake.open(), declaration, champion, as_of)

    sign = -1 if METRICS[metric].higher_is_better else 1
    decided_on = {
        (pd.Timestamp(one.start.date()), one.outcomes): round(sign * one.loss, 6)
        for one in windows
        if one.loss is not None
    }
    table = shown(frame, task)
    overall = table[(table["metric"] == metric) & (table["slice_name"] == "overall")]
    published = {
        (day, decisions): value
        for day, decisions, value in zip(overall["decision_date"], overall["decisions"], overall["value"], strict=True)
    }
    assert len(decided_on) > DAYS / 2
    assert decided_on.items() <= published.items()
    first_unknown = frame.loc[frame["label_known_at"].isna(), "decision_at"].min().normalize()
    assert {key: value for key, value in published.items() if key[0] < first_unknown}.items() <= decided_on.items()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("task", "metric"), CASES)
def test_so_is_every_slice_of_every_day(task: str, metric: str, seed: int) -> None:
    frame = predictions(task, np.random.default_rng(100 + seed))
    table = shown(frame, task)
    sliced = table[(table["metric"] == metric) & (table["slice_name"] == "shop")]
    assert len(sliced) > DAYS
    for row in sliced.to_dict("records"):
        own = frame[
            (frame["decision_at"].dt.normalize() == row["decision_date"]) & (frame["shop"] == row["slice_value"])
        ]
        own = own[own["actual"].notna()]
        figure = measure(metric, own["actual"].to_numpy(), own["prediction"].to_numpy())
        assert (len(own), round(figure, 6)) == (row["decisions"], row["value"])
