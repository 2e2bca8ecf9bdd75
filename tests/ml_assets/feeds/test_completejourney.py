"""The feed of the tills lands every line once, at the moment of its receipt, whatever the steps."""

from __future__ import annotations

import csv
from pathlib import Path

import duckdb
import pytest

from ml_assets.errors import DeclarationError, FeedError
from ml_assets.feeds import completejourney
from ml_assets.feeds.completejourney import EVENT_TABLE, FEED, Feed, land
from ml_assets.feeds.feed import FeedSource
from ml_assets.feeds.landing_files import Interval
from ml_assets.moments import last_moment


def lines_of(landing: Path) -> list[dict[str, str]]:
    """Every landed line of a receipt, in the order of the files, with the end of its file's interval."""
    found = []
    for file in sorted((landing / FEED / EVENT_TABLE).glob("*.csv")):
        with file.open() as opened:
            found += [{**row, "file": file.name} for row in csv.DictReader(opened)]
    return found


def test_any_steps_land_what_one_call_lands(tmp_path: Path) -> None:
    land(tmp_path / "once", last_moment("2017-01-04"))
    for through in ("2017-01-01T12:00:30Z", "2017-01-02", "2017-01-02", "2017-01-03T17:31Z", "2017-01-04"):
        land(tmp_path / "steps", last_moment(through))

    once, steps = ([{**row, "file": ""} for row in lines_of(tmp_path / place)] for place in ("once", "steps"))
    assert once == steps
    for table in ("demographics", "products"):
        files = [tmp_path / place / FEED / table / "all.csv" for place in ("once", "steps")]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_what_lands_is_what_the_package_holds_by_then(tmp_path: Path) -> None:
    land(tmp_path, last_moment("2017-01-03"))

    packaged = duckdb.execute(
        "select count(*), round(sum(sales_value), 2), count(distinct basket_id) from read_parquet($file) "
        "where transaction_timestamp <= timestamp '2017-01-04'",
        {"file": completejourney._packaged(EVENT_TABLE)},
    ).fetchall()
    rows = lines_of(tmp_path)
    landed = (
        len(rows),
        round(sum(float(row["sales_value"]) for row in rows), 2),
        len({row["basket_id"] for row in rows}),
    )
    assert packaged == [landed]


def test_a_line_lies_in_the_file_of_its_moment(tmp_path: Path) -> None:
    land(tmp_path, last_moment("2017-01-03"))

    for row in lines_of(tmp_path):
        interval = Interval.of_file(row["file"])
        assert interval is not None
        assert interval.start < last_moment(row["transaction_timestamp"]) <= interval.end


def test_an_option_or_another_name_is_a_mistake_by_name() -> None:
    with pytest.raises(DeclarationError, match=r"feed\.folder: is no option") as raised:
        Feed(FeedSource("shop", "households", (), {"folder": "x"}))
    assert "call the source completejourney" in str(raised.value)


def test_without_the_package_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completejourney, "PACKAGE", "no-such-package-anywhere")

    with pytest.raises(FeedError, match="install the project's requirements.lock"):
        land(tmp_path, last_moment("2017-01-03"))
