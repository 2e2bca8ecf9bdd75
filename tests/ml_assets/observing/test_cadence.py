"""How decisions come is counted as a loop over them would."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml_assets.deciding.unreachable import Cadence, signals_that_cannot_fire
from ml_assets.declaration.domains import Domain
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.declaration.schema import Owner
from ml_assets.lake.snapshot import Lake
from ml_assets.moments import Moments
from ml_assets.observing.cadence import count_cadence, gather_cadence
from tests.ml_assets.shop import RETURNS, declared, publish

SPAN = timedelta(days=28)


def sundays(weeks: int, each: int = 300) -> Moments:
    first = np.datetime64("2030-01-06T00:00", "us")
    return np.repeat(first + np.arange(weeks) * np.timedelta64(7, "D"), each)


@pytest.mark.parametrize("seed", range(20))
def test_counts_are_those_of_a_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    days = np.sort(rng.choice(90, rng.integers(2, 60), replace=False))
    counts = rng.integers(1, 9, len(days))
    decided = np.repeat(np.datetime64("2030-01-01T05:00", "us") + days * np.timedelta64(1, "D"), counts)

    found = count_cadence(decided, decided + np.timedelta64(3, "h"), "week", SPAN)

    mondays = pd.Series(decided).dt.to_period("W-SUN").value_counts().sort_index()
    assert found.in_a_window == (max(mondays.iloc[1:-1]) if len(mondays) > 2 else None)
    assert found.outcome_delay == timedelta(hours=3)
    within = [[(day, count) for day, count in zip(days, counts, strict=True) if one <= day < one + 28] for one in days]
    if days[-1] - days[0] + 1 < 28:
        assert (found.in_the_watch, found.days_in_the_watch) == (None, None)
    else:
        assert found.in_the_watch == max(sum(count for _, count in one) for one in within)
        assert found.days_in_the_watch == max(len(one) for one in within)


def test_less_than_the_span_of_the_watch_tells_nothing_of_it() -> None:
    decided = sundays(3)
    assert count_cadence(decided, decided, "week", SPAN) == Cadence(in_a_window=300)


def weekly(**changes: Any) -> ModelDeclaration:
    made = declared(RETURNS, retraining__drift=None, retraining__performance=None, **changes)
    return replace(made, domain=Domain("shop", Owner("", ""), window="week"))


def test_what_is_published_is_read_from_the_newest_parts_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decided = sundays(60)
    frame = pd.DataFrame({"decided_at": decided, "outcome_known_at": decided + np.timedelta64(28, "D")})
    frame.loc[frame.index[-1200:], "outcome_known_at"] = pd.NaT
    lake = publish(tmp_path / "lake", frame).open()
    read = []
    bytes_of = type(lake).verified_bytes
    monkeypatch.setattr(type(lake), "verified_bytes", lambda self, part: read.append(part.part) or bytes_of(self, part))

    found = gather_cadence(lake, weekly())

    assert found == Cadence(300, in_the_watch=1200, days_in_the_watch=4, outcome_delay=timedelta(days=28))
    assert set(read) == {"2030-12", "2031-01", "2031-02"}
    (said,) = signals_that_cannot_fire(weekly(), found)
    assert said.startswith("retraining.watch: 28 days have held decisions on no more than 4 days")
    longer = weekly(retraining__watch={"span": "90 days"})
    assert signals_that_cannot_fire(longer, gather_cadence(lake, longer)) == []


def test_where_nothing_is_published_nothing_is_known(tmp_path: Path) -> None:
    assert gather_cadence(Lake(tmp_path / "lake").open(), weekly()) is None
    empty = pd.DataFrame({"decided_at": sundays(0), "outcome_known_at": sundays(0)})
    assert gather_cadence(publish(tmp_path / "lake", empty, by=None).open(), weekly()) is None
