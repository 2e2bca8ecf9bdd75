"""What came of a replay: the life that was lived, beside others that could have been, on the very same decisions.

What belongs here: the figures, and how sure they are. What does not: the loop (`replay.py`), words (`conclusion.py`),
looks (`page.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from ml_assets import lifecycle
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.errors import TrainingError
from ml_assets.judging.backtesting import Backtest
from ml_assets.judging.evaluation import compare
from ml_assets.lake.decision_rows import DecisionRows
from ml_assets.lake.files import write_whole
from ml_assets.measuring.bootstrap import day_weights, measure_by_day
from ml_assets.measuring.metrics import METRICS, Floats, measure
from ml_assets.measuring.windows import window_starts
from ml_assets.moments import in_utc, text_of

if TYPE_CHECKING:
    from dagster_defs.replay.replay import Step
    from dagster_defs.resources import Home

pc: Any = pyarrow.compute  # its functions are made when it is imported, where type checkers cannot see them

LIVING, ALWAYS, FROZEN = "living", "every step", "frozen"
BASELINE = "baseline: "  # begins the name of a baseline's life


@dataclass(frozen=True)
class Life:
    """One way of living through the stretch: its trainings, and the declared metric, over all with its interval (None
    where too few days allow one) and by window.
    """

    name: str
    trainings: int
    value: float
    low: float | None
    high: float | None
    by_window: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Difference:
    """How much worse the living model was than another life, paired on the same decisions and days: negative is better,
    whichever way the metric points.
    """

    against: str
    worse_by: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class ReplayReport:
    """A model's replayed life beside two others, never trained again and trained at every step, and its baselines,
    fitted at every step.

    `outcome_days` is how long after a decision its outcome was known (the median). `why_not_judged` is None unless
    nothing could be judged; then there are no lives.
    """

    model: str
    title: str
    description: str
    metric: str
    label: str
    window: str
    confidence: float
    rows: int
    days: int
    outcome_days: float
    start: str
    through: str
    lives: tuple[Life, ...]
    baselines: tuple[Life, ...]
    differences: tuple[Difference, ...]
    why_not_judged: str | None
    decisions: tuple[Mapping[str, Any], ...]
    training_cpu_seconds: float
    cpu_seconds: float
    wall_seconds: float

    @property
    def best_baseline(self) -> Life | None:
        """The one that is hardest to beat, by the figure over all; None if there is none."""
        metric = METRICS[self.metric]
        measured = [life for life in self.baselines if np.isfinite(life.value)] or self.baselines
        return min(measured, key=lambda life: metric.worse_by(life.value, 0.0), default=None)

    def against(self, name: str) -> Difference:
        """The living model's difference from another life or baseline."""
        return next(one for one in self.differences if one.against == name)


@dataclass(frozen=True, eq=False)
class _Judged:
    """The decisions with a known outcome that the living model answered, and every life's answers to them."""

    rows: DecisionRows
    answers: Mapping[str, Floats]
    baselines: tuple[str, ...]
    trainings: int


def compare_lives(
    home: Home,
    declaration: ModelDeclaration,
    moments: Sequence[datetime],
    steps: Sequence[Step],
    progress: Callable[[str, int, int], None] | None = None,
) -> ReplayReport:
    """The living model's predictions, those of one frozen at the start and one trained anew at every step, and the
    declared baselines, on the very same decisions. Where there are none, the report says why.
    """
    start, end = moments[0], moments[-1]
    every = moments[1] - start if len(moments) > 1 else timedelta(0)
    versions = [one for one in home.registry.versions(declaration.name) if in_utc(one.as_of) >= in_utc(start) - every]
    judged, why_not = None, "the replay has one moment only, and nothing comes after it"
    if every:
        try:
            judged, why_not = _judged(home, declaration, start, end, every, progress), None
        except TrainingError as error:
            why_not = str(error)
    if judged is not None and not len(judged.rows):
        judged, why_not = None, "no decision with a known outcome was answered; was there ever a champion?"
    log = [one for one in home.decision_log.read() if one.model == declaration.name]
    return ReplayReport(
        model=declaration.name,
        title=declaration.title,
        description=declaration.description,
        metric=declaration.evaluation.metric,
        label=declaration.label,
        window=declaration.domain.window,
        confidence=declaration.gates.confidence,
        rows=len(judged.rows) if judged else 0,
        days=len(judged.rows.day[1]) if judged else 0,
        outcome_days=_outcome_days(judged.rows) if judged else 0.0,
        start=text_of(in_utc(start)),
        through=text_of(in_utc(end)),
        **(
            _figures(judged, declaration, len(versions))
            if judged
            else {"lives": (), "baselines": (), "differences": ()}
        ),
        why_not_judged=why_not,
        decisions=tuple(asdict(one) for one in log),
        training_cpu_seconds=round(sum(one.metrics.get(lifecycle.TRAINING_COST, 0.0) for one in versions), 1),
        cpu_seconds=round(sum(step.cpu_seconds for step in steps), 1),
        wall_seconds=round(sum(step.wall_seconds for step in steps), 1),
    )


