"""A decision's key is spelled the same in SQL and in Python, whatever identifies the decision."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import duckdb
import numpy as np
import pytest
from macro_rendering import load_macros

from ml_assets.lake.decision_keys import decision_keys

MACROS = load_macros("point_in_time/decision_key.sql")
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 (DuckDB TIMESTAMP, UTC by convention)
PIECES = ["", "a", "|", "\\", "||", "\\|", "ü", "null", "x y", "\n", "'"]


def value_of(kind: str, rng: np.random.Generator) -> Any:
    moment = EPOCH + timedelta(seconds=int(rng.integers(-2_000_000_000, 7_000_000_000)))
    if rng.random() < 0.5:
        moment += timedelta(microseconds=int(rng.choice([1, 10, 500_000, 999_999, 120_000])))
    return {
        "varchar": lambda: "".join(PIECES[place] for place in rng.integers(0, len(PIECES), 3)),
        "integer": lambda: int(rng.integers(-(2**31), 2**31)),
        "bigint": lambda: int(rng.integers(-(2**62), 2**62)),
        "utinyint": lambda: int(rng.integers(0, 256)),
        "boolean": lambda: bool(rng.random() < 0.5),
        "date": lambda: date(1900, 1, 1) + timedelta(days=int(rng.integers(0, 100_000))),
        "timestamp": lambda: moment,
        "timestamp with time zone": lambda: moment.replace(tzinfo=UTC),
        "decimal(18,8)": lambda: Decimal(int(rng.integers(-(10**12), 10**12))).scaleb(-8),
        "decimal(9,0)": lambda: Decimal(int(rng.integers(0, 1000))),
    }[kind]()


KINDS = [
    "varchar", "integer", "bigint", "utinyint", "boolean", "date", "timestamp", "timestamp with time zone",
    "decimal(18,8)", "decimal(9,0)",
]  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_both_engines_spell_every_key_alike(seed: int, zone: str) -> None:
    rng = np.random.default_rng(seed)
    kinds = [*KINDS] if seed == 0 else [str(kind) for kind in rng.choice(KINDS, rng.integers(1, 5))]
    names = [f"c{place}" for place in range(len(kinds))]
    node = SimpleNamespace(
        columns={name: SimpleNamespace(data_type=kind) for name, kind in zip(names, kinds, strict=True)}
    )
    with duckdb.connect(":memory:") as engine:
        engine.execute(f"set timezone = '{zone}'")
        engine.execute(
            f"create table t ({', '.join(f'{name} {kind}' for name, kind in zip(names, kinds, strict=True))})"
        )
        rows = [[None if rng.random() < 0.15 else value_of(kind, rng) for kind in kinds] for _ in range(150)]
        engine.executemany(f"insert into t values ({', '.join('?' for _ in names)})", rows)
        in_sql = [key for (key,) in engine.execute(f"select {MACROS['decision_key'](node, names)} from t").fetchall()]
        table = engine.sql("select * from t").to_arrow_table()
    assert decision_keys(table, names).to_pylist() == in_sql


def test_keys_of_different_decisions_differ() -> None:
    node = SimpleNamespace(columns={name: SimpleNamespace(data_type="varchar") for name in ("a", "b")})
    key = MACROS["decision_key"](node, ["a", "b"])
    with duckdb.connect(":memory:") as engine:
        pairs = [("x|y", "z"), ("x", "y|z"), ("x\\", "|z"), ("x", "\\|z"), ("x\\|", "z")]
        engine.execute("create table t (a varchar, b varchar)")
        engine.executemany("insert into t values (?, ?)", pairs)
        keys = [one for (one,) in engine.execute(f"select {key} from t").fetchall()]
    assert len(set(keys)) == len(pairs)
    assert keys[0] == "x\\|y|z"


def test_a_null_is_an_empty_place_and_no_missing_one() -> None:
    node = SimpleNamespace(columns={name: SimpleNamespace(data_type="integer") for name in ("a", "b", "c")})
    with duckdb.connect(":memory:") as engine:
        found = engine.execute(
            f"select {MACROS['decision_key'](node, ['a', 'b', 'c'])} from (select 1 as a, null::integer as b, 3 as c)"
        ).fetchone()
    assert found == ("1||3",)
