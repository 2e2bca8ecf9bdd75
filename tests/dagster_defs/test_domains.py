"""Two domains in Dagster's graph: each is a step of its own, and nothing of one waits for anything of the other."""

from __future__ import annotations

import shutil

import dagster as dg
import pytest
from shop_domain import add_shop

from dagster_defs.assets.warehouse import DOOR
from dagster_defs.definitions import build_definitions
from dagster_defs.settings import PROJECT_ROOT, Settings

MODELS = {"flights": {"late_arrival", "arrival_delay"}, "shop": {"returned"}}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    folder = tmp_path_factory.mktemp("two")
    project = folder / "dbt_project"
    shutil.copytree(PROJECT_ROOT / "dbt_project", project, ignore=shutil.ignore_patterns("target", "logs", ".*"))
    return build_definitions(Settings(home=folder / "home", dbt_project=add_shop(project)).prepared())


def keys_by_step(definitions: dg.Definitions) -> dict[str, set[str]]:
    return {
        asset.op.name: {key.to_user_string() for key in asset.keys}
        for asset in definitions.assets or ()
        if isinstance(asset, dg.AssetsDefinition) and asset.op.name.startswith("dbt")
    }


def test_each_domain_is_a_step_of_its_own_behind_the_door(two: dg.Definitions) -> None:
    steps = keys_by_step(two)

    assert steps.keys() == {"dbt", "dbt_flights", "dbt_households", "dbt_shop"}
    assert DOOR.to_user_string() in steps["dbt"]
    assert {"trn_late_arrival", "mon_flights__performance", "airport_overrides"} <= steps["dbt_flights"]
    assert {"trn_returned", "mon_shop__performance", "int_shop__intake"} <= steps["dbt_shop"]
    assert not [key for key in steps["dbt"] if any(name in key for name in ("flights", "households", "shop"))]


@pytest.mark.parametrize(("domain", "other"), [("flights", "shop"), ("shop", "flights")])
def test_nothing_of_a_domain_waits_for_anything_of_another(two: dg.Definitions, domain: str, other: str) -> None:
    steps = keys_by_step(two)
    parents = {
        spec.key.to_user_string(): {dep.asset_key.to_user_string() for dep in spec.deps}
        for spec in two.resolve_all_asset_specs()
    }
    ours = steps[f"dbt_{domain}"] | {f"{model}/predictions" for model in MODELS[domain]}
    theirs = steps[f"dbt_{other}"] | {key for key in parents if key.split("/")[0] in MODELS[other]}

    waits_for, open_keys = set(), list(ours)
    while open_keys:
        new = parents.get(open_keys.pop(), set()) - waits_for
        waits_for |= new
        open_keys += new

    assert {f"{model}/predictions" for model in MODELS[domain]} <= waits_for
    assert not waits_for & theirs
