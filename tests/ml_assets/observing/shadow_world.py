"""A shop in which a challenger answers in shadow: its days pass, and what the assets do with each is done.

What belongs here: that world. What does not: assertions about it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ml_assets import lifecycle
from ml_assets.deciding.log import DecisionLog
from ml_assets.deciding.story import tell_version
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.lake.snapshot import Lake
from ml_assets.registry.registry import Registry
from tests.ml_assets.shop import FIRST_DAY, RETURNS, declared, orders, publish

Clock = Callable[[], datetime]
WITH_SHADOW = declared(RETURNS, gates__shadow="7 days", gates__max_calibration_error=None)
FIRST, TRAINED, MIDDLE, SERVED = 90, 97, 101, 106
BEGAN = datetime(2031, 1, 1, tzinfo=UTC)


@dataclass
class World:
    """A shop whose days pass; `live` is what the assets do with each."""

    root: Path
    registry: Registry
    log: DecisionLog
    now: Clock
    declaration: ModelDeclaration

    @property
    def lake(self) -> Lake:
        return Lake(self.root)

    def pass_to(self, day: int) -> None:
        moment = FIRST_DAY + timedelta(days=day)
        frame = orders(known_through=moment)
        publish(self.root, frame[frame["decided_at"] <= moment.replace(tzinfo=None)])

    def train(self) -> None:
        lifecycle.make_candidate(self.lake, self.registry, self.declaration, lock_hash="lock")

    def decide(self) -> str:
        result = lifecycle.decide_on_champion(self.lake, self.registry, self.log, self.declaration, now=self.now)
        return result.decision.verdict

    def retrains(self, declaration: ModelDeclaration | None = None) -> str:
        result = lifecycle.decide_on_retraining(
            self.lake, self.registry, self.log, declaration or self.declaration, lock_hash="lock", now=self.now
        )
        return result.decision.verdict

    def score(self) -> lifecycle.ShadowReport | None:
        lifecycle.score_due(self.lake, self.registry, self.declaration)
        return lifecycle.score_in_shadow(self.lake, self.registry, self.log, self.declaration)

    def asks(self) -> str | None:
        decision = lifecycle.decide_on_shadow(self.lake, self.registry, self.log, self.declaration, now=self.now)
        return decision.verdict if decision else None

    def champion(self) -> int | None:
        champion = self.registry.champion("returns")
        return champion.version if champion else None

    def spoil(self, version: int) -> None:
        path = self.registry.artifacts.path(self.registry.get("returns", version).sha256)
        path.write_bytes(path.read_bytes()[:100])

    def story(self, version: int) -> str:
        chosen = self.registry.get("returns", version)
        return tell_version(self.lake, self.declaration, chosen, self.log.read(), self.champion())

    def shadow_answers(self) -> dict[str, float]:
        table = self.lake.read_predictions("returns", shadow=2)
        return dict(zip(table["decision_key"].to_pylist(), table["prediction"].to_pylist(), strict=True))


def log_in(home: Path) -> DecisionLog:
    return DecisionLog(home / "lake" / "decisions.jsonl")
