"""The declared feeds as the commands use them: which ones are meant, and landing with something to look at.

What belongs here: choosing and asking feeds. What does not: any feed; they are declared with their sources.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dagster_defs.commands.app import console
from dagster_defs.settings import Settings
from ml_assets.errors import PerennialError

if TYPE_CHECKING:
    from ml_assets.feeds.declared import DeclaredFeed

HOW_TO_BEGIN = (
    "declare a feed with a source (docs/feeds.md), or drop CSV files into {landing}/<source>/<table>/; "
    "for data that no source declares yet: perennial new source FILES"
)


def declared_feeds(
    settings: Settings, domains: Collection[str] | None = None, sources: Collection[str] | None = None
) -> list[DeclaredFeed]:
    """Every declared feed, or those of these domains, or of these sources.

    Raises:
        PerennialError: for a source that has no feed, with those that have one.
    """
    from dagster_defs.manifest import manifest_path
    from ml_assets.feeds.declared import read_feeds

    feeds = read_feeds(json.loads(manifest_path(settings).read_text()), os.environ)
    for source in sources or ():
        if source not in {feed.name for feed in feeds}:
            known = ", ".join(sorted({feed.name for feed in feeds})) or "none"
            raise PerennialError(f"--source {source}: no source of that name declares a feed; those that do: {known}")
    return [
        feed
        for feed in feeds
        if (domains is None or feed.source.domain in domains) and (not sources or feed.name in sources)
    ]


def land_feed(settings: Settings, feed: DeclaredFeed, through: datetime | None) -> None:
    """Lands what a feed knew by then (None: all that there is), and says what came and what did not."""
    if through is not None and not feed.feed.replayable:
        console.print(f"  {feed.name} does not know when its rows became known: all that there is lands")
        through = None
    until = f" through {through:%Y-%m-%d %H:%M} UTC" if through else ""
    with console.status(f"{feed.name}: landing what was known{until}") as status:

        def show(label: str, done: int, total: int) -> None:
            status.update(f"{feed.name}: landing {label} {done}{f'/{total}' if total else ''}")

        report = feed.feed.land(settings.landing, through, progress=show)
    console.print(f"[green]landed[/] {feed.name}: {report.note}", soft_wrap=True)
    for finding in report.findings:
        console.print(f"  [yellow]{finding}[/]", soft_wrap=True)


def replayable_feeds(settings: Settings, domains: Iterable[str]) -> list[DeclaredFeed]:
    """The feeds of these domains; all of them can land what was known earlier.

    Raises:
        PerennialError: naming what cannot be lived through.
    """
    wanted = sorted(set(domains))
    feeds = declared_feeds(settings, wanted)
    for domain in wanted:
        if not any(feed.source.domain == domain for feed in feeds):
            raise PerennialError(f"no source of {domain} declares a feed: its past cannot land again (docs/feeds.md)")
    for feed in feeds:
        if not feed.feed.replayable:
            raise PerennialError(
                f"{feed.file}: {feed.name}: its feed does not know when its rows became known, so its past cannot land "
                "again; say known_at in config.meta of its tables, or leave its domain out with --domain"
            )
    return feeds


def what_has_landed(settings: Settings, domains: Collection[str] | None) -> bool:
    """Whether a file lies in the landing folder of a declared source (of these domains)."""
    from dagster_defs.manifest import manifest_path
    from ml_assets.declaration.domains import domain_of

    sources = json.loads(manifest_path(settings).read_text()).get("sources", {}).values()
    folders = {
        settings.landing / source["source_name"] / source["name"]
        for source in sources
        if domains is None or domain_of(source) in domains
    }
    return any(_holds_files(folder) for folder in folders)


def _holds_files(folder: Path) -> bool:
    return folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir())
