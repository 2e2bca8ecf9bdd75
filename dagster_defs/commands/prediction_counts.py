"""How many decisions of a stretch of time have a prediction, for the command that fills the gaps.

What belongs here: counting. What does not: filling them (`assets/backfill.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pandas as pd

from dagster_defs.resources import build_home
from dagster_defs.settings import Settings
from ml_assets.declaration.model import ModelDeclaration


def prediction_counts(
    settings: Settings, declarations: Sequence[ModelDeclaration], start: datetime, end: datetime
) -> dict[str, tuple[int, int]]:
    """Of each model, how many decisions there were from `start` through `end`, and how many have a prediction."""
    lake = build_home(settings).lake.open()
    answer: dict[str, tuple[int, int]] = {}
    for declaration in declarations:
        decided = lake.read(declaration.training_set, [declaration.decision_at])[declaration.decision_at].to_pandas()
        within = decided.between(pd.Timestamp(start).tz_localize(None), pd.Timestamp(end).tz_localize(None))
        dates = [day for day in lake.prediction_dates(declaration.name) if start.date() <= day <= end.date()]
        made = lake.read_predictions(declaration.name, dates, ["decision_at"])["decision_at"].to_pandas()
        made = made[made.between(pd.Timestamp(start).tz_localize(None), pd.Timestamp(end).tz_localize(None))]
        answer[declaration.name] = (int(within.sum()), len(made))
    return answer
