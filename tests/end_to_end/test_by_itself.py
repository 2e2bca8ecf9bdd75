"""The house on its own: a past lived again, two bad days made good, and a bad day on which a fallback answers."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from dagster_defs.automation.bad_day import FALLBACK_JOB
from dagster_defs.definitions import REFRESH_JOB, SCORE_JOB
from dagster_defs.manifest import manifest_path
from dagster_defs.replay.lives import compare_lives, write_report
from dagster_defs.replay.replay import read_steps, replay, replay_steps
from dagster_defs.resources import build_home
from ml_assets.declaration.reader import read_declarations
from ml_assets.feeds.nycflights13 import land
from ml_assets.moments import last_moment
from tests.end_to_end.conftest import EASY_GATES, ONLY_AGE
from tests.end_to_end.real_homes import BIN, PROJECT_ROOT, RUN_JOB, RealHome, copy_project

pytestmark = pytest.mark.slow

MODEL = "late_arrival"
STAYS_YOUNG = {**ONLY_AGE, r"max_label_age: \d+ days": "max_label_age: 20 days"}
FAILS = "select * from {{ ref('trn_late_arrival') }} where decision_at >= timestamp '2013-01-08 06:00'\n"


def run(home: RealHome, job: str) -> subprocess.CompletedProcess[str]:
    """The job in a process of its own: dagster-dbt leaves the pipes of a dbt that failed to the garbage collector."""
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RUN_JOB, job],
        cwd=PROJECT_ROOT,
        env={**home.environment, "PYTHONPATH": str(PROJECT_ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_a_drift_and_a_bad_deployment_are_made_good(tmp_path: Path) -> None:
    home = RealHome(tmp_path / "home", PROJECT_ROOT / "dbt_project")

    said = subprocess.run(
        [f"{BIN}/perennial", "demo"], env=home.environment, capture_output=True, text=True, timeout=600, check=False
    )

    assert said.returncode == 0, said.stdout + said.stderr
    assert said.stdout.count("made good") == 2
    log = [json.loads(line) for line in (home.path / "demo" / "lake" / "decisions.jsonl").read_text().splitlines()]
    assert [(line["kind"], line["verdict"]) for line in log] == [
        ("retraining", "retrain"),
        ("promotion", "promoted"),
        ("retraining", "retrain"),
        ("promotion", "promoted"),
        ("rollback", "rolled_back"),
    ]


def test_a_replay_trains_when_there_is_reason_to_and_goes_on_where_it_ended(tmp_path: Path) -> None:
    home = RealHome(tmp_path / "home", copy_project(tmp_path / "dbt_project", STAYS_YOUNG))
    moments = replay_steps(last_moment("2013-01-10"), last_moment("2013-01-24"), timedelta(days=7))

    def live(some: int) -> None:
        with home.entered():
            settings = home.settings
            replay(settings, lambda moment: land(settings.landing, moment), moments[:some], [MODEL], lambda _: None)

    live(2)
    live(3)

    steps = read_steps(home.path)
    assert [bool(step.requested) for step in steps] == [True, False, False]
    assert steps[0].requested == (f"{MODEL}/candidate", f"{MODEL}/evaluation", f"{MODEL}/champion")
    with home.entered():
        declaration = read_declarations(manifest_path(home.settings))[MODEL]
        report = compare_lives(build_home(home.settings), declaration, moments, steps)
        page = write_report(home.path, [report]).read_text()
    living, always, frozen = report.lives
    assert (living.trainings, always.trainings, frozen.trainings) == (1, 2, 1)
    assert living.value == pytest.approx(frozen.value)  # trained once, at the start: the very same model
    assert report.rows > 10_000
    assert "http" not in page.replace("http://www.w3.org", "")
    assert f"{living.value:.4f}" in page
    assert [life.name for life in report.baselines] == [f"baseline: {one.name}" for one in declaration.baselines]
    assert "the policy saw no reason to train a second time" in page


def test_when_features_fail_their_checks_the_fallback_answers_and_nothing_learns(tmp_path: Path) -> None:
    home = RealHome(tmp_path / "home", copy_project(tmp_path / "dbt_project", EASY_GATES))
    home.land("2013-01-07")
    assert run(home, REFRESH_JOB).returncode == 0
    versions = len(home.registry.versions(MODEL))
    (home.project / "tests").mkdir(exist_ok=True)
    (home.project / "tests" / "assert_the_last_day_is_not_there.sql").write_text(FAILS)
    home.land("2013-01-08")

    for _ in range(2):  # in this run, and in the next
        failed = run(home, REFRESH_JOB)
        assert "What was published before stands" in failed.stderr
    assert run(home, FALLBACK_JOB).returncode == 0

    rows = home.predictions(MODEL).to_pandas()
    late = rows[rows["decision_at"] >= "2013-01-08 06:00"]
    assert len(late) > 500
    assert set(late["prediction_status"]) == {"fallback"}
    assert set(late["status_reason"]) == {"assert_the_last_day_is_not_there"}
    assert len(home.registry.versions(MODEL)) == versions

    (home.project / "tests" / "assert_the_last_day_is_not_there.sql").unlink()
    assert run(home, SCORE_JOB).returncode == 0
    again = home.predictions(MODEL).to_pandas()
    assert again["decision_key"].is_unique
    assert again.set_index("decision_key").loc[late["decision_key"], "prediction_status"].eq("fallback").all()


def test_a_backfill_changes_nothing_but_answers_what_nobody_answered(tmp_path: Path) -> None:
    home = RealHome(tmp_path / "home", copy_project(tmp_path / "dbt_project", EASY_GATES))
    for through in ("2013-01-06", "2013-01-08"):  # the second model learns from what nobody had answered
        home.land(through)
        assert run(home, REFRESH_JOB).returncode == 0
    before, rows = home.state(), home.predictions(MODEL).num_rows

    said = subprocess.run(
        [f"{BIN}/perennial", "backfill", "--from", "2013-01-05", "--through", "2013-01-08", "--model", MODEL],
        env=home.environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )

    assert said.returncode == 0, said.stdout + said.stderr
    after = home.predictions(MODEL).to_pandas()
    late = after[after["status_reason"].notna()]
    assert len(late) == len(after) - rows > 500
    assert set(late["model_version"]) == {1}
    assert f"{len(late):,} decisions answered after the fact" in " ".join(said.stdout.split())
    changed = {name for name, value in home.state().items() if value != before[name]}
    assert changed <= {"catalog", "predictions"}
    tables = {line["table"] for line in map(json.loads, home.catalog_bytes().splitlines())}
    assert {"trn_late_arrival"} <= tables
    old = {line for line in before["catalog"].splitlines() if b'"ftr_' in line or b'"trn_' in line}
    assert old <= set(home.catalog_bytes().splitlines())
