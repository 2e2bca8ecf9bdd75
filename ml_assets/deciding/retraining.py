"""Is a new candidate worth its cost? A pure function from evidence to a verdict with reasons.

What belongs here: signals, and what holds them back. What does not: gathering evidence
(`observing/health.py`), training.

A signal says that a champion may have become worse than a new one would be; each is declared, and each answers with its
figure and its threshold. One bad window is no signal: drift, performance and calibration must be over their threshold
in the newest window and in as many of the last ones as is declared (`windows: 2 of 5`). The newest window must also be
recent: what is older than the domain's cadence explains says nothing about today. Raw drift of single features is no
signal at all, as seasons make it every month: a feature counts by how much the model relies on it.

What holds a signal back: data that failed its checks, a cooldown since the last training, a compute budget. Where no
cooldown is declared, one window of the domain must pass after a candidate that did not become champion. A change of
declaration or code is nobody's drift and waits for no cooldown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from ml_assets.deciding.reasons import Reason
from ml_assets.declaration.schema import Retraining, Windows
from ml_assets.lake.ledger import Spending
from ml_assets.measuring.windows import LONGEST, Window, moved, window_start

Verdict = Literal["retrain", "held_back", "not_needed"]


@dataclass(frozen=True)
class HealthWindow:
    """One window of a champion's life, from `start` (UTC) on; None is what is not known (yet).

    `loss` is the declared metric as a loss (lower is better) over the decisions whose outcome is known, `expected_loss`
    what it would be if every probability were right, `worse_by` how much of the loss is not explained by a hard window
    (see `health.worse_than_promised`). `calibration_error` is in the unit of the label. `drift` is the population
    stability index averaged over the features by the model's reliance on each, `prediction_drift` that of the
    predictions.
    """

    start: datetime
    decisions: int
    outcomes: int
    loss: float | None
    expected_loss: float | None
    worse_by: float | None
    calibration_error: float | None
    drift: float | None
    prediction_drift: float | None


@dataclass(frozen=True)
class HealthEvidence:
    """All that a decision about retraining may rest on.

    `as_of` is the data's watermark, `newest_label` the latest label known by then; `trained_through` the newest
    training's own watermark, whether or not it became champion. `learned_version` is whose labels' age counts: the
    newest version, or the champion where the newest was taken back; `learned_through` is the newest label that it has
    really learned. `windows` are the champion's, oldest first, whole windows of the domain's `window` only;
    `outcome_delay` is how long outcomes usually take to become known. `spent_cpu_seconds` is what trainings within the
    budget's span have cost, `spending` what all runs have. `in_shadow` is the version that answers beside the champion
    and is to be decided on first, but waited for no longer than until `shadow_until`, if that is said. `failed_checks`
    are the blocking checks upstream whose latest answer is no.
    """

    model: str
    metric: str
    as_of: datetime
    newest_label: datetime | None
    champion_version: int | None
    champion_trained_through: datetime | None
    newest_version: int | None
    trained_through: datetime | None
    changed: tuple[str, ...]
    windows: tuple[HealthWindow, ...]
    spent_cpu_seconds: float
    failed_checks: tuple[str, ...]
    spending: Spending | None = None
    in_shadow: int | None = None
    shadow_until: datetime | None = None
    learned_version: int | None = None
    learned_through: datetime | None = None
    window: Window = "week"
    outcome_delay: timedelta = timedelta(0)


@dataclass(frozen=True)
class RetrainingDecision:
    """The verdict and every signal's answer; `passed` of a signal says that all is well with it."""

    verdict: Verdict
    reasons: tuple[Reason, ...]

    @property
    def signals(self) -> tuple[str, ...]:
        """The names of the signals that ask for a training."""
        return tuple(reason.gate for reason in self.reasons if not reason.passed and reason.gate not in HOLDS)


HOLDS = ("data_passed", "cooldown", "budget", "compute_budget", "in_shadow")
# These wait for nothing that only takes time: no later window could say anything else.
_URGENT = ("has_champion", "unchanged")
_WAITING = ("cooldown", "in_shadow")


