"""The hash of a row's inputs: the same for the same values however they are stored, another for any other."""

from __future__ import annotations

import hashlib
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from ml_assets.lake.inputs_hash import inputs_hash

ROOT = Path(__file__).parents[3]
WORD = 2**64


def by_definition(row: dict[str, object]) -> str:
    """The module's text, word for word, without numpy."""

    def mix(value: int) -> int:
        value = (value + 0x9E3779B97F4A7C15) % WORD
        value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 % WORD
        value = (value ^ (value >> 27)) * 0x94D049BB133111EB % WORD
        return value ^ (value >> 31)

    def of_text(text: str) -> int:
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")

    total = 0
    for name, value in row.items():
        if value is None or value != value:
            bits = 0x9E3779B97F4A7C15
        elif isinstance(value, str):
            bits = of_text(value)
        else:
            bits = struct.unpack("<Q", struct.pack("<d", float(value) or 0.0))[0]  # type: ignore[arg-type]
        total = (total + mix(bits ^ mix(of_text(name)))) % WORD
    return f"{mix(total):016x}"


def made_up(rng: np.random.Generator, rows: int) -> dict[str, pa.Array]:
    def some(values: list[object], kind: pa.DataType) -> pa.Array:
        return pa.array([None if rng.random() < 0.2 else value for value in values], kind)

    return {
        "text": some([["", "a", "ü|", "\x1f"][place] for place in rng.integers(0, 4, rows)], pa.string()),
        "price": some([[0.0, -0.0, np.nan, 1.5, np.inf][place] for place in rng.integers(0, 5, rows)], pa.float64()),
        "count": some(rng.integers(-3, 3, rows).tolist(), pa.int32()),
        "gift": some((rng.random(rows) < 0.5).tolist(), pa.bool_()),
    }


def test_the_hash_is_the_one_that_is_written_down() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        table = pa.table(made_up(rng, 30))
        expected = [by_definition(row) for row in table.to_pylist()]
        assert inputs_hash(table, table.column_names).to_pylist() == expected


def test_it_does_not_depend_on_how_the_values_are_stored() -> None:
    columns = made_up(np.random.default_rng(4), 200)
    table = pa.table(columns)
    other = pa.table(
        {
            "gift": columns["gift"].cast(pa.int64()),
            "count": columns["count"].cast(pa.float64()),
            "text": pa.chunked_array([columns["text"][:50], columns["text"][50:]]).dictionary_encode(),
            "price": columns["price"],
            "unasked": pa.nulls(200),
        }
    )
    names = table.column_names
    assert inputs_hash(table, names).equals(inputs_hash(other, sorted(names)))


@pytest.mark.parametrize("name", ["text", "price", "count", "gift"])
def test_any_changed_value_is_seen(name: str) -> None:
    rng = np.random.default_rng(5)
    columns = made_up(rng, 500)
    table = pa.table(columns)
    shuffled = table.set_column(
        table.column_names.index(name), name, columns[name].take(pa.array(rng.permutation(500)))
    )
    before, after = (inputs_hash(one, table.column_names).to_pylist() for one in (table, shuffled))
    for old, new, first, second in zip(table.to_pylist(), shuffled.to_pylist(), before, after, strict=True):
        assert (first == second) == (by_definition(old) == by_definition(new))


def test_values_do_not_change_places_unseen() -> None:
    table = pa.table({"a": [1.0, 2.0], "b": [2.0, 1.0]})
    first, second = inputs_hash(table, ["a", "b"]).to_pylist()
    assert first != second


def test_another_process_gives_the_same() -> None:
    code = (
        "import pyarrow as pa; from ml_assets.lake.inputs_hash import inputs_hash; "
        "print(inputs_hash(pa.table({'a': ['x'], 'b': [0.1]}), ['a', 'b'])[0])"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == by_definition({"a": "x", "b": 0.1})


def test_no_rows_have_no_hashes() -> None:
    assert len(inputs_hash(pa.table({"a": pa.array([], pa.string())}), ["a"])) == 0
