"""The log: appended, chained, and sound after a crash in the middle of a line."""

from __future__ import annotations

import json
import multiprocessing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ml_assets.deciding.log import DecisionLog, LoggedDecision
from ml_assets.errors import DecisionLogError

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def append(log: DecisionLog, version: int = 1, **changes: Any) -> LoggedDecision:
    line: dict[str, Any] = {
        "decided_at": NOON,
        "as_of": NOON,
        "model": "returns",
        "kind": "promotion",
        "verdict": "promoted",
        "version": version,
        "previous_version": None,
        "reasons": [{"gate": "g", "passed": True, "figure": 0.1, "threshold": None, "text": "It is good."}],
        "evidence": {"rows": 3},
    }
    return log.append(**{**line, **changes})


def test_lines_come_back_in_order_and_the_chain_holds(log: DecisionLog) -> None:
    written = tuple(append(log, version) for version in (1, 2, 3))
    assert log.read() == written
    assert [decision.sequence for decision in written] == [1, 2, 3]
    assert log.verify() == 3


def test_no_log_yet_is_an_empty_one(log: DecisionLog) -> None:
    assert (log.read(), log.verify(), log.last()) == ((), 0, None)


def test_the_last_line_of_a_model_and_kind_is_found(log: DecisionLog) -> None:
    append(log, 1)
    append(log, 2, model="kept")
    append(log, 3, kind="rollback")
    assert [
        one.version for one in (log.last("returns", "promotion"), log.last("kept"), log.last("returns")) if one
    ] == [1, 2, 3]
    assert log.last("other") is None


@pytest.mark.parametrize("spoil", ["change", "remove", "swap", "insert"])
def test_a_line_tampered_with_breaks_the_chain(log: DecisionLog, spoil: str) -> None:
    for version in (1, 2, 3, 4):
        append(log, version)
    lines = log.path.read_text().splitlines(keepends=True)
    if spoil == "change":
        lines[1] = lines[1].replace("promoted", "rejected")
    elif spoil == "remove":
        del lines[1]
    elif spoil == "swap":
        lines[1], lines[2] = lines[2], lines[1]
    else:
        lines.insert(2, lines[1])
    log.path.write_text("".join(lines))
    with pytest.raises(DecisionLogError, match=r"line \d: does not follow from the line before it"):
        log.verify()


def test_a_torn_line_is_passed_over_by_readers_and_set_aside_by_the_next_writer(log: DecisionLog) -> None:
    first = append(log, 1)
    append(log, 2)
    content = log.path.read_bytes()
    torn = content[len(content) // 2 + 10 : -20]
    log.path.write_bytes(content[: content.index(b"\n") + 1] + torn)
    assert log.read() == (first,)
    again = append(log, 3)
    assert log.read() == (first, again)
    assert log.verify() == 2
    (aside,) = log.path.parent.glob("decisions.jsonl.torn-*")
    assert aside.read_bytes() == torn


def test_a_line_of_nonsense_is_named(log: DecisionLog) -> None:
    append(log)
    log.path.write_text(log.path.read_text() + "nonsense\n")
    with pytest.raises(DecisionLogError, match="line 2: no line of the decision log"):
        log.read()


def _append_some(path: Path) -> None:
    for version in range(10):
        append(DecisionLog(path), version)


def test_writers_in_two_processes_do_not_tear_each_other(log: DecisionLog) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_append_some, args=(log.path,)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert log.verify() == 20


def test_dbt_reads_the_moments_as_timestamps(log: DecisionLog) -> None:
    append(log)
    columns = "{decided_at: 'timestamp', as_of: 'timestamp', reasons: 'json'}"
    with duckdb.connect() as connection:
        row = connection.execute(
            f"select decided_at, as_of from read_json('{log.path}', columns = {columns})"
        ).fetchone()
    assert row == (NOON.replace(tzinfo=None), NOON.replace(tzinfo=None))
    assert json.loads(log.path.read_text())["decided_at"] == "2030-01-01T12:00:00Z"
