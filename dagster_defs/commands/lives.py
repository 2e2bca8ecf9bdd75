"""Commands that live a stretch of time: the replay and the demonstration."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from dagster_defs.commands.app import app, console, declared, moment_in, settings_of_home, span_in, start_in
from ml_assets.errors import PerennialError


@app.command()
def replay(
    start: Annotated[str, typer.Option("--from", help="The first models are trained on what was known by then.")],
    through: Annotated[str, typer.Option(help="The last moment that lands.")],
    every: Annotated[str, typer.Option(help="How much lands at once, such as 1 day or 1 month.")] = "7 days",
    model: Annotated[list[str] | None, typer.Option(help="Only this model; may be repeated. Default: all.")] = None,
    home: Annotated[
        Path | None, typer.Option(help="Where it lives; default: replay/ in the home. Never your own.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Forget an earlier replay there and begin anew.")] = False,
) -> None:
    """Live through a stretch of the past, step by step and untouched, and report on it."""
    import shutil

    from dagster_defs.replay.replay import STEPS, compare_lives, read_steps, replay_steps, write_report
    from dagster_defs.replay.replay import replay as live_through
    from dagster_defs.resources import build_home
    from ml_assets.feeds.nycflights13 import land as land_flights

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
    chosen = model or list(declarations)
    console.print(f"replaying {len(moments)} steps of {', '.join(chosen)} in {place}")
    (place / STEPS).touch()
    steps = live_through(
        settings,
        lambda moment: land_flights(settings.landing, moment),
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
        for life in reports[-1].lives:
            console.print(f"  {name} {life.name:10} {reports[-1].metric} {life.value:.4f}  {life.trainings} trainings")
    console.print(f"report: [bold]{write_report(place, reports)}[/]")


@app.command()
def demo(
    home: Annotated[Path | None, typer.Option(help="Where it lives; default: demo/ in the home. Begun anew.")] = None,
) -> None:
    """Let the world change and somebody deploy a bad model, and watch both being made good."""
    from dagster_defs.replay.demo import demonstrate
    from ml_assets.feeds.mischief import lose_time_on_the_way
    from ml_assets.feeds.nycflights13 import land as land_flights

    settings = settings_of_home()
    place = (home or settings.home / "demo").absolute()
    if place.exists() and any(place.iterdir()) and not (place / "dbt_project").exists():
        raise PerennialError(f"{place} holds something that is no demonstration; name another folder with --home")
    model = next(name for name, one in declared(settings, None).items() if one.retraining.drift)
    os.environ["PERENNIAL_HOME"] = str(place)
    seen: set[Path] = set()

    def land_true(folder: Path, moment: datetime) -> None:
        land_flights(folder, moment)
        seen.update(folder.glob("*/arrivals/*.csv"))

    def land_changed(folder: Path, moment: datetime) -> None:
        land_flights(folder, moment)
        lose_time_on_the_way(folder, seen)

    made_good = demonstrate(
        settings.model_copy(update={"home": place}),
        model,
        land_true,
        land_changed,
        moment_in("--through", "2013-02-03"),
        lambda line: console.print(line, soft_wrap=True),
    )
    if not made_good:
        raise PerennialError(f"not everything was made good; see {place / 'runs.log'}")
