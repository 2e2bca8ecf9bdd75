"""dbt's manifest, made when it is missing or older than what it was made from.

The manifest is the project's one list of assets, checks and model declarations; whoever needs it asks here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from dagster_defs.settings import Settings
from ml_assets.errors import PerennialError

_WATCHED_SUFFIXES = {".sql", ".yml", ".yaml", ".csv"}
_LOOKS_AT_HALF, _SECONDS_BETWEEN_LOOKS = 10, 0.1
_IGNORED_FOLDERS = {"target", "logs", "dbt_packages"}


def manifest_path(settings: Settings) -> Path:
    """Where the manifest stands; parses the project first if its sources are newer.

    Raises:
        PerennialError: if dbt cannot parse the project; dbt's own message is in it.
    """
    path = settings.dbt_project / "target" / "manifest.json"
    if not path.exists() or path.stat().st_mtime < newest_source(settings.dbt_project) or not _is_whole(path):
        _parse(settings)
    return path


def dbt_executable() -> str:
    """The dbt of this environment, whatever PATH says."""
    beside = Path(sys.executable).parent / "dbt"
    return str(beside) if beside.exists() else "dbt"


def dbt_environment(settings: Settings) -> dict[str, str]:
    return {
        **os.environ,
        "PERENNIAL_HOME": str(settings.home),
        "DBT_PROFILES_DIR": str(settings.dbt_project),
        "DO_NOT_TRACK": "1",
    }


def _is_whole(path: Path) -> bool:
    """Not if a dbt was killed while it wrote the file; one that is writing it now is waited for."""
    for _ in range(_LOOKS_AT_HALF):
        try:
            json.loads(path.read_text())
        except ValueError:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        else:
            return True
    return False


def newest_source(project: Path) -> float:
    """When a source was last written, or one added or taken away: a folder's own time tells of that."""
    newest = 0.0
    for folder, folders, files in os.walk(project):
        folders[:] = [name for name in folders if name not in _IGNORED_FOLDERS and not name.startswith(".")]
        sources = [Path(folder) / name for name in files if Path(name).suffix in _WATCHED_SUFFIXES]
        if Path(folder) != project:  # dbt makes its own folders there
            sources.append(Path(folder))
        newest = max([newest, *(source.stat().st_mtime for source in sources)])
    return newest


def _parse(settings: Settings) -> None:
    # The target path is said here, so that the manifest is where it is looked for, whatever the environment says.
    options = ("--no-use-colors", "--target", settings.dbt_target, "--target-path", settings.dbt_project / "target")
    done = subprocess.run(
        [dbt_executable(), "--quiet", "parse", *options],
        cwd=settings.dbt_project,
        env=dbt_environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        message = (done.stdout + done.stderr).strip()
        raise PerennialError(f"dbt cannot parse {settings.dbt_project}; mend what it names and try again:\n{message}")
