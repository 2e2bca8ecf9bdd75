"""Batch scoring of the declared model against the fastest way that was found.

    python tests/benchmarks/bench_scoring.py [--through 2013-06-30] [--repeats 5] [--json out.json]

The model is fitted on the real rows and asked about all of them:

    perennial     the project's own `predict`: an Arrow table of features in, checked probabilities out
    scikit-learn  the same estimator on the encoded matrix, all rows at once
    tl2cgen       the same trees compiled to C by tl2cgen, on the encoded matrix (pip install treelite tl2cgen, and a C compiler; left out where they are not there)

CPU is user + system seconds on one thread; compiling, fitting and, for the peers, encoding are not counted. The medians are printed; the exit code is 1 only where two
ways differ in their answers.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DBT_PROJECT = ROOT / "dbt_project"
GOAL = 2.5
MODEL = "late_arrival"


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def compiled(model: Any, matrix: Any, folder: Path) -> Callable[[], Any] | None:
    """The trees as C, ready to be asked; None where the tools for it are missing."""
    try:
        import tl2cgen
        import treelite
    except ImportError:
        return None
    library = folder / "model.so"
    tl2cgen.export_lib(
        treelite.sklearn.import_model(model), toolchain="gcc", libpath=library, params={"parallel_comp": 2}
    )
    predictor, rows = tl2cgen.Predictor(library, nthread=1), tl2cgen.DMatrix(matrix, dtype="float64")
    return lambda: predictor.predict(rows).ravel()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--through", default="2013-06-30")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the medians here")
    options = parser.parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = "1"

    import numpy as np

    from ml_assets.declaration.reader import read_declarations
    from ml_assets.feeds.nycflights13 import land
    from ml_assets.fitting.estimators import predict
    from ml_assets.fitting.splitting import known_by
    from ml_assets.fitting.training import fit
    from ml_assets.lake.decision_rows import read_rows
    from ml_assets.lake.snapshot import Lake
    from ml_assets.moments import last_moment

    with tempfile.TemporaryDirectory() as folder:
        home, through = Path(folder), last_moment(options.through)
        land(home / "landing", through)
        command = [Path(sys.executable).with_name("dbt"), "build", "--quiet", "--exclude-resource-type", "unit_test"]
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
        subprocess.run([*command, *folders], env={**os.environ, "PERENNIAL_HOME": folder}, check=True)
        declaration = read_declarations(home / "target" / "manifest.json")[MODEL]
        rows = read_rows(Lake(home / "lake"), declaration)
        model = fit(known_by(rows, through), declaration, through).model
        matrix = model[:-1].transform(rows.inputs)
        ways: dict[str, Callable[[], Any]] = {
            "perennial": lambda: predict(model, rows.inputs, declaration.task),
            "scikit-learn": lambda: model[-1].predict_proba(matrix)[:, 1],
        }
        as_c = compiled(model[-1], matrix, home)
        if as_c:
            ways["tl2cgen"] = as_c
        else:
            print("tl2cgen is not here: pip install treelite tl2cgen to measure it too")
        runs: dict[str, list[float]] = {way: [] for way in ways}
        answers = {}
        for _ in range(options.repeats):
            for way, ask in ways.items():
                before = cpu_seconds()
                answers[way] = ask()
                runs[way].append(cpu_seconds() - before)
    medians = {way: statistics.median(figures) for way, figures in runs.items()}
    fastest = min(medians, key=lambda way: medians[way])
    print(f"{len(rows):,} decisions, {matrix.shape[1]} features, {model[-1].n_iter_} trees")
    for way, seconds in medians.items():
        print(f"{way:13} {seconds:7.3f} CPU s   {len(rows) / seconds / 1e6:6.3f} M decisions a CPU second")
    ratio = medians["perennial"] / medians[fastest]
    print(f"goal: at most {GOAL} times the fastest, {fastest}: {ratio:.2f}, {'met' if ratio <= GOAL else 'NOT met'}")
    differing = [way for way, answer in answers.items() if not np.allclose(answer, answers["perennial"], atol=1e-9)]
    if differing:
        print("THE ANSWERS DIFFER:", differing)
    if options.json:
        options.json.write_text(json.dumps(medians, indent=2) + "\n", encoding="utf-8")
    return int(bool(differing))


if __name__ == "__main__":
    sys.exit(main())
