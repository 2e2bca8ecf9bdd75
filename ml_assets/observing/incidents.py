"""When answers or deliveries are worse than they should be, and the alerts that say so.

What belongs here: what is an incident, and its words. What does not: how an alert travels (`alerts.py`), who answers in
whose stead (`answering/scorers.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ml_assets.declaration.domains import DomainTables
from ml_assets.observing.alerts import Alerts

if TYPE_CHECKING:  # what only reads incidents shall not wait for what makes predictions
    from ml_assets.answering.scoring import ScoringReport
    from ml_assets.lake.snapshot import Snapshot

# Of the rows of an ordinary day a few miss something; more than this share of them is an incident.
MARKED_ROWS = 0.05
LATE = "late_feed/"


def why_degraded(report: ScoringReport) -> str | None:
    """Why the answers are not the champion's as it stands; None if they are, or all but a few of them."""
    if report.status == "no_champion" or report.reason is None:
        return None
    return report.reason if report.marked_rows >= MARKED_ROWS * report.rows else None


def tell_of_no_answers(alerts: Alerts, model: str, why: str, *, now: datetime) -> None:
    """Opens the incident `unanswered/<model>`."""
    alerts.open(f"unanswered/{model}", f"{model}: due decisions have no prediction", why, now=now)


def tell_of_answers(alerts: Alerts, report: ScoringReport, *, now: datetime) -> None:
    """Opens the incident `degraded/<model>`, or closes it if sound answers were given."""
    key, reason = f"degraded/{report.model}", why_degraded(report)
    alerts.close(f"unanswered/{report.model}", "They were answered.", now=now)
    if reason:
        when = f"as of {report.as_of:%Y-%m-%d %H:%M} UTC" if report.as_of else "so far"
        text = f"{report.rows:,} decisions answered {when} ({report.status}): {reason}."
        alerts.open(key, f"{report.model}: not answered as it should be", text, now=now)
    elif report.rows:
        alerts.close(key, f"{report.rows:,} decisions were answered by the champion as it stands.", now=now)


@dataclass(frozen=True)
class LateTable:
    """A landing table that has brought nothing for longer than its source allows.

    `source` is `<source>.<table>`; `behind` runs from its newest fact to the newest of its domain, None if it never
    brought any.
    """

    source: str
    last_known_at: datetime | None
    behind: timedelta | None
    allowed: timedelta


def allowed_silence(manifest: Mapping[str, Any]) -> dict[str, timedelta]:
    """By `<source>.<table>`: the first of the limits that dbt's sources declare as `freshness`."""
    found = {}
    for source in manifest.get("sources", {}).values():
        declared = source.get("freshness") or {}
        limits = [declared.get(name) or {} for name in ("warn_after", "error_after")]
        spans = [timedelta(**{f"{limit['period']}s": limit["count"]}) for limit in limits if limit.get("count")]
        if spans:
            found[f"{source['source_name']}.{source['name']}"] = min(spans)
    return found


def late_tables(health: Iterable[Mapping[str, Any]], allowed: Mapping[str, timedelta]) -> tuple[LateTable, ...]:
    """The tables of one domain that are late by the data's own time: a whole domain that stands still, or in which
    nothing has landed yet, is nobody's delay.

    Args:
        health: rows of the domain's `mon_<domain>__data_health`.
        allowed: what `allowed_silence` says.
    """
    rows = {f"{row['source_name']}.{row['table_name']}": row for row in health}
    if all(row["last_known_at"] is None for row in rows.values()):
        return ()
    late = []
    for source in sorted(rows.keys() & allowed.keys()):
        minutes, limit = rows[source]["minutes_behind_watermark"], allowed[source]
        behind = None if minutes is None else timedelta(minutes=int(minutes))
        if behind is None or behind > limit:
            late.append(LateTable(source, rows[source]["last_known_at"], behind, limit))
    return tuple(late)


def all_late_tables(lake: Snapshot, domains: Iterable[str], allowed: Mapping[str, timedelta]) -> tuple[LateTable, ...]:
    """The same of several domains, each by its own newest fact; of those whose health is published."""
    published = set(lake.tables())
    tables = [DomainTables(domain).data_health for domain in domains]
    return tuple(
        late for table in tables if table in published for late in late_tables(lake.read(table).to_pylist(), allowed)
    )


def tell_of_late(alerts: Alerts, late: Iterable[LateTable], *, now: datetime) -> None:
    """Opens one incident `late_feed/<source>.<table>` for each, and closes those of tables that deliver again."""
    keys = set()
    for table in late:
        keys.add(f"{LATE}{table.source}")
        alerts.open(f"{LATE}{table.source}", f"{table.source} is late", in_words(table), now=now)
    for key in alerts.open_incidents():
        if key.startswith(LATE) and key not in keys:
            alerts.close(key, "It delivers again.", now=now)


def in_words(table: LateTable) -> str:
    """What happened, and what it means."""
    what = (
        "It has never brought a row"
        if table.behind is None
        else f"Its newest fact is of {table.last_known_at:%Y-%m-%d %H:%M} UTC, {_hours(table.behind)} behind the "
        "newest of all tables of its domain"
    )
    return (
        f"{what}; {_hours(table.allowed)} are allowed. Predictions go on: what is known only from it shows as missing, "
        "and a row that misses more than its model's service.max_missing is answered by the fallback. Look at what "
        "delivers it."
    )


def _hours(span: timedelta) -> str:
    return f"{span.total_seconds() / 3600:.0f} hours"
