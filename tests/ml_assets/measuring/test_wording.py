"""Every metric has words, and says its direction and its unit."""

from __future__ import annotations

import pytest

from ml_assets.measuring.metrics import METRICS
from ml_assets.measuring.wording import WORDING, how_to_read


def test_every_metric_has_words() -> None:
    assert set(WORDING) == set(METRICS)


@pytest.mark.parametrize("metric", METRICS)
def test_how_to_read_says_which_way_is_better_and_in_what(metric: str) -> None:
    said = how_to_read(metric, "delay_minutes")
    assert said.endswith("Higher is better." if METRICS[metric].higher_is_better else "Lower is better.")
    assert ("in minutes" in said) == (METRICS[metric].task == "regression")


def test_a_label_that_names_no_unit_is_named_itself() -> None:
    assert "in the unit of spend_next_28d" in how_to_read("mae", "spend_next_28d")
