"""What a decision about a version may rest on.

What belongs here: the evidence as values. What does not: gathering it (`judge.py`), weighing it
(`deciding/promotion.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from ml_assets.judging.evaluation import Comparison, Score

CANDIDATE = "candidate"
CHAMPION = "champion"


@dataclass(frozen=True)
class ShadowEvidence:
    """How a challenger did in shadow: `since` it was trained or the champion stands beside it, whichever is later, and
    `served` so long, up to the newest decision answered.

    `rows` decisions of the champion's on `days` complete days were answered by it too, `missed` were not; `awaited` is
    the first day whose outcomes are not all known yet. On those rows it is `worse_by` than the champion, whose own
    figure is `champion_figure`, paired by day; `low` and `high` hold for all looks together. `problem` is why it
    cannot answer now, `champion_unusable` why the champion cannot; `takes_place_of` is the challenger before it.
    """

    since: datetime
    served: timedelta
    rows: int = 0
    missed: int = 0
    days: int = 0
    awaited: datetime | None = None
    champion_figure: float | None = None
    problem: str | None = None
    worse_by: float | None = None
    low: float | None = None
    high: float | None = None
    champion_unusable: str | None = None
    takes_place_of: int | None = None


@dataclass(frozen=True)
class Evidence:
    """All that a decision about promotion may rest on.

    `scores` of the candidate are its judged twin's on the whole window; comparisons are paired. `refit_loss` and
    `twin_loss` are the declared metric of the final model and of the twin on the window, as losses (lower is better).
    `latency_milliseconds` is None unless a limit is declared.
    """

    model: str
    version: int
    metric: str
    as_of: datetime
    window_start: datetime
    rows: int
    champion_version: int | None
    champion_side: Literal["final", "twin"] | None
    champion_unusable: str | None
    compared_from: datetime | None
    scores: tuple[Score, ...]
    comparisons: tuple[Comparison, ...]
    refit_loss: float
    twin_loss: float
    declared_schema: tuple[tuple[str, str], ...]
    fitted_schema: tuple[tuple[str, str], ...]
    latency_milliseconds: float | None
    rolled_back: bool
    shadow: ShadowEvidence | None = None
