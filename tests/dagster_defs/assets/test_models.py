"""Every figure of a model's assets stands under its own name: of this run, of the whole table, of the champion that serves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest

from dagster_defs.assets.backfill import Span
from dagster_defs.assets.checks import NEEDS_NO_RETRAINING, build_lifecycle_checks
from dagster_defs.assets.models import build_lifecycle_assets
from dagster_defs.resources import Home
from ml_assets import lifecycle
from ml_assets.registry.versions import Version
from tests.ml_assets.shop import FIRST_DAY, KEPT, declared, orders, publish

# A small model of days kept, which passes whatever it is; its labels may not be older than ten days.
DECLARATION = declared(
    KEPT, "returns", gates={"beats_baselines": False, "against_champion": "none"},
    retraining={"max_label_age": "10 days", "cooldown": "3 days"}, evaluation__slices=[],
)  # fmt: skip
STEPS = ("candidate", "evaluation", "champion", "predictions")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "landing").mkdir()
    return Home(path=str(tmp_path), lock_file=str(tmp_path / "no.lock"))


def land(home: Home, days: int) -> None:
    """The shop as of so many days."""
    through = np.datetime64((FIRST_DAY + timedelta(days=days)).replace(tzinfo=None))
    frame = orders().loc[lambda whole: whole["decided_at"] < through]
    unknown = ~(frame["outcome_known_at"] <= through)
    publish(
        home.lake.root,
        frame.assign(
            is_returned=frame["is_returned"].mask(unknown),
            days_kept=frame["days_kept"].mask(unknown),
            outcome_known_at=frame["outcome_known_at"].mask(unknown),
        ),
    )


def made(instance: dg.DagsterInstance, home: Home, *steps: str) -> dict[str, dict[str, Any]]:
    """By step, what its asset says after it was made."""
    result = dg.materialize(
        [*build_lifecycle_assets(DECLARATION), *build_lifecycle_checks(DECLARATION)],
        selection=dg.AssetSelection.assets(*(["returns", step] for step in steps or STEPS)),
        resources={"home": home, "span": Span()},
        instance=instance,
    )
    assert result.success
    found = {}
    for step in steps or STEPS:
        (event,) = result.asset_materializations_for_node(f"returns__{step}")
        found[step] = {name: one.value for name, one in event.metadata.items()}
    return found


def label_age(instance: dg.DagsterInstance, home: Home) -> float:
    key = dg.AssetCheckKey(dg.AssetKey(["returns", "candidate"]), NEEDS_NO_RETRAINING)
    result = dg.materialize(
        [*build_lifecycle_assets(DECLARATION), *build_lifecycle_checks(DECLARATION)],
        selection=dg.AssetSelection.checks(key),
        resources={"home": home, "span": Span()},
        instance=instance,
    )
    (evaluation,) = result.get_asset_check_evaluations()
    return float(evaluation.metadata["label_age"].value)


def days_since(home: Home, version: Version) -> float:
    """From the newest label that a version has learned to the newest that is known."""
    known = home.lake.open().read("trn_returns", ["outcome_known_at"])["outcome_known_at"].to_pandas().dropna()
    learned = known[known <= np.datetime64(version.trained_through.replace(tzinfo=None))].max()
    return (known.max() - learned) / timedelta(days=1)


def test_each_figure_is_what_its_name_says(instance: dg.DagsterInstance, home: Home) -> None:
    land(home, 100)
    first = made(instance, home)
    land(home, 103)
    then = made(instance, home, "predictions")["predictions"]

    assert first["predictions"]["answered_now"] == first["predictions"]["dagster/row_count"] > 0
    answered = home.lake.read_predictions("returns").num_rows
    assert then["dagster/row_count"] == answered
    assert then["answered_now"] == answered - first["predictions"]["answered_now"] > 0
    assert then["skewed_rows"] == 0
    version = home.registry.versions("returns")[0]
    assert first["candidate"]["training_rows"] == version.training_rows
    assert (first["candidate"]["version"], first["evaluation"]["version"], first["champion"]["champion_version"]) == (
        1,
    ) * 3


def test_after_a_way_back_the_age_of_the_labels_is_that_of_the_champion(
    instance: dg.DagsterInstance, home: Home
) -> None:
    land(home, 100)
    made(instance, home, "candidate", "evaluation", "champion")
    land(home, 107)
    made(instance, home, "candidate", "evaluation", "champion")
    first, second = home.registry.versions("returns")
    assert home.registry.champion("returns") == second
    assert label_age(instance, home) == pytest.approx(days_since(home, second)) == 0

    lifecycle.rollback(home.lake, home.registry, home.decision_log, DECLARATION, now=home.now, reason="it was worse")

    assert label_age(instance, home) == pytest.approx(days_since(home, first), abs=0.01)
    assert days_since(home, first) > 6
