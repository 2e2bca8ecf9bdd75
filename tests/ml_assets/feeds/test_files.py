"""The feed of files: whatever the format, the door reads back the same values; what cannot be read is named."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import os
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml_assets.errors import DeclarationError, FeedError
from ml_assets.feeds.feed import FeedColumn, FeedSource, FeedTable, LandingReport
from ml_assets.feeds.files import FilesFeed
from tests.ml_assets.feeds.door import read_at_door

COLUMNS = {
    "id": "bigint",
    "note": "varchar",
    "amount": "double",
    "day": "date",
    "seen_at": "timestamp",
    "is_new": "boolean",
}
NOTES = FeedTable("notes", tuple(FeedColumn(*one) for one in COLUMNS.items()), known_at="seen_at")
FORMATS = ("csv", "csv.gz", "csv.bz2", "csv.zst", "parquet", "jsonl", "jsonl.gz")


def feed_of(folder: Path, table: FeedTable = NOTES, **options: Any) -> FilesFeed:
    return FilesFeed(FeedSource("other", "shop", (table,), {"folder": str(folder), "tables": {table.name: options}}))


def settled(path: Path) -> Path:
    """The file as if it had been written a minute ago."""
    moment = time.time() - 60
    os.utime(path, (moment, moment))
    return path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return settled(path)


def lines_of(*rows: str) -> str:
    return "\n".join([",".join(COLUMNS), *rows]) + "\n"


ROW = "1,one,0.5,2024-01-01,2024-01-01T10:00:00Z,true"


def land(folder: Path, landing: Path, through: str | None = None, **options: Any) -> LandingReport:
    moment = None if through is None else datetime.fromisoformat(through).replace(tzinfo=UTC)
    return feed_of(folder, **options).land(landing, moment)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "exports").mkdir()
    return tmp_path / "exports"


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    return tmp_path / "landing"


# --- the same values

texts = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\x00"), max_size=12)
rows = st.lists(
    st.tuples(
        st.integers(-(2**62), 2**62),
        st.none() | texts,
        st.none() | st.floats(allow_nan=False, allow_infinity=False),
        st.none() | st.dates(date(1900, 1, 1), date(2200, 1, 1)),
        st.datetimes(
            datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC) | st.just(ZoneInfo("Asia/Tokyo"))
        ),
        st.none() | st.booleans(),
    ),
    max_size=8,
)


def as_the_door_would(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The door drops blanks around a text, and takes an empty one and NA as missing; moments are in UTC there."""
    number, note, amount, day, seen_at, is_new = row
    note = (note or "").strip(
        "".join(
            chr(code)
            for code in range(0x3001)
            if chr(code).isspace() and chr(code) not in "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f\x85"
        )
    )
    return (
        number,
        None if note in ("", "NA") else note,
        amount,
        day,
        seen_at.astimezone(UTC).replace(tzinfo=None),
        is_new,
    )


def written_as(kind: str, path: Path, found: list[tuple[Any, ...]]) -> None:
    if kind == "parquet":
        types = [pa.int64(), pa.string(), pa.float64(), pa.date32(), pa.timestamp("us", "UTC"), pa.bool_()]
        columns = [pa.array([row[place] for row in found], kind) for place, kind in enumerate(types)]
        pq.write_table(pa.table(dict(zip(COLUMNS, columns, strict=True))), path)
        return
    plain = [[v.isoformat() if isinstance(v, date) else v for v in row] for row in found]
    if "json" in kind:
        text = "".join(json.dumps(dict(zip(COLUMNS, row, strict=True))) + "\n" for row in plain) or "\n"
    else:
        buffer = io.StringIO(newline="")
        writer = csv.writer(buffer)
        writer.writerow(COLUMNS)
        writer.writerows(
            [["" if v is None else str(v).lower() if isinstance(v, bool) else v for v in row] for row in plain]
        )
        text = buffer.getvalue()
    content = text.encode()
    if kind.endswith(".gz"):
        content = gzip.compress(content)
    elif kind.endswith(".bz2"):
        content = bz2.compress(content)
    elif kind.endswith(".zst"):
        content = pa.compress(content, codec="zstd", asbytes=True)
    path.write_bytes(content)


@pytest.mark.parametrize("kind", FORMATS)
@given(found=rows)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_door_reads_back_the_values_of_the_file(
    tmp_path_factory: pytest.TempPathFactory, kind: str, found: list[tuple[Any, ...]]
) -> None:
    folder, landing = tmp_path_factory.mktemp("exports"), tmp_path_factory.mktemp("landing")
    if "json" in kind and not found:
        return  # without a row there is no column
    written_as(kind, folder / f"notes.{kind}", found)
    settled(folder / f"notes.{kind}")

    report = land(folder, landing)
    good, aside = read_at_door(landing / "other" / "notes", NOTES)

    assert report.findings == ()
    assert good == [as_the_door_would(row) for row in found]
    assert aside == []
    assert report.rows == len(found)


