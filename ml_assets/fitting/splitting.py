"""Which rows may train and which may judge, by time.

What belongs here: cuts in time. What does not: fitting and measuring.

A label trains only once it is known: the cut is on `label_known_at`, never on the time of the event. A row judges only
if its decision was made after the cut, so nothing that it was decided with can have been learned from its own outcome.
Rows decided before the cut whose label became known after it are in neither part.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

import numpy as np

from ml_assets.errors import TrainingError
from ml_assets.lake.decision_rows import DecisionRows
from ml_assets.moments import as_datetime64, earlier, in_utc
from ml_assets.moments import every as moments_every


@dataclass(frozen=True)
class Holdout:
    """`train`: label known by `cut`. `evaluation`: decided after `cut`, label known by `as_of`."""

    train: DecisionRows
    evaluation: DecisionRows
    cut: datetime


def known_by(rows: DecisionRows, moment: datetime) -> DecisionRows:
    """The rows whose label was known by the moment; an outcome without a label (NaN) teaches nothing."""
    return rows.where((rows.label_known_at <= as_datetime64(moment)) & ~np.isnan(rows.label))


def judged_between(rows: DecisionRows, after: datetime, through: datetime) -> DecisionRows:
    """The rows decided after `after` whose label was known by `through`."""
    return known_by(rows.where(rows.decision_at > as_datetime64(after)), through)


def holdout(rows: DecisionRows, as_of: datetime, window: timedelta) -> Holdout:
    """The newest `window` before `as_of` held out.

    Raises:
        TrainingError: if the window is not positive.
    """
    if window <= timedelta(0):
        raise TrainingError(f"holdout: the window is {window}; give a positive span of time")
    cut = earlier(in_utc(as_of), window)
    return Holdout(known_by(rows, cut), judged_between(rows, cut, as_of), cut)


def rolling_origins(first: datetime, through: datetime, every: timedelta) -> tuple[datetime, ...]:
    """The moments at which a backtest trains anew: `first`, then every `every`, each before `through`.

    Raises:
        TrainingError: if `every` is not positive.
    """
    if every <= timedelta(0):
        raise TrainingError(f"rolling_origins: every is {every}; give a positive span of time")
    return tuple(takewhile(lambda origin: origin < in_utc(through), moments_every(in_utc(first), every)))
