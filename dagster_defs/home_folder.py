"""Where everything is that a run keeps below one home, for whoever needs it: Dagster's resource and the commands.

What belongs here: the places, each opened when it is asked for. What does not: Dagster (`resources.py`), and what is
in them. Nothing is imported before it is needed: a command that reads one file shall not wait for libraries.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from dagster_defs.settings import Settings

if TYPE_CHECKING:
    from ml_assets.deciding.log import DecisionLog
    from ml_assets.lake.ledger import Ledger, Spending
    from ml_assets.lake.snapshot import Lake
    from ml_assets.observing.alerts import Alerts
    from ml_assets.observing.predictions_due import PredictionsDue
    from ml_assets.registry.registry import Registry


@dataclass(frozen=True)
class HomeFolder:
    """One home. `alert_channels` are apprise addresses, separated by spaces; a budget of 0 is no limit."""

    path: Path
    alert_channels: str = ""
    budget_cpu_seconds: float = 0.0
    budget_hours: float = 24.0

    @property
    def landing(self) -> Path:
        return self.path / "landing"

    @property
    def lake_folder(self) -> Path:
        return self.path / "lake"

    @property
    def registry_folder(self) -> Path:
        return self.path / "registry"

    @property
    def lake(self) -> Lake:
        from ml_assets.lake.snapshot import Lake

        return Lake(self.lake_folder)

    @property
    def registry(self) -> Registry:
        """One for this process: its connection, and what it has found out about its database, are kept."""
        database = self.registry_folder / "mlflow.db"
        return _registry(self.registry_folder, self.decision_log.path, _identity(database))

    @property
    def decision_log(self) -> DecisionLog:
        from ml_assets.deciding.log import DecisionLog

        return DecisionLog(self.lake_folder / "decisions.jsonl")

    @property
    def alerts(self) -> Alerts:
        from ml_assets.observing.alerts import Alerts

        return Alerts(self.path / "alerts.jsonl", tuple(self.alert_channels.split()))

    @property
    def ledger(self) -> Ledger:
        from ml_assets.lake.ledger import Ledger

        return Ledger(self.lake_folder / "costs")

    @property
    def due(self) -> PredictionsDue:
        from ml_assets.observing.predictions_due import PredictionsDue

        return PredictionsDue(self.path / "service")

    def spending(self, now: datetime) -> Spending | None:
        """What all runs have spent of their budget; None where none is set."""
        if not self.budget_cpu_seconds:
            return None
        return self.ledger.spending(self.budget_cpu_seconds, timedelta(hours=self.budget_hours), now=now)

    def test_answers(self) -> dict[str, str]:
        """The latest answer of every dbt test, whoever ran it."""
        path = self.lake_folder / "checks.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return {line["name"]: line["status"] for line in lines}

    def failed_checks(self) -> tuple[str, ...]:
        """The dbt tests whose latest answer is no."""
        return tuple(name for name, status in self.test_answers().items() if status not in ("pass", "warn"))


def folder_of(settings: Settings) -> HomeFolder:
    return HomeFolder(settings.home, settings.alerts, settings.budget_cpu_seconds, settings.budget_hours)


def _identity(database: Path) -> tuple[int, int] | None:
    """Another file in its place, such as a backup put back, is another registry."""
    try:
        status = database.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


@lru_cache(maxsize=4)
def _registry(folder: Path, log: Path, identity: tuple[int, int] | None) -> Registry:  # noqa: ARG001 tells registries apart
    from ml_assets.registry.registry import Registry

    return Registry(folder, log=log)
