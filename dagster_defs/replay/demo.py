"""Two bad days on purpose, and how the house gets over them by itself: a drift, then a bad deployment.

What belongs here: the mischief, and telling what happened. What does not: any help; between the mischief and the end,
only time passes.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from dagster_defs.manifest import manifest_path
from dagster_defs.replay.replay import replay
from dagster_defs.resources import Home, build_home
from dagster_defs.settings import Settings
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.declaration.reader import read_declarations
from ml_assets.errors import PerennialError
from ml_assets.fitting.estimators import why_not_built
from ml_assets.fitting.training import train
from ml_assets.lake.decision_rows import DecisionRows, read_rows
from ml_assets.lifecycle import watermark

# A demonstration has weeks where life has months: it judges on a week and waits a day between two trainings.
SHORTER = {
    r"window: 28 days": "window: 7 days",
    r"max_label_age: \d+ days": "max_label_age: 60 days",
    r"cooldown: \d+ days": "cooldown: 1 day",
    r"max_iter: \d+": "max_iter: 60",
}
Say = Callable[[str], None]
Landing = Callable[[Path, datetime], None]


def demonstrate(
    settings: Settings,
    model: str,
    land: Landing,
    land_changed: Landing,
    start: datetime,
    say: Say,
) -> bool:
    """Lives through four weeks with two mishaps; True if each was noticed and made good.

    Args:
        land: lands in a folder what was known by a moment.
        land_changed: the same from a world that has changed.
        start: the moment at which the first model is trained.
    """
    began = time.monotonic()
    settings = _shorter(settings)
    home = build_home(settings)
    moments = [start]
    told = 0

    def live(until: datetime, headline: str, landing: Landing = land) -> None:
        nonlocal told
        if until > moments[-1]:
            moments.append(until)
        say(f"[bold]{time.monotonic() - began:4.0f} s  {headline}[/]")
        replay(settings, lambda moment: landing(settings.landing, moment), moments, [model], lambda _: None)
        for line in home.decision_log.read()[told:]:
            told += 1
            say(f"        {line.kind}: {line.verdict.replace('_', ' ')} (version {line.version})")
            for reason in line.reasons:
                if not reason["passed"] or line.kind == "rollback":
                    say(f"          {reason['text']}")
        champion = home.registry.champion(model)
        say(f"        champion: version {champion.version if champion else 'none'}")

    live(start, "The first weeks land; the first model is trained")
    first = _champion(home, model)
    live(
        start + timedelta(days=14),
        "Two weeks land in which everything takes longer than any training row has seen",
        land_changed,
    )
    second = _champion(home, model)
    healed = second != first
    declaration = read_declarations(manifest_path(settings), try_out=why_not_built)[model]
    bad = _deploy_badly(home, declaration)
    spent = time.monotonic() - began
    say(f"[bold]{spent:4.0f} s  Somebody deploys version {bad} past every gate: it has learned nothing[/]")
    live(
        start + timedelta(days=24),
        "Ten days land, are predicted, and the outcomes of seven whole ones become known",
        land_changed,
    )
    last = _champion(home, model)
    back = last == second
    say("")
    say(
        f"  {'made good' if healed else 'NOT MADE GOOD'}: drift, by version {second}, trained on the world as it is now"
    )
    say(f"  {'made good' if back else 'NOT MADE GOOD'}: bad deployment; version {bad} is out, {last} predicts")
    spent = time.monotonic() - began
    say(f"  in {spent:.0f} s, by nobody's hand. The story: PERENNIAL_HOME={settings.home} perennial why {model}")
    return healed and back


def _shorter(settings: Settings) -> Settings:
    """The settings of a new home with its own copy of the project, in which every declaration counts in weeks."""
    if settings.home.exists():
        shutil.rmtree(settings.home)
    project = settings.home / "dbt_project"
    shutil.copytree(settings.dbt_project, project, ignore=shutil.ignore_patterns("target", "logs", ".*"))
    for file in (project / "models" / "ml_models").rglob("*.yml"):
        text = file.read_text()
        for pattern, new in SHORTER.items():
            text = re.sub(pattern, new, text)
        file.write_text(text)
    return settings.model_copy(update={"dbt_project": project}).prepared()


def _champion(home: Home, model: str) -> int:
    champion = home.registry.champion(model)
    if champion is None:
        raise PerennialError(f"{model} has no champion; see {home.path}/runs.log")
    return champion.version


def _deploy_badly(home: Home, declaration: ModelDeclaration) -> int:
    """A version that has learned from outcomes in random order, made champion by hand."""
    rows = read_rows(home.lake.open(), declaration)
    known = np.flatnonzero(~np.isnan(rows.label))
    label = rows.label.copy()
    label[known] = np.random.default_rng(0).permutation(label[known])
    shuffled = DecisionRows(rows.inputs, label, rows.decision_at, rows.label_known_at, rows.keys)
    candidate = train(shuffled, declaration, watermark(home.lake, declaration), lock_hash=home.lock_hash)
    version = home.registry.log_candidate(candidate)
    home.registry.promote(declaration.name, version.version)
    return version.version
