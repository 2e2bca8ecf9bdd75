"""What was published, opened once and held: every byte is verified before it is parsed.

What belongs here: reading dbt's published tables. What does not: results (`results.py`), what the rows mean.

`catalog.jsonl` is replaced whole whenever dbt publishes. A verb opens it once and holds what it says: two reads of one
verb can never see two states. The files of a state stay until they are swept, days later. A part's bytes are read once,
hashed, and parsed from that same buffer, so what was verified is what is used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ml_assets.errors import ColumnsMissing, LakeError, PartCorrupt, TableMissing
from ml_assets.lake.results import Results


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
class Lake(Results):
    """The lake of one home. Its published tables are read through `open`, its results at any time."""

    def open(self) -> Snapshot:
        """What is published now, to be held for one verb.

        Raises:
            LakeError: if a line of the catalog is none.
        """
        return Snapshot(self.root, self._catalog())

    def _catalog(self) -> tuple[Part, ...]:
        """One part a line, ordered by table and part; empty if nothing was published yet."""
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

    def unnamed_files(self, before: float) -> tuple[Path, ...]:
        """Table files that the catalog does not name and that were last written before a moment (seconds since 1970).

        They are earlier states. A reader that opened the catalog then may still want them, hence the moment.
        """
        named = {self.root / part.file for part in self._catalog()}
        files = sorted((self.root / "tables").glob("*.parquet"))
        return tuple(file for file in files if file not in named and file.stat().st_mtime < before)


@dataclass(frozen=True)
class Snapshot(Lake):
    """One published state; `catalog` is its parts, ordered by table and part."""

    catalog: tuple[Part, ...]

    def open(self) -> Snapshot:
        """Itself: a verb that was handed a snapshot holds that one."""
        return self

    def tables(self) -> tuple[str, ...]:
        """The names of the published tables."""
        return tuple(dict.fromkeys(part.table for part in self.catalog))

    def parts(self, table: str) -> tuple[Part, ...]:
        """The parts of one table, in the order of their names.

        Raises:
            TableMissing: if it is not published.
        """
        parts = tuple(part for part in self.catalog if part.table == table)
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
