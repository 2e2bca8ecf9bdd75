"""What files hold, told from all of their rows: columns, types, what is never missing, what makes a row unique.

What belongs here: looking. What does not: what is written of it (`sources.py`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import duckdb

from dagster_defs.scaffolding.writing import as_name
from ml_assets.errors import PerennialError
from ml_assets.feeds.file_readers import bare_name, format_of

# The first that all values fit, as the door reads them (macros/landing/landed_values.sql).
_KINDS = {
    "integer": (r"[+-]?(0|[1-9][0-9]{0,8})", "integer"),
    "bigint": (r"[+-]?(0|[1-9][0-9]{0,17})", "bigint"),
    "double": (r"[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?", "double"),
    "date": (r"[0-9]{4}-[0-9]{2}-[0-9]{2}", "date"),
    "timestamp": (
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?",
        "timestamptz",
    ),
    "boolean": (r"(?i:true|false)", "boolean"),
}
_KNOWN = re.compile(r"known|report|record|creat|updat|modif|insert|publish|enter")
_MOMENTS = ("timestamp", "date")
_LIKE_A_KEY = re.compile(r"(^|_)(id|key|code|number|no)$")
_KEY_WIDTH, _MOST_KEY_COLUMNS, _FEW_VALUES, _FEW_ODD = 3, 8, 8, 0.1


@dataclass(frozen=True)
class SeenColumn:
    """A column: its name here and in the file, its type, and whether a value is ever missing."""

    name: str
    in_file: str
    data_type: str
    required: bool
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class SeenTable:
    """What the files of one landing table hold."""

    name: str
    files: tuple[Path, ...]
    columns: tuple[SeenColumn, ...]
    rows: int
    key: tuple[str, ...]
    known_at: str | None
    delimiter: str | None
    notes: tuple[str, ...]

    @property
    def pattern(self) -> str:
        """What matches the files' names, and those of their like."""
        names = [file.name for file in self.files]
        if len(names) == 1 and not re.search(r"\d", names[0]):
            return names[0]
        return re.sub(r"\*+", "*", re.sub(r"\d+([-_.]?\d+)*", "*", names[0]))


def tables_in(files: Sequence[Path]) -> dict[str, list[Path]]:
    """The files by the table that they seem to belong to: names that differ in numbers alone are one table's."""
    found: dict[str, list[Path]] = {}
    for file in sorted(files):
        if not file.is_file():
            raise PerennialError(f"{file} is no file; name files of CSV, Parquet or JSON lines")
        if format_of(file) is None or file.suffix == ".bz2":
            raise PerennialError(
                f"{file}: its name is of no known format: .csv, .tsv, .parquet, .jsonl, also .gz or .zst"
            )
        name = as_name(re.sub(r"[-_.]*\d+([-_.]?\d+)*", "", bare_name(file)) or bare_name(file))
        found.setdefault(name, []).append(file)
    return found


def look_at(
    name: str, files: Sequence[Path], key: Sequence[str] | None = None, known_at: str | None = None
) -> SeenTable:
    """What the files of one table hold. `key` and `known_at` are what is declared; proposed where they are not.

    Raises:
        PerennialError: if they cannot be read together, or have no such columns.
    """
    with duckdb.connect() as session:
        session.execute("set TimeZone = 'UTC'")
        delimiter = _read(session, name, files)
        in_file = [row[0] for row in session.sql("describe rows").fetchall()]
        reserved = {row[0] for row in session.sql("select keyword_name from duckdb_keywords()").fetchall()}
        notes: list[str] = []
        columns = [_column(session, column, reserved, notes) for column in in_file]
        names = [column.name for column in columns]
        if twice := sorted({one for one in names if names.count(one) > 1}):
            raise PerennialError(f"{files[0]}: two columns would be called {', '.join(twice)}; rename one")
        for column in [*(key or ()), *([known_at] if known_at else [])]:
            if column not in names:
                raise PerennialError(f"{name}: there is no column {column}; there are {', '.join(names)}")
        rows = int(session.sql("select count(*) from rows").fetchall()[0][0])
        chosen = known_at or _proposed_moment(columns, notes)
        unique = tuple(key) if key else _proposed_key(session, columns, chosen, notes)
    columns = [
        SeenColumn(one.name, one.in_file, "timestamp", True, one.values) if one.name == chosen else one
        for one in columns
    ]
    return SeenTable(name, tuple(files), tuple(columns), rows, unique, chosen, delimiter, tuple(notes))


