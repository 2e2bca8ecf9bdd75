"""Which model answers, and why it is that one.

What belongs here: the order in which models are asked to stand in for each other. What does not: the rows that they
answer (`scoring.py`).

The champion if it can be asked (`registry/asking.py`) and answers; else the champion before it; else the baseline
fitted beside either. A registry that cannot be asked changes none of this: the champion last seen takes its place, and
every answer says so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sklearn.pipeline import Pipeline

from ml_assets.declaration.model import BASELINES, ModelDeclaration, columns_named
from ml_assets.errors import ScoringError, VersionUnusable
from ml_assets.registry.asking import ask
from ml_assets.registry.registry import Registry
from ml_assets.registry.versions import Standing, Version

Kind = Literal["champion", "fallback"]


@dataclass(frozen=True, eq=False)
class Scorer:
    """The model that answers; `reason` is why it is not the champion as it stands in the registry, None if it is.

    `columns` are what is read for it, `inputs` those of them that it takes: the others only count the rows.
    """

    pipeline: Pipeline
    version: Version
    sha256: str
    columns: tuple[str, ...]
    status: Kind
    is_baseline: bool
    reason: str | None

    @property
    def inputs(self) -> tuple[str, ...]:
        return inputs_of_baseline(self.pipeline) if self.is_baseline else self.version.inputs


def inputs_of_baseline(pipeline: Pipeline) -> tuple[str, ...]:
    """The columns that a fitted baseline takes."""
    return columns_named(BASELINES[0], vars(pipeline[-1]))


def choose_scorer(
    registry: Registry,
    declaration: ModelDeclaration,
    standing: Standing,
    published: Collection[str] | None = None,
    *,
    through: datetime | None = None,
    failed: Mapping[int, str] | None = None,
) -> Scorer:
    """The first model of the line that can answer.

    Args:
        published: the columns that there are; None if nothing is known to be missing.
        through: how far the training set goes; a version that was trained beyond is not asked.
        failed: versions that were asked and gave no answer, and what they said instead.

    Raises:
        ScoringError: listing why each of them cannot answer.
    """
    champion, previous = standing.champion, standing.previous
    assert champion is not None
    reasons = [trouble_of(standing)] if standing.trouble else []
    versions = [champion]
    if declaration.service.fallback != "none" and previous:
        versions.append(previous)
    for version in versions:
        try:
            if failed and version.version in failed:
                raise VersionUnusable(failed[version.version])
            pipeline = ask(registry, declaration, version, published=published, through=through)
        except VersionUnusable as error:
            reasons.append(f"version {version.version} (final): {error}")
            continue
        status: Kind = "champion" if version is champion else "fallback"
        reason = "; ".join(reasons) or None
        columns = version.inputs or (declaration.decision_at,)
        return Scorer(pipeline, version, version.sha256, columns, status, False, reason)
    try:
        return choose_baseline(
            registry,
            declaration,
            standing,
            published,
            declaration.training_set,
            "; ".join(reasons),
            through=through,
        )
    except ScoringError as error:
        raise ScoringError(
            f"{declaration.name}: no model can answer; restore one of these files, or train and promote again. "
            + "; ".join([*reasons, str(error)])
        ) from None


def choose_baseline(
    registry: Registry,
    declaration: ModelDeclaration,
    standing: Standing,
    published: Collection[str] | None,
    table: str,
    reason: str,
    *,
    through: datetime | None = None,
) -> Scorer:
    """The baseline fitted beside the champion, or beside the one before it; it needs no more than what it groups by.

    Raises:
        ScoringError: if neither can answer from the table's published columns.
    """
    problems: list[str] = []
    for version in (standing.champion, standing.previous):
        if version is None or not version.fallback_sha256 or declaration.service.fallback == "none":
            continue
        try:
            pipeline = ask(registry, declaration, version, "fallback", through=through)
        except VersionUnusable as error:
            problems.append(f"version {version.version} (fallback): {error}")
            continue
        wanted = inputs_of_baseline(pipeline)
        absent = [name for name in wanted if published is not None and name not in published]
        if absent:
            problems.append(f"version {version.version} (fallback): {table} has no column {', '.join(absent)}")
            continue
        columns = wanted or (declaration.decision_at,)
        return Scorer(pipeline, version, version.fallback_sha256, columns, "fallback", True, reason)
    raise ScoringError(
        f"{declaration.name}: no fallback can answer from {table}; " + ("; ".join(problems) or "none is declared")
    )


def trouble_of(standing: Standing) -> str:
    """The mark of an answer that was given while the registry could not be asked."""
    last = f"version {standing.champion.version}" if standing.champion else "none"
    return f"the registry could not be read ({standing.trouble}): the champion last seen, {last}, stands"
