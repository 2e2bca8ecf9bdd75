"""The one place that reads the environment.

What belongs here: where things are and which parts are switched on. What does not: what they mean.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT_ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """Every setting is an environment variable `PERENNIAL_<NAME>`, or a line of `.env` in the working folder."""

    model_config = SettingsConfigDict(env_prefix="PERENNIAL_", env_file=".env", extra="ignore", frozen=True)

    home: Path = Field(
        default=PROJECT_ROOT / "var", description="Everything that a run makes is kept below this folder."
    )
    dbt_project: Path = Field(default=PROJECT_ROOT / "dbt_project", description="The dbt project.")
    dbt_target: str = Field(default="embedded", description="The target of profiles.yml.")
    lock_file: Path = Field(
        default=PROJECT_ROOT / "requirements.lock", description="The environment's lock, part of a model's identity."
    )

    alerts: str = Field(
        default="", description="Apprise addresses, separated by spaces, that are told of incidents besides the file."
    )
    budget_cpu_seconds: float = Field(
        default=0.0, ge=0, description="CPU seconds that all runs may spend within `budget_hours`; 0 is no limit."
    )
    budget_hours: float = Field(default=24.0, gt=0, description="The span of that budget, ending now.")

    @property
    def landing(self) -> Path:
        return self.home / "landing"

    @property
    def lake(self) -> Path:
        return self.home / "lake"

    @property
    def registry(self) -> Path:
        return self.home / "registry"

    @property
    def dagster_home(self) -> Path:
        return self.home / "dagster"

    def prepared(self) -> Settings:
        """The same settings with an absolute home whose folders exist."""
        absolute = self.model_copy(update={"home": self.home.expanduser().absolute()})
        for folder in (absolute.landing, absolute.lake, absolute.registry, absolute.dagster_home):
            folder.mkdir(parents=True, exist_ok=True)
        return absolute
