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

from ml_assets.errors import ResultCorrupt


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


def read_parquet(path: Path, remedy: str, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of one file, or only some of its columns (those that it has); the checksums of its pages are verified.

    Raises:
        ResultCorrupt: naming the file and the remedy.
    """
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
        names = file.schema_arrow.names
        return file.read(columns=None if columns is None else [name for name in columns if name in names])
    except FileNotFoundError:
        raise
    except (OSError, ValueError, pa.ArrowException) as error:  # whatever pyarrow makes of broken bytes
        raise ResultCorrupt(f"{path}: cannot be read ({_first_line(error)}); {remedy}") from None


def read_row_count(path: Path, remedy: str) -> int:
    """The rows of one file, from its footer alone.

    Raises:
        ResultCorrupt: naming the file and the remedy.
    """
    try:
        return pq.read_metadata(path).num_rows
    except (OSError, ValueError, pa.ArrowException) as error:
        raise ResultCorrupt(f"{path}: cannot be read ({_first_line(error)}); {remedy}") from None


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def unfinished_files(root: Path, before: float) -> tuple[Path, ...]:
    """What `write_whole` had begun below a folder when its process died, last written before a moment."""
    return tuple(file for file in sorted(root.rglob(".*.part")) if file.stat().st_mtime < before)
