"""From rows to a candidate: what is fitted on what, and what makes two candidates the same.

What belongs here: fits and identities. What does not: figures (`evaluation.py`), files (`artifacts.py`), verdicts
(`promotion.py`).

A candidate is two fits of one recipe. The *final* model learns from every label known by `as_of`: it is the one that
would serve. The *judged twin* learns only from labels known before the evaluation window: it is the one that can be
measured honestly there. A champion was refitted in its time as well, so its final model may have seen part of a newer
window; comparisons therefore use `honest_side`, the most complete model of a version that has not seen the window: its
final model if that was trained through the window's start or earlier, else its twin. As the twin is never served, a
gate asks that the final model agrees with it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

import numpy as np
from sklearn.pipeline import Pipeline

from ml_assets.declaration.model import ModelDeclaration
from ml_assets.errors import TrainingError
from ml_assets.fitting.estimators import build_baseline, build_estimator
from ml_assets.fitting.recipe import code_version
from ml_assets.fitting.splitting import holdout, known_by
from ml_assets.fitting.threads import limited_to
from ml_assets.lake.decision_rows import DecisionRows
from ml_assets.moments import as_datetime64, in_utc, text_of

Progress = Callable[[str, int, int], None]
Side = Literal["final", "twin"]

FEWEST_TRAINING_ROWS = 50


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted pipeline, the moment through which labels were known to it, and how many rows it learned from."""

    model: Pipeline
    trained_through: datetime
    rows: int


@dataclass(frozen=True, eq=False)
class Candidate:
    """The two fits, the fallback fitted beside them (if one is declared), and the identity of all three."""

    declaration: ModelDeclaration
    candidate_fingerprint: str
    as_of: datetime
    window_start: datetime
    final: Fitted
    twin: Fitted
    fallback: Fitted | None
    training_hash: str
    table_hash: str
    code_version: str
    lock_hash: str


class Trained(Protocol):
    """What `honest_side` needs to know of a version."""

    @property
    def trained_through(self) -> datetime: ...
    @property
    def twin_trained_through(self) -> datetime: ...


@dataclass(frozen=True)
class Identity:
    """What makes a candidate the one it is; the same identity is the same model, bit for bit."""

    training_hash: str
    declaration_fingerprint: str
    window: str
    code_version: str
    lock_hash: str

    @property
    def fingerprint(self) -> str:
        """sha256 over the parts."""
        return hashlib.sha256(json.dumps(self.__dict__, sort_keys=True).encode()).hexdigest()


def identify(rows: DecisionRows, declaration: ModelDeclaration, as_of: datetime, *, lock_hash: str) -> Identity:
    """The identity of the candidate that `train` would make, at the cost of a hash.

    `as_of` itself is no part of it: a later moment at which no further label is known would only fit the same model
    again.
    """
    return Identity(
        training_hash=known_by(rows, as_of).content_hash(),
        declaration_fingerprint=declaration.fingerprint,
        window=str(declaration.evaluation.window),
        code_version=code_version(declaration),
        lock_hash=lock_hash,
    )


def train(
    rows: DecisionRows,
    declaration: ModelDeclaration,
    as_of: datetime,
    *,
    lock_hash: str,
    table_hash: str = "",
    threads: int = 1,
    progress: Progress | None = None,
) -> Candidate:
    """The judged twin, the final model and the fallback.

    Args:
        rows: of the training set; those whose label is not known by `as_of` teach nothing.
        as_of: the moment of the training, data time.
        lock_hash: sha256 of the environment's lock.
        threads: more are faster on an idle machine and much slower on a busy one (`threads.py`); the model is the same.
        progress: called with (what, done, of).

    Raises:
        TrainingError: if too few labels are known, or only one class of them.
    """
    report = progress or _silent
    identity = identify(rows, declaration, as_of, lock_hash=lock_hash)
    split = holdout(rows, as_of, declaration.evaluation.window)
    report("twin", 0, 3)
    twin = fit(split.train, declaration, split.cut, threads=threads)
    report("final", 1, 3)
    known = known_by(rows, as_of)
    final = fit(known, declaration, as_of, threads=threads)
    report("fallback", 2, 3)
    fallback = None
    if declaration.service.fallback == "baseline" and declaration.baselines:
        model = build_baseline(declaration.baselines[-1], declaration)
        fallback = _fitted(model, known, declaration, as_of)
    report("fitted", 3, 3)
    return Candidate(
        declaration=declaration,
        candidate_fingerprint=identity.fingerprint,
        as_of=in_utc(as_of),
        window_start=split.cut,
        final=final,
        twin=twin,
        fallback=fallback,
        training_hash=identity.training_hash,
        table_hash=table_hash,
        code_version=identity.code_version,
        lock_hash=lock_hash,
    )


def fit(rows: DecisionRows, declaration: ModelDeclaration, trained_through: datetime, *, threads: int = 1) -> Fitted:
    """The declared estimator, fitted on exactly these rows.

    Raises:
        TrainingError: if there are too few rows, or only one class; or if a label among them was not known by
            `trained_through`.
    """
    return _fitted(build_estimator(declaration), rows, declaration, trained_through, threads)


def fit_baselines(rows: DecisionRows, declaration: ModelDeclaration, trained_through: datetime) -> dict[str, Fitted]:
    """Every declared baseline by name, fitted on exactly these rows."""
    return {
        str(baseline.name): _fitted(build_baseline(baseline, declaration), rows, declaration, trained_through)
        for baseline in declaration.baselines
    }


def honest_side(version: Trained, window_start: datetime) -> tuple[Side, datetime]:
    """Which of a version's two models to judge on a window, and through when that one was trained (see the module's
    text).

    The caller must judge only after the later of `window_start` and that moment: a twin may be younger than the window
    if the window grew.
    """
    if version.trained_through <= in_utc(window_start):
        return "final", version.trained_through
    return "twin", version.twin_trained_through


def _silent(*_: object) -> None:
    """The progress of whoever does not want to see it."""


def _fitted(
    model: Pipeline, rows: DecisionRows, declaration: ModelDeclaration, trained_through: datetime, threads: int = 1
) -> Fitted:
    _check(rows, declaration, trained_through)
    label = rows.label.astype(np.int64) if declaration.task == "binary_classification" else rows.label
    with limited_to(threads):
        model.fit(rows.inputs, label)
    return Fitted(model, in_utc(trained_through), len(rows))


def _check(rows: DecisionRows, declaration: ModelDeclaration, trained_through: datetime) -> None:
    where = f"{declaration.name}, labels known through {text_of(trained_through)}"
    if len(rows) < FEWEST_TRAINING_ROWS:
        raise TrainingError(
            f"{where}: {len(rows)} rows of {declaration.training_set} have a known {declaration.label}, at least "
            f"{FEWEST_TRAINING_ROWS} are needed; "
            "land more history, or shorten evaluation.window"
        )
    if (
        (rows.label_known_at > as_datetime64(trained_through)).any()
        or np.isnat(rows.label_known_at).any()
        or np.isnan(rows.label).any()
    ):
        raise TrainingError(
            f"{where}: rows whose label was not known by then were given to a fit; pass them through splitting.known_by"
        )
    if declaration.task == "binary_classification":
        found = np.unique(rows.label)
        if not np.array_equal(found, [0.0, 1.0]):
            raise TrainingError(
                f"{where}: {declaration.label} takes the values {found.tolist()[:5]}; a binary label needs both 0 and "
                "1 and nothing else"
            )
