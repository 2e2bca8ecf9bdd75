"""Homes of real data, run once and copied by the tests that go on from there."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from tests.end_to_end.real_homes import RealHome, copy_project

# A week is no ground to judge a model by: what is promoted is not the point here, that the loop closes is.
EASY_GATES = {
    r"max_iter: \d+": "max_iter: 10",
    r"window: 28 days": "window: 2 days",
    r"beats_baselines: true": "beats_baselines: false",
    r"max_calibration_error: [\d.]+": "max_calibration_error: 1.0",
}
# A model of ten trees is no good one: only its age may ask for another.
ONLY_AGE = {
    **EASY_GATES,
    r"worse_by: 0\.05": "worse_by: 5.0",
    r"population_stability: [\d.]+": "population_stability: 99.0",
    r"predictions: [\d.]+,": "predictions: 99.0,",
}
# Half the window and fewer trees; every gate is as declared.
SHORT_HISTORY = {r"max_iter: \d+": "max_iter: 60", r"window: 28 days": "window: 14 days"}


@pytest.fixture(scope="session")
def week_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("week") / "dbt_project", EASY_GATES)


@pytest.fixture(scope="session")
def week(tmp_path_factory: pytest.TempPathFactory, week_project: Path) -> RealHome:
    """The first days of 2013, refreshed once. Never to be written to: see `copied`."""
    home = RealHome(tmp_path_factory.mktemp("week_home"), week_project)
    home.land("2013-01-06")
    home.run()
    return home


@pytest.fixture(scope="session")
def winter_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("winter") / "dbt_project", SHORT_HISTORY)


@pytest.fixture(scope="session")
def winter(tmp_path_factory: pytest.TempPathFactory, winter_project: Path) -> RealHome:
    """45 days, refreshed once; then another one landed and scored. Never to be written to: see `copied`."""
    home = RealHome(tmp_path_factory.mktemp("winter_home"), winter_project)
    home.land("2013-02-14")
    home.run()
    return home


@pytest.fixture(scope="session")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., RealHome]:
    """A copy of a home for one test to write to; with another project if one is given."""
    numbers = count()
    return lambda home, project=None: home.copied_to(tmp_path_factory.mktemp("copies") / str(next(numbers)), project)
