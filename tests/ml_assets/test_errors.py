"""Which errors may pass by themselves, however they are wrapped."""

from __future__ import annotations

import sqlite3

import pytest
from filelock import Timeout
from sqlalchemy.exc import OperationalError

from ml_assets.errors import (
    ArtifactCorrupt,
    ChampionChanged,
    ColumnsMissing,
    DeclarationError,
    PartCorrupt,
    PerennialError,
    ScoringError,
    TrainingError,
    may_pass,
)

LOCKED = 'IO Error: Could not set lock on file "/srv/warehouse.duckdb": Conflicting lock is held in dbt (PID 7)'


def said_by_dbt(*messages: str) -> RuntimeError:
    """As it arrives here: everything that dbt said, in colour, behind a sentence."""
    return RuntimeError("The dbt CLI process failed.\n\n" + "\n\n".join(f"\x1b[31m{text}\x1b[0m" for text in messages))


MAY_PASS = {
    "a lock on the warehouse": said_by_dbt("Runtime Error", LOCKED),
    "a lock on the registry": OperationalError("update runs", {}, sqlite3.OperationalError("database is locked")),
    "a lock on a file": Timeout("predictions/.lock"),
    "a timeout": TimeoutError("timed out"),
    "the disk": OSError(5, "Input/output error"),
    "a full disk, until somebody's spill is gone": OSError(28, "No space left on device"),
    "a champion that changed meanwhile": ChampionChanged("judge it again"),
}
FAILS_AGAIN = {
    "a failed test of dbt": said_by_dbt("Failure in test unique_orders (models/orders.yml)", "Got 3 results"),
    "a broken contract": said_by_dbt("Compilation Error in model ftr_orders", "This model has an enforced contract"),
    "an error in SQL": said_by_dbt("Database Error in model ftr_orders", "Binder Error: no such column"),
    "a failed test whose rows speak of locks": said_by_dbt("Failure in test is_quiet", LOCKED),
    "a warehouse that dbt itself has waited for as long as it may": said_by_dbt(
        "Runtime Error", "warehouse.duckdb has been in use by process 7 for 3600 seconds; let it finish, or end it"
    ),
    "a declaration": DeclarationError(["late_arrival.yml: label"]),
    "scoring": ScoringError("no model can answer"),
    "training": TrainingError("no rows"),
    "corrupt bytes": PartCorrupt("other bytes"),
    "a corrupt model": ArtifactCorrupt("other bytes"),
    "missing columns": ColumnsMissing("no column"),
    "anything else of ours": PerennialError("no"),
    "a fault in the code": KeyError("price"),
    "a table that there is not": OperationalError("select", {}, sqlite3.OperationalError("no such table: runs")),
    "a file that there is not": FileNotFoundError(2, "No such file"),
    "a file that is forbidden": PermissionError(13, "Permission denied"),
}


@pytest.mark.parametrize("error", MAY_PASS.values(), ids=MAY_PASS)
def test_it_may_pass(error: Exception) -> None:
    assert may_pass(error)


@pytest.mark.parametrize("error", FAILS_AGAIN.values(), ids=FAILS_AGAIN)
def test_it_would_fail_again(error: Exception) -> None:
    assert not may_pass(error)


def raised_from(error: Exception, cause: Exception) -> Exception:
    try:
        raise error from cause
    except Exception as caught:
        return caught


def test_what_was_wrapped_by_a_library_is_told_by_its_cause() -> None:
    assert may_pass(raised_from(RuntimeError("the store is not available"), MAY_PASS["a lock on the registry"]))
    assert not may_pass(raised_from(RuntimeError("the store is not available"), KeyError("runs")))


def test_whoever_has_looked_into_it_decides() -> None:
    assert not may_pass(raised_from(ScoringError("no model can answer"), OSError(5, "Input/output error")))
    assert may_pass(raised_from(ChampionChanged("judge it again"), KeyError("champion")))
