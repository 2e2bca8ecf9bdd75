"""What dbt and Dagster cost: the full build against its own SQL run straight.

    python tests/benchmarks/bench_dbt_build.py [--through 2013-10-31] [--repeats 3] [--json out.json]

The feed is landed once. A first build writes down every statement that dbt sends to DuckDB, the publishing and the tests included; then each way builds
an empty home of its own, in a fresh process, in turn with the others:

    sql       those statements, one after the other, by nobody but DuckDB with the project's own settings
    lives_on  `dbt build` by dbt's programmatic runner in a process that has parsed the project before
    process   `dbt build` in a shell
    dagster   the same models and tests as assets and checks of the Dagster job `refresh`, in a process of its own, dbt's process included

CPU is user + system seconds. `lives_on` counts from the second invocation on, `dagster` from the start of its process. The medians are printed; the exit code is 1
only where a way publishes something else.
"""

import argparse
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
DBT_PROJECT = ROOT / "dbt_project"
WAYS = ("sql", "lives_on", "process", "dagster")
TRANSACTION = re.compile(r"\s*(/\*.*?\*/)?\s*(begin|commit|rollback)( transaction)?;?\s*", re.IGNORECASE | re.DOTALL)
LIVES_ON_GOAL, DAGSTER_GOAL = 2.0, 4.0
BUILD = ["build", "--exclude-resource-type", "unit_test", "--threads", "1", "--quiet"]


def cpu_seconds() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def dbt_arguments(home: Path) -> list[str]:
    return [
        *BUILD,
        "--project-dir",
        str(DBT_PROJECT),
        "--profiles-dir",
        str(DBT_PROJECT),
        "--target-path",
        str(home / "target"),
        "--log-path",
        str(home / "logs"),
    ]


def record(home: Path) -> list[tuple[str, list[object] | None]]:
    """Builds the home and returns every statement that reached DuckDB, with its bindings, in order."""
    from dbt.adapters.duckdb.environments import local
    from dbt.cli.main import dbtRunner

    statements: list[tuple[str, list[object] | None]] = []
    execute = local.DuckDBCursorWrapper.execute

    def note(cursor: object, sql: str, bindings: list[object] | None = None) -> object:
        statements.append((sql, bindings))
        return execute(cursor, sql, bindings)

    local.DuckDBCursorWrapper.execute = note
    try:
        result = dbtRunner().invoke(dbt_arguments(home))
    finally:
        local.DuckDBCursorWrapper.execute = execute
    if not result.success:
        raise SystemExit(f"the build that is measured fails: {result.exception or result.result}")
    return statements


def measure(way: str, home: Path, statements: Path) -> float:
    """CPU seconds of one build; runs in a process of its own."""
    if way == "sql":
        import duckdb

        with duckdb.connect(
            str(home / "warehouse.duckdb"), config={"threads": 2, "memory_limit": "1500MB"}
        ) as warehouse:
            warehouse.execute(
                "set TimeZone = 'UTC'; set python_enable_replacements = false; set asof_loop_join_threshold = 0"
            )
            before = cpu_seconds()
            for statement, bindings in json.loads(statements.read_text()):
                if not TRANSACTION.fullmatch(statement):
                    warehouse.execute(statement, bindings)
        return cpu_seconds() - before
    if way == "lives_on":
        from dbt.cli.main import dbtRunner

        manifest = dbtRunner().invoke(["parse", *dbt_arguments(home)[4:]]).result
        before = cpu_seconds()
        if not dbtRunner(manifest=manifest).invoke(dbt_arguments(home)).success:
            raise SystemExit("dbt build failed")
        return cpu_seconds() - before
    if way == "process":
        subprocess.run([Path(sys.executable).with_name("dbt"), *dbt_arguments(home)], check=True)
        return (
            resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
            + resource.getrusage(resource.RUSAGE_CHILDREN).ru_stime
        )
    import dagster as dg

    from dagster_defs.definitions import build_definitions
    from dagster_defs.running import instance_of
    from dagster_defs.settings import Settings

    settings = Settings().prepared()
    definitions = build_definitions(settings)
    assets = [
        asset
        for asset in definitions.assets or []
        if isinstance(asset, dg.AssetsDefinition) and asset.op.name.split("_")[0] == "dbt"
    ]
    with instance_of(settings) as instance:
        result = dg.materialize(assets, instance=instance, resources=definitions.resources, raise_on_error=False)
    if not result.success:
        raise SystemExit("the Dagster run failed")
    return cpu_seconds()


def published(home: Path) -> dict[str, str]:
    """Each published part's hash."""
    catalog = home / "lake" / "catalog.jsonl"
    lines = catalog.read_text().splitlines() if catalog.exists() else []
    return {f"{part['table']}/{part['part']}": part["sha256"] for part in map(json.loads, lines)}


def new_home(path: Path, landing: Path) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    subprocess.run(["cp", "-al", str(landing), str(path / "landing")], check=True)
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--through", default="2013-10-31")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the medians here")
    parser.add_argument("--measure", nargs=3, metavar=("WAY", "HOME", "STATEMENTS"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure:
        way, home, statements = options.measure
        figure = measure(way, Path(home), Path(statements))
        print(json.dumps(figure), file=sys.stderr)
        return 0

    from ml_assets.feeds.nycflights13 import land, parse_through

    with tempfile.TemporaryDirectory() as folder:
        landing, home = Path(folder) / "landing", Path(folder) / "home"
        land(landing, parse_through(options.through))
        new_home(home, landing)
        os.environ["PERENNIAL_HOME"] = str(home)
        statements = Path(folder) / "statements.json"
        statements.write_text(json.dumps(record(home)))
        expected = published(home)
        figures: dict[str, list[float]] = {way: [] for way in WAYS}
        differing: dict[str, int] = {}
        for _ in range(options.repeats):
            for way in WAYS:
                new_home(home, landing)
                process = subprocess.run(
                    [sys.executable, "-W", "ignore", __file__, "--measure", way, str(home), str(statements)],
                    env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    text=True,
                    check=False,
                )
                if process.returncode:
                    sys.stderr.write(process.stderr)
                    return process.returncode
                figures[way].append(float(process.stderr.splitlines()[-1]))
                if published(home) != expected:
                    differing[way] = differing.get(way, 0) + 1
    medians = {way: statistics.median(values) for way, values in figures.items()}
    print(f"\nfull build through {options.through}, {len(expected)} published parts")
    for way, seconds in medians.items():
        print(f"{way:9} {seconds:7.2f} CPU s   {seconds / medians['sql']:5.2f}x its own SQL")
    for way, goal in (("lives_on", LIVES_ON_GOAL), ("dagster", DAGSTER_GOAL)):
        ratio = medians[way] / medians["sql"]
        print(f"goal: {way} at most {goal} times its own SQL: {ratio:.2f}, {'met' if ratio <= goal else 'NOT met'}")
    if differing:
        print("PUBLISHED SOMETHING ELSE:", differing)
    if options.json:
        options.json.write_text(json.dumps(medians, indent=2) + "\n", encoding="utf-8")
    return int(bool(differing))


if __name__ == "__main__":
    sys.exit(main())
