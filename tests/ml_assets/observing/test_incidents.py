"""Incidents: degraded answers, no answers, late tables; each told once, and closed when it is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ml_assets.answering.scoring import ScoringReport
from ml_assets.observing.alerts import Alerts
from ml_assets.observing.incidents import (
    allowed_silence,
    late_tables,
    tell_of_answers,
    tell_of_late,
    tell_of_no_answers,
    why_degraded,
)

NOW = datetime(2031, 1, 1, tzinfo=UTC)


# --- alerts of answers


@pytest.fixture
def alerts(tmp_path: Path) -> Alerts:
    return Alerts(tmp_path / "alerts.jsonl")


def report_of(rows: int, marked: int, reason: str | None, status: Any = "champion") -> ScoringReport:
    return ScoringReport("returns", status, rows, (), 1, reason, NOW, (), 1, marked)


def test_degraded_answers_are_one_incident_until_sound_ones_are_given(alerts: Alerts) -> None:
    for _ in range(3):
        tell_of_answers(alerts, report_of(10, 10, "broken", "fallback"), now=NOW)
    tell_of_answers(alerts, report_of(0, 0, None, "nothing_due"), now=NOW)
    assert [(line.key, line.state) for line in alerts.read()] == [("degraded/returns", "opened")]
    assert "10 decisions answered as of 2031-01-01 00:00 UTC (fallback): broken." in alerts.read()[0].text
    for _ in range(2):
        tell_of_answers(alerts, report_of(10, 0, None), now=NOW)
    assert [line.state for line in alerts.read()] == ["opened", "closed"]


@pytest.mark.parametrize(
    ("report", "is_degraded"),
    [
        (report_of(100, 4, "4 of 100 decisions: …"), False),
        (report_of(100, 5, "5 of 100 decisions: …"), True),
        (report_of(0, 0, "the registry could not be read", "nothing_due"), True),
        (report_of(0, 0, "returns has no champion yet", "no_champion"), False),
        (report_of(100, 0, None), False),
    ],
)
def test_a_few_odd_rows_are_no_incident(report: ScoringReport, is_degraded: bool) -> None:
    assert (why_degraded(report) is not None) == is_degraded


def test_no_answers_at_all_are_an_incident_too(alerts: Alerts) -> None:
    tell_of_no_answers(alerts, "returns", "no model can answer", now=NOW)
    tell_of_no_answers(alerts, "returns", "no model can answer", now=NOW)
    tell_of_answers(alerts, report_of(10, 0, None), now=NOW)
    assert [(line.key, line.state) for line in alerts.read()] == [
        ("unanswered/returns", "opened"),
        ("unanswered/returns", "closed"),
    ]


# --- late tables


MANIFEST = {
    "sources": {
        "source.shop.orders": {
            "source_name": "shop",
            "name": "orders",
            "freshness": {
                "warn_after": {"count": 12, "period": "hour"},
                "error_after": {"count": 2, "period": "day"},
            },
        },
        "source.shop.parcels": {
            "source_name": "shop",
            "name": "parcels",
            "freshness": {"warn_after": {}, "error_after": {"count": 90, "period": "minute"}},
        },
        "source.shop.countries": {"source_name": "shop", "name": "countries", "freshness": None},
    }
}
ALLOWED = {"shop.orders": timedelta(hours=12), "shop.parcels": timedelta(minutes=90)}


def health(**behind: int | None) -> list[dict[str, Any]]:
    return [
        {
            "source_name": "shop",
            "table_name": name,
            "last_known_at": None if minutes is None else datetime(2030, 5, 1, tzinfo=UTC) - timedelta(minutes=minutes),
            "minutes_behind_watermark": minutes,
        }
        for name, minutes in behind.items()
    ]


def test_the_first_declared_limit_counts() -> None:
    assert allowed_silence(MANIFEST) == ALLOWED
    assert allowed_silence({}) == {}


@pytest.mark.parametrize(
    ("rows", "late"),
    [
        (health(orders=0, parcels=0, countries=None), []),
        (health(orders=720, parcels=90, countries=None), []),
        (health(orders=721, parcels=0, countries=None), ["shop.orders"]),
        (health(orders=0, parcels=91, countries=99_999), ["shop.parcels"]),
        (health(orders=0), []),  # parcels are another domain's
        (health(orders=0, parcels=None), ["shop.parcels"]),
        (health(orders=None, parcels=None), []),  # nothing has landed yet
        ([], []),
    ],
)
def test_a_table_is_late_beyond_its_limit_or_if_it_never_came(rows: list[dict[str, Any]], late: list[str]) -> None:
    assert [table.source for table in late_tables(rows, ALLOWED)] == late


def test_a_late_table_is_one_incident_until_it_delivers(alerts: Alerts) -> None:
    for minutes in (800, 900, 100, 50, 2880):
        tell_of_late(alerts, late_tables(health(orders=minutes, parcels=0), ALLOWED), now=NOW)

    lines = alerts.read()
    assert [(line.key, line.state) for line in lines] == [
        ("late_feed/shop.orders", "opened"),
        ("late_feed/shop.orders", "closed"),
        ("late_feed/shop.orders", "opened"),
    ]
    assert lines[0].title == "shop.orders is late"
    assert lines[0].text.startswith(
        "Its newest fact is of 2030-04-30 10:40 UTC, 13 hours behind the newest of all tables of its domain; 12 hours are allowed."
    )
    assert "service.max_missing" in lines[0].text


def test_other_incidents_are_left_alone(alerts: Alerts) -> None:
    alerts.open("job/score", "score failed", "", now=NOW)
    tell_of_late(alerts, (), now=NOW)
    assert list(alerts.open_incidents()) == ["job/score"]
