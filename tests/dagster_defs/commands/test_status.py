"""Every figure of the status stands under its own name: the champion's is the champion's own."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from dagster_defs.commands.status import gather_status
from dagster_defs.commands.status_words import show_status
from dagster_defs.settings import Settings
from tests.dagster_defs.commands.lived_home import MODEL, lived_in


@pytest.fixture(scope="module")
def lived(settings: Settings, manifest: object, tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, Any]]:
    """What the status says, by who is champion."""
    folder = tmp_path_factory.mktemp("status")
    return {
        champion: gather_status(
            settings.model_copy(
                update={"home": lived_in(folder / str(champion), settings.dbt_project, champion)}
            ).prepared()
        )
        for champion in (1, 2)
    }


def shown(answer: dict[str, Any]) -> str:
    said = io.StringIO()
    show_status(answer, Console(file=said, width=200))
    return said.getvalue()


@pytest.mark.parametrize(("champion", "said"), [(1, 0.5), (2, 0.9)])
def test_live_loss_is_that_of_the_champion_alone(lived: dict[int, dict[str, Any]], champion: int, said: float) -> None:
    live = lived[champion]["models"][MODEL]["live"]

    assert live["version"] == champion
    assert live["value"] == pytest.approx(-np.log(said))
    assert (live["decisions"], live["days"]) == (180, 10)


def test_after_a_way_back_all_that_is_said_is_of_the_version_that_is_champion_again(
    lived: dict[int, dict[str, Any]],
) -> None:
    model = lived[1]["models"][MODEL]

    assert (model["champion"], model["training_rows"]) == (1, 1000)
    assert f"{model['trained_through']:%Y-%m-%d}" == "2030-01-01"
    assert model["judged"] == {"candidate": {"log_loss": pytest.approx(0.41)}}
    assert (model["last_decision"]["kind"], model["last_decision"]["as_of"]) == ("rollback", "2030-02-20T00:00:00Z")


def test_rows_are_those_of_all_landing_tables(lived: dict[int, dict[str, Any]]) -> None:
    assert lived[2]["rows"] == {
        "landed_rows": 150, "staged_rows": 148, "quarantined_rows": 2, "rejected_files": 1,
    }  # fmt: skip
    assert "150 rows landed = 148 staged + 2 quarantined; 1 files rejected" in shown(lived[2])


def test_a_champion_none_of_whose_outcomes_is_known_has_no_live_figure(
    settings: Settings, manifest: object, tmp_path: Path
) -> None:
    home = lived_in(tmp_path / "home", settings.dbt_project)
    lines = (home / "lake" / "catalog.jsonl").read_text().splitlines()
    (home / "lake" / "catalog.jsonl").write_text("".join(line + "\n" for line in lines if '"2030-02"' not in line))

    answer = gather_status(settings.model_copy(update={"home": home}).prepared())

    assert answer["models"][MODEL]["live"] is None
    assert "the outcome of none of its own predictions is known yet" in shown(answer)


def test_a_lost_champions_file_is_no_home_without_a_champion(
    settings: Settings, manifest: object, tmp_path: Path
) -> None:
    home = lived_in(tmp_path / "home", settings.dbt_project)
    (home / "registry" / "champions" / f"{MODEL}.json").write_text("torn")
    (home / "registry" / "mlflow.db").write_bytes(b"no database")

    answer = gather_status(settings.model_copy(update={"home": home}).prepared())

    assert "is no sound database" in answer["registry"]
    assert "its champion is not known" in shown(answer)


def test_an_empty_home_is_greeted_with_what_to_do_first(settings: Settings, manifest: object, tmp_path: Path) -> None:
    answer = gather_status(settings.model_copy(update={"home": tmp_path / "home"}).prepared())

    assert answer["next"].startswith("nothing has landed yet. make run ")
    assert "var/landing/<source>/<table>/" in shown(answer)


def test_a_home_in_which_files_have_landed_is_told_to_run(settings: Settings, manifest: object, tmp_path: Path) -> None:
    own = settings.model_copy(update={"home": tmp_path / "home"}).prepared()
    (own.landing / "made_up").mkdir()
    (own.landing / "made_up" / "one.csv").write_text("a\n1\n")

    assert gather_status(own)["next"] == "1 files have landed and nothing is published yet: perennial run"
