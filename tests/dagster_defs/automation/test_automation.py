"""What happens by itself: files that land make one run, and a check that fails makes one candidate or one way back."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_defs.assets.checks import check_keys
from dagster_defs.assets.conditions import candidate_condition, champion_condition, following_condition
from dagster_defs.automation.landing import LANDING_TAG, QUIET_SECONDS, build_landing_sensor
from dagster_defs.landing_folder import landing_state

RUN_ID = "0b6d5a0e-9c39-4f0c-a1f6-0f0e0b0c0d0e"
STEPS = ("candidate", "evaluation", "champion")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


# --- the landing folder


def land(folder: Path, name: str, content: str | None = None, age: float = 60.0) -> Path:
    """A file that has been there for so many seconds; without `content`, no two have the same."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"a,b\n{name},2\n" if content is None else content)
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def test_the_state_changes_with_a_file_and_not_with_one_that_is_still_being_written(tmp_path: Path) -> None:
    empty = landing_state(tmp_path)
    assert empty.files == 0
    assert landing_state(tmp_path) == empty
    land(tmp_path, "shop/orders/.2030-01.csv.part")
    land(tmp_path, ".shop/orders/2030-01.csv")
    assert landing_state(tmp_path) == empty
    first = land(tmp_path, "shop/orders/2030-01.csv")
    one = landing_state(tmp_path)
    assert (one.files, one.newest) == (1, first.stat().st_mtime)
    land(tmp_path, "shop/orders/2030-02.csv", age=30)
    two = landing_state(tmp_path)
    assert two.files == 2
    first.write_text("a,b\n1,2\n3,4\n")
    assert len({empty.digest, one.digest, two.digest, landing_state(tmp_path).digest}) == 4


