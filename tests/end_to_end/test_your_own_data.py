"""The tutorial is true: a stranger who types its commands, one after the other, ends with a judged model."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dagster_defs.settings import PROJECT_ROOT

pytestmark = pytest.mark.slow

TUTORIAL = PROJECT_ROOT / "docs" / "your-own-data.md"


def commands() -> list[str]:
    """The fenced commands of the tutorial, block by block."""
    return re.findall(r"^```bash\n(.*?)^```$", TUTORIAL.read_text(), flags=re.MULTILINE | re.DOTALL)


def typed(text: str, folder: Path) -> str:
    """What a shell says that is opened in a folder and told all this; it must not fail."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PERENNIAL_", "DAGSTER_", "DBT_"))
    }
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}",
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "200",
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def test_every_step_of_the_tutorial_runs_and_the_model_is_judged(tmp_path: Path) -> None:
    place, said = tmp_path, []
    for block in commands():
        said.append(typed(block, place))
        if "cd myshop" in block:
            place = tmp_path / "myshop"

    decided = [json.loads(line) for line in (place / "var" / "lake" / "decisions.jsonl").read_text().splitlines()]
    promotions = [one for one in decided if one["kind"] == "promotion"]
    assert [one["verdict"] for one in promotions] == ["rejected", "promoted"]
    assert [one["gate"] for one in promotions[0]["reasons"] if not one["passed"]] == ["beats_mean_of_84_days"]
    backtest = next(text for text in said if "retrained every" in text)
    found = re.findall(r"^\s*(candidate|median|last_28_days|mean_of_84_days)\s+([\d.]+)", backtest, re.MULTILINE)
    figures = {name: float(value) for name, value in found}
    # What these ten weeks are known to give, whoever works it out (MAE, dollars).
    assert figures["median"] == pytest.approx(123.0, abs=0.5)
    assert figures["last_28_days"] == pytest.approx(75.2, abs=0.5)
    assert figures["mean_of_84_days"] == pytest.approx(66.9, abs=0.5)
    assert figures["candidate"] == pytest.approx(67.1, abs=0.5)
