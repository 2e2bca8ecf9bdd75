"""The verbs of a model's life, for whoever drives it: Dagster, the command line, a notebook.

What belongs here: thin composition; each verb may be repeated and then does nothing twice. What does not: how a thing
is done; that is in the module that is called. `now` is a callable that tells the time and is asked only for what is
written to the log, and for latency where a limit on it is declared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from time import process_time
from typing import Any, cast

import numpy as np
import pyarrow as pa

from ml_assets.backtesting import Backtest, backtest
from ml_assets.decision_log import DecisionLog, LoggedDecision
from ml_assets.decision_rows import moments, read_rows
from ml_assets.errors import ArtifactError, ChampionChanged, ColumnsMissing, NoChampion, TrainingError
from ml_assets.evaluation import OVERALL, Score
from ml_assets.evidence import load_evidence, question_of, save_evidence
from ml_assets.health import FEWEST_OUTCOMES, gather_health
from ml_assets.judging import Clock, judge
from ml_assets.lake import EVALUATION_SCHEMA, Lake
from ml_assets.ledger import Spending
from ml_assets.model_declaration import ModelDeclaration
from ml_assets.moments import from_datetime64, in_utc, text_of
from ml_assets.promotion import CANDIDATE, Decision, Evidence, Reason, ShadowEvidence, Verdict, decide_promotion
from ml_assets.registry import Registry, Version
from ml_assets.retraining import HealthEvidence, HealthWindow, RetrainingDecision, decide_retraining
from ml_assets.scoring import ScoringReport, score_due, score_from_spine, score_past
from ml_assets.shadow import ShadowReport, challenger_in_shadow, gather_shadow, score_in_shadow
from ml_assets.training import Progress, code_version, identify, train
from ml_assets.watching import WatchDecision, decide_rollback, gather_watch

# What a version's training took, as its metric; the compute budget adds these up.
TRAINING_COST = "training_cpu_seconds"

__all__ = [
    "FEWEST_OUTCOMES",
    "TRAINING_COST",
    "CandidateResult",
    "PromotionResult",
    "RetrainingResult",
    "RollbackResult",
    "ScoringReport",
    "ShadowReport",
    "challenger_in_shadow",
    "decide_and_promote",
    "decide_on_champion",
    "decide_on_retraining",
    "decide_on_shadow",
    "evaluate_candidate",
    "make_candidate",
    "rollback",
    "run_backtest",
    "score_due",
    "score_from_spine",
    "score_in_shadow",
    "score_past",
    "watch_champion",
    "watermark",
    "with_shadow",
]


@dataclass(frozen=True)
class CandidateResult:
    """The version, and whether it was fitted just now."""

    version: Version
    is_new: bool


@dataclass(frozen=True)
class PromotionResult:
    """The decision, its line in the log (None for `kept`), whether that line is new, and who is champion after it."""

    decision: Decision
    logged: LoggedDecision | None
    is_new: bool
    champion: Version | None


@dataclass(frozen=True)
class RetrainingResult:
    """The decision, what it rests on, and its line in the log if it says something new."""

    decision: RetrainingDecision
    evidence: HealthEvidence
    logged: LoggedDecision | None


@dataclass(frozen=True)
class RollbackResult:
    """Who is champion now, who was before, and the line in the log."""

    champion: Version
    previous: Version
    logged: LoggedDecision


def watermark(lake: Lake, declaration: ModelDeclaration) -> datetime:
    """The latest moment that the training set speaks of: the latest decision or the latest label that became known.

    Raises:
        TrainingError: if it has no rows.
    """
    table = lake.read(declaration.training_set, [declaration.decision_at, declaration.label_known_at])
    times = (
        np.concatenate([moments(column) for column in table.columns])
        if table.num_rows
        else np.zeros(0, "datetime64[us]")
    )
    if not len(times[~np.isnat(times)]):
        raise TrainingError(f"{declaration.training_set} has no rows yet; land data and run dbt build")
    return from_datetime64(times[~np.isnat(times)].max())


def make_candidate(
    lake: Lake,
    registry: Registry,
    declaration: ModelDeclaration,
    *,
    lock_hash: str,
    as_of: datetime | None = None,
    threads: int = 1,
    progress: Progress | None = None,
) -> CandidateResult:
    """Trains on every label known by `as_of` (default: the watermark), or finds the version that this would be.

    Raises:
        LakeError, TrainingError, ArtifactError
    """
    moment = in_utc(as_of) if as_of else watermark(lake, declaration)
    table_hash = lake.table_hash(declaration.training_set)
    known = _made_before(registry, declaration, table_hash, moment, lock_hash)
    if known is not None:
        return CandidateResult(known, is_new=False)
    rows = read_rows(lake, declaration)
    identity = identify(rows, declaration, moment, lock_hash=lock_hash)
    found = registry.find(declaration.name, identity.fingerprint)
    if found is not None and registry.has_files(found):
        return CandidateResult(found, is_new=False)
    began = process_time()
    candidate = train(
        rows, declaration, moment, lock_hash=lock_hash, table_hash=table_hash, threads=threads, progress=progress
    )
    version = registry.log_candidate(candidate)
    if found is None:
        registry.log_metrics(version, {TRAINING_COST: process_time() - began})
        version = registry.get(declaration.name, version.version)
    return CandidateResult(version, is_new=found is None)


def evaluate_candidate(
    lake: Lake, registry: Registry, declaration: ModelDeclaration, version: Version, *, now: Clock
) -> Evidence:
    """Judges a version against the baselines and the champion on its window, writes the figures to the lake, and
    returns the evidence.

    The same question (version, champion, declaration) is answered once and then remembered in `registry/evidence/`.

    Raises:
        LakeError, ArtifactError, TrainingError: if there is nothing to judge by, or the version's own file is broken.
    """
    version = registry.get(declaration.name, version.version)  # it may have been rolled back since
    champion = registry.champion(declaration.name)
    question = question_of(version, champion, declaration)
    known = load_evidence(registry.root, version, question)
    if known is None:
        known = judge(
            lake,
            registry,
            declaration,
            version,
            champion if champion and champion.version != version.version else None,
            now,
        )
        save_evidence(registry.root, version, question, known)
        registry.log_metrics(version, _metrics(known))
    lake.write_evaluation(declaration.name, version.version, _evaluation_table(known))
    return (
        replace(known, champion_version=champion.version) if champion and champion.version == version.version else known
    )


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
    return replace(evidence, shadow=gather_shadow(lake, registry, declaration, challenger))


def decide_on_champion(
    lake: Lake, registry: Registry, log: DecisionLog, declaration: ModelDeclaration, *, now: Clock
) -> PromotionResult:
    """Judges the newest version and decides on it, as `decide_and_promote` does.

    A challenger that has served its time in shadow is decided on first, so that no newer one takes its place unheard.

    Raises:
        LakeError, ArtifactError, TrainingError, RegistryError
    """

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
    try:
        evidence = evaluate_candidate(lake, registry, declaration, challenger, now=now)
    except (ArtifactError, ColumnsMissing) as error:
        text = f"Version {challenger.version} cannot be judged any more: {error}"
        return Decision("in_shadow", (Reason("shadow", False, None, None, text),))
    return decide_promotion(with_shadow(lake, registry, log, declaration, evidence), declaration.gates)


def rollback(registry: Registry, log: DecisionLog, model: str, *, now: Clock, reason: str) -> RollbackResult:
    """Puts the previous champion back; the present one is marked and does not return by itself.

    One that was cut short between its line in the log and the registry is finished, not logged again.

    Raises:
        NoChampion: if there is no champion, or none before it.
    """
    present, previous = registry.champion(model), registry.previous_champion(model)
    if present is None or previous is None:
        state = "has no champion yet" if present is None else f"has only had one champion, version {present.version}"
        raise NoChampion(f"{model}: {state}; there is nothing to go back to. Train and promote another version instead")
    registry.load(previous)  # a champion that cannot be read is no way back: this raises before anything moves
    logged = _rollback_begun(log, model, previous, present) or log.append(
        decided_at=now(),
        as_of=previous.as_of,
        model=model,
        kind="rollback",
        verdict="rolled_back",
        version=previous.version,
        previous_version=present.version,
        reasons=[{"gate": "rollback", "passed": True, "figure": None, "threshold": None, "text": reason}],
        evidence={"from_sha256": present.sha256, "to_sha256": previous.sha256},
    )
    return RollbackResult(registry.roll_back(model, present.version), present, logged)


def _rollback_begun(log: DecisionLog, model: str, previous: Version, present: Version) -> LoggedDecision | None:
    moves = [one for one in log.read() if one.model == model and one.verdict in ("promoted", "rolled_back")]
    last = moves[-1] if moves else None
    same = last and (last.kind, last.version, last.previous_version) == ("rollback", previous.version, present.version)
    return last if same else None


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
        lake,
        registry,
        declaration,
        lock_hash=lock_hash,
        failed_checks=failed_checks,
        spent_cpu_seconds=partial(_training_cost, registry, declaration.name),
        spending=spending,
    )
    if challenger and declaration.gates.shadow:
        until = challenger.as_of + 2 * declaration.gates.shadow  # one that never ends holds nothing back for good
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


def watch_champion(lake: Lake, registry: Registry, declaration: ModelDeclaration) -> WatchDecision | None:
    """How the champion does beside the one it replaced; None if there is no champion or it is not watched."""
    watch = declaration.retraining.watch
    evidence = gather_watch(lake, registry, declaration, watch) if watch else None
    return decide_rollback(evidence, watch) if evidence and watch else None


def _training_cost(registry: Registry, model: str, since: datetime) -> float:
    return sum(version.metrics.get(TRAINING_COST, 0.0) for version in registry.versions(model) if version.as_of > since)


def _plain_window(window: HealthWindow) -> dict[str, Any]:
    return {
        name: text_of(value) if isinstance(value, datetime) else round(value, 6) if isinstance(value, float) else value
        for name, value in asdict(window).items()
    }


def run_backtest(
    lake: Lake,
    declaration: ModelDeclaration,
    *,
    every: timedelta = timedelta(days=7),
    through: datetime | None = None,
    first: datetime | None = None,
    threads: int = 1,
    progress: Progress | None = None,
) -> Backtest:
    """Replays the model over the published training set (see `backtesting`)."""
    end = in_utc(through) if through else watermark(lake, declaration)
    return backtest(
        read_rows(lake, declaration),
        declaration,
        through=end,
        every=every,
        first=first,
        threads=threads,
        progress=progress,
    )


def _made_before(
    registry: Registry, declaration: ModelDeclaration, table_hash: str, as_of: datetime, lock_hash: str
) -> Version | None:
    """A version made from the very same published bytes at the same moment: found without reading a row."""
    code = code_version(declaration)
    for version in reversed(registry.versions(declaration.name)):
        made_of = (
            version.table_hash,
            version.as_of,
            version.declaration_fingerprint,
            version.code_version,
            version.lock_hash,
        )
        same_window = version.as_of - version.window_start == declaration.evaluation.window
        if (
            made_of == (table_hash, as_of, declaration.fingerprint, code, lock_hash)
            and same_window
            and registry.has_files(version)
        ):
            return version
    return None


def _evaluation_table(evidence: Evidence) -> pa.Table:
    columns = {
        "model": [evidence.model] * len(evidence.scores),
        "version": [evidence.version] * len(evidence.scores),
        "as_of": [in_utc(evidence.as_of).replace(tzinfo=None)] * len(evidence.scores),
        **{name: [getattr(score, name) for score in evidence.scores] for name in EVALUATION_SCHEMA.names[3:]},
    }
    return pa.table(columns, schema=EVALUATION_SCHEMA)


def _overall(evidence: Evidence) -> list[Score]:
    return [score for score in evidence.scores if score.slice_name == OVERALL and np.isfinite(score.value)]


def _metrics(evidence: Evidence) -> dict[str, float]:
    """The candidate's figures by their plain names, the others' behind theirs, as MLflow shows them."""
    return {
        score.metric if score.subject == CANDIDATE else f"{score.subject}.{score.metric}": score.value
        for score in _overall(evidence)
    }


def _summary(evidence: Evidence, declaration: ModelDeclaration) -> dict[str, Any]:
    scores: dict[str, dict[str, float]] = {}
    for score in _overall(evidence):
        scores.setdefault(score.subject, {})[score.metric] = score.value
    return {
        "declaration": declaration.whole_fingerprint,
        "rolled_back": evidence.rolled_back,
        "window_start": in_utc(evidence.window_start).isoformat(),
        "rows": evidence.rows,
        "champion_side": evidence.champion_side,
        "scores": scores,
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
    return {**found, "since": text_of(shadow.since), "served": shadow.served / timedelta(days=1)}


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
