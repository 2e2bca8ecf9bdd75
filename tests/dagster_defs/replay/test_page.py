"""The page stands alone, says its conclusion, and its pictures carry every label."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from dagster_defs.replay.conclusion import conclude
from dagster_defs.replay.page import replay_page
from tests.dagster_defs.replay.made_up import nothing_judged, report


@pytest.fixture(scope="module")
def page() -> str:
    return replay_page([report()])


def pictures(page: str) -> list[str]:
    return re.findall(r"<svg.*?</svg>", page, re.DOTALL)


def texts(picture: str) -> list[str]:
    return re.findall(r'<text[^>]*opacity="1"[^>]*>([^<]*)</text>', picture)


def test_the_page_asks_for_nothing_from_elsewhere(page: str) -> None:
    assert not re.search(r"https?:|<script|<link|<img|@import|url\(", page)


def test_the_conclusion_stands_on_the_page(page: str) -> None:
    for claim in conclude(report()):
        assert claim.text in page


def test_each_picture_is_drawn_for_a_wide_and_a_narrow_page_and_scales(page: str) -> None:
    drawn = pictures(page)
    assert [re.search(r'viewBox="0 0 (\d+)', one)[1] for one in drawn] == ["720", "350", "720", "350"]  # type: ignore[index]
    assert all('role="img"' in one and "<desc>" in one for one in drawn)
    assert not any(re.search(r"<svg[^>]*(width|height)=", one) for one in drawn)


def test_the_course_names_every_life_its_metric_and_its_weeks(page: str) -> None:
    for picture in pictures(page)[2:]:
        shown = texts(picture)
        assert {
            "Log loss by week",
            "lower is better; ▾ a training was decided",
            "living: trained when its policy asked",
            "trained at every step",
            "frozen: never trained again",
            "baseline: rates by shop",
            "1 Apr",
        } <= set(shown)
        assert "…" not in "".join(shown)


def test_no_scale_has_more_than_seven_marks() -> None:
    differences, course = pictures(replay_page([report(windows=40)]))[::2]
    for picture in (differences, course):
        assert 3 <= len([one for one in texts(picture) if re.fullmatch(r"\W?\d+\.\d+", one)]) <= 7
    assert 3 <= len([one for one in texts(course) if re.fullmatch(r"\d+ [A-Z][a-z]{2}", one)]) <= 7


def test_figures_of_the_scales_are_whole(page: str) -> None:
    assert {"0.46", "0.47", "0.50"} <= set(texts(pictures(page)[2]))


def test_lives_are_told_apart_by_dash_as_well_as_by_colour(page: str) -> None:
    assert len(set(re.findall(r'stroke-dasharray="([^"]+)"', pictures(page)[2]))) == 4


def test_one_week_has_differences_and_no_course() -> None:
    page = replay_page([report(windows=1)])
    assert len(pictures(page)) == 2
    assert "Only one week had enough outcomes" in page


def test_nothing_judged_is_said_without_a_picture_or_a_table() -> None:
    page = replay_page([nothing_judged()])
    assert "Nothing can be concluded: returns: nothing to judge between" in page
    assert not pictures(page)
    assert "<table" not in page


def test_intervals_over_slow_outcomes_are_shown_with_a_caveat(page: str) -> None:
    assert "may be too narrow" not in page
    assert "Outcomes become known 28 days after a decision" in replay_page([report(outcome_days=28.0)])


def test_several_models_stand_on_one_page() -> None:
    page = replay_page([report(), report(model="refunds", title="Refunds", windows=1)])
    assert page.count("<h2") == 2
    assert page.count("<h1") == 1


def test_texts_of_a_declaration_are_escaped(page: str) -> None:
    assert "Returns &amp; refunds" in page


def test_whoever_draws_nothing_does_not_wait_for_the_charting_library() -> None:
    asked = (
        "import sys, dagster_defs.replay.page; print([one for one in ('altair', 'vl_convert') if one in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