def decide_retraining(evidence: HealthEvidence, policy: Retraining) -> RetrainingDecision:
    """`retrain` if a signal asks for it and nothing holds it back, `held_back` if something does, else `not_needed`."""
    signals = [reason for signal in _SIGNALS for reason in signal(evidence, policy)]
    asked = [reason.gate for reason in signals if not reason.passed]
    holds = [reason for hold in _HOLDS for reason in hold(evidence, policy)] if asked else []
    if any(gate in _URGENT for gate in asked):
        holds = [reason for reason in holds if reason.gate not in _WAITING]
    verdict: Verdict = "not_needed"
    if asked:
        verdict = "retrain" if all(reason.passed for reason in holds) else "held_back"
    return RetrainingDecision(verdict, (*signals, *holds))


# --- signals


def _has_champion(evidence: HealthEvidence, _: Retraining) -> Iterable[Reason]:
    if evidence.champion_version is None and evidence.newest_version is None:
        yield Reason("has_champion", False, None, None, "There is no model yet.")


def _tries_again(evidence: HealthEvidence, _: Retraining) -> Iterable[Reason]:
    """Without a champion every new label is worth a try, once the last try is long enough ago."""
    newest, trained = evidence.newest_label, evidence.trained_through
    if evidence.champion_version is None and trained is not None and newest is not None:
        text = f"There is no champion, as version {evidence.newest_version} did not become one; "
        text += "labels have become known since." if newest > trained else "no label has become known since."
        yield Reason("tries_again", newest <= trained, None, None, text)


def _unchanged(evidence: HealthEvidence, _: Retraining) -> Iterable[Reason]:
    if evidence.changed:
        text = f"Since version {evidence.newest_version} was trained, {_and(evidence.changed)} changed."
        yield Reason("unchanged", False, None, None, text)


def _label_age(evidence: HealthEvidence, policy: Retraining) -> Iterable[Reason]:
    limit = policy.max_label_age
    if limit is None or evidence.learned_through is None or evidence.newest_label is None:
        return
    age = evidence.newest_label - evidence.learned_through
    text = (
        f"Labels are known {_days(age)} beyond the newest that version {evidence.learned_version} has learned from; "
        f"{_days(limit)} {'is' if limit == timedelta(days=1) else 'are'} allowed."
    )
    yield Reason("label_age", age < limit, _in_days(age), _in_days(limit), text)


def _drift(evidence: HealthEvidence, policy: Retraining) -> Iterable[Reason]:
    if policy.drift is None:
        return
    weighted = "weighted by what the model relies on" if policy.drift.weighted_by == "importance" else "on average"
    yield from _confirmed(
        "drift",
        f"Features have drifted from those it was trained on, {weighted}",
        "population stability index",
        _figures(evidence, "drift", policy.drift.windows),
        evidence.window,
        policy.drift.population_stability,
        policy.drift.windows,
    )


def _prediction_drift(evidence: HealthEvidence, policy: Retraining) -> Iterable[Reason]:
    if policy.drift is None or policy.drift.predictions is None:
        return
    yield from _confirmed(
        "prediction_drift",
        "Predictions have drifted from those it was judged by",
        "population stability index",
        _figures(evidence, "prediction_drift", policy.drift.windows),
        evidence.window,
        policy.drift.predictions,
        policy.drift.windows,
    )


def _performance(evidence: HealthEvidence, policy: Retraining) -> Iterable[Reason]:
    if policy.performance is None:
        return
    yield from _confirmed(
        "performance",
        f"{evidence.metric} is worse than promised when it was judged",
        "worse by",
        _figures(evidence, "worse_by", policy.performance.windows, evidence.outcome_delay),
        evidence.window,
        policy.performance.worse_by,
        policy.performance.windows,
    )


def _calibration(evidence: HealthEvidence, policy: Retraining) -> Iterable[Reason]:
    if policy.performance is None or policy.performance.max_calibration_error is None:
        return
    yield from _confirmed(
        "calibration",
        "What it predicts and what happens have come apart",
        "calibration error",
        _figures(evidence, "calibration_error", policy.performance.windows, evidence.outcome_delay),
        evidence.window,
        policy.performance.max_calibration_error,
        policy.performance.windows,
    )


def _figures(
    evidence: HealthEvidence, name: str, windows: Windows, delay: timedelta = timedelta(0)
) -> list[float] | None:
    """A figure in the newest windows that have one; None if the newest of these is not recent.

    Recent is a window that ended within the last one, or so much earlier as its outcomes take.
    """
    known = [(one.start, getattr(one, name)) for one in evidence.windows if getattr(one, name) is not None]
    if not known:
        return []
    reach = window_start(evidence.as_of - delay, evidence.window)
    if known[-1][0] < moved(reach, evidence.window, -2):
        return None
    oldest = moved(reach, evidence.window, -(windows.of + 1))
    return [figure for start, figure in known[-windows.of :] if start >= oldest]


