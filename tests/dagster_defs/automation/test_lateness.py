"""Declared levels are freshness policies, what is late or overdue is told once and closed, and the status lists it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_defs.assets.answers import answer_landing
from dagster_defs.assets.freshness import freshness
from dagster_defs.automation.lateness import build_service_sensor
from dagster_defs.commands.status import gather_status
from dagster_defs.resources import Home, build_home
from dagster_defs.settings import Settings
from ml_assets.declaration.levels import read_levels
from ml_assets.declaration.model import ModelDeclaration
from ml_assets.declaration.reader import read_declarations
from ml_assets.lake.ledger import Cost
from ml_assets.moments import text_of
from ml_assets.observing.alerts import Incident

Manifest = dict[str, Any]
BuiltFrom = Callable[[Callable[[Manifest], None]], dg.Definitions]
NOW = datetime(2030, 1, 2, 12, tzinfo=UTC)


def windows(policy: Any) -> tuple[timedelta, timedelta | None]:
    return policy.fail_window.to_timedelta(), policy.warn_window.to_timedelta() if policy.warn_window else None


# --- policies


def test_a_warning_comes_at_three_quarters() -> None:
    assert windows(freshness(timedelta(hours=26))) == (timedelta(hours=26), timedelta(hours=19.5))


def test_the_shortest_level_has_no_warning() -> None:
    assert windows(freshness(timedelta(minutes=1))) == (timedelta(minutes=1), None)


def test_without_a_level_there_is_no_policy() -> None:
    assert freshness(None) is None


def test_a_declared_level_of_a_table_is_its_policy(definitions: dg.Definitions, manifest: Manifest) -> None:
    specs = {spec.key.path[-1]: spec for spec in definitions.resolve_all_asset_specs() if "dbt" in spec.kinds}
    levels = {unique_id.split(".")[-1]: age for unique_id, age in read_levels(manifest).items()}

    assert {name for name, spec in specs.items() if spec.freshness_policy} == set(levels)
    for name, age in levels.items():
        assert windows(specs[name].freshness_policy)[0] == age


def test_every_published_table_has_a_level(manifest: Manifest) -> None:
    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    public = {node["unique_id"] for node in models if node["config"]["access"] == "public"}

    assert public
    assert public <= set(read_levels(manifest))


def test_what_a_model_declares_of_its_predictions_is_their_policy(built_from: BuiltFrom) -> None:
    def declare(manifest: Manifest) -> None:
        for name, service in (("late_arrival", {"late_after": "3 hours"}), ("arrival_delay", {})):
            manifest["exposures"][f"exposure.perennial.{name}"]["config"]["meta"]["ml"]["service"] = service

    specs = {spec.key.to_user_string(): spec for spec in built_from(declare).resolve_all_asset_specs()}

    assert windows(specs["late_arrival/predictions"].freshness_policy)[0] == timedelta(hours=3)
    assert specs["arrival_delay/predictions"].freshness_policy is None


def test_a_wrong_level_is_named_when_dagster_loads(built_from: BuiltFrom) -> None:
    def misspell(manifest: Manifest) -> None:
        manifest["nodes"]["model.perennial.trn_late_arrival"]["config"]["meta"]["service"] = {"late_after": "soon"}

    with pytest.raises(
        Exception, match=r"trn_late_arrival.yml: .*config.meta.service.late_after: found 'soon', not a"
    ) as caught:
        built_from(misspell)

    assert type(caught.value).__name__ == "DeclarationError"


# --- the sensor


class Shop:
    """A door without a level, two tables behind it, a model's predictions behind these; and the sensor, asked again and again."""

    def __init__(self, root: Path, instance: dg.DagsterInstance, model: ModelDeclaration) -> None:
        self.root, self.instance, self.cursor, self.now = root, instance, None, NOW
        self.last_made: dict[str, datetime] = {}
        hour = freshness(timedelta(hours=1))
        specs = [
            dg.AssetSpec("door"),
            dg.AssetSpec("orders", deps=["door"], freshness_policy=hour),
            dg.AssetSpec("parcels", deps=["door"], freshness_policy=hour),
            dg.AssetSpec(["returns", "predictions"], deps=["orders", "parcels"], freshness_policy=hour),
        ]
        service = model.service.model_copy(update={"predictions_due": timedelta(minutes=15)})
        self.models = {name: replace(model, name=name, service=service) for name in ("returns", "kept")}
        self.sensor = build_service_sensor(specs, self.models)
        self.home = Home(path=str(root), lock_file="")

    def made(self, **minutes_ago: int) -> None:
        """When assets were last made; an hour is allowed."""
        for name, minutes in minutes_ago.items():
            self.last_made["/".join(name.split("__"))] = self.now - timedelta(minutes=minutes)

    def ask(self, minutes: float = 1) -> list[Incident]:
        """Some time passes and the sensor is evaluated; returns what was told by that."""
        self.now += timedelta(minutes=minutes)
        before = len(self.home.alerts.read())
        answer: Any = self.sensor(dg.build_sensor_context(self.instance, self.cursor, resources={"home": self.home}))
        self.cursor = answer.cursor
        return self.home.alerts.read()[before:]

    def land(self, name: str) -> None:
        file = self.root / "landing" / "shop" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("a\n1\n")
        os.utime(file, (self.now.timestamp(), self.now.timestamp()))

    def predict(self, model: str) -> timedelta | None:
        """A run reads the landing and predicts."""
        self.home.due.note_reading("trn_returns", self.now + timedelta(seconds=1))
        return answer_landing(self.home, self.models[model], "trn_returns")