def _read(session: duckdb.DuckDBPyConnection, name: str, files: Sequence[Path]) -> str | None:
    """Makes the view `rows`, all of it text; returns how the files separate, where it is not as their name says."""
    paths: Any = [str(file) for file in files]  # a list, which the type stubs do not know of
    delimiter = None
    try:
        if format_of(files[0]) == "parquet":
            source = session.read_parquet(paths)
        elif format_of(files[0]) == "json_lines":
            source = session.read_json(paths, format="newline_delimited", sample_size=-1)
        else:
            usual = "\t" if ".tsv" in files[0].suffixes else ","
            (found,) = session.execute("select Delimiter from sniff_csv(?)", [paths[0]]).fetchall()[0]
            delimiter = found if found != usual and found in (";", "|", "\t", ",") else None
            source = session.read_csv(paths, all_varchar=True, header=True, delimiter=delimiter or usual, quotechar='"')
        text = ", ".join(
            f"nullif(nullif(trim({_quoted(column)}::varchar), ''), 'NA') as {_quoted(column)}"
            for column in source.columns
        )
        source.create_view("source")
        session.execute(f"create table rows as select {text} from source")
    except duckdb.Error as error:
        raise PerennialError(
            f"{name}: {', '.join(paths)} cannot be read as one table: {str(error).splitlines()[0]}"
        ) from None
    return delimiter


def _column(session: duckdb.DuckDBPyConnection, column: str, reserved: set[str], notes: list[str]) -> SeenColumn:
    quoted = _quoted(column)
    fits = ", ".join(
        f"coalesce(bool_and(regexp_full_match({quoted}, '{pattern}') and try_cast({quoted} as {cast}) is not null) "
        f"filter (where {quoted} is not null), false)"
        for pattern, cast in _KINDS.values()
    )
    found = session.sql(
        f"select count(*), count({quoted}), approx_count_distinct({quoted}), {fits} from rows"
    ).fetchall()[0]
    data_type = next((kind for kind, fit in zip(_KINDS, found[3:], strict=True) if fit), "varchar")
    name = as_name(column)
    if name in reserved:
        name = f"{name}_value"
    if found[1] == 0:
        notes.append(f"{name} is empty in every row: varchar until somebody knows better")
    elif data_type == "varchar":
        notes += _nearly_numbers(session, name, quoted)
    values: tuple[str, ...] = ()
    if data_type == "varchar" and found[2] <= _FEW_VALUES and found[0] >= 20 * _FEW_VALUES:
        values = tuple(
            row[0]
            for row in session.sql(
                f"select distinct {quoted} from rows where {quoted} is not null order by 1"
            ).fetchall()
        )
    return SeenColumn(name, column, data_type, found[0] > 0 and found[0] == found[1], values)


def _nearly_numbers(session: duckdb.DuckDBPyConnection, name: str, quoted: str) -> list[str]:
    """What to say of a text that is a number in nearly every row."""
    pattern, _ = _KINDS["double"]
    is_number = f"regexp_full_match({quoted}, '{pattern}')"
    known, others = session.sql(
        f"select count({quoted}), count(*) filter (where not {is_number}) from rows"
    ).fetchall()[0]
    if others > known * _FEW_ODD:
        return []
    odd = session.sql(f"select distinct {quoted} from rows where not {is_number} order by 1 limit 3").fetchall()
    words = ", ".join(repr(value) for (value,) in odd)
    said = f"{name} is a number in all but {others:,} of {known:,} rows (not: {words}), so varchar"
    return [f"{said}; if these are faults, say data_type: double, and their rows are set aside with the reason"]


def _proposed_moment(columns: Sequence[SeenColumn], notes: list[str]) -> str | None:
    """The column that most likely says when a row became known."""
    moments = [one for one in columns if one.required and one.data_type in _MOMENTS]
    if not moments:
        notes.append("no column says when a row became known: a table without time (say --known-at if one does)")
        return None
    best = min(moments, key=lambda one: (one.data_type == "date", not _KNOWN.search(one.name)))
    of_date = ": a date, so at the end of its day (UTC)" if best.data_type == "date" else ""
    notes.append(f"known_at: {best.name}{of_date}; is that when this row could have been known here?")
    return best.name


def _proposed_key(
    session: duckdb.DuckDBPyConnection, columns: Sequence[SeenColumn], known_at: str | None, notes: list[str]
) -> tuple[str, ...]:
    """The fewest columns of which no two rows have the same; a row that says nothing new is no second one."""
    rows = int(session.sql("select count(*) from (select distinct * from rows)").fetchall()[0][0])
    usable = [one for one in columns if one.required and one.data_type != "double" and one.name != known_at]
    usable = sorted(usable, key=lambda one: not re.search(r"(^|_)(id|key|code|number|no)$", one.name))[
        :_MOST_KEY_COLUMNS
    ]
    usable += [one for one in columns if one.name == known_at]
    for width in range(1, _KEY_WIDTH + 1):
        for chosen in combinations(usable, width):
            if all(one.data_type in _MOMENTS for one in chosen):
                continue  # a clock that never showed the same twice is no name of anything
            quoted = ", ".join(_quoted(one.in_file) for one in chosen)
            if (
                rows
                and session.sql(f"select count(*) from (select distinct {quoted} from rows)").fetchall()[0][0] == rows
            ):
                key = tuple(one.name for one in chosen)
                notes.append(f"key: {', '.join(key)}; a row with a key seen before is a correction of it")
                return key
    notes.append("key: no three columns make a row unique; the door sets repeats aside, so edit config.meta.key first")
    return tuple(one.name for one in usable[:1]) or (columns[0].name,)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
