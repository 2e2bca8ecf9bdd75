"""What dbt leaves behind under Dagster does not grow without end."""

from __future__ import annotations

import os
from pathlib import Path

from dagster_defs.assets.warehouse import KEPT_INVOCATIONS, forget_earlier_invocations


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
