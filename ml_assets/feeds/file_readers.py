"""Files of other people, read row by row: CSV, Parquet and JSON lines, each also compressed.

What belongs here: opening a file of a format, its columns, its rows. What does not: which files are read, and what
becomes of the rows. What makes a file unreadable as a whole is one of UNREADABLE; one bad row is `Unreadable`.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from ml_assets.feeds.landing_lines import Unreadable

Format = Literal["csv", "parquet", "json_lines"]
_FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "json_lines",
    ".ndjson": "json_lines",
    ".json": "json_lines",
}
_COMPRESSIONS = (".gz", ".bz2", ".zst")
_BATCH_ROWS = 8192
UNREADABLE = (OSError, EOFError, ValueError, zlib.error, csv.Error, pa.ArrowException)


@dataclass(frozen=True)
class FileContent:
    """The columns of a file and its rows, each as long as the columns."""

    columns: tuple[str, ...]
    rows: Iterator[Sequence[Any] | Unreadable]


def bare_name(path: Path) -> str:
    """The name without what tells compression and format.

    >>> bare_name(Path("orders-2024.csv.gz"))
    'orders-2024'
    """
    name = path.name.removesuffix(path.suffix) if path.suffix in _COMPRESSIONS else path.name
    return Path(name).stem if Path(name).suffix in _FORMATS else name


def format_of(path: Path) -> Format | None:
    """The format that a name tells, compressed or not; None if it tells none."""
    name = Path(path.stem) if path.suffix in _COMPRESSIONS else path
    return _FORMATS.get(name.suffix.lower())


@contextmanager
def open_file(path: Path, file_format: Format, delimiter: str | None, encoding: str) -> Iterator[FileContent]:
    """The content of a file, for as long as it is open.

    Raises:
        ValueError: with the reason, if its header cannot be read; one of UNREADABLE comes with the rows if they end
            badly.
    """
    with _opened(path) as stream:
        if file_format == "parquet":
            yield _parquet(stream)
        elif file_format == "json_lines":
            with _opened(path) as again:
                yield _json_lines(stream, again, encoding)
        else:
            yield _delimited(stream, delimiter or ("\t" if ".tsv" in path.suffixes else ","), encoding)


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    if path.suffix == ".gz":
        with gzip.open(path) as stream:
            yield stream  # type: ignore[misc]
    elif path.suffix == ".bz2":
        with bz2.open(path) as stream:
            yield stream
    elif path.suffix == ".zst":
        with pa.OSFile(str(path)) as file, pa.CompressedInputStream(file, "zstd") as stream:
            yield io.BytesIO(stream.read())
    else:
        with path.open("rb") as stream:
            yield stream


def _text(stream: IO[bytes], encoding: str, newline: str) -> Iterator[str]:
    """The lines of a stream; whoever has opened it closes it."""
    text = io.TextIOWrapper(stream, encoding=encoding, newline=newline)
    try:
        yield from text
    finally:
        if not stream.closed:
            text.detach()


def _delimited(stream: IO[bytes], delimiter: str, encoding: str) -> FileContent:
    lines = csv.reader(_text(stream, encoding, ""), delimiter=delimiter, strict=True)
    columns = tuple(name.strip() for name in next(lines, ()))
    if not columns:
        raise ValueError("is empty: not even a header")
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise ValueError(f"its header names {', '.join(map(repr, twice))} twice")

    def rows() -> Iterator[Sequence[Any] | Unreadable]:
        for row in lines:
            if len(row) == len(columns):
                yield row
            elif row:  # a blank line holds nothing
                yield Unreadable(delimiter.join(row), f"the file has {len(columns)} columns and this line {len(row)}")

    return FileContent(columns, rows())


def _parquet(stream: IO[bytes]) -> FileContent:
    file = pq.ParquetFile(stream if stream.seekable() and not hasattr(stream, "mtime") else io.BytesIO(stream.read()))
    schema = file.schema_arrow
    # The door knows microseconds.
    plain = pa.schema(
        [
            field.with_type(pa.timestamp("us", field.type.tz)) if pa.types.is_timestamp(field.type) else field
            for field in schema
        ]
    )

    def rows() -> Iterator[Sequence[Any] | Unreadable]:
        for batch in file.iter_batches(_BATCH_ROWS):
            table = pa.Table.from_batches([batch]).cast(plain, safe=False)
            yield from zip(*(column.to_pylist() for column in table.columns), strict=True)

    return FileContent(tuple(schema.names), rows())


def _json_lines(stream: IO[bytes], again: IO[bytes], encoding: str) -> FileContent:
    columns: dict[str, None] = {}
    for line in _text(again, encoding, "\n"):
        found = _object_in(line)
        if isinstance(found, dict):
            columns.update(dict.fromkeys(found))

    def rows() -> Iterator[Sequence[Any] | Unreadable]:
        for line in _text(stream, encoding, "\n"):
            found = _object_in(line)
            if isinstance(found, dict):
                yield [found.get(column) for column in columns]
            elif found is not None:
                yield found

    return FileContent(tuple(columns), rows())


def _object_in(line: str) -> dict[str, Any] | Unreadable | None:
    """The object of one line, its numbers as they are written; None for a blank line."""
    text = line.strip()
    if not text:
        return None
    try:
        found = json.loads(text, parse_int=str, parse_float=str, parse_constant=str, object_pairs_hook=_each_once)
    except ValueError as error:
        return Unreadable(text, f"the line is no JSON object: {error}")
    except RecursionError:
        return Unreadable(text, "the line is no JSON object: it is nested too deeply")
    return found if isinstance(found, dict) else Unreadable(text, "the line is no JSON object")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in it")
    return found
