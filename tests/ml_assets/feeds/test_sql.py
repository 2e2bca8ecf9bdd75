"""The feed of a database: each row once, whenever it was committed; nothing secret is ever said."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ml_assets.errors import DeclarationError, FeedError
from ml_assets.feeds.feed import FeedColumn, FeedSource, FeedTable
from ml_assets.feeds.sql import SqlFeed
from tests.ml_assets.feeds.door import read_at_door

ORDERS = FeedTable(
    "orders",
    (
        FeedColumn("id", "bigint"),
        FeedColumn("note", "varchar"),
        FeedColumn("amount", "double"),
        FeedColumn("updated_at", "timestamp"),
    ),
    known_at="updated_at",
)
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
Row = tuple[int, str | None, float, datetime]


def feed_of(url: str, **options: Any) -> SqlFeed:
    table = {"table": "orders", "cursor": "updated_at", **options}
    environment = {"SHOP_URL": url}
    return SqlFeed(
        FeedSource("shop", "shop", (ORDERS,), {"url": "$SHOP_URL", "tables": {"orders": table}}, environment)
    )


class Database:
    """A table `orders` whose cursor is kept as this kind of column."""

    def __init__(self, url: str, cursor: sa.types.TypeEngine[Any]) -> None:
        self.url = url
        self.engine = sa.create_engine(url)
        columns = (sa.Column("id", sa.BigInteger), sa.Column("note", sa.Text), sa.Column("amount", sa.Float(53)))
        self.orders = sa.Table("orders", sa.MetaData(), *columns, sa.Column("updated_at", cursor))
        self.orders.drop(self.engine, checkfirst=True)
        self.orders.create(self.engine)

    def insert(self, rows: list[Row]) -> None:
        if rows:
            with self.engine.begin() as connection:
                connection.execute(
                    self.orders.insert(), [dict(zip(self.orders.c.keys(), row, strict=True)) for row in rows]
                )


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/shop.db", sa.DateTime())
    yield database
    database.engine.dispose()


def some_rows(count: int, seed: int) -> list[Row]:
    """Ties, fractions of seconds, quotes, commas, no text at all."""
    chance = random.Random(seed)
    notes = [None, "plain", 'a "quote", or two', "ünïcödé 🎈", "x" * 50, "1e-1"]
    moments = sorted(
        BEGIN + timedelta(seconds=chance.choice([chance.randint(0, 900_000), 86_400, 172_800])) for _ in range(count)
    )
    return [(n, chance.choice(notes), chance.random() * 1e6, moment) for n, moment in enumerate(moments)]


def expected(rows: list[Row]) -> list[tuple[Any, ...]]:
    return sorted((n, note, amount, moment.astimezone(UTC).replace(tzinfo=None)) for n, note, amount, moment in rows)


def landed(landing: Path) -> list[tuple[Any, ...]]:
    good, aside = read_at_door(landing / "shop" / "orders", ORDERS)
    assert aside == []
    return sorted(good)


def any_steps_land_each_row_once(database: Database, landing: Path, seed: int) -> None:
    chance = random.Random(seed)
    rows = some_rows(300, seed)
    rows = [
        (n, note, amount, moment.replace(tzinfo=None) if database.url.startswith("sqlite") else moment)
        for n, note, amount, moment in rows
    ]
    late = [row for row in rows if chance.random() < 0.1]
    database.insert([row for row in rows if row not in late])
    steps = sorted(BEGIN + timedelta(hours=chance.randint(1, 250)) for _ in range(4))
    for step in steps:
        feed_of(database.url, overlap="52 weeks").land(landing, step)
        assert all(row[3] <= step.replace(tzinfo=None) for row in landed(landing))
    database.insert(late)
    end = BEGIN + timedelta(days=30)
    feed_of(database.url, overlap="52 weeks").land(landing, end)
    before = {path: path.read_bytes() for path in landing.rglob("*.csv")}
    again = feed_of(database.url, overlap="52 weeks").land(landing, end + timedelta(days=1))

    utc = [(n, note, amount, moment.replace(tzinfo=moment.tzinfo or UTC)) for n, note, amount, moment in rows]
    assert landed(landing) == expected(utc)
    assert again.files == 0
    assert {path: path.read_bytes() for path in landing.rglob("*.csv")} == before


@pytest.mark.parametrize("seed", range(5))
def test_any_steps_land_each_row_once_those_that_were_committed_late_as_well(
    sqlite: Database, tmp_path: Path, seed: int
) -> None:
    any_steps_land_each_row_once(sqlite, tmp_path / "landing", seed)


def test_without_an_overlap_a_row_that_was_committed_late_is_not_found(sqlite: Database, tmp_path: Path) -> None:
    noon = datetime(2024, 1, 1, 12)
    sqlite.insert([(1, "first", 1.0, noon)])
    feed_of(sqlite.url).land(tmp_path, BEGIN + timedelta(days=1))
    sqlite.insert([(2, "late", 1.0, noon)])

    assert feed_of(sqlite.url).land(tmp_path, BEGIN + timedelta(days=2)).rows == 0
    assert feed_of(sqlite.url, overlap="1 day").land(tmp_path, BEGIN + timedelta(days=2)).rows == 1


def test_a_query_may_speak_of_the_bounds(sqlite: Database, tmp_path: Path) -> None:
    sqlite.insert([(n, "x", 1.0, datetime(2024, 1, 1 + n)) for n in range(5)])
    query = "select * from orders where id > 0 and updated_at <= :through"
    options = {"table": None, "query": query}

    assert feed_of(sqlite.url, **options).land(tmp_path, datetime(2024, 1, 3, 12, tzinfo=UTC)).rows == 2
    assert feed_of(sqlite.url, **options).land(tmp_path, datetime(2024, 2, 1, tzinfo=UTC)).rows == 2


def test_moments_kept_as_text_are_compared_as_moments(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/shop.db", sa.Text())
    texts = ["2024-01-01T10:00:00Z", "2024-01-01T10:00:30.5Z", "2024-01-02T00:00:00Z"]
    database.insert([(n, None, 1.0, text) for n, text in enumerate(texts)])  # type: ignore[misc]
    steps = [datetime(2024, 1, 1, 10, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC)]
    counts = [feed_of(database.url).land(tmp_path / "landing", step).rows for step in steps]
    database.engine.dispose()

    assert counts == [1, 2]


def test_moments_without_a_zone_are_in_the_declared_one(sqlite: Database, tmp_path: Path) -> None:
    sqlite.insert([(1, None, 1.0, datetime(2024, 7, 1, 12))])
    feed_of(sqlite.url, timezone="Europe/Berlin").land(tmp_path, datetime(2024, 7, 1, 10, tzinfo=UTC))

    assert landed(tmp_path)[0][3] == datetime(2024, 7, 1, 10)


def test_rows_without_a_cursor_are_counted_and_said(sqlite: Database, tmp_path: Path) -> None:
    sqlite.insert([(1, None, 1.0, None), (2, None, 1.0, datetime(2024, 1, 1))])  # type: ignore[list-item]
    report = feed_of(sqlite.url).land(tmp_path, BEGIN + timedelta(days=1))

    assert report.rows == 1
    assert "1 rows have no updated_at" in report.findings[0]


def test_an_address_stands_in_the_environment_alone() -> None:
    secret = "postgresql+psycopg://me:hunter2@host/db"
    source = FeedSource("shop", "shop", (ORDERS,), {"url": secret, "tables": {"orders": {"table": "o", "cursor": "c"}}})
    with pytest.raises(DeclarationError) as caught:
        SqlFeed(source)
    assert "hunter2" not in str(caught.value)
    assert "$ITS_NAME" in str(caught.value)


def test_a_database_that_cannot_be_reached_is_a_sentence_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(FeedError) as caught:
        feed_of("postgresql+psycopg://me:hunter2@127.0.0.1:9/db?connect_timeout=2").land(tmp_path, BEGIN)
    assert "hunter2" not in str(caught.value)
    assert "the database says" in str(caught.value)


@pytest.mark.parametrize(
    ("url", "words"), [("", "is not set"), ("nothing", "no usable address"), ("nosuchdb://x", "no usable address")]
)
def test_an_address_that_is_none_is_said(tmp_path: Path, url: str, words: str) -> None:
    with pytest.raises(FeedError, match=words):
        feed_of(url).land(tmp_path, BEGIN)


def test_what_the_database_has_not_is_said(sqlite: Database, tmp_path: Path) -> None:
    sqlite.insert([(1, None, 1.0, datetime(2024, 1, 1))])
    with pytest.raises(FeedError, match="no such table"):
        feed_of(sqlite.url, table="ordres").land(tmp_path, BEGIN)
    with pytest.raises(FeedError, match="no column nota"):
        feed_of(sqlite.url, columns={"note": "nota"}).land(tmp_path, BEGIN)
    with pytest.raises(FeedError, match="no moment"):
        feed_of(sqlite.url, cursor="amount").land(tmp_path, BEGIN)


# --- PostgreSQL


def programs() -> Path | None:
    """Where the server's programs are, if they are anywhere."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A server of its own on a socket in a folder of its own, by a user without rights: it refuses to run as root."""
    place = programs()
    if place is None:
        pytest.skip("PostgreSQL's server is not there: on Debian, apt-get install postgresql")
    folder = Path(
        subprocess.run(["mktemp", "-d", "/tmp/pg.XXXXXX"], capture_output=True, text=True, check=True).stdout.strip()
    )
    as_user: list[str] = []
    if os.geteuid() == 0:
        if shutil.which("runuser") is None:
            pytest.skip("PostgreSQL refuses to run as root, and runuser is not there")
        shutil.chown(folder, "nobody")
        as_user = ["runuser", "-u", "nobody", "--"]
    data = folder / "data"
    subprocess.run(
        [*as_user, place / "initdb", "-D", data, "-U", "me", "--auth=trust", "-E", "UTF8", "--no-sync"],
        check=True,
        capture_output=True,
        cwd="/tmp",
    )
    options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off -c timezone=America/New_York"
    subprocess.run(
        [*as_user, place / "pg_ctl", "-D", data, "-o", options, "-l", folder / "log", "-w", "start"],
        check=True,
        capture_output=True,
        cwd="/tmp",
    )
    try:
        yield f"postgresql+psycopg://me@/postgres?host={folder}"
    finally:
        subprocess.run(
            [*as_user, place / "pg_ctl", "-D", data, "-m", "immediate", "stop"],
            check=True,
            capture_output=True,
            cwd="/tmp",
        )
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.parametrize("with_zone", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_a_real_postgresql_lands_each_row_once(postgres: str, tmp_path: Path, with_zone: bool, seed: int) -> None:
    database = Database(postgres, sa.DateTime(timezone=with_zone))
    if not with_zone:  # a server's own zone must not matter
        with database.engine.begin() as connection:
            connection.execute(sa.text("alter role me set timezone = 'UTC'"))
        database.engine.dispose()
    any_steps_land_each_row_once(database, tmp_path, seed)
    with database.engine.begin() as connection:
        connection.execute(sa.text("alter role me reset timezone"))
    database.engine.dispose()
