"""The status says what may be wrong with its own figures: skew, records that are not what was written, signals without a
chance.
"""

from __future__ import annotations

import io
import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from dagster_defs.commands.status import gather_status
from dagster_defs.commands.status_words import show_status
from dagster_defs.settings import Settings
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.declaration.reader import read_declarations
from ml_assets.lake.snapshot import Lake
from ml_assets.observing.skew_counts import Counted, Skew, remember_counts
from tests.dagster_defs.commands.lived_home import MODEL, lived_in
from tests.ml_assets.shop import publish

WEEKLY = "household_spend"


@pytest.fixture
def home(settings: Settings, manifest: object, tmp_path: Path) -> Path:
    return lived_in(tmp_path / "home", settings.dbt_project)


@pytest.fixture
def own(settings: Settings, home: Path) -> Settings:
    return settings.model_copy(update={"home": home}).prepared()


def shown(answer: dict[str, Any]) -> str:
    json.dumps(answer, default=str)
    said = io.StringIO()
    show_status(answer, Console(file=said, width=200))
    return said.getvalue()


def declaration_of(settings: Settings, model: str) -> ModelDeclaration:
    return read_declarations(settings.dbt_project / "target" / "manifest.json")[model]


def sundays(weeks: int, each: int) -> pd.DataFrame:
    """A household's decision each Sunday, and its outcome four weeks later."""
    at = np.repeat(np.datetime64("2030-01-06", "us") + np.arange(weeks) * np.timedelta64(7, "D"), each)
    known = pd.Series(at + np.timedelta64(28, "D"))
    return pd.DataFrame({"decision_at": at, "label_known_at": known.where(known <= at.max())})


def named_as_declared(frame: pd.DataFrame, declaration: ModelDeclaration) -> pd.DataFrame:
    return frame.rename(columns={"decision_at": declaration.decision_at, "label_known_at": declaration.label_known_at})


def test_the_last_count_of_skew_is_said(own: Settings, home: Path) -> None:
    lake = Lake(home / "lake")
    assert gather_status(own)["models"][MODEL]["skew"] is None
    assert "skew" not in shown(gather_status(own))

    remember_counts(lake, MODEL, {"2030-01": Counted("", Skew(compared=200)), "2030-02": Counted("", Skew(180))})
    assert "skew All 380 answered decisions stand in the training set as they were" in shown(gather_status(own))

    day = (pd.Timestamp("2030-02-11")).date()
    remember_counts(lake, MODEL, {"2030-02": Counted("", Skew(180, differing=7, first=day))})
    answer = gather_status(own)
    assert answer["models"][MODEL]["skew"]["differing"] == 7
    assert "skew 7 of 180 answered decisions stand in the training set with other inputs" in shown(answer)


def test_a_record_that_is_not_what_was_written_is_said_with_its_remedy(own: Settings, home: Path) -> None:
    assert gather_status(own)["models"][MODEL]["unreadable"] == []
    with closing(sqlite3.connect(home / "registry" / "mlflow.db")) as base, base:
        base.execute("insert into model_versions values (?, 3, 'run', 'None')", (MODEL,))
        base.execute("insert into model_version_tags values (?, 3, 'perennial.seal', 'of other tags')", (MODEL,))

    answer = gather_status(own)

    (said,) = answer["models"][MODEL]["unreadable"]
    assert said.startswith(f"{MODEL}: version 3 in mlflow.db: its tags are not those that were written")
    assert "Restore mlflow.db from a backup" in shown(answer)


def test_a_signal_that_can_never_fire_is_said_with_its_remedy(own: Settings, home: Path) -> None:
    declaration = declaration_of(own, MODEL)
    few = named_as_declared(sundays(40, each=30), declaration)
    publish(home / "lake", few, declaration.training_set, by=declaration.decision_at)

    answer = gather_status(own)

    said = answer["models"][MODEL]["cannot_fire"]
    assert [sentence.partition(":")[0] for sentence in said] == [
        "retraining.watch", "retraining.drift", "retraining.performance",
    ]  # fmt: skip
    assert "can never fire retraining.watch: 28 days have held decisions on no more than 4 days so far" in shown(answer)


def test_nothing_that_ships_is_declared_in_vain(own: Settings, home: Path) -> None:
    """Flights by the thousand every day, whose outcomes are known the same day, and households every Sunday."""
    weekly, daily = declaration_of(own, WEEKLY), declaration_of(own, MODEL)
    assert weekly.retraining.watch is not None
    assert weekly.retraining.watch.span == timedelta(days=90)
    publish(home / "lake", named_as_declared(sundays(40, each=1000), weekly), weekly.training_set, weekly.decision_at)
    at = np.repeat(np.datetime64("2030-01-01T12:00", "us") + np.arange(100) * np.timedelta64(1, "D"), 200)
    flights = pd.DataFrame({"decision_at": at, "label_known_at": at + np.timedelta64(6, "h")})
    publish(home / "lake", named_as_declared(flights, daily), daily.training_set, daily.decision_at)

    answer = gather_status(own)

    assert {name: model["cannot_fire"] for name, model in answer["models"].items() if model["cannot_fire"]} == {}
    assert "can never fire" not in shown(answer)