def _confirmed(
    gate: str,
    claim: str,
    unit: str,
    known: Sequence[float] | None,
    window: Window,
    threshold: float,
    windows: Windows,
) -> Iterable[Reason]:
    """Over the threshold in the newest window and in as many of the last ones as is declared; windows without a figure
    do not count.
    """
    if known is None:
        text = f"The newest {window} that can be judged is too long ago to say how it does now."
        yield Reason(gate, True, None, threshold, text)
    if not known:
        return
    over = sum(figure > threshold for figure in known)
    fires = known[-1] > threshold and over >= windows.needed
    tale = f"{unit} {known[-1]:.4f} in the newest {window}, and above {threshold:g} in {over} of the last {len(known)}"
    text = (
        f"{claim}: {tale}."
        if fires
        else f"Within bounds: {tale}; {windows.needed} are asked for, the newest among them."
    )
    yield Reason(gate, not fires, known[-1], threshold, text)


# --- what holds a signal back


def _data_passed(evidence: HealthEvidence, _: Retraining) -> Iterable[Reason]:
    if evidence.failed_checks:
        failed = _and(evidence.failed_checks[:3])
        more = f" and {len(evidence.failed_checks) - 3} more" if len(evidence.failed_checks) > 3 else ""
        yield Reason(
            "data_passed",
            False,
            len(evidence.failed_checks),
            0,
            f"The data failed {failed}{more}: nothing learns from it.",
        )


def _cooldown(evidence: HealthEvidence, policy: Retraining) -> Iterable[Reason]:
    if evidence.trained_through is None:
        return
    since = evidence.as_of - evidence.trained_through
    if policy.cooldown is not None:
        text = f"The last training was {_days(since)} ago; {_days(policy.cooldown)} must pass between two."
        yield Reason("cooldown", since >= policy.cooldown, _in_days(since), _in_days(policy.cooldown), text)
    elif evidence.newest_version != evidence.champion_version:
        backoff = LONGEST[evidence.window]
        text = (
            f"Version {evidence.newest_version} was trained {_days(since)} ago and is not champion; where no cooldown "
            f"is declared, {_days(backoff)} must pass before the next try."
        )
        yield Reason("cooldown", since >= backoff, _in_days(since), _in_days(backoff), text)


def _budget(evidence: HealthEvidence, policy: Retraining) -> Iterable[Reason]:
    if policy.budget is None:
        return
    spent, limit = evidence.spent_cpu_seconds, policy.budget.cpu_seconds
    text = (
        f"Trainings have cost {spent:,.0f} CPU seconds within {_days(policy.budget.within)}; {limit:,.0f} are allowed."
    )
    yield Reason("budget", spent < limit, round(spent, 1), limit, text)


def _compute_budget(evidence: HealthEvidence, _: Retraining) -> Iterable[Reason]:
    spending = evidence.spending
    if spending is not None:
        spent = round(spending.spent, 1)
        yield Reason("compute_budget", spending.state != "used_up", spent, spending.limit, spending.text)


def _in_shadow(evidence: HealthEvidence, _: Retraining) -> Iterable[Reason]:
    if evidence.in_shadow is not None:
        until = evidence.shadow_until
        at_most = f", but waited for no longer than until {until:%Y-%m-%d %H:%M} UTC" if until else ""
        text = f"Version {evidence.in_shadow} answers in shadow; it is decided on before another is trained{at_most}."
        yield Reason("in_shadow", until is not None and evidence.as_of >= until, None, None, text)


# --- words


def _in_days(span: timedelta) -> float:
    return round(span / timedelta(days=1), 2)


def _days(span: timedelta) -> str:
    days = span / timedelta(days=1)
    return f"{days:.0f} day{'' if round(days) == 1 else 's'}" if abs(days - round(days)) < 0.05 else f"{days:.1f} days"


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


Signal = Callable[[HealthEvidence, Retraining], Iterable[Reason]]
_SIGNALS: tuple[Signal, ...] = (
    _has_champion,
    _tries_again,
    _unchanged,
    _label_age,
    _drift,
    _prediction_drift,
    _performance,
    _calibration,
)
_HOLDS: tuple[Signal, ...] = (_data_passed, _cooldown, _budget, _compute_budget, _in_shadow)
