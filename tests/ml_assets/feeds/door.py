"""What the door reads in a landing file, in the words of its macros (dbt_project/macros/landing/), without a dbt run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from ml_assets.feeds.feed import FeedTable

FIELDS = """
case
    when contains(line, '"')
        then list_transform(
            regexp_extract_all(',' || line, ',("(?:[^"]|"")*"|[^,]*)', 1),
            lambda field: case when starts_with(field, '"') then replace(field[2:-2], '""', '"') else field end
        )
    else string_split(line, ',')
end
"""


def read_at_door(folder: Path, table: FeedTable) -> tuple[list[tuple[Any, ...]], list[str]]:
    """The good rows in the declared types, and the lines that are set aside for a wrong number of fields."""
    good: list[tuple[Any, ...]] = []
    aside: list[str] = []
    with duckdb.connect() as session:
        session.execute("set TimeZone = 'UTC'")
        for file in sorted(folder.glob("*.csv")):
            lines = file.read_text(encoding="utf-8").removesuffix("\n").split("\n")
            assert lines[0] == ",".join(column.name for column in table.columns)
            if not lines[1:]:
                continue
            values = ", ".join(
                f"case when trim(fields[{place}]) not in ('', 'NA') then {_value(column.data_type, f'trim(fields[{place}])')} end"
                for place, column in enumerate(table.columns, start=1)
            )
            session.register("landed", duckdb.from_arrow(_lines(lines[1:]), connection=session))
            asked = f"select len(fields) = {len(table.columns)}, line, {values} from (select line, {FIELDS} as fields from landed order by number)"
            for fits, line, *row in session.sql(asked).fetchall():
                good.append(tuple(row)) if fits else aside.append(line)
            session.unregister("landed")
    return good, aside


def _lines(lines: list[str]) -> Any:
    import pyarrow as pa

    return pa.table({"number": range(len(lines)), "line": lines})


def _value(data_type: str, text: str) -> str:
    if data_type == "varchar":
        return text
    if data_type == "timestamp":
        return f"timezone('UTC', try_cast({text} as timestamptz))"
    return f"try_cast({text} as {data_type})"