@pytest.mark.parametrize("broken", ["two\nlines", "two\rlines", "no\x00thing"])
def test_a_text_that_no_line_can_carry_is_set_aside_with_the_reason(folder: Path, landing: Path, broken: str) -> None:
    table = pa.table({"id": [1, 2], "note": [broken, "sound"]})
    for name in ("amount", "day", "seen_at", "is_new"):
        table = table.append_column(name, pa.nulls(2))
    pq.write_table(table, folder / "notes.parquet")
    settled(folder / "notes.parquet")

    land(folder, landing)
    good, aside = read_at_door(landing / "other" / "notes", NOTES)

    assert [row[:2] for row in good] == [(2, "sound")]
    assert len(aside) == 1
    assert "note holds a" in aside[0]


def test_a_moment_without_a_zone_is_one_in_the_declared_zone(folder: Path, landing: Path) -> None:
    write(folder / "notes.csv", lines_of("1,one,0.5,2024-01-01,2024-07-01 12:30:00,true"))

    land(folder, landing, timezone="Europe/Berlin")

    assert read_at_door(landing / "other/notes", NOTES)[0][0][4] == datetime(2024, 7, 1, 10, 30)


def test_a_date_says_that_a_row_was_known_when_the_day_was_over(folder: Path, landing: Path) -> None:
    write(folder / "notes.csv", lines_of("1,one,0.5,2024-01-01,2024-07-01,true"))

    land(folder, landing)

    assert read_at_door(landing / "other/notes", NOTES)[0][0][4] == datetime(2024, 7, 2)


def test_columns_may_be_called_otherwise_and_stand_in_another_order(folder: Path, landing: Path) -> None:
    write(
        folder / "notes.tsv",
        "The Note\tid\tamount\tday\tseen_at\tis_new\tsecret\nhello\t7\t\t\t2024-01-01T00:00:00Z\t\tx\n",
    )

    report = land(folder, landing, columns={"note": "The Note"})

    assert read_at_door(landing / "other/notes", NOTES)[0][0][:2] == (7, "hello")
    assert "secret" in " ".join(report.findings)


# --- what is new


def test_landing_again_adds_nothing_and_changes_no_byte(folder: Path, landing: Path) -> None:
    write(folder / "notes.csv", lines_of(ROW))
    land(folder, landing)
    before = {path: path.read_bytes() for path in landing.rglob("*.csv")}
    again = land(folder, landing)

    assert {path: path.read_bytes() for path in landing.rglob("*.csv")} == before
    assert (len(before), again.files) == (1, 0)


def test_the_same_bytes_under_another_name_land_once(folder: Path, landing: Path) -> None:
    write(folder / "notes.csv", lines_of(ROW))
    write(folder / "notes" / "copy.csv", lines_of(ROW))

    assert land(folder, landing).files == 1


def test_a_landing_that_was_killed_is_repeated_with_the_same_bytes(folder: Path, landing: Path) -> None:
    write(folder / "notes.csv", lines_of(ROW))
    land(folder, landing)
    (landed,) = landing.rglob("*.csv")
    expected = landed.read_bytes()
    landed.rename(landed.with_name(f".{landed.name}.part"))
    land(folder, landing)

    assert [path.name for path in landed.parent.iterdir()] == [landed.name]
    assert landed.read_bytes() == expected


def test_a_file_that_may_still_grow_is_left_for_the_next_time(folder: Path, landing: Path) -> None:
    path = write(folder / "notes.csv", lines_of(ROW))
    os.utime(path)
    first = land(folder, landing)
    settled(path)
    second = land(folder, landing)

    assert (first.files, second.files) == (0, 1)
    assert "notes.csv was written to" in first.findings[0]


@pytest.mark.parametrize(
    "steps", [["2024-01-01", "2024-01-03", None], [None], ["2024-01-02", None], ["2023-01-01", "2024-01-04"]]
)
def test_any_sequence_of_moments_lands_each_row_once(folder: Path, landing: Path, steps: list[str | None]) -> None:
    days = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=7 * number) for number in range(10)]
    write(folder / "notes.csv", lines_of(*(f"{number},n,1,,{day.isoformat()}," for number, day in enumerate(days))))
    for step in steps:
        land(folder, landing, step)
        if step is not None:
            numbers = [row[0] for row in read_at_door(landing / "other/notes", NOTES)[0]]
            assert sorted(numbers) == [
                n for n, day in enumerate(days) if day <= datetime.fromisoformat(step).replace(tzinfo=UTC)
            ]

    good, aside = read_at_door(landing / "other" / "notes", NOTES)
    assert sorted(row[0] for row in good) == list(range(10))
    assert aside == []


def test_what_is_said_to_be_as_reported_stays_so(folder: Path, landing: Path) -> None:
    write(folder / "notes" / "history.as_reported.csv", lines_of(ROW))
    land(folder, landing)

    assert [path.name.endswith(".as_reported.csv") for path in landing.rglob("*.csv")] == [True]


