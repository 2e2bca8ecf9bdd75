"""May this candidate become champion? A pure function from evidence to a verdict with reasons.

What belongs here: the gates. What does not: gathering evidence (`judging/judge.py`), acting on a verdict
(`registry.py`).

The default is non-inferiority: a fresher model wins unless it is *shown* to be worse, because a gate that asks for
proof of superiority starves the model (docs/decisions). "Shown" means that the whole central interval of the paired
difference, at the declared confidence, lies on the bad side. The same holds for a slice beyond its tolerance and for
calibration beyond its limit: on a short window the figure itself is mostly noise, so the interval's lower end is what
must not exceed the limit.

But where a window is so noisy that a loss beyond the declared margin could pass unnoticed, "not shown to be worse" says
nothing, and the candidate must at least not be worse by the figure itself (`not_worse`; docs/decisions/0031).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

from ml_assets.deciding.reasons import Reason
from ml_assets.declaration.schema import Gates
from ml_assets.judging.evaluation import OVERALL, Comparison
from ml_assets.judging.evidence import CANDIDATE, CHAMPION, Evidence, ShadowEvidence

Verdict = Literal["promoted", "rejected", "in_shadow", "kept"]
# A challenger that leaves more of its decisions unanswered than this has failed in shadow.
MOST_MISSED = 0.01


@dataclass(frozen=True)
class Decision:
    """The verdict and every gate's answer, in the order in which they were asked."""

    verdict: Verdict
    reasons: tuple[Reason, ...]

    @property
    def failed(self) -> tuple[Reason, ...]:
        return tuple(reason for reason in self.reasons if not reason.passed)


def decide_promotion(evidence: Evidence, gates: Gates) -> Decision:
    """`promoted` if every gate holds, `in_shadow` if only time is missing that it must answer beside the champion for,
    `kept` if the version is the champion already, else `rejected`.
    """
    if evidence.champion_version == evidence.version:
        return Decision(
            "kept", (Reason("is_champion", True, None, None, f"Version {evidence.version} is the champion already."),)
        )
    reasons = [reason for gate in _GATES for reason in gate(evidence, gates)]
    if not all(reason.passed for reason in reasons):
        return Decision("rejected", tuple(reasons))
    if gates.shadow is None or evidence.champion_version is None or evidence.champion_unusable:
        return Decision("promoted", tuple(reasons))
    waits = _waits_in_shadow(evidence, gates, gates.shadow)
    if waits is not None:
        return Decision("in_shadow", (*reasons, waits))
    reasons += _did_well_in_shadow(evidence, gates)
    return Decision("promoted" if all(reason.passed for reason in reasons) else "rejected", tuple(reasons))


def _enough_rows(evidence: Evidence, gates: Gates) -> Iterable[Reason]:
    passed = evidence.rows >= gates.min_rows
    text = f"{evidence.rows:,} decisions with a known outcome to judge by; at least {gates.min_rows:,} are asked for."
    yield Reason("enough_rows", passed, evidence.rows, gates.min_rows, text)


def _not_rolled_back(evidence: Evidence, _: Gates) -> Iterable[Reason]:
    if evidence.rolled_back:
        yield Reason(
            "not_rolled_back",
            False,
            None,
            None,
            f"Version {evidence.version} was champion and was taken back; it does not return by itself.",
        )


def _beats_baselines(evidence: Evidence, gates: Gates) -> Iterable[Reason]:
    if gates.beats_baselines is False:
        return
    for difference in evidence.comparisons:
        if difference.against == CHAMPION or difference.slice_name != OVERALL:
            continue
        figure = difference.high if gates.beats_baselines == "significantly" else difference.worse_by
        passed = figure is not None and figure < 0
        how = "significantly better" if gates.beats_baselines == "significantly" else "better"
        text = f"{'' if passed else 'Not '}{how} than {difference.against}: {evidence.metric} {_by(difference)}."
        yield Reason(f"beats_{difference.against}", passed, figure, 0.0, _sentence(text))


def _against_champion(evidence: Evidence, gates: Gates) -> Iterable[Reason]:
    if evidence.champion_version is None:
        yield Reason("against_champion", True, None, None, "There is no champion yet; beating the baselines is enough.")
        return
    if evidence.champion_unusable:
        text = f"Champion {evidence.champion_version} cannot be asked any more: {evidence.champion_unusable}"
        yield Reason("against_champion", True, None, None, text)
        return
    if gates.against_champion == "none":
        return
    difference = _difference(evidence, OVERALL)
    if difference is None or difference.rows < gates.min_rows:
        rows = 0 if difference is None else difference.rows
        text = f"Only {rows:,} decisions are unseen by it and by the champion; {gates.min_rows:,} are asked for."
        yield Reason("against_champion", False, rows, gates.min_rows, text)
    elif gates.against_champion == "better":
        passed = difference.high is not None and difference.high < 0
        text = f"{'S' if passed else 'Not s'}ignificantly better than champion {_against(evidence, difference)}."
        yield Reason("against_champion", passed, difference.high, 0.0, text)
    else:
        yield not_worse("against_champion", difference, evidence.champion_version, _champion_figure(evidence), gates)


