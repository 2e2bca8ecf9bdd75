"""The records of `mlflow.db` that are not what was written, told from the file itself.

What belongs here: finding them without MLflow, whose import takes seconds. What does not: what makes a record one
(`tracking.py`), who answers instead (`answering/scorers.py`).
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from ml_assets.errors import VersionUnreadable
from ml_assets.registry.reachability import PATIENCE_SECONDS, unreachable
from ml_assets.registry.tracking import version_from

_VERSIONS = """
    select name, version, run_id from model_versions
    where coalesce(current_stage, '') != 'Deleted_Internal' order by name, version
"""


def unreadable_versions(database: Path) -> dict[str, tuple[str, ...]]:
    """By model, what is wrong with versions whose tags cannot be read, one sentence each, oldest first; nothing where
    there is no database.

    Raises:
        RegistryUnreachable: if it cannot be read at all.
    """
    if not database.exists():
        return {}
    address = f"{database.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=PATIENCE_SECONDS)) as base:
            versions = base.execute(_VERSIONS).fetchall()
            tags: dict[tuple[str, int], dict[str, str]] = {}
            for model, number, key, value in base.execute("select name, version, key, value from model_version_tags"):
                tags.setdefault((model, number), {})[key] = value
    except sqlite3.Error as error:
        raise unreachable(database, error) from None
    found: dict[str, tuple[str, ...]] = {}
    for model, number, run_id in versions:
        try:
            version_from(model, number, tags.get((model, number), {}), run_id)
        except VersionUnreadable as error:
            found[model] = (*found.get(model, ()), str(error))
    return found