class Sensor:
    """The landing sensor, asked again and again."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance) -> None:
        self.folder, self.instance, self.cursor = folder, instance, None
        self.definition = build_landing_sensor(folder, "score", ("score", "refresh"))

    def ask(self) -> dg.SensorResult | dg.SkipReason:
        answer = self.definition(dg.build_sensor_context(self.instance, self.cursor))
        assert isinstance(answer, dg.SensorResult | dg.SkipReason)
        if isinstance(answer, dg.SensorResult):
            self.cursor = answer.cursor
        return answer

    def skips(self) -> str:
        answer = self.ask()
        reason = answer.skip_reason if isinstance(answer, dg.SensorResult) else answer
        assert isinstance(reason, dg.SkipReason), answer
        return reason.skip_message or ""

    def requests(self) -> dg.RunRequest:
        answer = self.ask()
        assert isinstance(answer, dg.SensorResult), answer
        (request,) = answer.run_requests or [None]
        assert request is not None
        return request


@pytest.fixture
def sensor(tmp_path: Path, instance: dg.DagsterInstance) -> Sensor:
    (tmp_path / "landing").mkdir()
    return Sensor(tmp_path / "landing", instance)


def test_an_empty_folder_is_skipped(sensor: Sensor) -> None:
    assert sensor.skips().startswith("nothing has landed in")


def test_many_files_make_one_run_and_no_second_one(sensor: Sensor) -> None:
    for month in range(1, 13):
        land(sensor.folder, f"shop/orders/2030-{month:02}.csv")
    request = sensor.requests()
    assert request.run_key == landing_state(sensor.folder).digest
    assert sensor.skips() == "nothing has landed since the last request (12 files)"
    land(sensor.folder, "shop/orders/2031-01.csv")
    assert sensor.requests().run_key != request.run_key
    assert sensor.skips() == "nothing has landed since the last request (13 files)"


def test_a_copy_of_what_has_landed_makes_no_run(sensor: Sensor) -> None:
    land(sensor.folder, "shop/orders/2030-01.csv", "a,b\n1,2\n", age=60)
    sensor.requests()
    land(sensor.folder, "shop/orders/2030-01 (1).csv", "a,b\n1,2\n", age=30)
    assert sensor.skips() == "nothing has landed since the last request (2 files)"
    land(sensor.folder, "shop/orders/2030-02.csv", "a,b\n1,3\n", age=30)
    sensor.requests()
    land(sensor.folder, "shop/returns/2030-01.csv", "a,b\n1,2\n", age=30)
    sensor.requests()


def test_a_run_waits_until_files_have_stopped_arriving(sensor: Sensor) -> None:
    land(sensor.folder, "shop/orders/2030-01.csv")
    late = land(sensor.folder, "shop/orders/2030-02.csv", age=0)
    assert sensor.skips().startswith("files are still arriving")
    quiet = time.time() - QUIET_SECONDS - 1
    os.utime(late, (quiet, quiet))
    sensor.requests()


@pytest.mark.parametrize(
    ("job", "status", "is_requested"),
    [
        ("score", dg.DagsterRunStatus.NOT_STARTED, False),
        ("refresh", dg.DagsterRunStatus.NOT_STARTED, False),
        ("score", dg.DagsterRunStatus.STARTED, True),
        ("another", dg.DagsterRunStatus.NOT_STARTED, True),
    ],
)
def test_a_run_that_is_waiting_to_start_will_read_the_files(
    sensor: Sensor, job: str, status: dg.DagsterRunStatus, is_requested: bool
) -> None:
    land(sensor.folder, "shop/orders/2030-01.csv")
    sensor.instance.add_run(dg.DagsterRun(job_name=job, status=status))
    if is_requested:
        sensor.requests()
    else:
        assert sensor.skips() == "a run that will read these files is waiting to start"


def test_what_a_run_has_read_before_the_sensor_was_on_is_not_read_again(sensor: Sensor) -> None:
    land(sensor.folder, "shop/orders/2030-01.csv")
    tags = {LANDING_TAG: landing_state(sensor.folder).digest}
    sensor.instance.add_run(dg.DagsterRun("refresh", run_id=RUN_ID, status=dg.DagsterRunStatus.SUCCESS, tags=tags))
    assert sensor.skips() == f"run {RUN_ID} has read all 1 files"
    assert sensor.skips() == "nothing has landed since the last request (1 files)"
    land(sensor.folder, "shop/orders/2030-02.csv")
    assert sensor.requests().tags[LANDING_TAG] == landing_state(sensor.folder).digest


class HandStarted:
    """A run that somebody asked for in the UI: without the tag that says what lay in the folder."""

    def __init__(self, instance: dg.DagsterInstance, **kwargs: Any) -> None:
        self.instance = instance
        self.run = instance.add_run(dg.DagsterRun("refresh", **kwargs))

    def becomes(self, event: dg.DagsterEventType) -> None:
        self.instance.report_dagster_event(dg.DagsterEvent(event.value, job_name="refresh"), run_id=self.run.run_id)


def test_a_run_that_waited_when_files_landed_has_read_them(sensor: Sensor) -> None:
    by_hand = HandStarted(sensor.instance)
    land(sensor.folder, "shop/orders/2030-01.csv")
    assert sensor.skips() == "a run that will read these files is waiting to start"
    by_hand.becomes(dg.DagsterEventType.RUN_START)
    assert sensor.skips() == f"run {by_hand.run.run_id} is reading these files"
    by_hand.becomes(dg.DagsterEventType.RUN_SUCCESS)
    assert sensor.skips() == f"run {by_hand.run.run_id} has read all 1 files"
    assert sensor.skips() == "nothing has landed since the last request (1 files)"
    land(sensor.folder, "shop/orders/2030-02.csv")
    sensor.requests()


def test_a_run_that_waited_and_failed_has_read_nothing(sensor: Sensor) -> None:
    by_hand = HandStarted(sensor.instance)
    land(sensor.folder, "shop/orders/2030-01.csv")
    sensor.skips()
    by_hand.becomes(dg.DagsterEventType.RUN_START)
    sensor.skips()
    by_hand.becomes(dg.DagsterEventType.RUN_FAILURE)
    sensor.requests()


def test_a_run_that_started_before_files_were_seen_may_have_missed_them(sensor: Sensor) -> None:
    by_hand = HandStarted(sensor.instance)
    by_hand.becomes(dg.DagsterEventType.RUN_START)
    land(sensor.folder, "shop/orders/2030-01.csv")
    sensor.requests()


def test_a_run_that_waited_when_more_landed_has_read_that_too(sensor: Sensor) -> None:
    land(sensor.folder, "shop/orders/2030-01.csv")
    request = sensor.requests()
    requested = HandStarted(sensor.instance, tags=request.tags)
    land(sensor.folder, "shop/orders/2030-02.csv")
    assert sensor.skips() == "a run that will read these files is waiting to start"
    requested.becomes(dg.DagsterEventType.RUN_START)
    requested.becomes(dg.DagsterEventType.RUN_SUCCESS)
    assert sensor.skips() == f"run {requested.run.run_id} has read all 2 files"


@pytest.mark.parametrize(
    "part",
    [{"asset_selection": frozenset({dg.AssetKey("trn_returns")})}, {"parent_run_id": RUN_ID, "root_run_id": RUN_ID}],
)
def test_a_part_of_a_job_reads_no_files(sensor: Sensor, part: dict[str, Any]) -> None:
    by_hand = HandStarted(sensor.instance, **part)
    land(sensor.folder, "shop/orders/2030-01.csv")
    sensor.skips()
    by_hand.becomes(dg.DagsterEventType.RUN_START)
    by_hand.becomes(dg.DagsterEventType.RUN_SUCCESS)
    sensor.requests()


def test_what_a_run_has_read_counts_though_the_sensor_looked_while_files_were_arriving(sensor: Sensor) -> None:
    late = land(sensor.folder, "shop/orders/2030-01.csv", age=0)
    sensor.skips()
    quiet = time.time() - QUIET_SECONDS - 1
    os.utime(late, (quiet, quiet))
    tags = {LANDING_TAG: landing_state(sensor.folder).digest}
    sensor.instance.add_run(dg.DagsterRun("refresh", run_id=RUN_ID, status=dg.DagsterRunStatus.SUCCESS, tags=tags))
    assert sensor.skips() == f"run {RUN_ID} has read all 1 files"


# --- the conditions


class Shop:
    """One model's assets without their work, and checks that answer what the test says."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance, self.cursor = instance, None
        needed, better, none_waits = check_keys(["returns"])
        self.answers = {needed: True, better: True, none_waits: True}
        conditions = (candidate_condition(), following_condition(), champion_condition())
        parent = dg.AssetKey(["trn_returns"])
        assets: list[dg.AssetsDefinition] = []
        for step, condition in zip(STEPS, conditions, strict=True):
            assets.append(self._asset(dg.AssetKey(["returns", step]), parent, condition))
            parent = assets[-1].key
        self.assets = assets
        checks = [self._check(key) for key in self.answers]
        self.definitions = dg.Definitions(
            assets=[dg.AssetSpec("trn_returns"), *assets],
            asset_checks=checks,
            jobs=[dg.define_asset_job("score", dg.AssetSelection.checks(*checks))],
        )
        self.needs_none, self.is_better, self.none_waits = needed, better, none_waits

    @staticmethod
    def _asset(key: dg.AssetKey, parent: dg.AssetKey, condition: dg.AutomationCondition) -> dg.AssetsDefinition:
        @dg.asset(key=key, deps=[parent], automation_condition=condition)
        def step() -> None: ...

        return step

    def _check(self, key: dg.AssetCheckKey) -> dg.AssetChecksDefinition:
        @dg.asset_check(asset=key.asset_key, name=key.name)
        def check() -> dg.AssetCheckResult:
            return dg.AssetCheckResult(passed=self.answers[key], severity=dg.AssetCheckSeverity.WARN)

        return check

    def score(self, *, needs_none: bool = True, is_better: bool = True, none_waits: bool = True) -> None:
        """Runs the checks, as a scoring run does."""
        self.answers.update({self.needs_none: needs_none, self.is_better: is_better, self.none_waits: none_waits})
        assert self.definitions.resolve_job_def("score").execute_in_process(instance=self.instance).success

    def requested(self) -> set[str]:
        """What one evaluation of the conditions asks for."""
        result = dg.evaluate_automation_conditions(self.definitions, self.instance, cursor=self.cursor)
        self.cursor = result.cursor
        return {step for step in STEPS if result.get_num_requested(dg.AssetKey(["returns", step]))}

    def make(self, *steps: str) -> None:
        """Runs what was asked for."""
        selection = [dg.AssetKey(["returns", step]) for step in steps]
        assert dg.materialize(self.assets, selection=selection, instance=self.instance).success