def not_worse(
    gate: str, difference: Comparison, champion: int, figure: float | None, gates: Gates, *, passed_before: bool = False
) -> Reason:
    """Non-inferiority with a margin: surely worse by no more than the margin passes, surely worse otherwise fails. In
    between it passes if the window would have noticed a loss as large as the margin, else by the figure itself.

    Args:
        figure: the champion's own metric on the same rows, beside which a margin that is a share is read.
        passed_before: whether the candidate has passed this gate on a longer window; a noisy one then only has to show
            no loss.
    """
    margin = gates.margin.beside(figure or 0.0)
    against = f"champion {champion}: {difference.metric} {_by(difference)}"
    low, high = difference.low, difference.high
    if low is None or high is None:
        worse = difference.worse_by > 0
        text = f"{'W' if worse else 'Not w'}orse than {against}; there are too few days to say how surely."
        return Reason(gate, not worse, difference.worse_by, 0.0, text)
    notices = (high - low) / 2
    power = f"at {gates.confidence:.3g} confidence this window would notice a loss of {notices:.4f} or more"
    if high <= margin:
        text = f"Surely not worse by more than the {margin:.4f} that is borne than {against}; {power}."
        return Reason(gate, True, high, margin, text)
    if low > 0 or notices <= margin or passed_before:
        text = f"{'S' if low > 0 else 'Not s'}ignificantly worse than {against}; {power}, and {margin:.4f} is borne."
        return Reason(gate, low <= 0, low, 0.0, text)
    worse = difference.worse_by > 0
    text = (
        f"{'W' if worse else 'Not w'}orse than {against}; {power}, more than the {margin:.4f} that is borne, so the "
        "figure itself decides."
    )
    return Reason(gate, not worse, difference.worse_by, 0.0, text)


def _champion_figure(evidence: Evidence) -> float | None:
    wanted = (CHAMPION, OVERALL, evidence.metric)
    return next((one.value for one in evidence.scores if (one.subject, one.slice_name, one.metric) == wanted), None)


def _slices(evidence: Evidence, gates: Gates) -> Iterable[Reason]:
    if gates.max_slice_regression is None or evidence.champion_version is None or evidence.champion_unusable:
        return
    compared = [
        one
        for one in evidence.comparisons
        if one.against == CHAMPION
        and one.slice_name != OVERALL
        and one.rows >= gates.min_slice_rows
        and one.low is not None
    ]
    worst = sorted(compared, key=lambda one: one.low or 0.0, reverse=True)
    failing = [one for one in worst if (one.low or 0.0) > gates.max_slice_regression]
    for one in failing:
        where = f"Where {one.slice_name} is {one.slice_value} ({one.rows:,} decisions)"
        text = f"{where} it is worse than champion {_against(evidence, one)}, beyond the tolerance."
        yield Reason("slices", False, one.low, gates.max_slice_regression, text)
    if not failing:
        figure = worst[0].low if worst else None
        yield Reason(
            "slices",
            True,
            figure,
            gates.max_slice_regression,
            f"On none of {len(compared)} slices is it worse than the champion beyond the tolerance.",
        )


def _calibrated(evidence: Evidence, gates: Gates) -> Iterable[Reason]:
    """Calibrated, or at least surely better calibrated than what predicts now, which a rejection would keep."""
    if gates.max_calibration_error is None:
        return
    scores = {
        score.subject: score
        for score in evidence.scores
        if (score.slice_name, score.metric) == (OVERALL, "calibration_error")
    }
    score, champion = scores.get(CANDIDATE), scores.get(CHAMPION)
    if score is None:
        return
    figure = score.value if score.low is None else score.low
    passed = figure <= gates.max_calibration_error
    sure = "" if score.low is None else f" (surely above {score.low:.4f})"
    text = (
        f"Its probabilities are off by {score.value:.4f} on average{sure}; {gates.max_calibration_error:.4f} is allowed"
    )
    if not passed and champion is not None and champion.low is not None and champion.low > score.value:
        passed = True
        text += f". But those of the champion that it would replace are off by {champion.value:.4f}"
    yield Reason("calibration", passed, figure, gates.max_calibration_error, text + ".")


def _refit_consistent(evidence: Evidence, gates: Gates) -> Iterable[Reason]:
    limit = evidence.twin_loss + gates.max_refit_regression * abs(evidence.twin_loss)
    passed = evidence.refit_loss <= limit
    serving, judged = abs(evidence.refit_loss), abs(evidence.twin_loss)
    text = f"On the window the model that would serve has {evidence.metric} {serving:.4f}, its judged twin {judged:.4f}"
    yield Reason(
        "refit_consistent",
        passed,
        evidence.refit_loss,
        limit,
        text + ("." if passed else "; they should agree, so something went wrong in the last fit."),
    )


