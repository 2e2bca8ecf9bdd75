"""A third domain, made up, brought in by nothing but the documentation: beside the flights it is what it is alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.end_to_end.machines import Lines, write, write_deliveries
from tests.end_to_end.real_homes import DBT_PROJECT, MODELS, RealHome, copy_project
from tests.end_to_end.shell import lines_of, typed

pytestmark = pytest.mark.slow

# All that its people type and edit; the measure is 150 lines.
BROUGHT_IN = r"""
perennial new source $EXPORTS/*.csv --source sensors --domain plant
sed -i '
s|folder: .*|folder: $EXPORTS|
s/temperature, data_type: varchar, description: Temperature/temperature, data_type: double, description: Degrees Celsius of the bearing/
s/description: Vibration., config: {meta: {required: true}}/description: Millimetres a second., config: {meta: {required: true, minimum: 0}}/
' dbt_project/models/staging/plant/_sensors__sources.yml
perennial new features wear --from stg_sensors__readings --entity machine
perennial new features failures --from stg_sensors__failures --entity machine
perennial new features make --from stg_sensors__machines --entity machine --kind state
perennial new model machine_failure --from stg_sensors__readings --entity machine --every day \
    --features ftr_machine__wear --features ftr_machine__failures --features ftr_machine__make --windows "24 hours, 7 days, 28 days" \
    --label fails_within_2d --label-from stg_sensors__failures --outcome any --happened-at failed_at --within "2 days"
sed -i -E '
s|(machine_wear_vibration)_hundredths_(\w+) / 100 as .*,|\1_hundredths_\2 / 100 / nullif(machine_wear_events_\2, 0) as mean_vibration_\2,|
s|(machine_wear_temperature)_hundredths_(\w+) / 100 as .*,|\1_hundredths_\2 / 100 / nullif(machine_wear_events_\2, 0) as mean_temperature_\2,|
' dbt_project/models/training/plant/trn_machine_failure.sql
sed -i -E '
s/machine_wear_(vibration|temperature)_(24h|7d|28d)/mean_\1_\2/
s/Sum of (vibration|temperature)/Mean \1/
' dbt_project/models/training/plant/trn_machine_failure.yml
sed -i '
s/description: What machine_failure.*/description: The probability, each midnight, that a machine fails within the next two days./
' dbt_project/models/ml_models/plant/machine_failure.yml
"""
# What no domain owns: it tells of all of them.
CORE_TABLES = ("fct_model__decisions", "fct_model__evaluations", "mon_run__costs")
FLIGHTS_THROUGH = "2013-01-01"


def shell_in(home: RealHome, text: str) -> str:
    """What is typed in a project's folder for its home; the other environment is that of whoever has just installed."""
    said = {"PERENNIAL_HOME": str(home.path), "PERENNIAL_DBT_PROJECT": str(home.project)}
    exports = str(home.project.parent / "exports")
    return typed(text, home.project.parent, DBT_PROFILES_DIR=str(home.project), EXPORTS=exports, **said)


def built(home: RealHome, *select: str) -> None:
    shell_in(home, f"cd dbt_project && dbt build --quiet {' '.join(select)}")


def parts_of(home: RealHome, domain: str) -> dict[tuple[str, str], str]:
    """The published parts of a domain's tables, with their hashes."""
    tables = {path.stem for path in home.project.glob(f"models/*/{domain}/*.sql")}
    found = {(part["table"], part["part"]): part["sha256"] for part in home.catalog() if part["table"] in tables}
    assert found
    return found


def delivered(home: RealHome, files: Lines) -> None:
    write(home.project.parent / "exports", files)


