"""Commands that live a stretch of time: the replay and the demonstration."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from dagster_defs.commands.app import (
    app,
    console,
    declared,
    domains_asked,
    moment_in,
    settings_of_home,
    span_in,
    start_in,
)
from dagster_defs.commands.feeds import declared_feeds, replayable_feeds
from ml_assets.errors import PerennialError


@app.command()
def replay(
    start: Annotated[str, typer.Option("--from", help="The first models are trained on what was known by then.")],
    through: Annotated[str, typer.Option(help="The last moment that lands.")],
    every: Annotated[str, typer.Option(help="How much lands at once, such as 1 day or 1 month.")] = "7 days",
    model: Annotated[list[str] | None, typer.Option(help="Only this model; may be repeated. Default: all.")] = None,
    domain: Annotated[list[str] | None, typer.Option(help="Only models of this domain; may be repeated.")] = None,
    home: Annotated[
        Path | None, typer.Option(help="Where it lives; default: replay/ in the home. Never your own.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Forget an earlier replay there and begin anew.")] = False,
) -> None:
    """Live through a stretch of the past, step by step and untouched, and report on it."""
    import shutil

    from dagster_defs.replay.conclusion import conclude
    from dagster_defs.replay.lives import compare_lives, write_report
    from dagster_defs.replay.replay import STEPS, read_steps, replay_steps
    from dagster_defs.replay.replay import replay as live_through
    from dagster_defs.resources import build_home

    settings = settings_of_home()
    place = (home or settings.home / "replay").absolute()
    if again and (place / STEPS).exists():
        shutil.rmtree(place)
    elif place.exists() and any(place.iterdir()) and not (place / STEPS).exists():
        raise PerennialError(f"{place} holds something that is no replay; name another folder with --home")
    settings = settings.model_copy(update={"home": place}).prepared()
    os.environ["PERENNIAL_HOME"] = str(place)
    moments = replay_steps(start_in("--from", start), moment_in("--through", through), span_in("--every", every))
    lived = read_steps(place)
    if [step.through[:16] for step in lived] != [f"{moment:%Y-%m-%dT%H:%M}" for moment in moments[: len(lived)]]:
        raise PerennialError(f"{place} holds another replay; --again forgets it, --home names another folder")
    declarations = declared(settings, None)
    unknown = [name for name in model or () if name not in declarations]
    if unknown:
        raise PerennialError(f"no model {', '.join(unknown)} is declared; declared are {', '.join(declarations)}")
    within = domains_asked(settings, domain, None)
    chosen = model or [name for name, one in declarations.items() if within is None or one.domain.name in within]
    if not chosen:
        raise PerennialError("no model is declared that could be lived with; perennial new model writes one")
    feeds = replayable_feeds(settings, (declarations[name].domain.name for name in chosen))

    def land(moment: datetime) -> None:
        for feed in feeds:
            feed.feed.land(settings.landing, moment)

    console.print(f"replaying {len(moments)} steps of {', '.join(chosen)} in {place}")
    (place / STEPS).touch()
    steps = live_through(
        settings,
        land,
        moments,
        chosen,
        lambda line: console.print(f"  {line}"),
    )
    standing = build_home(settings)
    reports = []
    for name in chosen:
        with console.status(f"{name}: what other lives would have come to") as bar:
            reports.append(
                compare_lives(
                    standing,
                    declarations[name],
                    moments,
                    steps,
                    lambda what, done, of, name=name, bar=bar: bar.update(f"{name}: {what} {done}/{of}"),
                )
            )
        for life in (*reports[-1].lives, *reports[-1].baselines):
            console.print(f"  {name} {life.name:10} {reports[-1].metric} {life.value:.4f}  {life.trainings} trainings")
        for claim in conclude(reports[-1]):
            console.print(f"  {claim.text}", highlight=False, markup=False)
    console.print(f"report: [bold]{write_report(place, reports)}[/]")


@app.command()
def demo(
    home: Annotated[Path | None, typer.Option(help="Where it lives; default: demo/ in the home. Begun anew.")] = None,
) -> None:
    """Let the world change and somebody deploy a bad model, and watch both being made good."""
    from dagster_defs.replay.demo import demonstrate
    from ml_assets.feeds.mischief import change_the_world, landed_files

    settings = settings_of_home()
    place = (home or settings.home / "demo").absolute()
    if place.exists() and any(place.iterdir()) and not (place / "dbt_project").exists():
        raise PerennialError(f"{place} holds something that is no demonstration; name another folder with --home")
    offered = [(one, one.demo) for one in declared_feeds(settings) if one.demo is not None]
    if not offered:
        raise PerennialError(
            "no declared feed offers a demonstration; add demo: {start, table, column, add} to a source's "
            "config.meta.feed (docs/feeds.md)"
        )
    feed, mischief = offered[0]
    declarations = declared(settings, None)
    drifting = [
        name for name, one in declarations.items() if one.retraining.drift and one.domain.name == feed.source.domain
    ]
    if not drifting:
        raise PerennialError(
            f"no model of {feed.source.domain} declares retraining.drift: none would notice a changed world"
        )
    os.environ["PERENNIAL_HOME"] = str(place)
    seen: set[Path] = set()

    def land_true(folder: Path, moment: datetime) -> None:
        feed.feed.land(folder, moment)
        seen.update(landed_files(folder, feed.name, mischief))

    def land_changed(folder: Path, moment: datetime) -> None:
        feed.feed.land(folder, moment)
        change_the_world(folder, feed.name, mischief, seen)

    made_good = demonstrate(
        settings.model_copy(update={"home": place}),
        drifting[0],
        land_true,
        land_changed,
        moment_in("demo.start", mischief.start),
        lambda line: console.print(line, soft_wrap=True),
    )
    if not made_good:
        raise PerennialError(f"not everything was made good; see {place / 'runs.log'}")
