"""How a model's decisions come, counted from what is published.

What belongs here: those counts. What does not: which declared signals they leave without a chance
(`deciding/unreachable.py`).

`perennial status` asks, so nothing is used here that takes long to import; and only the newest parts are read: twice
the time that the watch and the signals look back.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from ml_assets.deciding.unreachable import Cadence
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.lake.parts import parts_between
from ml_assets.lake.plain_columns import moments_of
from ml_assets.lake.snapshot import Snapshot
from ml_assets.measuring.windows import LONGEST, Window, window_starts
from ml_assets.moments import Moments, earlier, from_datetime64

_DAY = np.timedelta64(1, "D")
# Outcomes are said to take as long as this share of them takes at most.
_USUAL = 0.99


def gather_cadence(lake: Snapshot, declaration: ModelDeclaration) -> Cadence | None:
    """How the newest decisions have come; None if none is published.

    Raises:
        LakeError: if what is published cannot be read.
    """
    table, columns = declaration.training_set, [declaration.decision_at, declaration.label_known_at]
    if table not in lake.tables() or not lake.rows(table):
        return None
    names = [part.part for part in lake.parts(table) if part.rows]
    newest = moments_of(lake.read(table, columns[:1], names[-1:]).column(0))
    if np.isnat(newest).all():
        return None
    back = 2 * _looked_back(declaration)
    near = parts_between(names, earlier(from_datetime64(newest[~np.isnat(newest)].max()), back))
    decided, known = (moments_of(column) for column in lake.read(table, columns, near).columns)
    watch = declaration.retraining.watch
    return count_cadence(decided, known, declaration.domain.window, watch.span if watch else None)


def count_cadence(decided: Moments, known: Moments, window: Window, span: timedelta | None) -> Cadence:
    """The counts over some decisions and the moments when their outcomes became known (NaT: not yet)."""
    took = (known - decided)[~np.isnat(known) & ~np.isnat(decided)].astype("timedelta64[us]").astype(np.int64)
    delay = timedelta(microseconds=max(0, int(np.quantile(took, _USUAL)))) if len(took) else timedelta(0)
    decided = decided[~np.isnat(decided)]
    _, in_windows = np.unique(window_starts(decided, window), return_counts=True)
    whole = in_windows[1:-1]
    days, in_days = np.unique(decided.astype("datetime64[D]"), return_counts=True)
    most = int(whole.max()) if len(whole) else None
    if span is None or not len(days) or days[-1] - days[0] + _DAY < np.timedelta64(span):
        return Cadence(most, outcome_delay=delay)
    ends = np.searchsorted(days, days + np.timedelta64(span))
    summed = np.concatenate([[0], np.cumsum(in_days)])
    return Cadence(
        in_a_window=most,
        in_the_watch=int((summed[ends] - summed[:-1]).max()),
        days_in_the_watch=int((ends - np.arange(len(days))).max()),
        outcome_delay=delay,
    )


def _looked_back(declaration: ModelDeclaration) -> timedelta:
    policy = declaration.retraining
    windows = max([2, *(signal.windows.of for signal in (policy.drift, policy.performance) if signal)])
    return max(windows * LONGEST[declaration.domain.window], policy.watch.span if policy.watch else timedelta(0))
