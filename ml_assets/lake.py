"""What was published, read with its hashes verified; and results, written whole or not at all.

What belongs here: files in and out of `lake/`. What does not: what the rows mean.

Readers see what `catalog.jsonl` says and nothing else. A part's bytes are read once, hashed, and parsed from that same
buffer, so what was verified is what is used. Results are written deterministically: the same rows give the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ml_assets.errors import ColumnsMissing, LakeError, PartCorrupt, TableMissing
from ml_assets.metrics import Floats

PREDICTION_SCHEMA = pa.schema(
    [
        ("model", pa.string()),
        ("decision_key", pa.string()),
        ("decision_at", pa.timestamp("us")),
        ("model_version", pa.int32()),
        ("model_sha256", pa.string()),
        ("prediction", pa.float64()),
        ("prediction_status", pa.string()),
        ("status_reason", pa.string()),
        ("scored_as_of", pa.timestamp("us")),
    ]
)
EVALUATION_SCHEMA = pa.schema(
    [
        ("model", pa.string()),
        ("version", pa.int32()),
        ("as_of", pa.timestamp("us")),
        ("subject", pa.string()),
        ("slice_name", pa.string()),
        ("slice_value", pa.string()),
        ("metric", pa.string()),
        ("value", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("rows", pa.int64()),
    ]
)
REFERENCE_SCHEMA = pa.schema(
    [("model", pa.string()), ("version", pa.int32()), ("prediction", pa.float64()), ("row_count", pa.int64())]
)
RELIANCE_SCHEMA = pa.schema(
    [("model", pa.string()), ("version", pa.int32()), ("feature", pa.string()), ("reliance", pa.float64())]
)
NULL_SHARE_SCHEMA = pa.schema(
    [("model", pa.string()), ("version", pa.int32()), ("feature", pa.string()), ("null_share", pa.float64())]
)
_DATE_FILE = re.compile(r"\d{4}-\d\d-\d\d\.parquet")


@dataclass(frozen=True)
class Part:
    """One published file of one table; the fields are those of a catalog line."""

    table: str
    part: str
    file: str
    sha256: str
    bytes: int
    rows: int
    fingerprint: str


@dataclass(frozen=True)
class Lake:
    """The published tables and the results below one folder."""

    root: Path

    def catalog(self) -> tuple[Part, ...]:
        """What is published now, ordered by table and part; empty if nothing was published yet.

        Raises:
            LakeError: if a line is no catalog line.
        """
        path = self.root / "catalog.jsonl"
        try:
            lines = path.read_text().splitlines()
        except FileNotFoundError:
            return ()
        parts = []
        for number, line in enumerate(lines, start=1):
            try:
                parts.append(Part(**json.loads(line)))
            except (ValueError, TypeError) as error:
                raise LakeError(f"{path}, line {number}: no catalog line ({error}); publish again: dbt build") from None
        return tuple(sorted(parts, key=lambda part: (part.table, part.part)))

    def tables(self) -> tuple[str, ...]:
        """The names of the published tables."""
        return tuple(dict.fromkeys(part.table for part in self.catalog()))

    def parts(self, table: str) -> tuple[Part, ...]:
        """The parts of one table, in the order of their names.

        Raises:
            TableMissing: if it is not published.
        """
        parts = tuple(part for part in self.catalog() if part.table == table)
        if not parts:
            raise TableMissing(
                f"{table}: not in {self.root / 'catalog.jsonl'} (tables: {', '.join(self.tables()) or 'none'}); "
                f"publish it: dbt build --select +{table}"
            )
        return parts

    def rows(self, table: str) -> int:
        """How many rows of the table are published."""
        return sum(part.rows for part in self.parts(table))

    def columns(self, table: str, part: Part | None = None) -> tuple[str, ...]:
        """The columns of the table, from the newest part's own schema or from that of another."""
        chosen = part or self.parts(table)[-1]
        return tuple(pq.ParquetFile(pa.BufferReader(self.verified_bytes(chosen))).schema_arrow.names)

    def table_hash(self, table: str) -> str:
        """sha256 over the parts' names and hashes, so it changes if a published byte does; reads no part."""
        return hashlib.sha256(
            "\n".join(f"{part.part} {part.sha256}" for part in self.parts(table)).encode()
        ).hexdigest()

    def read(self, table: str, columns: Sequence[str] | None = None, parts: Iterable[str] | None = None) -> pa.Table:
        """The table's rows in the order of its parts, every byte verified before it is parsed.

        Args:
            columns: only these, in this order.
            parts: only the parts of these names.

        Raises:
            TableMissing, PartCorrupt, ColumnsMissing: each names the table, the file and the remedy.
        """
        wanted = None if parts is None else set(parts)
        chosen = [part for part in self.parts(table) if wanted is None or part.part in wanted]
        if wanted is not None and len(chosen) != len(wanted):
            raise TableMissing(
                f"{table}: no part {', '.join(sorted(wanted - {part.part for part in chosen}))} in "
                f"{self.root / 'catalog.jsonl'}"
            )
        pieces = list(self._read_parts(chosen, columns))
        return (
            pa.concat_tables(pieces, promote_options="default")
            if pieces
            else pa.table({name: pa.array([], pa.null()) for name in columns or ()})
        )

    def _read_parts(self, parts: Sequence[Part], columns: Sequence[str] | None) -> Iterator[pa.Table]:
        for part in parts:
            file = pq.ParquetFile(pa.BufferReader(self.verified_bytes(part)))
            missing = [name for name in columns or () if name not in file.schema_arrow.names]
            if missing:
                raise ColumnsMissing(
                    f"{part.table}: no column {', '.join(missing)} in part {part.part} (columns: "
                    f"{', '.join(file.schema_arrow.names)}); "
                    f"build it again: dbt build --full-refresh --select {part.table}"
                )
            table = file.read(columns=list(columns) if columns is not None else None)
            yield table.select(list(columns)) if columns is not None else table

    def verified_bytes(self, part: Part) -> bytes:
        """The part's bytes, if they are those that were published.

        Raises:
            PartCorrupt: if the file is gone or its sha256 is another.
        """
        path = self.root / part.file
        remedy = f"nothing was read of it; remove what is there and publish again: dbt build --select {part.table}"
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise PartCorrupt(
                f"{part.table}, part {part.part}: {path} is gone, but the catalog names it; {remedy}"
            ) from None
        found = hashlib.sha256(content).hexdigest()
        if found != part.sha256:
            raise PartCorrupt(
                f"{part.table}, part {part.part}: {path} has sha256 {found[:12]}…, the catalog says "
                f"{part.sha256[:12]}…; {remedy}"
            )
        return content

    def unnamed_files(self, before: float) -> tuple[Path, ...]:
        """Table files that the catalog does not name and that were last written before a moment (seconds since 1970).

        They are earlier states. A reader that opened the catalog then may still want them, hence the moment.
        """
        named = {self.root / part.file for part in self.catalog()}
        files = sorted((self.root / "tables").glob("*.parquet"))
        return tuple(file for file in files if file not in named and file.stat().st_mtime < before)

    def predictions_folder(self, model: str, shadow: int | None = None) -> Path:
        """Of the model's predictions, or of those that one version makes in shadow."""
        if shadow is not None:
            return self.root / "shadow_predictions" / model / str(shadow)
        return self.root / "predictions" / model

    def prediction_rows_by_date(self, model: str) -> dict[date, int]:
        """The decision dates that have a predictions file and its rows, from the files' footers alone."""
        folder = self.predictions_folder(model)
        files = (
            sorted(path for path in folder.glob("*.parquet") if _DATE_FILE.fullmatch(path.name))
            if folder.exists()
            else []
        )
        return {date.fromisoformat(path.stem): pq.read_metadata(path).num_rows for path in files}

    def prediction_dates(self, model: str, shadow: int | None = None) -> tuple[date, ...]:
        """The decision dates that have a predictions file; a listing of names, no file is opened."""
        folder = self.predictions_folder(model, shadow)
        names = (
            sorted(path.name for path in folder.iterdir() if _DATE_FILE.fullmatch(path.name)) if folder.exists() else []
        )
        return tuple(date.fromisoformat(name.removesuffix(".parquet")) for name in names)

    def read_predictions(
        self,
        model: str,
        dates: Iterable[date] | None = None,
        columns: Sequence[str] | None = None,
        shadow: int | None = None,
    ) -> pa.Table:
        """The model's predictions, of all decision dates or of those given, ordered by date and key."""
        present = self.prediction_dates(model, shadow)
        chosen = present if dates is None else sorted(set(dates) & set(present))
        folder = self.predictions_folder(model, shadow)
        pieces = [_read_file(folder / f"{day}.parquet", columns) for day in chosen]
        names = columns or PREDICTION_SCHEMA.names
        return (
            pa.concat_tables(pieces)
            if pieces
            else pa.schema([PREDICTION_SCHEMA.field(name) for name in names]).empty_table()
        )

    def write_predictions(self, model: str, day: date, rows: pa.Table, shadow: int | None = None) -> Path:
        """Replaces one decision date's predictions, whole or not at all."""
        ordered = rows.cast(PREDICTION_SCHEMA).sort_by([("decision_at", "ascending"), ("decision_key", "ascending")])
        path = self.predictions_folder(model, shadow) / f"{day}.parquet"
        write_whole(path, parquet_bytes(ordered))
        return path

    def read_evaluations(self, model: str) -> pa.Table:
        """Every judged version's figures, ordered by version."""
        folder = self.root / "evaluations" / model
        files = sorted(folder.glob("*.parquet"), key=lambda path: int(path.stem)) if folder.exists() else []
        return pa.concat_tables([_read_file(path) for path in files]) if files else EVALUATION_SCHEMA.empty_table()

    def write_evaluation(self, model: str, version: int, rows: pa.Table) -> Path:
        """Replaces one version's figures, whole or not at all; the very same bytes are not written again."""
        path = self.root / "evaluations" / model / f"{version}.parquet"
        return _write_if_other(path, parquet_bytes(rows.cast(EVALUATION_SCHEMA)))

    def write_reference_predictions(self, model: str, version: int, predictions: Floats) -> Path:
        """What a version predicted on the window it was judged by, as counts of values, for later weeks to compare."""
        values, counts = np.unique(predictions, return_counts=True)
        columns = [[model] * len(values), [version] * len(values), values, counts]
        path = self.root / "reference_predictions" / model / f"{version}.parquet"
        return _write_if_other(path, parquet_bytes(pa.table(columns, schema=REFERENCE_SCHEMA)))

    def read_reference_predictions(self, model: str, version: int) -> tuple[Floats, npt.NDArray[np.int64]]:
        """The values of `write_reference_predictions`, rising, and how often each came; empty if not judged."""
        path = self.root / "reference_predictions" / model / f"{version}.parquet"
        table = _read_file(path) if path.exists() else REFERENCE_SCHEMA.empty_table()
        return table["prediction"].to_numpy(), table["row_count"].to_numpy()

    def write_reliance(self, model: str, version: int, reliance: Mapping[str, float]) -> Path:
        """How much a version relies on each of its features (see `reliance.py`)."""
        columns = [[model] * len(reliance), [version] * len(reliance), list(reliance), list(reliance.values())]
        path = self.root / "reliance" / model / f"{version}.parquet"
        return _write_if_other(path, parquet_bytes(pa.table(columns, schema=RELIANCE_SCHEMA)))

    def read_reliance(self, model: str, version: int) -> dict[str, float]:
        """By feature; empty if the version was never judged."""
        path = self.root / "reliance" / model / f"{version}.parquet"
        rows = _read_file(path).to_pylist() if path.exists() else []
        return {row["feature"]: row["reliance"] for row in rows}

    def write_null_shares(self, model: str, version: int, shares: Mapping[str, float]) -> Path:
        """How often each feature was null in what a version learned from (see `missing.py`)."""
        columns = [[model] * len(shares), [version] * len(shares), list(shares), list(shares.values())]
        path = self.root / "null_shares" / model / f"{version}.parquet"
        return _write_if_other(path, parquet_bytes(pa.table(columns, schema=NULL_SHARE_SCHEMA)))

    def read_null_shares(self, model: str, version: int) -> dict[str, float]:
        """By feature; empty if they were never counted."""
        path = self.root / "null_shares" / model / f"{version}.parquet"
        rows = _read_file(path).to_pylist() if path.exists() else []
        return {row["feature"]: row["null_share"] for row in rows}


def unfinished_files(root: Path, before: float) -> tuple[Path, ...]:
    """What `write_whole` had begun below a folder when its process died, last written before a moment."""
    return tuple(file for file in sorted(root.rglob(".*.part")) if file.stat().st_mtime < before)


def _read_file(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    return pq.ParquetFile(path).read(columns=list(columns) if columns else None)


def _write_if_other(path: Path, content: bytes) -> Path:
    if not path.exists() or path.read_bytes() != content:
        write_whole(path, content)
    return path


def parquet_bytes(table: pa.Table) -> bytes:
    """The table as Parquet: no index, no pandas metadata, no clock; the same rows give the same bytes."""
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(None), buffer, compression="zstd", write_page_checksum=True)
    return buffer.getvalue()


def write_whole(path: Path, content: bytes) -> None:
    """Writes beside the target, flushes to the disk, and renames: a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
