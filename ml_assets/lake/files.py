"""Bytes on the disk: written whole or not at all, the same rows as the same bytes.

What belongs here: how any result becomes a file. What does not: which results there are (`results.py`).
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq


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


def write_if_other(path: Path, content: bytes) -> Path:
    """The same as `write_whole`, but for bytes that stand there already."""
    if not path.exists() or path.read_bytes() != content:
        write_whole(path, content)
    return path


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of one file, or only some of its columns."""
    return pq.ParquetFile(path).read(columns=list(columns) if columns else None)


def unfinished_files(root: Path, before: float) -> tuple[Path, ...]:
    """What `write_whole` had begun below a folder when its process died, last written before a moment."""
    return tuple(file for file in sorted(root.rglob(".*.part")) if file.stat().st_mtime < before)
