"""The commands that look answer from files: what takes seconds to import is not imported for them.

No seconds are measured here (`tests/benchmarks/bench_commands.py` does that); what is imported is what they are made of.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dagster_defs.settings import PROJECT_ROOT, Settings
from tests.dagster_defs.commands.lived_home import MODEL, lived_in

HEAVY = {"dagster", "dagster_dbt", "dbt", "sklearn", "scipy", "pandas", "mlflow", "sqlalchemy", "skops", "altair"}
RUN = """
import json, sys
from dagster_defs.commands.cli import main
sys.argv = ["perennial", *sys.argv[1:]]
try:
    main()
finally:
    print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def home(settings: Settings, manifest: object, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lived_in(tmp_path_factory.mktemp("lived") / "home", settings.dbt_project)


@pytest.mark.parametrize(
    ("arguments", "besides"),
    [
        (["--help"], {"numpy", "pyarrow"}),
        (["decisions"], {"pyarrow"}),
        (["why", MODEL], set[str]()),
        (["status"], set[str]()),
        (["status", "--json"], set[str]()),
        (["costs"], set[str]()),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_that_looks_imports_nothing_heavy(
    settings: Settings, home: Path, arguments: list[str], besides: set[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments],
        cwd=PROJECT_ROOT,
        env={**os.environ, "PERENNIAL_HOME": str(home), "PERENNIAL_DBT_PROJECT": str(settings.dbt_project)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    imported = set(json.loads(done.stderr.splitlines()[-1]))
    assert imported & (HEAVY | besides) == set()
    assert "typer" in imported
