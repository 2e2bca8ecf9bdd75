"""What Python's verbs write to the lake, one file a day or a version: predictions, figures, references.

What belongs here: where each result lies, its columns, and its reading and writing. What does not: the tables that dbt
publishes (`snapshot.py`), and what any of the rows mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ml_assets.errors import ResultCorrupt
from ml_assets.lake.files import parquet_bytes, read_parquet, read_row_count, write_if_other, write_whole
from ml_assets.measuring.metrics import Floats

PREDICTION_SCHEMA = pa.schema(
    [
        ("model", pa.string()),
        ("decision_key", pa.string()),
        ("decision_at", pa.timestamp("us")),
        ("model_version", pa.int32()),
        ("model_sha256", pa.string()),
        ("prediction", pa.float64()),
        ("prediction_status", pa.string()),
        ("status_reason", pa.string()),
        ("scored_as_of", pa.timestamp("us")),
        ("inputs_hash", pa.string()),
    ]
)
EVALUATION_SCHEMA = pa.schema(
    [
        ("model", pa.string()),
        ("version", pa.int32()),
        ("as_of", pa.timestamp("us")),
        ("subject", pa.string()),
        ("slice_name", pa.string()),
        ("slice_value", pa.string()),
        ("metric", pa.string()),
        ("value", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("rows", pa.int64()),
    ]
)
REFERENCE_SCHEMA = pa.schema(
    [("model", pa.string()), ("version", pa.int32()), ("prediction", pa.float64()), ("row_count", pa.int64())]
)
RELIANCE_SCHEMA = pa.schema(
    [("model", pa.string()), ("version", pa.int32()), ("feature", pa.string()), ("reliance", pa.float64())]
)
NULL_SHARE_SCHEMA = pa.schema(
    [("model", pa.string()), ("version", pa.int32()), ("feature", pa.string()), ("null_share", pa.float64())]
)
# What helps where a file is broken.
_PREDICTIONS = (
    "restore it from a backup; without one, move it aside: its decisions are then answered anew, and what was answered "
    "before is lost"
)
_SHADOW = "remove it: the challenger answers its decisions again"
_FIGURES = (
    "it is derived: remove it and the files of this version in registry/evidence/, and materialize the model's "
    "evaluation again"
)
_COUNTS = "it is derived: remove it, and it is worked out again"
# Columns that files of older releases lack.
_ADDED = ("inputs_hash",)
_DATE_FILE = re.compile(r"\d{4}-\d\d-\d\d\.parquet")


@dataclass(frozen=True)
class Results:
    """The results below one folder."""

    root: Path

    def predictions_folder(self, model: str, shadow: int | None = None) -> Path:
        """Of the model's predictions, or of those that one version makes in shadow."""
        if shadow is not None:
            return self.root / "shadow_predictions" / model / str(shadow)
        return self.root / "predictions" / model

    def prediction_rows_by_date(self, model: str) -> dict[date, int]:
        """The decision dates that have a predictions file and its rows, from the files' footers alone."""
        folder = self.predictions_folder(model)
        files = (
            sorted(path for path in folder.glob("*.parquet") if _DATE_FILE.fullmatch(path.name))
            if folder.exists()
            else []
        )
        return {date.fromisoformat(path.stem): read_row_count(path, _PREDICTIONS) for path in files}

    def prediction_dates(self, model: str, shadow: int | None = None) -> tuple[date, ...]:
        """The decision dates that have a predictions file; a listing of names, no file is opened."""
        folder = self.predictions_folder(model, shadow)
        names = (
            sorted(path.name for path in folder.iterdir() if _DATE_FILE.fullmatch(path.name)) if folder.exists() else []
        )
        return tuple(date.fromisoformat(name.removesuffix(".parquet")) for name in names)

    def read_predictions(
        self,
        model: str,
        dates: Iterable[date] | None = None,
        columns: Sequence[str] | None = None,
        shadow: int | None = None,
    ) -> pa.Table:
        """The model's predictions, of all decision dates or of those given, ordered by date and key; a column that
        older files lack (`inputs_hash`) is null there.

        Raises:
            ResultCorrupt: if a file is broken.
        """
        present = self.prediction_dates(model, shadow)
        chosen = present if dates is None else sorted(set(dates) & set(present))
        folder = self.predictions_folder(model, shadow)
        remedy = _PREDICTIONS if shadow is None else _SHADOW
        names = list(columns or PREDICTION_SCHEMA.names)
        schema = pa.schema([PREDICTION_SCHEMA.field(name) for name in names])
        pieces = [_in_form(folder / f"{day}.parquet", schema, remedy) for day in chosen]
        return pa.concat_tables([schema.empty_table(), *pieces])

    def write_predictions(self, model: str, day: date, rows: pa.Table, shadow: int | None = None) -> Path:
        """Replaces one decision date's predictions, whole or not at all."""
        ordered = rows.cast(PREDICTION_SCHEMA).sort_by([("decision_at", "ascending"), ("decision_key", "ascending")])
        path = self.predictions_folder(model, shadow) / f"{day}.parquet"
        write_whole(path, parquet_bytes(ordered))
        return path

    def read_evaluations(self, model: str) -> pa.Table:
        """Every judged version's figures, ordered by version."""
        folder = self.root / "evaluations" / model
        files = sorted(folder.glob("*.parquet"), key=lambda path: int(path.stem)) if folder.exists() else []
        pieces = [_in_form(path, EVALUATION_SCHEMA, _FIGURES) for path in files]
        return pa.concat_tables([EVALUATION_SCHEMA.empty_table(), *pieces])

    def read_evaluation(self, model: str, version: int) -> pa.Table:
        """One version's figures; empty if it was never judged."""
        path = self.root / "evaluations" / model / f"{version}.parquet"
        return _in_form(path, EVALUATION_SCHEMA, _FIGURES) if path.exists() else EVALUATION_SCHEMA.empty_table()

    def write_evaluation(self, model: str, version: int, rows: pa.Table) -> Path:
        """Replaces one version's figures, whole or not at all; the very same bytes are not written again."""
        path = self.root / "evaluations" / model / f"{version}.parquet"
        return write_if_other(path, parquet_bytes(rows.cast(EVALUATION_SCHEMA)))

    def write_reference_predictions(self, model: str, version: int, predictions: Floats) -> Path:
        """What a version predicted on the window it was judged by, as counts of values, for later weeks to compare."""
        values, counts = np.unique(predictions, return_counts=True)
        columns = [[model] * len(values), [version] * len(values), values, counts]
        path = self.root / "reference_predictions" / model / f"{version}.parquet"
        return write_if_other(path, parquet_bytes(pa.table(columns, schema=REFERENCE_SCHEMA)))

    def read_reference_predictions(self, model: str, version: int) -> tuple[Floats, npt.NDArray[np.int64]]:
        """The values of `write_reference_predictions`, rising, and how often each came; empty if not judged."""
        path = self.root / "reference_predictions" / model / f"{version}.parquet"
        table = _in_form(path, REFERENCE_SCHEMA, _FIGURES) if path.exists() else REFERENCE_SCHEMA.empty_table()
        return table["prediction"].to_numpy(), table["row_count"].to_numpy()

    def write_reliance(self, model: str, version: int, reliance: Mapping[str, float]) -> Path:
        """How much a version relies on each of its features (see `reliance.py`)."""
        columns = [[model] * len(reliance), [version] * len(reliance), list(reliance), list(reliance.values())]
        path = self.root / "reliance" / model / f"{version}.parquet"
        return write_if_other(path, parquet_bytes(pa.table(columns, schema=RELIANCE_SCHEMA)))

    def read_reliance(self, model: str, version: int) -> dict[str, float]:
        """By feature; empty if the version was never judged."""
        path = self.root / "reliance" / model / f"{version}.parquet"
        rows = _in_form(path, RELIANCE_SCHEMA, _FIGURES).to_pylist() if path.exists() else []
        return {row["feature"]: row["reliance"] for row in rows}

    def write_null_shares(self, model: str, version: int, shares: Mapping[str, float]) -> Path:
        """How often each feature was null in what a version learned from (see `missing.py`)."""
        columns = [[model] * len(shares), [version] * len(shares), list(shares), list(shares.values())]
        path = self.root / "null_shares" / model / f"{version}.parquet"
        return write_if_other(path, parquet_bytes(pa.table(columns, schema=NULL_SHARE_SCHEMA)))

    def read_null_shares(self, model: str, version: int) -> dict[str, float]:
        """By feature; empty if they were never counted."""
        path = self.root / "null_shares" / model / f"{version}.parquet"
        rows = _in_form(path, NULL_SHARE_SCHEMA, _COUNTS).to_pylist() if path.exists() else []
        return {row["feature"]: row["null_share"] for row in rows}


def _in_form(path: Path, schema: pa.Schema, remedy: str) -> pa.Table:
    """The rows of one file as the schema has them; the file may be of a release that lacked its last columns."""
    table = read_parquet(path, remedy, schema.names)
    absent = [name for name in schema.names if name not in table.column_names]
    needed = [name for name in absent if name not in _ADDED]
    if needed:
        raise ResultCorrupt(f"{path}: has no column {', '.join(needed)}; {remedy}")
    for name in absent:
        table = table.append_column(schema.field(name), pa.nulls(table.num_rows, schema.field(name).type))
    try:
        return table.select(schema.names).cast(schema)
    except (ValueError, pa.ArrowException) as error:
        raise ResultCorrupt(f"{path}: its columns are of other types ({error}); {remedy}") from None
