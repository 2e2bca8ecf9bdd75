"""The whole house on real data: a home of its own, a copy of the dbt project, and the doors by which both are used.

Here: what a user can do (land, run a job, run dbt in a shell, ask) and what can be seen afterwards. Not here: what is expected; the tests say that.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa

from dagster_defs.definitions import REFRESH_JOB, SCORE_JOB, build_definitions
from dagster_defs.resources import build_home
from dagster_defs.running import instance_of, run_job
from dagster_defs.settings import PROJECT_ROOT, Settings
from ml_assets.deciding.log import LoggedDecision
from ml_assets.feeds.nycflights13 import land
from ml_assets.lake.snapshot import Lake
from ml_assets.moments import last_moment
from ml_assets.registry.registry import Registry

BIN = Path(sys.executable).parent
DBT_PROJECT = PROJECT_ROOT / "dbt_project"
MODELS = ("arrival_delay", "late_arrival")
# A program for a process of its own: `python -c RUN_JOB <job> [asset ...]`.
RUN_JOB = """
import sys
import dagster as dg
from dagster_defs.definitions import build_definitions
from dagster_defs.running import instance_of, run_job
from dagster_defs.settings import Settings

settings = Settings().prepared()
definitions = build_definitions(settings)
keys = [dg.AssetKey(key.split("/")) for key in sys.argv[2:]]
with instance_of(settings) as instance:
    run_job(definitions, sys.argv[1], instance, lambda line: None, settings.home / "runs.log", keys or None)
"""
NOT_SOURCES = shutil.ignore_patterns("target", "logs", ".*")


def copy_project(folder: Path, replacements: Mapping[str, str] | None = None, source: Path = DBT_PROJECT) -> Path:
    """A copy of a dbt project; `replacements` (patterns) are made in every model's declaration."""
    shutil.copytree(source, folder, ignore=NOT_SOURCES)
    declare(folder, replacements or {})
    return folder


def declare(project: Path, replacements: Mapping[str, str], model: str = "*") -> None:
    """Edits declarations; each pattern must be found in one of them at least."""
    files = sorted((project / "models" / "ml_models").rglob(f"{model}.yml"))
    for pattern, new in replacements.items():
        found = 0
        for file in files:
            text, count = re.subn(pattern, new, file.read_text())
            found += count
            if count:
                file.write_text(text)
        assert found, f"no declaration among {[file.name for file in files]} says {pattern!r}"


@dataclass(frozen=True)
class RealHome:
    """A PERENNIAL_HOME and the dbt project that it is run with."""

    path: Path
    project: Path

    @property
    def settings(self) -> Settings:
        return Settings(home=self.path, dbt_project=self.project).prepared()

    @property
    def lake(self) -> Lake:
        return Lake(self.path / "lake")

    @property
    def registry(self) -> Registry:
        return Registry(self.path / "registry")

    @property
    def environment(self) -> dict[str, str]:
        """What every program of the home is started with, and nothing left over from another home."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("PERENNIAL_", "DAGSTER_", "DBT_"))
        }
        return {
            **kept,
            "PATH": f"{BIN}{os.pathsep}{kept.get('PATH', '')}",
            "PERENNIAL_HOME": str(self.path),
            "PERENNIAL_DBT_PROJECT": str(self.project),
            "OMP_NUM_THREADS": "1",
            "DO_NOT_TRACK": "1",
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        }

    @contextmanager
    def entered(self) -> Iterator[None]:
        """This process as if it had been started for this home."""
        before = dict(os.environ)
        try:
            os.environ.clear()
            os.environ.update(self.environment)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # other people's, of their libraries
                yield
        finally:
            os.environ.clear()
            os.environ.update(before)

    # --- doors

    def land(self, through: str) -> None:
        land(self.settings.landing, last_moment(through))

    def run(self, job: str = REFRESH_JOB) -> list[str]:
        """Runs a job in this process, and returns the assets that it made.

        Raises:
            PerennialError: if a step failed.
        """
        made: list[str] = []
        with self.entered():
            settings = self.settings
            definitions = build_definitions(settings)
            with instance_of(settings) as instance:
                run_job(definitions, job, instance, made.append, self.path / "runs.log")
        return made

    def score(self) -> list[str]:
        return self.run(SCORE_JOB)

    def materialize(self, *keys: str) -> dg.ExecuteInProcessResult:
        """Makes assets as a Python script would: `dg.materialize`, no job. Without keys: those that the job `score` makes."""
        with self.entered():
            settings = self.settings
            definitions = build_definitions(settings)
            wanted = [dg.AssetKey(key.split("/")) for key in keys] or list(
                definitions.resolve_job_def(SCORE_JOB).asset_layer.executable_asset_keys
            )
            with instance_of(settings) as instance, (self.path / "runs.log").open("a") as output, _printing_to(output):
                return dg.materialize(
                    list(definitions.assets or ()),
                    selection=dg.AssetSelection.assets(*wanted),
                    resources=definitions.resources,
                    instance=instance,
                )

    def start_dbt(self, *arguments: str) -> subprocess.Popen[str]:
        """`dbt build` as in a shell, in the project's folder."""
        return subprocess.Popen(
            ["dbt", *(arguments or ("build",)), "--no-use-colors"],
            cwd=self.project,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def dbt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        process = self.start_dbt(*arguments)
        said, _ = process.communicate(timeout=600)
        return subprocess.CompletedProcess(process.args, process.returncode, said)

    def perennial(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The command as in a shell."""
        return subprocess.run(
            [str(BIN / "perennial"), *arguments],
            cwd=self.path,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    # --- what can be seen

    def catalog_bytes(self) -> bytes:
        return (self.path / "lake" / "catalog.jsonl").read_bytes()

    def catalog(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.catalog_bytes().splitlines()]

    def files(self) -> set[str]:
        """What the catalog names."""
        return {part["file"] for part in self.catalog()}

    def rows(self) -> dict[str, int]:
        """Published rows by table."""
        return {table: self.lake.open().rows(table) for table in self.lake.open().tables()}

    def prediction_files(self) -> dict[str, str]:
        """The sha256 of every predictions file."""
        root = self.path / "lake" / "predictions"
        return {
            str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(root.rglob("*.parquet"))
        }

    def predictions(self, model: str) -> pa.Table:
        return self.lake.read_predictions(model)

    def decisions(self) -> list[LoggedDecision]:
        return list(build_home(self.settings).decision_log.read())

    def champion(self, model: str) -> int | None:
        champion = self.registry.champion(model)
        return champion.version if champion else None

    def state(self) -> dict[str, Any]:
        """All that a run without news must leave alone."""
        return {
            "catalog": self.catalog_bytes(),
            "predictions": self.prediction_files(),
            "versions": {model: [version.version for version in self.registry.versions(model)] for model in MODELS},
            "champions": {model: self.champion(model) for model in MODELS},
            "decisions": (self.path / "lake" / "decisions.jsonl").read_bytes(),
        }

    def copied_to(self, path: Path, project: Path | None = None) -> RealHome:
        """The same home at another place, file times included: they tell dbt what it has seen."""
        shutil.copytree(self.path, path)
        return RealHome(path, project or self.project)


@contextmanager
def _printing_to(output: Any) -> Iterator[None]:
    from contextlib import redirect_stderr, redirect_stdout

    with redirect_stdout(output), redirect_stderr(output):
        yield
