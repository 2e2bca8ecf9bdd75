"""The page of a replay: a conclusion, figures, pictures, and each decision with its reasons, in one file that needs
nothing else.

What belongs here: how it is put together; how it looks is in `templates/`. What does not: any figure (`lives.py`),
sentence (`conclusion.py`) or picture (`picture.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from dagster_defs.replay.conclusion import conclude, difference_of, figure_of, interval_of, name_of, verdict_on
from dagster_defs.replay.picture import course_pictures, difference_pictures, trainings_decided
from ml_assets.measuring.wording import WORDING, decimals_of, how_to_read, unit_of

if TYPE_CHECKING:
    from dagster_defs.replay.lives import Life, ReplayReport

SIGNS = {"better": "▲", "worse": "▼", "no measurable difference": "≈", "cannot be told": "?"}


def replay_page(reports: Sequence[ReplayReport]) -> str:
    """The whole page as HTML."""
    templates = Environment(loader=FileSystemLoader(Path(__file__).with_name("templates")), autoescape=True)
    return templates.get_template("replay.html.j2").render(entries=[_entry(one) for one in reports], signs=SIGNS)


def _entry(report: ReplayReport) -> dict[str, Any]:
    wording = WORDING[report.metric]
    unit = unit_of(report.label) if wording.is_in_unit else None
    pictures = [difference_pictures(report), course_pictures(report)]
    return {
        "report": report,
        "claims": conclude(report),
        "column": f"{wording.name}, {unit}" if unit else wording.name,
        "how_to_read": how_to_read(report.metric, report.label),
        "lives": [_row(report, life) for life in (*report.lives, *report.baselines)],
        "pictures": [
            {width: Markup(svg) for width, svg in drawn.items()}  # noqa: S704 (made here, its texts are escaped)
            for drawn in pictures
            if drawn
        ],
        "trainings_decided": len(trainings_decided(report)),
        **_windows(report),
    }


def _row(report: ReplayReport, life: Life) -> dict[str, Any]:
    difference = next((one for one in report.differences if one.against == life.name), None)
    return {
        "name": name_of(life.name),
        "figure": figure_of(report, life),
        "interval": interval_of(report, life),
        "trainings": life.trainings,
        "verdict": verdict_on(difference) if difference else None,
        "difference": difference_of(report, difference) if difference else "",
    }


def _windows(report: ReplayReport) -> dict[str, Any]:
    """The figures of the course as a table: a row a window, a column a life."""
    lives = (*report.lives, *report.baselines)
    if not lives:
        return {"columns": [], "windows": []}
    digits = decimals_of(lives[0].value)
    found = [dict(life.by_window) for life in lives]
    days = sorted({day for one in found for day in one})
    return {
        "columns": [name_of(life.name) for life in lives],
        "windows": [
            (day, [f"{one[day]:.{digits}f}" if isfinite(one.get(day, float("nan"))) else "" for one in found])
            for day in days
        ],
    }
