"""What the assets are handed: the lake, the registry and the decision log of one home."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from dagster_defs.home_folder import HomeFolder
from dagster_defs.settings import Settings
from ml_assets.deciding.log import DecisionLog
from ml_assets.lake.ledger import Ledger, Spending
from ml_assets.lake.snapshot import Lake
from ml_assets.observing.alerts import Alerts
from ml_assets.observing.predictions_due import PredictionsDue
from ml_assets.registry.registry import Registry


class Home(dg.ConfigurableResource):
    """Everything that a run keeps, below one folder."""

    path: str
    lock_file: str
    alert_channels: str = ""  # apprise addresses, separated by spaces
    budget_cpu_seconds: float = 0.0  # what all runs may spend within `budget_hours`; 0 is no limit
    budget_hours: float = 24.0

    @property
    def folder(self) -> HomeFolder:
        return HomeFolder(Path(self.path), self.alert_channels, self.budget_cpu_seconds, self.budget_hours)

    @property
    def lake(self) -> Lake:
        return self.folder.lake

    @property
    def registry(self) -> Registry:
        return self.folder.registry

    @property
    def decision_log(self) -> DecisionLog:
        return self.folder.decision_log

    @property
    def alerts(self) -> Alerts:
        return self.folder.alerts

    @property
    def ledger(self) -> Ledger:
        return self.folder.ledger

    @property
    def landing(self) -> Path:
        return self.folder.landing

    @property
    def due(self) -> PredictionsDue:
        return self.folder.due

    def spending(self) -> Spending | None:
        """What all runs have spent of their budget; None where none is set."""
        return self.folder.spending(self.now())

    @property
    def lock_hash(self) -> str:
        """The environment's identity: the hash of its lock, or `unlocked` where there is none."""
        lock = Path(self.lock_file)
        return hashlib.sha256(lock.read_bytes()).hexdigest() if lock.exists() else "unlocked"

    def failed_checks(self) -> tuple[str, ...]:
        """The dbt tests whose latest answer, whoever ran them, is no."""
        return self.folder.failed_checks()

    @staticmethod
    def now() -> datetime:
        return datetime.now(UTC)


def build_home(settings: Settings) -> Home:
    return Home(
        path=str(settings.home),
        lock_file=str(settings.lock_file),
        alert_channels=settings.alerts,
        budget_cpu_seconds=settings.budget_cpu_seconds,
        budget_hours=settings.budget_hours,
    )
