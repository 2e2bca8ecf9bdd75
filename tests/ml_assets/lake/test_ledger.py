"""What work cost stands in the ledger, once, whatever became of the work and of the ledger's files."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from ml_assets.lake.ledger import Cost, Ledger, Spending, totals

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def cost(began: datetime, *, run: str = "a", asset: str = "prices", cpu: float | None = 1.0) -> Cost:
    return Cost(run, "refresh", asset, "success", began.isoformat(), 2.0, cpu, 10, 100)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "costs")


def test_work_is_metered_and_so_is_work_that_fails(ledger: Ledger) -> None:
    with ledger.metered("run-1", "refresh", "prices") as tally:
        sum(number * number for number in range(300_000))
        tally.rows = 7
    with pytest.raises(ZeroDivisionError), ledger.metered("run-1", "refresh", "stock"):
        raise ZeroDivisionError

    first, second = ledger.read()
    assert (first.asset, first.outcome, first.rows) == ("prices", "success", 7)
    assert (second.asset, second.outcome, second.rows) == ("stock", "failure", None)
    assert first.cpu_seconds is not None
    assert 0 < first.cpu_seconds < 10
    assert len(list(ledger.folder.iterdir())) == 1


def test_a_torn_line_and_a_strange_one_are_passed_over(ledger: Ledger) -> None:
    ledger.record(cost(NOW), now=NOW)
    file = next(ledger.folder.iterdir())
    file.write_text(file.read_text() + '{"something": "else"}\n' + '{"run": "a", "jo')

    assert ledger.read() == [cost(NOW)]


def test_reading_since_a_moment_finds_what_began_then_and_opens_no_older_file(ledger: Ledger) -> None:
    for days in range(5):
        moment = NOW - timedelta(days=days)
        ledger.record(cost(moment, run=str(days)), now=moment)
    overnight = cost(datetime(2026, 3, 2, 23, tzinfo=UTC), run="overnight")
    ledger.record(overnight, now=datetime(2026, 3, 3, 1, tzinfo=UTC))
    (ledger.folder / "2026-02-28-4.jsonl").write_bytes(b"\xff\xfe no text at all")

    assert [line.run for line in ledger.read(NOW - timedelta(days=1, hours=14))] == ["overnight", "1", "0"]


def test_merging_loses_nothing_and_counts_nothing_twice(ledger: Ledger) -> None:
    for hours in range(60):
        moment = NOW - hours * HOUR
        ledger.record(cost(moment, run=f"run-{hours}"), now=moment)
    before = ledger.read()
    kept = next(file for file in ledger.folder.iterdir() if file.name.startswith("2026-03-02"))
    torn_apart = kept.read_text()

    saved = ledger.merge(before=date(2026, 3, 4))
    kept.write_text(torn_apart)  # as if the merge had been killed before it removed this one

    assert saved == 60 - 13 - 2
    assert ledger.read() == before
    ledger.merge(before=date(2026, 3, 4))
    assert ledger.read() == before
    assert not kept.exists()


@pytest.mark.parametrize(("spent", "state"), [(79.0, "within"), (80.0, "nearly_used_up"), (100.0, "used_up")])
def test_a_budget_warns_before_it_is_used_up(ledger: Ledger, spent: float, state: str) -> None:
    ledger.record(cost(NOW - HOUR, cpu=spent - 1), now=NOW)
    ledger.record(cost(NOW - HOUR, asset="unknown", cpu=None), now=NOW)
    ledger.record(cost(NOW - HOUR, asset="more", cpu=1.0), now=NOW)
    ledger.record(cost(NOW - 30 * HOUR, asset="long ago", cpu=1000.0), now=NOW - 30 * HOUR)

    spending = ledger.spending(100.0, 24 * HOUR, now=NOW)

    assert spending == Spending(spent, 100.0, 24 * HOUR)
    assert spending.state == state


def test_totals_put_the_dearest_first() -> None:
    lines = [cost(NOW, asset="a", cpu=1.0), cost(NOW, asset="b", cpu=5.0), cost(NOW, asset="a", run="b", cpu=2.0)]

    dearest, second = totals(lines, "asset")

    assert (dearest.name, dearest.cpu_seconds) == ("b", 5.0)
    assert (second.name, second.times, second.cpu_seconds, second.rows) == ("a", 2, 3.0, 20)
    assert json.dumps([total.name for total in totals(lines, "run")]) == '["refresh a", "refresh b"]'
