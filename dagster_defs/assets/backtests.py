"""The rolling-origin backtest of each model: a job that is asked for by hand, since it fits the model once an origin.

What belongs here: the job, and the asset that shows its figures. What does not: backtesting
(`ml_assets.judging.backtesting`).

The asset is one that nothing in the graph makes: the UI's "Materialize all" passes it by, and so does every job but
this one.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import dagster as dg

from dagster_defs.assets.costs import job_name
from dagster_defs.assets.models import TRAINING_POOL
from dagster_defs.assets.priorities import BACKFILL_PRIORITY, priority_tags
from dagster_defs.presentation import scores_markdown
from dagster_defs.resources import Home
from ml_assets import lifecycle
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.judging.backtesting import Backtest
from ml_assets.judging.evaluation import overall_scores

BACKTEST_JOB = "backtest"
EVERY = timedelta(days=7)


def backtest_key(model: str) -> dg.AssetKey:
    return dg.AssetKey([model, "backtest"])


def build_backtest_specs(declarations: Mapping[str, ModelDeclaration]) -> list[dg.AssetSpec]:
    """What shows the newest backtest of each model."""
    return [
        dg.AssetSpec(
            backtest_key(name),
            deps=[dg.AssetKey([declaration.training_set])],
            group_name=name,
            owners=[declaration.owner.email],
            description=f"{declaration.title} as it would have done, retrained every week on what was known, with its"
            f" baselines beside it. Made by the job {BACKTEST_JOB}, by hand.",
            kinds={"python", "scikitlearn"},
        )
        for name, declaration in declarations.items()
    ]


def build_backtest_job(declarations: Mapping[str, ModelDeclaration]) -> dg.JobDefinition:
    """A step a model; the launchpad takes some of them."""
    steps = [_backtest_step(declaration) for declaration in declarations.values()]

    @dg.job(
        name=BACKTEST_JOB,
        executor_def=dg.in_process_executor,
        tags=priority_tags(BACKFILL_PRIORITY),
        description="Retrains every model week by week over its past, and judges each on the week that followed.",
    )
    def backtest() -> None:
        for step in steps:
            step()

    return backtest


def _backtest_step(declaration: ModelDeclaration) -> dg.OpDefinition:
    @dg.op(
        name=f"backtest_{declaration.name}",
        pool=TRAINING_POOL,
        description=f"{declaration.title}, retrained every week on what was known.",
    )
    def backtest_model(context: dg.OpExecutionContext, home: Home) -> None:
        key = backtest_key(declaration.name)
        with home.ledger.metered(context.run_id, job_name(context), key.to_user_string()):
            result = lifecycle.run_backtest(
                home.lake,
                declaration,
                every=EVERY,
                progress=lambda what, done, of: context.log.info(f"{what} {done}/{of}"),
            )
        context.log_event(dg.AssetMaterialization(key, metadata=backtest_metadata(result)))

    return backtest_model


def backtest_metadata(result: Backtest) -> dict[str, Any]:
    """What the backtest's asset says, whoever asked for it."""
    scores = overall_scores(result.scores)
    return {
        "trainings": len(result.origins),
        "scores": dg.MetadataValue.md(scores_markdown(scores)),
        **{f"candidate_{metric}": value for metric, value in scores.get("candidate", {}).items()},
    }
