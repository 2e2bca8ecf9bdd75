"""From three files that nobody has seen to a project that builds; and a project that has lost its example."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dagster_defs.scaffolding.looking import look_at, tables_in
from dagster_defs.scaffolding.projects import plan_removal
from dagster_defs.scaffolding.sources import plan_domain
from dagster_defs.scaffolding.writing import Plan
from dagster_defs.settings import PROJECT_ROOT
from ml_assets.errors import PerennialError
from tests.dagster_defs.scaffolding.made_up import LOANS, write_library

SHIPPED = PROJECT_ROOT / "dbt_project"
NOT_SOURCES = shutil.ignore_patterns("target", "logs", ".*")


def run(home: Path, project: Path, *arguments: str, program: str = "perennial") -> str:
    """A program as a user starts it; fails with what it said."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PERENNIAL_", "DAGSTER_", "DBT_"))
    }
    environment = {
        **kept,
        "PERENNIAL_HOME": str(home),
        "PERENNIAL_DBT_PROJECT": str(project),
        "DBT_PROFILES_DIR": str(project),
        "OMP_NUM_THREADS": "1",
        "NO_COLOR": "1",
    }
    cwd = project if program == "dbt" else home.parent
    command = [str(Path(sys.executable).parent / program), *arguments]
    done = subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return done.stdout


# --- looking


def test_types_are_those_that_every_value_fits(tmp_path: Path) -> None:
    (tmp_path / "things.csv").write_text(
        "id,zip,price,On Sale,sold,seen at,order\n1,01067,1.5,true,2024-01-01,2024-01-01T10:00:00Z,a\n2,12345,,false,2024-01-02,2024-01-02T10:00:00Z,b\n"
    )
    (files,) = tables_in([tmp_path / "things.csv"]).values()
    seen = look_at("things", files)

    assert {one.name: (one.data_type, one.required) for one in seen.columns} == {
        "id": ("integer", True),
        "zip": ("varchar", True),  # a number with a leading zero is none
        "price": ("double", False),
        "on_sale": ("boolean", True),
        "sold": ("date", True),
        "seen_at": ("timestamp", True),
        "order_value": ("varchar", True),
    }
    assert (seen.key, seen.known_at) == (("id",), "seen_at")


def test_files_that_differ_in_numbers_are_one_table(tmp_path: Path) -> None:
    for name in ("sales-2024-01.csv", "sales-2024-02.csv", "shops.csv"):
        (tmp_path / name).write_text("id\n1\n")

    assert {table: len(files) for table, files in tables_in(list(tmp_path.iterdir())).items()} == {
        "sales": 2,
        "shops": 1,
    }
    assert look_at("sales", sorted(tmp_path.glob("sales*"))).pattern == "sales-*.csv"


def test_what_is_no_table_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.xlsx").write_text("PK")
    (tmp_path / "x.csv").write_text("a\n1\n")
    with pytest.raises(PerennialError, match="no known format"):
        tables_in([tmp_path / "x.xlsx"])
    with pytest.raises(PerennialError, match="no column b; there are a"):
        look_at("x", [tmp_path / "x.csv"], key=["b"])


def test_a_fault_among_numbers_is_named_with_what_to_say_of_it(tmp_path: Path) -> None:
    lines = [f"{number},{number}.5,0{number}" for number in range(50)]
    (tmp_path / "x.csv").write_text("\n".join(["id,warmth,zip", *lines, "50,hot,050"]) + "\n")
    (note,) = [one for one in look_at("x", [tmp_path / "x.csv"]).notes if "number" in one]

    assert note == (
        "warmth is a number in all but 1 of 51 rows (not: 'hot'), so varchar; if these are faults, say data_type: double, "
        "and their rows are set aside with the reason"
    )


def test_what_says_when_it_was_told_goes_before_what_says_when_it_was(tmp_path: Path) -> None:
    """And a line that is said twice, or a clock that never shows the same twice, takes no key away from what names a row."""
    lines = [f"M{n % 3},2024-01-0{1 + n // 3} 08:00,2024-01-0{1 + n // 3} 08:0{n % 3}" for n in range(27)]
    (tmp_path / "x.csv").write_text("\n".join(["machine,read_at,recorded_at", *lines, lines[4]]) + "\n")
    seen = look_at("x", [tmp_path / "x.csv"])

    assert (seen.key, seen.known_at) == (("machine", "read_at"), "recorded_at")


