"""dbt, run in the process of the step: imported once, the project parsed once, for all steps of a run.

What belongs here: starting dbt, and handing on what it said. What does not: which assets it makes
(`assets/warehouse.py`), what a run of it costs (`assets/costs.py`).

dagster-dbt starts a process for each step (and one more for dbt's version): importing and parsing take longer there
than the tables of a day do. The selection of a step and the events of its results are still dagster-dbt's.
"""

from __future__ import annotations

import os
import re
import shutil
import uuid
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt.asset_utils import get_manifest_and_translator_from_dbt_assets, get_subset_selection_for_context
from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage

from dagster_defs.manifest import newest_source
from dagster_defs.settings import Settings
from ml_assets.errors import PerennialError

INDIRECT_SELECTION = "DBT_INDIRECT_SELECTION"  # dbt's own
KEPT_INVOCATIONS = 10
# Every invocation of dbt has a folder of its own in dbt's target folder: <step>-<run>-<invocation>.
_INVOCATION = re.compile(r"(\w+-[0-9a-f]{7}-)?[0-9a-f]{7}")
_RESULTS = ("LogModelResult", "LogSeedResult", "LogSnapshotResult", "LogTestResult")
_MOST_ERRORS = 20
_QUIETLY = ("--no-use-colors", "--no-send-anonymous-usage-stats", "--no-write-json")
# dbt's manifest of each project, target and state of the sources.
_parsed: dict[tuple[str, str], tuple[float, Any]] = {}


class DbtFailed(Exception):
    """What dbt said; that tells whether it may pass by itself (`ml_assets.errors.may_pass`)."""


@dataclass(frozen=True)
class DbtBuild:
    """What one invocation came to.

    Args:
        results: dbt's event of each node that was made or tested, as its structured log writes it.
        errors: what dbt said on the level of errors, in order.
        folder: the invocation's own: logs, run results, compiled SQL.
    """

    command: str
    is_successful: bool
    results: Sequence[Mapping[str, Any]]
    errors: Sequence[str]
    folder: Path

    def events(self, context: dg.AssetExecutionContext) -> Iterator[Any]:
        """The results as Dagster's events, of the assets and checks that this step may report."""
        manifest, translator, project = get_manifest_and_translator_from_dbt_assets([context.assets_def])
        for result in self.results:
            event = DbtCoreCliEventMessage(raw_event=dict(result), event_history_metadata={})
            yield from event.to_default_asset_events(manifest, translator, context, self.folder, project)

    def raise_if_failed(self) -> None:
        """Says what dbt said.

        Raises:
            DbtFailed: if a node or a test failed, or dbt did not come so far.
        """
        if not self.is_successful:
            said = "\n".join(self.errors[:_MOST_ERRORS]) or "dbt ended without saying why"
            raise DbtFailed(f"{self.command} failed; its whole log is {self.folder / 'dbt.log'}\n{said}")


