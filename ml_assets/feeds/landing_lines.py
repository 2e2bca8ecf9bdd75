"""How a row becomes a line of a landing file, so that the door reads back exactly its values.

What belongs here: the text of a value, the line of a row, files of lines. What does not: where rows come from, and what
is right or wrong with a value: the door says that.

The door splits a file at line ends before it looks at quotes (docs/decisions/0003), takes an empty field and `NA` as
missing, and drops blanks around a value. So no value may hold a line break. A row that no line can carry is landed as a
line which the door sets aside, with the reason in a field too many: it is counted and can be read, and nothing of it is
believed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from ml_assets.feeds.feed import FeedTable
from ml_assets.feeds.landing_files import settle

# The door refuses a file above `landing_max_file_bytes`; a source that holds more lands in several files.
MOST_BYTES = 128 * 2**20
_INTEGERS = ("tinyint", "smallint", "integer", "int", "bigint")
_MOMENTS = ("timestamp", "timestamptz", "timestamp with time zone", "datetime")
_UNCARRIED = re.compile("[\n\r\x00\ud800-\udfff]")


@dataclass(frozen=True)
class Unreadable:
    """A row that could not be read as one; `text` is what stood there."""

    text: str
    reason: str


Row = Sequence[str | None] | Unreadable


def text_of_value(value: Any, data_type: str, zone: ZoneInfo) -> str | None:
    """The text that the door casts to this value in the declared type; None is a missing value.

    A moment without a zone is one in `zone`.

    >>> text_of_value(datetime(2024, 7, 1, 12, 30), "timestamp", ZoneInfo("Europe/Berlin"))
    '2024-07-01T10:30:00Z'
    >>> text_of_value(3.0, "integer", ZoneInfo("UTC")), text_of_value(0.1, "double", ZoneInfo("UTC"))
    ('3', '0.1')

    Raises:
        ValueError: for a value that is no plain one, such as a list.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        whole = data_type in _INTEGERS and value.is_integer() and abs(value) <= 2**53
        return str(int(value)) if whole else repr(value)
    if isinstance(value, int | UUID):
        return str(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return _text_of_moment(value, data_type, zone)
    if isinstance(value, date | time):
        return value.isoformat()
    raise ValueError(f"a value of type {type(value).__name__} has no plain text")


def _text_of_moment(value: datetime, data_type: str, zone: ZoneInfo) -> str:
    if value.tzinfo is None:
        if data_type == "date" and value.time() == time():
            return value.date().isoformat()
        if data_type not in _MOMENTS:
            return value.isoformat()
        value = value.replace(tzinfo=zone)
    try:
        moment = value.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{value.isoformat()} is beyond the years 1 to 9999 in UTC") from None
    text = f"{moment.year:04}-{moment:%m-%dT%H:%M:%S}"
    return f"{text}.{moment.microsecond:06}Z" if moment.microsecond else f"{text}Z"


def text_in_zone(text: str | None, data_type: str, zone: ZoneInfo) -> str | None:
    """A text as it is, but for a moment without a zone: it is one in `zone`, and written in UTC."""
    if text is None or data_type not in _MOMENTS or zone.key == "UTC":
        return text
    try:
        moment = datetime.fromisoformat(text.strip())
        return text if moment.tzinfo is not None else _text_of_moment(moment, data_type, zone)
    except ValueError:
        return text


def end_of_day(value: Any, zone: ZoneInfo) -> str | None:
    """When the day of a date was over in `zone`, in UTC; None for what is no date.

    >>> end_of_day("2024-07-01", ZoneInfo("Europe/Berlin")), end_of_day("2024-07-01 10:00", ZoneInfo("UTC"))
    ('2024-07-01T22:00:00Z', None)
    """
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value.strip())
        except ValueError:
            return None
    if not isinstance(value, date) or isinstance(value, datetime) or value == date.max:
        return None
    return _text_of_moment(datetime.combine(value + timedelta(days=1), time()), "timestamp", zone)


def moment_in_text(text: str | None) -> datetime | None:
    """The moment that a landing text says, UTC where it names no zone; None if it says none."""
    try:
        moment = datetime.fromisoformat((text or "").strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def header_of(table: FeedTable) -> str:
    return ",".join(column.name for column in table.columns)


def line_of(row: Row, table: FeedTable) -> str:
    """The line of a row, without a line end.

    >>> from ml_assets.feeds.feed import FeedColumn
    >>> table = FeedTable("notes", (FeedColumn("id", "integer"), FeedColumn("note", "varchar")))
    >>> print(line_of(["1", 'say "no", or'], table))
    1,"say ""no"", or"
    >>> print(line_of(["2", "two\\nlines"], table))
    2,two lines,note holds a line break
    """
    if isinstance(row, Unreadable):
        # One field, or two where one is what the table has: never as many as the door expects.
        fields = [_UNCARRIED.sub(" ", row.text), row.reason]
        return ",".join(map(_field, fields if len(table.columns) != len(fields) else [*fields, ""]))
    broken = [
        f"{column.name} holds {_name_of(found[0])}"
        for column, value in zip(table.columns, row, strict=True)
        if value is not None and (found := _UNCARRIED.search(value))
    ]
    if broken:
        row = [*(value and _UNCARRIED.sub(" ", value) for value in row), "; ".join(broken)]
    return ",".join(_field(value) for value in row)


def _field(value: str | None) -> str:
    if value is None:
        return ""
    return '"' + value.replace('"', '""') + '"' if '"' in value or "," in value else value


def _name_of(character: str) -> str:
    if character in "\n\r":
        return "a line break"
    return "a null character" if character == "\x00" else "half a character, which is no UTF-8"


@dataclass(frozen=True)
class WrittenLines:
    """What was written: the files in place, and their lines below the header."""

    files: tuple[Path, ...]
    rows: int


def write_lines(first: Path, header: str, lines: Iterable[str], most_bytes: int = MOST_BYTES) -> WrittenLines:
    """Writes the lines to `first`, and to files numbered from 2 on where they are too many for one.

    `first` is put in place last: where it is there, all of them are. So a killed call is repeated as a whole, with the
    same bytes. Nothing is left in place if the lines end in an error.
    """
    partial: list[tuple[Path, Path]] = []
    count = 0
    try:
        for number, chunk in enumerate(_chunks(lines, most_bytes), start=1):
            path = first if number == 1 else first.with_name(f"{first.name.removesuffix('.csv')}.{number}.csv")
            aside = path.with_name(f".{path.name}.part")
            partial.append((aside, path))
            with aside.open("w", encoding="utf-8", newline="") as file:
                file.write(header + "\n")
                for line in chunk:
                    file.write(line + "\n")
                    count += 1
                file.flush()
                os.fsync(file.fileno())
    except BaseException:
        for aside, _ in partial:
            aside.unlink(missing_ok=True)
        raise
    for aside, path in reversed(partial):
        os.replace(aside, path)
    settle(first.parent)
    return WrittenLines(tuple(path for _, path in partial), count)


def _chunks(lines: Iterable[str], most_bytes: int) -> Iterator[Iterator[str]]:
    """The lines in stretches of at most so many bytes, one line at least; one empty stretch if there are none."""
    remaining = iter(lines)
    held = [next(remaining, None)]

    def stretch() -> Iterator[str]:
        size = 0
        while held[0] is not None:
            size += len(held[0].encode()) + 1
            if size > most_bytes and size > len(held[0].encode()) + 1:
                return
            line, held[0] = held[0], next(remaining, None)
            yield line

    yield stretch()
    while held[0] is not None:
        yield stretch()
