"""The questions that are asked of a model whenever its monitoring is up to date, as asset checks.

What belongs here: asking, and showing the answer. What does not: the decisions themselves (`ml_assets.deciding`), and
what a failed check requests (`conditions.py`).
"""

from collections.abc import Iterable, Sequence

import dagster as dg

from dagster_defs.presentation import reasons_markdown
from dagster_defs.resources import Home
from ml_assets import lifecycle
from ml_assets.deciding.reasons import Reason
from ml_assets.declaration.reader import ModelDeclaration
from ml_assets.errors import RegistryUnreachable

NEEDS_NO_RETRAINING = "needs_no_retraining"
BETTER_THAN_PREDECESSOR = "better_than_predecessor"
NO_CHALLENGER_WAITS = "no_challenger_waits"


def build_lifecycle_checks(declaration: ModelDeclaration) -> list[dg.AssetChecksDefinition]:
    """The questions that are asked of one model whenever its monitoring is up to date."""
    model = declaration.name
    tables = declaration.domain.tables
    watching = (tables.predictions, tables.feature_drift, tables.prediction_drift)
    monitoring = [dg.AssetKey([table]) for table in watching]

    @dg.asset_check(
        asset=dg.AssetKey([model, "candidate"]),
        name=NEEDS_NO_RETRAINING,
        additional_deps=monitoring,
        description=f"Fails if a new candidate of {model} is worth its cost by the declared policy; one is then made.",
    )
    def needs_no_retraining(context: dg.AssetCheckExecutionContext, home: Home) -> dg.AssetCheckResult:
        try:
            waits = lifecycle.why_not_yet(home.lake, home.registry, declaration)
            if waits:
                return dg.AssetCheckResult(passed=True, description=waits, metadata={"verdict": "no version yet"})
            result = lifecycle.decide_on_retraining(
                home.lake,
                home.registry,
                home.decision_log,
                declaration,
                lock_hash=home.lock_hash,
                now=home.now,
                failed_checks=home.failed_checks(),
                spending=home.spending(),
            )
        except RegistryUnreachable as error:
            return _cannot_be_asked(error)
        context.log.info(f"{model}: {result.decision.verdict}")
        return dg.AssetCheckResult(
            passed=result.decision.verdict != "retrain",
            severity=dg.AssetCheckSeverity.WARN,
            description="; ".join(reason.text for reason in result.decision.reasons if not reason.passed)
            or "No signal asks for a training.",
            metadata={
                "verdict": result.decision.verdict,
                "signals": list(result.decision.signals),
                **figures(result.decision.reasons),
                "reasons": dg.MetadataValue.md(reasons_markdown(result.decision.reasons)),
            },
        )

    @dg.asset_check(
        asset=dg.AssetKey([model, "champion"]),
        name=BETTER_THAN_PREDECESSOR,
        additional_deps=monitoring,
        description=f"Fails if the champion of {model} is surely worse than the one before it would have been.",
    )
    def better_than_predecessor(home: Home) -> dg.AssetCheckResult:
        return compare_with_predecessor(home, declaration)

    @dg.asset_check(
        asset=dg.AssetKey([model, "champion"]),
        name=NO_CHALLENGER_WAITS,
        additional_deps=monitoring,
        description=f"Fails once a challenger of {model} has served its time in shadow; it is then decided on.",
    )
    def no_challenger_waits(home: Home) -> dg.AssetCheckResult:
        return look_at_challenger(home, declaration)

    return [needs_no_retraining, better_than_predecessor, no_challenger_waits]


def compare_with_predecessor(home: Home, declaration: ModelDeclaration) -> dg.AssetCheckResult:
    """The answer of `better_than_predecessor` as of now."""
    try:
        decision = lifecycle.watch_champion(home.lake, home.registry, declaration)
    except RegistryUnreachable as error:
        return _cannot_be_asked(error)
    if decision is None:
        text = "There is no champion, or its declaration has no watch."
        return dg.AssetCheckResult(passed=True, description=text, metadata={"verdict": "not watched"})
    return dg.AssetCheckResult(
        passed=decision.verdict != "roll_back",
        severity=dg.AssetCheckSeverity.WARN,
        description=decision.reason.text,
        metadata={
            "verdict": decision.verdict,
            **figures([decision.reason]),
            "reasons": dg.MetadataValue.md(reasons_markdown([decision.reason])),
        },
    )


def look_at_challenger(home: Home, declaration: ModelDeclaration) -> dg.AssetCheckResult:
    """The answer of `no_challenger_waits` as of now."""
    try:
        decision = lifecycle.decide_on_shadow(home.lake, home.registry, home.decision_log, declaration, now=home.now)
    except RegistryUnreachable as error:
        return _cannot_be_asked(error)
    if decision is None:
        text = "No challenger is in shadow."
        return dg.AssetCheckResult(passed=True, description=text, metadata={"verdict": "no challenger is in shadow"})
    return dg.AssetCheckResult(
        passed=decision.verdict == "in_shadow",
        severity=dg.AssetCheckSeverity.WARN,
        description=decision.reasons[-1].text,
        metadata={
            "verdict": decision.verdict,
            **figures(decision.reasons),
            "reasons": dg.MetadataValue.md(reasons_markdown(decision.reasons)),
        },
    )


def figures(reasons: Iterable[Reason]) -> dict[str, float]:
    """Each reason's figure, and what it is held against, as numbers: the UI plots them over time."""
    found: dict[str, float] = {}
    for reason in reasons:
        if reason.figure is not None and reason.gate not in found:
            found[reason.gate] = float(reason.figure)
            if reason.threshold is not None:
                found[f"{reason.gate}_limit"] = float(reason.threshold)
    return found


def _cannot_be_asked(error: RegistryUnreachable) -> dg.AssetCheckResult:
    """No reason to request anything: a training would fail for the same reason, and scoring has opened an incident."""
    return dg.AssetCheckResult(
        passed=True,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"Cannot be asked: {error}",
        metadata={"verdict": "cannot be asked"},
    )


def check_keys(models: Sequence[str]) -> list[dg.AssetCheckKey]:
    """The keys of the checks of each model."""
    return [
        dg.AssetCheckKey(dg.AssetKey([model, step]), name)
        for model in models
        for step, name in (
            ("candidate", NEEDS_NO_RETRAINING),
            ("champion", BETTER_THAN_PREDECESSOR),
            ("champion", NO_CHALLENGER_WAITS),
        )
    ]
