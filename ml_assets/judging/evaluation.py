"""How good, how sure, and compared with whom.

What belongs here: figures about predictions that were made. What does not: making them (`training.py`,
`backtesting.py`), formulas (`metrics.py`), verdicts (`promotion.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute

from ml_assets.declaration.model import ModelDeclaration
from ml_assets.fitting.threads import limited_to
from ml_assets.lake.decision_rows import DecisionRows
from ml_assets.measuring.bootstrap import REPLICATES, SEED, Interval, day_weights, measure_by_day, worse_by_day
from ml_assets.measuring.metrics import METRICS, Codes, Floats, metrics_of

pc: Any = pyarrow.compute  # its functions are made when it is imported, where type checkers cannot see them

OVERALL = "overall"


@dataclass(frozen=True)
class Score:
    """One figure: a subject's metric on a slice (or `overall`), and its central interval at the declared confidence."""

    subject: str
    slice_name: str
    slice_value: str
    metric: str
    value: float
    low: float | None
    high: float | None
    rows: int


@dataclass(frozen=True)
class Comparison:
    """How much worse the candidate is than `against` in the declared metric: positive is worse, whichever way the
    metric points.
    """

    against: str
    slice_name: str
    slice_value: str
    metric: str
    worse_by: float
    low: float | None
    high: float | None
    rows: int


def score_subjects(
    rows: DecisionRows,
    predictions: Mapping[str, Floats],
    declaration: ModelDeclaration,
    *,
    replicates: int = REPLICATES,
    seed: int = SEED,
) -> tuple[Score, ...]:
    """Every metric of the task, for every subject, overall and by each slice.

    Args:
        rows: the judged rows, labels known.
        predictions: by subject, each of the rows' length.
    """
    days, weights = _days_and_weights(rows, replicates, seed)
    with limited_to(1):
        return tuple(_scores(rows, predictions, declaration, days, weights))


def compare(
    rows: DecisionRows,
    candidate: Floats,
    other: Floats,
    declaration: ModelDeclaration,
    *,
    against: str,
    by_slice: bool,
    replicates: int = REPLICATES,
    seed: int = SEED,
) -> tuple[Comparison, ...]:
    """The paired difference in the declared metric on the same rows and the same drawn days.

    Args:
        candidate, other: predictions, each of the rows' length.
        by_slice: whether each slice is compared too, or all rows only.
    """
    metric, confidence = METRICS[declaration.evaluation.metric], declaration.gates.confidence
    days, weights = _days_and_weights(rows, replicates, seed)
    comparisons = []
    with limited_to(1):
        for slice_name, slice_value, chosen in slices_of(rows, declaration.evaluation.slices if by_slice else ()):
            sides = candidate[chosen], other[chosen]
            figure = worse_by_day(metric, rows.label[chosen], *sides, days[chosen], weights, confidence)
            comparisons.append(Comparison(against, slice_name, slice_value, metric.name, *_parts(figure), len(chosen)))
    return tuple(comparisons)


def slices_of(rows: DecisionRows, names: Sequence[str]) -> Iterator[tuple[str, str, npt.NDArray[np.int64]]]:
    """(name, value, positions): all rows first, then each value of each slice in the order of the values; null is
    `null`.
    """
    yield OVERALL, "", np.arange(len(rows))
    for name in names:
        column = rows.inputs[name].combine_chunks()
        text = pc.fill_null(
            column.cast(column.type.value_type) if hasattr(column.type, "value_type") else column.cast("string"), "null"
        )
        encoded = text.dictionary_encode()
        codes = encoded.indices.to_numpy(zero_copy_only=False)
        order = np.argsort(codes, kind="stable")
        groups = np.split(order, np.cumsum(np.bincount(codes, minlength=len(encoded.dictionary)))[:-1])
        for value, positions in sorted(
            zip(encoded.dictionary.to_pylist(), groups, strict=True), key=lambda pair: pair[0]
        ):
            yield name, value, positions


def _scores(
    rows: DecisionRows, predictions: Mapping[str, Floats], declaration: ModelDeclaration, days: Codes, weights: Floats
) -> Iterator[Score]:
    confidence = declaration.gates.confidence
    for slice_name, slice_value, chosen in slices_of(rows, declaration.evaluation.slices):
        label, day = rows.label[chosen], days[chosen]
        for subject, prediction in predictions.items():
            for metric in metrics_of(declaration.task):
                figure = measure_by_day(METRICS[metric], label, prediction[chosen], day, weights, confidence)
                yield Score(subject, slice_name, slice_value, metric, *_parts(figure), len(chosen))


def _days_and_weights(rows: DecisionRows, replicates: int, seed: int) -> tuple[npt.NDArray[np.int64], Floats]:
    codes, days = rows.day
    return codes, day_weights(max(1, len(days)), replicates, seed)


def _parts(figure: Interval) -> tuple[float, float | None, float | None]:
    return figure.value, figure.low, figure.high


def overall_scores(scores: Iterable[Score]) -> dict[str, dict[str, float]]:
    """Subject -> metric -> value over everything that was judged; what could not be measured is left out."""
    found: dict[str, dict[str, float]] = {}
    for score in scores:
        if score.slice_name == OVERALL and np.isfinite(score.value):
            found.setdefault(score.subject, {})[score.metric] = score.value
    return found