def _schema(evidence: Evidence, _: Gates) -> Iterable[Reason]:
    declared, fitted = set(evidence.declared_schema), set(evidence.fitted_schema)
    passed = evidence.declared_schema == evidence.fitted_schema
    changed = sorted({name for name, _ in declared ^ fitted})
    text = (
        f"It takes the {len(declared)} declared features."
        if passed
        else f"It takes other features than are declared: {', '.join(changed) or 'the order differs'}."
    )
    yield Reason("schema", passed, float(len(changed)), 0.0, text)


def _latency(evidence: Evidence, gates: Gates) -> Iterable[Reason]:
    if gates.max_latency_milliseconds is None:
        return
    figure = evidence.latency_milliseconds
    passed = figure is not None and figure <= gates.max_latency_milliseconds
    text = (
        "Its speed was not measured."
        if figure is None
        else f"One prediction takes {figure:.2f} ms; {gates.max_latency_milliseconds:g} ms are allowed."
    )
    yield Reason("latency", passed, figure, gates.max_latency_milliseconds, text)


def _waits_in_shadow(evidence: Evidence, gates: Gates, span: timedelta) -> Reason | None:
    """None once it has served the declared time and enough outcomes of that are known."""
    shadow = evidence.shadow or ShadowEvidence(evidence.as_of, timedelta(0))
    if shadow.champion_unusable:
        return None
    day = timedelta(days=1)
    if shadow.served < span:
        before = f" It takes the place of version {shadow.takes_place_of}." if shadow.takes_place_of else ""
        text = (
            f"It answers beside champion {evidence.champion_version} until {shadow.since + span:%Y-%m-%d %H:%M} UTC "
            f"before it may win; {max(shadow.served / day, 0.0):.1f} of {span / day:g} days have passed.{before}"
        )
        return Reason("shadow", False, round(shadow.served / day, 2), span / day, text)
    if shadow.awaited is not None and shadow.awaited < shadow.since + span:
        text = (
            f"Its {span / day:g} days beside champion {evidence.champion_version} have passed; the outcomes of "
            f"{shadow.awaited:%Y-%m-%d} are not all known yet, and the first known are not like the rest."
        )
        return Reason("shadow", False, None, None, text)
    known = shadow.rows + shadow.missed
    if known < gates.min_rows:
        text = f"{known:,} decisions of its time in shadow have a known outcome; {gates.min_rows:,} are asked for."
        return Reason("shadow", False, known, gates.min_rows, text)
    return None


def _did_well_in_shadow(evidence: Evidence, gates: Gates) -> list[Reason]:
    shadow, champion = evidence.shadow, evidence.champion_version
    assert shadow is not None
    assert champion is not None
    asked = shadow.rows + shadow.missed
    missed = shadow.missed / asked if asked else 0.0
    answers = missed <= MOST_MISSED and not shadow.problem
    text = f"In shadow it left {shadow.missed:,} of {asked:,} decisions unanswered."
    if shadow.problem:
        text += f" It cannot answer: {shadow.problem}"
    reasons = [Reason("shadow_answers", answers, round(missed, 4), MOST_MISSED, text)]
    if shadow.champion_unusable:
        text = f"Champion {evidence.champion_version} cannot answer any more: {shadow.champion_unusable}"
        reasons.append(Reason("shadow", True, None, None, text))
    elif shadow.worse_by is not None:
        interval = (shadow.worse_by, shadow.low, shadow.high, shadow.rows)
        difference = Comparison(CHAMPION, OVERALL, "", evidence.metric, *interval)
        reason = not_worse("shadow", difference, champion, shadow.champion_figure, gates, passed_before=True)
        text = f"On the {shadow.rows:,} decisions of {shadow.days} complete days that both answered in its time: "
        reasons.append(replace(reason, text=text + reason.text[0].lower() + reason.text[1:]))
    return reasons


_GATES: tuple[Callable[[Evidence, Gates], Iterable[Reason]], ...] = (
    _enough_rows,
    _not_rolled_back,
    _beats_baselines,
    _against_champion,
    _slices,
    _calibrated,
    _refit_consistent,
    _schema,
    _latency,
)


def _difference(evidence: Evidence, slice_name: str) -> Comparison | None:
    return next((one for one in evidence.comparisons if one.against == CHAMPION and one.slice_name == slice_name), None)


def _against(evidence: Evidence, difference: Comparison) -> str:
    return f"{evidence.champion_version}: {evidence.metric} {_by(difference)}"


def _by(difference: Comparison) -> str:
    direction = "worse" if difference.worse_by > 0 else "better"
    interval = (
        ""
        if difference.low is None or difference.high is None
        else f" (between {-difference.high:+.4f} and {-difference.low:+.4f})"
    )
    return f"{abs(difference.worse_by):.4f} {direction}{interval}"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]