@pytest.fixture
def shop(instance: dg.DagsterInstance) -> Shop:
    """A model that has been made once, and whose checks have passed."""
    shop = Shop(instance)
    shop.make(*STEPS)
    shop.score()
    shop.requested()
    return shop


def test_checks_that_pass_ask_for_nothing(shop: Shop) -> None:
    assert shop.requested() == set()
    shop.score()
    assert shop.requested() == set()


def test_a_failing_check_asks_for_a_candidate_and_all_that_follows_once(shop: Shop) -> None:
    shop.score(needs_none=False)
    assert shop.requested() == set(STEPS)
    assert shop.requested() == set()
    shop.make(*STEPS)
    assert shop.requested() == set()
    assert shop.requested() == set()


def test_a_check_that_still_fails_after_the_candidate_was_made_asks_again(shop: Shop) -> None:
    shop.score(needs_none=False)
    shop.requested()
    shop.make(*STEPS)
    shop.requested()
    shop.score(needs_none=False)
    assert shop.requested() == set(STEPS)
    assert shop.requested() == set()


def test_a_check_that_passes_again_asks_for_nothing(shop: Shop) -> None:
    shop.score(needs_none=False)
    shop.requested()
    shop.make(*STEPS)
    shop.score()
    assert shop.requested() == set()


