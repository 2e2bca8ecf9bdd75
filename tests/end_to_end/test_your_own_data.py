"""The tutorial is true: a stranger who types its commands, one after the other, ends with a judged model."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dagster_defs.settings import PROJECT_ROOT
from tests.end_to_end.shell import lines_of, typed

pytestmark = pytest.mark.slow

TUTORIAL = PROJECT_ROOT / "docs" / "your-own-data.md"


def commands() -> list[str]:
    """The fenced commands of the tutorial, block by block."""
    return re.findall(r"^```bash\n(.*?)^```$", TUTORIAL.read_text(), flags=re.MULTILINE | re.DOTALL)


def test_the_reader_writes_little() -> None:
    """The measure that was set is 150 lines; what `perennial new` writes and nobody touches is not counted."""
    assert len(lines_of(*commands())) <= 80


def test_every_step_of_the_tutorial_runs_and_the_model_is_judged(tmp_path: Path) -> None:
    place, said = tmp_path, []
    for block in commands():
        said.append(typed(block, place))
        if "cd myshop" in block:
            place = tmp_path / "myshop"

    decided = [json.loads(line) for line in (place / "var" / "lake" / "decisions.jsonl").read_text().splitlines()]
    promotions = [one for one in decided if one["kind"] == "promotion"]
    assert [one["verdict"] for one in promotions] == ["rejected", "promoted"]
    assert [one["gate"] for one in promotions[0]["reasons"] if not one["passed"]] == ["beats_as_in_the_last_84_days"]
    backtest = next(text for text in said if "retrained every" in text)
    found = re.findall(
        r"^\s*(candidate|constant|as_in_the_last_28_days|as_in_the_last_84_days)\s+([\d.]+)", backtest, re.MULTILINE
    )
    figures = {name: float(value) for name, value in found}
    # What these ten weeks are known to give, whoever works it out (MAE, dollars).
    assert figures["constant"] == pytest.approx(123.0, abs=0.5)
    assert figures["as_in_the_last_28_days"] == pytest.approx(75.2, abs=0.5)
    assert figures["as_in_the_last_84_days"] == pytest.approx(66.9, abs=0.5)
    assert figures["candidate"] == pytest.approx(66.7, abs=0.5)
