"""One declared model as four assets: candidate -> evaluation -> champion -> predictions.

What belongs here: asking `ml_assets` and reporting what it answered. What does not: how a model is trained or judged,
or when to retrain.
"""

from typing import Any

import dagster as dg

from dagster_defs.assets.answers import answer_landing
from dagster_defs.assets.backfill import Span
from dagster_defs.assets.conditions import candidate_condition, champion_condition, following_condition
from dagster_defs.assets.costs import metered
from dagster_defs.assets.freshness import freshness
from dagster_defs.assets.priorities import SCORING_PRIORITY, priority_tags
from dagster_defs.assets.retries import tried_again
from dagster_defs.presentation import interval_markdown, reasons_markdown, sparkline_markdown
from dagster_defs.resources import Home
from ml_assets import lifecycle
from ml_assets.deciding.reasons import Reason
from ml_assets.declaration.reader import ModelDeclaration
from ml_assets.errors import PerennialError
from ml_assets.observing.incidents import tell_of_answers, tell_of_no_answers
from ml_assets.observing.skew import count_skew

TRAINING_POOL = "training"


def _no_version_yet(context: dg.AssetExecutionContext, why: str) -> dg.MaterializeResult:
    """What a step of a model that nothing can be learned for yet comes to: it waits, and fails nobody's run."""
    context.log.info(why)
    return dg.MaterializeResult(metadata={"status": "no version yet", "reason": why})


