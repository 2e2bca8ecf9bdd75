"""dbt's models and tests as assets and checks.

What belongs here: how a dbt project looks in Dagster. What does not: what its models mean; nothing here knows a
table's name, but for the door, and for the sources of the lake, which stand for what the models' lifecycle writes.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject, dbt_assets

from dagster_defs.assets.backfill import Span, backfill_arguments
from dagster_defs.assets.costs import dbt_works_for
from dagster_defs.assets.freshness import freshness
from dagster_defs.assets.retries import SECONDS_BETWEEN_DBT, trying_again
from dagster_defs.dbt import Dbt
from dagster_defs.levels import LAKE_SOURCE, LAKE_TABLES, LAST_STEP
from dagster_defs.resources import Home
from dagster_defs.settings import Settings
from ml_assets.declaration.domains import CORE, DomainTables, domain_of, is_landing
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.lake.snapshot import Lake, Part

WAREHOUSE_POOL = "warehouse"
# The table that looks at every file which has landed.
DOOR = dg.AssetKey(["stg_landing__files"])


class Translator(DagsterDbtTranslator):
    """dbt nodes as assets, with their dbt groups and owners; the lake's sources are the assets that write them."""

    def __init__(self, models: Mapping[str, str], levels: Mapping[str, timedelta]) -> None:
        """`models`: the domain of each declared model, by name."""
        super().__init__(
            settings=DagsterDbtTranslatorSettings(enable_code_references=True, enable_source_tests_as_checks=False)
        )
        self._models = dict(models)
        self._levels = levels

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        spec = super().get_asset_spec(manifest, unique_id, project)
        deps: list[dg.AssetDep] = []
        for dep in spec.deps:
            path = dep.asset_key.path
            lake, _, domain = path[0].partition("_")
            if lake != LAKE_SOURCE or path[-1] not in LAKE_TABLES:
                deps.append(dep)
                continue
            written_by = LAKE_TABLES[path[-1]]
            steps = dict.fromkeys((written_by, LAST_STEP)) if written_by else ()
            writers = [model for model, of in self._models.items() if domain in ("", of)]
            deps += [dg.AssetDep(dg.AssetKey([model, step])) for model in writers for step in steps]
        props = self.get_resource_props(manifest, unique_id)
        if props["resource_type"] == "seed" and domain_of(props) != CORE:
            # It stands on nothing; behind the door it is made with the rest of its domain, in one start of dbt.
            deps.append(dg.AssetDep(DOOR))
        return spec.replace_attributes(
            deps=deps,
            kinds={"dbt", "duckdb"} if props["resource_type"] != "source" else {"csv"},
            freshness_policy=freshness(self._levels.get(unique_id)),
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


def build_dbt_assets(
    settings: Settings, manifest: Path, declarations: Mapping[str, ModelDeclaration], levels: Mapping[str, timedelta]
) -> list[dg.AssetsDefinition]:
    """One asset a dbt model, one check a test; one dbt invocation of a domain for each stretch between Python assets.

    The domains are steps of their own, `dbt_<domain>`, behind the core's `dbt`: what fails in one holds up no other.

    Args:
        levels: after how long each node is late, by its unique id.
    """
    folders = _folders_by_domain(json.loads(manifest.read_text()))
    of_domains = [folder for found in folders.values() for folder in found]
    translator = Translator({name: one.domain.name for name, one in declarations.items()}, levels)
    return [
        _build_dbt_step(settings, manifest, translator, "dbt", exclude=" ".join(of_domains) or None),
        *(
            _build_dbt_step(
                settings,
                manifest,
                translator,
                f"dbt_{domain}",
                select=" ".join(found),
                reading=DomainTables(domain).intake,
                answering={one.training_set for one in declarations.values() if one.domain.name == domain},
            )
            for domain, found in folders.items()
        ),
    ]


def _folders_by_domain(manifest: Mapping[str, Any]) -> dict[str, list[str]]:
    """The folders of each domain in the layers, as dbt selects them."""
    folders: dict[str, set[str]] = {}
    for node in manifest["nodes"].values():
        domain = domain_of(node)
        if domain != CORE and node["resource_type"] in ("model", "seed", "snapshot"):
            depth = 2 if node["resource_type"] == "seed" else 3
            folders.setdefault(domain, set()).add(f"fqn:{'.'.join(node['fqn'][:depth])}")
    return {domain: sorted(found) for domain, found in sorted(folders.items())}


def _build_dbt_step(
    settings: Settings,
    manifest: Path,
    translator: Translator,
    name: str,
    *,
    select: str = "fqn:*",
    exclude: str | None = None,
    reading: str | None = None,
    answering: Collection[str] = (),
) -> dg.AssetsDefinition:
    """The assets that dbt makes under one name.

    Args:
        reading: the table that takes in what the door let through; who makes it anew has read what had landed.
        answering: the tables among them which predictions are made from.
    """

    @dbt_assets(
        manifest=manifest,
        select=select,
        exclude=exclude,
        dagster_dbt_translator=translator,
        project=DbtProject(project_dir=settings.dbt_project, profiles_dir=settings.dbt_project),
        name=name,
        pool=WAREHOUSE_POOL,
    )
    def dbt_project_assets(context: dg.AssetExecutionContext, dbt: Dbt, home: Home, span: Span) -> Iterator[Any]:
        # Unit tests try the code, not the data: they run where the code changes, in `make test` and in a shell.
        began = home.now()
        made = context.selected_asset_keys
        anew = backfill_arguments(context, home, span)
        with trying_again(SECONDS_BETWEEN_DBT):
            with dbt_works_for(context, dbt, home):
                build = dbt.build(["--exclude-resource-type", "unit_test", *anew], context)
            yield from _as_published(build.events(context), home.lake)
            build.raise_if_failed()
        if DOOR in made:
            home.due.note_look(began)
        looked = home.due.last_look()
        if looked is not None and reading is not None and dg.AssetKey([reading]) in made:
            for table in answering:
                if dg.AssetKey([table]) in made:
                    home.due.note_reading(table, looked)

    return dbt_project_assets


def _as_published(events: Iterable[Any], lake: Lake) -> Iterator[Any]:
    """dbt's events, those of published tables with what the catalog says of them."""
    published: dict[str, list[Part]] = {}
    for part in lake.open().catalog:
        published.setdefault(part.table, []).append(part)
    for event in events:
        if not isinstance(event, dg.Output):
            yield event
            continue
        parts = published.get(str(event.metadata["unique_id"].value).split(".")[-1], [])
        yield event.with_metadata({**event.metadata, **_published_metadata(parts)}) if parts else event


def _published_metadata(parts: Sequence[Part]) -> dict[str, Any]:
    return {
        "dagster/row_count": sum(part.rows for part in parts),
        "published_parts": len(parts),
        "published_bytes": sum(part.bytes for part in parts),
        "newest_part": parts[-1].file,
    }


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
        if is_landing(source)
    ]
