"""Whatever comes in whatever order: what a decision was answered from stays its training row, and a full refresh gives what the increments gave.

Late files, corrections, repeats, a second file of airports and rows of far-off years, in random orders of arrival.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from dbt_homes import Home, Project
from orders import Answered, batches_of, contents, land_all, small_feed, training_features, with_mischief

ORDERS = 20
BUILD = ("build", "--exclude-resource-types", "test", "unit_test")  # tested once, at the end


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, ORDERS))])
def test_a_decision_keeps_what_it_was_answered_from_and_a_full_refresh_changes_nothing(
    feed: Path, project: Project, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    files = with_mischief(small_feed(feed), chance)
    home = Home(tmp_path, project)
    answered: dict[str, Answered] = {}
    reached = None
    late = corrected = 0

    for number, paths in enumerate(batches_of(files, chance, chance.choice([3, 4, 5])), start=1):
        land_all(home, files, paths)
        built = home.run(*BUILD)
        assert built, built.failures()
        rows = training_features(home)
        for flight, features in rows.items():
            if flight not in answered:
                assert reached is None or features["decision_at"] > reached, f"{flight} fell due in the past"
                answered[flight] = Answered(number, features)
        assert answered.keys() == rows.keys()
        ((reached, late, corrected),) = home.rows(
            "select watermark_at, (select sum(late_rows) from int_flights__intake), (select sum(corrected_rows) from int_flights__intake) "
            "from int_flights__watermark"
        )

    final = training_features(home)
    assert {flight: row for flight, row in final.items() if row != answered[flight].features} == {}
    if seed == 0:  # in some orders all decisions fall due at once; in this one they must not, or nothing is shown
        assert len({one.batch for one in answered.values()}) > 1
    assert min(late, corrected) > 0
    before, published = contents(home), _published(home)
    built = home.run(*BUILD, "--full-refresh")
    assert built, built.failures()
    after = contents(home)
    assert {name for name in before if before[name] != after[name]} == set()
    assert _published(home) == published
    assert home.rows("select year(max(watermark_at)) from int_flights__watermark") == [(2013,)]


def _published(home: Home) -> dict[str, str]:
    """What readers see once the tests have passed."""
    tested = home.run("test", "--exclude-resource-types", "unit_test")
    assert tested, tested.failures()
    return home.published()
