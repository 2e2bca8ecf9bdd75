"""The one place that assembles: settings in, Dagster definitions out."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

import dagster as dg

from dagster_defs.assets.backfill import Span, build_backfill_job
from dagster_defs.assets.backtests import build_backtest_job, build_backtest_specs
from dagster_defs.assets.checks import build_lifecycle_checks, check_keys
from dagster_defs.assets.costs import build_budget_check
from dagster_defs.assets.models import build_lifecycle_assets
from dagster_defs.assets.priorities import SCORING_PRIORITY, TRAINING_PRIORITY, priority_tags
from dagster_defs.assets.warehouse import build_dbt_assets, landing_sources
from dagster_defs.automation.abandoned import build_abandoned_sensor
from dagster_defs.automation.bad_day import build_failure_sensors, build_fallback_job, build_late_sensor
from dagster_defs.automation.landing import build_landing_sensor
from dagster_defs.automation.lateness import build_service_sensor
from dagster_defs.automation.lifecycle import build_automation_sensor
from dagster_defs.dbt import build_dbt
from dagster_defs.manifest import manifest_path
from dagster_defs.resources import build_home
from dagster_defs.settings import Settings
from ml_assets.declaration.domains import landing_domains
from ml_assets.declaration.levels import read_levels
from ml_assets.declaration.reader import read_declarations
from ml_assets.fitting.estimators import why_not_built
from ml_assets.observing.incidents import allowed_silence

REFRESH_JOB = "refresh"
SCORE_JOB = "score"


def build_definitions(settings: Settings, models: Sequence[str] | None = None) -> dg.Definitions:
    """Everything that Dagster loads, for one home.

    Args:
        models: only these declared models; all, if nothing is said.

    Raises:
        DeclarationError: with every mistake in every declaration of a model, or in the levels of tables.
        PerennialError: if dbt cannot parse the project.
    """
    os.environ["PERENNIAL_HOME"] = str(settings.home)  # for the dbt processes that Dagster starts
    path = manifest_path(settings)
    manifest = json.loads(path.read_text())
    declarations = {
        name: one
        for name, one in read_declarations(manifest, try_out=why_not_built).items()
        if models is None or name in models
    }
    levels = read_levels(manifest)
    lifecycles = [asset for declaration in declarations.values() for asset in build_lifecycle_assets(declaration)]
    backtests = build_backtest_specs(declarations)
    steps = ("candidate", "evaluation", "champion")
    training = dg.AssetSelection.assets(*[[name, step] for name in declarations for step in steps])
    everything = dg.AssetSelection.all()
    checks = dg.AssetSelection.checks(*check_keys(tuple(declarations)))
    refresh = dg.define_asset_job(
        REFRESH_JOB,
        selection=everything,
        description="Raw files to predictions and what watches them, with a new candidate for each model.",
        executor_def=dg.in_process_executor,
        tags=priority_tags(TRAINING_PRIORITY),
    )
    score = dg.define_asset_job(
        SCORE_JOB,
        selection=(everything - training) | checks,
        description="The same without training: what is due is scored by the champions that stand.",
        executor_def=dg.in_process_executor,
        tags=priority_tags(SCORING_PRIORITY),
    )
    fallback = build_fallback_job(declarations)
    assets: list[dg.AssetSpec | dg.AssetsDefinition] = [
        *landing_sources(manifest),
        *build_dbt_assets(settings, path, declarations, levels),
        *lifecycles,
        *backtests,
    ]
    specs = [spec for asset in assets for spec in ([asset] if isinstance(asset, dg.AssetSpec) else asset.specs)]
    return dg.Definitions(
        assets=assets,
        asset_checks=[
            build_budget_check(),
            *(check for one in declarations.values() for check in build_lifecycle_checks(one)),
        ],
        jobs=[
            refresh,
            score,
            fallback,
            build_backfill_job(everything - training),
            build_backtest_job(declarations),
        ],
        sensors=[
            build_landing_sensor(settings.landing, SCORE_JOB, (SCORE_JOB, REFRESH_JOB)),
            build_automation_sensor(tuple(declarations)),
            *build_failure_sensors(fallback, [refresh, score]),
            build_service_sensor(specs, declarations),
            build_late_sensor(landing_domains(manifest), allowed_silence(manifest)),
            build_abandoned_sensor(),
        ],
        executor=dg.in_process_executor,
        resources={
            "dbt": build_dbt(settings),
            "home": build_home(settings),
            "span": Span.configure_at_launch(),
        },
    )
