"""The real dbt project, run in this process against homes of its own.

Here: a home (`PERENNIAL_HOME`) as a value with what tests do to it: land a file, run dbt, look at the warehouse and at what was published. Not here: what is
expected; the tests say that.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest

PROJECT = Path(__file__).parents[2] / "dbt_project"
FEED = "nycflights13"


@dataclass(frozen=True)
class Build:
    """What one invocation of dbt came to: per node (model or test name) its status and message, and what was said on the way."""

    success: bool
    statuses: dict[str, str]
    messages: dict[str, str]
    said: tuple[str, ...]

    def __bool__(self) -> bool:
        return self.success

    def failures(self) -> str:
        """Names and messages of what failed, as one text."""
        bad = (name for name, status in self.statuses.items() if status in ("error", "fail", "runtime error"))
        return "\n".join(f"{name}: {self.messages[name]}" for name in bad)


@dataclass
class Project:
    """A dbt project that is parsed once, and again only after `edit`."""

    folder: Path
    target: Path
    _manifest: Manifest | None = field(default=None, repr=False)

    def manifest(self) -> Manifest:
        """A copy of the parsed project: dbt writes into the one that it is given."""
        if self._manifest is None:
            result, _ = _invoke(self, self.target, ["parse"], manifest=None)
            assert result.success, result.exception
            self._manifest = result.result
        return self._manifest.deepcopy()

    @contextmanager
    def edited(self, path: str, replacements: dict[str, str]) -> Iterator[None]:
        """The project with texts of one file replaced, each of which must be there; afterwards as it was."""
        file = self.folder / path
        original = file.read_text()
        text = original
        for old, new in replacements.items():
            assert old in text, f"{path} holds no {old!r} to break"
            text = text.replace(old, new)
        try:
            file.write_text(text)
            self._manifest = None
            yield
        finally:
            file.write_text(original)
            self._manifest = None


@dataclass(frozen=True)
class Home:
    """A PERENNIAL_HOME and the project that builds it."""

    path: Path
    project: Project

    def build(self, *select: str, unit_tests: bool = False, full_refresh: bool = False, **variables: Any) -> Build:
        """Runs `dbt build` for the selected nodes, or for all."""
        arguments = ["--vars", json.dumps(variables)]
        if full_refresh:
            arguments.append("--full-refresh")
        if not unit_tests:
            arguments += ["--exclude-resource-type", "unit_test"]
        if select:
            arguments += ["--select", *select]
        return self.run("build", *arguments)

    def run(self, *arguments: str) -> Build:
        """Runs dbt."""
        result, said = _invoke(self.project, self.path, arguments, manifest=self.project.manifest())
        if result.exception is not None:
            raise result.exception
        outcomes = {outcome.node.name: outcome for outcome in result.result}
        return Build(
            success=result.success,
            statuses={name: str(outcome.status) for name, outcome in outcomes.items()},
            messages={name: outcome.message or "" for name, outcome in outcomes.items()},
            said=tuple(said),
        )

    def land(self, path: str, content: str | bytes) -> Path:
        """Puts one file below the landing folder."""
        file = self.path / "landing" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Asks the warehouse; dbt has closed it."""
        with duckdb.connect(str(self.path / "warehouse.duckdb"), read_only=True) as warehouse:
            warehouse.execute("set TimeZone = 'UTC'")
            return warehouse.execute(query).fetchall()

    def lake(self) -> dict[str, str]:
        """The sha256 of every file below the lake, by its path there; what runs cost is another matter."""
        return {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in self._lake_files().items()}

    def written_at(self) -> dict[str, int]:
        """When every file below the lake was last written, by its path there."""
        return {name: file.stat().st_mtime_ns for name, file in self._lake_files().items()}

    def _lake_files(self) -> dict[str, Path]:
        root = self.path / "lake"
        files = (file for file in sorted(root.rglob("*")) if file.is_file() and file.parent.name != "costs")
        return {str(file.relative_to(root)): file for file in files}

    def catalog(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.path / "lake" / "catalog.jsonl").read_text().splitlines()]

    def published(self) -> dict[str, str]:
        """The sha256 of the catalog and of every file that it names."""
        lake = self.lake()
        return {name: lake[name] for name in ("catalog.jsonl", *(part["file"] for part in self.catalog()))}

    def training_rows(self) -> dict[str, dict[str, Any]]:
        """The published training set by flight."""
        files = [
            str(self.path / "lake" / part["file"]) for part in self.catalog() if part["table"] == "trn_late_arrival"
        ]
        if not files:
            return {}
        with duckdb.connect() as reader:
            columns, rows = _fetch(reader, "select * from read_parquet($files) order by flight_id", files=files)
        return {row[0]: dict(zip(columns, row, strict=True)) for row in rows}

    def copied_to(self, path: Path) -> Home:
        """The same home at another place, file times included: they tell dbt what it has seen."""
        shutil.copytree(self.path, path)
        return Home(path, self.project)


def landing_files(landing: Path, tables: Iterable[str] | None = None) -> list[str]:
    """Paths below a landing folder, in order."""
    found = (str(file.relative_to(landing)) for file in landing.rglob("*.csv"))
    return sorted(path for path in found if tables is None or path.split("/")[1] in tables)


def copy_landing(source: Path, home: Home, paths: Iterable[str]) -> None:
    for path in paths:
        target = home.path / "landing" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / path, target)


def _fetch(
    connection: duckdb.DuckDBPyConnection, query: str, **parameters: Any
) -> tuple[list[str], list[tuple[Any, ...]]]:
    answer = connection.execute(query, parameters)
    return [column[0] for column in answer.description or ()], answer.fetchall()


def _invoke(project: Project, home: Path, arguments: Sequence[str], manifest: Manifest | None) -> tuple[Any, list[str]]:
    said: list[str] = []
    folder = str(project.folder)
    settings = [
        "--project-dir",
        folder,
        "--profiles-dir",
        folder,
        "--quiet",
        "--log-level-file",
        "none",
        "--no-use-colors",
    ]
    environment = {
        "PERENNIAL_HOME": str(home),
        "DBT_TARGET_PATH": str(project.target),
        "DBT_LOG_PATH": str(project.target),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # dbt's own, of its libraries
            runner = dbtRunner(manifest=manifest, callbacks=[lambda event: said.append(event.info.msg)])
            result = runner.invoke([*arguments, *settings])
    finally:
        os.environ.clear()
        os.environ.update(before)
        DuckDBConnectionManager.close_all_connections()
    return result, said
