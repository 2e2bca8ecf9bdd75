"""Waiting for the warehouse file: for another process, and for nothing else."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import duckdb
import pytest
from dbt_common.exceptions import DbtRuntimeError

PLUGIN = Path(__file__).parents[2] / "dbt_project" / "plugins" / "taking_turns.py"
HOLD = """
import sys, time, duckdb
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""


@pytest.fixture(scope="module")
def taking_turns() -> ModuleType:
    spec = importlib.util.spec_from_file_location("taking_turns", PLUGIN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def held(file: Path, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """Another process has the file open for so long."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file), str(seconds)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_file_in_use_is_waited_for(taking_turns: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    file = tmp_path / "warehouse.duckdb"
    with held(file, seconds=1) as other:
        connection = taking_turns.wait_for_turn(str(file), {}, longest=60)

        other.wait(timeout=60)
    with connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_the_file_stays_taken_until_dbt_has_opened_it(taking_turns: ModuleType, tmp_path: Path) -> None:
    file = str(tmp_path / "warehouse.duckdb")
    plugin = taking_turns.Plugin("taking_turns", {"longest_wait_seconds": "60"})

    plugin.update_connection_config(type("Credentials", (), {"path": file})(), {})
    with duckdb.connect(file) as opened:
        plugin.configure_connection(opened)
        taken = subprocess.run([sys.executable, "-c", HOLD, file, "0"], capture_output=True, check=False)

    assert b"lock" in taken.stderr
    assert subprocess.run([sys.executable, "-c", HOLD, file, "0"], capture_output=True, check=False).returncode == 0


def test_a_wait_that_takes_too_long_ends_in_a_sentence(taking_turns: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "warehouse.duckdb"
    with (
        held(file, seconds=60) as other,
        pytest.raises(DbtRuntimeError, match=f"in use by process {other.pid}") as found,
    ):
        taking_turns.wait_for_turn(str(file), {}, longest=0.5)

    assert "PERENNIAL_LONGEST_WAIT_SECONDS" in str(found.value)


def flip_a_bit(file: Path, position: int) -> None:
    content = bytearray(file.read_bytes())
    content[position] ^= 4
    file.write_bytes(content)


@pytest.mark.parametrize("position", [10, 4116, 8292], ids=["the sign of the file", "its header", "its header's copy"])
def test_a_damaged_warehouse_is_named_with_the_remedy(taking_turns: ModuleType, tmp_path: Path, position: int) -> None:
    file = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(file)) as made:
        made.execute("create table one as select range as i from range(1000)")
    flip_a_bit(file, position)

    with pytest.raises(DbtRuntimeError, match=r"the warehouse is damaged: .* It is derived: move .* aside and build"):
        taking_turns.wait_for_turn(str(file), {}, longest=60)


@pytest.mark.parametrize("path", ["no_folder/warehouse.duckdb", "warehouse.duckdb"], ids=["no folder", "no database"])
def test_what_does_not_get_better_by_waiting_is_said_at_once(
    taking_turns: ModuleType, tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "warehouse.duckdb").write_text("no database")
    monkeypatch.setattr(taking_turns.time, "sleep", lambda seconds: pytest.fail("waits"))

    with pytest.raises(DbtRuntimeError, match=r"cannot be opened|is damaged"):
        taking_turns.wait_for_turn(str(tmp_path / path), {}, longest=60)