# --- what is wrong

ATTACKS = {
    "an empty file": ("notes.csv", b"", "empty"),
    "no text": ("notes.csv", b"id,note\n\xff\xfe\x00", "decode"),
    "a quote that is never closed": ("notes.csv", (lines_of(ROW) + '2,"never').encode(), "unexpected end"),
    "text behind a quote": ("notes.csv", (lines_of() + '1,"b"lost,,,,\n').encode(), "expected after"),
    "a column twice": ("notes.csv", b"id,id\n1,2\n", "twice"),
    "a missing column": ("notes.csv", b"id,note\n1,one\n", "'amount'"),
    "half a gzip": ("notes.csv.gz", gzip.compress(lines_of(*[ROW] * 999).encode())[:-20], "end"),
    "no gzip": ("notes.csv.gz", b"plain", "gzip"),
    "no zstd": ("notes.csv.zst", b"plain", ""),
    "half a zstd": (
        "notes.csv.zst",
        pa.compress(lines_of(*(f"{n},{n}" for n in range(9999))).encode(), codec="zstd", asbytes=True)[:-99],
        "",
    ),
    "no parquet": ("notes.parquet", b"PAR1 and nothing else", "Parquet"),
    "an unknown format": ("notes.xlsx", b"PK", "format"),
    "JSON of no object": ("notes.jsonl", b"[]\n[1]\n", "'id'"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_bad_file_is_named_and_the_rest_goes_on(folder: Path, landing: Path, attack: str) -> None:
    name, content, words = ATTACKS[attack]
    (folder / name).write_bytes(content)
    settled(folder / name)
    write(folder / "notes" / "good.csv", lines_of(ROW))

    report = land(folder, landing)

    assert report.rows == 1
    assert len(report.findings) == 1
    assert name in report.findings[0]
    assert words in report.findings[0]
    assert [path.name for path in landing.rglob("*") if path.name.endswith(".part")] == []


def test_bad_lines_are_set_aside_and_the_others_read(folder: Path, landing: Path) -> None:
    objects = [
        '{"id": 1, "note": "a", "amount": 1, "day": null, "seen_at": null, "is_new": null}',
        "{",
        '{"id": 2, "id": 3}',
        '{"id": {"deep": 1}}',
        "7",
    ]
    write(folder / "notes.jsonl", "\n".join(objects) + "\n")
    write(folder / "notes.csv", lines_of(ROW, "1,2", "1,2,3,4,5,6,7"))

    land(folder, landing)
    good, aside = read_at_door(landing / "other" / "notes", NOTES)

    assert [row[0] for row in good] == [1, 1]
    assert len(aside) == 6


def test_a_large_source_lands_in_several_files_of_whole_lines(tmp_path: Path) -> None:
    from ml_assets.feeds.landing_lines import write_lines

    lines = [f"{number},{'x' * (number % 40)}" for number in range(500)]
    written = write_lines(tmp_path / "big.csv", "id,text", lines, most_bytes=700)

    assert len(written.files) > 5
    assert written.rows == 500
    read = [line for file in written.files for line in file.read_text().splitlines()[1:]]
    assert read == lines
    assert max(file.stat().st_size for file in written.files) <= 700 + len("id,text\n")


MISTAKES = {
    "a folder that depends on the place": ({"folder": "exports"}, "folder: 'exports'"),
    "no folder": ({}, "folder: is missing"),
    "an option that there is not": ({"folder": "/x", "tabels": {}}, "tabels"),
    "a table that is not declared": ({"folder": "/x", "tables": {"note": {}}}, "did you mean 'notes'"),
    "a column that is not declared": (
        {"folder": "/x", "tables": {"notes": {"columns": {"amout": "A"}}}},
        "did you mean 'amount'",
    ),
    "a pattern that leaves the folder": (
        {"folder": "/x", "tables": {"notes": {"pattern": "../*.csv"}}},
        "leaves the folder",
    ),
    "no zone": ({"folder": "/x", "tables": {"notes": {"timezone": "Berlin"}}}, "no time zone"),
    "no encoding": ({"folder": "/x", "tables": {"notes": {"encoding": "utf-9"}}}, "no encoding"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_options_is_named(mistake: str) -> None:
    options, words = MISTAKES[mistake]
    with pytest.raises(DeclarationError, match=words):
        FilesFeed(FeedSource("other", "shop", (NOTES,), options))


def test_a_folder_may_begin_with_a_variable(folder: Path, landing: Path) -> None:
    write(folder / "notes.csv", lines_of(ROW))
    options = {"folder": "$EXPORTS/exports"}
    found = FilesFeed(FeedSource("other", "shop", (NOTES,), options, {"EXPORTS": str(folder.parent)}))
    lost = FilesFeed(FeedSource("other", "shop", (NOTES,), options))

    assert found.land(landing, None).rows == 1
    with pytest.raises(FeedError, match="set EXPORTS"):
        lost.land(landing, None)
