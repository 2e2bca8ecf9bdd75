"""Cuts in time: what is not known yet cannot train, and what was learned from cannot judge."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from ml_assets.errors import TrainingError
from ml_assets.fitting.splitting import holdout, judged_between, known_by, rolling_origins
from ml_assets.lake.decision_rows import DecisionRows
from ml_assets.moments import as_datetime64
from tests.ml_assets.shop import AS_OF, FIRST_DAY

WINDOW = timedelta(days=28)


def test_a_label_that_is_not_known_yet_cannot_train(rows: DecisionRows) -> None:
    known = known_by(rows, AS_OF)
    decided = rows.where(rows.decision_at <= as_datetime64(AS_OF))
    assert len(known) < len(decided)
    assert (known.label_known_at <= as_datetime64(AS_OF)).all()
    assert not np.isnan(known.label).any()


def test_the_newest_rows_have_no_label_and_are_in_neither_part(rows: DecisionRows) -> None:
    end = FIRST_DAY + timedelta(days=400)
    unknown = np.isnat(rows.label_known_at)
    assert unknown.any()
    parts = holdout(rows, end, timedelta(days=300))
    assert len(parts.train) + len(parts.evaluation) <= len(rows) - unknown.sum()


def test_no_row_that_judges_was_learned_from_or_decided_before_the_cut(rows: DecisionRows) -> None:
    split = holdout(rows, AS_OF, WINDOW)
    cut = as_datetime64(split.cut)
    assert split.cut == AS_OF - WINDOW
    assert (split.train.label_known_at <= cut).all()
    assert (split.evaluation.decision_at > cut).all()
    assert (split.evaluation.label_known_at <= as_datetime64(AS_OF)).all()
    assert not set(split.train.keys.to_pylist()) & set(split.evaluation.keys.to_pylist())


def test_rows_decided_before_the_cut_and_known_after_it_are_in_neither_part(rows: DecisionRows) -> None:
    split = holdout(rows, AS_OF, WINDOW)
    cut = as_datetime64(split.cut)
    between = rows.where((rows.decision_at <= cut) & (rows.label_known_at > cut))
    assert len(between) > 50
    used = set(split.train.keys.to_pylist()) | set(split.evaluation.keys.to_pylist())
    assert not used & set(between.keys.to_pylist())


def test_a_known_outcome_without_a_label_teaches_nothing(rows: DecisionRows) -> None:
    holed = DecisionRows(
        rows.inputs,
        np.where(np.arange(len(rows)) % 2, rows.label, np.nan),
        rows.decision_at,
        rows.label_known_at,
        rows.keys,
    )
    assert not np.isnan(known_by(holed, AS_OF).label).any()
    assert not np.isnan(judged_between(holed, FIRST_DAY, AS_OF).label).any()


def test_origins_start_at_the_first_and_end_before_the_last() -> None:
    start = datetime(2030, 1, 1, tzinfo=UTC)
    assert rolling_origins(start, start + timedelta(days=21), timedelta(days=7)) == tuple(
        start + timedelta(days=days) for days in (0, 7, 14)
    )
    assert rolling_origins(start, start, timedelta(days=7)) == ()


@pytest.mark.parametrize("span", [timedelta(0), timedelta(days=-1)])
def test_spans_that_lead_nowhere_are_refused(rows: DecisionRows, span: timedelta) -> None:
    with pytest.raises(TrainingError, match="positive"):
        holdout(rows, AS_OF, span)
    with pytest.raises(TrainingError, match="positive"):
        rolling_origins(FIRST_DAY, AS_OF, span)
