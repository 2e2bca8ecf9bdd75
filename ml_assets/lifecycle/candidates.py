"""From rows to a judged version.

What belongs here: the verbs that make and judge a candidate, and the backtest. What does not: deciding on it
(`champions.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from time import process_time

import numpy as np
import pyarrow as pa

from ml_assets.declaration.model import ModelDeclaration
from ml_assets.errors import TrainingError
from ml_assets.fitting.training import FEWEST_TRAINING_ROWS, Progress, code_version, identify, train
from ml_assets.judging.backtesting import Backtest, backtest
from ml_assets.judging.evaluation import overall_scores
from ml_assets.judging.evidence import CANDIDATE, Evidence
from ml_assets.judging.judge import Clock, judge
from ml_assets.judging.remembered import load_evidence, question_of, save_evidence
from ml_assets.lake.decision_rows import moments, numbers, read_rows
from ml_assets.lake.results import EVALUATION_SCHEMA
from ml_assets.lake.snapshot import Lake
from ml_assets.lake.watermark import known_through
from ml_assets.moments import as_datetime64, earlier, in_utc
from ml_assets.registry.registry import Registry
from ml_assets.registry.versions import Version

# What a version's training took, as its metric; the compute budget adds these up.
TRAINING_COST = "training_cpu_seconds"


@dataclass(frozen=True)
class CandidateResult:
    """The version, and whether it was fitted just now."""

    version: Version
    is_new: bool


def watermark(lake: Lake, declaration: ModelDeclaration) -> datetime:
    """The latest moment that the training set speaks of: the latest decision or the latest label that became known.

    Raises:
        TrainingError: if it has no rows.
    """
    through = known_through(lake.open(), declaration)
    if through is None:
        raise TrainingError(f"{declaration.training_set} has no rows yet; land data and run dbt build")
    return through


def why_not_yet(lake: Lake, registry: Registry, declaration: ModelDeclaration) -> str | None:
    """Why a model that never had a version cannot have one yet, as a sentence: too little has landed. None if it can be
    trained, or if it has a version already.

    The beginning of a domain is no failure: what can be built of it is built, and the others go on.

    Raises:
        LakeError: if what is published cannot be read.
    """
    if registry.versions(declaration.name):
        return None
    published, table = lake.open(), declaration.training_set
    through = known_through(published, declaration) if table in published.tables() else None
    if through is None:
        return f"{table} has no published rows yet; land data and build"
    read = published.read(table, [declaration.decision_at, declaration.label, declaration.label_known_at])
    decided_at, known_at = moments(read[declaration.decision_at]), moments(read[declaration.label_known_at])
    is_known = ~np.isnan(numbers(read[declaration.label])) & ~np.isnat(known_at)
    cut = as_datetime64(earlier(through, declaration.evaluation.window))
    to_learn, to_judge = int((is_known & (known_at <= cut)).sum()), int((is_known & (decided_at > cut)).sum())
    if to_learn >= FEWEST_TRAINING_ROWS and to_judge:
        return None
    return (
        f"{to_learn:,} rows of {table} have a {declaration.label} that was known before the evaluation window began "
        f"({cut.item():%Y-%m-%d %H:%M} UTC; at least {FEWEST_TRAINING_ROWS} are needed), and {to_judge:,} decisions "
        "since then have one; land more history, or shorten evaluation.window"
    )


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
    lake = lake.open()
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
            lake.open(),
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
    lake = lake.open()
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
        same_window = version.window_start == earlier(version.as_of, declaration.evaluation.window)
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


def _metrics(evidence: Evidence) -> dict[str, float]:
    """The candidate's figures by their plain names, the others' behind theirs, as MLflow shows them."""
    return {
        metric if subject == CANDIDATE else f"{subject}.{metric}": value
        for subject, values in overall_scores(evidence.scores).items()
        for metric, value in values.items()
    }
