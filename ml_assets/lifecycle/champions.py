"""Who answers: promotion, the time in shadow, and the way back.

What belongs here: the verbs that decide on a version and act on it. What does not: the decisions themselves
(`deciding/`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, cast

from ml_assets.deciding.log import DecisionLog, LoggedDecision
from ml_assets.deciding.promotion import Decision, Verdict, decide_promotion
from ml_assets.deciding.reasons import Reason
from ml_assets.deciding.rollback import WatchDecision, decide_rollback, gather_watch
from ml_assets.deciding.shadow import challenger_in_shadow
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.errors import ArtifactError, ChampionChanged, ColumnsMissing, LakeError, NoChampion, TrainingError
from ml_assets.judging.evaluation import OVERALL, overall_scores
from ml_assets.judging.evidence import Evidence, ShadowEvidence
from ml_assets.judging.judge import Clock
from ml_assets.lake.snapshot import Lake
from ml_assets.lifecycle.candidates import evaluate_candidate, watermark
from ml_assets.moments import in_utc, text_of
from ml_assets.observing.shadow import gather_shadow
from ml_assets.registry.registry import Registry
from ml_assets.registry.versions import Version


@dataclass(frozen=True)
class PromotionResult:
    """The decision, its line in the log (None for `kept`), whether that line is new, and who is champion after it."""

    decision: Decision
    logged: LoggedDecision | None
    is_new: bool
    champion: Version | None


@dataclass(frozen=True)
class RollbackResult:
    """Who is champion now, who was before, and the line in the log."""

    champion: Version
    previous: Version
    logged: LoggedDecision


def decide_and_promote(
    registry: Registry, log: DecisionLog, declaration: ModelDeclaration, evidence: Evidence, *, now: Clock
) -> PromotionResult:
    """Decides by the declared gates, logs the decision once, and moves the champion only if every gate holds.

    Raises:
        ChampionChanged: if the champion is another one since the evidence was gathered.
    """
    decision = decide_promotion(evidence, declaration.gates)
    champion = registry.champion(declaration.name)
    if decision.verdict == "kept":
        return PromotionResult(decision, None, False, champion)
    present = champion.version if champion else None
    if present != evidence.champion_version:
        raise ChampionChanged(
            f"{declaration.name}: version {evidence.version} was judged against champion {evidence.champion_version}, "
            f"but {present} is champion now; judge it again"
        )
    summary = _summary(evidence, declaration)
    logged = _logged_before(log, evidence, summary)
    if logged is not None and logged.verdict != decision.verdict:
        if logged.verdict == "in_shadow":
            logged = None
        else:  # outcomes that became known since may say something else, but what was decided is decided
            decision = Decision(cast(Verdict, logged.verdict), tuple(Reason(**reason) for reason in logged.reasons))
    is_new = logged is None
    if logged is None:
        logged = log.append(
            decided_at=now(),
            as_of=_decided_as_of(evidence),
            model=declaration.name,
            kind="promotion",
            verdict=decision.verdict,
            version=evidence.version,
            previous_version=evidence.champion_version,
            reasons=[asdict(reason) for reason in decision.reasons],
            evidence={**summary, **({"shadow": _plain_shadow(evidence.shadow)} if evidence.shadow else {})},
        )
    if decision.verdict == "promoted":  # after the line, so a crash between them is made good by the next call
        champion = registry.promote(declaration.name, evidence.version)
    return PromotionResult(decision, logged, is_new, champion)


def with_shadow(
    lake: Lake, registry: Registry, log: DecisionLog, declaration: ModelDeclaration, evidence: Evidence
) -> Evidence:
    """The evidence with what the version's time in shadow shows, or whose place it would take there."""
    challenger = challenger_in_shadow(registry, log, declaration)
    if challenger is None:
        return evidence
    if challenger.version != evidence.version:
        return replace(evidence, shadow=ShadowEvidence(evidence.as_of, timedelta(0), takes_place_of=challenger.version))
    return replace(evidence, shadow=gather_shadow(lake.open(), registry, declaration, challenger))


def decide_on_champion(
    lake: Lake, registry: Registry, log: DecisionLog, declaration: ModelDeclaration, *, now: Clock
) -> PromotionResult:
    """Judges the newest version and decides on it, as `decide_and_promote` does.

    A challenger that has served its time in shadow is decided on first, so that no newer one takes its place unheard.

    Raises:
        LakeError, ArtifactError, TrainingError, RegistryError
    """

    lake = lake.open()

    def decide_on(version: Version) -> PromotionResult:
        evidence = evaluate_candidate(lake, registry, declaration, version, now=now)
        evidence = with_shadow(lake, registry, log, declaration, evidence)
        return decide_and_promote(registry, log, declaration, evidence, now=now)

    newest = registry.versions(declaration.name)[-1]
    challenger = challenger_in_shadow(registry, log, declaration)
    served = None
    if challenger and challenger.version != newest.version:
        due = decide_on_shadow(lake, registry, log, declaration, now=now)
        served = decide_on(challenger) if due and due.verdict != "in_shadow" else None
    result = decide_on(newest)
    return served if served and not result.is_new else result


