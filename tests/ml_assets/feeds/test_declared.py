"""Feeds are found where they are declared; what is wrong is named with the file, the field, the finding."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ml_assets.errors import DeclarationError
from ml_assets.feeds.declared import Demo, read_feeds
from ml_assets.feeds.mischief import change_the_world


def manifest_of(feed: Any, **other: Any) -> dict[str, Any]:
    columns = {name: {"name": name, "data_type": "integer"} for name in ("id", "delay")}
    meta = {"landing": True, "feed": feed, **other}
    node = {
        "source_name": "shop",
        "name": "orders",
        "fqn": ["perennial", "staging", "sales", "shop", "orders"],
        "columns": columns,
    }
    return {
        "sources": {
            "source.perennial.shop.orders": {**node, "original_file_path": "models/shop.yml", "config": {"meta": meta}}
        }
    }


FILES = {"plugin": "files", "folder": "/exports"}


def test_a_feed_is_read_with_its_domain_and_its_tables() -> None:
    (found,) = read_feeds(manifest_of({**FILES, "run_through": "2024-01-31"}, known_at="delay"), {})

    assert (found.name, found.source.domain, [table.name for table in found.source.tables]) == (
        "shop",
        "sales",
        ["orders"],
    )
    assert found.run_through == datetime(2024, 2, 1, tzinfo=UTC)
    assert found.feed.replayable


def test_no_declared_feed_is_no_mistake() -> None:
    assert read_feeds({"sources": {}}, {}) == []


MISTAKES = {
    "no plug-in": ({"folder": "/x"}, "give"),
    "nearly a plug-in": ({**FILES, "plugin": "file"}, "did you mean 'files'"),
    "no module": ({"plugin": "no.such.module:Feed"}, "cannot be imported"),
    "nothing in the module": ({"plugin": "ml_assets.feeds.files:Fed"}, "holds no Fed"),
    "no feed": ({"plugin": "ml_assets.errors:FeedError"}, r"lacks land\(\)"),
    "no moment": ({**FILES, "run_through": "soon"}, "run_through: 'soon'"),
    "an unknown option": ({**FILES, "foldr": 1}, "foldr"),
    "a demo of no table": (
        {**FILES, "demo": {"start": "2024-01-01", "table": "order", "column": "id", "add": 1}},
        "did you mean 'orders'",
    ),
    "a demo of no column": (
        {**FILES, "demo": {"start": "2024-01-01", "table": "orders", "column": "dely", "add": 1}},
        "did you mean 'delay'",
    ),
    "a demo without a past": (
        {**FILES, "demo": {"start": "2024-01-01", "table": "orders", "column": "id", "add": 1}},
        "take demo out",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_file_and_field(mistake: str) -> None:
    feed, words = MISTAKES[mistake]
    with pytest.raises(DeclarationError, match=words) as caught:
        read_feeds(manifest_of(feed), {})
    assert "models/shop.yml: shop: config.meta.feed" in str(caught.value)


def test_a_changed_world_changes_the_declared_column_of_new_files_alone(tmp_path: Path) -> None:
    folder = tmp_path / "shop" / "orders"
    folder.mkdir(parents=True)
    (folder / "old.csv").write_text("id,delay\n1,5\n")
    (folder / "new.csv").write_text('id,delay\n2,-5\n"3, or so",NA\n')
    demo = Demo(start="2024-01-01", table="orders", column="delay", add=25)
    seen = {folder / "old.csv"}
    for _ in range(2):
        change_the_world(tmp_path, "shop", demo, seen)

    assert (folder / "old.csv").read_text() == "id,delay\n1,5\n"
    assert (folder / "new.csv").read_text() == 'id,delay\n2,20\n"3, or so",NA\n'
