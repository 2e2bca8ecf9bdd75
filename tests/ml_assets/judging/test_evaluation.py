"""Figures by subject and slice, against computing them one by one."""

from __future__ import annotations

import numpy as np
import pytest

from ml_assets.declaration.model import ModelDeclaration
from ml_assets.fitting.splitting import known_by
from ml_assets.judging.evaluation import compare, score_subjects, slices_of
from ml_assets.lake.decision_rows import DecisionRows
from ml_assets.measuring.metrics import Floats, measure
from tests.ml_assets.shop import AS_OF


@pytest.fixture(scope="module")
def judged(rows: DecisionRows) -> DecisionRows:
    return known_by(rows, AS_OF)


@pytest.fixture(scope="module")
def answers(judged: DecisionRows) -> Floats:
    rng = np.random.default_rng(5)
    return np.clip(0.25 + 0.2 * (judged.label - 0.25) + rng.normal(0, 0.1, len(judged)), 0.01, 0.99)


def test_slices_are_all_rows_and_then_each_value(judged: DecisionRows) -> None:
    found = list(slices_of(judged, ["shop", "product"]))
    assert [(name, value) for name, value, _ in found] == [
        ("overall", ""), ("shop", "kiosk"), ("shop", "north"), ("shop", "south"), ("shop", "west"),
        ("product", "chair"), ("product", "desk"), ("product", "lamp"), ("product", "null"),
    ]  # fmt: skip
    assert sum(len(positions) for name, _, positions in found if name == "product") == len(judged)


def test_each_figure_is_that_of_its_slice(judged: DecisionRows, answers: Floats, declaration: ModelDeclaration) -> None:
    frame = judged.inputs.to_pandas()
    scores = score_subjects(judged, {"candidate": answers, "other": 1 - answers}, declaration)
    assert len(scores) == 5 * 2 * 5
    for score in scores:
        inside = (
            np.full(len(frame), True)
            if score.slice_name == "overall"
            else (frame["shop"] == score.slice_value).to_numpy()
        )
        prediction = answers if score.subject == "candidate" else 1 - answers
        assert score.value == pytest.approx(measure(score.metric, judged.label[inside], prediction[inside]), abs=1e-12)
        assert score.rows == inside.sum()
        assert score.low is not None
        assert score.high is not None


def test_the_same_rows_give_the_same_intervals(
    judged: DecisionRows, answers: Floats, declaration: ModelDeclaration
) -> None:
    assert score_subjects(judged, {"x": answers}, declaration) == score_subjects(judged, {"x": answers}, declaration)


def test_a_comparison_is_signed_so_that_positive_is_worse(
    judged: DecisionRows, answers: Floats, declaration: ModelDeclaration
) -> None:
    worse = np.clip(answers + 0.2, 0.01, 0.99)
    (overall, *slices) = compare(judged, worse, answers, declaration, against="champion", by_slice=True)
    assert overall.worse_by == pytest.approx(
        measure("log_loss", judged.label, worse) - measure("log_loss", judged.label, answers)
    )
    assert overall.low is not None
    assert overall.low > 0
    assert [one.slice_value for one in slices] == ["kiosk", "north", "south", "west"]
    assert len(compare(judged, worse, answers, declaration, against="x", by_slice=False)) == 1
