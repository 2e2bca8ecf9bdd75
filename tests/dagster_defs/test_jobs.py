"""The jobs: what each makes, what it leaves out, and what a person reads of it."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from dagster_defs.assets.backtests import BACKTEST_JOB
from dagster_defs.assets.models import TRAINING_POOL
from dagster_defs.definitions import REFRESH_JOB, SCORE_JOB
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.declaration.reader import read_declarations
from tests.dagster_defs.test_definitions import STEPS, TRAINING_STEPS, checks_of, selected, specs_of


@pytest.fixture(scope="module")
def declarations(manifest: dict[str, Any]) -> dict[str, ModelDeclaration]:
    return read_declarations(manifest)


@pytest.fixture(scope="module")
def specs(definitions: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return specs_of(definitions)


def step_of_backtest(definitions: dg.Definitions, model: str) -> Any:
    (step,) = [op for op in definitions.resolve_job_def(BACKTEST_JOB).all_node_defs if op.name == f"backtest_{model}"]
    return step


def test_dbt_is_started_twice_before_a_model_and_twice_after_it(definitions: dg.Definitions) -> None:
    """The door, then the domain; what models wrote, then the domain's own: each start costs seconds."""
    steps = [node for node in definitions.resolve_job_def(SCORE_JOB).graph.node_names() if node.startswith("dbt")]

    domains = ("flights", "households")
    assert sorted(steps) == sorted(
        ["dbt", "dbt_2", *(f"dbt_{name}{again}" for name in domains for again in ("", "_2"))]
    )


def test_refresh_makes_everything_but_what_comes_from_outside_and_backtests(
    definitions: dg.Definitions, specs: dict[str, dg.AssetSpec], declarations: dict[str, ModelDeclaration]
) -> None:
    landing = {key for key, spec in specs.items() if spec.group_name == "landing"}

    assert selected(definitions, REFRESH_JOB) == specs.keys() - landing - {f"{name}/backtest" for name in declarations}


def test_nothing_that_can_be_materialised_in_the_ui_is_a_backtest(
    definitions: dg.Definitions, declarations: dict[str, ModelDeclaration]
) -> None:
    graph = definitions.resolve_asset_graph()

    for name in declarations:
        node = graph.get(dg.AssetKey([name, "backtest"]))
        assert not node.is_materializable
        assert node.is_external


def test_each_model_has_a_group_of_its_own(
    specs: dict[str, dg.AssetSpec], declarations: dict[str, ModelDeclaration]
) -> None:
    for name in declarations:
        assert {key for key, spec in specs.items() if spec.group_name == name} == {
            f"{name}/{step}" for step in (*STEPS, "backtest")
        }


def test_every_job_says_in_a_line_what_it_does(definitions: dg.Definitions) -> None:
    jobs = [job for job in definitions.resolve_all_job_defs() if not job.name.startswith("__")]

    assert len(jobs) == 5
    assert {job.name for job in jobs if not job.description or "\n" in job.description} == set()


def test_every_check_of_a_model_says_in_a_line_what_it_asks(definitions: dg.Definitions) -> None:
    own = {
        check.name: check.description
        for check in checks_of(definitions).values()
        if "/" in check.asset_key.to_user_string()
    }

    assert len(own) == 3
    assert {name for name, description in own.items() if not description or "\n" in description} == set()


def test_score_is_refresh_without_training(
    definitions: dg.Definitions, declarations: dict[str, ModelDeclaration]
) -> None:
    training = {f"{name}/{step}" for name in declarations for step in TRAINING_STEPS}

    assert selected(definitions, REFRESH_JOB) - selected(definitions, SCORE_JOB) == training


def test_one_backtest_at_a_time_trains(definitions: dg.Definitions, declarations: dict[str, ModelDeclaration]) -> None:
    assert {step_of_backtest(definitions, name).pool for name in declarations} == {TRAINING_POOL}
