"""Feeds that come late, in part and corrected, week after week through the whole loop: what a decision was answered from
stays its training row.

PERENNIAL_TEST_WEEKS lengthens it; a quarter (13) takes some minutes longer.
"""

from __future__ import annotations

import os
import random
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from dagster_defs.manifest import manifest_path
from ml_assets.declaration.reader import read_declarations
from ml_assets.feeds.nycflights13 import land
from ml_assets.lake.decision_keys import decision_keys
from ml_assets.observing.skew import count_skew
from tests.end_to_end.conftest import EASY_GATES
from tests.end_to_end.real_homes import MODELS, RealHome, copy_project

pytestmark = pytest.mark.slow

WEEKS = int(os.environ.get("PERENNIAL_TEST_WEEKS", "3"))
START = datetime.fromisoformat("2013-04-01T00:00:00+00:00")
MAY_BE_LATE = ("weather", "departures", "arrivals", "cancellations")
SHARE_LATE, SHARE_CORRECTED = 0.15, 0.2
ENTITY = ["flight_id"]
OUTCOMES = ["is_late", "arrival_delay_minutes", "outcome_known_at"]


def corrected(file: Path, chance: random.Random) -> str:
    """The same lines with some delays reported otherwise."""
    rows = pd.read_csv(file, dtype=str, keep_default_na=False)
    found = rows.sample(frac=0.02, random_state=chance.randrange(1 << 30)).copy()
    for column in ("dep_delay", "arr_delay"):
        if column in found:
            found[column] = (found[column].astype(int) + 45).astype(str)
    return found.to_csv(index=False)


def training_rows(home: RealHome) -> pd.DataFrame:
    """Features and moments of every decision, by its key; not what became known of its outcome later."""
    table = home.lake.open().read("trn_late_arrival")
    rows = table.to_pandas()
    rows.index = pd.Index(decision_keys(table, ENTITY), name="decision_key")
    return rows.drop(columns=OUTCOMES)


def test_what_was_answered_equals_its_training_row_however_late_the_feeds(tmp_path: Path) -> None:
    chance = random.Random(20130401)
    home = RealHome(tmp_path / "home", copy_project(tmp_path / "dbt_project", EASY_GATES))
    stage, landing = tmp_path / "feed", home.settings.landing
    land(landing, START)
    shutil.copytree(landing, stage)
    home.run()
    answered = {model: pd.DataFrame() for model in MODELS}
    waiting: list[Path] = []
    late = corrections = 0

    for week in range(1, WEEKS + 1):
        before = set(stage.rglob("*.csv"))
        land(stage, START + timedelta(weeks=week))
        new = sorted(set(stage.rglob("*.csv")) - before)
        withheld = [file for file in new if file.parent.name in MAY_BE_LATE and chance.random() < SHARE_LATE]
        for file in [*waiting, *(file for file in new if file not in withheld)]:
            target = landing / file.relative_to(stage)
            shutil.copyfile(file, target)
            if file.parent.name in ("departures", "arrivals") and chance.random() < SHARE_CORRECTED:
                target.with_name(f"{file.stem}_corrected_in_week_{week}.csv").write_text(corrected(file, chance))
                corrections += 1
        late += len(waiting)
        waiting = withheld
        home.score()
        rows = training_rows(home)
        for model in MODELS:
            keys = home.predictions(model)["decision_key"].to_pandas()
            fresh = keys[~keys.isin(answered[model].index)]
            answered[model] = pd.concat([answered[model], rows.loc[fresh]])

    final = training_rows(home)
    for model in MODELS:
        assert len(answered[model]) > 4_000 * WEEKS
        pd.testing.assert_frame_equal(final.loc[answered[model].index], answered[model], check_exact=True)
        with home.entered():
            declaration = read_declarations(manifest_path(home.settings))[model]
        skew = count_skew(home.lake, home.registry, declaration)
        assert (skew.differing, skew.absent, skew.unknown) == (0, 0, 0), skew.text
        assert skew.compared == len(home.predictions(model))
    assert min(late, corrections) > 0
    health = home.lake.open().read("mon_flights__data_health").to_pandas()
    print(
        f"\n{WEEKS} weeks: {late} files late, {corrections} corrected, {len(answered[MODELS[0]]):,} decisions answered"
    )
    print(health.tail(8).T.to_string())
