"""The world with a challenger in shadow, as a fixture: made once, copied for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ml_assets.registry.registry import Registry
from tests.ml_assets.observing.shadow_world import BEGAN, FIRST, TRAINED, WITH_SHADOW, Clock, World, log_in


@pytest.fixture(scope="session")
def once_in_shadow(tmp_path_factory: pytest.TempPathFactory, empty_registry: Path) -> Path:
    """A champion, and a challenger that has just passed every other gate. Never to be written to: see `world`."""
    root = tmp_path_factory.mktemp("in_shadow")
    shutil.copytree(empty_registry, root / "registry")
    world = World(root / "lake", Registry(root / "registry"), log_in(root), lambda: BEGAN, WITH_SHADOW)
    world.pass_to(FIRST)
    world.train()
    assert world.decide() == "promoted"  # the first champion has nobody to answer beside
    world.score()
    world.pass_to(TRAINED)
    world.train()
    assert world.decide() == "in_shadow"
    return root


@pytest.fixture
def world(tmp_path: Path, once_in_shadow: Path, now: Clock) -> World:
    shutil.copytree(once_in_shadow, tmp_path / "home")
    home = tmp_path / "home"
    return World(home / "lake", Registry(home / "registry"), log_in(home), now, WITH_SHADOW)