def test_a_no_that_was_taken_back_before_anybody_looked_asks_for_nothing(shop: Shop) -> None:
    shop.score(needs_none=False)
    shop.score()
    assert shop.requested() == set()


def test_a_champion_that_does_worse_asks_for_the_champion_only(shop: Shop) -> None:
    shop.score(is_better=False)
    assert shop.requested() == {"champion"}
    assert shop.requested() == set()
    shop.make("champion")
    assert shop.requested() == set()


def test_a_challenger_that_has_served_its_time_asks_for_the_champion_only(shop: Shop) -> None:
    shop.score(none_waits=False)
    assert shop.requested() == {"champion"}
    shop.make("champion")
    shop.score()
    assert shop.requested() == set()


def test_both_checks_together_ask_for_each_step_once(shop: Shop) -> None:
    shop.score(needs_none=False, is_better=False)
    assert shop.requested() == set(STEPS)
    shop.make(*STEPS)
    assert shop.requested() == set()


def test_a_candidate_that_somebody_made_is_judged_without_being_asked(shop: Shop) -> None:
    shop.make("candidate")
    assert shop.requested() == {"evaluation", "champion"}
    shop.make("evaluation", "champion")
    assert shop.requested() == set()


def test_the_first_candidate_is_asked_for_like_any_other(instance: dg.DagsterInstance) -> None:
    shop = Shop(instance)
    assert shop.requested() == set()
    shop.score(needs_none=False)
    assert shop.requested() == set(STEPS)
    assert shop.requested() == set()


def test_a_no_from_before_anybody_looked_for_the_first_time_is_heard_when_it_is_said_again(
    instance: dg.DagsterInstance,
) -> None:
    shop = Shop(instance)
    shop.score(needs_none=False)
    assert shop.requested() == set()
    shop.score(needs_none=False)
    assert shop.requested() == set(STEPS)
