"""The door: every landing file is looked at once, as bytes, before a value in it is believed.

A plugin of dbt-duckdb, named in profiles.yml; stg_landing__files asks it as the SQL function `look_at_landing`. What
belongs here: listing the landing folder by the file system's own names, judging the files that are new, and having that
written down (landing_log). What does not: rows, which the base_ models take apart.

Listed here and not by DuckDB because DuckDB reads a name with `*`, `?` or `[` as a pattern: it finds other files, or
the same one twice.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin
from duckdb import DuckDBPyConnection
from landing_log import LandingLog, LandingLogError, must_reach, read_log

SUFFIX = ".csv"
DEEPEST = 8  # folders: a link that leads back up must not be followed for ever
CHUNK = 1 << 20


class Plugin(BasePlugin):
    """Gives the warehouse its door."""

    def configure_connection(self, conn: DuckDBPyConnection) -> None:
        conn.create_function("look_at_landing", look_at_landing, ["VARCHAR"], "VARCHAR", side_effects=True)
        conn.create_function("is_there", os.path.isfile, ["VARCHAR"], "BOOLEAN", side_effects=True)


@dataclass(frozen=True)
class Present:
    """A file below the landing folder as the file system shows it; `path` is its name there, made readable."""

    file: str
    path: str
    bytes: int
    modified_at: str
    is_regular: bool


@dataclass(frozen=True)
class Content:
    """What its bytes say without a value being believed."""

    sha256: str
    header: str
    is_text: bool
    data_lines: int


def look_at_landing(request: str) -> str:
    """Judges what no earlier call has seen and writes that into the log; returns as JSON what a person should be told.

    The request: `home`, `declared` (landing table -> header), `largest` (bytes), `read_through` (the last batch that
    the warehouse has read), `unread` (ids of accepted files of which no row has been read) and `withdraw_lost` (whether
    accepted files whose bytes are gone are given up).
    """
    wanted = json.loads(request)
    home = Path(wanted["home"])
    try:
        log = read_log(home)
        must_reach(log, wanted["read_through"])
    except LandingLogError as error:
        return json.dumps({"error": str(error)})  # an exception would reach people with DuckDB's words around it
    door = _Door(log, wanted["declared"], wanted["largest"])
    present = sorted(_list(home / "landing"), key=lambda one: one.path)
    unread = None if wanted["withdraw_lost"] else set(wanted["unread"])
    findings = [*door.withdrawals(present, unread), *door.judgements(present)]
    if findings:
        log.append(findings, datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", ""))
    return json.dumps({"batch": log.batch, "unsettled": door.unsettled, "error": None})


class _Door:
    """What is known of earlier files, and the judgement of the next."""

    def __init__(self, log: LandingLog, declared: Mapping[str, str], largest: int) -> None:
        self.declared = declared
        self.largest = largest
        self.unsettled: list[str] = []
        self._newest_id = 0
        self._states: dict[str, tuple[int, str]] = {}
        self._last: dict[str, dict[str, Any]] = {}
        self._accepted: dict[str, dict[str, Any]] = {}
        self._holders: dict[tuple[str, str], str] = {}
        for entry in log.entries:
            self._remember(entry)

    def _remember(self, entry: Mapping[str, Any]) -> None:
        if entry["kind"] == "withdrawn":
            accepted = self._accepted.pop(entry["path"])
            self._holders.pop((_table_of(accepted["path"]), accepted["sha256"]), None)
            self._last.pop(entry["path"], None)
            return
        self._states[entry["path"]] = (entry["bytes"], entry["modified_at"])
        if entry["kind"] == "seen":
            return
        self._newest_id = max(self._newest_id, entry["file_id"])
        self._last[entry["path"]] = dict(entry)
        if entry["status"] == "accepted":
            self._accepted[entry["path"]] = dict(entry)
            if entry["data_lines"]:
                self._holders.setdefault((_table_of(entry["path"]), entry["sha256"]), entry["path"])

    def withdrawals(self, present: list[Present], unread: set[int] | None) -> Iterator[dict[str, Any]]:
        """Accepted files whose bytes are gone before a row of them was read (`unread`; None: read or not)."""
        there = {one.path: one for one in present}
        for entry in [one for one in self._accepted.values() if unread is None or one["file_id"] in unread]:
            found = there.get(entry["path"])
            content = _content(found.file) if found and found.bytes == entry["bytes"] else None
            if content is None or content.sha256 != entry["sha256"]:
                what = "was changed" if found else "was taken away"
                when = (
                    "before a row of it was read" if unread is not None else "and was given up by withdraw_lost_files"
                )
                withdrawn = {
                    "kind": "withdrawn",
                    "file_id": entry["file_id"],
                    "path": entry["path"],
                    "reason": f"{what} after it had been accepted, {when}: nothing of it counts; "
                    "what lies there now is looked at anew",
                }
                self._remember(withdrawn)
                self._states.pop(entry["path"], None)
                yield withdrawn

    def judgements(self, present: list[Present]) -> Iterator[dict[str, Any]]:
        """A finding for every file that is new, or is not as it was."""
        for one in present:
            contract = f"{self.declared.get(_table_of(one.path), '')}|{self.largest}"
            last = self._last.get(one.path)
            is_known = self._states.get(one.path) == (one.bytes, one.modified_at)
            if is_known and last is not None and not (last["status"] == "rejected" and last["contract"] != contract):
                continue
            finding = self._judge(one, contract, last)
            if finding is not None:
                self._remember(finding)
                yield finding

    def _judge(self, one: Present, contract: str, last: Mapping[str, Any] | None) -> dict[str, Any] | None:
        feed, table, name = _parts(one.path)
        facts: dict[str, Any] = {
            "path": one.path,
            "bytes": one.bytes,
            "modified_at": one.modified_at,
            "sha256": None,
            "data_lines": None,
        }
        reason = self._name_finding(one, name)
        if reason is None and one.bytes > self.largest:
            reason = f"has {one.bytes} bytes, more than landing_max_file_bytes ({self.largest})"
        if reason is None:
            before = _state(one.file)
            try:
                content = _content(one.file)
            except OSError as error:
                reason = f"cannot be read: {error.strerror}; make it readable and touch it"
            else:
                if before != (one.bytes, one.modified_at) or _state(one.file) != before:
                    self.unsettled.append(one.path)
                    return None
                facts |= {"sha256": content.sha256, "data_lines": content.data_lines if content.is_text else None}
                accepted = self._accepted.get(one.path)
                if (
                    last is not None
                    and last["sha256"] == content.sha256
                    and (last["status"] == "accepted" or last["contract"] == contract)
                ):
                    return {"kind": "seen", **facts}  # a file time that changed, and nothing else
                reason = self._content_finding(one, content, accepted)
        is_duplicate = reason is not None and reason.startswith("has the same bytes")
        return {
            "kind": "verdict",
            "file_id": self._newest_id + 1,
            "feed": feed,
            "table_name": table,
            **facts,
            "status": "accepted" if reason is None else "duplicate" if is_duplicate else "rejected",
            "reason": reason,
            "contract": contract,
        }

    def _name_finding(self, one: Present, name: str) -> str | None:
        if any(not letter.isprintable() for letter in one.path) or "\\" in one.path or "\ufffd" in one.path:
            return "its name holds a backslash, or characters that are not printable UTF-8; rename it"
        if one.path.count("/") != 2:
            return "does not lie in landing/<source>/<table>/; move it there"
        if not one.is_regular:
            return "is no regular file"
        if not name.endswith(SUFFIX):
            return (
                f"is no {SUFFIX} file by its name; a file that is still being written starts with a dot "
                "until it is whole"
            )
        if _table_of(one.path) not in self.declared:
            return f"no source declares the landing table {_table_of(one.path)}"
        return None

    def _content_finding(self, one: Present, content: Content, accepted: Mapping[str, Any] | None) -> str | None:
        expected = self.declared[_table_of(one.path)]
        if one.bytes == 0:
            return "is empty: not even a header"
        if not content.is_text:
            return "is not UTF-8 text"
        if content.header != expected:
            return f"header is {content.header[:200]} but should be {expected}"
        holder = self._holders.get((_table_of(one.path), content.sha256))
        if holder is not None:
            return f"has the same bytes as {holder}"
        if accepted is not None and accepted["sha256"] != content.sha256:
            return (
                "was changed after it had been read; landing is append-only: put what stood there back, "
                "and what is to be corrected into a new file"
            )
        return None


def _list(landing: Path) -> Iterator[Present]:
    """Every file below the landing folder, whatever its name; what starts with a dot is still being written."""
    folders = [(str(landing), 0)]
    while folders:
        folder, depth = folders.pop()
        try:
            entries = list(os.scandir(folder))
        except FileNotFoundError:
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            try:
                facts = entry.stat()
            except FileNotFoundError:
                continue  # removed meanwhile, or a link to nothing
            if stat.S_ISDIR(facts.st_mode):
                if depth < DEEPEST:
                    folders.append((entry.path, depth + 1))
                continue
            path = os.fsencode(entry.path[len(str(landing)) + 1 :]).decode(errors="backslashreplace")
            yield Present(entry.path, path, facts.st_size, _moment(facts.st_mtime_ns), stat.S_ISREG(facts.st_mode))


def _content(file: str) -> Content:
    """Reads a file once, piece by piece: its hash, its first line, whether it is text, the lines below the header."""
    digest = hashlib.sha256()
    decoder = codecs.getincrementaldecoder("utf-8")()
    header, is_text, line_ends, last = b"", True, 0, b""
    is_header_whole = False
    with Path(file).open("rb") as opened:
        while chunk := opened.read(CHUNK):
            digest.update(chunk)
            line_ends += chunk.count(b"\n")
            last = chunk[-1:]
            if not is_header_whole:
                head, end, _ = chunk.partition(b"\n")
                header = (header + head)[:CHUNK]
                is_header_whole = bool(end)
            if is_text:
                try:
                    decoder.decode(chunk)
                except UnicodeDecodeError:
                    is_text = False
    if is_text:
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            is_text = False
    lines = line_ends + (last not in (b"", b"\n"))
    text = header.decode(errors="replace").removeprefix("\ufeff").removesuffix("\r")
    return Content(digest.hexdigest(), text, is_text, max(0, lines - 1))


def _state(file: str) -> tuple[int, str] | None:
    try:
        facts = Path(file).stat()
    except FileNotFoundError:
        return None
    return facts.st_size, _moment(facts.st_mtime_ns)


def _moment(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds // 1000 / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")


def _parts(path: str) -> tuple[str, str, str]:
    feed, _, rest = path.partition("/")
    table, _, name = rest.partition("/")
    return (feed, table, name) if name else (feed, "", rest) if rest else ("", "", feed)


def _table_of(path: str) -> str:
    return path.rpartition("/")[0]