def _judged(
    home: Home,
    declaration: ModelDeclaration,
    start: datetime,
    end: datetime,
    every: timedelta,
    progress: Callable[[str, int, int], None] | None,
) -> _Judged:
    def relived(step: timedelta) -> Backtest:
        return lifecycle.run_backtest(home.lake, declaration, every=step, first=start, through=end, progress=progress)

    frozen, always = relived(end - start), relived(every)
    living = home.lake.read_predictions(declaration.name, columns=["decision_key", "prediction"])
    places = pc.index_in(always.rows.keys, living["decision_key"].combine_chunks())
    answered = np.asarray(places.is_valid())
    order = pc.index_in(always.rows.keys, frozen.rows.keys).to_numpy()
    baselines = {BASELINE + name: answers for name, answers in always.predictions.items() if name != "candidate"}
    return _Judged(
        always.rows.where(answered),
        {
            LIVING: living["prediction"].to_numpy()[places.filter(pa.array(answered)).to_numpy()],
            ALWAYS: always.predictions["candidate"][answered],
            FROZEN: frozen.predictions["candidate"][order][answered],
            **{name: answers[answered] for name, answers in baselines.items()},
        },
        tuple(baselines),
        len(always.origins),
    )


def _figures(judged: _Judged, declaration: ModelDeclaration, versions: int) -> dict[str, Any]:
    rows, answers = judged.rows, judged.answers
    metric, confidence = METRICS[declaration.evaluation.metric], declaration.gates.confidence
    codes, days = rows.day
    weights = day_weights(len(days))
    starts = window_starts(rows.decision_at, declaration.domain.window)
    windows = [(start, np.flatnonzero(starts == start)) for start in np.unique(starts)]

    def life(name: str, trainings: int) -> Life:
        whole = measure_by_day(metric, rows.label, answers[name], codes, weights, confidence)
        by_window = tuple(
            (str(start), measure(metric.name, rows.label[chosen], answers[name][chosen]))
            for start, chosen in windows
            if len(chosen) >= declaration.domain.least_outcomes
        )
        return Life(name, trainings, whole.value, whole.low, whole.high, by_window)

    def difference(name: str) -> Difference:
        figure = compare(rows, answers[LIVING], answers[name], declaration, against=name, by_slice=False)[0]
        return Difference(name, figure.worse_by, figure.low, figure.high)

    return {
        "lives": (life(LIVING, versions), life(ALWAYS, judged.trainings), life(FROZEN, 1)),
        "baselines": tuple(life(name, judged.trainings) for name in judged.baselines),
        "differences": tuple(difference(name) for name in answers if name != LIVING),
    }


def _outcome_days(rows: DecisionRows) -> float:
    return round(float(np.median((rows.label_known_at - rows.decision_at) / np.timedelta64(1, "D"))), 1)


def write_report(home: Path, reports: Sequence[ReplayReport]) -> Path:
    """The page, and the same figures as JSON beside it; both stand alone."""
    from dagster_defs.replay.page import replay_page

    write_whole(home / "replay.json", json.dumps([asdict(one) for one in reports], indent=1).encode())
    write_whole(home / "replay.html", replay_page(reports).encode())
    return home / "replay.html"
