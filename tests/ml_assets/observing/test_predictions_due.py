"""The promise to answer what lands: from the first file that landed to the predictions made from what had read it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ml_assets.observing.predictions_due import PredictionsDue

MODEL, TABLE = "returns", "trn_returns"


def at(minute: float) -> datetime:
    return datetime(2030, 1, 1, 6, tzinfo=UTC) + timedelta(minutes=minute)


@pytest.fixture
def due(tmp_path: Path) -> PredictionsDue:
    """A model that has answered all that landed before minute 0, with its predictions at minute 1."""
    due = PredictionsDue(tmp_path / "service")
    due.note_reading(TABLE, at(0))
    assert due.note_answer(MODEL, TABLE, [at(-90)], at(1)) is None, "the promise begins with the first answer"
    return due


def test_without_a_first_answer_nothing_is_promised(tmp_path: Path) -> None:
    due = PredictionsDue(tmp_path / "service")

    assert due.note_answer(MODEL, TABLE, [at(0)], at(1)) is None
    assert due.last_answer(MODEL) is None
    assert due.waiting_since(MODEL, [at(0)]) is None


def test_a_landing_waits_from_its_first_file_to_the_predictions(due: PredictionsDue) -> None:
    landed = [at(-90), at(5), at(7)]
    assert due.waiting_since(MODEL, landed) == at(5)
    due.note_reading(TABLE, at(8))

    assert due.note_answer(MODEL, TABLE, landed, at(12)) == timedelta(minutes=7)
    assert due.waiting_since(MODEL, landed) is None
    last = due.last_answer(MODEL)
    assert last is not None
    assert (last.landed_before, last.answered_at, last.waited) == (at(8), at(12), timedelta(minutes=7))


def test_what_lands_after_the_reading_began_is_not_answered_by_it(due: PredictionsDue) -> None:
    landed = [at(5), at(9)]
    due.note_reading(TABLE, at(8))

    assert due.note_answer(MODEL, TABLE, landed, at(12)) == timedelta(minutes=7)
    assert due.waiting_since(MODEL, landed) == at(9)


def test_predictions_made_from_what_had_not_read_the_landing_are_no_answer(due: PredictionsDue) -> None:
    assert due.note_answer(MODEL, TABLE, [at(5)], at(12)) is None
    assert due.waiting_since(MODEL, [at(5)]) == at(5)


def test_an_answer_is_noted_once(due: PredictionsDue) -> None:
    due.note_reading(TABLE, at(8))
    due.note_answer(MODEL, TABLE, [at(5)], at(12))

    assert due.note_answer(MODEL, TABLE, [at(5)], at(20)) is None
    last = due.last_answer(MODEL)
    assert last is not None
    assert last.answered_at == at(12)


def test_a_run_without_news_leaves_the_last_figures(due: PredictionsDue) -> None:
    due.note_reading(TABLE, at(8))
    due.note_answer(MODEL, TABLE, [at(5)], at(12))
    due.note_reading(TABLE, at(30))

    assert due.note_answer(MODEL, TABLE, [at(5)], at(31)) is None
    last = due.last_answer(MODEL)
    assert last is not None
    assert (last.landed_before, last.answered_at, last.waited) == (at(30), at(12), timedelta(minutes=7))


def test_each_model_answers_for_itself(due: PredictionsDue) -> None:
    due.note_answer("kept", TABLE, [], at(1))
    due.note_reading(TABLE, at(8))
    due.note_answer(MODEL, TABLE, [at(5)], at(12))

    assert due.waiting_since(MODEL, [at(5)]) is None
    assert due.waiting_since("kept", [at(5)]) == at(5)


def test_a_record_that_cannot_be_read_begins_the_promise_anew(due: PredictionsDue) -> None:
    (due.root / "answered" / f"{MODEL}.json").write_text("{")

    assert due.last_answer(MODEL) is None
    assert due.waiting_since(MODEL, [at(5)]) is None
    due.note_reading(TABLE, at(8))
    assert due.note_answer(MODEL, TABLE, [at(5)], at(12)) is None
    assert due.last_answer(MODEL) is not None
