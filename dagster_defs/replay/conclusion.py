"""What a replay says, in words: whether retraining paid off, and whether the model beats its baseline.

What belongs here: sentences and verdicts, worked out from a report alone; the page and the command say the same ones.
What does not: any figure (`lives.py`), looks (`page.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Literal

from dagster_defs.replay.lives import ALWAYS, BASELINE, FROZEN, LIVING, Difference, Life, ReplayReport
from ml_assets.measuring.metrics import METRICS
from ml_assets.measuring.wording import WORDING, decimals_of, decimals_of_span, unit_of

Verdict = Literal["better", "worse", "no measurable difference", "cannot be told"]

_NAMES = {
    LIVING: "living: trained when its policy asked",
    ALWAYS: "trained at every step",
    FROZEN: "frozen: never trained again",
}


@dataclass(frozen=True)
class Claim:
    """A verdict about the living model, and the sentence that says it with its figures."""

    verdict: Verdict
    text: str


def conclude(report: ReplayReport) -> tuple[Claim, ...]:
    """The claims, most important first: against the frozen model, the best baseline, the one trained at every step."""
    if report.why_not_judged is not None:
        return (Claim("cannot be told", f"Nothing can be concluded: {report.why_not_judged}."),)
    return (_retraining(report), _baseline(report), _every_step(report))


def name_of(life: str) -> str:
    """A life's name in words.

    >>> name_of("baseline: baseline_rates_by_shop"), name_of("every step")
    ('baseline: rates by shop', 'trained at every step')
    """
    if life.startswith(BASELINE):
        return BASELINE + _declared_name(life)
    return _NAMES[life]


def verdict_on(difference: Difference) -> Verdict:
    """What an interval allows to be said about the living model: nothing is measured while it holds zero."""
    if difference.low is None or difference.high is None or not isfinite(difference.worse_by):
        return "cannot be told"
    if difference.high < 0:
        return "better"
    return "worse" if difference.low > 0 else "no measurable difference"


def figure_of(report: ReplayReport, life: Life) -> str:
    """A life's figure to four digits; `not defined` where the metric is not (a ranking of one class only)."""
    return f"{life.value:.{_decimals(report)}f}" if isfinite(life.value) else "not defined"


def interval_of(report: ReplayReport, life: Life) -> str:
    """A life's interval, as digits; empty where too few days allow one."""
    if life.low is None or life.high is None:
        return ""
    return f"{life.low:.{_decimals(report)}f} to {life.high:.{_decimals(report)}f}"


def difference_of(report: ReplayReport, difference: Difference, than: str = "") -> str:
    """How the living model's figure differs from another life's, with unit and interval: `0.0126 lower (90 % interval:
    0.0105 to 0.0148 lower)`; `than` stands before the bracket.
    """
    if not isfinite(difference.worse_by):
        return "not defined"
    amounts = [difference.worse_by]
    if difference.low is not None and difference.high is not None:
        ends_of = (difference.low, difference.high)
        amounts += sorted(ends_of, key=abs) if verdict_on(difference) in ("better", "worse") else ends_of
    digits = decimals_of_span(*amounts[1:]) if len(amounts) > 1 else decimals_of(difference.worse_by)
    ways = [_way(report, one) for one in amounts]
    figure, *ends = (f"{abs(one):.{digits}f}" for one in amounts)
    if not ends:
        interval = "too few days for an interval"
    elif amounts[1] == amounts[2] == 0:
        interval = "the very same answers"
    elif ways[1] == ways[2]:
        interval = f"{100 * report.confidence:g} % interval: {ends[0]} to {ends[1]} {ways[1]}"
    else:
        interval = f"{100 * report.confidence:g} % interval: {ends[0]} {ways[1]} to {ends[1]} {ways[2]}"
    middle = f"{figure}{_unit(report)} {ways[0]}"
    return f"{middle} {than} ({interval})" if than else f"{middle} ({interval})"


def _retraining(report: ReplayReport) -> Claim:
    living, difference = report.lives[0], report.against(FROZEN)
    if living.trainings <= 1:
        return Claim(
            "cannot be told",
            "Whether retraining pays off this replay cannot tell: the policy saw no reason to train a second time.",
        )
    said = {
        "better": "Retraining paid off",
        "worse": "Retraining did harm",
        "no measurable difference": "Retraining made no measurable difference",
        "cannot be told": "Whether retraining paid off cannot be told",
    }[verdict_on(difference)]
    return Claim(
        verdict_on(difference),
        f"{said}: trained {living.trainings} times, the model has a {_metric(report)} "
        f"{difference_of(report, difference, 'than one never trained again')}.",
    )


def _baseline(report: ReplayReport) -> Claim:
    best = report.best_baseline
    if best is None:
        return Claim("cannot be told", "The model declares no baseline that it could be compared with.")
    difference = report.against(best.name)
    verdict = verdict_on(difference)
    name = (
        f"{'its baseline' if len(report.baselines) == 1 else 'the best of its baselines'}, {_declared_name(best.name)}"
    )
    said = {
        "better": f"The model beats {name}",
        "worse": f"The model is worse than {name}",
        "no measurable difference": f"The model does not measurably differ from {name}",
        "cannot be told": f"Whether the model beats {name}, cannot be told",
    }[verdict]
    return Claim(verdict, f"{said}: its {_metric(report)} is {difference_of(report, difference)}.")


def _every_step(report: ReplayReport) -> Claim:
    always, living, difference = report.lives[1], report.lives[0], report.against(ALWAYS)
    verdict = verdict_on(difference)
    said = {
        "better": "was better than",
        "worse": "was worse than",
        "no measurable difference": "did not measurably differ from",
        "cannot be told": "cannot be told apart from",
    }[verdict]
    times = f"{_times(living.trainings)} instead of {always.trainings}"
    differs = difference_of(report, difference)
    return Claim(
        verdict,
        f"Training when the policy asked ({times}) {said} training at every step: its {_metric(report)} is {differs}.",
    )


def _declared_name(life: str) -> str:
    return life.removeprefix(BASELINE).removeprefix("baseline_").replace("_", " ")


def _metric(report: ReplayReport) -> str:
    return WORDING[report.metric].name


def _unit(report: ReplayReport) -> str:
    unit = unit_of(report.label) if WORDING[report.metric].is_in_unit else None
    return f" {unit}" if unit else ""


def _way(report: ReplayReport, worse_by: float) -> str:
    return "lower" if (worse_by > 0) == METRICS[report.metric].higher_is_better else "higher"


def _decimals(report: ReplayReport) -> int:
    return decimals_of(report.lives[0].value)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
