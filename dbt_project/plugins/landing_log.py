"""The landing log: which file came when, in which batch, and what the door said of it. Outside the warehouse.

What belongs here: the form of the log, reading it with every hash checked, adding a batch. What does not: any judgement
of a file (landing_door).

`landing_log/<batch>-<first 16 digits of its sha256>.jsonl` holds one line a finding. Its first line names the sha256 of
the batch before it, so a file that was changed no longer has its name, and one that was left out or put in between is
missed by the next. That the newest are missing is seen by the warehouse, which remembers how far it has read.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = "landing_log"

_NAME = re.compile(r"(\d{6,})-([0-9a-f]{16})\.jsonl")
_REMEDY = (
    "Put the folder back from a copy of the home. Without one, move it and warehouse.duckdb aside and build: all "
    "in landing is then taken as a first load, in the order of its names, and what was late is forgotten"
)


class LandingLogError(Exception):
    """The log is not what was written."""


@dataclass
class LandingLog:
    """All that was written so far, and where the next batch goes."""

    folder: Path
    entries: list[dict[str, Any]] = field(default_factory=list)
    batch: int = 0
    head: str = ""

    def append(self, findings: Iterable[Mapping[str, Any]], arrived_at: str) -> int:
        """Writes one more batch, whole or not at all, and returns its number."""
        number = self.batch + 1
        stamp = {"batch": number, "arrived_at": arrived_at}
        lines = [{"kind": "batch", **stamp, "previous": self.head}, *({**one, **stamp} for one in findings)]
        content = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
        digest = hashlib.sha256(content).hexdigest()
        self.folder.mkdir(parents=True, exist_ok=True)
        written = self.folder / f".{number:06d}.tmp"
        with written.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        written.replace(self.folder / f"{number:06d}-{digest[:16]}.jsonl")
        _sync(self.folder)
        self.entries += lines[1:]
        self.batch, self.head = number, digest
        return number


def read_log(home: Path) -> LandingLog:
    """The log of a home, every file of it checked against its name and the one before it.

    Raises:
        LandingLogError: if a file is not the one that was written, or one is missing.
    """
    log = LandingLog(home / FOLDER)
    for file in sorted(file for file in log.folder.glob("*") if not file.name.startswith(".")):
        name = _NAME.fullmatch(file.name)
        if name is None:
            raise LandingLogError(f"{file} is no file of the landing log; nothing else may lie there: move it away")
        content = file.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if digest[:16] != name[2]:
            raise LandingLogError(f"{file} was changed: its bytes have the sha256 {digest[:16]}…. {_REMEDY}")
        lines = [json.loads(line) for line in content.decode().splitlines()]
        if int(name[1]) != log.batch + 1 or lines[0].get("previous") != log.head:
            raise LandingLogError(
                f"{file} does not follow batch {log.batch}: a file of the log is missing or doubled. {_REMEDY}"
            )
        log.entries += lines[1:]
        log.batch, log.head = int(name[1]), digest
    return log


def must_reach(log: LandingLog, batch: int) -> None:
    """Checks that the log holds all that the warehouse has read from it.

    Raises:
        LandingLogError: if its end is missing.
    """
    if log.batch < batch:
        raise LandingLogError(
            f"{log.folder} ends with batch {log.batch}, but the warehouse has read batch {batch}. {_REMEDY}"
        )


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
