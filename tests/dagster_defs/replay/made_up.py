"""Made-up reports of replays, for tests of what is said and shown about them.

What belongs here: reports. What does not: assertions.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from dagster_defs.replay.lives import ALWAYS, BASELINE, FROZEN, LIVING, Difference, Life, ReplayReport

BETTER, WORSE, NEITHER, UNSURE = (
    (-0.0126, -0.0148, -0.0105),
    (0.02, 0.01, 0.03),
    (-0.0004, -0.002, 0.0012),
    (0.1, None, None),
)
RATES = BASELINE + "baseline_rates_by_shop"
CONSTANT = BASELINE + "baseline_constant"

Triple = tuple[float, float | None, float | None]


def life(name: str, value: float, trainings: int = 5, windows: int = 6) -> Life:
    days = [date(2030, 4, 1) + timedelta(days=7 * n) for n in range(windows)]
    course = tuple((str(day), value + 0.01 * (n % 3)) for n, day in enumerate(days))
    return Life(name, trainings, value, value - 0.01, value + 0.01, course)


def decision(day: str, kind: str = "retraining", verdict: str = "retrain") -> dict[str, Any]:
    reason = {
        "gate": "age",
        "passed": False,
        "figure": 20.0,
        "threshold": 13.0,
        "text": "the newest label is 20 days old",
    }
    return {
        "as_of": f"{day}T00:00:00Z",
        "decided_at": f"{day}T00:00:00Z",
        "kind": kind,
        "verdict": verdict,
        "version": 2,
        "reasons": [reason],
    }


def report(
    frozen: Triple = BETTER,
    every_step: Triple = NEITHER,
    baseline: Triple = BETTER,
    *,
    trainings: int = 5,
    windows: int = 6,
    **changes: Any,
) -> ReplayReport:
    """A report in which the living model differs by so much (worse by, from, to) from the others."""
    known: dict[str, Any] = {
        "model": "returns",
        "title": "Returns & refunds",
        "description": "The probability that an order comes back.",
        "metric": "log_loss",
        "label": "is_returned",
        "window": "week",
        "confidence": 0.9,
        "rows": 1200,
        "days": 42,
        "outcome_days": 0.4,
        "start": "2030-04-01T00:00:00Z",
        "through": "2030-05-13T00:00:00Z",
        "lives": (
            life(LIVING, 0.4642, trainings, windows),
            life(ALWAYS, 0.4646, 6, windows),
            life(FROZEN, 0.4768, 1, windows),
        ),
        "baselines": (life(CONSTANT, 0.6, 6, windows), life(RATES, 0.5, 6, windows)),
        "differences": (
            Difference(ALWAYS, *every_step),
            Difference(FROZEN, *frozen),
            Difference(CONSTANT, -0.2, -0.21, -0.19),
            Difference(RATES, *baseline),
        ),
        "why_not_judged": None,
        "decisions": (decision("2030-04-01"), decision("2030-04-20"), decision("2030-04-20", "promotion", "promoted")),
        "training_cpu_seconds": 30.0,
        "cpu_seconds": 300.0,
        "wall_seconds": 240.0,
    }
    return ReplayReport(**{**known, **changes})


def nothing_judged() -> ReplayReport:
    """The report of a replay too short for any outcome."""
    return report(
        rows=0,
        days=0,
        lives=(),
        baselines=(),
        differences=(),
        why_not_judged="returns: nothing to judge between 2030-04-01 and 2030-04-08",
    )
