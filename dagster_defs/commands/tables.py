"""What the commands print as tables.

What belongs here: rows and columns for the terminal. What does not: any figure.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from ml_assets.lake.ledger import Total


def costs_table(totals: Sequence[Total]) -> Table:
    """One line each, and all of them together."""
    table = Table(box=None, header_style="dim", padding=(0, 1))
    table.add_column("", no_wrap=True)
    for heading in ("times", "failed", "CPU s", "wall s", "rows", "MB"):
        table.add_column(heading, justify="right", no_wrap=True, min_width=len(heading))
    for total in totals:
        table.add_row(
            total.name,
            str(total.times),
            str(total.failures) if total.failures else "",
            f"{total.cpu_seconds:,.1f}",
            f"{total.wall_seconds:,.1f}",
            f"{total.rows:,}" if total.rows else "",
            f"{total.bytes / 1e6:,.1f}" if total.bytes else "",
        )
    cpu, wall = sum(total.cpu_seconds for total in totals), sum(total.wall_seconds for total in totals)
    table.add_row("[bold]in all", "", "", f"[bold]{cpu:,.1f}", f"[bold]{wall:,.1f}", "", "")
    return table


def scores_table(title: str, scores: dict[str, dict[str, float]]) -> Table:
    """Subjects down, metrics across."""
    table = Table(box=None, header_style="dim", padding=(0, 1))
    table.add_column(f"  {title}", no_wrap=True)
    metrics = list(dict.fromkeys(metric for values in scores.values() for metric in values))
    for metric in metrics:
        table.add_column(metric.replace("calibration_error", "ece"), justify="right", no_wrap=True)
    for subject, values in scores.items():
        cells = [f"{values[metric]:.4f}" if metric in values else "" for metric in metrics]
        table.add_row(f"  {subject.replace('baseline_', '')}", *cells)
    return table