def build_lifecycle_assets(declaration: ModelDeclaration) -> list[Any]:
    """The assets of one model, generated from its declaration alone."""
    model = declaration.name
    common: dict[str, Any] = {"group_name": model, "owners": [declaration.owner.email], "tags": {"model": model}}

    @dg.asset(
        key=[model, "candidate"],
        deps=[dg.AssetKey([declaration.training_set])],
        description=f"{declaration.title}: trained on every label known so far, with a twin that has not seen the"
        " window it is judged on.",
        kinds={"python", "scikitlearn", "mlflow"},
        code_version=declaration.fingerprint[:12],
        pool=TRAINING_POOL,
        freshness_policy=freshness(declaration.retraining.max_label_age),
        automation_condition=candidate_condition(),
        **common,
    )
    @tried_again
    @metered(rows="training_rows")
    def candidate(context: dg.AssetExecutionContext, home: Home) -> dg.MaterializeResult:
        if waits := lifecycle.why_not_yet(home.lake, home.registry, declaration):
            return _no_version_yet(context, waits)
        result = lifecycle.make_candidate(
            home.lake,
            home.registry,
            declaration,
            lock_hash=home.lock_hash,
            progress=lambda what, done, of: context.log.info(f"{what} {done}/{of}"),
        )
        version = result.version
        return dg.MaterializeResult(
            metadata={
                "version": version.version,
                "fitted_now": result.is_new,
                "training_rows": version.training_rows,
                "trained_through": dg.MetadataValue.text(str(version.trained_through)),
                "model_sha256": version.sha256,
                "training_hash": version.training_hash,
                **{name: float(value) for name, value in version.metrics.items()},
            },
            data_version=dg.DataVersion(version.sha256),
        )

    @dg.asset(
        key=[model, "evaluation"],
        deps=[candidate],
        description=f"The newest version of {model} against its champion and its baselines, on a window that neither"
        " has seen.",
        kinds={"python", "parquet"},
        automation_condition=following_condition(),
        **common,
    )
    @tried_again
    @metered()
    def evaluation(context: dg.AssetExecutionContext, home: Home) -> dg.MaterializeResult:
        if waits := lifecycle.why_not_yet(home.lake, home.registry, declaration):
            return _no_version_yet(context, waits)
        version = home.registry.versions(model)[-1]
        lifecycle.evaluate_candidate(home.lake, home.registry, declaration, version, now=home.now)
        scores = home.lake.read_evaluations(model).to_pandas()
        scores = scores[(scores["version"] == version.version) & (scores["slice_name"] == "overall")]
        metric = scores[scores["metric"] == declaration.evaluation.metric].set_index("subject")
        return dg.MaterializeResult(
            metadata={
                "version": version.version,
                declaration.evaluation.metric: dg.MetadataValue.md(interval_markdown(metric)),
                **{
                    f"candidate_{row.metric}": float(row.value)
                    for row in scores[scores["subject"] == "candidate"].itertuples()
                },
            }
        )

    @dg.asset(
        key=[model, "champion"],
        deps=[evaluation],
        description=f"The version of {model} that predicts: it changes only if every declared gate holds, and every"
        " decision is logged.",
        kinds={"python", "mlflow"},
        automation_condition=champion_condition(),
        **common,
    )
    @tried_again
    @metered()
    def champion(context: dg.AssetExecutionContext, home: Home) -> dg.MaterializeResult:
        if waits := lifecycle.why_not_yet(home.lake, home.registry, declaration):
            return _no_version_yet(context, waits)
        watched = lifecycle.watch_champion(home.lake, home.registry, declaration)
        if watched and watched.verdict == "roll_back":
            back = lifecycle.rollback(
                home.lake, home.registry, home.decision_log, declaration, now=home.now, reason=watched.reason.text
            )
            context.log.info(f"{model}: {watched.reason.text}")
            return dg.MaterializeResult(
                metadata=rollback_metadata(back), data_version=dg.DataVersion(back.champion.sha256)
            )
        result = lifecycle.decide_on_champion(home.lake, home.registry, home.decision_log, declaration, now=home.now)
        version = result.logged.version if result.logged else result.champion.version if result.champion else None
        context.log.info(f"{model} version {version}: {result.decision.verdict}")
        return dg.MaterializeResult(
            metadata={
                "verdict": result.decision.verdict,
                "decided_now": result.is_new,
                "champion_version": result.champion.version if result.champion else 0,
                "reasons": dg.MetadataValue.md(reasons_markdown(result.decision.reasons)),
            },
            data_version=dg.DataVersion(result.champion.sha256 if result.champion else "none"),
        )

    @dg.asset(
        key=[model, "predictions"],
        deps=[champion, dg.AssetKey([declaration.training_set])],
        description=f"What {model} says of each decision that has fallen due; a decision once predicted keeps its"
        " prediction.",
        kinds={"python", "parquet"},
        op_tags=priority_tags(SCORING_PRIORITY),
        freshness_policy=freshness(declaration.service.late_after),
        **common,
    )
    @tried_again
    @metered(rows="answered_now")
    def predictions(context: dg.AssetExecutionContext, home: Home, span: Span) -> dg.MaterializeResult:
        try:
            report = lifecycle.score_due(home.lake, home.registry, declaration)
        except PerennialError as error:
            tell_of_no_answers(home.alerts, model, str(error), now=home.now())
            raise
        tell_of_answers(home.alerts, report, now=home.now())
        shadow = lifecycle.score_in_shadow(home.lake, home.registry, home.decision_log, declaration)
        if shadow and shadow.problem:
            context.log.warning(f"{model}: version {shadow.version} cannot answer in shadow: {shadow.problem}")
        moments = span.moments()
        past = (
            lifecycle.score_past(home.lake, home.registry, declaration, start=moments[0], end=moments[1])
            if moments
            else None
        )
        is_answered = report.status != "no_champion"
        waited = answer_landing(home, declaration, declaration.training_set) if is_answered else None
        skew = count_skew(home.lake, home.registry, declaration) if is_answered else None
        if skew and skew.differing:
            context.log.warning(f"{model}: {skew.text}")
        dates = home.lake.prediction_dates(model)
        recent = home.lake.read_predictions(model, dates=dates[-28:]).to_pandas() if dates else None
        daily = recent.groupby(recent["decision_at"].dt.date)["prediction"].mean() if recent is not None else None
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": sum(home.lake.prediction_rows_by_date(model).values()),
                "answered_now": report.rows,
                "written_bytes": sum(file.stat().st_size for file in report.files),
                "status": report.status,
                "reason": report.reason or "",
                **({"version_in_shadow": shadow.version, "answered_in_shadow": shadow.rows} if shadow else {}),
                **({"answered_after_the_fact": past.rows, "unanswered": past.reason or "none"} if past else {}),
                "marked_rows": report.marked_rows,
                **({"skewed_rows": skew.differing, "skew": skew.text} if skew else {}),
                "scored_as_of": dg.MetadataValue.text(str(report.as_of)),
                **({"seconds_since_landing": waited.total_seconds()} if waited is not None else {}),
                **(
                    {"mean_by_day": dg.MetadataValue.md(sparkline_markdown(daily.tolist()))}
                    if daily is not None
                    else {}
                ),
            }
        )

    return [candidate, evaluation, champion, predictions]


def rollback_metadata(back: lifecycle.RollbackResult) -> dict[str, Any]:
    """What the champion's asset says after a way back, by itself or by a person's command."""
    return {
        "verdict": "rolled_back",
        "champion_version": back.champion.version,
        "reasons": dg.MetadataValue.md(reasons_markdown([Reason(**reason) for reason in back.logged.reasons])),
    }
