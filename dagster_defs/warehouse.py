"""dbt's models and tests as assets and checks.

What belongs here: how a dbt project looks in Dagster. What does not: what its models mean; nothing here knows a table's name, but for the
sources of the lake, which stand for what the models' lifecycle writes.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtCliResource, DbtProject, dbt_assets

from dagster_defs.manifest import dbt_environment, dbt_executable
from dagster_defs.settings import Settings

WAREHOUSE_POOL = "warehouse"
LAKE_SOURCE = "lake"
# A table of the source `lake` stands for this asset of every declared model.
LAKE_TABLES = {"predictions": "predictions", "evaluations": "evaluation", "decisions": "champion"}


class Translator(DagsterDbtTranslator):
    """dbt nodes as assets: grouped by dbt group, owned by its owner, the lake's sources replaced by the assets that write them."""

    def __init__(self, models: Sequence[str]) -> None:
        super().__init__(
            settings=DagsterDbtTranslatorSettings(enable_code_references=True, enable_source_tests_as_checks=False)
        )
        self._models = tuple(models)

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        spec = super().get_asset_spec(manifest, unique_id, project)
        deps: list[dg.AssetDep] = []
        for dep in spec.deps:
            path = dep.asset_key.path
            if path[0] == LAKE_SOURCE and path[-1] in LAKE_TABLES:
                deps += [dg.AssetDep(dg.AssetKey([model, LAKE_TABLES[path[-1]]])) for model in self._models]
            else:
                deps.append(dep)
        props = self.get_resource_props(manifest, unique_id)
        return spec.replace_attributes(
            deps=deps,
            kinds={"dbt", "duckdb"} if props["resource_type"] != "source" else {"csv"},
        )

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        group = dbt_resource_props.get("group") or dbt_resource_props.get("config", {}).get("group")
        return group or ("landing" if dbt_resource_props["resource_type"] == "source" else "ingestion")

    def get_asset_check_spec(
        self, asset_spec: dg.AssetSpec, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetCheckSpec | None:
        """A test of severity error blocks what is downstream; a warning is shown and blocks nothing."""
        check = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        if check is None:
            return None
        severity = self.get_resource_props(manifest, unique_id).get("config", {}).get("severity", "error")
        return check._replace(blocking=str(severity).lower() == "error")


def build_dbt_assets(settings: Settings, manifest: Path, models: Sequence[str]) -> dg.AssetsDefinition:
    """One asset a dbt model, one check a test; a run builds what was selected, in one dbt invocation for each stretch between Python assets."""

    @dbt_assets(
        manifest=manifest,
        dagster_dbt_translator=Translator(models),
        project=DbtProject(project_dir=settings.dbt_project, profiles_dir=settings.dbt_project),
        name="dbt",
        pool=WAREHOUSE_POOL,
    )
    def dbt_project_assets(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
        yield from dbt.cli(["build"], context=context).stream()

    return dbt_project_assets


def build_dbt_resource(settings: Settings) -> DbtCliResource:
    return DbtCliResource(
        project_dir=str(settings.dbt_project),
        profiles_dir=str(settings.dbt_project),
        dbt_executable=dbt_executable(),
        target=settings.dbt_target,
    )


def landing_sources(manifest: Mapping[str, Any]) -> list[dg.AssetSpec]:
    """The landing tables that dbt declares, as assets that something outside writes."""
    return [
        dg.AssetSpec(
            key=dg.AssetKey([source["source_name"], source["name"]]),
            description=source["description"],
            group_name="landing",
            kinds={"csv"},
            metadata={"loader": source.get("loader") or "unknown"},
        )
        for source in manifest["sources"].values()
        if source["source_name"] != LAKE_SOURCE
    ]


__all__ = ["WAREHOUSE_POOL", "Translator", "build_dbt_assets", "build_dbt_resource", "dbt_environment", "landing_sources"]