class Dbt(dg.ConfigurableResource):
    """The dbt project of one home."""

    project_dir: str
    target: str

    def build(
        self,
        arguments: Sequence[str],
        context: dg.AssetExecutionContext | dg.OpExecutionContext,
    ) -> DbtBuild:
        """Runs `dbt build`; what it prints goes to this process's output.

        Args:
            arguments: further ones.
            context: the step that it works for; of dbt assets, just those that the step is to make are built.
        """
        selection, indirect = _selection_of(context)
        name = f"{context.op_execution_context.op.name}-{context.run.run_id[:7]}-{str(uuid.uuid4())[:7]}"
        folder = self._target_folder / name
        command = ["build", *arguments, *selection]
        with_vars = "--vars" in arguments  # they may say something at parsing
        with setting({INDIRECT_SELECTION: indirect} if indirect else {}):
            said = self._invoke(command, folder, None if with_vars else self._manifest())
        forget_earlier_invocations(folder)
        return DbtBuild(f"dbt {' '.join(command)}"[:300], said.is_successful, said.results, said.errors, folder)

    @property
    def _target_folder(self) -> Path:
        return Path(self.project_dir) / os.environ.get("DBT_TARGET_PATH", "target")

    @property
    def is_started(self) -> bool:
        """Whether this process has imported dbt, and parsed the project as it stands."""
        newest, _ = _parsed.get((self.project_dir, self.target), (-1.0, None))
        return newest >= newest_source(Path(self.project_dir))

    def start(self) -> None:
        """Imports dbt and parses the project.

        Raises:
            PerennialError: if dbt cannot parse it; dbt's own message is in it.
        """
        self._manifest()

    def _manifest(self) -> Any:
        key = (self.project_dir, self.target)
        if not self.is_started:
            newest = newest_source(Path(self.project_dir))
            folder = self._target_folder / str(uuid.uuid4())[:7]
            parsed_before = self._target_folder / "partial_parse.msgpack"
            known = ["--partial-parse-file-path", str(parsed_before)] if parsed_before.exists() else []
            said = self._invoke(["parse", "--no-write-json", *known], folder, None)
            shutil.rmtree(folder, ignore_errors=True)
            if not said.is_successful:
                raise PerennialError(
                    f"dbt cannot parse {self.project_dir}; mend what it names and try again:\n"
                    + "\n".join(said.errors[:_MOST_ERRORS])
                )
            _parsed[key] = newest, said.result
        return _parsed[key][1]

    def _invoke(self, command: Sequence[str], folder: Path, manifest: Any) -> _Said:
        # Imported where it is needed: a second and a half that most commands can do without.
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager
        from dbt.cli.main import dbtRunner
        from dbt_common.events.functions import msg_to_dict

        results: list[Mapping[str, Any]] = []
        errors: list[str] = []

        def hear(event: Any) -> None:
            if event.info.name in _RESULTS:
                results.append(msg_to_dict(event))
            if event.info.level == "error":
                errors.append(event.info.msg)

        options = {
            "--project-dir": self.project_dir,
            "--profiles-dir": self.project_dir,
            "--target": self.target,
            "--target-path": str(folder),
            "--log-path": str(folder),
        }
        arguments = [*command, *(word for option in options.items() for word in option)]
        before = Path.cwd()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of dbt's libraries; dbt's own are events
                done = dbtRunner(manifest=manifest, callbacks=[hear]).invoke([*arguments, *_QUIETLY])
        finally:
            os.chdir(before)
            DuckDBConnectionManager.close_all_connections()  # the next one opens the warehouse, and waits for its turn
        if isinstance(done.exception, BaseException) and not isinstance(done.exception, Exception):
            raise done.exception  # the step was interrupted
        if done.exception is not None and not errors:
            errors.append(str(done.exception))
        return _Said(done.success, done.result, tuple(results), tuple(errors))


@dataclass(frozen=True)
class _Said:
    is_successful: bool
    result: Any
    results: Sequence[Mapping[str, Any]]
    errors: Sequence[str]


def build_dbt(settings: Settings) -> Dbt:
    return Dbt(project_dir=str(settings.dbt_project), target=settings.dbt_target)


def _selection_of(context: dg.AssetExecutionContext | dg.OpExecutionContext) -> tuple[list[str], str | None]:
    """dbt's arguments for what the step is to make, and how it chooses tests; of an op that is no asset, nothing."""
    if not context.has_assets_def:
        return [], None
    manifest, translator, _ = get_manifest_and_translator_from_dbt_assets([context.assets_def])
    tags = context.op_execution_context.op.tags
    return get_subset_selection_for_context(
        context=context,
        manifest=manifest,
        select=tags.get("dagster_dbt/select"),
        exclude=tags.get("dagster_dbt/exclude"),
        selector=tags.get("dagster_dbt/selector"),
        dagster_dbt_translator=translator,
        current_dbt_indirect_selection_env=os.environ.get(INDIRECT_SELECTION),
    )


def forget_earlier_invocations(present: Path) -> None:
    """Removes what earlier invocations of dbt have left beside the present one (logs, artifacts), but for the last."""
    beside = [one for one in present.parent.glob("*") if one.is_dir() and _INVOCATION.fullmatch(one.name)]
    for folder in sorted(beside, key=lambda one: one.stat().st_mtime, reverse=True)[KEPT_INVOCATIONS:]:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def setting(given: Mapping[str, str]) -> Iterator[None]:
    """With these environment variables; as before afterwards."""
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
