"""Drift of every feature of the shipped models against a plain scan of the same columns.

    python tests/benchmarks/bench_drift.py [--through 2013-10-31] [--repeats 5] [--json out.json]

A home is built from the real feed; every decision of the last four weeks is given a prediction by one version that was trained on all before them. dbt then compiles
int_flights__feature_reference and mon_flights__feature_drift, and their SQL runs as it stands, each time in a fresh process with the project's own settings:

    reference  value counts of every feature over the whole training set: once per version
    drift      four weeks against that reference: PSI, Jensen-Shannon and exact Kolmogorov-Smirnov of every feature, by week
    scan_*     count, minimum, maximum and average of the same columns over the same rows, and count and smallest text for categories

CPU is user + system seconds of the statement. The medians are printed; the exit code is 1 only where a statement fails.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).parents[2]
DBT_PROJECT = ROOT / "dbt_project"
GOAL = 7.0
MODEL = "late_arrival"
COMPARED = ("int_flights__feature_reference", "mon_flights__feature_drift")


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def dbt(home: Path, *arguments: str) -> None:
    """dbt in a process of its own: one that lives on would keep the warehouse file to itself."""
    folders = [
        "--project-dir",
        DBT_PROJECT,
        "--profiles-dir",
        DBT_PROJECT,
        "--target-path",
        home / "target",
        "--log-path",
        home / "logs",
    ]
    done = subprocess.run(
        [Path(sys.executable).with_name("dbt"), *arguments, "--quiet", *folders],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"dbt {' '.join(arguments)} failed:\n{done.stdout[-3000:]}")


def prepare(home: Path, through: str) -> dict[str, str]:
    """Builds the home and returns the statements to measure."""
    import numpy as np
    import pyarrow as pa

    from ml_assets.declaration.reader import read_declarations
    from ml_assets.feeds.nycflights13 import land, parse_through
    from ml_assets.lake.results import EVALUATION_SCHEMA, PREDICTION_SCHEMA
    from ml_assets.lake.snapshot import Lake

    land(home / "landing", parse_through(through))
    dbt(home, "build", "--exclude-resource-type", "unit_test")
    declaration = read_declarations(home / "target" / "manifest.json")[MODEL]
    lake = Lake(home / "lake")
    rows = lake.open().read(declaration.training_set, ["flight_id", "decision_at"]).to_pandas()
    trained_at = rows["decision_at"].max().normalize() - timedelta(days=28)
    newest = rows[rows["decision_at"] > trained_at]
    for day, of_day in newest.groupby(newest["decision_at"].dt.date):
        constant = {
            "model": MODEL,
            "model_version": 1,
            "model_sha256": "0" * 64,
            "prediction_status": "champion",
            "status_reason": None,
            "scored_as_of": trained_at,
        }
        columns = of_day.rename(columns={"flight_id": "decision_key"}).assign(
            prediction=np.linspace(0, 1, len(of_day)), **constant
        )
        lake.write_predictions(
            MODEL, day, pa.Table.from_pandas(columns, schema=PREDICTION_SCHEMA, preserve_index=False)
        )
    figure = [MODEL, 1, trained_at, "candidate", "overall", "", "log_loss", 0.5, None, None, len(rows)]
    lake.write_evaluation(MODEL, 1, pa.table([[value] for value in figure], schema=EVALUATION_SCHEMA))
    dbt(home, "build", "--exclude-resource-type", "unit_test", "--select", "source:lake_flights+")
    for name in COMPARED:  # as in the first run of a version: nothing of it was compared before
        dbt(home, "compile", "--full-refresh", "--select", name)
    compiled = {name: next((home / "target" / "compiled").rglob(f"{name}.sql")).read_text() for name in COMPARED}
    table = '"warehouse"."main"."trn_late_arrival"'
    figures = []
    for feature in declaration.features:
        if feature.name in declaration.categorical_features:
            figures.append(f"count({feature.name}), min({feature.name})")
        else:
            figures.append(f"count({feature.name}), min({feature.name}), max({feature.name}), avg({feature.name})")
    scan = f"select {', '.join(figures)} from {table}"
    return {
        "reference": compiled["int_flights__feature_reference"],
        "drift": compiled["mon_flights__feature_drift"],
        "scan_reference": f"{scan} where {declaration.label_known_at} <= timestamp '{trained_at}'",
        "scan_drift": f"{scan} where decision_at > timestamp '{trained_at}'",
        "features": str(len(declaration.features)),
        "rows": str(len(rows)),
        "newest": str(len(newest)),
    }


def measure(warehouse: str, query: str) -> float:
    """Runs in a process of its own."""
    import duckdb

    with duckdb.connect(warehouse, read_only=True, config={"threads": 2, "memory_limit": "1500MB"}) as connection:
        connection.execute("set TimeZone = 'UTC'; set asof_loop_join_threshold = 0")
        connection.execute("select count(*) from trn_late_arrival").fetchall()
        before = cpu_seconds()
        connection.execute(f"create temp table result as {query}" if "min(" not in query[:200] else query).fetchall()
        return cpu_seconds() - before


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--through", default="2013-10-31")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the medians here")
    parser.add_argument("--measure", metavar="WAREHOUSE", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure:
        print(json.dumps(measure(options.measure, sys.stdin.read())))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        os.environ["PERENNIAL_HOME"] = str(home)
        statements = prepare(home, options.through)
        print(
            f"{statements['features']} features, {int(statements['rows']):,} decisions, {int(statements['newest']):,} of them in the last four weeks"
        )
        runs: dict[str, list[float]] = {name: [] for name in ("reference", "drift", "scan_reference", "scan_drift")}
        for _ in range(options.repeats):
            for name, figures in runs.items():
                command = [sys.executable, __file__, "--measure", str(home / "warehouse.duckdb")]
                process = subprocess.run(command, input=statements[name], stdout=subprocess.PIPE, text=True, check=True)
                figures.append(json.loads(process.stdout))
    medians = {name: statistics.median(figures) for name, figures in runs.items()}
    both = medians["reference"] + medians["drift"]
    scans = medians["scan_reference"] + medians["scan_drift"]
    for name, seconds in medians.items():
        print(f"{name:15} {seconds:7.3f} CPU s")
    for label, ratio in (
        ("a version's reference and four weeks against it", both / scans),
        ("four weeks against a reference that stands", medians["drift"] / medians["scan_drift"]),
    ):
        print(f"goal: {label}, at most {GOAL} times a plain scan: {ratio:.2f}, {'met' if ratio <= GOAL else 'NOT met'}")
    if options.json:
        options.json.write_text(json.dumps(medians, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
