"""Whether a new candidate is worth its cost, asked and logged.

What belongs here: the verb. What does not: the decision (`deciding/retraining.py`), its evidence
(`observing/health.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from ml_assets.deciding.log import DecisionLog, LoggedDecision
from ml_assets.deciding.retraining import HealthEvidence, HealthWindow, RetrainingDecision, decide_retraining
from ml_assets.deciding.shadow import challenger_in_shadow
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.judging.judge import Clock
from ml_assets.lake.ledger import Spending
from ml_assets.lake.snapshot import Lake
from ml_assets.lifecycle.candidates import TRAINING_COST
from ml_assets.moments import later, text_of
from ml_assets.observing.health import gather_health
from ml_assets.registry.registry import Registry


@dataclass(frozen=True)
class RetrainingResult:
    """The decision, what it rests on, and its line in the log if it says something new."""

    decision: RetrainingDecision
    evidence: HealthEvidence
    logged: LoggedDecision | None


def decide_on_retraining(
    lake: Lake,
    registry: Registry,
    log: DecisionLog,
    declaration: ModelDeclaration,
    *,
    lock_hash: str,
    now: Clock,
    failed_checks: Sequence[str] = (),
    spending: Spending | None = None,
) -> RetrainingResult:
    """Decides whether a new candidate is worth its cost, and logs the verdict when it is another than the last one.

    Raises:
        LakeError: if the training set is not published.
    """
    challenger = challenger_in_shadow(registry, log, declaration)
    evidence = gather_health(
        lake.open(),
        registry,
        declaration,
        lock_hash=lock_hash,
        failed_checks=failed_checks,
        spent_cpu_seconds=partial(_training_cost, registry, declaration.name),
        spending=spending,
    )
    if challenger and declaration.gates.shadow:
        until = later(challenger.as_of, 2 * declaration.gates.shadow)  # one that never ends holds nothing back for good
        evidence = replace(evidence, in_shadow=challenger.version, shadow_until=until)
    decision = decide_retraining(evidence, declaration.retraining)
    if not _is_news(log, evidence, decision):
        return RetrainingResult(decision, evidence, None)
    logged = log.append(
        decided_at=now(),
        as_of=evidence.as_of,
        model=declaration.name,
        kind="retraining",
        verdict=decision.verdict,
        version=evidence.champion_version,
        previous_version=evidence.newest_version,
        reasons=[asdict(reason) for reason in decision.reasons],
        evidence={"windows": [_plain_window(window) for window in evidence.windows]},
    )
    return RetrainingResult(decision, evidence, logged)


def _is_news(log: DecisionLog, evidence: HealthEvidence, decision: RetrainingDecision) -> bool:
    """Every training that is asked for is news; that one is held back, or no longer needed, is news once."""
    lines = [one for one in log.read() if (one.model, one.kind) == (evidence.model, "retraining")]
    last = lines[-1] if lines and lines[-1].previous_version == evidence.newest_version else None
    if decision.verdict == "retrain":
        return last is None or (last.verdict, last.as_of) != ("retrain", text_of(evidence.as_of))
    if decision.verdict == "held_back":
        return last is None or last.verdict != "held_back"
    return last is not None and last.verdict == "held_back"


def _training_cost(registry: Registry, model: str, since: datetime) -> float:
    return sum(version.metrics.get(TRAINING_COST, 0.0) for version in registry.versions(model) if version.as_of > since)


def _plain_window(window: HealthWindow) -> dict[str, Any]:
    return {
        name: text_of(value) if isinstance(value, datetime) else round(value, 6) if isinstance(value, float) else value
        for name, value in asdict(window).items()
    }
