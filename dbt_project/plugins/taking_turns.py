"""One process writes the warehouse file at a time; another one waits its turn here, and says so.

A plugin of dbt-duckdb, named in profiles.yml. What belongs here: waiting for the file, and whether it can be read. What
does not: anything that is done with it.

dbt-duckdb's own `retries` wait 1, 2, 4 ... seconds without a word, as long for a file that can never be opened as for
one that is in use, and end in a traceback. Here the file is taken as soon as it is free, what cannot get better by
waiting is said at once, and a wait that takes too long ends in a sentence.
"""

from __future__ import annotations

import re
import time
from typing import Any

import duckdb
from dbt.adapters.duckdb.credentials import DuckDBCredentials
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.adapters.events.logging import AdapterLogger
from dbt_common.exceptions import DbtRuntimeError

LOOK_EVERY_SECONDS = 0.25
REMIND_EVERY_SECONDS = 60.0

_IN_USE = re.compile(r"Could not set lock on file|used by another process")
_DAMAGED = re.compile(r"Corrupt database file|not a valid DuckDB database file|Could not read enough bytes")
_HOLDER = re.compile(r"\(PID (\d+)\)")
_log = AdapterLogger("DuckDB")


class Plugin(BasePlugin):
    """Holds the file from before dbt-duckdb opens it until it has."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        self._longest = float(plugin_config["longest_wait_seconds"])
        self._held: duckdb.DuckDBPyConnection | None = None

    def update_connection_config(self, creds: DuckDBCredentials, config: dict[str, Any]) -> None:
        self._held = wait_for_turn(creds.path, config, self._longest)

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:  # noqa: ARG002 dbt-duckdb gives it
        if self._held is not None:
            self._held.close()
            self._held = None


def wait_for_turn(path: str, config: dict[str, Any], longest: float) -> duckdb.DuckDBPyConnection:
    """A connection to the file, as soon as no other process has it.

    Raises:
        DbtRuntimeError: if it is still in use after `longest` seconds, or cannot be opened for another reason.
    """
    began = time.monotonic()
    reminders = 0
    while True:
        try:
            return _readable(duckdb.connect(path, read_only=False, config=config))
        except duckdb.Error as error:
            if _DAMAGED.search(str(error)):
                raise DbtRuntimeError(
                    f"the warehouse is damaged: {error}. It is derived: move {path} aside and build again: all in it "
                    "is made anew from the landing files"
                ) from None
            if not _IN_USE.search(str(error)):
                raise DbtRuntimeError(
                    f"the warehouse cannot be opened: {error} (PERENNIAL_HOME says where it is)"
                ) from None
            holder = _HOLDER.search(str(error))
            user = f"process {holder[1]}" if holder else "another process"
            waited = time.monotonic() - began
            if waited >= longest:
                raise DbtRuntimeError(
                    f"{path} has been in use by {user} for {waited:.0f} seconds; let it finish, or end it, and build "
                    "again (PERENNIAL_LONGEST_WAIT_SECONDS sets how long a build waits for another one)"
                ) from None
            if waited >= reminders * REMIND_EVERY_SECONDS:
                so_far = f"; {waited:.0f} seconds so far" if reminders else ""
                _log.info(f"The warehouse is in use by {user}: waiting until it is free{so_far}")
                reminders += 1
            time.sleep(min(LOOK_EVERY_SECONDS, longest - waited))


def _readable(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """The connection, once every row of the house's own tables was read.

    What every build stands on shall not fail in the middle of one, and these tables are small. What is damaged of the
    models' tables is found where it is read, and said at the end (`macros/publishing/damage.sql`).

    Raises:
        duckdb.Error: if one of them cannot be read.
    """
    try:
        found = connection.execute(
            "select table_name from duckdb_tables() where table_name like 'perennial\\_%' escape '\\'"
        )
        for (table,) in found.fetchall():
            connection.execute(f'select max(hash(one)) from "{table}" as one').fetchall()
    except duckdb.Error:
        connection.close()
        raise
    return connection
