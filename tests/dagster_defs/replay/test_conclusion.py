"""What is concluded follows from the intervals: better, worse, no measurable difference, or nothing at all."""

from __future__ import annotations

import pytest

from dagster_defs.replay.conclusion import conclude, difference_of
from dagster_defs.replay.lives import Difference, Life
from tests.dagster_defs.replay.made_up import (
    BETTER,
    NEITHER,
    UNSURE,
    WORSE,
    Triple,
    nothing_judged,
    report,
)


@pytest.mark.parametrize(
    ("frozen", "verdict", "words"),
    [
        (
            BETTER,
            "better",
            "Retraining paid off: trained 5 times, the model has a log loss 0.0126 lower than one never",
        ),
        (WORSE, "worse", "Retraining did harm: trained 5 times, the model has a log loss 0.020 higher than one"),
        (NEITHER, "no measurable difference", "(90 % interval: 0.0020 lower to 0.0012 higher)"),
        (UNSURE, "cannot be told", "(too few days for an interval)"),
        ((float("nan"), None, None), "cannot be told", "not defined"),
    ],
)
def test_retraining_paid_off_only_if_the_interval_says_so(frozen: Triple, verdict: str, words: str) -> None:
    claim = conclude(report(frozen=frozen))[0]
    assert claim.verdict == verdict
    assert words in claim.text


@pytest.mark.parametrize(
    ("baseline", "words"),
    [
        (BETTER, "The model beats the best of its baselines, rates by shop: its log loss is 0.0126 lower"),
        (WORSE, "The model is worse than the best of its baselines, rates by shop: its log loss is 0.020 higher"),
        (NEITHER, "The model does not measurably differ from the best of its baselines, rates by shop"),
    ],
)
def test_the_model_is_held_against_its_best_baseline(baseline: Triple, words: str) -> None:
    assert words in conclude(report(baseline=baseline))[1].text


def test_what_was_trained_once_says_nothing_about_retraining() -> None:
    claim = conclude(report(trainings=1))[0]
    assert claim.verdict == "cannot be told"
    assert "no reason to train a second time" in claim.text


def test_without_a_baseline_that_is_said() -> None:
    assert conclude(report(baselines=()))[1].text == "The model declares no baseline that it could be compared with."


def test_where_nothing_was_judged_there_is_one_claim_and_it_says_why() -> None:
    (claim,) = conclude(nothing_judged())
    assert claim.text.startswith("Nothing can be concluded: returns: nothing to judge between")


def test_where_higher_is_better_a_better_model_is_higher() -> None:
    lives = report().lives
    ranking = report(metric="roc_auc", lives=lives)
    assert "ROC AUC 0.0126 higher than one never trained again" in conclude(ranking)[0].text
    assert ranking.best_baseline is not None
    assert ranking.best_baseline.value == 0.6


def test_an_amount_is_said_in_the_unit_that_the_label_names() -> None:
    minutes = report(metric="mae", label="delay_minutes", frozen=(-1.31, -1.9, -0.8))
    assert (
        "1.3 minutes lower than one never trained again (90 % interval: 0.8 to 1.9 lower)" in conclude(minutes)[0].text
    )


def test_equal_answers_are_called_equal() -> None:
    assert "the very same answers" in difference_of(report(), Difference("frozen", 0.0, 0.0, 0.0))


def test_a_life_that_could_not_be_measured_is_never_the_best_baseline() -> None:
    broken = Life("baseline: broken", 5, float("nan"), None, None, ())
    known = report()
    best = report(baselines=(broken, *known.baselines)).best_baseline
    assert best is not None
    assert best.name == "baseline: baseline_rates_by_shop"
