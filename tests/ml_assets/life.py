"""One model's life in one place, so that a test reads as a story.

Here: its steps. Not here: what is expected; the tests say that.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from ml_assets import lifecycle
from ml_assets.deciding.log import DecisionLog
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.lake.snapshot import Lake
from ml_assets.lifecycle import PromotionResult
from ml_assets.registry.registry import Registry
from tests.ml_assets.shop import AS_OF

Clock = Callable[[], datetime]
LATER = AS_OF + timedelta(days=14)


class Life:
    """The lake, the registry and the log of one model, and what is done to them."""

    def __init__(self, lake: Lake, registry: Registry, log: DecisionLog, now: Clock) -> None:
        self.lake, self.registry, self.log, self.now = lake, registry, log, now

    def step(self, model: ModelDeclaration, as_of: datetime = AS_OF) -> PromotionResult:
        version = lifecycle.make_candidate(self.lake, self.registry, model, lock_hash="lock", as_of=as_of).version
        evidence = lifecycle.evaluate_candidate(self.lake, self.registry, model, version, now=self.now)
        return lifecycle.decide_and_promote(self.registry, self.log, model, evidence, now=self.now)

    def champion(self, model: str = "returns") -> int | None:
        version = self.registry.champion(model)
        return version.version if version else None
