"""A model that decides by the calendar: what is written says what a person would have worked out by hand."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from typer.testing import CliRunner

from dagster_defs.commands.cli import app
from dagster_defs.scaffolding.cadence import Step
from dagster_defs.scaffolding.calendars import Calendar, plan_calendar_model
from dagster_defs.scaffolding.joined import windows_in
from dagster_defs.scaffolding.models import Wanted
from dagster_defs.scaffolding.staged import Staged, StagedColumn
from dagster_defs.scaffolding.writing import Plan
from ml_assets.errors import PerennialError

RECEIPTS = Staged(
    "stg_tills__receipts",
    "shop",
    (
        StagedColumn("household", "integer"),
        StagedColumn("receipt", "integer"),
        StagedColumn("bought_at", "timestamp"),
        StagedColumn("spend", "double"),
        StagedColumn("lines", "integer"),
        StagedColumn("town", "varchar"),
    ),
    key=("receipt",),
    time_column="bought_at",
)
MEASURES = {
    "events": "Rows of stg_tills__receipts.",
    "spend_hundredths": "Sum of spend, in hundredths.",
    "lines": "Sum of lines.",
}
FEATURES: dict[str, Any] = {
    "name": "ftr_household__spend",
    "raw_code": "{{ accumulate() }}",
    "depends_on": {"nodes": ["model.perennial.stg_tills__receipts"]},
    "columns": {
        "household": {
            "name": "household",
            "data_type": "integer",
            "description": ".",
            "config": {"meta": {"role": "entity"}},
        },
        **{name: {"name": name, "data_type": "bigint", "description": words} for name, words in MEASURES.items()},
    },
}
MANIFEST: dict[str, Any] = {"nodes": {"ftr": FEATURES}}
START = datetime(2024, 3, 3)


def planned(
    root: Path,
    outcome: str = "sum:spend",
    step: Step = "week",
    within: str = "14 days",
    starting: datetime | None = START,
) -> Plan:
    wanted = Wanted(
        name="spend",
        decided=RECEIPTS,
        entity=("household",),
        features=("ftr_household__spend",),
        windows=windows_in("--windows", ["7 days, 14 days, 28 days"]),
        label="outcome",
        label_from=None,
    )
    (ahead,) = windows_in("--within", [within])
    return plan_calendar_model(root, MANIFEST, wanted, Calendar(step, starting, outcome, ahead, None))


def text_of(plan: Plan, name: str) -> str:
    return next(text for path, text in plan.new.items() if path.endswith(f"/{name}"))


def receipts(chance: random.Random) -> list[dict[str, Any]]:
    """Made-up receipts: some late, some corrected, once or twice, in spend, moment or household."""
    rows = []
    for receipt in range(150):
        bought = START + timedelta(hours=chance.randint(-200, 1500))
        row = {
            "household": chance.randint(1, 5),
            "receipt": receipt,
            "bought_at": bought,
            "spend": chance.randint(1, 9999) / 100,
            "row_version": 1,
            "known_at": bought + timedelta(hours=chance.choice([0, 0, 0, 300])),
        }
        rows.append(row)
        while chance.random() < 0.2:
            row = {**row, "row_version": row["row_version"] + 1, "known_at": row["known_at"] + timedelta(hours=50)}
            row |= chance.choice(
                [{"spend": 1.25}, {"household": chance.randint(1, 5)}, {"bought_at": bought - timedelta(hours=90)}]
            )
            rows.append(row)
    return rows


def by_hand(rows: list[dict[str, Any]], watermark: datetime) -> set[tuple[Any, ...]]:
    """The decisions by loops: household, moment, label, when it was known."""
    found = set()
    versions = {key: [row for row in rows if row["receipt"] == key] for key in sorted({row["receipt"] for row in rows})}
    for household in sorted({row["household"] for row in rows}):
        first = min(row["known_at"] for row in rows if row["household"] == household)
        moment = START
        while moment <= watermark:
            end = moment + timedelta(days=14)
            label, known = None, None
            if first <= moment and watermark >= end:
                label, known = 0, end
                for of_receipt in versions.values():
                    inside = [
                        row for row in of_receipt if row["household"] == household and moment < row["bought_at"] <= end
                    ]
                    newest = max(of_receipt, key=lambda row: row["row_version"])
                    label += round(newest["spend"] * 100) if newest in inside else 0
                    if inside:
                        known = max(known, newest["known_at"])
            if first <= moment:
                found.add((household, moment, None if label is None else label / 100, known))
            moment += timedelta(days=7)
    return found


@pytest.mark.parametrize("seed", range(5))
def test_decisions_and_labels_are_those_worked_out_by_hand(tmp_path: Path, seed: int) -> None:
    rows = receipts(random.Random(seed))
    watermark = START + timedelta(days=61)
    rows = [row for row in rows if row["known_at"] <= watermark]
    sql = text_of(planned(tmp_path), "int_shop__spend_decisions.sql")
    sql = re.sub(r"\{\{ ref\('(\w+)'\) \}\}", r"\1", sql)
    with duckdb.connect() as session:
        session.execute(
            "create table stg_tills__receipts (household int, receipt int, bought_at timestamp, spend double, row_version int, known_at timestamp)"
        )
        session.executemany(
            "insert into stg_tills__receipts values (?, ?, ?, ?, ?, ?)", [[*row.values()] for row in rows]
        )
        session.execute("create table int_shop__watermark as select ?::timestamp as watermark_at", [watermark])
        said = session.sql(f"select household, decision_at, outcome, outcome_known_at from ({sql})").fetchall()

    assert len(said) == len(set(said))
    assert set(said) == by_hand(rows, watermark)


def test_the_training_set_has_people_s_units_and_a_contract_for_each_column(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    sql, contract = text_of(plan, "trn_spend.sql"), yaml.safe_load(text_of(plan, "trn_spend.yml"))["models"][0]
    columns = {one["name"]: one for one in contract["columns"]}

    assert "spend_hundredths_28d / 100 as spend_28d," in sql
    assert columns["spend_28d"]["description"] == "Sum of spend, in the 28 days up to the decision."
    assert {name for name, one in columns.items() if one["config"]["meta"]["role"] == "entity"} == {
        "household",
        "decision_date",
    }
    selected = re.findall(r"^    (?:.* as )?(\w+),?$", sql.rpartition("select")[2], re.MULTILINE)
    assert selected == [*columns]
    assert all(one["description"] for one in columns.values())


def test_what_happened_before_in_as_long_is_a_baseline(tmp_path: Path) -> None:
    declared = yaml.safe_load(text_of(planned(tmp_path), "spend.yml"))["exposures"][0]["config"]["meta"]["ml"]

    assert declared["evaluation"]["window"] == "42 days"  # 28 of them have an outcome
    assert [one.get("params") for one in declared["evaluation"]["baselines"]] == [
        None,
        {"column": "spend_14d"},
        {"column": "spend_28d", "factor": 0.5},
    ]


def test_what_is_counted_of_other_rows_is_no_baseline(tmp_path: Path) -> None:
    of_others = {**FEATURES, "depends_on": {"nodes": ["model.perennial.stg_tills__visits"]}}
    wanted = Wanted("spend", RECEIPTS, ("household",), (FEATURES["name"],), windows_in("", ["7 days"]), "outcome", None)
    (ahead,) = windows_in("--within", ["7 days"])
    plan = plan_calendar_model(
        tmp_path, {"nodes": {"ftr": of_others}}, wanted, Calendar("week", None, "count", ahead, None)
    )

    assert "last_value" not in text_of(plan, "spend.yml")


@pytest.mark.parametrize(
    ("outcome", "task", "sql"),
    [
        ("any", "binary_classification", "bool_or(happened.is_newest)"),
        ("count", "regression", "count(*) filter (where happened.is_newest)"),
        ("sum:lines", "regression", "sum(happened.lines) filter (where happened.is_newest)::bigint"),
    ],
)
def test_other_outcomes(tmp_path: Path, outcome: str, task: str, sql: str) -> None:
    plan = planned(tmp_path, outcome)

    assert sql in text_of(plan, "int_shop__spend_decisions.sql")
    assert f"task: {task}" in text_of(plan, "spend.yml")


def test_another_moment_of_the_rows_is_named_if_nobody_said_which_counts(tmp_path: Path) -> None:
    told = replace(RECEIPTS, columns=(*RECEIPTS.columns, StagedColumn("paid_at", "timestamp")))
    wanted = Wanted("spend", told, ("household",), (), windows_in("--windows", ["7 days"]), "outcome", None)
    (ahead,) = windows_in("--within", ["7 days"])

    notes = {
        said: plan_calendar_model(tmp_path, MANIFEST, wanted, Calendar("week", None, "any", ahead, said)).notes
        for said in (None, "paid_at")
    }

    assert any("if paid_at says that, say --happened-at" in note for note in notes[None])
    assert not any("--happened-at" in note for note in notes["paid_at"])


def test_decisions_by_the_hour_have_the_hour_in_their_key(tmp_path: Path) -> None:
    plan = planned(tmp_path, "any", "hour", "24 hours", None)

    assert "unique_key=['household', 'decision_date', 'decision_hour']" in text_of(plan, "trn_spend.sql")
    assert "date_trunc('hour', min(first_known_at))" in text_of(plan, "int_shop__spend_decisions.sql")


@pytest.mark.parametrize("outcome", ["mean:spend", "sum", "sum:town", "sum:spent", "any:spend"])
def test_an_outcome_that_is_none_is_answered_with_what_would_be_one(tmp_path: Path, outcome: str) -> None:
    with pytest.raises(PerennialError, match=r"sum:COLUMN|has no sum|has no column spent; it has household"):
        planned(tmp_path, outcome)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--within", "2 days"], "--within: only with --every"),
        (["--every", "week"], "say also what is foreseen"),
        (["--every", "week", "--decision", "known_at"], "leave one out"),
    ],
)
def test_options_that_do_not_go_together_are_named(options: list[str], said: str) -> None:
    answer = CliRunner().invoke(app, ["new", "model", "x", "--from", "stg_x", "--entity", "a", *options])

    assert isinstance(answer.exception, PerennialError)
    assert said in str(answer.exception)


def test_a_window_that_is_none_is_answered_with_one() -> None:
    with pytest.raises(PerennialError, match="--windows 'a month': say a number and minutes, hours, days or weeks"):
        windows_in("--windows", ["7 days, a month"])
