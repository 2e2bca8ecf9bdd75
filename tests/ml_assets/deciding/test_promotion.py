"""The decision: each gate alone, on evidence written down by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from ml_assets.deciding.promotion import Decision, decide_promotion
from ml_assets.declaration.schema import Gates, Tolerance
from ml_assets.judging.evaluation import OVERALL, Comparison, Score
from ml_assets.judging.evidence import CHAMPION, Evidence
from tests.ml_assets.shop import AS_OF

SCHEMA = (("shop", "categorical"), ("price", "numeric"))
GATES = Gates(max_calibration_error=0.02, max_slice_regression=0.02, min_rows=500, min_slice_rows=200)


def against(subject: str, worse_by: float, low: float | None, high: float | None, **changes: Any) -> Comparison:
    return replace(Comparison(subject, OVERALL, "", "log_loss", worse_by, low, high, 5000), **changes)


def at_shop(worse_by: float, low: float, high: float, rows: int = 300) -> Comparison:
    return against(CHAMPION, worse_by, low, high, slice_name="shop", slice_value="kiosk", rows=rows)


def calibration(value: float, low: float | None, subject: str = "candidate") -> Score:
    return Score(subject, OVERALL, "", "calibration_error", value, low, value, 5000)


GOOD = Evidence(
    model="returns",
    version=7,
    metric="log_loss",
    as_of=AS_OF,
    window_start=AS_OF - timedelta(days=28),
    rows=5000,
    champion_version=6,
    champion_side="twin",
    champion_unusable=None,
    compared_from=AS_OF - timedelta(days=28),
    scores=(calibration(0.01, 0.004), Score(CHAMPION, OVERALL, "", "log_loss", 0.46, 0.45, 0.47, 5000)),
    comparisons=(
        against("rates", -0.05, -0.06, -0.04),
        against(CHAMPION, -0.001, -0.003, 0.001),
        at_shop(0.01, -0.01, 0.03),
    ),
    refit_loss=0.46,
    twin_loss=0.47,
    declared_schema=SCHEMA,
    fitted_schema=SCHEMA,
    latency_milliseconds=None,
    rolled_back=False,
)


def decide(gates: Gates = GATES, **changes: Any) -> Decision:
    return decide_promotion(replace(GOOD, **changes), gates)


def failed(decision: Decision) -> list[str]:
    return [reason.gate for reason in decision.failed]


def compared(*comparisons: Comparison) -> tuple[Comparison, ...]:
    return (GOOD.comparisons[0], *comparisons)


def test_a_candidate_that_passes_every_gate_is_promoted() -> None:
    decision = decide()
    assert decision.verdict == "promoted"
    assert [reason.gate for reason in decision.reasons] == [
        "enough_rows", "beats_rates", "against_champion", "slices", "calibration", "refit_consistent", "schema",
    ]  # fmt: skip
    assert all(reason.text.endswith(".") and not reason.text[0].islower() for reason in decision.reasons)


REJECTED = {
    "significantly worse than the champion": (
        {"comparisons": compared(against(CHAMPION, 0.004, 0.001, 0.007))},
        "against_champion",
    ),
    "worse on a window too noisy to notice": (
        {"comparisons": compared(against(CHAMPION, 0.01, -0.01, 0.03))},
        "against_champion",
    ),
    "worse on one slice only": ({"comparisons": compared(GOOD.comparisons[1], at_shop(0.05, 0.03, 0.07))}, "slices"),
    "not better than a baseline": (
        {"comparisons": (against("rates", 0.001, -0.01, 0.01), *GOOD.comparisons[1:])},
        "beats_rates",
    ),
    "surely miscalibrated": ({"scores": (calibration(0.04, 0.03),)}, "calibration"),
    "as miscalibrated as the champion": (
        {"scores": (calibration(0.04, 0.03), calibration(0.05, 0.03, CHAMPION))},
        "calibration",
    ),
    "a final model that disagrees with its twin": ({"refit_loss": 0.7}, "refit_consistent"),
    "other features than declared": ({"fitted_schema": (("shop", "categorical"),)}, "schema"),
    "too few rows": ({"rows": 499}, "enough_rows"),
    "nothing that both have not seen": ({"comparisons": compared()}, "against_champion"),
    "rolled back before": ({"rolled_back": True}, "not_rolled_back"),
}


@pytest.mark.parametrize(("changes", "gate"), REJECTED.values(), ids=REJECTED)
def test_a_candidate_is_rejected_for_one_reason(changes: dict[str, Any], gate: str) -> None:
    decision = decide(**changes)
    assert decision.verdict == "rejected"
    assert failed(decision) == [gate]


PROMOTED = {
    "worse, but not significantly, on a window that would have noticed": {
        "comparisons": compared(against(CHAMPION, 0.002, -0.001, 0.005))
    },
    "surely worse, by less than is borne": {"comparisons": compared(against(CHAMPION, 0.002, 0.001, 0.003))},
    "as good on a noisy window": {"comparisons": compared(against(CHAMPION, 0.0, -0.03, 0.03))},
    "worse on a slice of few rows": {"comparisons": compared(GOOD.comparisons[1], at_shop(0.05, 0.03, 0.07, rows=199))},
    "significantly worse on a slice, within the tolerance": {
        "comparisons": compared(GOOD.comparisons[1], at_shop(0.02, 0.01, 0.03))
    },
    "a calibration figure that may be noise": {"scores": (calibration(0.04, 0.01),)},
    "miscalibrated, but the champion surely more so": {
        "scores": (calibration(0.04, 0.03), calibration(0.09, 0.05, CHAMPION))
    },
    "no champion yet": {"champion_version": None, "comparisons": compared()},
    "a champion that cannot be asked": {"champion_unusable": "its file is gone", "comparisons": compared()},
}


@pytest.mark.parametrize("changes", PROMOTED.values(), ids=PROMOTED)
def test_a_candidate_is_promoted_though(changes: dict[str, Any]) -> None:
    assert decide(**changes).verdict == "promoted"


def test_the_first_champion_must_beat_the_baselines() -> None:
    decision = decide(champion_version=None, comparisons=(against("rates", 0.001, -0.01, 0.01),))
    assert failed(decision) == ["beats_rates"]


def test_a_gate_may_ask_for_proof() -> None:
    strict = GATES.model_copy(update={"beats_baselines": "significantly", "against_champion": "better"})
    assert failed(decide(strict)) == ["against_champion"]
    assert decide(strict, comparisons=compared(against(CHAMPION, -0.01, -0.02, -0.001))).verdict == "promoted"
    weak = (against("rates", -0.01, -0.03, 0.01), against(CHAMPION, -0.01, -0.02, -0.001))
    assert failed(decide(strict, comparisons=weak)) == ["beats_rates"]


def test_a_gate_that_is_switched_off_is_not_asked() -> None:
    off = Gates(beats_baselines=False, against_champion="none")
    worse = (against("rates", 1, 1, 1), against(CHAMPION, 1, 1, 1))
    assert decide(off, comparisons=worse, scores=()).verdict == "promoted"


@pytest.mark.parametrize(("measured", "verdict"), [(4.0, "promoted"), (6.0, "rejected"), (None, "rejected")])
def test_latency_counts_where_a_limit_is_declared(measured: float | None, verdict: str) -> None:
    assert (
        decide(GATES.model_copy(update={"max_latency_milliseconds": 5.0}), latency_milliseconds=measured).verdict
        == verdict
    )


def test_the_champion_itself_is_kept() -> None:
    assert decide(champion_version=7).verdict == "kept"


def test_without_an_interval_the_figure_itself_decides() -> None:
    assert failed(decide(comparisons=compared(against(CHAMPION, 0.004, None, None)))) == ["against_champion"]
    assert decide(comparisons=compared(against(CHAMPION, -0.004, None, None))).verdict == "promoted"


def test_reasons_speak_to_a_layman() -> None:
    texts = {reason.gate: reason.text for reason in decide().reasons}
    assert texts["beats_rates"] == "Better than rates: log_loss 0.0500 better (between +0.0400 and +0.0600)."
    assert texts["enough_rows"] == "5,000 decisions with a known outcome to judge by; at least 500 are asked for."
    slices = decide(comparisons=compared(GOOD.comparisons[1], at_shop(0.05, 0.03, 0.07))).failed[0].text
    assert slices.startswith("Where shop is kiosk (300 decisions) it is worse than champion 6: log_loss 0.0500 worse")


def test_the_reasons_say_what_the_window_would_notice() -> None:
    (reason,) = [one for one in decide().reasons if one.gate == "against_champion"]
    assert "at 0.9 confidence this window would notice a loss of 0.0020 or more" in reason.text
    assert (reason.figure, reason.threshold) == (0.001, pytest.approx(0.0046))
    noisy = decide(comparisons=compared(against(CHAMPION, -0.001, -0.021, 0.019)))
    (reason,) = [one for one in noisy.reasons if one.gate == "against_champion"]
    assert "would notice a loss of 0.0200 or more, more than the 0.0046 that is borne" in reason.text


def test_a_margin_may_be_an_amount_in_the_declared_metric() -> None:
    worse = compared(against(CHAMPION, 0.002, 0.001, 0.003))
    assert decide(GATES.model_copy(update={"margin": Tolerance(0.002)}), comparisons=worse).verdict == "rejected"
    assert decide(GATES.model_copy(update={"margin": Tolerance(0.003)}), comparisons=worse).verdict == "promoted"


def admitted(worse_by: float, error: float, seed: int) -> float:
    """The share of 400 candidates that are truly worse by so much and become champion, on windows so noisy."""
    chance = np.random.default_rng(seed)
    figures = chance.normal(worse_by, error, 400)
    made = [compared(against(CHAMPION, one, one - 1.645 * error, one + 1.645 * error)) for one in figures]
    return float(np.mean([decide(comparisons=one).verdict == "promoted" for one in made]))


def test_a_noisy_window_admits_no_really_worse_candidate_and_a_good_window_starves_nobody() -> None:
    """Without a margin a candidate worse by 0.02 on a window with a standard error of 0.02 passed 74 times in 100."""
    assert admitted(0.02, 0.02, seed=1) < 0.2
    assert admitted(0.0, 0.02, seed=2) > 0.4
    assert admitted(0.0, 0.001, seed=3) > 0.99
    assert admitted(0.02, 0.001, seed=4) == 0
