"""The loop on 45 days of real flights, with the gates as declared: again, a day later, by other doors, and backwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from ml_assets.declaration.domains import DomainTables
from tests.end_to_end.real_homes import MODELS, RealHome, copy_project, declare

pytestmark = pytest.mark.slow

Copied = Callable[..., RealHome]
NEXT_DAY = "2013-02-15"
NEWEST_PARTS = {"2013-02", "all"}
STEPS = ("candidate", "evaluation", "champion", "predictions")


def lines_without(home: RealHome, *tables: str) -> list[dict[str, object]]:
    return [part for part in home.catalog() if part["table"] not in tables]


def predict_anew(home: RealHome, model: str) -> pa.Table:
    """What the present champion says of all that is due, as if nothing had been predicted yet."""
    for file in (home.path / "lake" / "predictions" / model).iterdir():
        file.unlink()
    assert home.materialize(f"{model}/predictions").success
    return home.predictions(model)


@pytest.fixture(scope="module")
def day_later(winter: RealHome, copied: Copied) -> RealHome:
    """The winter home after one more day landed and was scored. Never to be written to."""
    home = copied(winter)
    home.land(NEXT_DAY)
    home.score()
    return home


# --- the first run


def test_the_first_champions_beat_their_baselines(winter: RealHome) -> None:
    for model in MODELS:
        (decision,) = [line for line in winter.decisions() if line.model == model]

        assert (decision.verdict, winter.champion(model)) == ("promoted", 1), decision.reasons
        assert any(reason["gate"].startswith("beats_") for reason in decision.reasons)
        assert all(reason["passed"] for reason in decision.reasons)


def test_predictions_and_what_watches_them_are_published(winter: RealHome) -> None:
    rows = winter.rows()

    assert rows["fct_flights__predictions"] == sum(winter.predictions(model).num_rows for model in MODELS) > 0
    for table in (
        "mon_flights__data_health",
        "mon_flights__feature_drift",
        "fct_model__evaluations",
        "fct_model__decisions",
    ):
        assert rows[table] > 0, table


def test_performance_is_published_once_outcomes_are_known(day_later: RealHome) -> None:
    performance = day_later.lake.open().read("mon_flights__performance").to_pandas()

    assert set(performance["model"]) == set(MODELS)
    assert {"overall", "origin"} <= set(performance["slice_name"])


# --- the second run


def test_a_second_run_changes_nothing(winter: RealHome, copied: Copied) -> None:
    home = copied(winter)
    before = home.state()

    made = home.run()

    assert home.state() == before
    assert "late_arrival/champion" in made


# --- one more day


def test_one_more_day_changes_only_the_newest_parts(winter: RealHome, day_later: RealHome) -> None:
    changed = {(part["table"], part["part"]) for part in day_later.catalog() if part["file"] not in winter.files()}

    assert ("trn_late_arrival", "2013-02") in changed
    assert {part for _, part in changed} <= NEWEST_PARTS
    assert {table for table, part in changed if part == "all"} <= {
        "fct_model__decisions",
        "fct_model__evaluations",
        "mon_flights__data_health",
        "mon_flights__feature_drift",
        "mon_flights__prediction_drift",
        "mon_flights__performance",
    }


def test_a_decision_once_predicted_keeps_its_prediction(winter: RealHome, day_later: RealHome) -> None:
    for model in MODELS:
        before = winter.predictions(model).to_pandas().set_index("decision_key")
        after = day_later.predictions(model).to_pandas().set_index("decision_key")

        assert len(after) > len(before)
        assert after.loc[before.index].equals(before)
        assert after.index.is_unique


def test_scoring_alone_makes_no_candidate_and_no_decision(winter: RealHome, day_later: RealHome) -> None:
    before, after = winter.state(), day_later.state()

    for kept in ("versions", "champions", "decisions"):
        assert after[kept] == before[kept]


# --- three doors


def test_a_shell_a_job_and_python_publish_the_same_bytes(winter: RealHome, day_later: RealHome, copied: Copied) -> None:
    by_shell, by_python = copied(winter), copied(winter)

    by_shell.land(NEXT_DAY)
    built = by_shell.dbt("build")
    assert built.returncode == 0, built.stdout
    assert by_shell.materialize(*(f"{model}/predictions" for model in MODELS)).success
    assert by_shell.dbt("build").returncode == 0

    by_python.land(NEXT_DAY)
    assert by_python.materialize().success

    assert by_shell.prediction_files() == day_later.prediction_files()
    assert by_shell.catalog_bytes() == day_later.catalog_bytes()
    assert by_python.prediction_files() == day_later.prediction_files()
    assert by_python.catalog_bytes() == day_later.catalog_bytes()


def test_a_home_built_at_once_in_a_shell_is_the_home_that_grew(
    winter: RealHome, day_later: RealHome, tmp_path: Path
) -> None:
    at_once = RealHome(tmp_path / "home", winter.project)
    at_once.land(NEXT_DAY)

    built = at_once.dbt("build")

    assert built.returncode == 0, built.stdout
    of_models = {"fct_model__evaluations", "fct_model__decisions"}
    for domain in ("flights", "households"):
        tables = DomainTables(domain)
        of_models |= {tables.predictions, tables.performance, tables.feature_drift, tables.prediction_drift}
    assert lines_without(at_once, *of_models) == lines_without(day_later, *of_models)


# --- worse candidates, and the way back


def redeclared(home: RealHome, copied: Copied, folder: Path, replacements: dict[str, str]) -> RealHome:
    """A copy of the home in which late_arrival is declared otherwise."""
    project = copy_project(folder / "dbt_project", source=home.project)
    declare(project, replacements, model="late_arrival")
    return copied(home, project)


WORSE = {
    "it knows rates only": {
        r"estimator: gradient_boosting": "estimator: baseline_rates",
        r"params: \{.*\}": "params: {by: [origin]}",
    },
    "it hardly learns": {r"learning_rate: [\d.]+": "learning_rate: 0.001"},
}


@pytest.mark.parametrize("worse", WORSE.values(), ids=WORSE)
def test_a_worse_candidate_does_not_become_champion(
    day_later: RealHome, copied: Copied, tmp_path: Path, worse: dict[str, str]
) -> None:
    home = redeclared(day_later, copied, tmp_path, worse)
    before = home.state()

    assert home.materialize(*(f"late_arrival/{step}" for step in STEPS)).success

    after = home.state()
    assert after["versions"]["late_arrival"] == [1, 2]
    assert after["champions"] == before["champions"]
    assert after["predictions"] == before["predictions"]
    decision = home.decisions()[-1]
    assert (decision.model, decision.version, decision.verdict) == ("late_arrival", 2, "rejected")
    assert any(not reason["passed"] for reason in decision.reasons)


def test_a_rollback_restores_identical_predictions(winter: RealHome, copied: Copied, tmp_path: Path) -> None:
    """The second champion is another fit on the same data, so the same decisions are due before and after."""
    home = redeclared(winter, copied, tmp_path, {r"max_iter: 60": "max_iter: 64"})
    of_first = predict_anew(home, "late_arrival")
    assert home.materialize(*(f"late_arrival/{step}" for step in STEPS)).success
    assert home.champion("late_arrival") == 2, home.decisions()[-1].reasons
    of_second = predict_anew(home, "late_arrival")

    said = home.perennial("rollback", "late_arrival", "--reason", "a test")

    assert said.returncode == 0, said.stderr
    assert home.champion("late_arrival") == 1
    assert predict_anew(home, "late_arrival").equals(of_first)
    assert not of_second["prediction"].equals(of_first["prediction"])
    assert (home.decisions()[-1].kind, home.decisions()[-1].reasons[0]["text"]) == ("rollback", "a test")


def test_a_champion_that_was_taken_back_does_not_return_by_itself(
    winter: RealHome, copied: Copied, tmp_path: Path
) -> None:
    home = redeclared(winter, copied, tmp_path, {r"max_iter: 60": "max_iter: 64"})
    assert home.materialize(*(f"late_arrival/{step}" for step in STEPS)).success
    assert home.perennial("rollback", "late_arrival").returncode == 0

    assert home.materialize(*(f"late_arrival/{step}" for step in STEPS)).success

    assert home.champion("late_arrival") == 1
    assert [reason["gate"] for reason in home.decisions()[-1].reasons if not reason["passed"]] == ["not_rolled_back"]
