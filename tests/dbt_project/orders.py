"""A few days of one airline's flights as landing files, with mischief among them, in any order of arrival.

Here: making the files and landing them batch by batch. Not here: what must hold; the tests say that.
"""

from __future__ import annotations

import csv
import io
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
from dbt_homes import FEED, Home, landing_files

CARRIERS = {"UA", "US"}
LAST_FILE = "2013-01-04T0000Z"
STAMP = "%Y-%m-%dT%H:%M:%SZ"
LABELS = {"is_late", "arrival_delay_minutes", "outcome_known_at"}

Row = dict[str, str]
Files = dict[str, str]


def small_feed(feed: Path) -> Files:
    """The first days of the feed, of some airlines only, by path below the landing folder."""
    files: Files = {}
    for path in landing_files(feed):
        if not path.endswith("all.csv") and path[-20:-4] > LAST_FILE:
            continue
        rows = _rows((feed / path).read_text())
        kept = [row for row in rows if row.get("carrier", "UA") in CARRIERS or "airlines/" in path]
        files[path] = _text(list(rows[0]), kept)
    return files


def with_mischief(files: Files, chance: random.Random) -> Files:
    """The same, and with it corrections of what other files say, repeats, another file of airports, and rows of far-off years."""
    made = dict(files)
    for table, changes in {
        "arrivals": lambda row: row | {"arr_delay": str(int(row["arr_delay"]) + chance.choice([-40, -3, 7, 60]))},
        "departures": lambda row: row | {"dep_delay": str(int(row["dep_delay"]) + chance.choice([-20, 5, 45]))},
        "cancellations": lambda row: row | {"status": "diverted" if row["status"] == "cancelled" else "cancelled"},
        "weather": lambda row: row | {"temp": str(chance.randrange(0, 80))},
    }.items():
        known = [row for path, text in files.items() if f"/{table}/" in path for row in _rows(text)]
        for end in ("2013-01-02T0000Z", LAST_FILE):
            told = [row for row in known if row["reported_at"] <= f"{end[:13]}:00:00Z"]
            corrected = [changes(row) for row in chance.sample(told, min(12, len(told)))]
            for row in corrected:
                moved = datetime.fromisoformat(row["reported_at"]) + timedelta(hours=chance.choice([0, 1, 5]))
                row["reported_at"] = moved.strftime(STAMP)
            repeated = [dict(row) for row in chance.sample(told, min(5, len(told)))]
            far = [
                dict(known[0]) | {"reported_at": "2031-01-01T00:00:00Z"},
                dict(known[-1]) | {"reported_at": "2019-05-05T00:00:00Z"},
            ]
            made[f"{FEED}/{table}/mischief--{end}.csv"] = _text(list(known[0]), [*corrected, *repeated, *far])
    airports = _rows(files[f"{FEED}/airports/all.csv"])
    moved = [row | {"tzone": chance.choice(["America/Denver", "America/New_York"])} for row in airports]
    made[f"{FEED}/airports/moved.csv"] = _text(list(airports[0]), moved)
    return made


def batches_of(files: Files, chance: random.Random, count: int) -> list[list[str]]:
    """Every file, most of them about when it would have come, some long after; the reference tables with the first batch, or later."""
    paths = sorted(files, key=lambda path: (path[-20:-4] if path.endswith("Z.csv") else "2013-01-02", chance.random()))
    places = sorted(
        range(len(paths)), key=lambda place: place + chance.choice([0, 0, 0, len(paths) // 2, -len(paths) // 3])
    )
    shuffled = [paths[place] for place in places]
    size = -(-len(shuffled) // count)
    return [shuffled[start : start + size] for start in range(0, len(shuffled), size)]


def land_all(home: Home, files: Files, paths: list[str]) -> None:
    for path in paths:
        home.land(path, files[path])


def training_features(home: Home) -> dict[str, dict[str, Any]]:
    """The training set of the warehouse by flight, without what is learned later."""
    with duckdb.connect(str(home.path / "warehouse.duckdb"), read_only=True) as warehouse:
        rows = warehouse.sql("from trn_late_arrival").to_arrow_table().to_pylist()
    return {row["flight_id"]: {name: value for name, value in row.items() if name not in LABELS} for row in rows}


def contents(home: Home) -> dict[str, str]:
    """A fingerprint of all rows of every table of the warehouse that has to do with facts."""
    with duckdb.connect(str(home.path / "warehouse.duckdb"), read_only=True) as warehouse:
        names = [
            name
            for (name,) in warehouse.execute(
                "select table_name from information_schema.tables where table_name similar to '(base|stg|int|ftr|trn|dim|fct)_.*' order by 1"
            ).fetchall()
        ]
        return {
            name: str(warehouse.execute(f"select count(*), sum(hash(rows)::hugeint) from {name} as rows").fetchall())
            for name in names
        }


def _rows(text: str) -> list[Row]:
    return list(csv.DictReader(io.StringIO(text)))


def _text(header: list[str], rows: list[Row]) -> str:
    written = io.StringIO()
    writer = csv.DictWriter(written, header, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue()


@dataclass(frozen=True)
class Answered:
    """What a decision was answered from, and after which batch."""

    batch: int
    features: dict[str, Any]
