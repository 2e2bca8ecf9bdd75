"""dbt in the process of a step: as a dbt process of its own would have done it, and nothing of it left behind."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from dagster_defs.dbt import KEPT_INVOCATIONS, Dbt, DbtBuild, DbtFailed, forget_earlier_invocations
from ml_assets.errors import PerennialError

PROFILE = "shop: {target: here, outputs: {here: {type: duckdb, path: '{{ env_var(\"PERENNIAL_HOME\") }}/shop.duckdb'}}}"
ORDERS = "select 1 as order_id union all select 2 as order_id"
TESTS = "models: [{name: orders, columns: [{name: order_id, data_tests: [unique, not_null]}]}]"

Build = Callable[..., DbtBuild]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "shop"
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text("{name: shop, version: 1.0.0, profile: shop, flags: {}}")
    (folder / "profiles.yml").write_text(PROFILE)
    (folder / "models" / "orders.sql").write_text(ORDERS)
    (folder / "models" / "orders.yml").write_text(TESTS)
    monkeypatch.setenv("PERENNIAL_HOME", str(tmp_path))
    return folder


@pytest.fixture
def build(project: Path) -> Build:
    """Runs `dbt build` in an op of a run, as the fallback does."""

    def run(*arguments: str) -> DbtBuild:
        found: list[DbtBuild] = []

        @dg.op
        def shop(context: dg.OpExecutionContext, dbt: Dbt) -> None:
            found.append(dbt.build(arguments, context))

        @dg.job
        def job() -> None:
            shop()

        with dg.DagsterInstance.ephemeral() as instance:
            job.execute_in_process(instance=instance, resources={"dbt": Dbt(project_dir=str(project), target="here")})
        return found[0]

    return run


def edit(file: Path, text: str) -> None:
    """As an editor does, some moments later."""
    file.write_text(text)
    os.utime(file, (time.time() + 5, time.time() + 5))


def test_a_build_says_what_became_of_each_node_and_leaves_this_process_as_it_was(build: Build, tmp_path: Path) -> None:
    before = Path.cwd(), dict(os.environ)

    built = build()

    assert built.is_successful
    built.raise_if_failed()
    assert sorted((one["data"]["node_info"]["resource_type"], one["data"]["status"]) for one in built.results) == [
        ("model", "OK"),
        ("test", "pass"),
        ("test", "pass"),
    ]
    assert (Path.cwd(), dict(os.environ)) == before
    look = "import duckdb, sys; print(duckdb.connect(sys.argv[1]).execute('select count(*) from orders').fetchone())"
    seen = subprocess.run(
        [sys.executable, "-c", look, str(tmp_path / "shop.duckdb")], capture_output=True, text=True, check=False
    )
    assert seen.stdout.strip() == "(2,)", "the warehouse is free for the next one"


def test_a_test_that_fails_is_said_in_its_own_words(build: Build, project: Path) -> None:
    edit(project / "models" / "orders.sql", "select 1 as order_id union all select 1 as order_id")

    built = build()

    assert not built.is_successful
    with pytest.raises(DbtFailed, match=r"(?s)dbt build failed.*Failure in test unique_orders_order_id"):
        built.raise_if_failed()
    assert (built.folder / "dbt.log").exists()


def test_the_next_build_of_the_process_follows_what_was_edited(build: Build, project: Path) -> None:
    assert len(build().results) == 3
    edit(project / "models" / "orders.yml", TESTS.replace("unique, ", ""))
    assert len(build().results) == 2
    edit(project / "models" / "orders.sql", "select {{ nothing_of_the_kind")
    with pytest.raises(PerennialError, match=r"(?s)dbt cannot parse .*orders.sql"):
        build()
    edit(project / "models" / "orders.sql", ORDERS)
    assert build().is_successful


def test_arguments_narrow_a_build(build: Build) -> None:
    built = build("--exclude-resource-type", "test", "--vars", "{price: 2}")

    assert [one["data"]["node_info"]["node_name"] for one in built.results] == ["orders"]


def test_an_interruption_ends_the_step(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    from dbt.cli.main import dbtRunner, dbtRunnerResult

    build()
    monkeypatch.setattr(
        dbtRunner, "invoke", lambda *_: dbtRunnerResult(success=False, exception=KeyboardInterrupt("stop"))
    )
    with pytest.raises(KeyboardInterrupt):
        build()


def test_only_the_last_invocations_of_dbt_are_kept(tmp_path: Path) -> None:
    names = [f"dbt_2-{number:07x}-{number:07x}" for number in range(20)] + ["0abc123"]
    for age, name in enumerate(reversed(names)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "dbt.log").touch()
        os.utime(tmp_path / name, (1_000_000 - age, 1_000_000 - age))
    (tmp_path / "compiled").mkdir()
    (tmp_path / "manifest.json").touch()

    forget_earlier_invocations(tmp_path / "0abc123")

    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"compiled", "manifest.json", *names[-KEPT_INVOCATIONS:]}