# --- writing


def test_nothing_is_overwritten_unless_it_is_said(tmp_path: Path) -> None:
    plan = Plan(tmp_path, new={"a.sql": "new", "b.sql": "new"})
    (tmp_path / "a.sql").write_text("mine")
    with pytest.raises(PerennialError, match=r"already there: a\.sql"):
        plan.write(force=False)
    assert not (tmp_path / "b.sql").exists()
    plan.write(force=True)
    assert (tmp_path / "a.sql").read_text() == "new"


def test_a_ref_is_added_to_a_list_once(tmp_path: Path) -> None:
    plan = Plan(tmp_path, new={"x.sql": "{{ domain_intake([ref('base_a')]) }}\n"})
    plan.list_ref("x.sql", "base_b")
    plan.list_ref("x.sql", "base_b")

    assert plan.new["x.sql"] == "{{ domain_intake([\n    ref('base_a'),\n    ref('base_b'),\n]) }}\n"


def test_a_domains_own_tables_are_written_as_those_of_the_example(tmp_path: Path) -> None:
    """Else the templates have been left behind: what differs is lists of refs alone."""
    from re import DOTALL, sub

    plan = Plan(tmp_path)
    plan_domain(plan, "flights")
    del plan.new["models/staging/flights/_flights__domain.yml"]

    def without_lists(text: str) -> str:
        return sub(r"\(\[.*?\]\)", "([])", text, flags=DOTALL)

    assert len(plan.new) > 20
    for path, text in plan.new.items():
        assert without_lists(text) == without_lists((SHIPPED / path).read_text()), path


# --- removing


def test_a_domain_that_there_is_not_cannot_be_removed(tmp_path: Path) -> None:
    with pytest.raises(PerennialError, match="there is no domain flihgts"):
        plan_removal(SHIPPED, "flihgts", tmp_path)
    with pytest.raises(PerennialError, match="there is no domain core"):
        plan_removal(SHIPPED, "core", tmp_path)


@pytest.mark.slow
def test_a_project_that_has_lost_its_example_builds_green_and_empty(tmp_path: Path) -> None:
    project = tmp_path / "dbt_project"
    shutil.copytree(SHIPPED, project, ignore=NOT_SOURCES)
    home = tmp_path / "home"
    said = run(home, project, "remove-domain", "flights")
    assert "would be removed" in said
    assert (project / "models/staging/flights").is_dir()
    run(home, project, "remove-domain", "flights", "--yes")

    assert not list(project.rglob("*flights*"))
    assert "Completed successfully" in run(home, project, "build", "--no-use-colors", program="dbt")


@pytest.mark.slow
def test_three_files_of_a_stranger_become_a_project_that_builds(tmp_path: Path) -> None:
    home, project = tmp_path / "home", tmp_path / "mine" / "dbt_project"
    files = [str(file) for file in write_library(tmp_path / "exports")]
    run(home, project, "new", "project", str(tmp_path / "mine"))
    run(home, project, "new", "source", *files, "--source", "library")
    run(home, project, "new", "features", "activity", "--from", "stg_library__loans", "--entity", "reader")
    run(
        home,
        project,
        "new",
        "features",
        "state",
        "--from",
        "stg_library__books",
        "--entity",
        "book_id",
        "--kind",
        "state",
    )
    run(home, project, "new", "model", "damage", "--from", "stg_library__loans", "--entity", "loan_id",
        "--features", "ftr_reader__activity", "--label", "damaged", "--label-from", "stg_library__returns")  # fmt: skip
    for path in [*tmp_path.glob("exports/*")]:
        os.utime(path, (path.stat().st_mtime - 60,) * 2)
    assert "landed library" in run(home, project, "land")
    built = run(home, project, "build", "--no-use-colors", program="dbt")

    assert "Completed successfully" in built
    from ml_assets.lake.snapshot import Lake

    assert Lake(home / "lake").open().rows("trn_damage") == LOANS
