"""The pictures of a replay's page, as SVG that stands in the page's own text: no script, no file, no request.

What belongs here: what is drawn, and how. What does not: any figure (`lives.py`) or sentence (`conclusion.py`), and any
colour: pictures name the page's CSS variables, so that one picture serves dark and light.

The charting library is imported when a picture is drawn; it takes half a second.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from math import isfinite
from typing import Any

from dagster_defs.replay.conclusion import name_of
from dagster_defs.replay.lives import ALWAYS, FROZEN, LIVING, ReplayReport
from ml_assets.measuring.metrics import METRICS
from ml_assets.measuring.wording import WORDING, unit_of

# Both are drawn, the page shows the one that fits: a picture made smaller would have letters too small to read.
WIDTHS: Mapping[str, int] = {"wide": 720, "narrow": 350}
MOST_TICKS = 6
_HEIGHT = 380
_ROW = 46
# Told apart by dash as well as by colour.
_DASHES = {LIVING: [1, 0], ALWAYS: [8, 3], FROZEN: [3, 3], "baseline": [1, 4]}
_COLOURS = {LIVING: "var(--living)", ALWAYS: "var(--always)", FROZEN: "var(--frozen)", "baseline": "var(--baseline)"}
_DECIMALS = re.compile(r"(\.\d)\d+")  # a tenth of a pixel is enough
_INK, _SOFT, _LINE, _PAPER = "var(--ink)", "var(--soft)", "var(--line)", "var(--paper)"


def course_pictures(report: ReplayReport) -> dict[str, str]:
    """The declared metric window by window, a line a life and one for the best baseline, by name of the width; none if
    fewer than two windows could be measured.
    """
    best = report.best_baseline
    lines = [(life.name, life) for life in report.lives] + ([("baseline", best)] if best else [])
    drawn = [
        {
            "life": name_of(life.name),
            "at": _milliseconds(day),
            "value": value,
        }
        for _, life in lines  # what is dashed is drawn later: what lies below shows through
        for day, value in life.by_window
        if isfinite(value)
    ]
    days = sorted({point["at"] for point in drawn})
    if len(days) < 2:
        return {}
    names = [name_of(life.name) for _, life in lines]
    colours, dashes = [_COLOURS[key] for key, _ in lines], [_DASHES[key] for key, _ in lines]
    trained = [{"at": _milliseconds(day)} for day in trainings_decided(report)]
    metric = _metric_title(report)
    told = f"{metric} by {report.window}: {'; '.join(names)}. Triangles: {len(trained)} trainings were decided."

    def draw(alt: Any, width: int) -> Any:
        within = [min([days[0], *(one["at"] for one in trained)]), max([days[-1], *(one["at"] for one in trained)])]
        across = alt.X(
            "at:T",
            scale=alt.Scale(type="utc", domain=within, nice=False),
            axis=alt.Axis(values=_some(days, MOST_TICKS if width > 500 else 4), format="%-d %b", labelOverlap=False),
            title=f"{report.window} beginning" if report.window != "day" else "day",
        )
        lines = (
            alt.Chart(alt.Data(values=drawn))
            .mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=22))
            .encode(
                x=across,
                y=alt.Y("value:Q", scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=5, title=None)),
                color=alt.Color("life:N", scale=alt.Scale(domain=names, range=colours), legend=_legend(alt)),
                strokeDash=alt.StrokeDash("life:N", scale=alt.Scale(domain=names, range=dashes)),
            )
        )
        marks = alt.Chart(alt.Data(values=trained)).encode(x=across)
        layers = [
            marks.mark_rule(color=_INK, opacity=0.25),
            marks.mark_point(shape="triangle-down", color=_INK, fill=_INK, size=40, opacity=1).encode(y=alt.value(0)),
            lines,
        ]
        return alt.layer(*(layers if trained else [lines])).properties(
            height=_HEIGHT, title=_title(alt, f"{metric} by {report.window}", _how(report))
        )

    return {name: _svg(draw, width, f"{metric} by {report.window}", told) for name, width in WIDTHS.items()}


def difference_pictures(report: ReplayReport) -> dict[str, str]:
    """How much better the living model was than each other life and the best baseline, with intervals, by name of the
    width.
    """
    best = report.best_baseline
    shown = {ALWAYS, FROZEN, best.name if best else ""}
    rows = [
        {
            "life": name_of(one.against),
            "by": -one.worse_by,
            "low": -one.worse_by if one.high is None else -one.high,
            "high": -one.worse_by if one.low is None else -one.low,
        }
        for one in report.differences
        if isfinite(one.worse_by) and one.against in shown
    ]
    if not rows:
        return {}
    title = "How much better the living model was"
    how = f"{_metric_title(report)}{_unit(report)}, {100 * report.confidence:g} % intervals"
    told = f"{how}: than {', '.join(str(row['life']) for row in rows)}. Left of zero it was worse."

    def draw(alt: Any, width: int) -> Any:
        base = alt.Chart(alt.Data(values=rows)).encode(y=alt.Y("life:N", sort=None, axis=None))
        bound = alt.X("low:Q", axis=alt.Axis(tickCount=4 if width > 500 else 3), title="← worse · better →")
        zero = alt.Chart(alt.Data(values=[{"zero": 0}])).mark_rule(color=_INK, strokeWidth=1.5).encode(x="zero:Q")
        names = base.encode(x=alt.value(4), text=alt.Text("life:N"))
        text: dict[str, Any] = {"align": "left", "dy": -14, "fontSize": 13}
        return alt.layer(
            zero,
            base.mark_rule(color=_COLOURS[LIVING], strokeWidth=3).encode(x=bound, x2="high:Q"),
            base.mark_point(color=_COLOURS[LIVING], fill=_COLOURS[LIVING], size=70, opacity=1).encode(x="by:Q"),
            names.mark_text(**text, stroke=_PAPER, strokeWidth=5),
            names.mark_text(**text, color=_INK),
        ).properties(height=90 + _ROW * len(rows), title=_title(alt, title, how))

    return {name: _svg(draw, width, title, told) for name, width in WIDTHS.items()}


def trainings_decided(report: ReplayReport) -> list[str]:
    """The moments of data time at which a training was decided."""
    return [
        str(one["as_of"])
        for one in report.decisions
        if (one["kind"], one["verdict"]) == ("retraining", "retrain") and one["as_of"]
    ]


def _svg(draw: Any, width: int, title: str, told: str) -> str:
    """The chart as an SVG element that fills the width it is given, with a title and a description for who cannot see
    it.
    """
    import altair as alt
    import vl_convert

    chart = (
        draw(alt, width)
        .properties(width=width, autosize=alt.AutoSizeParams(type="fit", contains="padding"))
        .configure(font="system-ui, sans-serif", background="transparent", padding=4)
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=_SOFT,
            titleColor=_SOFT,
            titleFontWeight="normal",
            labelFontSize=12,
            titleFontSize=12,
            gridColor=_LINE,
            domainColor=_SOFT,
            tickColor=_SOFT,
            labelLimit=0,
            titleLimit=0,
        )
    )
    drawn = vl_convert.vegalite_to_svg(chart.to_dict(), allowed_base_urls=[])
    view = re.search(r'viewBox="[^"]+"', drawn)
    assert view, "an SVG has a viewBox"
    inner = drawn[drawn.index(">") + 1 :]
    # What it says is said by the title and the description; the library's names of marks would only be read out.
    inner = re.sub(r' (role|aria-[a-z]+|pointer-events|class)="[^"]*"', "", inner)
    inner = re.sub(r' (?:d|transform|x2|y2)="[^"]*"', lambda place: _DECIMALS.sub(r"\1", place[0]), inner)
    return f'<svg role="img" {view[0]}><title>{escape(title)}</title><desc>{escape(told)}</desc>{inner}'


def _title(alt: Any, text: str, below: str) -> Any:
    return alt.TitleParams(
        text,
        subtitle=below,
        anchor="start",
        frame="bounds",
        color=_INK,
        subtitleColor=_SOFT,
        fontSize=14,
        subtitleFontSize=12,
        offset=10,
    )


def _legend(alt: Any) -> Any:
    return alt.Legend(
        title=None,
        orient="top",
        direction="vertical",
        labelColor=_INK,
        labelFontSize=12,
        labelLimit=0,
        symbolType="stroke",
        symbolSize=500,
        symbolStrokeWidth=2.5,
    )


def _metric_title(report: ReplayReport) -> str:
    name = WORDING[report.metric].name
    return name[0].upper() + name[1:]


def _unit(report: ReplayReport) -> str:
    unit = unit_of(report.label) if WORDING[report.metric].is_in_unit else None
    return f" in {unit}" if unit else ""


def _how(report: ReplayReport) -> str:
    better = "higher is better" if METRICS[report.metric].higher_is_better else "lower is better"
    return f"{_unit(report).strip()}, {better}".removeprefix(", ") + "; ▾ a training was decided"


def _some(days: list[int], most: int) -> list[int]:
    """At most so many of the days, evenly, the first among them."""
    return days[:: -(-len(days) // most)]


def _milliseconds(day: str) -> int:
    moment = datetime.fromisoformat(day)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
