"""A test of dbt fails in the middle of the loop: nothing after it is made from what it warned of, and readers keep what they had."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ml_assets.errors import PerennialError
from tests.end_to_end.real_homes import MODELS, RealHome, copy_project

pytestmark = pytest.mark.slow

Copied = Callable[..., RealHome]
NEXT_DAY = "2013-01-07"
# Holds in the week that stands, and not once the day after it has landed.
CHECK = "tests/assert_nothing_is_known_of_the_last_day.sql"
FAILS = "select * from {{ ref('trn_late_arrival') }} where outcome_known_at > timestamp '2013-01-07 01:00:00'\n"


@pytest.fixture
def about_to_fail(week: RealHome, copied: Copied, tmp_path: Path) -> RealHome:
    """The week with one more day landed, and a check that this day does not pass."""
    project = copy_project(tmp_path / "dbt_project", source=week.project)
    (project / CHECK).write_text(FAILS)
    home = copied(week, project)
    home.land(NEXT_DAY)
    return home


def test_a_failing_check_stops_the_models_in_the_same_run(about_to_fail: RealHome) -> None:
    before = about_to_fail.state()

    with pytest.raises(PerennialError, match="What was published before stands"):
        about_to_fail.run()

    assert about_to_fail.state() == before


def test_models_made_by_hand_after_a_failed_check_see_what_passed(about_to_fail: RealHome) -> None:
    """Known from Dagster's users: a check that failed in an earlier run need not block a later one."""
    before = about_to_fail.state()
    with pytest.raises(PerennialError):
        about_to_fail.score()

    result = about_to_fail.materialize(
        *(f"{model}/{step}" for model in MODELS for step in ("candidate", "evaluation", "champion", "predictions"))
    )

    assert result.success, "what is published is still the state that passed its checks"
    assert about_to_fail.state() == before


def test_the_run_after_a_mended_check_catches_up(about_to_fail: RealHome, week: RealHome, copied: Copied) -> None:
    undisturbed = copied(week)
    undisturbed.land(NEXT_DAY)
    undisturbed.score()
    with pytest.raises(PerennialError):
        about_to_fail.score()

    (about_to_fail.project / CHECK).unlink()
    about_to_fail.score()

    assert about_to_fail.state() == undisturbed.state()
