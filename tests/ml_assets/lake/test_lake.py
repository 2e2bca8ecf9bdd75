"""Published tables: verified before they are parsed; results: whole, and the same bytes for the same rows."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml_assets.errors import ColumnsMissing, LakeError, PartCorrupt, TableMissing
from ml_assets.lake.files import parquet_bytes, unfinished_files, write_whole
from ml_assets.lake.results import EVALUATION_SCHEMA
from ml_assets.lake.snapshot import Lake
from tests.ml_assets.shop import TABLE, orders, publish


def first_file(lake: Lake) -> Path:
    return lake.root / lake.open().parts(TABLE)[0].file


def test_a_table_comes_back_as_it_was_published(lake: Lake, frame: pd.DataFrame) -> None:
    table = lake.open().read(TABLE)
    assert table.num_rows == len(frame) == lake.open().rows(TABLE)
    assert table["order_id"].to_pylist() == list(frame["order_id"])
    assert lake.open().columns(TABLE) == tuple(frame.columns)
    assert lake.open().tables() == (TABLE,)


def test_columns_and_parts_are_chosen(lake: Lake) -> None:
    table = lake.open().read(TABLE, ["price", "shop"], ["2030-02"])
    assert table.column_names == ["price", "shop"]
    assert 0 < table.num_rows < lake.open().rows(TABLE)


def test_one_flipped_bit_anywhere_is_refused_before_parsing(lake: Lake) -> None:
    path = first_file(lake)
    sound = path.read_bytes()
    for position in range(0, len(sound), len(sound) // 40):
        path.write_bytes(sound[:position] + bytes([sound[position] ^ 1]) + sound[position + 1 :])
        with pytest.raises(PartCorrupt, match=r"trn_returns, part 2030-01: .* has sha256 .* publish again: dbt build"):
            lake.open().read(TABLE, ["price"])
    path.write_bytes(sound)
    assert lake.open().read(TABLE, ["price"]).num_rows == lake.open().rows(TABLE)


def test_a_truncated_and_a_missing_part_are_named(lake: Lake) -> None:
    path = first_file(lake)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(PartCorrupt, match="2030-01"):
        lake.open().read(TABLE)
    path.unlink()
    with pytest.raises(PartCorrupt, match="is gone, but the catalog names it"):
        lake.open().read(TABLE)


def test_a_part_that_is_not_asked_for_is_not_touched(lake: Lake) -> None:
    first_file(lake).unlink()
    assert lake.open().read(TABLE, ["price"], ["2030-03"]).num_rows > 0


def test_what_is_missing_is_named_with_what_there_is(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(TableMissing, match=r"trn_other: not in .* \(tables: trn_returns\); publish it: dbt build"):
        lake.open().read("trn_other")
    with pytest.raises(TableMissing, match="no part 1999-01"):
        lake.open().read(TABLE, parts=["1999-01"])
    with pytest.raises(ColumnsMissing, match=r"no column prize in part 2030-01 \(columns: order_id"):
        lake.open().read(TABLE, ["prize"])
    with pytest.raises(TableMissing, match="tables: none"):
        Lake(tmp_path / "nowhere").open().read(TABLE)


def test_a_broken_catalog_line_is_named(lake: Lake) -> None:
    catalog = lake.root / "catalog.jsonl"
    catalog.write_text(catalog.read_text() + '{"table": "x"}\n')
    with pytest.raises(LakeError, match=r"catalog.jsonl, line \d+: no catalog line"):
        lake.open()


def test_the_hash_of_a_table_follows_its_rows(tmp_path: Path, frame: pd.DataFrame) -> None:
    lake, same = publish(tmp_path / "one", frame), publish(tmp_path / "two", frame)
    other = publish(tmp_path / "three", orders(days=121))
    assert lake.open().table_hash(TABLE) == same.open().table_hash(TABLE) != other.open().table_hash(TABLE)


def predictions(keys: list[str]) -> pa.Table:
    count = len(keys)
    return pa.table(
        {
            "model": ["m"] * count,
            "decision_key": keys,
            "decision_at": [datetime(2030, 1, 1, 12)] * count,  # noqa: DTZ001 (UTC without a zone, as published)
            "model_version": [1] * count,
            "model_sha256": ["0"] * count,
            "prediction": [0.5] * count,
            "prediction_status": ["champion"] * count,
            "status_reason": pa.nulls(count, pa.string()),
            "scored_as_of": [datetime(2030, 1, 2)] * count,  # noqa: DTZ001
            "inputs_hash": ["0"] * count,
        }
    )


def test_the_same_predictions_give_the_same_bytes_in_whatever_order(lake: Lake) -> None:
    path = lake.write_predictions("m", date(2030, 1, 1), predictions(["b", "a", "c"]))
    first = path.read_bytes()
    lake.write_predictions("m", date(2030, 1, 1), predictions(["c", "b", "a"]))
    assert path.read_bytes() == first
    assert lake.read_predictions("m")["decision_key"].to_pylist() == ["a", "b", "c"]
    assert lake.prediction_dates("m") == (date(2030, 1, 1),)
    assert not list(path.parent.glob(".*.part"))


def test_a_write_that_fails_leaves_what_was_there(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    path = lake.write_predictions("m", date(2030, 1, 1), predictions(["a"]))
    before = path.read_bytes()

    def no_space(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ml_assets.lake.files.os.replace", no_space)
    with pytest.raises(OSError, match="No space"):
        lake.write_predictions("m", date(2030, 1, 1), predictions(["a", "b"]))
    assert path.read_bytes() == before
    assert not list(path.parent.glob(".*.part"))


def test_what_was_never_written_reads_as_empty_with_its_columns(lake: Lake) -> None:
    assert lake.read_predictions("m").num_rows == 0
    assert lake.read_predictions("m", columns=["decision_key"]).column_names == ["decision_key"]
    assert lake.read_evaluations("m").schema == EVALUATION_SCHEMA
    assert lake.prediction_dates("m") == ()


def test_parquet_carries_no_pandas_and_no_index(frame: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(parquet_bytes(pa.Table.from_pandas(frame)))
    metadata = pq.read_schema(tmp_path / "x.parquet").metadata or {}
    assert b"pandas" not in metadata


def test_only_old_files_that_the_catalog_does_not_name_are_unnamed(lake: Lake) -> None:
    earlier = lake.root / "tables" / "trn_returns.2030-01.earlier.parquet"
    earlier.parent.mkdir(exist_ok=True)
    earlier.write_bytes(b"")
    written_at = earlier.stat().st_mtime
    assert lake.unnamed_files(before=written_at) == ()
    assert lake.unnamed_files(before=written_at + 1) == (earlier,)
    earlier.unlink()
    assert lake.unnamed_files(before=written_at + 1e9) == ()


def test_what_was_half_written_when_its_process_died_is_found(tmp_path: Path) -> None:
    write_whole(tmp_path / "m" / "whole.parquet", b"whole")
    half = tmp_path / "m" / ".half.parquet.0123.part"
    half.write_bytes(b"ha")
    written_at = half.stat().st_mtime
    assert unfinished_files(tmp_path, before=written_at) == ()
    assert unfinished_files(tmp_path, before=written_at + 1) == (half,)
