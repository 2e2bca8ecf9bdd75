"""Which feeds there are: read from the sources of dbt's manifest.

What belongs here: finding plug-ins and telling what is wrong with a declaration. What does not: what a plug-in does.

    sources:
      - name: shop
        config:
          meta:
            feed: {plugin: files, folder: $SHOP_EXPORTS, tables: {orders: {pattern: orders-*.csv.gz}}}

`plugin` is `files`, `sql` or `package.module:Class`. On a source it feeds all of its landing tables; on a table only
that one. Beside it stand the plug-in's own options, and two that any feed may have: `run_through` (up to which moment
`perennial run` lands it; without it: all that there is) and `demo` (how the world changes in `perennial demo`).
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import Field

from ml_assets.declaration.domains import domain_of
from ml_assets.declaration.schema import Block, did_you_mean, parse_options
from ml_assets.errors import DeclarationError
from ml_assets.feeds.feed import Feed, FeedColumn, FeedSource, FeedTable
from ml_assets.moments import last_moment

SHIPPED = {"files": "ml_assets.feeds.files:FilesFeed", "sql": "ml_assets.feeds.sql:SqlFeed"}
PLACE = "config.meta.feed"


class Demo(Block):
    """A world that changes: from `start` on, each value of a numeric column is higher by `add`."""

    start: str
    table: str
    column: str
    add: int = Field(ge=1)


@dataclass(frozen=True)
class DeclaredFeed:
    """A feed that is ready to be asked, and what is declared of it."""

    source: FeedSource
    file: str
    feed: Feed
    run_through: datetime | None
    demo: Demo | None

    @property
    def name(self) -> str:
        return self.source.name


def read_feeds(manifest: Mapping[str, Any], environment: Mapping[str, str]) -> list[DeclaredFeed]:
    """Every declared feed, by the names of their sources.

    Args:
        environment: where options that name a variable find it.

    Raises:
        DeclarationError: with every mistake of every feed.
    """
    feeds: list[DeclaredFeed] = []
    problems: list[str] = []
    for (name, _), nodes in sorted(_grouped(manifest).items()):
        file = nodes[0].get("original_file_path") or name
        try:
            feeds.append(_feed(name, file, nodes, environment))
        except DeclarationError as error:
            problems += [f"{file}: {name}: {problem}" for problem in error.problems]
    if problems:
        raise DeclarationError(problems)
    return feeds


def landing_tables(nodes: list[Mapping[str, Any]]) -> tuple[FeedTable, ...]:
    """What is declared of the landing tables among these sources of the manifest."""
    return tuple(
        FeedTable(
            name=node["name"],
            columns=tuple(
                FeedColumn(column["name"], str(column.get("data_type") or "varchar").lower())
                for column in node["columns"].values()
            ),
            known_at=_meta(node).get("known_at"),
        )
        for node in sorted(nodes, key=lambda node: node["name"])
        if _meta(node).get("landing")
    )


def _meta(node: Mapping[str, Any]) -> Mapping[str, Any]:
    return (node.get("config") or {}).get("meta") or node.get("meta") or {}


def _grouped(manifest: Mapping[str, Any]) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
    """The sources that have a feed, by name and by what is declared: tables that say the same are fed together."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for node in manifest.get("sources", {}).values():
        declared = _meta(node).get("feed")
        if declared is not None:
            found.setdefault((node["source_name"], repr(declared)), []).append(node)
    return found


def _feed(name: str, file: str, nodes: list[Mapping[str, Any]], environment: Mapping[str, str]) -> DeclaredFeed:
    declared = _meta(nodes[0])["feed"]
    declared = {"plugin": declared} if isinstance(declared, str) else declared
    if not isinstance(declared, Mapping) or not isinstance(declared.get("plugin"), str):
        raise DeclarationError(
            [f"{PLACE}: found {declared!r}; give {{plugin: files | sql | package.module:Class, ...}}"]
        )
    options = {key: value for key, value in declared.items() if key not in ("plugin", "run_through", "demo")}
    source = FeedSource(name, domain_of(nodes[0]), landing_tables(nodes), options, environment)
    problems: list[str] = []
    if not source.tables:
        problems.append(f"{PLACE}: no table of it has config.meta.landing: true, so nothing could land")
    run_through = _run_through(declared.get("run_through"), problems)
    demo = _demo(declared["demo"], source, problems) if declared.get("demo") is not None else None
    plugin = _plugin(declared["plugin"], problems)
    feed = None
    if plugin is not None:
        try:
            feed = plugin(source)
        except DeclarationError as error:
            problems += error.problems
    if feed is not None and demo is not None and not feed.replayable:
        problems.append(f"{PLACE}.demo: {declared['plugin']} cannot land what was known earlier; take demo out")
    if problems or feed is None:
        raise DeclarationError(problems)
    return DeclaredFeed(source, file, feed, run_through, demo)


def _run_through(found: Any, problems: list[str]) -> datetime | None:
    if found is None:
        return None
    try:
        return last_moment(str(found))
    except ValueError as error:
        problems.append(f"{PLACE}.run_through: {error}")
        return None


def _demo(found: Any, source: FeedSource, problems: list[str]) -> Demo | None:
    found = (
        {key: str(value) if key == "start" else value for key, value in found.items()}
        if isinstance(found, Mapping)
        else found
    )
    demo, mistakes = parse_options(Demo, found)
    problems += [f"{f'{PLACE}.demo.{place}'.rstrip('.')}: {words}" for place, words in mistakes]
    if demo is None:
        return None
    try:
        last_moment(demo.start)
    except ValueError as error:
        problems.append(f"{PLACE}.demo.start: {error}")
    table = source.table(demo.table)
    if table is None:
        known = [one.name for one in source.tables]
        problems.append(
            f"{PLACE}.demo.table: {demo.table!r} is no landing table of it{did_you_mean(demo.table, known)}"
        )
    elif demo.column not in [column.name for column in table.columns]:
        known = [column.name for column in table.columns]
        problems.append(f"{PLACE}.demo.column: {demo.table} has no {demo.column!r}{did_you_mean(demo.column, known)}")
    return demo


def _plugin(name: str, problems: list[str]) -> type[Feed] | None:
    path = SHIPPED.get(name, name)
    module, _, attribute = path.partition(":")
    if not attribute:
        problems.append(
            f"{PLACE}.plugin: {name!r} is not files, sql or package.module:Class{did_you_mean(name, SHIPPED)}"
        )
        return None
    try:
        found = getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        problems.append(
            f"{PLACE}.plugin: {module} cannot be imported ({error}); install what it needs, or correct the name"
        )
    except AttributeError:
        problems.append(f"{PLACE}.plugin: {module} holds no {attribute}")
    else:
        if callable(getattr(found, "land", None)) and hasattr(found, "replayable"):
            return found
        problems.append(
            f"{PLACE}.plugin: {path} is no feed: it lacks land() or replayable; see ml_assets/feeds/feed.py"
        )
    return None