def decide_on_shadow(
    lake: Lake, registry: Registry, log: DecisionLog, declaration: ModelDeclaration, *, now: Clock
) -> Decision | None:
    """What would be decided now about the challenger in shadow, without acting on it; None if there is none.

    One that cannot be judged any more (beside another champion than before, say, while its file is broken) is not
    decided on: it stays where it is until another takes its place.
    """
    challenger = challenger_in_shadow(registry, log, declaration)
    if challenger is None:
        return None
    lake = lake.open()
    try:
        evidence = evaluate_candidate(lake, registry, declaration, challenger, now=now)
    except (ArtifactError, ColumnsMissing) as error:
        text = f"Version {challenger.version} cannot be judged any more: {error}"
        return Decision("in_shadow", (Reason("shadow", False, None, None, text),))
    return decide_promotion(with_shadow(lake, registry, log, declaration, evidence), declaration.gates)


def rollback(
    lake: Lake, registry: Registry, log: DecisionLog, declaration: ModelDeclaration, *, now: Clock, reason: str
) -> RollbackResult:
    """Puts the previous champion back; the present one is marked and does not return by itself.

    One that was cut short between its line in the log and the registry is finished, not logged again. It is dated with
    how far the data go now; without a date if the training set cannot be read, which is no reason to keep a champion.

    Raises:
        NoChampion: if there is no champion, or none before it.
    """
    model = declaration.name
    present, previous = registry.champion(model), registry.previous_champion(model)
    if present is None or previous is None:
        state = "has no champion yet" if present is None else f"has only had one champion, version {present.version}"
        raise NoChampion(f"{model}: {state}; there is nothing to go back to. Train and promote another version instead")
    registry.artifacts.verified_bytes(previous.sha256)  # one that cannot be read is no way back: before anything moves
    logged = _rollback_begun(log, model, previous, present) or log.append(
        decided_at=now(),
        as_of=_data_reach(lake, declaration),
        model=model,
        kind="rollback",
        verdict="rolled_back",
        version=previous.version,
        previous_version=present.version,
        reasons=[{"gate": "rollback", "passed": True, "figure": None, "threshold": None, "text": reason}],
        evidence={"from_sha256": present.sha256, "to_sha256": previous.sha256},
    )
    return RollbackResult(registry.roll_back(model, present.version), present, logged)


def _data_reach(lake: Lake, declaration: ModelDeclaration) -> datetime | None:
    try:
        return watermark(lake, declaration)
    except (LakeError, TrainingError, OSError):
        return None


def _rollback_begun(log: DecisionLog, model: str, previous: Version, present: Version) -> LoggedDecision | None:
    moves = [one for one in log.read() if one.model == model and one.verdict in ("promoted", "rolled_back")]
    last = moves[-1] if moves else None
    same = last and (last.kind, last.version, last.previous_version) == ("rollback", previous.version, present.version)
    return last if same else None


def watch_champion(lake: Lake, registry: Registry, declaration: ModelDeclaration) -> WatchDecision | None:
    """How the champion does beside the one it replaced; None if there is no champion or it is not watched."""
    watch = declaration.retraining.watch
    evidence = gather_watch(lake.open(), registry, declaration, watch) if watch else None
    return decide_rollback(evidence, watch) if evidence and watch else None


def _summary(evidence: Evidence, declaration: ModelDeclaration) -> dict[str, Any]:
    return {
        "declaration": declaration.whole_fingerprint,
        "rolled_back": evidence.rolled_back,
        "window_start": in_utc(evidence.window_start).isoformat(),
        "rows": evidence.rows,
        "champion_side": evidence.champion_side,
        "scores": overall_scores(evidence.scores),
        "comparisons": {
            one.against: [one.worse_by, one.low, one.high] for one in evidence.comparisons if one.slice_name == OVERALL
        },
    }


def _decided_as_of(evidence: Evidence) -> datetime:
    """How far the data went: to the version's training, or through its time in shadow."""
    shadow = evidence.shadow
    return max(evidence.as_of, shadow.since + shadow.served) if shadow else evidence.as_of


def _plain_shadow(shadow: ShadowEvidence) -> dict[str, Any]:
    found = asdict(shadow)
    moments = {name: text_of(moment) for name in ("since", "awaited") if (moment := found[name]) is not None}
    return {**found, **moments, "served": shadow.served / timedelta(days=1)}


def _logged_before(log: DecisionLog, evidence: Evidence, summary: dict[str, Any]) -> LoggedDecision | None:
    same = ("declaration", "rolled_back")
    for decision in reversed(log.read()):
        if (decision.model, decision.kind) == (evidence.model, "rollback"):
            return None
        if (decision.model, decision.kind, decision.version, decision.previous_version) == (
            evidence.model, "promotion", evidence.version, evidence.champion_version,
        ) and all(decision.evidence.get(key) == summary[key] for key in same):  # fmt: skip
            return decision
    return None
