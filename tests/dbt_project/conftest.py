"""A feed of some days, and a home that holds the first of them, both made once; every test works on a copy."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from dbt_homes import PROJECT, Home, Project, copy_landing, landing_files

from ml_assets.feeds.nycflights13 import land
from ml_assets.moments import last_moment

TEMPLATE_THROUGH = "2013-01-05T0000Z"


@pytest.fixture(scope="session")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A landing folder with what became known up to the end of 7 January; the 6th came in two parts."""
    landing = tmp_path_factory.mktemp("feed")
    for through in ("2013-01-06T14:30Z", "2013-01-07"):
        land(landing, last_moment(through))
    return landing


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(PROJECT, tmp_path_factory.mktemp("target"))


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, feed: Path, project: Project) -> Home:
    """Built from the reference tables and the first four days. Never to be written to: see `home`."""
    home = Home(tmp_path_factory.mktemp("template"), project)
    copy_landing(feed, home, first_days(feed))
    build = home.build()
    assert build, build.failures()
    return home


@pytest.fixture(scope="session")
def copy_home(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Home], Home]:
    numbers = count()
    return lambda home: home.copied_to(tmp_path_factory.mktemp("homes") / str(next(numbers)))


@pytest.fixture
def home(template: Home, tmp_path: Path) -> Home:
    """A copy of the template for one test."""
    return template.copied_to(tmp_path / "home")


def first_days(feed: Path) -> list[str]:
    return [path for path in landing_files(feed) if path.endswith("all.csv") or path[-20:-4] <= TEMPLATE_THROUGH]
