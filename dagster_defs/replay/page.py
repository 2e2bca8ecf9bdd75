"""The page of a replay: figures, a picture, and each decision with its reasons, in one file that needs nothing else.

What belongs here: how it looks. What does not: any figure (`replay.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader

if TYPE_CHECKING:
    from dagster_defs.replay.replay import Life, ReplayReport

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 720, 280, 44, 12, 12, 28
COLOURS = {"living": "#4f43dd", "every step": "#1b9e77", "frozen": "#b0446e"}


def replay_page(reports: Sequence[ReplayReport]) -> str:
    """The whole page as HTML."""
    templates = Environment(loader=FileSystemLoader(Path(__file__).with_name("templates")), autoescape=True)
    return templates.get_template("replay.html.j2").render(
        reports=[{"report": one, "picture": _picture(one.lives, one.decisions)} for one in reports], colours=COLOURS
    )


def _picture(lives: Sequence[Life], decisions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Lines by week in the picture's own coordinates, the scale's marks, and where a training was decided."""
    days = sorted({day for life in lives for day, _ in life.by_week})
    values = [value for life in lives for _, value in life.by_week]
    if len(days) < 2:
        return {}
    low, high = min(values), max(values)
    spread = (high - low) or 1.0

    def across(day: str) -> float:
        place = sum(other < day for other in days)
        return round(_LEFT + place / (len(days) - 1) * (_WIDTH - _LEFT - _RIGHT), 1)

    def down(value: float) -> float:
        return round(_TOP + (high - value) / spread * (_HEIGHT - _TOP - _BOTTOM), 1)

    retrained = [one["as_of"][:10] for one in decisions if (one["kind"], one["verdict"]) == ("retraining", "retrain")]
    return {
        "width": _WIDTH,
        "height": _HEIGHT,
        "bottom": _HEIGHT - _BOTTOM,
        "left": _LEFT,
        "right": _WIDTH - _RIGHT,
        "lines": [
            {
                "name": life.name,
                "colour": COLOURS[life.name],
                "points": " ".join(f"{across(day)},{down(value)}" for day, value in life.by_week),
            }
            for life in lives
        ],
        "marks": [{"y": down(low + part * spread), "text": f"{low + part * spread:.2f}"} for part in (0, 0.5, 1)],
        "days": [{"x": across(day), "text": day[5:]} for day in days[:: max(1, len(days) // 6)]],
        "retrained": [across(day) for day in retrained],
    }
