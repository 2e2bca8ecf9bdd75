"""Small pictures and tables for Dagster's panels, each below the 1,000 characters that the UI shows inline."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

_WIDTH, _HEIGHT = 160, 32


def sparkline_markdown(values: Sequence[float]) -> str:
    """A line over the values, oldest first, as an inline SVG; empty for fewer than two."""
    points = [float(value) for value in values][-28:]
    if len(points) < 2:
        return ""
    low, high = min(points), max(points)
    spread = (high - low) or 1.0
    step = _WIDTH / (len(points) - 1)
    path = " ".join(
        f"{index * step:.0f},{_HEIGHT - 2 - (value - low) / spread * (_HEIGHT - 4):.0f}"
        for index, value in enumerate(points)
    )
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}">'
        f'<polyline fill="none" stroke="#4f43dd" stroke-width="2" points="{path}"/></svg>'
    )
    return f"![{low:.3f} to {high:.3f}](data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}) {points[-1]:.3f}"


def reasons_markdown(reasons: Sequence[Any]) -> str:
    """The gates of a decision, a line each."""
    return "\n".join(f"- {'passed' if reason.passed else '**FAILED**'}: {reason.text}" for reason in reasons)[:1000]


def interval_markdown(scores: pd.DataFrame) -> str:
    """One line a subject: value and interval. `scores` is indexed by subject, with value, low and high."""
    lines = ["| subject | value | 90 % interval |", "|---|---|---|"]
    lines += [
        f"| {subject} | {score['value']:.4f} | {score['low']:.4f} to {score['high']:.4f} |"
        for subject, score in scores.to_dict("index").items()
    ]
    return "\n".join(lines)[:1000]


def scores_markdown(scores: Mapping[str, Mapping[str, float]]) -> str:
    """Subjects down, metrics across."""
    metrics = list(dict.fromkeys(metric for values in scores.values() for metric in values))
    lines = ["| | " + " | ".join(metrics) + " |", "|---" * (len(metrics) + 1) + "|"]
    for subject, values in scores.items():
        cells = [f"{values[metric]:.4f}" if metric in values else "" for metric in metrics]
        lines.append(f"| {subject} | " + " | ".join(cells) + " |")
    return "\n".join(lines)[:1000]
