"""What lies in the landing folder, told from names, sizes and times.

What belongs here: looking at the folder. What does not: what follows from news there (`automation/landing.py`).
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path


@dataclass(frozen=True)
class LandingState:
    """What lies in the landing folder, told from names, sizes and times, and from bytes only where sizes are equal."""

    digest: str
    files: int
    newest: float


def landing_state(folder: Path) -> LandingState:
    """Of every file below the folder. A name with a dot in front is still being written.

    A file with the same bytes as an older one of its folder does not count in the digest: the door would pass over it,
    and nothing could follow from it.
    """
    found: dict[tuple[Path, int], list[tuple[int, str]]] = {}
    newest = 0.0
    for path, status in _files(folder):
        found.setdefault((Path(path).parent, status.st_size), []).append((status.st_mtime_ns, path))
        newest = max(newest, status.st_mtime)
    lines = []
    for (_, size), files in found.items():
        contents: set[str] = set()
        for modified, path in sorted(files):
            content = _sha256(path, size, modified) if len(files) > 1 else ""
            if content not in contents:
                lines.append(f"{path}\t{size}\t{modified}")
            contents.add(content)
    digest = hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]
    return LandingState(digest, sum(len(files) for files in found.values()), newest)


@lru_cache(maxsize=65_536)
def _sha256(path: str, size: int, modified: int) -> str:  # noqa: ARG001 they tell when to look again
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def landing_times(folder: Path) -> list[datetime]:
    """When each file below the folder landed: its time of modification."""
    return [datetime.fromtimestamp(status.st_mtime, UTC) for _, status in _files(folder)]


def _files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _files(Path(entry.path))
            elif entry.is_file():
                yield entry.path, entry.stat()
