"""Commands on models: the way back, the record, and what a past would have been."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from dagster_defs.commands.app import app, console, declared, moment_in, settings_of_home, span_in
from ml_assets.errors import PerennialError


@app.command()
def rollback(
    model: Annotated[str, typer.Argument(help="Name of a declared model.")],
    reason: Annotated[str, typer.Option(help="Why; it stands in the decision log.")] = "asked for by hand",
) -> None:
    """Put the previous champion back."""
    from dagster_defs.assets.by_hand import tell_of_rollback
    from dagster_defs.resources import build_home
    from dagster_defs.running import instance_of
    from ml_assets import lifecycle

    settings = settings_of_home()
    declaration = declared(settings, model)[model]
    home = build_home(settings)
    result = lifecycle.rollback(home.lake, home.registry, home.decision_log, declaration, now=home.now, reason=reason)
    with instance_of(settings) as instance:
        tell_of_rollback(instance, home, declaration, result)
    console.print(
        f"{model}: version {result.champion.version} is champion again, version {result.previous.version} is not."
    )


@app.command()
def decisions(model: Annotated[str | None, typer.Argument(help="Only of this model.")] = None) -> None:
    """Every decision about a model, oldest first."""
    from dagster_defs.home_folder import folder_of

    settings = settings_of_home()
    lines = folder_of(settings).decision_log.read()
    if model and model not in {decision.model for decision in lines}:
        declared(settings, model, is_tried=False)
    table = Table(box=None, header_style="bold")
    for heading in ("#", "as of", "model", "kind", "verdict", "version"):
        table.add_column(heading)
    for decision in lines:
        if model in (None, decision.model):
            table.add_row(
                str(decision.sequence),
                str(decision.as_of),
                decision.model,
                decision.kind,
                decision.verdict,
                str(decision.version),
            )
    console.print(table)


@app.command()
def why(
    model: Annotated[str, typer.Argument(help="Name of a declared model.")],
    version: Annotated[int | None, typer.Argument(help="Which version; default: the champion.")] = None,
) -> None:
    """Why a version was trained, what it learned from, how it was judged and what became of it, in plain words."""
    from dagster_defs.commands.status import champion_of, registry_trouble
    from dagster_defs.home_folder import folder_of
    from ml_assets.deciding.story import tell_version

    settings = settings_of_home()
    declaration = declared(settings, model, is_tried=False)[model]
    home = folder_of(settings)
    log = home.decision_log.read()
    champion = champion_of(home, log, model)
    if version is None and champion is None:
        raise PerennialError(f"{model} has no champion yet; perennial run trains one, or name a version")
    if champion is None or version not in (None, champion.version):
        assert version is not None
        champion_version, chosen = champion.version if champion else None, home.registry.get(model, version)
    else:
        champion_version, chosen = champion.version, champion
    story = tell_version(home.lake, declaration, chosen, log, champion_version)
    if trouble := registry_trouble(home):
        console.print(f"[red]registry[/] {trouble}; this is of the champion last seen.", soft_wrap=True)
    console.print(story, soft_wrap=True, markup=False)


@app.command()
def backtest(
    model: Annotated[str | None, typer.Argument(help="Only this model.")] = None,
    every: Annotated[str, typer.Option(help="From one training to the next.")] = "7 days",
    through: Annotated[str | None, typer.Option(help="Last moment judged; default: all that is known.")] = None,
) -> None:
    """How a model would have done, retrained again and again on what was known, with its baselines beside it."""
    from dagster_defs.assets.by_hand import tell_of_backtest
    from dagster_defs.commands.tables import scores_table
    from dagster_defs.resources import build_home
    from dagster_defs.running import instance_of
    from ml_assets import lifecycle
    from ml_assets.judging.evaluation import overall_scores
    from ml_assets.moments import words_of

    settings = settings_of_home()
    end = moment_in("--through", through) if through else None
    span = span_in("--every", every)
    home = build_home(settings)
    for name, declaration in declared(settings, model).items():
        with console.status(f"{name}: backtest") as progress:
            result = lifecycle.run_backtest(
                home.lake,
                declaration,
                every=span,
                through=end,
                progress=lambda what, done, of, name=name, bar=progress: bar.update(f"{name}: {what} {done}/{of}"),
            )
        with instance_of(settings) as instance:
            tell_of_backtest(instance, declaration, result)
        console.print(f"[bold]{name}[/], retrained every {words_of(span)}")
        console.print(scores_table(f"{len(result.origins)} trainings", overall_scores(result.scores)))