@pytest.fixture
def shop(tmp_path: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    (tmp_path / "landing").mkdir()
    model = next(iter(read_declarations(manifest).values()))
    with dg.DagsterInstance.ephemeral() as instance:
        shop = Shop(tmp_path, instance, model)
        monkeypatch.setattr(Home, "now", staticmethod(lambda: shop.now))
        monkeypatch.setattr("dagster_defs.automation.lateness.last_made", lambda instance, assets: shop.last_made)
        yield shop


def told(incidents: list[Incident]) -> list[tuple[str, str]]:
    return [(incident.state, incident.key) for incident in incidents]


def test_what_is_on_time_or_was_never_made_is_no_incident(shop: Shop) -> None:
    assert shop.ask() == []
    shop.made(orders=0, parcels=50)
    assert shop.ask() == []


def test_one_cause_is_told_once_and_closed_when_all_of_it_was_made(shop: Shop) -> None:
    shop.made(orders=90, parcels=90, returns__predictions=0)

    (opened,) = shop.ask()

    assert told([opened]) == [("opened", "late/orders")]
    assert opened.title == "late: orders, parcels"
    shop.made(returns__predictions=90)
    assert shop.ask() == []
    shop.made(orders=0)
    assert shop.ask() == []
    shop.made(parcels=0, returns__predictions=0)
    assert told(shop.ask()) == [("closed", "late/orders")]
    assert shop.ask() == []


def test_what_stands_behind_is_counted_in_the_alert(shop: Shop) -> None:
    shop.made(orders=90, parcels=0, returns__predictions=90)

    (opened,) = shop.ask()

    assert opened.title == "late: orders, with 1 behind"
    assert "60 minutes may pass" in opened.text


def test_an_open_incident_is_not_told_again_by_a_sensor_that_has_forgotten(shop: Shop) -> None:
    shop.made(orders=90, parcels=90)
    shop.ask()
    shop.cursor = None

    assert shop.ask() == []
    shop.made(orders=0, parcels=0)
    assert told(shop.ask()) == [("closed", "late/orders")]


def test_a_landing_that_waits_too_long_is_one_incident_for_all_models(shop: Shop) -> None:
    for model in shop.models:
        shop.predict(model)
    shop.now += timedelta(hours=3)
    shop.land("2030-01.csv")

    assert shop.ask(14) == []
    (opened,) = shop.ask(2)

    assert told([opened]) == [("opened", "due/returns")]
    assert opened.title == "predictions overdue: returns, kept"
    assert (
        "16 minutes later; 15 minutes are promised (service.predictions_due in models/ml_models/flights/" in opened.text
    )
    assert shop.predict("returns") == timedelta(minutes=16)
    assert shop.ask() == [], "the other one still waits"
    assert shop.predict("kept") == timedelta(minutes=17)
    assert told(shop.ask()) == [("closed", "due/returns")]


def test_a_landing_that_is_answered_in_time_is_no_incident(shop: Shop) -> None:
    shop.predict("returns")
    shop.now += timedelta(hours=3)
    shop.land("2030-01.csv")
    shop.now += timedelta(minutes=14)

    assert shop.predict("returns") == timedelta(minutes=14)
    assert shop.ask(60) == []


def test_a_promise_that_was_broken_while_nobody_looked_is_told_by_the_predictions_themselves(shop: Shop) -> None:
    shop.predict("returns")
    shop.now += timedelta(hours=3)
    shop.land("2030-01.csv")
    shop.now += timedelta(minutes=40)

    assert shop.predict("returns") == timedelta(minutes=40)

    assert told(shop.home.alerts.read()) == [("opened", "due/returns"), ("closed", "due/returns")]
    assert "40 minutes" in shop.home.alerts.read()[-1].text


# --- the status


def test_the_status_lists_what_is_late_whether_or_not_the_daemon_runs(settings: Settings, tmp_path: Path) -> None:
    own = settings.model_copy(update={"home": tmp_path / "home"}).prepared()
    home, now = build_home(own), datetime.now(UTC)
    for name in ("stg_landing__files", "trn_late_arrival"):
        cost = Cost("run", "score", name, "success", text_of(now), 0.1, 0.1)
        home.ledger.record(cost, now=now)
    assert gather_status(own)["late"] == []

    later = now + timedelta(hours=27)
    home.ledger.record(Cost("run", "score", "trn_late_arrival", "failure", text_of(later), 0.1, 0.1), now=later)
    home.alerts.open("late/stg_landing__files", "late: stg_landing__files", "why", now=later)
    answer = json.loads(json.dumps(gather_status(own, later), default=str))

    ((late),) = answer["late"]
    assert [(one["asset"], one["late_after"]) for one in late["assets"]] == [("stg_landing__files", "26 hours")]
    assert late["behind"] == ["trn_late_arrival"]
    assert [incident["key"] for incident in answer["incidents"]] == ["late/stg_landing__files"]
    assert answer["models"]["late_arrival"]["service"]["predictions_due"] == "15 minutes"


def test_the_status_says_how_long_the_last_landing_waited(shop: Shop, settings: Settings) -> None:
    own = settings.model_copy(update={"home": shop.root}).prepared()
    record = build_home(own).due
    record.note_reading("trn_returns", NOW)
    record.note_answer("late_arrival", "trn_returns", [], NOW)
    shop.land("2030-01.csv")
    shop.now += timedelta(minutes=16)

    waiting = gather_status(own, shop.now)["models"]["late_arrival"]["service"]
    assert (waiting["is_overdue"], waiting["waiting_since"]) == (True, NOW)

    record.note_reading("trn_returns", NOW + timedelta(minutes=10))
    record.note_answer("late_arrival", "trn_returns", [NOW], NOW + timedelta(minutes=11))
    answered = gather_status(own)["models"]["late_arrival"]["service"]
    assert (answered["is_overdue"], answered["last_waited_seconds"]) == (False, 660)
