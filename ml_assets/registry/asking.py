"""Whether a version can be asked, and the model that then answers: the one place that says so.

What belongs here: every reason for which a version does not answer. What does not: who is asked instead
(`answering/scorers.py`), what follows from a version that cannot be asked (`deciding/`).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, Literal

import pyarrow as pa
from sklearn.pipeline import Pipeline

from ml_assets.declaration.model import ModelDeclaration
from ml_assets.errors import ArtifactError, PerennialError, VersionMissing, VersionUnusable
from ml_assets.fitting.estimators import predict, why_no_answer
from ml_assets.lake.decision_rows import read_rows
from ml_assets.lake.snapshot import Snapshot
from ml_assets.lake.watermark import known_through
from ml_assets.moments import text_of
from ml_assets.registry.registry import Registry
from ml_assets.registry.versions import Version

Which = Literal["final", "twin", "fallback"]


def why_not_suited(
    version: Version,
    declaration: ModelDeclaration,
    published: Collection[str] | None = None,
    through: datetime | None = None,
) -> str | None:
    """What speaks against a version before its file is opened; None if nothing does.

    Args:
        published: the columns of the training set; None if nothing is known to be missing.
        through: how far the training set goes (`known_through`); None if that is not known.
    """
    learned = (version.declaration.get("task"), version.declaration.get("label"))
    if learned != (declaration.task, declaration.label):
        return f"it was trained for {learned[1]} ({learned[0]}), and {declaration.label} is declared now."
    if through is not None and version.trained_through > through:
        return (
            f"it says that it was trained through {text_of(version.trained_through)}, and {declaration.training_set} "
            f"goes through {text_of(through)}: it has learned from rows that were taken back since, or its tag "
            "trained_through was changed. It is not used; train"
            " and promote another, or restore mlflow.db from a backup."
        )
    missing = [name for name in version.inputs if published is not None and name not in published]
    return f"{declaration.training_set} has no column {', '.join(missing)}" if missing else None


def ask(
    registry: Registry,
    declaration: ModelDeclaration,
    version: Version,
    which: Which = "final",
    *,
    published: Collection[str] | None = None,
    through: datetime | None = None,
) -> Pipeline:
    """The version's model, verified: of the declared task, not from the future, its columns there, its file sound.

    Raises:
        VersionUnusable: saying why not.
    """
    unsuited = why_not_suited(version, declaration, published if which != "fallback" else None, through)
    if unsuited is None:
        try:
            model = registry.load(version, which, declaration.trusted)
            unsuited = why_no_answer(model, declaration.task)
        except (ArtifactError, VersionMissing) as error:
            unsuited = str(error)
        else:
            if unsuited is None:
                return model
    raise VersionUnusable(unsuited)


def why_silent(
    lake: Snapshot, registry: Registry, declaration: ModelDeclaration, version: Version, which: Which = "final"
) -> str | None:
    """Why a version cannot answer the training set as it is published; None if it answers its newest row.

    Raises:
        LakeError: if what is published cannot be read.
    """
    published = lake.columns(declaration.training_set)
    try:
        model = ask(
            registry, declaration, version, which, published=published, through=known_through(lake, declaration)
        )
    except VersionUnusable as error:
        return str(error)
    newest = lake.parts(declaration.training_set)[-1].part
    rows = read_rows(lake, declaration, version.inputs, [newest]).inputs
    return words_of_failure(model, rows.slice(0, 1), declaration.task)


def words_of_failure(model: Any, inputs: pa.Table, task: str) -> str | None:
    """What a model has against some rows; None if it answers them."""
    try:
        predict(model, inputs, task)
    except Exception as error:  # whatever a model from elsewhere raises
        return in_words(error)
    return None


def in_words(error: Exception) -> str:
    """An error of a model as one sentence."""
    return str(error) if isinstance(error, PerennialError) else f"{type(error).__name__}: {error}"