@pytest.fixture(scope="module")
def deliveries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Lines]:
    return write_deliveries(tmp_path_factory.mktemp("exports"))


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, deliveries: dict[str, Lines]) -> RealHome:
    """A project of the plant alone: the first delivery taken in, all of it built with the second, and a model judged."""
    folder = tmp_path_factory.mktemp("alone") / "plant"
    home = RealHome(folder / "var", folder / "dbt_project")
    typed(f"perennial new project {folder}", folder.parent)
    delivered(home, deliveries["first"])
    shell_in(home, BROUGHT_IN)
    shell_in(home, "perennial land")
    built(home, "--select +int_plant__intake")
    delivered(home, deliveries["second"])
    shell_in(home, "perennial run")
    return home


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> RealHome:
    """The flights alone, a day of them."""
    folder = tmp_path_factory.mktemp("flights")
    home = RealHome(folder / "var", copy_project(folder / "dbt_project"))
    shell_in(home, "perennial remove-domain households --yes")
    home.land(FLIGHTS_THROUGH)
    built(home)
    return home


@pytest.fixture(scope="module")
def both(
    tmp_path_factory: pytest.TempPathFactory, alone: RealHome, flights: RealHome, deliveries: dict[str, Lines]
) -> RealHome:
    """The plant's folders put beside those of the flights, in their home: built delivery by delivery, the second for it only."""
    folder = tmp_path_factory.mktemp("both")
    home = flights.copied_to(folder / "var", copy_project(folder / "dbt_project", source=flights.project))
    for of_plant in alone.project.glob("models/*/plant"):
        shutil.copytree(of_plant, home.project / of_plant.relative_to(alone.project))
    delivered(home, deliveries["first"])
    shell_in(home, "perennial land --domain plant")
    built(home)
    delivered(home, deliveries["second"])
    shell_in(home, "perennial run --domain plant")
    return home


def test_its_people_write_little() -> None:
    assert len(lines_of(BROUGHT_IN)) <= 40


def test_no_file_of_the_core_was_touched(alone: RealHome) -> None:
    files = [path.relative_to(alone.project) for path in alone.project.glob("m*/**/*") if path.is_file()]
    of_core = [file for file in files if "plant" not in file.parts]

    assert len(of_core) > 40
    assert [file for file in of_core if (alone.project / file).read_bytes() != (DBT_PROJECT / file).read_bytes()] == []


def test_what_goes_wrong_in_its_files_is_kept_with_the_reason(alone: RealHome) -> None:
    health = alone.lake.open().read("mon_plant__data_health").to_pandas().set_index("table_name")
    readings = health.loc["readings"]

    assert (readings.duplicate_files, readings.rejected_files) == (0, 0)  # the feed has not even taken the copy
    assert readings.quarantined_rows == 3  # said twice, no number, below nothing
    assert readings.late_rows == 160
    assert readings.corrected_rows == 1


def test_its_model_is_judged_by_its_gates(alone: RealHome) -> None:
    decided = [one for one in alone.decisions() if one.kind == "promotion"]

    assert [one.verdict for one in decided] == ["promoted"]
    assert {reason["gate"] for reason in decided[0].reasons} >= {"beats_baseline_constant"}
    assert alone.champion("machine_failure") == 1


def test_beside_the_flights_it_is_to_the_byte_what_it_is_alone(alone: RealHome, both: RealHome) -> None:
    assert parts_of(both, "plant") == parts_of(alone, "plant")


def test_the_flights_are_to_the_byte_what_they_were_without_it(flights: RealHome, both: RealHome) -> None:
    assert parts_of(both, "flights") == parts_of(flights, "flights")


def test_a_run_of_one_domain_makes_nothing_of_another(both: RealHome) -> None:
    assert {one.model for one in both.decisions()} == {"machine_failure"}
    assert [both.champion(model) for model in MODELS] == [None] * len(MODELS)


def test_without_the_flights_it_runs_on_as_it_was(both: RealHome, tmp_path: Path) -> None:
    home = both.copied_to(tmp_path / "var", copy_project(tmp_path / "dbt_project", source=both.project))
    before = parts_of(home, "plant")

    shell_in(home, "perennial remove-domain flights --yes")
    shell_in(home, "perennial run --no-land")

    assert not list(home.project.rglob("*flights*"))
    assert parts_of(home, "plant") == before
    status = json.loads(shell_in(home, "perennial status --json"))
    assert list(status["models"]) == ["machine_failure"]
